"""Product statements on tables of small integers: the same messages as from tables of E.

An element of E takes 16 bytes, an integer of 16 bits two. Where two factors are integers, the first
rounds compute what they need from these, with the variables bound so far (kernels/integer_products.py),
and tables of E are stored when ``_UNSTORED`` variables are bound, of that much shorter length. For N
entries a factor that is 4 N bytes of tables of E at the peak, plus half as much in the next round,
where folding lifted tables takes 48 N.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zkbench.fields import Field
from zkbench.kernels.eq import eq_table
from zkbench.kernels.integer_products import kernels
from zkbench.kernels.launch import Array, Target
from zkbench.protocols.axes import Axis
from zkbench.protocols.statements import ProductStatement

Element = Any
_UNSTORED = 3  # variables bound before tables are stored; the proof is the same for any number > 0


def product_statement(
    target: Target, field: Field, tables: Sequence[Array], axes: Sequence[Axis]
) -> ProductStatement:
    """p = product of two or three tables: E words, or integers of magnitude at most 2^16."""
    are_integers = [_holds_integers(table) for table in tables]
    if len(tables) == 2 and all(are_integers):
        return IntegerProductStatement(target, field, tables, axes)
    pairs = zip(tables, are_integers, strict=True)
    lifted = [lift(target, field, table) if is_integer else table for table, is_integer in pairs]
    return ProductStatement(target, field, lifted, axes)


def lift(target: Target, field: Field, integers: Array) -> Array:
    """E words of every integer."""
    return _bind(target, field, integers, 1, len(integers), ())


class IntegerProductStatement(ProductStatement):
    """p = product of two tables of integers of magnitude at most 2^16, each rows x cols."""

    def __init__(
        self, target: Target, field: Field, tables: Sequence[Array], axes: Sequence[Axis]
    ) -> None:
        super().__init__(target, field, tables, axes)
        self._integer_kernels = kernels(field)
        self._stored = False
        self._bound: list[Element] = []  # of the last axis, lowest variable first
        self._rows, self._cols = self.weights.rows, self.weights.cols

    def finish(self, challenge: Element | None) -> list[Element]:
        if challenge is None:  # no variables at all
            self._store()
        return super().finish(challenge)

    def _sum(self) -> list[Element]:
        if self._stored:
            return super()._sum()
        half = (self._cols + 1) // 2
        arguments = *self.tables, self._cols, half, *self.weights.arguments()
        return self._message(
            self.target.reduce(self._integer_kernels.first, self._rows * half, *arguments)
        )

    def _bind(self, challenge: Element) -> None:
        if self._stored:
            super()._bind(challenge)
            return
        self._bound.append(challenge)
        self._store()
        self.weights.advance()

    def _bind_and_sum(self, challenge: Element) -> list[Element]:
        if self._stored:
            return super()._bind_and_sum(challenge)
        self._bound.append(challenge)
        self.weights.advance()
        family, length = self._integer_kernels, self.weights.cols
        half = (length + 1) // 2
        bound = eq_table(self.target, self.field, self._bound, self._span), self._span, self._cols
        if len(self._bound) < _UNSTORED:
            arguments = *self.tables, *bound, half, *self.weights.arguments()
            return self._message(self.target.reduce(family.later, self._rows * half, *arguments))
        folded = self._next_tables(self._rows * length)
        arguments = *self.tables, *folded, *bound, length, half, *self.weights.arguments()
        words = self.target.reduce(family.last, self._rows * half, *arguments)
        self._replace_tables(folded)
        self._stored = True
        return self._message(words)

    def _dense(self) -> np.ndarray:
        self._store()
        return super()._dense()

    @property
    def _span(self) -> int:
        """Integers of a folded entry."""
        return 1 << len(self._bound)

    def _store(self) -> None:
        """From here on, tables of E."""
        if not self._stored:
            sizes = self._rows, self._cols, self._bound
            folded = [_bind(self.target, self.field, table, *sizes) for table in self.tables]
            self._replace_tables(folded)
            self._stored = True


def _bind(
    target: Target, field: Field, table: Array, rows: int, cols: int, bound: Sequence[Element]
) -> Array:
    """The table with its lowest variables bound: rows x ceil(cols / 2^k) elements of E."""
    span = 1 << len(bound)
    length = -(-cols // span)
    out, eq = target.empty(rows * length * field.ext.limbs), eq_table(target, field, bound, span)
    target.map(kernels(field).bind, rows * length, table, out, eq, span, cols, length)
    return out


def _holds_integers(table: Array) -> bool:
    """E words are uint64."""
    return np.dtype(table.dtype).itemsize <= 4
