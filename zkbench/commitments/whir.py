"""WHIR opening of interleaved commitments: proofs of polylogarithmic size, one run for them all.

Claimed: for every commitment, sum over entries of w_i[e] tensor_i[e] = value_i for all its claims.

The caller must have sent or bound every root (``transcript.send_bytes("root", ...)`` or ``bind``)
before the first challenge that a claim depends on, and all that the claims are made of, the scheme's
parameters among it, before the opening: a value that is not bound can be chosen to fit the challenge
that combines the claims. It has checked that the commitments are the ones it means. Nothing is bound
twice here.

 1. for every commitment, its claims become one on a combination of its columns (``reduction``);
 2. these become one claim on one vector of 2^k elements of E (``joining``);
 3. WHIR on this vector, whose first queries open the rows of all commitments (``whir_rounds``).

The commitments are used in the unique decoding radius of their rate; ``johnson`` sets the radius of
WHIR's own oracles. Parameters follow from ``security_bits``, asked of every single term, and the
sizes (``whir_schedule``); none rests on a conjecture. Commitments made at different times open
together, whatever their sizes, if they are of the same scheme.

Proof: t (8 M + 32 path) + 16 M bytes a commitment, t = 193 or so, and about 100 to 250 kB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zkbench.commitments import whir_schedule
from zkbench.commitments.claims import Claim
from zkbench.commitments.interleaved import Commitment, InterleavedScheme, ProverData, held
from zkbench.commitments.joining import JoinedRows, JoinedValues, Joining
from zkbench.commitments.reduction import Reduction, check_commitment
from zkbench.commitments.whir_rounds import WhirRounds
from zkbench.commitments.whir_schedule import Schedule, Security, inner_bytes, opening_bytes
from zkbench.fields import FIELDS, GOLDILOCKS, Field
from zkbench.kernels.launch import Target
from zkbench.protocols.sumcheck import num_variables
from zkbench.transcript import ProverTranscript, VerifierTranscript

SECURITY_BITS = 104  # a term; so that the sum over all rounds of a large opening keeps 100
# A large vector gets at least 2^6 columns, so that WHIR's own work is small beside theirs; a column
# has at most 2^25 values, so that trees and oracles fit beside the values on a GPU.
_LOG_COLUMNS, _SMALL_LOG_ROWS, _MOST_LOG_ROWS = 6, 14, 25


@dataclass(frozen=True)
class Whir(InterleavedScheme):
    """Parameters. None as k or as the number of rounds: what makes the proof smallest.

    ``log_rows`` and ``num_rounds`` are taken as far as the sizes allow.
    """

    field: Field = GOLDILOCKS
    log_inv_rate: int = 1
    grinding_bits: int = 20
    security_bits: int = SECURITY_BITS
    log_fold: int = 4
    johnson: bool = False
    log_rows: int | None = None
    num_rounds: int | None = None
    code_of: InterleavedScheme | None = None

    def to_json(self) -> dict[str, Any]:
        """Identity of the scheme: domain separator and name of its benchmark runs."""
        return {
            "field": self.field.name,
            "grinding_bits": self.grinding_bits,
            "johnson": self.johnson,
            "log_fold": self.log_fold,
            "log_inv_rate": self.log_inv_rate,
            "log_rows": self.log_rows,
            "num_rounds": self.num_rounds,
            "scheme": "whir",
            "security_bits": self.security_bits,
        }

    @property
    def security(self) -> Security:
        return Security(self.field, self.security_bits, self.grinding_bits, self.johnson)

    def schedule(self, log_rows: int) -> Schedule:
        """The rounds for commitments whose largest k is ``log_rows``."""
        shape = (log_rows, self.log_inv_rate, self.log_fold, self.num_rounds)
        return whir_schedule.schedule(self.security, *shape)

    def _most_log_rows(self, num_values: int) -> int:
        return min(max(_SMALL_LOG_ROWS, num_variables(num_values) - _LOG_COLUMNS), _MOST_LOG_ROWS)

    def _opening_bytes(self, num_values: int, log_rows: int) -> int:
        """Estimated bytes of an opening of one commitment."""
        columns, run = -(-num_values >> log_rows), self.schedule(log_rows)
        outer = opening_bytes(run.queries, run.log_length, 8 * columns)
        return 16 * columns + outer + inner_bytes(run)

    def prove(
        self,
        transcript: ProverTranscript,
        target: Target,
        openings: Sequence[tuple[ProverData, Sequence[Claim]]],
    ) -> None:
        """Prove all claims on all commitments; raises ValueError for claims that fit no tensor."""
        reduction = Reduction(self.field, self.security_bits)
        with held(data for data, _ in openings):
            parts = [reduction.prove(transcript, target, data, claims) for data, claims in openings]
            point, vector = Joining(self.field, self.log_inv_rate, self.security_bits).prove(
                transcript, target, parts
            )
            source = JoinedRows([data.rows for data, _ in openings])
            self._rounds(len(point)).prove(transcript, target, vector, point, source)

    def verify(
        self,
        transcript: VerifierTranscript,
        openings: Sequence[tuple[Commitment, Sequence[Claim]]],
    ) -> None:
        """Raise ProofRejected unless all claims hold."""
        parts, reduction = [], Reduction(self.field, self.security_bits)
        for commitment, claims in openings:
            check_commitment(self.code(commitment.layout.num_values), commitment, claims)
            parts.append(reduction.verify(transcript, commitment, claims))
        point, value, scales = Joining(self.field, self.log_inv_rate, self.security_bits).verify(
            transcript, parts
        )
        commitments = [commitment for commitment, _ in openings]
        source = JoinedValues(self.field, commitments, parts, scales)
        self._rounds(len(point)).verify(transcript, point, value, source)

    def _rounds(self, log_rows: int) -> WhirRounds:
        return WhirRounds(self.field, self.schedule(log_rows), self.grinding_bits)

    def soundness_terms(self, num_values: int, num_claims: int) -> list[tuple[str, float]]:
        """(name, bits) of every way in which a false claim on one commitment may pass."""
        code = self.code(num_values)
        inner = whir_schedule.soundness_terms(self.security, self.schedule(code.log_rows))
        return inner + Reduction(self.field, self.security_bits).soundness_terms(
            code, num_values, num_claims
        )

    def opening_terms(self, sizes: Mapping[str, tuple[int, int]]) -> list[tuple[str, float]]:
        """The same of several commitments at once: name -> (number of values, of claims)."""
        codes = {name: self.code(num_values) for name, (num_values, _) in sizes.items()}
        run = self.schedule(max(code.log_rows for code in codes.values()))
        terms = whir_schedule.soundness_terms(self.security, run)
        join = Joining(self.field, self.log_inv_rate, self.security_bits)
        terms += join.soundness_terms(run.log_size, len(sizes))
        reduction = Reduction(self.field, self.security_bits)
        opening = [(f"opening: {term}", bits) for term, bits in terms]
        return opening + [
            (f"{name} opening: {term}", bits)
            for name, size in sizes.items()
            for term, bits in reduction.soundness_terms(codes[name], *size)
        ]


_LIMITS = {
    "log_inv_rate": (1, 8),
    "grinding_bits": (0, 40),
    "security_bits": (1, 120),
    "log_fold": (1, 8),
    "log_rows": (0, 30),
    "num_rounds": (0, 30),
}
_MAY_BE_NONE = {"log_rows", "num_rounds"}


def whir_from_json(data: Any, error: type[Exception]) -> Whir:
    """Read ``Whir.to_json``'s result; raises ``error`` for anything else."""
    if not isinstance(data, dict) or set(data) != set(Whir().to_json()) or data["scheme"] != "whir":
        raise error("the commitment scheme's parameters are malformed")
    numbers = {name: data[name] for name in _LIMITS}
    if not all(_in_range(name, number) for name, number in numbers.items()):
        raise error("the commitment scheme's parameters are out of range")
    if type(data["johnson"]) is not bool:
        raise error("the commitment scheme's parameters are malformed")
    if not isinstance(data["field"], str) or data["field"] not in FIELDS:
        raise error(f"unknown field {data['field']!r:.60} in the commitment scheme's parameters")
    return Whir(FIELDS[data["field"]], johnson=data["johnson"], **numbers)


def _in_range(name: str, number: Any) -> bool:
    least, most = _LIMITS[name]
    if number is None:
        return name in _MAY_BE_NONE
    return type(number) is int and least <= number <= most
