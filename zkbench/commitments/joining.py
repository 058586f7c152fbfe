"""From claims on the combined columns of several commitments to one claim on one vector.

Commitment i has the combined column L_i of 2^k_i elements, a claim <L_i, eq(z_i)> = sigma_i, and rows
under a code of length 2^(k_i + r), r the same for all. With k the largest k_i and s = k - k_i, the
column takes part *stretched*: L_i'[b 2^s] = L_i[b], zero elsewhere. As polynomials L_i'(X) =
L_i(X^(2^s)), as multilinear functions L_i'~(x) = prod_{j < s} (1 - x_j) L_i~(x_s, ...).

Why the tree of the short code can answer for the long one: at a point x of the long code's domain,
L_i'(x) = L_i(x^(2^s)), and x^(2^s) runs through the short domain, each point 2^s times. So every
entry of the short word stands for 2^s entries of the word that takes part, at leaves that share all
but their lowest s bits (leaves stand in bit-reversed order), and the fraction of entries in which two
words differ is the same for both. Nothing is gained by not being stretched: let the word u(x^(2^s))
be within the unique decoding radius of a polynomial G of degree below 2^k. It does not change under
x -> w x, w of order 2^s, so G(w X) is as near, and by uniqueness G(w X) = G(X): G is a polynomial in
X^(2^s), of degree below 2^k_i in it. Hence the long word is near its code exactly if the short one is,
and what it decodes to is the short one's, stretched. This uses the unique decoding radius, in which
the commitments' own codes always are, whatever radius the rounds of WHIR use.

Combining with eq(tau, i) is folding words of the long code (``proximity``): unless tau is bad, L's
word is near only if all stretched words agree with codewords in the same places, so each L_i is what
its own tree decodes to. A query is a uniform leaf of the longest tree, hence, shortened, a uniform
one of every other; those that fall on one leaf are opened once and count one by one.

 a. challenge beta; sumcheck of sum_i beta^i <L_i', eq(z_i)>, where eq(z_i) is constant in the s low
    variables, so that the claim is still sigma_i; it ends at a point r of k variables;
 b. the prover sends u_i = L_i~(r_s, ...), and the verifier checks the sumcheck's last value;
 c. a proof of work, if one is needed; challenge tau; L = sum_i eq(tau, i) L_i', and
    <L, eq(r)> = sum_i eq(tau, i) prod_{j < s} (1 - r_j) u_i is left.

What c combines are the values L_i'~(r), u_i times its factors: where a factor is zero, u_i is free
and means nothing. For one commitment nothing is sent or drawn. Soundness: ``soundness_terms``; the
challenges tau add folding steps to those of rho (``reduction``). Prover: about 6 2^k_i
multiplications in E.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zkbench.commitments.interleaved import Commitment
from zkbench.commitments.proximity import Radius
from zkbench.commitments.reduction import ColumnClaim
from zkbench.commitments.rows import Rows, receive_rows
from zkbench.fields import Field
from zkbench.kernels import eq
from zkbench.kernels.interleaved import row_kernels
from zkbench.kernels.launch import Array, Target, cpu_target
from zkbench.kernels.whir import kernels
from zkbench.protocols.grinding import missing_bits, prove_work, verify_work
from zkbench.protocols.sumcheck import (
    Axis,
    ProductStatement,
    Statement,
    Sumcheck,
    Tail,
    WeightedSum,
    num_variables,
)
from zkbench.security import error_bits
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any


class Delayed:
    """A sumcheck statement times prod_{j < delay} (1 - X_j), variables below its own.

    ``value``: the sum that the statement claims.
    """

    def __init__(self, statement: Statement, delay: int, value: Element) -> None:
        self.statement, self.delay, self.value = statement, delay, value
        self.num_rounds = statement.num_rounds + delay
        self._scale: Any = 1
        self._bound = 0

    def round(self, challenge: Element | None) -> list[Element]:
        inner = self._bind(challenge)
        if self._bound < self.delay:
            return [self._scale * self.value, 0 * self.value]
        return [self._scale * v for v in self.statement.round(inner)]

    def finish(self, challenge: Element | None) -> list[Element]:
        """The statement's own values, without the factor."""
        return self.statement.finish(self._bind(challenge))

    def tail(self, challenge: Element | None) -> Tail | None:
        """None: statements of other delays run beside this one, round by round."""
        return None

    def _bind(self, challenge: Element | None) -> Element | None:
        """The challenge, if it binds a variable of the statement itself."""
        if challenge is None:
            return None
        self._bound += 1
        if self._bound > self.delay:
            return challenge
        self._scale = self._scale * (1 - challenge)
        return None


