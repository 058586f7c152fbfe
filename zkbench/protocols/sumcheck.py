"""The sumcheck protocol: the one loop that every other protocol runs.

Claim: sum over x of eq(w, x) p(x) = c, where p is a polynomial of the given degree in each variable,
made of multilinear tables; axes without a point w are summed plainly. The verifier ends with the
random point rho and the value p(rho) that the caller must still check against the tables.

Round i sends q_i(0), its leading coefficient and, for degree 3, q_i(-1), where
q_i(X) = sum over x' of eq(w_{>i}, x') p(rho_{<i}, X, x'): the factor eq(w_i, X) is known to both
sides and never sent (Gruen, ePrint 2024/108, section 3.2). q_i(1) follows from the claim. The
factors eq(w_j, rho_j) of bound variables cancel on both sides and are dropped.

Rounds: the number of variables. Soundness error: (degree + 1) / |E| a round. Prover: a constant
number of multiplications in E for each table entry. Verifier: a few for each round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Protocol

import numpy as np

from zkbench.fields import Field
from zkbench.kernels import eq
from zkbench.kernels.launch import Array, Target
from zkbench.kernels.sumcheck import kernels
from zkbench.kernels.tail import DEGREE, WIDTH, tail_kernel
from zkbench.proof import ProofRejected
from zkbench.security import error_bits
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any
_TAIL_VARIABLES = 10  # from here on all rounds run in one call on the CPU (kernels/tail.py)
_WHOLE_TABLE_BITS = 12  # axes of more variables have their eq table split in two
_SUM_SHIFT = 62


def num_variables(length: int) -> int:
    """Variables of an axis of ``length`` entries: ceil(log2 length)."""
    return (length - 1).bit_length()


@dataclass(frozen=True)
class Axis:
    """One axis of a tensor: ``length`` real entries, zero-extended to the next power of two.

    ``point`` (little-endian, ``num_variables(length)`` elements) weights the axis by eq(point, .);
    None sums it plainly.
    """

    length: int
    point: tuple[Element, ...] | None = None

    @property
    def variables(self) -> int:
        return num_variables(self.length)

    def bind_lowest(self) -> Axis:
        """The axis left over when its lowest variable is bound."""
        return Axis((self.length + 1) // 2, None if self.point is None else self.point[1:])


def split_point(point: Sequence[Element], shape: Sequence[int]) -> list[tuple[Element, ...]]:
    """Cut a little-endian point over all variables into one point an axis (first axis first)."""
    points, start = [], 0
    for length in reversed(shape):
        stop = start + num_variables(length)
        points.append(tuple(point[start:stop]))
        start = stop
    return points[::-1]


def axes_at(shape: Sequence[int], point: Sequence[Element]) -> list[Axis]:
    """The axes of a tensor of this shape, all weighted by eq at ``point``."""
    return [Axis(n, p) for n, p in zip(shape, split_point(point, shape), strict=True)]


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
        return self.target.to_device(self.field.pack([1])) if table is None else table

    def _axis_table(self, axis: Axis) -> Array:
        if axis.point is None:
            return self.target.to_device(self.field.lift(np.ones(axis.length, dtype=np.uint64)))
        return eq.eq_table(self.target, self.field, axis.point, axis.length)

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
        for axis in self.axes:
            current = axis.bind_lowest() if axis is self.axes[-1] else axis
            point = current.point or ()
            if current.length != 1 << len(point):
                part = eq.truncated_eq(point, None, current.length)
                mass = part if mass is None else mass * part
        return mass

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
    """Tables on a target that shrink by half a round."""

    width = 1  # elements a table entry
    lam: Element = 0

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

    def _kind(self) -> str:
        raise NotImplementedError

    def _sum(self) -> list[Element]:
        raise NotImplementedError

    def _bind(self, challenge: Element) -> None:
        raise NotImplementedError

    def _bind_and_sum(self, challenge: Element) -> list[Element]:
        raise NotImplementedError


class ProductStatement(TableStatement):
    """p = product of two or three multilinear tables, each rows x cols elements of E."""

    def __init__(
        self, target: Target, field: Field, tables: Sequence[Array], axes: Sequence[Axis]
    ) -> None:
        self.kernels = kernels(field)
        super().__init__(target, field, tables, axes)

    def _kind(self) -> str:
        return f"product{len(self.tables)}"

    def _sum(self) -> list[Element]:
        weights = self.weights
        half = (weights.cols + 1) // 2
        words = self.target.reduce(
            self.kernels.round[len(self.tables)],
            weights.rows * half,
            *self.tables,
            weights.cols,
            half,
            *weights.arguments(),
        )
        return self.field.unpack(words)

    def _bind(self, challenge: Element) -> None:
        cols, rows = self.weights.cols, self.weights.rows
        half = (cols + 1) // 2
        folded = self._next_tables(rows * half)
        for table, out in zip(self.tables, folded, strict=True):
            scalar = self.field.scalar(challenge)
            self.target.map(self.kernels.fold, rows * half, table, out, cols, half, scalar)
        self._replace_tables(folded)
        self.weights.advance()

    def _bind_and_sum(self, challenge: Element) -> list[Element]:
        cols, rows = self.weights.cols, self.weights.rows
        half, quarter = (cols + 1) // 2, (cols + 3) // 4
        folded = self._next_tables(rows * half)
        self.weights.advance()
        words = self.target.reduce(
            self.kernels.fold_round[len(self.tables)],
            rows * quarter,
            *self.tables,
            *folded,
            cols,
            half,
            quarter,
            self.field.scalar(challenge),
            *self.weights.arguments(),
        )
        self._replace_tables(folded)
        return self.field.unpack(words)


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


@dataclass(frozen=True)
class Sumcheck:
    """The loop. ``degree``: of p in each variable (2 or 3)."""

    field: Field
    degree: int = 2

    def prove(
        self, transcript: ProverTranscript, statement: Statement
    ) -> tuple[list[Element], list[Element]]:
        """Returns (point, values of the tables there); the caller sends what the verifier needs."""
        point: list[Element] = []
        challenge = None
        for _ in range(statement.num_rounds + 1):
            tail = statement.tail(challenge)
            if tail is not None:
                rest, values = tail.run(self.field, transcript)
                return point + rest, values
            if len(point) == statement.num_rounds:
                break
            transcript.send("round", statement.round(challenge))
            challenge = self._prover_challenge(transcript)
            point.append(challenge)
        return point, statement.finish(challenge)

    def _prover_challenge(self, transcript: ProverTranscript) -> Element:
        return transcript.challenge("round")

    def _verifier_challenge(self, transcript: VerifierTranscript) -> Element:
        return transcript.challenge("round")

    def verify(
        self, transcript: VerifierTranscript, claim: Element, axes: Sequence[Axis]
    ) -> tuple[list[Element], Element]:
        """Returns (point, p(point) as it must be), lowest variable of the last axis first."""
        point: list[Element] = []
        for axis in reversed(axes):
            for k in range(axis.variables):
                values = transcript.receive("round", self.degree)
                challenge = self._verifier_challenge(transcript)
                w = None if axis.point is None else axis.point[k]
                claim = self._next_claim(claim, values, w, challenge)
                point.append(challenge)
        return point, claim

    def soundness_bits(self, num_rounds: int) -> float:
        """-log2 of the error of this many rounds, (degree + 1) / |E| each."""
        return error_bits(self.field.bits, (self.degree + 1) * num_rounds)

    def _next_claim(
        self, claim: Element, values: list[Element], w: Element | None, r: Element
    ) -> Element:
        """q(r), where (1 - w) q(0) + w q(1) = claim, or q(0) + q(1) = claim if w is None."""
        at_zero, lead = values[0], values[1]
        if w is None:
            at_one = claim - at_zero
        elif w == 0:
            raise ProofRejected("a challenge is zero where the protocol divides by it")
        else:
            at_one = (claim - (1 - w) * at_zero) / w
        rise = at_one - at_zero
        if self.degree == 2:
            return at_zero + r * (rise - lead + r * lead)
        inverse_two = (self.field.modulus + 1) // 2
        square = (rise + values[2] - at_zero) * inverse_two
        return at_zero + r * (rise - square - lead + r * (square + r * lead))
