"""Sumchecks of the layers of a tree of fractions: stored ones, and ones computed from the leaves.

A layer of an unstored level (kernels/leaves.py) computes its children anew in each of its first
rounds, with the variables bound so far, and stores them when they have become few enough; from then
on it is a stored layer with that many variables fewer. Storing later saves memory and costs a pass:
with t variables bound, a level j takes 32 / 2^(j + t) bytes a leaf, and half as much again for the
next fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zkbench.fields import Field
from zkbench.kernels import eq
from zkbench.kernels.gkr import kernels
from zkbench.kernels.launch import Array, Target, cpu_target
from zkbench.kernels.leaves import kernels as leaf_kernels
from zkbench.kernels.numerators import Numerators
from zkbench.protocols import statements
from zkbench.protocols.axes import Axis, num_variables
from zkbench.protocols.statements import TableStatement, Weights

Element = Any


class LayerStatement(TableStatement):
    """The sumcheck of one layer of one tree."""

    width = 2

    def __init__(
        self,
        target: Target,
        field: Field,
        tables: Sequence[Array],
        axes: Sequence[Axis],
        lam: Element,
    ) -> None:
        """``tables``: p and q, in pairs of children."""
        self._kernels = kernels(field)
        self._round, self._fold_round = self._kernels.round, self._kernels.fold_round
        self.lam, self._constants = lam, (field.scalar(lam),)
        super().__init__(target, field, tables, axes)

    def _kind(self) -> str:
        return "fraction"

    def _padding(self) -> list[int]:
        return [0, 1]

    def _message(self, words: Any) -> list[Element]:
        """Nodes beyond the real ones are 0/1 twice: each adds lambda times its eq weight to q(0)."""
        at_zero, lead = self.field.unpack(words)
        mass = self.weights.real_mass()
        return [at_zero if mass is None else at_zero + self.lam * (1 - mass), lead]

    def _fold(self, folded: list[Array], rows: int, cols: int, half: int, challenge: Any) -> None:
        arguments = *self.tables, *folded, cols, half, challenge
        self.target.map(self._kernels.fold, rows * half, *arguments)


class Leaves:
    """Leaves numerators / (alpha - values) in rows of ``cols``; ``numerators`` None: all one."""

    def __init__(
        self,
        target: Target,
        field: Field,
        cols: int,
        values: Array,
        alpha: Element,
        numerators: Numerators | None = None,
    ) -> None:
        self.target, self.field, self.cols = target, field, cols
        self.alpha, self.are_ones = alpha, numerators is None
        self._kernels = leaf_kernels(field).ones if self.are_ones else leaf_kernels(field).weighted
        weights = () if numerators is None else numerators.in_rows(cols).arguments()
        self._arguments = (values, field.scalar(alpha), field.scalar(alpha * alpha), *weights)

    def build(self, level: int, rows: int, place_cols: int, p: Array, q: Array) -> None:
        """The fractions of a level, in pairs: children of rows of ``place_cols`` nodes."""
        nodes = -(-self.cols >> level)
        arguments = level, self.cols, nodes, place_cols, p, q, *self._arguments
        self.target.map(self._kernels.build, rows * nodes, *arguments)

    def round(
        self,
        level: int,
        bound: Sequence[Element],
        lam: Element,
        weights: Weights,
        tables: Sequence[Array] | None,
    ) -> Any:
        """Words of a round of the layer above ``level``, whose folded children go to ``tables``."""
        nodes = weights.cols
        half = (nodes + 1) // 2
        is_linear = self.are_ones and level == 0
        eqs = self._folds(bound) if is_linear else self._eq_table(bound)
        out = (0, eqs, eqs) if tables is None else (1, *tables)
        arguments = [len(bound), eqs, nodes, half, *out]
        if is_linear:
            constant = self.alpha * (2 + lam * self.alpha), 1 + lam * self.alpha
            arguments += map(self.field.scalar, constant)
        arguments += [self.field.scalar(lam), *weights.arguments(), self.cols, *self._arguments]
        if is_linear:
            return self.target.reduce(self._kernels.leaf_round, weights.rows * half, *arguments)
        return self.target.reduce(self._kernels.round, weights.rows * half, level, *arguments)

    def _eq_table(self, bound: Sequence[Element]) -> Array:
        return eq.eq_table(self.target, self.field, bound, 1 << len(bound))

    def _folds(self, bound: Sequence[Element]) -> Array:
        """The table that ``leaf_round`` folds with, a few entries that the host computes."""
        field = self.field
        eqs = field.unpack(eq.shared_table(cpu_target(), field, tuple(bound), 1 << len(bound)))
        sums = [field.element(0)]
        for weight in eqs:
            sums.append(sums[-1] + weight)
        lifted = [1 + (self.alpha - 1) * s for s in sums]
        return self.target.to_device(field.pack([*eqs, *sums, *lifted]))


class RecomputedLayer(LayerStatement):
    """The sumcheck of a layer over an unstored level; ``room``: bytes for its tables."""

    def __init__(
        self, leaves: Leaves, level: int, axes: Sequence[Axis], lam: Element, room: int
    ) -> None:
        super().__init__(leaves.target, leaves.field, [], axes, lam)
        self._leaves, self._level = leaves, level
        self._bound: list[Element] = []
        self._stored_at = self._when_to_store(room)
        if self._stored_at < 0:
            self.tables = self._store_at_once()

    def _when_to_store(self, room: int) -> int:
        """How many variables are bound when tables are stored; negative: before the first round.

        Before the axis ends, before the tail, and not before it pays.
        """
        nodes = -(-self._leaves.cols >> (self._level + 1))
        last = self.weights.num_rounds - statements._TAIL_VARIABLES - 1
        last = min(last, num_variables(nodes) - 1)
        bound = 2 if self._level == 0 and self._leaves.are_ones else 1
        while bound < last and 3 * self._table_bytes(bound) > room:
            bound += 1
        return min(bound, last)

    def _table_bytes(self, bound: int) -> int:
        """Bytes of each of the two tables."""
        nodes = self.weights.rows * -(-self.weights.cols >> bound)
        return 8 * nodes * self.width * self.field.ext.limbs

    def _store_at_once(self) -> list[Array]:
        leaves, rows = self._leaves, self.weights.rows
        cols = -(-leaves.cols >> self._level)
        rows = rows * self.weights.cols // ((cols + 1) // 2)
        words = 2 * rows * ((cols + 1) // 2) * self.field.ext.limbs
        p, q = self.target.empty(words), self.target.empty(words)
        leaves.build(self._level, rows, cols, p, q)
        return [p, q]

    def round(self, challenge: Element | None) -> list[Element]:
        if self.tables:
            return super().round(challenge)
        if challenge is not None:
            self._bound.append(challenge)
            self.weights.advance()
        return self._recompute()

    def _recompute(self) -> list[Element]:
        tables = None
        if len(self._bound) == self._stored_at:
            words = self._table_bytes(0) // 8
            tables = [self.target.empty(words), self.target.empty(words)]
        words = self._leaves.round(self._level, self._bound, self.lam, self.weights, tables)
        self.tables = tables or []
        return self._message(words)
