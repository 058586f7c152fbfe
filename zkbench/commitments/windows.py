"""Splitting a claim's weights at the lowest bits of the entry index: w[h 2^b + l] = high[h] low[l]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zkbench.commitments.claims import (
    AxisWeight,
    AxisWeights,
    EqAxis,
    Functional,
    OnesAxis,
    Sparse,
    VectorAxis,
    WordsAxis,
)
from zkbench.commitments.layout import Shape


def factoring_bits(functional: Functional, shape: Sequence[int]) -> int:
    """The largest b at which the weights of a tensor of this shape factor."""
    if isinstance(functional, Sparse):
        return 0
    bits = 0
    for axis, length in zip(reversed(functional.axes), reversed(shape), strict=True):
        power = _two_adicity(length)
        if isinstance(axis, VectorAxis | WordsAxis) and length > 1:
            break
        bits += power
        if length != 1 << power:
            break
    return bits


@dataclass(frozen=True)
class SplitWeights:
    """Both factors, each with the shape of the entries that it weights."""

    high: AxisWeights
    high_shape: Shape
    low: AxisWeights
    low_shape: Shape


def split(functional: AxisWeights, shape: Sequence[int], bits: int) -> SplitWeights:
    """The factors at b = ``bits``, at most ``factoring_bits``."""
    high: list[tuple[AxisWeight, int]] = []
    low: list[tuple[AxisWeight, int]] = []
    for axis, length in zip(reversed(functional.axes), reversed(shape), strict=True):
        here = min(bits, _two_adicity(length))
        above, below = _halves(axis, here)
        high.append((above, length >> here))
        low.append((below, 1 << here))
        bits -= here
    return SplitWeights(*_weights(high), *_weights(low))


def _weights(axes: list[tuple[AxisWeight, int]]) -> tuple[AxisWeights, Shape]:
    """Weights and shape from axes, last one first; before them, one of length 1: a scalar has none."""
    whole = [(OnesAxis(), 1), *reversed(axes)]
    return AxisWeights(tuple(axis for axis, _ in whole)), tuple(length for _, length in whole)


def _halves(axis: AxisWeight, bits: int) -> tuple[AxisWeight, AxisWeight]:
    """The weights over the variables above the lowest ``bits``, and over these."""
    if isinstance(axis, EqAxis):
        return EqAxis(axis.point[bits:]), EqAxis(axis.point[:bits])
    return axis, OnesAxis()  # a vector is never cut: its length is 1, or no bits are left for it


def _two_adicity(length: int) -> int:
    return (length & -length).bit_length() - 1
