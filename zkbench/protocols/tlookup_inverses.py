"""tlookup with committed inverses, as in zkLLM: every value of a tensor lies in a range [0, size).

For a tensor S of n entries, the table T_j = j, j < size, and the multiplicities m_j of T's entries
in S: with a challenge beta the prover commits to A_i = 1 / (beta + S_i) and B_j = 1 / (beta + T_j),
n + size elements of E as ``degree`` base-field columns each. Then, for random u and v,

    1  sum_i eq(u, i) A_i (beta + S_i) = sum_i eq(u, i)     over the real entries i
    2  sum_j eq(v, j) B_j (beta + T_j) = 1
    3  sum_i A_i = sum_j m_j B_j

1 and 2 make A and B the inverses, and 3 is the identity of tlookup (protocols/tlookup.py) at -beta.
1, 2 and the right side of 3 are product sumchecks; the left side of 3 needs none: the sums of A's
columns are sent, and are claims like any other on what is committed.

The caller must have bound S and m to the transcript before, commit to the columns when asked to,
and check the claims that are returned: on S and m at a random point each, and on the columns.

Rounds: log2 n + 2 log2 size. Soundness error: (n + size) / |E| for beta, log2(n size) / |E| for u
and v, 3 / |E| a round. Prover: about 12 multiplications in E a value and the commitment to
``degree`` full words a value, beside which the rest is small; verifier: a few for each round.
Completeness: beta with -beta in T has no inverses, and the prover gives up: probability size / |E|.

Source: Sun, Li and Zhang, zkLLM (ACM CCS 2024, arXiv 2404.16109), tlookup; Haboeck, ePrint
2022/1530. The same columns are committed there. Departure: the paper batches 1, 2 and 3 into one
sumcheck over the tensor's variables, for which it repeats the table n / size times; three sumchecks
of their own lengths and a linear claim save the repetition and allow any n.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zkbench.commitments.claims import AxisWeights, Claim, OnesAxis
from zkbench.fields import Field
from zkbench.kernels.contract import kernels as contract_kernels
from zkbench.kernels.inverses import invert, shifted, split_columns, sum_columns
from zkbench.kernels.launch import Array, Target
from zkbench.protocols.gkr import Shape, depth
from zkbench.protocols.logup_star import join_columns
from zkbench.protocols.sumcheck import Axis, ProductStatement, Sumcheck, axes_at, split_point
from zkbench.protocols.tables import index_extension
from zkbench.protocols.tlookup import Value, count, indicator
from zkbench.security import Term, error_bits
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any
_LOOKER, _TABLE = "inverses", "table_inverses"  # before the number of a column
Points = list[tuple[Element, ...]]  # one an axis


@dataclass(frozen=True)
class InverseClaims:
    """What is left to be checked: values of S (without offset) and m, claims on the columns."""

    looker: Value
    multiplicities: Value
    columns: tuple[Claim, ...]


@dataclass(frozen=True)
class _Inverses:
    """A or B as the prover has it: E words of all denominators and of one over them."""

    name: str
    shape: Shape
    denominators: Array
    words: Array


@dataclass(frozen=True)
class TLookupInverses:
    """A tensor of this shape, plus ``offset``, looks up [0, size), size a power of two."""

    field: Field
    shape: Shape
    size: int
    offset: int = 0

    @property
    def committed_shapes(self) -> dict[str, Shape]:
        """The columns that the caller commits to: those of A, then those of B."""
        shapes = {_LOOKER: self.shape, _TABLE: (self.size,)}
        return {column: shapes[name] for name in shapes for column in self._columns(name)}

    def _columns(self, name: str) -> list[str]:
        return [f"{name}{d}" for d in range(self.field.degree)]

    def prove(
        self,
        transcript: ProverTranscript,
        target: Target,
        values: Array,
        counts: np.ndarray,
        commit: Callable[[dict[str, Array]], None],
    ) -> InverseClaims:
        """``values``: integers on the target; ``counts``: their multiplicities, on the host.

        ``commit`` gets the columns on the target, words of F under the names of
        ``committed_shapes``; it commits to them and sends the commitment.

        Raises ZeroDivisionError if the challenge makes a denominator zero.
        """
        beta = transcript.challenge("beta")
        looker, table = self._inverses(target, values, beta)
        commit(self._split(target, looker) | self._split(target, table))
        sums = sum_columns(target, self.field, looker.words, count(self.shape))
        transcript.send("sums", sums)
        u, v = self._draw_points(transcript)
        at_looker, denominator = self._prove_inverses(transcript, target, looker, u)
        at_table, _ = self._prove_inverses(transcript, target, table, v)
        at_product, multiplicity = self._prove_product(transcript, target, table, counts)
        claims = (*self._sum_claims(sums), *at_looker, *at_table, *at_product)
        return InverseClaims(self._looker(beta, denominator), multiplicity, claims)

    def _inverses(
        self, target: Target, values: Array, beta: Element
    ) -> tuple[_Inverses, _Inverses]:
        """A and B; values in range have the table's denominators, so beta is checked on these."""
        low, *high = (-beta).coefficients
        if low < self.size and not any(high):
            raise ZeroDivisionError("the challenge beta makes a denominator of the lookup zero")
        entries = target.to_device(np.arange(self.size, dtype=np.int32))
        looker = self._invert(target, _LOOKER, self.shape, values, beta + self.offset)
        return looker, self._invert(target, _TABLE, (self.size,), entries, beta)

    def _invert(
        self, target: Target, name: str, shape: Shape, values: Array, beta: Element
    ) -> _Inverses:
        denominators = shifted(target, self.field, values, count(shape), beta)
        words = invert(target, self.field, denominators, count(shape))
        return _Inverses(name, shape, denominators, words)

    def _split(self, target: Target, inverses: _Inverses) -> dict[str, Array]:
        columns = split_columns(target, self.field, inverses.words, count(inverses.shape))
        return dict(zip(self._columns(inverses.name), columns, strict=True))

    def _prove_inverses(
        self, transcript: ProverTranscript, target: Target, inverses: _Inverses, axes: list[Axis]
    ) -> tuple[list[Claim], Value]:
        """The claims on the columns, and on the denominators."""
        tables = [inverses.words, inverses.denominators]
        statement = ProductStatement(target, self.field, tables, axes)
        point, values = Sumcheck(self.field).prove(transcript, statement)
        points = split_point(point, inverses.shape)
        transcript.send("denominator", values[1:])
        claims = self._send_columns(transcript, target, inverses, points)
        return claims, Value(tuple(points), values[1])

    def _prove_product(
        self, transcript: ProverTranscript, target: Target, table: _Inverses, counts: np.ndarray
    ) -> tuple[list[Claim], Value]:
        """The claims on B's columns, and on the multiplicities."""
        tables = [table.words, target.to_device(self.field.lift(counts))]
        statement = ProductStatement(target, self.field, tables, [Axis(self.size)])
        point, values = Sumcheck(self.field).prove(transcript, statement)
        transcript.send("multiplicity", values[1:])
        claims = self._send_columns(transcript, target, table, [tuple(point)])
        return claims, Value((tuple(point),), values[1])

    def _send_columns(
        self, transcript: ProverTranscript, target: Target, inverses: _Inverses, points: Points
    ) -> list[Claim]:
        """Send the values of the base-field columns at a point."""
        weights = AxisWeights.at(points).table(target, self.field, inverses.shape)
        kernel = contract_kernels(self.field).dot_columns
        words = target.reduce(kernel, count(inverses.shape), inverses.words, weights)
        values = self.field.unpack(words)
        transcript.send("columns", values)
        return self._claims(inverses.name, AxisWeights.at(points), values)

    def verify(
        self, transcript: VerifierTranscript, receive_commitment: Callable[[], None]
    ) -> InverseClaims:
        """Returns the claims that the caller must check."""
        beta = transcript.challenge("beta")
        receive_commitment()
        sums = transcript.receive("sums", self.field.degree)
        u, v = self._draw_points(transcript)
        at_looker, denominator = self._verify_inverses(transcript, _LOOKER, u)
        at_table, entry = self._verify_inverses(transcript, _TABLE, v)
        expected = beta + index_extension(entry.point[0])
        transcript.require_zero(entry.value - expected, "the lookup's table is another one")
        at_product, multiplicity = self._verify_product(transcript, sums)
        claims = (*self._sum_claims(sums), *at_looker, *at_table, *at_product)
        return InverseClaims(self._looker(beta, denominator), multiplicity, claims)

    def _verify_inverses(
        self, transcript: VerifierTranscript, name: str, axes: list[Axis]
    ) -> tuple[list[Claim], Value]:
        """Claim 1 or 2: the product of columns and denominators is one at every real entry."""
        shape = tuple(axis.length for axis in axes)
        ones = indicator(shape, [axis.point or () for axis in axes])
        point, final = Sumcheck(self.field).verify(transcript, ones, axes)
        (denominator,) = transcript.receive("denominator", 1)
        points = split_point(point, shape)
        claims, inverse = self._receive_columns(transcript, name, points)
        transcript.require_zero(
            final - inverse * denominator, "a committed inverse is not the inverse"
        )
        return claims, Value(tuple(points), denominator)

    def _verify_product(
        self, transcript: VerifierTranscript, sums: Sequence[Element]
    ) -> tuple[list[Claim], Value]:
        """Claim 3: the multiplicities times the table's inverses sum to the lookers' inverses."""
        total = join_columns(self.field, sums)
        point, final = Sumcheck(self.field).verify(transcript, total, [Axis(self.size)])
        (multiplicity,) = transcript.receive("multiplicity", 1)
        claims, inverse = self._receive_columns(transcript, _TABLE, [tuple(point)])
        transcript.require_zero(
            final - inverse * multiplicity, "a looked-up value is not in its table"
        )
        return claims, Value((tuple(point),), multiplicity)

    def _receive_columns(
        self, transcript: VerifierTranscript, name: str, points: Points
    ) -> tuple[list[Claim], Element]:
        """The claims on A's or B's columns at a point, and its own value there."""
        values = transcript.receive("columns", self.field.degree)
        claims = self._claims(name, AxisWeights.at(points), values)
        return claims, join_columns(self.field, values)

    def _draw_points(self, transcript: Any) -> tuple[list[Axis], list[Axis]]:
        """The axes of A weighted at u, those of B at v."""
        shapes = {"u": self.shape, "v": (self.size,)}
        u, v = (
            axes_at(shape, transcript.challenges(label, depth(shape)))
            for label, shape in shapes.items()
        )
        return u, v

    def _sum_claims(self, sums: Sequence[Element]) -> list[Claim]:
        ones = AxisWeights((OnesAxis(),) * len(self.shape))
        return self._claims(_LOOKER, ones, sums)

    def _claims(self, name: str, weights: AxisWeights, values: Sequence[Element]) -> list[Claim]:
        columns = zip(self._columns(name), values, strict=True)
        return [Claim(column, weights, value) for column, value in columns]

    def _looker(self, beta: Element, denominator: Value) -> Value:
        """S without offset from beta + S + offset, which is zero where there is no real entry."""
        real = indicator(self.shape, denominator.point)
        return Value(denominator.point, denominator.value - (beta + self.offset) * real)

    def soundness_terms(self) -> list[Term]:
        """Each source of error, with its bits; the opening of the columns is apart."""
        bits, table = self.field.bits, depth((self.size,))
        variables = depth(self.shape) + table
        return [
            Term("lookup challenge", error_bits(bits, count(self.shape) + self.size)),
            Term("inverses at random points", error_bits(bits, variables)),
            Term("sumchecks", Sumcheck(self.field).soundness_bits(variables + table)),
        ]
