"""Rotary embedding: every head's vector, turned pair by pair by angles that its position gives.

With halves paired as in Hugging Face's LLaMA (d with d + W/2), for d < W/2

    acc[l, b, i, h, d]       = cos[b, i, d] x[l, b, i, h, d] - sin[b, i, d] x[l, b, i, h, d + W/2]
    acc[l, b, i, h, d + W/2] = cos[b, i, d] x[l, b, i, h, d + W/2] + sin[b, i, d] x[l, b, i, h, d]

of shape layers x blocks x B x heads x W; cos and sin are public tables (protocols/rotary_tables.py).
Layers and heads are only carried along. So the extension of acc at (z_l, z_b, z_i, z_h, z_d) is

    sum over b, i, d of eq(z_b, b) eq(z_i, i) C(b, i, d) X(b, i, d),
    X(b, i, d) = the extension of x at (z_l, b, i, z_h, d),
    C(b, i, d) = eq(z_d, d) cos[b, i, d mod W/2] + s(d) eq(z_d, pair(d)) sin[b, i, d mod W/2]

s(d) = 1 for d < W/2 (x_d enters acc_(d + W/2) with +sin), -1 for the others. One product sumcheck
leaves a claim on x at (z_l, rho_b, rho_i, z_h, rho_d), for the caller to check; the verifier works
out C at the point itself. The caller also rescales acc (14 bits), and sees to it that the tables
are those of the model that the statement names: they are no part of the proof.

Rounds: log2 of blocks, B and W. Sent: one element besides. Soundness error: 3 / |E| a round. Prover:
one pass over x, 2 bytes an entry, then blocks B W elements of E, however many layers and heads
there are. Verifier: both tables once, a multiplication of an element with 16 bits an entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zkbench.commitments.claims import AxisWeights, Value
from zkbench.fields import Field
from zkbench.kernels.contract import weighted_sum
from zkbench.kernels.launch import Array, Target, cpu_target
from zkbench.kernels.rotary import coefficients, sum_heads
from zkbench.protocols.causal_tiles import eq_weights
from zkbench.protocols.gkr import Shape
from zkbench.protocols.rotary_tables import RotaryTables
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
class Rotary:
    """Tensors of ``shape`` = layers, blocks, B, heads, W, of integers below 2^16 in magnitude.

    Raises ValueError if W is odd, or if tables are not blocks B x W/2.
    """

    field: Field
    shape: Shape

    def __post_init__(self) -> None:
        if self.shape[-1] % 2:
            raise ValueError(f"a head of odd width {self.shape[-1]} has no pairs to rotate")

    @property
    def positions(self) -> int:
        return self.shape[1] * self.shape[2]

    @property
    def half(self) -> int:
        """Pairs of a head: half its width."""
        return self.shape[-1] // 2

    @property
    def _summed(self) -> Shape:
        _, blocks, block, _, width = self.shape
        return blocks, block, width

    def prove(
        self,
        transcript: ProverTranscript,
        target: Target,
        x: Array,
        tables: RotaryTables,
        claim: Value,
    ) -> Value:
        """Returns the claim on x (int16 on the target); ``claim`` is on acc."""
        factors = [self._coefficients(target, tables, claim), self._inputs(target, x, claim)]
        statement = ProductStatement(target, self.field, factors, self._axes(claim))
        point, (_, value) = Sumcheck(self.field).prove(transcript, statement)
        transcript.send("input", [value])
        return self._claim(claim, point, value)

    def verify(self, transcript: VerifierTranscript, tables: RotaryTables, claim: Value) -> Value:
        """Returns the claim on x that the caller must check."""
        point, final = Sumcheck(self.field).verify(transcript, claim.value, self._axes(claim))
        (value,) = transcript.receive("input", 1)
        coefficient = self._coefficient_at(tables, claim, point)
        transcript.require_zero(final - coefficient * value, "a rotation is wrong")
        return self._claim(claim, point, value)

    def soundness_terms(self) -> list[Term]:
        """Each source of error, with its bits."""
        rounds = sum(map(num_variables, self._summed))
        return [Term("rotary embedding", Sumcheck(self.field).soundness_bits(rounds))]

    def _axes(self, claim: Value) -> list[Axis]:
        _, at_block, at_row, _, _ = claim.point
        points = (at_block, at_row, None)
        return [Axis(n, point) for n, point in zip(self._summed, points, strict=True)]

    def _claim(self, claim: Value, point: Sequence[Element], value: Element) -> Value:
        at_layer, _, _, at_head, _ = claim.point
        at_block, at_row, at_width = split_point(point, self._summed)
        return Value((at_layer, at_block, at_row, at_head, at_width), value)

    def _inputs(self, target: Target, x: Array, claim: Value) -> Array:
        """X: blocks x B x W elements of E."""
        layers, _, _, heads, width = self.shape
        at_layer, _, _, at_head, _ = claim.point
        weights = AxisWeights.at((at_layer, at_head)).table(target, self.field, (layers, heads))
        return sum_heads(target, self.field, x, weights, (layers, self.positions, heads, width))

    def _coefficients(self, target: Target, tables: RotaryTables, claim: Value) -> Array:
        """C: blocks x B x W elements of E."""
        at_width = self._at_width(claim)
        sides = at_width, self._crossed(at_width)
        weights = tuple(target.to_device(self.field.pack(side)) for side in sides)
        angles = tuple(target.to_device(table) for table in self._checked(tables))
        return coefficients(target, self.field, angles, weights, self.positions, self.half)

    def _coefficient_at(
        self, tables: RotaryTables, claim: Value, point: Sequence[Element]
    ) -> Element:
        """The extension of C at the sumcheck's point: sums over both tables."""
        at_block, at_row, at_width = split_point(point, self._summed)
        target, positions = cpu_target(), self._summed[:2]
        rows = AxisWeights.at((at_block, at_row)).table(target, self.field, positions)
        total: Any = 0
        for table, weights in zip(
            self._checked(tables), self._column_weights(claim, at_width), strict=True
        ):
            values, columns = target.to_device(table), self.field.pack(weights)
            total = total + weighted_sum(
                target, self.field, values, self.positions, self.half, rows, columns
            )
        return total

    def _column_weights(
        self, claim: Value, at_width: Sequence[Element]
    ) -> tuple[list[Element], list[Element]]:
        """What each column of cos and of sin counts in C's extension at ``at_width``."""
        straight, half = self._at_width(claim), self.half
        point = eq_weights(self.field, at_width, 2 * half)
        sides = straight, self._crossed(straight)
        products = [[a * b for a, b in zip(point, side, strict=True)] for side in sides]
        on_cos, on_sin = ([p[j] + p[j + half] for j in range(half)] for p in products)
        return on_cos, on_sin

    def _at_width(self, claim: Value) -> list[Element]:
        """eq(z_d, d) for every d."""
        return eq_weights(self.field, claim.point[-1], self.shape[-1])

    def _crossed(self, at_width: list[Element]) -> list[Element]:
        """s(d) eq(z_d, pair(d)) for every d."""
        return at_width[self.half :] + [-w for w in at_width[: self.half]]

    def _checked(self, tables: RotaryTables) -> tuple[Any, Any]:
        size = (self.positions, self.half)
        if tables.cos.shape != size or tables.sin.shape != size:
            raise ValueError(f"rotary tables of shape {tables.cos.shape} where {size} is needed")
        return tables.cos, tables.sin
