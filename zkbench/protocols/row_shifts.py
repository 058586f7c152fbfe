"""The shifts of attention's rows, committed in limbs, and how they enter the scores' equations.

shift[l, h, i] = sum over limbs of 2^(bits * limb) limb - offset, offset half the range. A shift counts
once for every score of its row: at a point of the scores its tensor's value is linear in the limbs,
with weights of its block's tiles. Beside it stands the public mask. Nothing is proven here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from zkbench.commitments.claims import AxisWeights, EqAxis, VectorAxis
from zkbench.fields import Field
from zkbench.kernels.contract import contract, dot
from zkbench.kernels.launch import Array, Target
from zkbench.protocols.causal_tiles import AttentionShape, eq_weights, masked, row_weights
from zkbench.protocols.gkr import Shape
from zkbench.protocols.range_checks import RangeCheck
from zkbench.protocols.tlookup import indicator

Element = Any
Points = Sequence[Sequence[Element]]


@dataclass(frozen=True)
class RowShifts:
    """Limbs of ``bits`` bits with these names, the lowest first."""

    field: Field
    shape: AttentionShape
    names: tuple[str, ...]
    bits: int

    @property
    def offset(self) -> int:
        """What is subtracted, so that the range of shifts is symmetric."""
        return 1 << (self.bits * len(self.names) - 1)

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        return tuple(RangeCheck(name, 1 << self.bits, self.shape.rows) for name in self.names)

    def weights(self, point: Points) -> AxisWeights:
        """By which a limb enters the scores at a point."""
        at_layer, at_head, at_tile, at_i, _ = map(tuple, point)
        tiles = eq_weights(self.field, at_tile, self.shape.tiles)
        rows = VectorAxis(tuple(row_weights(self.shape, tiles)))
        return AxisWeights((EqAxis(at_layer), EqAxis(at_head), rows, EqAxis(at_i)))

    def value(self, limbs: Sequence[Element], point: Points, mask: int) -> Element:
        """Shift plus mask [j > i], at a point, from the limbs' values there."""
        at_tile, at_i, at_j = point[2:]
        real = indicator(self.shape.scores, point)
        heads = indicator(self.shape.scores[:2], point[:2])
        tiles = eq_weights(self.field, at_tile, self.shape.tiles)
        total = mask * heads * masked(self.shape, tiles, at_i, at_j) - self.offset * real
        for k, limb in enumerate(limbs):
            total = total + limb * (1 << (self.bits * k))
        return total


def weighted_total(
    target: Target, field: Field, values: Array, shape: Shape, weights: AxisWeights
) -> Element:
    """sum over entries of weights(entry) values[entry], for a tensor of scores or of rows.

    First over layers, heads and tiles (or blocks), whose products are few; ``values``: integers below
    2^16 in magnitude.
    """
    outer, inner = shape[:3], shape[3:]
    leading = AxisWeights(weights.axes[:3]).table(target, field, outer)
    inside = AxisWeights(weights.axes[3:]).table(target, field, inner)
    by_cell = contract(target, field, values, 1, prod(outer), prod(inner), leading)
    return dot(target, field, by_cell, inside, prod(inner))
