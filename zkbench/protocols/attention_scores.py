"""Attention scores: z[l, h, t(bi, bj), i, j] = sum_d q[l, bi, i, h, d] k[l, bj, j, h // G, d].

Claim: the extension of z (layers x heads x tiles x B x B, protocols/causal_tiles.py) at (z_l, z_h, z_t,
z_i, z_j). With q'[l, bi, h, d] and k'[l, bj, g, d] the tensors contracted at z_i and z_j (one pass over
the 16-bit data), it is

    sum over l, bi, h, d of eq(z_l, l) eq(z_h, h) q'[l, bi, h, d] u[l, bi, h, d],
    u[l, bi, h, d] = sum over bj <= bi of eq(z_t, t(bi, bj)) k'[l, bj, h // G, d]

a product sumcheck over layers x blocks x heads x head_dim entries: neither the scores nor anything of
one entry a tile is ever stored. u's extension at the sumcheck's point is linear in k, with weights that
are a product of axes: so two claims remain, on q and on k, for the caller to check. That q and k are
small integers, and z = q k over the integers then, is the caller's to check too.

Rounds: log2 of layers, blocks, heads and head_dim. Sent: two elements besides. Soundness error:
3 / |E| a round. Prover, for S positions: S (H + Hkv) d integers a layer, each read once and added in
once; (n + 1) / 2 multiplications for each entry of u; about 6 more in the sumcheck, of 32 bytes an
entry. A score costs (H + Hkv) d / (H S) of that: less the more positions there are. Verifier: T
multiplications for the weights of the tiles, and the rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zkbench.commitments.claims import AxisWeights, EqAxis, Value, VectorAxis
from zkbench.fields import Field
from zkbench.kernels import eq
from zkbench.kernels.attention import mix_blocks
from zkbench.kernels.contract import contract
from zkbench.kernels.launch import Array, Target
from zkbench.protocols.causal_tiles import (
    AttentionShape,
    Weighted,
    column_weights,
    eq_weights,
)
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
class AttentionScores:
    """Scores of a stack of this shape, of integers below 2^16 in magnitude."""

    field: Field
    shape: AttentionShape

    @property
    def _sizes(self) -> tuple[int, int, int, int]:
        shape = self.shape
        return shape.layers, shape.blocks, shape.heads, shape.head_dim

    def _axes(self, claim: Value) -> list[Axis]:
        at_layer, at_head, *_ = claim.point
        points = (at_layer, None, at_head, None)
        return [Axis(n, point) for n, point in zip(self._sizes, points, strict=True)]

    def prove(
        self, transcript: ProverTranscript, target: Target, q: Array, k: Array, claim: Value
    ) -> tuple[Weighted, Weighted]:
        """Returns the claims on q and on k (int16 on the target); ``claim`` is on z."""
        tables = self._tables(target, q, k, claim)
        statement = ProductStatement(target, self.field, tables, self._axes(claim))
        point, values = Sumcheck(self.field).prove(transcript, statement)
        transcript.send("factors", values)
        return self._claims(claim, point, values)

    def verify(self, transcript: VerifierTranscript, claim: Value) -> tuple[Weighted, Weighted]:
        """Returns the claims on q and on k that the caller must check."""
        point, final = Sumcheck(self.field).verify(transcript, claim.value, self._axes(claim))
        values = transcript.receive("factors", 2)
        transcript.require_zero(final - values[0] * values[1], "an attention score is wrong")
        return self._claims(claim, point, values)

    def soundness_terms(self) -> list[Term]:
        """Each source of error, with its bits."""
        rounds = sum(num_variables(length) for length in self._sizes)
        return [Term("attention scores", Sumcheck(self.field).soundness_bits(rounds))]

    def _tables(self, target: Target, q: Array, k: Array, claim: Value) -> list[Array]:
        """q' and u, layers x blocks x heads x head_dim elements of E each."""
        shape, field = self.shape, self.field
        _, _, at_tile, at_i, at_j = claim.point
        outer, width = shape.layers * shape.blocks, shape.head_dim
        row_weights = eq.eq_table(target, field, at_i, shape.block)
        left = contract(target, field, q, outer, shape.block, shape.heads * width, row_weights)
        column_weights = eq.eq_table(target, field, at_j, shape.block)
        inner = shape.kv_heads * width
        blocks = contract(target, field, k, outer, shape.block, inner, column_weights)
        weights = eq.eq_table(target, field, at_tile, shape.tiles)
        return [left, mix_blocks(target, field, blocks, weights, self._sizes, shape.group)]

    def _claims(
        self, claim: Value, point: Sequence[Element], values: Sequence[Element]
    ) -> tuple[Weighted, Weighted]:
        shape, field = self.shape, self.field
        _, _, at_tile, at_i, at_j = claim.point
        at_layer, at_block, at_head, at_width = split_point(point, self._sizes)
        on_q = AxisWeights.at((at_layer, at_block, at_i, at_head, at_width))
        tiles = eq_weights(field, at_tile, shape.tiles)
        at_column = column_weights(shape, tiles, eq_weights(field, at_block, shape.blocks))
        axes = (EqAxis(at_layer), VectorAxis(tuple(at_column)), EqAxis(tuple(at_j)))
        on_k = AxisWeights((*axes, shape.at_head(at_head), EqAxis(at_width)))
        return (on_q, values[0]), (on_k, values[1])
