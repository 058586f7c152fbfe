"""Microbenchmark of rotary embedding: all heads of a stack of layers, turned by their positions.

It starts from a claim on the accumulators at a random point, whose value the prover sends first.
Set-up works it out by the integer model, untimed: in a model it comes from the rescaling before.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zkbench.bench.attention_cases import MAX_LOG_BLOCK
from zkbench.bench.inputs import FIELD, extension
from zkbench.bench.protocol_case import MAX, MIN, InputClaim, ProtocolCase
from zkbench.bench.registry import register
from zkbench.bench.timers import PhaseTimer
from zkbench.commitments.claims import Value
from zkbench.errors import UnusableInput
from zkbench.protocols.rotary import Rotary
from zkbench.protocols.rotary_tables import RotaryTables
from zkbench.quant.rotary import rotate
from zkbench.security import Term
from zkbench.transcript import ProverTranscript, VerifierTranscript


@register("rotary")
class RotaryCase(ProtocolCase):
    """num_layers layers of queries; a value is an entry at a position that counts.

    The tables are those of theta = 10000, made in set-up on both sides.
    """

    benchmark = "rotary"
    limits = {
        "num_layers": (1, 128),
        "heads": (1, 256),
        "positions": (1, 1 << 14),
        "head_dim": (2, 512),
    }

    def __init__(self, params: dict[str, Any], target: str, seed: int) -> None:
        super().__init__(params, target, seed)
        layers, heads, positions, width = (self.params[key] for key in self.limits)
        if width % 2:
            raise UnusableInput(f"rotary: head_dim must be even, not {width}")
        log_block = min(MAX_LOG_BLOCK, positions.bit_length() - 1)
        blocks = -(-positions >> log_block)
        self.shape = (layers, blocks, 1 << log_block, heads, width)
        self.protocol = Rotary(FIELD, self.shape)
        self.values = layers * positions * heads * width

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"values": rng.integers(MIN, MAX + 1, self.shape, dtype=np.int16)}

    def setup_verifier(self) -> None:
        """Make the public inputs, and the tables."""
        super().setup_verifier()
        self.tables = RotaryTables.of(self.protocol.positions, self.protocol.half)

    def prepare(self) -> None:
        values = self.inputs["values"]
        self.x = self.where.to_device(values)
        self.claimed = extension(rotate(values, self.tables), self.first_point(self.shape))

    def run_prover(self, transcript: ProverTranscript, timer: PhaseTimer) -> None:
        claim = Value(self.draw_point(transcript, self.shape), self.claimed)
        transcript.send("claim", [claim.value])
        with timer.phase("sumchecks"):
            self.protocol.prove(transcript, self.where, self.x, self.tables, claim)

    def run_verifier(self, transcript: VerifierTranscript) -> list[InputClaim]:
        point = self.draw_point(transcript, self.shape)
        (value,) = transcript.receive("claim", 1)
        on_x = self.protocol.verify(transcript, self.tables, Value(point, value))
        return [InputClaim("values", on_x)]

    def soundness_terms(self) -> list[Term]:
        return self.protocol.soundness_terms()
