"""From claims on a commitment to one claim on a combination of its columns.

For a dense vector q of M columns F_c of 2^k values, and claims <q, w_i> = value_i:
 a. challenge gamma; W = sum gamma^i w_i; sumcheck of <q, W> = sum gamma^i value_i ends at a point z
    and a value that q~(z) W~(z) must have; the verifier computes W~(z) itself;
 b. the prover sends v_c = F_c~(z_low); q~(z) = sum_c eq(z_high, c) v_c;
 c. a proof of work, if one is needed; challenge rho; the combined column is
    L = sum_c eq(rho, c) F_c, 2^k elements of E, and

        <L, eq(z_low)> = sum_c eq(rho, c) v_c

    is what is left to show, by a scheme that also ties L to the committed columns.

Soundness: ``soundness_terms``. The coefficients eq(rho, c) cost log2(M) instead of M in the
proximity term (Diamond and Gruen, ePrint 2024/1351). Rounds: ceil(log2 N) + 2. Verifier: W~(z),
O(tiles) for each claim, and O(M).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zkbench.commitments.claims import Claim
from zkbench.commitments.dense_weights import PointTables, evaluate
from zkbench.commitments.interleaved import Code, Commitment, ProverData
from zkbench.commitments.layout import Layout
from zkbench.commitments.proximity import Radius
from zkbench.commitments.unification import FoldedData, Unification
from zkbench.fields import Field
from zkbench.kernels import eq
from zkbench.kernels.functional import kernels as functional_kernels
from zkbench.kernels.interleaved import add_columns, column_values
from zkbench.kernels.launch import Array, Target, cpu_target
from zkbench.proof import ProofRejected
from zkbench.protocols.grinding import missing_bits, prove_work, verify_work
from zkbench.protocols.sumcheck import Axis, Sumcheck, num_variables
from zkbench.security import error_bits
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any
_PIECE_SHARE = 16  # a piece of data takes at most this part of the workspace


@dataclass(frozen=True)
class ColumnClaim:
    """<L, eq(point)> = value, for L = sum over columns c of weights[c] F_c.

    ``point``: k elements; ``weights``: M elements of E, words on the CPU.
    """

    point: list[Element]
    weights: Array
    value: Element


@dataclass(frozen=True)
class Reduction:
    """The steps a, b and c.

    ``security_bits``: where the proximity term has fewer, a proof of work before rho makes up for it.
    """

    field: Field
    security_bits: int = 0

    def prove(
        self,
        transcript: ProverTranscript,
        target: Target,
        data: ProverData,
        claims: Sequence[Claim],
    ) -> tuple[ColumnClaim, Array]:
        """(the claim left over, L on the target); raises ValueError for claims that do not fit."""
        check_claims(data.commitment.layout, claims)
        gamma = transcript.challenge("claim combination")
        log_rows = data.commitment.code.log_rows
        point, folded = Unification(data.dense, claims, gamma, log_rows).prove(transcript)
        return self._prove_columns(transcript, target, data, point, folded)

    def _prove_columns(
        self,
        transcript: ProverTranscript,
        target: Target,
        data: ProverData,
        point: list[Element],
        folded: FoldedData,
    ) -> tuple[ColumnClaim, Array]:
        """Steps b and c: values of the columns at the point, and a random combination of them."""
        commitment = data.commitment
        values = self._column_values(target, data, point, folded)
        transcript.send_words("column values", values)
        if work := self._work(commitment.code, commitment.num_columns):
            prove_work(transcript, target, work)
        claim = self._claim(transcript, commitment, point, values)
        return claim, self._combined_column(target, data, claim)

    def _column_values(
        self, target: Target, data: ProverData, point: list[Element], folded: FoldedData
    ) -> np.ndarray:
        log_rows, length = data.commitment.code.log_rows - folded.bits, folded.length
        inside = point[folded.bits : folded.bits + log_rows]
        weights = eq.eq_table(target, self.field, inside, 1 << log_rows)
        return column_values(target, self.field, folded.values, length, log_rows, weights)

    def _combined_column(self, target: Target, data: ProverData, claim: ColumnClaim) -> Array:
        """L, read a few columns at a time."""
        num_columns, log_rows = data.commitment.num_columns, data.commitment.code.log_rows
        out = target.zeros((1 << log_rows) * self.field.ext.limbs)
        column_bytes = data.dense.dtype.itemsize << log_rows
        turn = max(1, target.workspace_bytes // _PIECE_SHARE // column_bytes)
        for first in range(0, num_columns, turn):
            last = min(first + turn, num_columns)
            piece = data.dense.piece(first << log_rows, last << log_rows)
            limbs = self.field.ext.limbs
            weights = target.to_device(claim.weights[first * limbs : last * limbs])
            add_columns(target, self.field, piece, log_rows, weights, out)
        return out

    def verify(
        self, transcript: VerifierTranscript, commitment: Commitment, claims: Sequence[Claim]
    ) -> ColumnClaim:
        """The claim left over; raises ProofRejected if the claims contradict the column values."""
        point, final, weight = self._verify_claims(transcript, commitment, claims)
        num_columns = commitment.num_columns
        values = transcript.receive_words("column values", num_columns * self.field.ext.limbs)
        z_high = point[commitment.code.log_rows :]
        selector = eq.eq_table(cpu_target(), self.field, z_high, num_columns)
        value = dot(self.field, selector, values, num_columns)
        transcript.require_zero(value * weight - final, "opening: the claims do not hold")
        if work := self._work(commitment.code, num_columns):
            verify_work(transcript, work)
        return self._claim(transcript, commitment, point, values)

    def _verify_claims(
        self, transcript: VerifierTranscript, commitment: Commitment, claims: Sequence[Claim]
    ) -> tuple[list[Element], Element, Element]:
        """Step a: (z, the value that q~(z) W~(z) must have, W~(z))."""
        gamma = transcript.challenge("claim combination")
        scales = [self.field.element(1)]
        for _ in claims:
            scales.append(scales[-1] * gamma)
        terms = list(zip(scales, claims, strict=False))
        total = sum((scale * claim.value for scale, claim in terms), self.field.element(0))
        axes = [Axis(commitment.layout.num_values)]
        point, final = Sumcheck(self.field).verify(transcript, total, axes)
        tables, weight = PointTables(self.field, point), self.field.element(0)
        for scale, claim in terms:
            slot = commitment.layout.slot(claim.tensor)
            weight = weight + scale * evaluate(tables, slot, claim.functional)
        return point, final, weight

    def _claim(
        self, transcript: Any, commitment: Commitment, point: list[Element], values: np.ndarray
    ) -> ColumnClaim:
        """Step c's challenge and what it makes of the column values."""
        num_columns, log_rows = commitment.num_columns, commitment.code.log_rows
        rho = transcript.challenges("column combination", num_variables(num_columns))
        weights = eq.eq_table(cpu_target(), self.field, rho, num_columns)
        return ColumnClaim(point[:log_rows], weights, dot(self.field, weights, values, num_columns))

    def _proximity_bits(self, code: Code, num_columns: int) -> float:
        steps = num_variables(num_columns)
        bad = Radius(code.log_inv_rate).bad_challenges(code.log_length)
        return error_bits(self.field.bits, steps * bad)

    def _work(self, code: Code, num_columns: int) -> int:
        """Bits of work before rho."""
        return missing_bits(self.security_bits, self._proximity_bits(code, num_columns))

    def soundness_terms(
        self, code: Code, num_values: int, num_claims: int
    ) -> list[tuple[str, float]]:
        """(name, bits) of every way in which the reduction of one commitment's claims may fail."""
        num_columns, bits = -(-num_values >> code.log_rows), self.field.bits
        proximity = self._proximity_bits(code, num_columns) + self._work(code, num_columns)
        terms = [
            ("claim combination", error_bits(bits, num_claims - 1)),
            ("unification sumcheck", error_bits(bits, 2 * num_variables(num_values))),
            ("column proximity", proximity),
            ("column values", error_bits(bits, num_variables(num_columns))),
        ]
        return terms if num_columns > 1 else terms[:2]


def dot(field: Field, a: Array, b: Array, length: int) -> Element:
    """<a, b> for two vectors of E on the CPU."""
    out = np.empty(field.ext.limbs, dtype=np.uint64)
    cpu_target().map(functional_kernels(field).row_dots, 1, a, b, length, out)
    return field.unpack(out)[0]


def check_claims(layout: Layout, claims: Sequence[Claim]) -> None:
    """Raise ValueError for a claim on a tensor that is not there or has another shape."""
    shapes = layout.shapes
    for claim in claims:
        if claim.tensor not in shapes:
            raise ValueError(f"the commitment holds no tensor {claim.tensor!r}")
        claim.functional.check(shapes[claim.tensor])


def check_commitment(code: Code, commitment: Commitment, claims: Sequence[Claim]) -> None:
    """Raise ProofRejected unless the commitment has this code and the claims fit it."""
    if commitment.code != code:
        raise ProofRejected("the commitment was made with other parameters")
    try:
        check_claims(commitment.layout, claims)
    except ValueError as error:
        raise ProofRejected(str(error)) from error
