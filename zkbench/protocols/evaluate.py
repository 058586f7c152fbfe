"""Multilinear extensions of integer tensors at a point: what provers send and verifiers recompute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zkbench.commitments.claims import AxisWeights
from zkbench.fields import Field
from zkbench.kernels import eq
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
    cols = shape[-1]
    col_weights = eq.eq_table(target, field, point[-1], cols)
    rows = 1
    for length in shape[:-1]:
        rows *= length
    leading = AxisWeights.at(point[:-1] or [()])
    row_weights = leading.table(target, field, shape[:-1] or (1,))
    return weighted_sum(target, field, values, rows, cols, row_weights, col_weights)
