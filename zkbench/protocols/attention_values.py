"""What attention gathers: the weighted sums of values

    acc[l, bi, i, h, d] = sum over bj <= bi and j of P[l, h, t(bi, bj), i, j] v[l, bj, j, h // G, d]

Claim: the extension of acc (layers x blocks x B x heads x head_dim) at (z_l, z_b, z_i, z_h, z_d). With

    a[l, h, bj, j] = sum over bi >= bj and i of eq(z_b, bi) eq(z_i, i) P[l, h, t(bi, bj), i, j]
    w[l, bj, j, g] = sum over d of eq(z_d, d) v[l, bj, j, g, d]

it is the sum over l, h, bj, j of eq(z_l, l) eq(z_h, h) a[l, h, bj, j] w[l, bj, j, h // G]: one product
sumcheck over layers x heads x positions. Both factors are linear in P and in v, with weights that are
products of axes: two claims remain, for the caller to check. P is virtual (a table's outputs), so the
claim on it is one on outputs of logUp*. That P and v are small integers is the caller's to check.

Rounds: log2 of layers, heads, blocks and B. Sent: two elements besides. Soundness error: 3 / |E| a
round. Prover: one pass over P's indices, 2 bytes and one integer times an element of E (4 word
products) a score; then S (H + Hkv d) operations a layer. Verifier: T multiplications for the weights
of the tiles, and the rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zkbench.commitments.claims import AxisWeights, EqAxis, Value
from zkbench.fields import Field
from zkbench.kernels import eq
from zkbench.kernels.attention import Tiles, expand_groups
from zkbench.kernels.contract import contract
from zkbench.kernels.launch import Array, Target
from zkbench.protocols.causal_tiles import (
    AttentionShape,
    Weighted,
    eq_weights,
    tiles_of_rows,
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
class AttentionValues:
    """Weighted sums of values of a stack of this shape, of integers of magnitude at most 2^16."""

    field: Field
    shape: AttentionShape

    def _axes(self, claim: Value) -> list[Axis]:
        at_layer, _, _, at_head, _ = claim.point
        points = (at_layer, at_head, None, None)
        return [Axis(n, point) for n, point in zip(self.shape.rows, points, strict=True)]

    def prove(
        self, transcript: ProverTranscript, target: Target, p: Tiles, v: Array, claim: Value
    ) -> tuple[Weighted, Weighted]:
        """Returns the claims on P and on v (int16 on the target); ``claim`` is on acc."""
        tables = self._tables(target, p, v, claim)
        statement = ProductStatement(target, self.field, tables, self._axes(claim))
        point, values = Sumcheck(self.field).prove(transcript, statement)
        transcript.send("factors", values)
        return self._claims(claim, point, values)

    def verify(self, transcript: VerifierTranscript, claim: Value) -> tuple[Weighted, Weighted]:
        """Returns the claims on P and on v that the caller must check."""
        point, final = Sumcheck(self.field).verify(transcript, claim.value, self._axes(claim))
        values = transcript.receive("factors", 2)
        transcript.require_zero(final - values[0] * values[1], "an attention output is wrong")
        return self._claims(claim, point, values)

    def soundness_terms(self) -> list[Term]:
        """Each source of error, with its bits."""
        rounds = sum(num_variables(length) for length in self.shape.rows)
        return [Term("attention outputs", Sumcheck(self.field).soundness_bits(rounds))]

    def _tables(self, target: Target, p: Tiles, v: Array, claim: Value) -> list[Array]:
        """a, and w for every query head: layers x heads x blocks x B elements of E each."""
        shape, field = self.shape, self.field
        _, at_block, at_i, _, at_width = claim.point
        rows = shape.layers * shape.positions * shape.kv_heads
        weights = eq.eq_table(target, field, at_width, shape.head_dim)
        by_group = contract(target, field, v, rows, shape.head_dim, 1, weights)
        sizes = (shape.layers, shape.positions, shape.heads, shape.group)
        at_blocks = eq.eq_table(target, field, at_block, shape.blocks)
        at_rows = eq.eq_table(target, field, at_i, shape.block)
        return [
            p.sum_columns(field, at_blocks, at_rows),
            expand_groups(target, field, by_group, *sizes),
        ]

    def _claims(
        self, claim: Value, point: Sequence[Element], values: Sequence[Element]
    ) -> tuple[Weighted, Weighted]:
        shape, field = self.shape, self.field
        _, at_block, at_i, _, at_width = claim.point
        at_layer, at_head, at_column, at_j = split_point(point, shape.rows)
        at_rows = eq_weights(field, at_block, shape.blocks)
        tiles = tiles_of_rows(shape, at_rows, eq_weights(field, at_column, shape.blocks))
        inside = (EqAxis(tuple(at_i)), EqAxis(at_j))
        on_p = AxisWeights((EqAxis(at_layer), EqAxis(at_head), tiles, *inside))
        positions = (EqAxis(at_layer), EqAxis(at_column), EqAxis(at_j))
        on_v = AxisWeights((*positions, shape.at_head(at_head), EqAxis(tuple(at_width))))
        return (on_p, values[0]), (on_v, values[1])
