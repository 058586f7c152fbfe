"""The statement of a sumcheck over squares: sum over rows, j of eq(rho, row) x[row, j]^2.

One table where a product of two would hold it twice, and none while the first variables of a row are
bound: rounds read the integers themselves. From the round at which it is stored on, the table has
16 / 2^3 bytes an integer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zkbench.fields import Field
from zkbench.kernels import eq
from zkbench.kernels.launch import Array, Target
from zkbench.kernels.squares import kernels
from zkbench.kernels.sumcheck import kernels as product_kernels
from zkbench.protocols.axes import Axis
from zkbench.protocols.sumcheck import TableStatement

Element = Any
UNSTORED_VARIABLES = 3


class SquareStatement(TableStatement):
    """p = x^2, x a tensor of integers below 2^63 in magnitude with these axes, flat on the target."""

    def __init__(self, target: Target, field: Field, integers: Array, axes: Sequence[Axis]) -> None:
        self._kernels, self._fold_kernel = kernels(field), product_kernels(field).fold
        self._round, self._fold_round = self._kernels.round, self._kernels.fold_round
        self._integers, self._bound = integers, list[Element]()
        self._length = axes[-1].length
        self._num_rows = int(np.prod([axis.length for axis in axes[:-1]], dtype=np.int64))
        self._unstored = min(UNSTORED_VARIABLES, axes[-1].variables)
        super().__init__(target, field, [], axes)
        if not self._unstored:
            self._store()

    def finish(self, challenge: Element | None) -> list[Element]:
        if challenge is not None:
            self._bind(challenge)
        self._store()
        return super().finish(None)

    def _kind(self) -> str:
        return "product2"

    def _dense(self) -> np.ndarray:
        """As a product of the table with itself."""
        self._store()
        (table,) = self.tables
        self.tables = [table, table]
        return super()._dense()

    def _fold(self, folded: list[Array], rows: int, cols: int, half: int, challenge: Any) -> None:
        ((table,), (out,)) = self.tables, folded
        self.target.map(self._fold_kernel, rows * half, table, out, cols, half, challenge)

    # While the table is not stored.

    def _factors(self) -> Array:
        return eq.eq_table(self.target, self.field, self._bound, 1 << len(self._bound))

    def _sum(self) -> list[Element]:
        if self.tables:
            return super()._sum()
        size = 1 << len(self._bound)
        half = -(-self._length // (2 * size))
        arguments = self._integers, self._length, size, self._factors(), half
        words = self.target.reduce(
            self._kernels.integer_round,
            self._num_rows * half,
            *arguments,
            *self.weights.arguments(),
        )
        return self._message(words)

    def _bind(self, challenge: Element) -> None:
        if self.tables:
            super()._bind(challenge)
            return
        self._bound.append(challenge)
        self.weights.advance()
        if len(self._bound) == self._unstored:
            self._store()

    def _bind_and_sum(self, challenge: Element) -> list[Element]:
        if self.tables:
            return super()._bind_and_sum(challenge)
        self._bind(challenge)
        return self._sum()

    def _store(self) -> None:
        if self.tables:
            return
        size = 1 << len(self._bound)
        cols = -(-self._length // size)
        table = self.target.empty(self._num_rows * cols * self.field.ext.limbs)
        arguments = self._integers, self._length, size, self._factors(), cols, table
        self.target.map(self._kernels.store, self._num_rows * cols, *arguments)
        self.tables, self._folded = [table], True
