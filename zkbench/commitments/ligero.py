"""Ligero-style opening of interleaved commitments: one combined column in clear, no recursion.

Claimed: for every commitment, sum over entries of w_i[e] tensor_i[e] = value_i for all its claims.

The caller must have sent or bound every root (``transcript.send_bytes("root", ...)`` or ``bind``)
before the first challenge that a claim depends on, and has checked that the commitments are the
ones it means. Nothing is bound twice here.

For every commitment, with dense vector q of M columns F_c of 2^k values:
 a. challenge gamma; W = sum gamma^i w_i; sumcheck of <q, W> = sum gamma^i value_i ends at a point z
    and a value that q~(z) W~(z) must have; the verifier computes W~(z) itself;
 b. the prover sends v_c = F_c~(z_low); q~(z) = sum_c eq(z_high, c) v_c;
 c. challenge rho; the prover sends the combined column L = sum_c eq(rho, c) F_c, 2^k elements of E;
    <L, eq(z_low)> = sum_c eq(rho, c) v_c.
Then, once for all commitments:
 d. a proof of work; the verifier draws row indices and receives these rows with a Merkle opening;
    sum_c eq(rho, c) row_c must be the codeword of L there.

Soundness: ``soundness_terms``. Unique decoding, no conjecture. The coefficients eq(rho, c) cost
log2(M) instead of M in the proximity term. Rounds: ceil(log2 N) + 4. Proof: 16 2^k + 16 M bytes
and, for each of t rows, 8 M and a share of the opening. Verifier: an NTT of 2^(k + r) elements of
E, t rows, and W~(z): O(tiles) for each claim.

Sources: Ames et al., Ligero (CCS 2017); Diamond and Gruen, ePrint 2024/1351, for tensor
coefficients in the unique decoding radius; P 3.4 and 3.6.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from blake3 import blake3

from zkbench.commitments import interleaved, merkle
from zkbench.commitments.claims import Claim
from zkbench.commitments.dense_weights import PointTables, accumulate, evaluate
from zkbench.commitments.interleaved import Code, Commitment, ProverData
from zkbench.commitments.layout import Layout
from zkbench.commitments.unification import DenseProduct
from zkbench.fields import FIELDS, GOLDILOCKS, Field
from zkbench.kernels import eq
from zkbench.kernels.blake3 import find_nonce, is_good_nonce
from zkbench.kernels.functional import kernels as functional_kernels
from zkbench.kernels.interleaved import column_values, combined_column, pick_rows, row_kernels
from zkbench.kernels.launch import Array, Target, cpu_target
from zkbench.kernels.ntt import encode
from zkbench.proof import ProofRejected
from zkbench.protocols.sumcheck import Axis, Sumcheck, num_variables
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any
SECURITY_BITS = 103  # a term; so that the sum over several commitments keeps 100


def queries_for(security_bits: int, grinding_bits: int, log_inv_rate: int) -> int:
    """Rows to ask for so that a word outside the unique decoding radius passes with 2^-security."""
    return math.ceil((security_bits - grinding_bits) / _bits_a_query(log_inv_rate))


def _bits_a_query(log_inv_rate: int) -> float:
    """-log2 of the chance (1 + rate) / 2 that one row misses an error."""
    return 1 - math.log2(1 + 2.0**-log_inv_rate)


@dataclass(frozen=True)
class Ligero:
    """Parameters. ``log_rows``: k (at most), or None: what makes the proof smallest."""

    field: Field = GOLDILOCKS
    log_inv_rate: int = 1
    grinding_bits: int = 20
    queries: int = queries_for(SECURITY_BITS, 20, 1)
    log_rows: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Identity of the scheme: domain separator and name of its benchmark runs."""
        return {
            "field": self.field.name,
            "grinding_bits": self.grinding_bits,
            "log_inv_rate": self.log_inv_rate,
            "log_rows": self.log_rows,
            "queries": self.queries,
            "scheme": "ligero",
        }

    def code(self, num_values: int) -> Code:
        """The code for a dense vector of this length."""
        most = min(num_variables(num_values), self.field.two_adicity - self.log_inv_rate)
        if self.log_rows is not None:
            return Code(self.field, min(self.log_rows, most), self.log_inv_rate)
        best = min(range(most + 1), key=lambda k: self._opening_bytes(num_values, k))
        return Code(self.field, best, self.log_inv_rate)

    def _opening_bytes(self, num_values: int, log_rows: int) -> int:
        """Estimated bytes of an opening, in integers so that every machine agrees."""
        columns, log_length = -(-num_values >> log_rows), log_rows + self.log_inv_rate
        rows = min(self.queries, 1 << log_length)
        path = max(0, log_length - rows.bit_length() + 1)
        return (16 << log_rows) + 16 * columns + rows * (8 * columns + 32 * path)

    def commit(
        self,
        target: Target,
        tensors: Mapping[str, Any],
        shapes: Mapping[str, Sequence[int]] | None = None,
    ) -> ProverData:
        """Commit to tensors, see ``interleaved.commit``; ``shapes``: the arrays' own if None."""
        sizes = shapes or {name: array.shape for name, array in tensors.items()}
        return interleaved.commit(target, self.code(Layout.of(sizes).num_values), tensors, sizes)

    def commitment(self, root: bytes, shapes: Mapping[str, Sequence[int]]) -> Commitment:
        """What the verifier takes a received root for: a commitment to tensors of these shapes."""
        layout = Layout.of(shapes)
        return Commitment(root, layout, self.code(layout.num_values))

    def prove(
        self,
        transcript: ProverTranscript,
        target: Target,
        openings: Sequence[tuple[ProverData, Sequence[Claim]]],
    ) -> None:
        """Prove all claims on all commitments; raises ValueError for claims that fit no tensor."""
        for data, claims in openings:
            point = self._prove_claims(transcript, data, claims, target)
            self._prove_columns(transcript, data, point, target)
        seed = transcript.grinding_seed("grinding")
        nonce = find_nonce(target, seed, self.grinding_bits)
        transcript.send_bytes("nonce", nonce.to_bytes(8, "little"))
        for data, _ in openings:
            self._prove_rows(transcript, data, target)

    def verify(
        self,
        transcript: VerifierTranscript,
        openings: Sequence[tuple[Commitment, Sequence[Claim]]],
    ) -> None:
        """Raise ProofRejected unless all claims hold."""
        combined = []
        for commitment, claims in openings:
            self._check_commitment(commitment, claims)
            point, values = self._verify_claims(transcript, commitment, claims)
            combined.append(self._verify_columns(transcript, commitment, point, values))
        seed = transcript.grinding_seed("grinding")
        nonce = transcript.receive_bytes("nonce", 8)
        if not is_good_nonce(blake3(seed + nonce).digest(), self.grinding_bits):
            raise ProofRejected("the proof of work is missing")
        for (commitment, _), (weights, column) in zip(openings, combined, strict=True):
            self._verify_rows(transcript, commitment, weights, column)

    def _check_commitment(self, commitment: Commitment, claims: Sequence[Claim]) -> None:
        if commitment.code != self.code(commitment.layout.num_values):
            raise ProofRejected("the commitment was made with other parameters")
        try:
            check_claims(commitment.layout, claims)
        except ValueError as error:
            raise ProofRejected(str(error)) from error

    def _prove_claims(
        self,
        transcript: ProverTranscript,
        data: ProverData,
        claims: Sequence[Claim],
        target: Target,
    ) -> list[Element]:
        """Step a: from all claims to one point."""
        layout = data.commitment.layout
        check_claims(layout, claims)
        gamma = transcript.challenge("claim combination")
        weights = target.zeros(layout.num_values * self.field.ext.limbs)
        scale = self.field.element(1)
        for claim in claims:
            slot = layout.slot(claim.tensor)
            accumulate(target, self.field, slot, claim.functional, scale, weights)
            scale = scale * gamma
        statement = DenseProduct(target, self.field, data.dense, weights, layout.num_values)
        point, _ = Sumcheck(self.field).prove(transcript, statement)
        return point

    def _verify_claims(
        self, transcript: VerifierTranscript, commitment: Commitment, claims: Sequence[Claim]
    ) -> tuple[list[Element], np.ndarray]:
        """Steps a and b: (the point, the column values there)."""
        layout, code = commitment.layout, commitment.code
        gamma = transcript.challenge("claim combination")
        total, scales = self.field.element(0), []
        scale = self.field.element(1)
        for claim in claims:
            scales.append(scale)
            total = total + scale * claim.value
            scale = scale * gamma
        axes = [Axis(layout.num_values)]
        point, final = Sumcheck(self.field).verify(transcript, total, axes)
        values = transcript.receive_words(
            "column values", commitment.num_columns * self.field.ext.limbs
        )
        tables = PointTables(self.field, point)
        weight = self.field.element(0)
        for claim, scale in zip(claims, scales, strict=True):
            slot = layout.slot(claim.tensor)
            weight = weight + scale * evaluate(tables, slot, claim.functional)
        selector = eq.eq_table(
            cpu_target(), self.field, point[code.log_rows :], commitment.num_columns
        )
        value = self._dot(selector, values, commitment.num_columns)
        transcript.require_zero(value * weight - final, "opening: the claims do not hold")
        return point, values

    def _prove_columns(
        self, transcript: ProverTranscript, data: ProverData, point: list[Element], target: Target
    ) -> None:
        """Steps b and c: values of the columns at the point, and a random combination of them."""
        layout, log_rows = data.commitment.layout, data.commitment.code.log_rows
        inside = eq.eq_table(target, self.field, point[:log_rows], 1 << log_rows)
        shape = (data.dense, layout.num_values, log_rows)
        transcript.send_words("column values", column_values(target, self.field, *shape, inside))
        rho = self._column_challenge(transcript, data.commitment)
        weights = eq.eq_table(target, self.field, rho, data.commitment.num_columns)
        column = combined_column(target, self.field, *shape, weights)
        transcript.send_words("combined column", column)

    def _verify_columns(
        self,
        transcript: VerifierTranscript,
        commitment: Commitment,
        point: list[Element],
        values: np.ndarray,
    ) -> tuple[Array, np.ndarray]:
        """Step c: (coefficients of the columns, combined column), consistent with the values."""
        log_rows = commitment.code.log_rows
        rho = self._column_challenge(transcript, commitment)
        column = transcript.receive_words("combined column", self.field.ext.limbs << log_rows)
        weights = eq.eq_table(cpu_target(), self.field, rho, commitment.num_columns)
        tables = PointTables(self.field, point[:log_rows])
        one = self.field.pack([1])
        words = cpu_target().reduce(
            functional_kernels(self.field).eq_dot,
            1 << log_rows,
            column,
            one,
            1,
            *tables.halves(0),
            0,
        )
        transcript.require_zero(
            self._dot(weights, values, commitment.num_columns) - self.field.unpack(words)[0],
            "opening: the combined column contradicts the column values",
        )
        return weights, column

    def _column_challenge(self, transcript: Any, commitment: Commitment) -> list[Element]:
        return transcript.challenges("column combination", num_variables(commitment.num_columns))

    def _dot(self, a: Array, b: Array, length: int) -> Element:
        """<a, b> for two vectors of E."""
        out = np.empty(self.field.ext.limbs, dtype=np.uint64)
        cpu_target().map(functional_kernels(self.field).row_dots, 1, a, b, length, out)
        return self.field.unpack(out)[0]

    def _query_rows(self, transcript: Any, commitment: Commitment) -> list[int]:
        """Distinct leaf indices, in order."""
        drawn = transcript.indices("queries", self.queries, commitment.code.log_length)
        return sorted(set(drawn))

    def _prove_rows(self, transcript: ProverTranscript, data: ProverData, target: Target) -> None:
        """Step d: the rows asked for, and their paths."""
        indices = self._query_rows(transcript, data.commitment)
        columns = data.commitment.num_columns
        rows = pick_rows(target, self.field, data.codeword, data.stride, columns, indices)
        transcript.send_words("rows", rows)
        transcript.send_bytes("paths", data.tree.open(indices))

    def _verify_rows(
        self,
        transcript: VerifierTranscript,
        commitment: Commitment,
        weights: Array,
        column: np.ndarray,
    ) -> None:
        """Step d: the rows are those committed, and combine to the codeword of the column."""
        code, width = commitment.code, commitment.num_columns
        indices = self._query_rows(transcript, commitment)
        rows = transcript.receive_words("rows", len(indices) * width)
        size = merkle.opening_size(code.log_length, indices)
        paths = transcript.receive_bytes("paths", size)
        leaves = [row.astype("<u8").tobytes() for row in rows.reshape(-1, width)]
        merkle.verify(commitment.root, code.log_length, indices, leaves, paths)
        got = np.empty(len(indices) * self.field.ext.limbs, dtype=np.uint64)
        cpu_target().map(
            row_kernels(self.field).combine_rows, len(indices), rows, weights, width, got
        )
        expected = self._codeword_at(code, column, indices)
        for a, b in zip(self.field.unpack(got), expected, strict=True):
            transcript.require_zero(a - b, "opening: a row contradicts the combined column")

    def _codeword_at(self, code: Code, column: np.ndarray, indices: list[int]) -> list[Element]:
        """The combined column's codeword at some leaves."""
        shape = (1 << code.log_rows, 1, code.log_rows, code.log_inv_rate)
        codeword = encode(cpu_target(), self.field, column, *shape, extension=True)
        limbs = self.field.ext.limbs
        return self.field.unpack(codeword.reshape(-1, limbs)[indices].reshape(-1))

    def soundness_terms(self, num_values: int, num_claims: int) -> list[tuple[str, float]]:
        """(name, bits) of every way in which a false claim on one commitment may pass.

        Formulas: P 3.4 (unique decoding column); the proximity term is Diamond and Gruen's
        log2(M) times the block length over |E|.
        """
        code = self.code(num_values)
        log_columns = num_variables(-(-num_values >> code.log_rows))
        bits = self.field.bits
        terms = [
            ("queries", self.queries * _bits_a_query(self.log_inv_rate) + self.grinding_bits),
            ("claim combination", bits - _log2(num_claims - 1)),
            ("unification sumcheck", bits - _log2(2 * num_variables(num_values))),
            ("column proximity", bits - _log2(log_columns) - code.log_length),
            ("column values", bits - _log2(log_columns)),
        ]
        return terms if log_columns else terms[:-2]


