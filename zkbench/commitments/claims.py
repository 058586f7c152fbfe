"""Claims on committed tensors: sum over entries of w[entry] * tensor[entry] = value.

Entries are the real ones, row-major, last axis lowest. An axis whose length is no power of two is
zero-extended virtually: weights exist for real entries only, so nothing that lies between tensors
in a commitment can take part in a claim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zkbench.fields import Field
from zkbench.kernels import eq
from zkbench.kernels.launch import Array, Target

Element = Any


@dataclass(frozen=True)
class EqAxis:
    """Weights eq(point, i), i < length; ``point`` is little-endian, ceil(log2 length) elements."""

    point: tuple[Element, ...]

    def table(self, target: Target, field: Field, length: int) -> Array:
        """The weights of the real entries, as flat E words."""
        return eq.eq_table(target, field, self.point, length)

    def extension(self, at: Sequence[Element], length: int) -> Element:
        """The multilinear extension of the weights (zero beyond ``length``) at a point."""
        return eq.truncated_eq(self.point, at, length)


@dataclass(frozen=True)
class OnesAxis:
    """Weight 1 for every real entry: the axis is summed."""

    def table(self, target: Target, field: Field, length: int) -> Array:
        return target.to_device(field.pack([1] * length))

    def extension(self, at: Sequence[Element], length: int) -> Element:
        return eq.truncated_eq(at, None, length)


@dataclass(frozen=True)
class VectorAxis:
    """Explicit weights, one element of E an entry: for short axes such as layers."""

    values: tuple[Element, ...]

    def table(self, target: Target, field: Field, length: int) -> Array:
        return target.to_device(field.pack(self.values))

    def extension(self, at: Sequence[Element], length: int) -> Element:
        total: Any = 0
        for i, value in enumerate(self.values):
            total = total + value * eq.eq_at(at, i)
        return total


AxisWeight = EqAxis | OnesAxis | VectorAxis


@dataclass(frozen=True)
class AxisWeights:
    """w = product over the tensor's axes, first axis first."""

    axes: tuple[AxisWeight, ...]

    @classmethod
    def at(cls, points: Sequence[Sequence[Element]]) -> AxisWeights:
        """The claim's value is the multilinear extension at these points, one an axis."""
        return cls(tuple(EqAxis(tuple(point)) for point in points))

    def table(self, target: Target, field: Field, shape: Sequence[int]) -> Array:
        """The weights of all real entries, as flat E words."""
        table, count = self.axes[0].table(target, field, shape[0]), shape[0]
        for axis, length in zip(self.axes[1:], shape[1:], strict=True):
            low = axis.table(target, field, length)
            table = eq.outer_product(target, field, table, count, low, length)
            count *= length
        return table

    def extension(self, at: Sequence[Sequence[Element]], shape: Sequence[int]) -> Element:
        """The multilinear extension of the weights at one point an axis."""
        value: Any = 1
        for axis, point, length in zip(self.axes, at, shape, strict=True):
            value = value * axis.extension(point, length)
        return value


@dataclass(frozen=True)
class Sparse:
    """Weights at a few entries: unique flat indices, and one element of E for each."""

    indices: tuple[int, ...]
    coefficients: tuple[Element, ...]


Functional = AxisWeights | Sparse


@dataclass(frozen=True)
class Claim:
    """sum over entries of functional(entry) * tensor(entry) = value."""

    tensor: str
    functional: Functional
    value: Element
