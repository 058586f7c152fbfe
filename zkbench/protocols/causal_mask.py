"""The causal mask: P[l, h, t(b, b), i, j] = 0 wherever j > i. No position has a weight on a later one.

P is virtual, a function of committed indices. An additive mask moves the indices of masked scores to
where the table is zero, but only as long as no masked score lies far above the ones that count: this
is what shows that none does. At a point (r_l, r_h, r_b, r_i, r_j) drawn after the indices were bound,
the extension of P times the mask must be zero:

    sum over i, j of eq(r_i, i) eq(r_j, j) [j > i] p(i, j) = 0,
    p(i, j) = sum over l, h, b of eq(r_l, l) eq(r_h, h) eq(r_b, b) P[l, h, t(b, b), i, j]

One product sumcheck over B x B entries; the mask's extension is in closed form, p's value is a claim on
P, for the caller to check. Tiles off the diagonal have no masked entries, and those above it do not
exist.

Rounds: 2 log2 B. Sent: one element besides. Soundness error: 3 / |E| a round, and 1 / |E| for each
variable of the point. Prover: one pass over the tiles on the diagonal, 2 / (n + 1) of all scores, 2
bytes and an integer times an element of E for each. Verifier: the rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zkbench.commitments.claims import AxisWeights, EqAxis
from zkbench.fields import Field
from zkbench.kernels import eq
from zkbench.kernels.attention import Tiles
from zkbench.kernels.launch import Array, Target
from zkbench.protocols.causal_tiles import (
    AttentionShape,
    Weighted,
    eq_weights,
    later,
    tiles_on_diagonal,
)
from zkbench.protocols.gkr import depth
from zkbench.protocols.sumcheck import Axis, ProductStatement, Sumcheck, split_point
from zkbench.security import Term, error_bits
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any
_Points = Sequence[tuple[Element, ...]]  # of layer, head, block, i and j


@dataclass(frozen=True)
class CausalMask:
    """Masked weights of a stack of this shape."""

    field: Field
    shape: AttentionShape

    @property
    def _diagonal(self) -> tuple[int, int, int, int, int]:
        shape = self.shape
        return shape.layers, shape.heads, shape.blocks, shape.block, shape.block

    def _points(self, transcript: Any) -> _Points:
        return split_point(transcript.challenges("mask", depth(self._diagonal)), self._diagonal)

    def _axes(self, points: _Points) -> list[Axis]:
        return [Axis(self.shape.block, point) for point in points[3:]]

    def prove(self, transcript: ProverTranscript, target: Target, p: Tiles) -> Weighted:
        """Returns the claim on P."""
        points = self._points(transcript)
        tables = [self._mask(target), self._sum_diagonal(target, p, points)]
        statement = ProductStatement(target, self.field, tables, self._axes(points))
        point, values = Sumcheck(self.field).prove(transcript, statement)
        transcript.send("weight", values[1:])
        return self._claim(points, point, values[1])

    def verify(self, transcript: VerifierTranscript) -> Weighted:
        """Returns the claim on P that the caller must check."""
        points = self._points(transcript)
        zero = self.field.element(0)
        point, final = Sumcheck(self.field).verify(transcript, zero, self._axes(points))
        (value,) = transcript.receive("weight", 1)
        at_i, at_j = split_point(point, self._diagonal[3:])
        transcript.require_zero(final - later(at_i, at_j) * value, "a masked position has a weight")
        return self._claim(points, point, value)

    def soundness_terms(self) -> list[Term]:
        """Each source of error, with its bits."""
        rounds = 2 * self.shape.log_block
        return [
            Term("causal mask", Sumcheck(self.field).soundness_bits(rounds)),
            Term("causal mask's point", error_bits(self.field.bits, depth(self._diagonal))),
        ]

    def _mask(self, target: Target) -> Array:
        block = self.shape.block
        mask = np.triu(np.ones((block, block), dtype=np.uint64), 1)
        return target.to_device(self.field.lift(mask))

    def _sum_diagonal(self, target: Target, p: Tiles, points: _Points) -> Array:
        sizes = self._diagonal[:2]
        at_head = AxisWeights.at(points[:2]).table(target, self.field, sizes)
        at_block = eq.eq_table(target, self.field, points[2], self.shape.blocks)
        return p.sum_diagonal(self.field, at_head, at_block)

    def _claim(self, points: _Points, point: Sequence[Element], value: Element) -> Weighted:
        at_layer, at_head, at_block, *_ = points
        weights = eq_weights(self.field, at_block, self.shape.blocks)
        tiles = tiles_on_diagonal(self.shape, weights)
        at_i, at_j = split_point(point, self._diagonal[3:])
        axes = (EqAxis(at_layer), EqAxis(at_head), tiles, EqAxis(at_i), EqAxis(at_j))
        return AxisWeights(axes), value
