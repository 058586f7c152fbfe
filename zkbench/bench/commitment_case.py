"""Microbenchmark of the commitment schemes."""

from __future__ import annotations

from typing import Any

import numpy as np

from zkbench.bench.inputs import FIELD, MaskedBlocks, evaluate
from zkbench.bench.protocol_case import InputClaim, ProtocolCase
from zkbench.bench.registry import register
from zkbench.bench.timers import PhaseTimer
from zkbench.commitments import whir_schedule
from zkbench.commitments.claims import AxisWeights, Claim, Value
from zkbench.commitments.ligero import Ligero
from zkbench.commitments.schemes import Scheme
from zkbench.commitments.whir import Whir
from zkbench.errors import UnusableInput
from zkbench.proof import Proof
from zkbench.protocols.gkr import Shape
from zkbench.security import Term
from zkbench.transcript import ProverTranscript, VerifierTranscript

VALUE_BYTES = 2


def make_scheme(name: str, johnson: int) -> Scheme:
    """The scheme of this name with its default parameters; ``johnson`` goes with WHIR alone."""
    if name == "whir":
        return Whir(FIELD, johnson=bool(johnson))
    if johnson:
        raise UnusableInput("johnson must be 0 with ligero, which decodes uniquely")
    return Ligero(FIELD)


def opening_queries(scheme: Scheme, log_rows: int) -> int:
    """Number of rows of the commitment that an opening asks for."""
    return scheme.queries if isinstance(scheme, Ligero) else scheme.schedule(log_rows).queries


def estimated_opening_bytes(scheme: Scheme, num_values: int) -> int:
    """Size of an opening by the schemes' own estimate: rows, paths, column values, the rest."""
    code = scheme.code(num_values)
    columns = -(-num_values >> code.log_rows)
    queries = opening_queries(scheme, code.log_rows)
    rows = whir_schedule.opening_bytes(queries, code.log_length, 8 * columns)
    if isinstance(scheme, Ligero):
        return rows + 16 * columns + (16 << code.log_rows)
    return rows + 16 * columns + whir_schedule.inner_bytes(scheme.schedule(code.log_rows))


@register("commitment")
class CommitmentCase(ProtocolCase):
    """Commit to 16-bit values (`MaskedBlocks`), then show their extension at one random point.

    ``scheme``: whir or ligero; ``johnson``: 1 for WHIR's rounds up to the Johnson bound, else 0.
    """

    benchmark = "commitment"
    limits = {"log_values": (0, 32), "scheme": ("whir", "ligero"), "johnson": (0, 1)}

    def __init__(self, params: dict[str, Any], target: str, seed: int) -> None:
        super().__init__(params, target, seed)
        self.scheme = make_scheme(self.params["scheme"], self.params["johnson"])
        self.values = 1 << self.params["log_values"]
        self.shapes: dict[str, Shape] = {"values": (self.values,)}

    def draw(self, rng: np.random.Generator) -> dict[str, MaskedBlocks]:
        self.blocks = MaskedBlocks.draw(rng, self.params["log_values"], signed=True)
        return {"values": self.blocks}

    def prepare(self) -> None:
        self.tensor = self.where.to_device(self.blocks.array())

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
            self.scheme.prove(transcript, self.where, [(data, self._claim(claim))])

    def run_verifier(self, transcript: VerifierTranscript) -> list[InputClaim]:
        commitment = self.receive_commitment(transcript, self.shapes)
        point = self.draw_point(transcript, self.shapes["values"])
        (value,) = transcript.receive("claim", 1)
        claim = Value(point, value)
        self.scheme.verify(transcript, [(commitment, self._claim(claim))])
        return [InputClaim("values", claim)]

    def soundness_terms(self) -> list[Term]:
        return self.opening_terms(self.shapes, 1)

    def prove(self, timer: PhaseTimer) -> bytes:
        self._proof = super().prove(timer)
        return self._proof

    def extra(self) -> dict[str, Any]:
        """Sizes: of the opening without header and root, of the code, of the values themselves."""
        code = self.scheme.code(self.values)
        messages = Proof.from_bytes(self._proof).messages
        return {
            "log_rows": code.log_rows,
            "num_columns": -(-self.values >> code.log_rows),
            "opening_bytes": sum(len(m.payload) for m in messages if m.label != "root"),
            "queries": opening_queries(self.scheme, code.log_rows),
            "value_bytes": VALUE_BYTES * self.values,
        }
