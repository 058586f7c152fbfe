"""Claims about committed tensors: a weighted sum of the entries has a given value.

A claim says sum over entries e of w[e] tensor[e] = value, over the real entries alone: an axis whose
length n is no power of two simply has n weights. Entries are in row-major order, the last axis
lowest; a point's element i belongs to bit i of the index.

The prover adds the weights into a dense vector; the verifier evaluates the same dense vector's
multilinear extension at one point, tile by tile, with nothing of the tensor's size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np

from zkbench.commitments.layout import Slot, log_tile
from zkbench.fields import Field
from zkbench.kernels import eq
from zkbench.kernels.functional import kernels
from zkbench.kernels.launch import Array, Target, cpu_target

Element = Any
Table = tuple[Array, int]  # E elements on a target, and how many
_SPLIT_BITS = 11  # the leading axis is split in two tables from this many variables on


class PointTables:
    """Tables of eq at a verifier's point, for dense indices in units of 2^b entries."""

    def __init__(self, field: Field, point: Sequence[Element]) -> None:
        self.field, self.point = field, list(point)
        self.halves = cache(self._halves)

    def _halves(self, log_unit: int) -> tuple[Array, Array, int]:
        """(table of the low variables, of the high ones, number of low variables)."""
        point = self.point[log_unit:]
        log_low = len(point) // 2
        low, high = point[:log_low], point[log_low:]
        tables = [eq.eq_table(cpu_target(), self.field, part, 1 << len(part)) for part in (low, high)]
        return tables[0], tables[1], log_low


class AxisFunction(Protocol):
    """Weights along one axis of a tensor."""

    def check(self, length: int) -> None:
        """Raise ValueError unless these are weights for an axis of ``length`` entries."""

    def table(self, target: Target, field: Field, length: int) -> Array:
        """All weights."""

    def tile_sum(self, field: Field, point: Sequence[Element]) -> Element:
        """sum over i < 2^len(point) of weight(i) eq(point, i): an axis of that length."""

    def reduce(self, field: Field, point: Sequence[Element], length: int) -> tuple[Element, Array]:
        """(scale, t) with scale t[j] = sum over i of weight(j 2^len(point) + i) eq(point, i)."""


@dataclass(frozen=True)
class EqAxis:
    """Weights eq(point, i): the axis is evaluated at a point of ceil(log2 length) elements."""

    point: tuple[Element, ...]

    def check(self, length: int) -> None:
        if len(self.point) != (length - 1).bit_length():
            raise ValueError(f"a point of {len(self.point)} elements for an axis of length {length}")

    def table(self, target: Target, field: Field, length: int) -> Array:
        return eq.eq_table(target, field, self.point, length)

    def tile_sum(self, field: Field, point: Sequence[Element]) -> Element:
        return eq_value(self.point, point)

    def reduce(self, field: Field, point: Sequence[Element], length: int) -> tuple[Element, Array]:
        bits = len(point)
        rest = eq.eq_table(cpu_target(), field, self.point[bits:], length >> bits)
        return eq_value(self.point[:bits], point), rest


