"""Where a layer's inputs come from: what ties the layers of a network together.

The inputs of a stack of layers are the outputs of other layers: layer l reads ReLU of the quotients
of layer l - 1, wherever that is stacked, and layer 0 reads the public inputs. A claim on the stack's
inputs at (z_l, z_r, z_k) is therefore

    sum over layers l of eq(z_l, l) x_l(z_r, z_k)

and splits into the public inputs' value, which the verifier computes, and one claim on ReLU outputs
for each stack that holds source layers, with weights eq(z_l, .) moved to the sources' places. The
prover sends the values of these; the caller must check them (protocols/logup_star.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zkbench.commitments.claims import AxisWeights, EqAxis, Value, VectorAxis
from zkbench.fields import Field
from zkbench.kernels import eq
from zkbench.kernels.contract import weighted_sum
from zkbench.kernels.launch import Target, cpu_target
from zkbench.models.mlp import LinearStack, Trace
from zkbench.protocols.evaluate import extension_of_integers
from zkbench.protocols.logup_star import OutputClaim
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any


@dataclass(frozen=True)
class LayerInputs:
    """The layers of a perceptron in these stacks, on ``batch`` inputs."""

    field: Field
    stacks: tuple[LinearStack, ...]
    batch: int

    def prove(
        self, transcript: ProverTranscript, target: Target, trace: Trace, s: int, claim: Value
    ) -> list[OutputClaim]:
        """Split a claim on the inputs of stack ``s``; sources are numbered as the stacks are."""
        _, sources = self._sources(s, claim.point[0])
        claims = []
        for source, layers in sources.items():
            weights = self._weights(layers, claim)
            value = self._output_sum(target, trace, source, weights)
            claims.append(OutputClaim(source, weights, value))
        transcript.send("inputs", [output.value for output in claims])
        return claims

    def verify(
        self, transcript: VerifierTranscript, inputs: np.ndarray, s: int, claim: Value
    ) -> list[OutputClaim]:
        """``inputs``: the public inputs x_0, int16, batch x features."""
        public, sources = self._sources(s, claim.point[0])
        values = transcript.receive("inputs", len(sources))
        rest = claim.value - sum(values, self.field.element(0))
        if 0 in self.stacks[s].layers:
            at_inputs = extension_of_integers(
                cpu_target(), self.field, inputs.reshape(-1), inputs.shape, claim.point[1:]
            )
            rest = rest - public * at_inputs
        transcript.require_zero(rest, "a layer's input is not the output of the layer before it")
        return [
            OutputClaim(source, self._weights(layers, claim), value)
            for (source, layers), value in zip(sources.items(), values, strict=True)
        ]

    def _sources(
        self, s: int, at_layer: Sequence[Element]
    ) -> tuple[Element, dict[int, list[Element]]]:
        """(coefficient of the public inputs, source stack -> one weight a layer)."""
        home = {
            layer: (source, position)
            for source, stack in enumerate(self.stacks)
            for position, layer in enumerate(stack.layers)
        }
        public: Any = 0
        sources: dict[int, list[Element]] = {}
        for position, layer in enumerate(self.stacks[s].layers):
            coefficient = eq.eq_at(at_layer, position)
            if layer == 0:
                public = coefficient
                continue
            source, slot = home[layer - 1]
            zeros = [self.field.element(0)] * len(self.stacks[source].layers)
            sources.setdefault(source, zeros)[slot] = coefficient + self.field.element(0)
        return public, sources

    def _weights(self, layers: list[Element], claim: Value) -> AxisWeights:
        _, at_row, at_inner = claim.point
        return AxisWeights((VectorAxis(tuple(layers)), EqAxis(at_row), EqAxis(at_inner)))

    def _output_sum(
        self, target: Target, trace: Trace, source: int, weights: AxisWeights
    ) -> Element:
        """The weighted sum of the ReLU outputs of a stack."""
        stack = self.stacks[source]
        rows = len(stack.layers) * self.batch
        outputs = target.to_device(np.stack([trace.layer_input(l + 1) for l in stack.layers]))
        leading = AxisWeights(weights.axes[:2]).table(
            target, self.field, (len(stack.layers), self.batch)
        )
        last = weights.axes[2].table(target, self.field, stack.d_out)
        return weighted_sum(target, self.field, outputs, rows, stack.d_out, leading, last)