def _log2(count: int) -> float:
    return math.log2(max(1, count))


def ligero_from_json(data: Any, error: type[Exception]) -> Ligero:
    """Read ``Ligero.to_json``'s result; raises ``error`` for anything else."""
    keys = set(Ligero().to_json())
    if not isinstance(data, dict) or set(data) != keys or data["scheme"] != "ligero":
        raise error("the commitment scheme's parameters are malformed")
    numbers = {name: data[name] for name in ("log_inv_rate", "grinding_bits", "queries")}
    limits = {"log_inv_rate": 8, "grinding_bits": 40, "queries": 4096}
    if any(type(n) is not int or not 0 <= n <= limits[name] for name, n in numbers.items()):
        raise error("the commitment scheme's parameters are out of range")
    log_rows = data["log_rows"]
    if log_rows is not None and (type(log_rows) is not int or not 0 <= log_rows <= 30):
        raise error("the commitment scheme's parameters are out of range")
    if not isinstance(data["field"], str) or data["field"] not in FIELDS:
        raise error(f"unknown field {data['field']!r:.60} in the commitment scheme's parameters")
    return Ligero(FIELDS[data["field"]], **numbers, log_rows=log_rows)


def check_claims(layout: Layout, claims: Sequence[Claim]) -> None:
    """Raise ValueError for a claim on a tensor that is not there or has another shape."""
    shapes = layout.shapes
    for claim in claims:
        if claim.tensor not in shapes:
            raise ValueError(f"the commitment holds no tensor {claim.tensor!r}")
        claim.functional.check(shapes[claim.tensor])