@dataclass(frozen=True)
class VectorAxis:
    """Explicit weights, one for each index."""

    values: tuple[Element, ...]

    def check(self, length: int) -> None:
        if len(self.values) != length:
            raise ValueError(f"{len(self.values)} weights for an axis of length {length}")

    def table(self, target: Target, field: Field, length: int) -> Array:
        return target.to_device(field.pack(self.values))

    def tile_sum(self, field: Field, point: Sequence[Element]) -> Element:
        scale, sums = self.reduce(field, point, len(self.values))
        return scale * field.unpack(sums)[0]

    def reduce(self, field: Field, point: Sequence[Element], length: int) -> tuple[Element, Array]:
        target, width = cpu_target(), 1 << len(point)
        sums = target.empty(length // width * field.ext.limbs)
        factors = eq.eq_table(target, field, point, width)
        values = field.pack(self.values)
        target.map(kernels(field).row_dots, length // width, values, factors, width, sums)
        return field.element(1), sums


@dataclass(frozen=True)
class OnesAxis:
    """The plain sum over the axis."""

    def check(self, length: int) -> None:
        """Fits every axis."""

    def table(self, target: Target, field: Field, length: int) -> Array:
        return target.to_device(_ones(field, length))

    def tile_sum(self, field: Field, point: Sequence[Element]) -> Element:
        return field.element(1)

    def reduce(self, field: Field, point: Sequence[Element], length: int) -> tuple[Element, Array]:
        return field.element(1), _ones(field, length >> len(point))


def _ones(field: Field, length: int) -> np.ndarray:
    words = np.zeros((length, field.ext.limbs), dtype=np.uint64)
    words[:, 0] = 1
    return words.reshape(-1)


def eq_value(a: Sequence[Element], b: Sequence[Element]) -> Element:
    """eq of two points, in O(len)."""
    value: Any = 1
    for x, y in zip(a, b, strict=True):
        value = value * (1 - x - y + 2 * (x * y))
    return value


class Functional(Protocol):
    """The weights of a claim."""

    def check(self, shape: Sequence[int]) -> None:
        """Raise ValueError unless these are weights for a tensor of this shape."""

    def accumulate(
        self, target: Target, field: Field, slot: Slot, scale: Element, weights: Array
    ) -> None:
        """Add scale times the weights into a dense vector of E elements."""

    def evaluate(self, tables: PointTables, slot: Slot) -> Element:
        """The multilinear extension of the dense weights at the tables' point."""


@dataclass(frozen=True)
class AxisWeights:
    """The product of one function an axis: w[i, j, ...] = axes[0](i) axes[1](j) ..."""

    axes: tuple[AxisFunction, ...]

    def check(self, shape: Sequence[int]) -> None:
        if len(self.axes) != len(shape):
            raise ValueError(f"weights of {len(self.axes)} axes for a tensor of shape {tuple(shape)}")
        for axis, length in zip(self.axes, shape, strict=True):
            axis.check(length)

    def accumulate(
        self, target: Target, field: Field, slot: Slot, scale: Element, weights: Array
    ) -> None:
        factors = [axis.table(target, field, n) for axis, n in self._factors(slot.shape)]
        lengths = [n for _, n in self._factors(slot.shape)]
        tables = list(zip(factors, lengths, strict=True))
        head = (target.to_device(field.pack([scale])), 1)
        (outer, _), (inner, width) = _balanced(target, field, [head, *tables])
        family = kernels(field)
        target.map(family.accumulate, slot.size, outer, inner, width, slot.offset, weights)

    def _factors(self, shape: Sequence[int]) -> list[tuple[AxisFunction, int]]:
        """The axes and their lengths; a long leading eq axis becomes two, the first rounded up."""
        pairs = list(zip(self.axes, shape, strict=True))
        if pairs and isinstance(pairs[0][0], EqAxis) and len(pairs[0][0].point) > _SPLIT_BITS:
            (axis, length), half = pairs[0], len(pairs[0][0].point) // 2
            low = (EqAxis(axis.point[:half]), 1 << half)
            return [(EqAxis(axis.point[half:]), -(-length >> half)), low, *pairs[1:]]
        return pairs

    def evaluate(self, tables: PointTables, slot: Slot) -> Element:
        field = tables.field
        bits = log_tile(slot.shape)
        scale, outer = self._over_tile(field, slot.shape, tables.point[:bits])
        base = slot.offset >> bits
        if not outer:
            return scale * eq_value(tables.point[bits:], _bits_of(base, len(tables.point) - bits))
        (high, count), (low, width) = _balanced(cpu_target(), field, outer)
        arguments = (high, low, width, *tables.halves(bits), base)
        words = cpu_target().reduce(kernels(field).eq_dot, count * width, *arguments)
        return scale * field.unpack(words)[0]

    def _over_tile(
        self, field: Field, shape: Sequence[int], point: Sequence[Element]
    ) -> tuple[Element, list[Table]]:
        """(scale, tables over the axes that select a tile) after summing the inside of each tile."""
        scale: Any = 1
        for k in reversed(range(len(shape))):
            length = shape[k]
            bits = ((length & -length) - 1).bit_length()
            inside, point = point[:bits], point[bits:]
            if length == 1 << bits:
                scale = scale * self.axes[k].tile_sum(field, inside)
                continue
            factor, table = self.axes[k].reduce(field, inside, length)
            outer = [
                (axis.table(cpu_target(), field, n), n)
                for axis, n in zip(self.axes[:k], shape[:k], strict=True)
            ]
            return scale * factor, [*outer, (table, length >> bits)]
        return scale, []


def _balanced(target: Target, field: Field, tables: Sequence[Table]) -> tuple[Table, Table]:
    """Two tables whose outer product is that of all of them, as equal in length as can be."""
    lengths = [length for _, length in tables]
    costs = [math.prod(lengths[:k]) + math.prod(lengths[k:]) for k in range(1, len(tables))]
    cut = 1 + costs.index(min(costs)) if costs else 1
    return _product(target, field, tables[:cut]), _product(target, field, tables[cut:])


def _product(target: Target, field: Field, tables: Sequence[Table]) -> Table:
    if not tables:
        return target.to_device(_ones(field, 1)), 1
    table, length = tables[0]
    for other, count in tables[1:]:
        table = eq.outer_product(target, field, table, length, other, count)
        length *= count
    return table, length


def _bits_of(index: int, count: int) -> list[int]:
    return [(index >> k) & 1 for k in range(count)]


@dataclass(frozen=True)
class Sparse:
    """Coefficients of some entries, by their unique flat indices; all other weights are zero."""

    indices: tuple[int, ...]
    coefficients: tuple[Element, ...]

    def check(self, shape: Sequence[int]) -> None:
        size = math.prod(shape)
        if len(set(self.indices)) != len(self.indices) or len(self.indices) != len(self.coefficients):
            raise ValueError("sparse weights need one coefficient for each of their unique indices")
        if any(not 0 <= index < size for index in self.indices):
            raise ValueError(f"an index is outside a tensor of {size} entries")

    def accumulate(
        self, target: Target, field: Field, slot: Slot, scale: Element, weights: Array
    ) -> None:
        indices = target.to_device(np.array(self.indices, dtype=np.int64))
        words = target.to_device(field.pack(self.coefficients))
        arguments = (indices, words, field.scalar(scale), slot.offset, weights)
        target.map(kernels(field).scatter, len(self.indices), *arguments)

    def evaluate(self, tables: PointTables, slot: Slot) -> Element:
        field = tables.field
        if not self.indices:
            return field.element(0)
        indices = np.array(self.indices, dtype=np.int64)
        arguments = (indices, field.pack(self.coefficients), *tables.halves(0), slot.offset)
        words = cpu_target().reduce(kernels(field).sparse_eq_dot, len(indices), *arguments)
        return field.unpack(words)[0]


@dataclass(frozen=True)
class Claim:
    """sum of the functional's weights times the tensor's entries = value, an element of E."""

    tensor: str
    functional: Functional
    value: Element
