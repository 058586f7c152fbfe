"""Linear layers over a stack: acc_l = X_l W_l + b_l for all layers l of equal shape.

The bias is added to every real row, so at (z_l, z_r, z_o) it contributes 1(z_r) b(z_l, z_o), with
1(z_r) the extension of the vector that is 1 at the real rows. The prover sends b's value; the rest of
the claim is a matrix product (protocols/matmul.py). The caller must check the claims on X, W and b.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from zkbench.commitments.claims import Value
from zkbench.fields import Field
from zkbench.kernels.contract import dot
from zkbench.kernels.launch import Array, Target
from zkbench.protocols.matmul import MatMul, Shape, axes_of, weights_at
from zkbench.protocols.tlookup import indicator
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
    """Stacks X: layers x rows x d_in, W: layers x d_in x d_out, b: layers x d_out.

    rows, d_in and d_out: a length, or the lengths of several axes.
    """

    field: Field
    layers: int
    rows: int | Shape
    d_in: int | Shape
    d_out: int | Shape

    @property
    def _matmul(self) -> MatMul:
        return MatMul(self.field, self.layers, self.rows, self.d_in, self.d_out)

    def prove(
        self,
        transcript: ProverTranscript,
        target: Target,
        x: Array,
        w: Array,
        bias: Array,
        claim: Value,
    ) -> LinearClaims:
        """``bias``: layers x d_out, E words on the target; ``claim`` is on the accumulators."""
        value = self._bias_at(target, bias, claim)
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
        at_layer, at_rows, at_out = self._matmul.split(claim.point)
        real_rows = indicator(axes_of(self.rows), at_rows)
        product = Value(claim.point, claim.value - real_rows * bias)
        return product, Value((*at_layer, *at_out), bias)

    def _bias_at(self, target: Target, bias: Array, claim: Value) -> Element:
        """The extension of the bias at (z_l, z_o)."""
        at_layer, _, at_out = self._matmul.split(claim.point)
        shape = (self.layers, *axes_of(self.d_out))
        weights = weights_at(target, self.field, (*at_layer, *at_out), shape)
        return dot(target, self.field, bias, weights, prod(shape))
