"""Matrix products over a stack: A_l = X_l W_l for all layers l of equal shape, by one sumcheck.

Claim: the extension of A (layers x rows x d_out) at (z_l, z_r, z_o) equals

    sum over l, k of eq(z_l, l) X(l, z_r, k) W(l, k, z_o)

X and W are first evaluated in their rows' and columns' variables (a pass over the small integers,
kernels/contract.py), then a product sumcheck runs over log2 d_in + log2 layers variables. It leaves a
claim on X at (rho_l, z_r, rho_k) and one on W at (rho_l, rho_k, z_o), both for the caller to check:
this is zkLLM's and zkDL's matrix product, with the layers as further variables (FAC4DNN).

All entries are integers; A is their product over the integers as long as no sum reaches p / 2, which
the caller guarantees by range checks. Soundness error: 3 / |E| a round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zkbench.commitments.claims import Value
from zkbench.fields import Field
from zkbench.kernels import eq
from zkbench.kernels.contract import contract
from zkbench.kernels.launch import Array, Target
from zkbench.protocols.sumcheck import (
    Axis,
    ProductStatement,
    Sumcheck,
    num_variables,
    split_point,
)
from zkbench.security import Term
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any


@dataclass(frozen=True)
class MatMul:
    """Stacks X: layers x rows x d_in and W: layers x d_in x d_out of integers below 2^16."""

    field: Field
    layers: int
    rows: int
    d_in: int
    d_out: int

    def _axes(self, claim: Value) -> list[Axis]:
        return [Axis(self.layers, claim.point[0]), Axis(self.d_in)]

    def prove(
        self, transcript: ProverTranscript, target: Target, x: Array, w: Array, claim: Value
    ) -> tuple[Value, Value]:
        """Returns the claims on X and on W; ``claim`` is on A, one point an axis."""
        _, at_row, at_out = claim.point
        row_weights = eq.eq_table(target, self.field, at_row, self.rows)
        out_weights = eq.eq_table(target, self.field, at_out, self.d_out)
        left = contract(target, self.field, x, self.layers, self.rows, self.d_in, row_weights)
        right = contract(target, self.field, w, self.layers * self.d_in, self.d_out, 1, out_weights)
        statement = ProductStatement(target, self.field, [left, right], self._axes(claim))
        point, values = Sumcheck(self.field).prove(transcript, statement)
        transcript.send("factors", values)
        return self._claims(claim, point, values)

    def verify(self, transcript: VerifierTranscript, claim: Value) -> tuple[Value, Value]:
        """Returns the claims on X and on W that the caller must check."""
        point, final = Sumcheck(self.field).verify(transcript, claim.value, self._axes(claim))
        values = transcript.receive("factors", 2)
        transcript.require_zero(final - values[0] * values[1], "a matrix product is wrong")
        return self._claims(claim, point, values)

    def soundness_terms(self) -> list[Term]:
        """Each source of error, with its bits."""
        rounds = num_variables(self.layers) + num_variables(self.d_in)
        return [Term("matrix product", Sumcheck(self.field).soundness_bits(rounds))]

    def _claims(
        self, claim: Value, point: list[Element], values: list[Element]
    ) -> tuple[Value, Value]:
        at_layer, at_inner = split_point(point, (self.layers, self.d_in))
        _, at_row, at_out = claim.point
        return (
            Value((at_layer, at_row, at_inner), values[0]),
            Value((at_layer, at_inner, at_out), values[1]),
        )
