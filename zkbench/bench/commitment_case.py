"""Microbenchmark of the commitment scheme."""

from __future__ import annotations

from typing import Any

import numpy as np

from zkbench.bench.protocol_case import (
    LOG_VALUES,
    MAX,
    MIN,
    SCHEME,
    InputClaim,
    ProtocolCase,
    evaluate,
)
from zkbench.bench.registry import register
from zkbench.bench.timers import PhaseTimer
from zkbench.commitments.claims import AxisWeights, Claim, Value
from zkbench.protocols.gkr import Shape
from zkbench.security import Term
from zkbench.transcript import ProverTranscript, VerifierTranscript


@register("commitment")
class CommitmentCase(ProtocolCase):
    """Commit to 16-bit values, then show their extension at one random point."""

    benchmark = "commitment"
    limits = {"log_values": LOG_VALUES}

    def __init__(self, params: dict[str, Any], target: str, seed: int) -> None:
        super().__init__(params, target, seed)
        self.values = 1 << self.params["log_values"]
        self.shapes: dict[str, Shape] = {"values": (self.values,)}

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"values": rng.integers(MIN, MAX + 1, self.values, dtype=np.int16)}

    def prepare(self) -> None:
        self.tensor = self.where.to_device(self.inputs["values"])

    def _claim(self, value: Value) -> list[Claim]:
        return [Claim("values", AxisWeights.at(value.point), value.value)]

    def run_prover(self, transcript: ProverTranscript, timer: PhaseTimer) -> None:
        shape = self.shapes["values"]
        with timer.phase("commit"):
            data = self.commit(transcript, {"values": self.tensor}, self.shapes)
        with timer.phase("opening"):
            point = self.draw_point(transcript, shape)
            claim = Value(point, evaluate(self.where, self.tensor, shape, point))
            transcript.send("claim", [claim.value])
            SCHEME.prove(transcript, self.where, [(data, self._claim(claim))])

    def run_verifier(self, transcript: VerifierTranscript) -> list[InputClaim]:
        commitment = self.receive_commitment(transcript, self.shapes)
        point = self.draw_point(transcript, self.shapes["values"])
        (value,) = transcript.receive("claim", 1)
        claim = Value(point, value)
        SCHEME.verify(transcript, [(commitment, self._claim(claim))])
        return [InputClaim("values", claim)]

    def soundness_terms(self) -> list[Term]:
        return self.opening_terms(self.shapes, 1)
