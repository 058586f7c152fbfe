"""Multilinear extensions of integer tensors at a point: what provers send and verifiers recompute."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from zkbench.commitments.claims import AxisWeights, OnesAxis
from zkbench.fields import Field
from zkbench.kernels.contract import weighted_sum
from zkbench.kernels.launch import Array, Target

Element = Any


def extension_of_integers(
    target: Target,
    field: Field,
    values: Array,
    shape: Sequence[int],
    point: Sequence[Sequence[Element]],
) -> Element:
    """The extension of ``values`` (flat integers below 2^16 in magnitude) at one point an axis."""
    return sum_of_integers(target, field, values, shape, AxisWeights.at(point))


def sum_of_integers(
    target: Target, field: Field, values: Array, shape: Sequence[int], weights: AxisWeights
) -> Element:
    """The weighted sum of ``values`` (flat integers below 2^16 in magnitude)."""
    *above, last = weights.axes
    leading = AxisWeights((OnesAxis(), *above)).table(target, field, (1, *shape[:-1]))
    col_weights = last.table(target, field, shape[-1])
    sizes = prod(shape[:-1]), shape[-1]
    return weighted_sum(target, field, values, *sizes, leading, col_weights)
