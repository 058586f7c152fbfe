"""Claims on committed tensors: sum over entries of w[entry] * tensor[entry] = value.

Entries are the real ones, row-major, last axis lowest. An axis whose length is no power of two is
zero-extended virtually: weights exist for real entries only, so nothing that lies between tensors
in a commitment can take part in a claim.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zkbench.fields import Field
from zkbench.kernels import eq
from zkbench.kernels.functional import kernels
from zkbench.kernels.launch import Array, Target, cpu_target

Element = Any


# The functions of an axis, besides its table and its extension:
#   check(length)                 raises ValueError unless it weights an axis of that length;
#   reduce(field, point, length)  -> (scale, table of E elements on the CPU) for a verifier, with
#                                 scale * table[j] = sum over i of w[j 2^b + i] eq(point, i), where
#                                 point has b elements and 2^b divides the length.


@dataclass(frozen=True)
class EqAxis:
    """Weights eq(point, i), i < length; ``point`` is little-endian, ceil(log2 length) elements."""

    point: tuple[Element, ...]

    def check(self, length: int) -> None:
        if len(self.point) != (length - 1).bit_length():
            raise ValueError(
                f"a point of {len(self.point)} elements for an axis of length {length}"
            )

    def reduce(self, field: Field, point: Sequence[Element], length: int) -> tuple[Element, Array]:
        bits = len(point)
        scale = eq.truncated_eq(self.point[:bits], point, 1 << bits)
        return scale, eq.eq_table(cpu_target(), field, self.point[bits:], length >> bits)

    def table(self, target: Target, field: Field, length: int) -> Array:
        """The weights of the real entries, as flat E words; not to be written to."""
        return eq.shared_table(target, field, self.point, length)

    def extension(self, at: Sequence[Element], length: int) -> Element:
        """The multilinear extension of the weights (zero beyond ``length``) at a point."""
        return eq.truncated_eq(self.point, at, length)

    def total(self, length: int) -> Element:
        """The sum of the weights."""
        return eq.truncated_eq(self.point, None, length)


@dataclass(frozen=True)
class OnesAxis:
    """Weight 1 for every real entry: the axis is summed."""

    def check(self, length: int) -> None:
        """Fits every axis."""

    def reduce(self, field: Field, point: Sequence[Element], length: int) -> tuple[Element, Array]:
        return 1, self.table(cpu_target(), field, length >> len(point))

    def table(self, target: Target, field: Field, length: int) -> Array:
        return target.to_device(np.tile(field.pack([1]), length))

    def extension(self, at: Sequence[Element], length: int) -> Element:
        return eq.truncated_eq(at, None, length)

    def total(self, length: int) -> Element:
        return length


@dataclass(frozen=True)
class VectorAxis:
    """Explicit weights, one element of E an entry: for short axes such as layers."""

    values: tuple[Element, ...]

    def check(self, length: int) -> None:
        if len(self.values) != length:
            raise ValueError(f"{len(self.values)} weights for an axis of length {length}")

    def reduce(self, field: Field, point: Sequence[Element], length: int) -> tuple[Element, Array]:
        target, width = cpu_target(), 1 << len(point)
        sums = target.empty(length // width * field.ext.limbs)
        factors = eq.eq_table(target, field, point, width)
        values = field.pack(self.values)
        target.map(kernels(field).row_dots, length // width, values, factors, width, sums)
        return 1, sums

    def table(self, target: Target, field: Field, length: int) -> Array:
        return target.to_device(field.pack(self.values))

    def extension(self, at: Sequence[Element], length: int) -> Element:
        table: list[Any] = [1]
        for w in at:
            high = [w * value for value in table]
            table = [a - b for a, b in zip(table, high, strict=True)] + high
        return sum((a * b for a, b in zip(self.values, table, strict=False)), 0 * self.values[0])

    def total(self, length: int) -> Element:
        return sum(self.values[1:], self.values[0])


@dataclass(frozen=True, eq=False)
class WordsAxis:
    """Explicit weights as E words on the CPU: for long axes of few entries that are not zero."""

    field: Field
    words: np.ndarray

    @classmethod
    def of(cls, field: Field, length: int, entries: Mapping[int, Element]) -> WordsAxis:
        """Zero but for these entries."""
        words = np.zeros((length, field.ext.limbs), dtype=np.uint64)
        indices, values = list(entries), list(entries.values())
        words[indices] = field.pack(values).reshape(-1, field.ext.limbs)
        return cls(field, words.reshape(-1))

    def check(self, length: int) -> None:
        if len(self.words) != length * self.field.ext.limbs:
            raise ValueError(f"{len(self.words)} words of weights for an axis of length {length}")

    def reduce(self, field: Field, point: Sequence[Element], length: int) -> tuple[Element, Array]:
        target, width = cpu_target(), 1 << len(point)
        sums = np.empty(length // width * field.ext.limbs, dtype=np.uint64)
        factors = eq.eq_table(target, field, point, width)
        arguments = (self.words, factors, width, sums)
        target.map(kernels(field).row_dots, length // width, *arguments)
        return 1, sums

    def table(self, target: Target, field: Field, length: int) -> Array:
        return target.to_device(self.words)

    def extension(self, at: Sequence[Element], length: int) -> Element:
        return self._dot(eq.eq_table(cpu_target(), self.field, at, length), length)

    def total(self, length: int) -> Element:
        return self._dot(np.tile(self.field.pack([1]), length), length)

    def _dot(self, other: np.ndarray, length: int) -> Element:
        out = np.empty(self.field.ext.limbs, dtype=np.uint64)
        arguments = (self.words, other, length, out)
        cpu_target().map(kernels(self.field).row_dots, 1, *arguments)
        return self.field.unpack(out)[0]


AxisWeight = EqAxis | OnesAxis | VectorAxis | WordsAxis
Factor = tuple[AxisWeight, int]  # an axis, and its length
_JOINED_BITS = 11  # of axes that become one, at most: eq tables of more take several launches


def joined_axes(axes: Sequence[AxisWeight], shape: Sequence[int]) -> list[Factor]:
    """The same weights with fewer axes: each table is a launch of its own, however short."""
    result: list[Factor] = []
    for axis, length in zip(axes, shape, strict=True):
        if length == 1 and isinstance(axis, EqAxis | OnesAxis):
            continue  # the weight of its one entry is 1
        joined = _joined(result[-1], (axis, length)) if result else None
        result[-1:] = [joined] if joined else [*result[-1:], (axis, length)]
    return result


def _joined(high: Factor, low: Factor) -> Factor | None:
    """Two neighbours as one axis: both summed, or both eq at points where the low one is full."""
    (above, count), (below, length) = high, low
    if count * length > 1 << _JOINED_BITS:  # long ones stay apart: their product may be never made
        return None
    if isinstance(above, OnesAxis) and isinstance(below, OnesAxis):
        return above, count * length
    if not isinstance(above, EqAxis) or not isinstance(below, EqAxis):
        return None
    is_full = length == 1 << len(below.point)
    return (EqAxis(below.point + above.point), count * length) if is_full else None


@dataclass(frozen=True)
class AxisWeights:
    """w = product over the tensor's axes, first axis first."""

    axes: tuple[AxisWeight, ...]

    @classmethod
    def at(cls, points: Sequence[Sequence[Element]]) -> AxisWeights:
        """The claim's value is the multilinear extension at these points, one an axis."""
        return cls(tuple(EqAxis(tuple(point)) for point in points))

    def check(self, shape: Sequence[int]) -> None:
        """Raise ValueError unless these are weights for a tensor of this shape."""
        if len(self.axes) != len(shape):
            raise ValueError(
                f"weights of {len(self.axes)} axes for a tensor of shape {tuple(shape)}"
            )
        for axis, length in zip(self.axes, shape, strict=True):
            axis.check(length)

    def table(self, target: Target, field: Field, shape: Sequence[int]) -> Array:
        """The weights of all real entries, as flat E words; not to be written to."""
        (first, count), *others = joined_axes(self.axes, shape) or [(OnesAxis(), 1)]
        table = first.table(target, field, count)
        for axis, length in others:
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

    def check(self, shape: Sequence[int]) -> None:
        """Raise ValueError unless these are weights for a tensor of this shape."""
        size = math.prod(shape)
        if len(set(self.indices)) != len(self.indices) or len(self.indices) != len(
            self.coefficients
        ):
            raise ValueError("sparse weights need one coefficient for each of their unique indices")
        if any(not 0 <= index < size for index in self.indices):
            raise ValueError(f"an index is outside a tensor of {size} entries")


Functional = AxisWeights | Sparse


def sum_of_weights(functional: Functional, shape: Sequence[int]) -> Element:
    """The sum of all entries' weights, for a tensor of this shape."""
    if isinstance(functional, Sparse):
        return sum(functional.coefficients[1:], functional.coefficients[0])
    total: Any = 1
    for axis, length in zip(functional.axes, shape, strict=True):
        total = total * axis.total(length)
    return total


@dataclass(frozen=True)
class Claim:
    """sum over entries of functional(entry) * tensor(entry) = value."""

    tensor: str
    functional: Functional
    value: Element


@dataclass(frozen=True)
class Value:
    """The multilinear extension of a tensor at one point an axis."""

    point: tuple[tuple[Element, ...], ...]
    value: Element


@dataclass
class Book:
    """Claims on committed tensors, collected until they are opened."""

    claims: list[Claim] = field(default_factory=list)

    def add(self, tensor: str, value: Value) -> None:
        """The extension of ``tensor`` has this value."""
        self.claims.append(Claim(tensor, AxisWeights.at(value.point), value.value))

    def on(self, names: Sequence[str]) -> list[Claim]:
        """The claims on these tensors, in the order in which they were made."""
        return [claim for claim in self.claims if claim.tensor in names]
