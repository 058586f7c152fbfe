"""Axes of a tensor, their variables, and points cut into one for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Element = Any


def num_variables(length: int) -> int:
    """Variables of an axis of ``length`` entries: ceil(log2 length)."""
    return (length - 1).bit_length()


@dataclass(frozen=True)
class Axis:
    """One axis of a tensor: ``length`` real entries, zero-extended to the next power of two.

    ``point`` (little-endian, ``num_variables(length)`` elements) weights the axis by eq(point, .);
    None sums it plainly.
    """

    length: int
    point: tuple[Element, ...] | None = None

    @property
    def variables(self) -> int:
        return num_variables(self.length)

    def bind_lowest(self) -> Axis:
        """The axis left over when its lowest variable is bound."""
        return Axis((self.length + 1) // 2, None if self.point is None else self.point[1:])


def split_point(point: Sequence[Element], shape: Sequence[int]) -> list[tuple[Element, ...]]:
    """Cut a little-endian point over all variables into one point an axis (first axis first)."""
    points, start = [], 0
    for length in reversed(shape):
        stop = start + num_variables(length)
        points.append(tuple(point[start:stop]))
        start = stop
    return points[::-1]


def axes_at(shape: Sequence[int], point: Sequence[Element]) -> list[Axis]:
    """The axes of a tensor of this shape, all weighted by eq at ``point``."""
    return [Axis(n, p) for n, p in zip(shape, split_point(point, shape), strict=True)]
