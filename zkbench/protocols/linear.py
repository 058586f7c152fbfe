"""Linear layers over a stack: acc_l = X_l W_l + b_l for all layers l of equal shape.

The bias is added to every real row, so at (z_l, z_r, z_o) it contributes 1(z_r) b(z_l, z_o), with
1(z_r) the extension of the vector that is 1 at the real rows. The prover sends b's value; the rest of
the claim is a matrix product (protocols/matmul.py). The caller must check the claims on X, W and b.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zkbench.commitments.claims import Value
from zkbench.fields import Field
from zkbench.kernels import eq
from zkbench.kernels.launch import Array, Target
from zkbench.protocols.matmul import MatMul
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any


@dataclass(frozen=True)
class LinearClaims:
    """What is left to be checked: values of X (layers x rows x d_in), W and b."""

    inputs: Value
    weights: Value
    bias: Value


@dataclass(frozen=True)
class Linear:
    """Stacks X: layers x rows x d_in, W: layers x d_in x d_out, b: layers x d_out."""

    field: Field
    layers: int
    rows: int
    d_in: int
    d_out: int

    @property
    def _matmul(self) -> MatMul:
        return MatMul(self.field, self.layers, self.rows, self.d_in, self.d_out)

    def prove(
        self,
        transcript: ProverTranscript,
        target: Target,
        x: Array,
        w: Array,
        bias: list[Element],
        claim: Value,
    ) -> LinearClaims:
        """``bias``: layers x d_out elements of E, flat; ``claim`` is on the accumulators."""
        value = self._bias_at(bias, claim)
        transcript.send("bias", [value])
        product, bias_claim = self._without_bias(claim, value)
        inputs, weights = self._matmul.prove(transcript, target, x, w, product)
        return LinearClaims(inputs, weights, bias_claim)

    def verify(self, transcript: VerifierTranscript, claim: Value) -> LinearClaims:
        """Returns the claims that the caller must check."""
        (value,) = transcript.receive("bias", 1)
        product, bias_claim = self._without_bias(claim, value)
        inputs, weights = self._matmul.verify(transcript, product)
        return LinearClaims(inputs, weights, bias_claim)

    def _without_bias(self, claim: Value, bias: Element) -> tuple[Value, Value]:
        at_layer, at_row, at_out = claim.point
        real_rows = eq.truncated_eq(at_row, None, self.rows)
        return Value(claim.point, claim.value - real_rows * bias), Value((at_layer, at_out), bias)

    def _bias_at(self, bias: list[Element], claim: Value) -> Element:
        """The extension of the bias at (z_l, z_o): few values, so in Python."""
        at_layer, _, at_out = claim.point
        total: Any = self.field.element(0)
        for layer in range(self.layers):
            row = bias[layer * self.d_out : (layer + 1) * self.d_out]
            total = total + eq.eq_at(at_layer, layer) * sum_products(row, at_out)
        return total


def sum_products(values: list[Element], point: tuple[Element, ...]) -> Element:
    """The extension of a short vector at a point, by folding."""
    for r in point:
        padded = [*values, 0] if len(values) % 2 else values
        values = [a + r * (b - a) for a, b in zip(padded[::2], padded[1::2], strict=True)]
    return values[0]
