"""The weights of claims as numerators of a fraction tree's leaves (kernels/numerators.py).

The weights of a claim are a product over the tensor's axes. Its entries are cut in two inside one of
the axes, so that the product over the axes above the cut and that over the axes below it are tables
of about equal size, and small ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from zkbench.commitments.claims import (
    AxisWeight,
    AxisWeights,
    EqAxis,
    OnesAxis,
    VectorAxis,
    WordsAxis,
)
from zkbench.fields import Field
from zkbench.kernels.launch import Target
from zkbench.kernels.numerators import Numerators, stack
from zkbench.protocols.sumcheck import num_variables

Element = Any
Shape = tuple[int, ...]
_WHOLE_ROW_BITS = 12  # rows of more variables are cut


def claims_numerators(
    target: Target, field: Field, shape: Shape, claims: Sequence[tuple[Element, AxisWeights]]
) -> Numerators:
    """For each entry of a tensor, the sum of scale * weight over (scale, weights) of the claims."""
    first = _first_axis_of_row(shape)
    axis, bits = _cut(shape, first, [weights for _, weights in claims])
    length = shape[axis]
    high_shape = (*shape[:axis], -(-length >> bits))
    low_shape = (min(length, 1 << bits), *shape[axis + 1 :])
    outer, inner = [], []
    for scale, weights in claims:
        high, low = _halves(weights.axes[axis], bits)
        above = AxisWeights((*weights.axes[:axis], high))
        below = AxisWeights((low, *weights.axes[axis + 1 :]))
        outer.append((scale, above.table(target, field, high_shape)))
        inner.append((1, below.table(target, field, low_shape)))
    sizes = prod(high_shape), prod(low_shape)
    return Numerators(
        prod(shape[first:]),
        stack(target, field, outer, sizes[0]),
        stack(target, field, inner, sizes[1]),
        len(claims),
        *sizes,
        prod(high_shape[first:]),
        bits + num_variables(prod(shape[axis + 1 :])),
    )


def _first_axis_of_row(shape: Shape) -> int:
    """Axes from this one on make the rows of leaves: see ``protocols/gkr.py: merged_shape``."""
    odd = [axis for axis, length in enumerate(shape) if length & (length - 1)]
    return max(odd, default=0)


def _cut(shape: Shape, first: int, weights: Sequence[AxisWeights]) -> tuple[int, int]:
    """(axis, how many of its low variables are below the cut); explicit weights stay whole."""
    variables = sum(map(num_variables, shape[first:]))
    wanted = variables if variables <= _WHOLE_ROW_BITS else (variables + 1) // 2
    for axis in reversed(range(first, len(shape))):
        inside = num_variables(shape[axis])
        if wanted <= inside or axis == first:
            break
        wanted -= inside
    if any(isinstance(w.axes[axis], VectorAxis | WordsAxis) for w in weights):
        return axis, inside
    return axis, min(wanted, inside)


def _halves(axis: AxisWeight, bits: int) -> tuple[AxisWeight, AxisWeight]:
    """Weights of an axis above its lowest ``bits`` variables, and on these."""
    if isinstance(axis, EqAxis):
        return EqAxis(axis.point[bits:]), EqAxis(axis.point[:bits])
    return OnesAxis(), axis
