"""What a sumcheck is run on: products of tables, sums of these, and the end of either on the CPU.

Tables have the shape of their tensor, and weights are kept as tables of the eq factor above the
current variable, lowest variable first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Any, Protocol

import numpy as np

from zkbench.fields import Field
from zkbench.kernels import eq
from zkbench.kernels.launch import Array, Kernel, Target
from zkbench.kernels.sumcheck import kernels
from zkbench.kernels.tail import DEGREE, WIDTH, tail_kernel
from zkbench.protocols.axes import Axis
from zkbench.transcript import ProverTranscript

Element = Any
_TAIL_VARIABLES = 10  # from here on all rounds run in one call on the CPU (kernels/tail.py)
_WHOLE_TABLE_BITS = 12  # axes of more variables have their eq table split in two
_SUM_SHIFT = 62


class Weights:
    """Tables of the eq factor above the current variable, for the kernels; lowest variable first."""

    def __init__(self, target: Target, field: Field, axes: Sequence[Axis]) -> None:
        self.target, self.field = target, field
        self.axes = [axis for axis in axes if axis.variables]
        if self.axes:
            self._enter_group()

    @property
    def num_rounds(self) -> int:
        return sum(axis.variables for axis in self.axes)

    @property
    def cols(self) -> int:
        return self.axes[-1].length if self.axes else 1

    @property
    def rows(self) -> int:
        return reduce(lambda n, axis: n * axis.length, self.axes[:-1], 1)

    def _enter_group(self) -> None:
        """Tables for the lowest variables of the current axis, and one for everything above."""
        axis = self.axes[-1]
        bits = axis.variables
        self.group = bits if bits <= _WHOLE_TABLE_BITS else (bits + 1) // 2
        if axis.point is None:
            self.group, self.num_high = bits, 1
            self.suffix = self.target.to_device(self.field.pack([1, 1]))
            self.outer = self._outer([])
            return
        self.suffix = eq.suffix_tables(self.target, self.field, tuple(axis.point[: self.group]))
        self.num_high = -(-axis.length >> self.group)
        rest = [Axis(self.num_high, axis.point[self.group :])] if self.group < bits else []
        self.outer = self._outer(rest)

    def _outer(self, rest: list[Axis]) -> Array:
        table, length = None, 1
        for axis in [*self.axes[:-1], *rest]:
            next_table = self._axis_table(axis)
            if table is None:
                table = next_table
            else:
                table = eq.outer_product(
                    self.target, self.field, table, length, next_table, axis.length
                )
            length *= axis.length
        return eq.one(self.target, self.field) if table is None else table

    def _axis_table(self, axis: Axis) -> Array:
        if axis.point is None:
            return self.target.to_device(self.field.lift(np.ones(axis.length, dtype=np.uint64)))
        return eq.shared_table(self.target, self.field, axis.point, axis.length)

    def arguments(self) -> tuple[Any, ...]:
        """(outer, num_high, suffix, base, shift), see kernels/sumcheck.py."""
        if self.axes[-1].point is None:
            return self.outer, 1, self.suffix, 1, _SUM_SHIFT
        shift = self.group - 1
        return self.outer, self.num_high, self.suffix, 1 << shift, shift

    def real_mass(self) -> Element | None:
        """Sum of the eq factor over the real pairs of this round; None if all pairs are real.

        All axes must have points.
        """
        mass: Any = None
        for place, axis in enumerate(self.axes):
            bound = place == len(self.axes) - 1
            left, length = axis.variables - bound, (axis.length + bound) >> bound
            if length != 1 << left:
                part = self._masses[place][left]
                mass = part if mass is None else mass * part
        return mass

    @cached_property
    def _masses(self) -> list[list[Element]]:
        """Of each axis, the sums of its eq tables, by the number of variables that are left."""
        return [eq.suffix_masses(axis.point or (), axis.length) for axis in self.axes]

    @property
    def ends_axis(self) -> bool:
        """Whether the next variable is the last one of its axis."""
        return self.axes[-1].variables == 1

    def advance(self) -> None:
        """Bind the current variable."""
        self.axes[-1] = self.axes[-1].bind_lowest()
        self.group -= 1
        if self.axes[-1].variables == 0:
            self.axes.pop()
            if self.axes:
                self._enter_group()
        elif self.group == 0:
            self._enter_group()


class Statement(Protocol):
    """What a sumcheck is run on: it computes rounds and binds variables."""

    num_rounds: int

    def round(self, challenge: Element | None) -> list[Element]:
        """Bind the variable of the round before, if any, then [q(0), lead, (q(-1))]."""

    def finish(self, challenge: Element | None) -> list[Element]:
        """Bind the last variable; the values of the tables at the point."""

    def tail(self, challenge: Element | None) -> Tail | None:
        """If few variables are left: bind the one of the round before, and hand over the rest."""


@dataclass
class Tail:
    """The rest of a sumcheck: dense tables on the CPU, whose last rounds run in one call.

    kind: of polynomial, see kernels/tail.py. factors: the eq factor at 0 and at 1 for each variable
    that is left (1 and 1 where an axis is summed plainly). parts: (coefficient, words) with one
    table of 2^m entries, ``width`` elements each, a part. lam: of fractions.
    """

    kind: str
    factors: list[tuple[Element, Element]]
    parts: list[tuple[Element, np.ndarray]]
    lam: Element

    def run(
        self, field: Field, transcript: ProverTranscript
    ) -> tuple[list[Element], list[Element]]:
        """All remaining rounds: (challenges, values of the tables there, part by part)."""
        m, limbs = len(self.factors), field.ext.limbs
        degree, width = DEGREE[self.kind], WIDTH[self.kind]
        tables = np.concatenate([words for _, words in self.parts])
        messages = np.empty(max(1, m) * degree * limbs, dtype=np.uint64)
        challenges = np.empty(max(1, m) * limbs, dtype=np.uint64)
        tail_kernel(field, self.kind)(
            tables,
            len(self.parts),
            m,
            field.pack([coefficient for coefficient, _ in self.parts]),
            field.scalar(self.lam),
            field.pack([f for pair in self.factors for f in pair] or [0]),
            np.empty((2 << m) * limbs, dtype=np.uint64),
            transcript.state_words(),
            transcript.round_frames("round", degree),
            messages,
            challenges,
        )
        point = self._replay(field, transcript, messages, challenges, degree)
        ends = tables.reshape(len(self.parts), -1)[:, : width * limbs]
        return point, field.unpack(np.ascontiguousarray(ends).reshape(-1))

    def _replay(
        self,
        field: Field,
        transcript: ProverTranscript,
        messages: np.ndarray,
        challenges: np.ndarray,
        degree: int,
    ) -> list[Element]:
        """Send the messages; the transcript must draw the challenges that the kernel drew."""
        rounds = len(self.factors)
        point = field.unpack(challenges)[:rounds]
        words = degree * field.ext.limbs
        for i, challenge in enumerate(point):
            transcript.send_words("round", messages[words * i : words * (i + 1)])
            if transcript.challenge("round") != challenge:
                raise RuntimeError("the kernel's transcript has come apart from the real one")
        return point


class TableStatement:
    """Tables on a target that shrink by half a round.

    ``_round`` and ``_fold_round``: the kernels of its polynomial; ``_constants``: what they take
    besides tables, sizes, challenge and weights.
    """

    width = 1  # elements a table entry
    lam: Element = 0
    _round: Kernel
    _fold_round: Kernel
    _constants: tuple[Any, ...] = ()

    def __init__(
        self, target: Target, field: Field, tables: Sequence[Array], axes: Sequence[Axis]
    ) -> None:
        self.target, self.field, self.tables = target, field, list(tables)
        self._spare: list[Array] = []  # tables of the round before last, to be written again
        self._folded = False  # the first tables belong to the caller
        self.weights = Weights(target, field, axes)
        self.num_rounds = self.weights.num_rounds

    def _next_tables(self, entries: int) -> list[Array]:
        """Room for the folded tables; where it can, that of the tables two rounds back."""
        if self._spare:
            return self._spare
        words = entries * self.width * self.field.ext.limbs
        return [self.target.empty(words) for _ in self.tables]

    def _replace_tables(self, folded: list[Array]) -> None:
        self._spare = self.tables if self._folded else []
        self.tables, self._folded = folded, True

    def round(self, challenge: Element | None) -> list[Element]:
        if challenge is None:
            return self._sum()
        if self.weights.ends_axis:
            self._bind(challenge)
            return self._sum()
        return self._bind_and_sum(challenge)

    def finish(self, challenge: Element | None) -> list[Element]:
        if challenge is not None:
            self._bind(challenge)
        words = self.width * self.field.ext.limbs
        values = [self.field.unpack(self.target.to_host(table, words)) for table in self.tables]
        return [element for table in values for element in table]

    def tail(self, challenge: Element | None) -> Tail | None:
        left = self.weights.num_rounds - (challenge is not None)
        if left > _TAIL_VARIABLES:
            return None
        if challenge is not None:
            self._bind(challenge)
        one = self.field.element(1)
        factors = [
            (one, one) if axis.point is None else (1 - axis.point[k], axis.point[k])
            for axis in reversed(self.weights.axes)
            for k in range(axis.variables)
        ]
        return Tail(self._kind(), factors, [(one, self._dense())], self.lam)

    def _dense(self) -> np.ndarray:
        """All tables side by side, entry by entry, padded to whole powers of two."""
        lengths = [axis.length for axis in self.weights.axes]
        sizes = [1 << axis.variables for axis in self.weights.axes]
        limbs, number = self.field.ext.limbs, len(self.tables)
        dense = np.zeros((*sizes, number, self.width, limbs), dtype=np.uint64)
        dense[..., 0] = np.repeat(self._padding(), self.width).reshape(number, self.width)
        real = dense[tuple(slice(length) for length in lengths)]
        words = reduce(lambda a, b: a * b, lengths, 1) * self.width * limbs
        for k, table in enumerate(self.tables):
            host = self.target.to_host(table, words)
            real[..., k, :, :] = host.reshape(*lengths, self.width, limbs)
        return dense.reshape(-1)

    def _padding(self) -> list[int]:
        """What each table holds beyond its real entries."""
        return [0] * len(self.tables)

    def _sum(self) -> list[Element]:
        weights = self.weights
        half = (weights.cols + 1) // 2
        arguments = *self.tables, weights.cols, half, *self._constants, *weights.arguments()
        return self._message(self.target.reduce(self._round, weights.rows * half, *arguments))

    def _bind(self, challenge: Element) -> None:
        cols, rows = self.weights.cols, self.weights.rows
        half = (cols + 1) // 2
        folded = self._next_tables(rows * half)
        self._fold(folded, rows, cols, half, self.field.scalar(challenge))
        self._replace_tables(folded)
        self.weights.advance()

    def _bind_and_sum(self, challenge: Element) -> list[Element]:
        """Both in one pass over the tables."""
        cols, rows = self.weights.cols, self.weights.rows
        half, quarter = (cols + 1) // 2, (cols + 3) // 4
        folded = self._next_tables(rows * half)
        self.weights.advance()
        scalars = self.field.scalar(challenge), *self._constants
        arguments = cols, half, quarter, *scalars, *self.weights.arguments()
        words = self.target.reduce(
            self._fold_round, rows * quarter, *self.tables, *folded, *arguments
        )
        self._replace_tables(folded)
        return self._message(words)

    def _message(self, words: Any) -> list[Element]:
        """What a round sends, from the sums over real pairs."""
        return self.field.unpack(words)

    def _kind(self) -> str:
        raise NotImplementedError

    def _fold(self, folded: list[Array], rows: int, cols: int, half: int, challenge: Any) -> None:
        """Fold the tables, whose rows have ``cols`` entries, into ones whose rows have ``half``."""
        raise NotImplementedError


class ProductStatement(TableStatement):
    """p = product of two or three multilinear tables, each rows x cols elements of E."""

    def __init__(
        self, target: Target, field: Field, tables: Sequence[Array], axes: Sequence[Axis]
    ) -> None:
        self._kernels = kernels(field)
        self._round = self._kernels.round[len(tables)]
        self._fold_round = self._kernels.fold_round[len(tables)]
        super().__init__(target, field, tables, axes)

    def _kind(self) -> str:
        return f"product{len(self.tables)}"

    def _fold(self, folded: list[Array], rows: int, cols: int, half: int, challenge: Any) -> None:
        for table, out in zip(self.tables, folded, strict=True):
            self.target.map(self._kernels.fold, rows * half, table, out, cols, half, challenge)


class WeightedSum:
    """The sum of statements with the same variables, each times a known coefficient."""

    def __init__(self, terms: Sequence[tuple[Element, Statement]]) -> None:
        self.terms = terms
        self.num_rounds = terms[0][1].num_rounds

    def round(self, challenge: Element | None) -> list[Element]:
        rounds = [[c * v for v in statement.round(challenge)] for c, statement in self.terms]
        return [reduce(lambda a, b: a + b, values) for values in zip(*rounds, strict=True)]

    def finish(self, challenge: Element | None) -> list[Element]:
        return [v for _, statement in self.terms for v in statement.finish(challenge)]

    def tail(self, challenge: Element | None) -> Tail | None:
        tails = [(c, statement.tail(challenge)) for c, statement in self.terms]
        first = tails[0][1]
        if first is None:  # all have the same variables left
            return None
        parts = [(c * own, words) for c, tail in tails if tail for own, words in tail.parts]
        return replace(first, parts=parts)
