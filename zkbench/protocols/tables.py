"""Public lookup tables: their entries, and the multilinear extension that a verifier evaluates.

Entry j of a table answers index j, 0 <= j < size, size a power of two. A table of a function on
signed b-bit integers y is indexed by j = y + 2^(b-1) (``offset``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache
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
class Sign:
    """1 where y >= 0, else 0, on signed ``bits``-bit integers: ReLU's derivative, as zkDL has it."""

    bits: int = 16

    @property
    def name(self) -> str:
        return f"sign{self.bits}"

    @property
    def offset(self) -> int:
        return 1 << (self.bits - 1)

    @property
    def values(self) -> np.ndarray:
        return (np.arange(1 << self.bits) >= self.offset).astype(np.int32)

    def extension(self, field: Field, point: Sequence[Element]) -> Element:
        """The sign bit of j = y + 2^(bits-1)."""
        return point[-1] + field.element(0)


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


@dataclass(frozen=True)
class Exp:
    """round(2^log_scale exp(-j 2^-log_delta)) for j in [0, 2^bits), halves up; zero from ``cutoff`` on.

    In attention, j counts how far a score lies below its row's shift, in units of 2^-log_delta nats.
    Raises ValueError unless the upper half is zero, which is where masked scores go.
    """

    log_delta: int = 8
    log_scale: int = 15
    bits: int = 16
    offset: int = 0

    def __post_init__(self) -> None:
        if self.cutoff > self.mask:
            raise ValueError(
                f"a table of exp in steps of 2^-{self.log_delta} reaches beyond 2^{self.bits - 1}: "
                "choose larger steps"
            )

    @property
    def name(self) -> str:
        return f"exp{self.bits}-{self.log_delta}-{self.log_scale}"

    @property
    def mask(self) -> int:
        """What is added to the index of a masked score."""
        return 1 << (self.bits - 1)

    @property
    def entries(self) -> np.ndarray:
        """The entries that are not zero, and one that is: int32."""
        return exp_entries(self.log_delta, self.log_scale)

    @property
    def cutoff(self) -> int:
        return len(self.entries) - 1

    @property
    def values(self) -> np.ndarray:
        values = np.zeros(1 << self.bits, dtype=np.int32)
        values[: self.cutoff] = self.entries[:-1]
        return values

    def extension(self, field: Field, point: Sequence[Element]) -> Element:
        """A sum over the ``cutoff`` entries that are not zero."""
        target = cpu_target()
        weights = eq.eq_table(target, field, point, self.cutoff)
        sums = contract(target, field, self.entries, 1, self.cutoff, 1, weights)
        return field.unpack(sums)[0]


@cache
def exp_entries(log_delta: int, log_scale: int) -> np.ndarray:
    """round(2^log_scale exp(-j 2^-log_delta)), halves up, for j up to the first zero: int32.

    In decimal arithmetic: the same digits on every machine, whatever its library's exp.
    """
    with localcontext(prec=40):
        step, scale, half = -(Decimal(2) ** -log_delta), Decimal(1 << log_scale), Decimal("0.5")
        entries = [1 << log_scale]
        while entries[-1]:
            entries.append(int(scale * (step * len(entries)).exp() + half))
    return np.array(entries, dtype=np.int32)


EXP = Exp()
Table = Relu | Sign | FunctionTable | Exp
