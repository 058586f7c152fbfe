"""Public lookup tables: their entries, and the multilinear extension that a verifier evaluates.

Entry j of a table answers index j, 0 <= j < size, size a power of two. A table of a function on
signed b-bit integers y is indexed by j = y + 2^(b-1) (``offset``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zkbench.fields import Field
from zkbench.kernels import eq
from zkbench.kernels.contract import contract
from zkbench.kernels.launch import cpu_target

Element = Any


def index_extension(point: Sequence[Element]) -> Element:
    """The multilinear extension of j -> j: sum of 2^k z_k."""
    total: Any = 0
    for k, z in enumerate(point):
        total = total + z * (1 << k)
    return total


@dataclass(frozen=True)
class Relu:
    """max(y, 0) on signed ``bits``-bit integers."""

    bits: int = 16

    @property
    def name(self) -> str:
        return f"relu{self.bits}"

    @property
    def offset(self) -> int:
        return 1 << (self.bits - 1)

    @property
    def values(self) -> np.ndarray:
        return np.maximum(np.arange(1 << self.bits) - self.offset, 0).astype(np.int32)

    def extension(self, field: Field, point: Sequence[Element]) -> Element:
        """The sign bit of j = y + 2^(bits-1) times its other bits: multilinear as it stands."""
        return point[-1] * index_extension(point[:-1])


@dataclass(frozen=True)
class FunctionTable:
    """Any table: ``entries`` are integers of at most 17 bits, 2^k of them."""

    name: str
    entries: tuple[int, ...]
    offset: int = 0

    @property
    def values(self) -> np.ndarray:
        return np.array(self.entries, dtype=np.int32)

    def extension(self, field: Field, point: Sequence[Element]) -> Element:
        target = cpu_target()
        weights = eq.eq_table(target, field, point, len(self.entries))
        return field.unpack(contract(target, field, self.values, 1, len(self.entries), 1, weights))[
            0
        ]


Table = Relu | FunctionTable
