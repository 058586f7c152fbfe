"""Ligero-style opening of interleaved commitments: one combined column in clear, no recursion.

Claimed: for every commitment, sum over entries of w_i[e] tensor_i[e] = value_i for all its claims.

The caller must have sent or bound every root (``transcript.send_bytes("root", ...)`` or ``bind``)
before the first challenge that a claim depends on, and all that the claims are made of, the scheme's
parameters among it, before the opening: a value that is not bound can be chosen to fit the challenge
that combines the claims. It has checked that the commitments are the ones it means. Nothing is bound
twice here.

For every commitment, the claims become one claim on a combination L of its columns (``reduction``),
and the prover sends L, 2^k elements of E. Then, once for all commitments, a proof of work; the
verifier draws row indices and receives these rows with a Merkle opening; sum_c eq(rho, c) row_c
must be the codeword of L there.

Soundness: ``soundness_terms``. Unique decoding, no conjecture. Proof: 16 2^k + 16 M bytes and, for
each of t rows, 8 M and a share of the opening. Verifier: an NTT of 2^(k + r) elements of E, t rows,
and what the reduction costs.

Sources: Ames et al., Ligero (CCS 2017); P 3.4 and 3.6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zkbench.commitments.claims import Claim
from zkbench.commitments.dense_weights import PointTables
from zkbench.commitments.interleaved import (
    Code,
    Commitment,
    InterleavedScheme,
    ProverData,
    held,
)
from zkbench.commitments.proximity import Radius
from zkbench.commitments.reduction import ColumnClaim, Reduction, check_commitment
from zkbench.commitments.rows import draw_rows, receive_rows
from zkbench.fields import FIELDS, GOLDILOCKS, Field
from zkbench.kernels.functional import kernels as functional_kernels
from zkbench.kernels.interleaved import row_kernels
from zkbench.kernels.launch import Target, cpu_target
from zkbench.kernels.ntt import encode
from zkbench.protocols.grinding import prove_work, verify_work
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any
SECURITY_BITS = 103  # a term; so that the sum over several commitments keeps 100


@dataclass(frozen=True)
class Ligero(InterleavedScheme):
    """Parameters. ``log_rows``: k (at most), or None: what makes the proof smallest."""

    field: Field = GOLDILOCKS
    log_inv_rate: int = 1
    grinding_bits: int = 20
    queries: int = Radius(1).queries(SECURITY_BITS - 20)
    log_rows: int | None = None
    code_of: InterleavedScheme | None = None

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

    def _opening_bytes(self, num_values: int, log_rows: int) -> int:
        """Estimated bytes of an opening, in integers so that every machine agrees."""
        columns, log_length = -(-num_values >> log_rows), log_rows + self.log_inv_rate
        rows = min(self.queries, 1 << log_length)
        path = max(0, log_length - rows.bit_length() + 1)
        return (16 << log_rows) + 16 * columns + rows * (8 * columns + 32 * path)

    def prove(
        self,
        transcript: ProverTranscript,
        target: Target,
        openings: Sequence[tuple[ProverData, Sequence[Claim]]],
    ) -> None:
        """Prove all claims on all commitments; raises ValueError for claims that fit no tensor."""
        with held(data for data, _ in openings):
            for data, claims in openings:
                _, column = Reduction(self.field).prove(transcript, target, data, claims)
                transcript.send_words("combined column", target.to_host(column))
            prove_work(transcript, target, self.grinding_bits)
            for data, _ in openings:
                log_length = data.commitment.code.log_length
                data.rows.open(transcript, draw_rows(transcript, self.queries, log_length))

    def verify(
        self,
        transcript: VerifierTranscript,
        openings: Sequence[tuple[Commitment, Sequence[Claim]]],
    ) -> None:
        """Raise ProofRejected unless all claims hold."""
        combined = []
        for commitment, claims in openings:
            check_commitment(self.code(commitment.layout.num_values), commitment, claims)
            claim = Reduction(self.field).verify(transcript, commitment, claims)
            combined.append((commitment, claim, self._verify_column(transcript, claim)))
        verify_work(transcript, self.grinding_bits)
        for commitment, claim, column in combined:
            self._verify_rows(transcript, commitment, claim, column)

    def _verify_column(self, transcript: VerifierTranscript, claim: ColumnClaim) -> np.ndarray:
        """The combined column, which has the value claimed."""
        length = 1 << len(claim.point)
        column = transcript.receive_words("combined column", self.field.ext.limbs * length)
        tables = PointTables(self.field, claim.point)
        arguments = (column, self.field.pack([1]), 1, 1, *tables.halves(0), 0)
        words = cpu_target().reduce(functional_kernels(self.field).eq_dot, length, *arguments)
        transcript.require_zero(
            claim.value - self.field.unpack(words)[0],
            "opening: the combined column contradicts the column values",
        )
        return column

    def _verify_rows(
        self,
        transcript: VerifierTranscript,
        commitment: Commitment,
        claim: ColumnClaim,
        column: np.ndarray,
    ) -> None:
        """The rows are those committed, and combine to the codeword of the column."""
        code, width = commitment.code, commitment.num_columns
        indices = draw_rows(transcript, self.queries, code.log_length)
        rows = receive_rows(transcript, commitment.root, code.log_length, width, indices)
        got = np.empty(len(indices) * self.field.ext.limbs, dtype=np.uint64)
        combine = row_kernels(self.field).combine_rows
        cpu_target().map(combine, len(indices), rows, claim.weights, width, got)
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
        """(name, bits) of every way in which a false claim on one commitment may pass (P 3.4)."""
        queries = self.queries * Radius(self.log_inv_rate).bits_a_query + self.grinding_bits
        code = self.code(num_values)
        terms = Reduction(self.field).soundness_terms(code, num_values, num_claims)
        return [("queries", queries), *terms]

    def opening_terms(self, sizes: Mapping[str, tuple[int, int]]) -> list[tuple[str, float]]:
        """The same of several commitments at once: name -> (number of values, of claims)."""
        return [
            (f"{name} opening: {term}", bits)
            for name, size in sizes.items()
            for term, bits in self.soundness_terms(*size)
        ]


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
