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
from dataclasses import dataclass
from typing import Any

from zkbench.fields import Field
from zkbench.proof import ProofRejected
from zkbench.protocols.axes import Axis, axes_at, num_variables, split_point
from zkbench.protocols.statements import (
    ProductStatement,
    Statement,
    TableStatement,
    Tail,
    WeightedSum,
    Weights,
)
from zkbench.security import error_bits
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any

__all__ = [
    "Axis",
    "ProductStatement",
    "Statement",
    "Sumcheck",
    "TableStatement",
    "Tail",
    "WeightedSum",
    "Weights",
    "axes_at",
    "num_variables",
    "split_point",
]


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