@dataclass(frozen=True)
class Joining:
    """The steps a, b and c, for commitments of one rate.

    ``security_bits``: where the proximity term has fewer, a proof of work before tau makes up for it.
    """

    field: Field
    log_inv_rate: int
    security_bits: int

    def prove(
        self,
        transcript: ProverTranscript,
        target: Target,
        parts: Sequence[tuple[ColumnClaim, Array]],
    ) -> tuple[list[Element], Array]:
        """(r, L on the target) from the claims and the combined columns."""
        if len(parts) == 1:
            return parts[0][0].point, parts[0][1]
        claims = [claim for claim, _ in parts]
        statement = self._statement(transcript, target, parts)
        point, values = Sumcheck(self.field).prove(transcript, statement)
        transcript.send("joined values", values[::2])
        if work := self._work(len(point), len(parts)):
            prove_work(transcript, target, work)
        scales = self._scales(transcript, len(parts))
        vector = target.zeros((1 << len(point)) * self.field.ext.limbs)
        for scale, delay, (_, column) in zip(scales, _delays(claims), parts, strict=True):
            length = 1 << (len(point) - delay)
            arguments = (column, self.field.scalar(scale), delay, vector)
            target.map(kernels(self.field).stretch, length, *arguments)
        return point, vector

    def _statement(
        self,
        transcript: ProverTranscript,
        target: Target,
        parts: Sequence[tuple[ColumnClaim, Array]],
    ) -> WeightedSum:
        beta, scale = transcript.challenge("claim joining"), self.field.element(1)
        terms: list[tuple[Element, Statement]] = []
        for (claim, column), delay in zip(parts, _delays([c for c, _ in parts]), strict=True):
            length = 1 << len(claim.point)
            weights = eq.eq_table(target, self.field, claim.point, length)
            product = ProductStatement(target, self.field, [column, weights], [Axis(length)])
            terms.append((scale, Delayed(product, delay, claim.value)))
            scale = scale * beta
        return WeightedSum(terms)

    def verify(
        self, transcript: VerifierTranscript, claims: Sequence[ColumnClaim]
    ) -> tuple[list[Element], Element, list[Element]]:
        """(r, the value of <L, eq(r)>, the coefficients eq(tau, i))."""
        if len(claims) == 1:
            return claims[0].point, claims[0].value, [self.field.element(1)]
        beta = transcript.challenge("claim joining")
        betas = [self.field.element(1)]
        for _ in claims[1:]:
            betas.append(betas[-1] * beta)
        total = sum((b * c.value for b, c in zip(betas, claims, strict=True)), 0 * beta)
        axes = [Axis(1 << max(len(claim.point) for claim in claims))]
        point, left = Sumcheck(self.field).verify(transcript, total, axes)
        received = transcript.receive("joined values", len(claims))
        values = []
        for delay, value in zip(_delays(claims), received, strict=True):
            for r in point[:delay]:
                value = value * (1 - r)
            values.append(value)
        for b, claim, delay, value in zip(betas, claims, _delays(claims), values, strict=True):
            own = point[delay:]
            left = left - b * eq.truncated_eq(claim.point, own, 1 << len(own)) * value
        transcript.require_zero(left, "opening: the joined values contradict the column values")
        if work := self._work(len(point), len(claims)):
            verify_work(transcript, work)
        scales = self._scales(transcript, len(claims))
        joined = sum((s * v for s, v in zip(scales, values, strict=True)), 0 * beta)
        return point, joined, scales

    def _scales(self, transcript: Any, count: int) -> list[Element]:
        tau = transcript.challenges("commitment combination", num_variables(count))
        return [eq.eq_at(tau, i) for i in range(count)]

    def _proximity_bits(self, log_rows: int, num_commitments: int) -> float:
        bad = Radius(self.log_inv_rate).bad_challenges(log_rows + self.log_inv_rate)
        return error_bits(self.field.bits, num_variables(num_commitments) * bad)

    def _work(self, log_rows: int, num_commitments: int) -> int:
        """Bits of work before tau."""
        return missing_bits(self.security_bits, self._proximity_bits(log_rows, num_commitments))

    def soundness_terms(self, log_rows: int, num_commitments: int) -> list[tuple[str, float]]:
        """(name, bits) of every way in which this may fail; ``log_rows``: the largest k."""
        if num_commitments == 1:
            return []
        bits, work = self.field.bits, self._work(log_rows, num_commitments)
        proximity = self._proximity_bits(log_rows, num_commitments) + work
        return [
            ("claim joining", error_bits(bits, num_commitments - 1)),
            ("joining sumcheck", error_bits(bits, 2 * log_rows)),
            ("commitment proximity", proximity),
            ("joined values", error_bits(bits, num_variables(num_commitments))),
        ]


def _delays(claims: Sequence[ColumnClaim]) -> list[int]:
    """k - k_i for every claim."""
    most = max(len(claim.point) for claim in claims)
    return [most - len(claim.point) for claim in claims]


@dataclass(frozen=True)
class JoinedRows:
    """The prover's side: the rows of all commitments that answer for leaves of the longest code."""

    rows: list[Rows]

    def open(self, transcript: ProverTranscript, indices: list[int]) -> None:
        most = max(rows.tree.log_leaves for rows in self.rows)
        for rows in self.rows:
            rows.open(transcript, _shortened(indices, most - rows.tree.log_leaves))


@dataclass(frozen=True)
class JoinedValues:
    """The verifier's side: rows become values of the codeword of L."""

    field: Field
    commitments: list[Commitment]
    claims: list[ColumnClaim]
    scales: list[Element]

    def receive(self, transcript: VerifierTranscript, indices: list[int]) -> list[Element]:
        totals = [self.field.element(0)] * len(indices)
        parts = zip(self.commitments, self.claims, self.scales, _delays(self.claims), strict=True)
        for commitment, claim, scale, delay in parts:
            own = _shortened(indices, delay)
            values = dict(zip(own, self._values(transcript, commitment, claim, own), strict=True))
            totals = [
                total + scale * values[index >> delay]
                for total, index in zip(totals, indices, strict=True)
            ]
        return totals

    def _values(
        self,
        transcript: VerifierTranscript,
        commitment: Commitment,
        claim: ColumnClaim,
        indices: list[int],
    ) -> list[Element]:
        """The codeword of the combined column at these leaves."""
        width = commitment.num_columns
        rows = receive_rows(transcript, commitment.root, commitment.code.log_length, width, indices)
        out = np.empty(len(indices) * self.field.ext.limbs, dtype=np.uint64)
        combine = row_kernels(self.field).combine_rows
        cpu_target().map(combine, len(indices), rows, claim.weights, width, out)
        return self.field.unpack(out)


def _shortened(indices: list[int], delay: int) -> list[int]:
    """The leaves of a tree 2^delay times smaller that answer for these leaves."""
    return sorted({index >> delay for index in indices})
