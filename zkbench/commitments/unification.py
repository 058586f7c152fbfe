"""The sumcheck that brings all claims on a dense vector to one point: <data, weights>.

The first round reads the data as it lies there, integers or words of F; from the second on both
tables are in E, and the general product of two tables takes over.
"""

from __future__ import annotations

from typing import Any

from zkbench.fields import Field
from zkbench.kernels.launch import Array, Target
from zkbench.kernels.ntt import holds_integers
from zkbench.kernels.opening import kernels
from zkbench.kernels.sumcheck import kernels as sumcheck_kernels
from zkbench.protocols import statements
from zkbench.protocols.sumcheck import Axis, ProductStatement, Tail, num_variables

Element = Any


class DenseProduct:
    """Sumcheck statement of sum over e < length of data[e] weights[e], weights in E."""

    def __init__(
        self, target: Target, field: Field, data: Array, weights: Array, length: int
    ) -> None:
        self.target, self.field, self.length = target, field, length
        self.data, self.weights = data, weights
        self.num_rounds = num_variables(length)
        self.kernels = kernels(field, holds_integers(data))
        self.tables: ProductStatement | None = None

    def round(self, challenge: Element | None) -> list[Element]:
        if challenge is None:
            pairs = (self.length + 1) // 2
            arguments = (self.data, self.weights, self.length)
            return self.field.unpack(self.target.reduce(self.kernels.round, pairs, *arguments))
        if self.tables is None:
            self.tables = self._bind_first(challenge)
            return self.tables.round(None)
        return self.tables.round(challenge)

    def finish(self, challenge: Element | None) -> list[Element]:
        if self.tables is not None:
            return self.tables.finish(challenge)
        return self._bind_first(0 if challenge is None else challenge).finish(None)

    def tail(self, challenge: Element | None) -> Tail | None:
        if challenge is None:
            return None  # the first round reads the data as it lies there
        if self.tables is not None:
            return self.tables.tail(challenge)
        if num_variables((self.length + 1) // 2) > statements._TAIL_VARIABLES:
            return None
        self.tables = self._bind_first(challenge)
        return self.tables.tail(None)

    def _bind_first(self, challenge: Element) -> ProductStatement:
        """Both tables at the first challenge, in E."""
        half, scalar = (self.length + 1) // 2, self.field.scalar(challenge)
        data, weights = (self.target.empty(half * self.field.ext.limbs) for _ in range(2))
        self.target.map(self.kernels.fold, half, self.data, self.length, scalar, data)
        fold = sumcheck_kernels(self.field).fold
        self.target.map(fold, half, self.weights, weights, self.length, half, scalar)
        return ProductStatement(self.target, self.field, [data, weights], [Axis(half)])
