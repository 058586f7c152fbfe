"""Microbenchmarks of products: matmul and hadamard.

Both start from a claim at a random point, whose value the prover sends first. Set-up works it out,
untimed: in a model it comes from the protocol before.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zkbench.bench.inputs import FIELD, extension
from zkbench.bench.protocol_case import LOG_VALUES, MAX, MIN, InputClaim, ProtocolCase
from zkbench.bench.registry import register
from zkbench.bench.timers import PhaseTimer
from zkbench.commitments.claims import Value
from zkbench.kernels import eq
from zkbench.kernels.contract import contract
from zkbench.protocols.gkr import Shape
from zkbench.protocols.hadamard import Hadamard
from zkbench.protocols.matmul import MatMul
from zkbench.security import Term
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any
_DIMENSION = (1, 1 << 20)


@register("matmul")
class MatMulCase(ProtocolCase):
    """num_layers products of a batch x d_in by a d_in x d_out matrix, all at once."""

    benchmark = "matmul"
    limits = dict.fromkeys(("num_layers", "batch", "d_in", "d_out"), _DIMENSION)

    def __init__(self, params: dict[str, Any], target: str, seed: int) -> None:
        super().__init__(params, target, seed)
        layers, rows, d_in, d_out = (self.params[key] for key in self.limits)
        self.sizes = layers, rows, d_in, d_out
        self.protocol = MatMul(FIELD, *self.sizes)
        self.values = layers * rows * d_in * d_out  # multiply-adds
        self.shape = (layers, rows, d_out)

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        layers, rows, d_in, d_out = self.sizes
        shapes = {"inputs": (layers, rows, d_in), "weights": (layers, d_in, d_out)}
        return {
            name: rng.integers(MIN, MAX + 1, shape, dtype=np.int16)
            for name, shape in shapes.items()
        }

    def prepare(self) -> None:
        self.x, self.w = (self.where.to_device(array) for array in self.inputs.values())
        self.claimed = self._product_at(self.first_point(self.shape))

    def _product_at(self, point: tuple[tuple[Element, ...], ...]) -> Element:
        """The product's extension: a sum over layers and d_in, without the product itself."""
        (layers, num_rows, d_in, d_out), (at_layer, at_row, at_out) = self.sizes, point
        rows = eq.eq_table(self.where, FIELD, at_row, num_rows)
        outs = eq.eq_table(self.where, FIELD, at_out, d_out)
        factors = (
            contract(self.where, FIELD, self.x, layers, num_rows, d_in, rows),
            contract(self.where, FIELD, self.w, layers * d_in, d_out, 1, outs),
        )
        left, right = (FIELD.unpack(self.where.to_host(table)) for table in factors)
        total = FIELD.element(0)
        for layer in range(layers):
            inside = range(layer * d_in, (layer + 1) * d_in)
            row = sum((left[k] * right[k] for k in inside), FIELD.element(0))
            total = total + eq.eq_at(at_layer, layer) * row
        return total

    def run_prover(self, transcript: ProverTranscript, timer: PhaseTimer) -> None:
        claim = Value(self.draw_point(transcript, self.shape), self.claimed)
        transcript.send("claim", [claim.value])
        with timer.phase("sumchecks"):
            self.protocol.prove(transcript, self.where, self.x, self.w, claim)

    def run_verifier(self, transcript: VerifierTranscript) -> list[InputClaim]:
        point = self.draw_point(transcript, self.shape)
        (value,) = transcript.receive("claim", 1)
        on_x, on_w = self.protocol.verify(transcript, Value(point, value))
        return [InputClaim("inputs", on_x), InputClaim("weights", on_w)]

    def soundness_terms(self) -> list[Term]:
        return self.protocol.soundness_terms()


@register("hadamard")
class HadamardCase(ProtocolCase):
    """The entrywise product of two vectors of 16-bit integers."""

    benchmark = "hadamard"
    limits = {"log_values": LOG_VALUES}

    def __init__(self, params: dict[str, Any], target: str, seed: int) -> None:
        super().__init__(params, target, seed)
        self.values = 1 << self.params["log_values"]
        self.shape: Shape = (self.values,)
        self.protocol = Hadamard(FIELD, self.shape)

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        names = ("left factors", "right factors")
        return {name: rng.integers(0, 1 << 16, self.values, dtype=np.uint16) for name in names}

    def prepare(self) -> None:
        self.tables = [self.where.to_device(values) for values in self.inputs.values()]
        left, right = (values.astype(np.int64) for values in self.inputs.values())
        self.claimed = extension(left * right, self.first_point(self.shape))

    def run_prover(self, transcript: ProverTranscript, timer: PhaseTimer) -> None:
        claim = Value(self.draw_point(transcript, self.shape), self.claimed)
        transcript.send("claim", [claim.value])
        with timer.phase("sumchecks"):
            self.protocol.prove(transcript, self.where, self.tables, claim)

    def run_verifier(self, transcript: VerifierTranscript) -> list[InputClaim]:
        point = self.draw_point(transcript, self.shape)
        (value,) = transcript.receive("claim", 1)
        claims = self.protocol.verify(transcript, Value(point, value))
        return [InputClaim(*pair) for pair in zip(self.inputs, claims, strict=True)]

    def soundness_terms(self) -> list[Term]:
        return self.protocol.soundness_terms()
