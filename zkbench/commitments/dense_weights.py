"""Functionals over the dense vector: the prover writes their weights, the verifier evaluates them.

The dense weights of a claim are w[e - offset] inside its tensor and zero outside. The prover adds
them into a vector of E elements; the verifier evaluates that vector's multilinear extension at one
point. Inside a tile the axes factor. Above it stands the odd part m of an axis, so tile r m + c is no
concatenation of bits; but the bits of r are added in one by one, m times each, with a carry below
m + 1, and the sum over them is a product of small matrices (``_carried``). Only what is above those
bits, or has weights without factors, is gone through entry by entry.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from zkbench.commitments.claims import (
    AxisWeight,
    AxisWeights,
    EqAxis,
    Factor,
    Functional,
    OnesAxis,
    Sparse,
    joined_axes,
)
from zkbench.commitments.layout import Slot, log_tile
from zkbench.fields import Field
from zkbench.kernels import eq
from zkbench.kernels.functional import kernels
from zkbench.kernels.launch import Array, Target, cpu_target
from zkbench.protocols.sumcheck import num_variables

Element = Any
Table = tuple[Array, int]  # E elements on a target, and how many
_SPLIT_BITS = 11  # a leading eq axis of more variables is split in two tables


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
        tables = [
            eq.eq_table(cpu_target(), self.field, part, 1 << len(part)) for part in (low, high)
        ]
        return tables[0], tables[1], log_low


def accumulate(
    target: Target, field: Field, slot: Slot, functional: Functional, scale: Element, weights: Array
) -> None:
    """weights[offset + e] += scale * w[e] for every entry e of the tensor, on the target."""
    if isinstance(functional, Sparse):
        indices = target.to_device(np.array(functional.indices, dtype=np.int64))
        coefficients = target.to_device(field.pack(functional.coefficients))
        arguments = (indices, coefficients, field.scalar(scale), slot.offset, weights)
        target.map(kernels(field).scatter, len(functional.indices), *arguments)
        return
    tables = tensor_tables(target, field, functional, slot.shape)
    accumulate_tables(target, field, slot, tables, scale, weights)


def tensor_tables(
    target: Target, field: Field, functional: AxisWeights, shape: Sequence[int]
) -> list[Table]:
    """At most two tables, about equal in length, whose outer product is the weights of a tensor."""
    factors = _factors(functional, shape)
    tables = [(axis.table(target, field, n), n) for axis, n in factors]
    return tables if len(tables) < 2 else [*_balanced(target, field, tables)]


def accumulate_tables(
    target: Target,
    field: Field,
    slot: Slot,
    tables: Sequence[Table],
    scale: Element,
    weights: Array,
) -> None:
    """``accumulate`` from the tables of a tensor's weights."""
    head = (target.to_device(field.pack([scale])), 1)
    (outer, _), (inner, width) = _balanced(target, field, [head, *tables])
    target.map(kernels(field).accumulate, slot.size, outer, inner, width, slot.offset, weights)


def evaluate(tables: PointTables, slot: Slot, functional: Functional) -> Element:
    """sum over entries e of w[e] eq(z, offset + e), z the tables' point."""
    if isinstance(functional, Sparse):
        return _evaluate_sparse(tables, slot, functional)
    field, bits = tables.field, log_tile(slot.shape)
    scale, above, inner = _over_tile(field, functional, slot.shape, tables.point[:bits])
    base = slot.offset >> bits
    if inner is None:
        return scale * eq.eq_at(tables.point[bits:], base)
    step = inner[1]
    above, (carries, width), bits = _carried(tables, above, inner, bits, base)
    outer = [(axis.table(cpu_target(), field, length), length) for axis, length in above]
    rows, count = product(cpu_target(), field, outer)
    start = slot.offset >> bits
    arguments = (rows, carries, width, step, *tables.halves(bits), start)
    words = cpu_target().reduce(kernels(field).eq_dot, count * width, *arguments)
    return scale * field.unpack(words)[0]


def _carried(
    tables: PointTables, above: Sequence[Factor], inner: Table, bits: int, base: int
) -> tuple[list[Factor], Table, int]:
    """Sum over the low bits of the axes above an odd one: (what is above, sums by carry, bits done).

    Axes whose weights do not factor by bits end it, and so does the odd part of an axis.
    """
    left, (sums, count), step = list(above), inner, inner[1]
    while left:
        axis, length = left[-1]
        if not isinstance(axis, EqAxis | OnesAxis):
            break
        left.pop()
        inside = (length & -length).bit_length() - 1
        for k in range(inside):
            weights = _bit_weights(tables.field, axis, k, tables.point[bits])
            sums, count = _add_bit(tables.field, sums, count, step, base & 1, weights)
            base, bits = base >> 1, bits + 1
        if length != 1 << inside:
            rest = EqAxis(axis.point[inside:]) if isinstance(axis, EqAxis) else axis
            return [*left, (rest, length >> inside)], (sums, count), bits
    return left, (sums, count), bits


def _bit_weights(field: Field, axis: EqAxis | OnesAxis, k: int, z: Element) -> Array:
    """The weight of bit k of an axis being r, times that of the position's bit being b, at 2 r + b."""
    factors = (1, 1) if isinstance(axis, OnesAxis) else (1 - axis.point[k], axis.point[k])
    return field.pack([r * b for r in factors for b in (1 - z, z)])


def _add_bit(
    field: Field, sums: Array, count: int, step: int, bit: int, weights: Array
) -> tuple[Array, int]:
    after = (count - 1 + bit + step) // 2 + 1
    out = cpu_target().empty(after * field.ext.limbs)
    arguments = (sums, count, step, bit, weights, out)
    cpu_target().map(kernels(field).carry_bit, after, *arguments)
    return out, after


def _evaluate_sparse(tables: PointTables, slot: Slot, functional: Sparse) -> Element:
    field = tables.field
    if not functional.indices:
        return field.element(0)
    indices = np.array(functional.indices, dtype=np.int64)
    coefficients = field.pack(functional.coefficients)
    arguments = (indices, coefficients, *tables.halves(0), slot.offset)
    words = cpu_target().reduce(kernels(field).sparse_eq_dot, len(indices), *arguments)
    return field.unpack(words)[0]


def _factors(functional: AxisWeights, shape: Sequence[int]) -> list[Factor]:
    """The axes and their lengths; a long leading axis becomes two, the first rounded up."""
    pairs = joined_axes(functional.axes, shape)
    if not pairs or num_variables(pairs[0][1]) <= _SPLIT_BITS:
        return pairs
    axis, length = pairs[0]
    half = num_variables(length) // 2
    halves = _halves_of(axis, half)
    return (
        [(halves[0], -(-length >> half)), (halves[1], 1 << half), *pairs[1:]] if halves else pairs
    )


def _halves_of(axis: AxisWeight, half: int) -> tuple[AxisWeight, AxisWeight] | None:
    """Weights over the high variables and over the ``half`` low ones, if these factor."""
    if isinstance(axis, EqAxis):
        return EqAxis(axis.point[half:]), EqAxis(axis.point[:half])
    return (axis, axis) if isinstance(axis, OnesAxis) else None


def _over_tile(
    field: Field, functional: AxisWeights, shape: Sequence[int], point: Sequence[Element]
) -> tuple[Element, list[Factor], Table | None]:
    """Once the inside of a tile is summed: (scale, axes above, table over the odd part of an axis)."""
    axes = functional.axes
    scale: Any = 1
    for k in reversed(range(len(shape))):
        length = shape[k]
        bits = ((length & -length) - 1).bit_length()
        inside, point = point[:bits], point[bits:]
        if length == 1 << bits:
            scale = scale * axes[k].extension(inside, length)
            continue
        factor, table = axes[k].reduce(field, inside, length)
        above = list(zip(axes[:k], shape[:k], strict=True))
        return scale * factor, above, (table, length >> bits)
    return scale, [], None


def _balanced(target: Target, field: Field, tables: Sequence[Table]) -> tuple[Table, Table]:
    """Two tables whose outer product is that of all of them, as equal in length as can be."""
    lengths = [length for _, length in tables]
    costs = [math.prod(lengths[:k]) + math.prod(lengths[k:]) for k in range(1, len(tables))]
    cut = 1 + costs.index(min(costs)) if costs else 1
    return product(target, field, tables[:cut]), product(target, field, tables[cut:])


def product(target: Target, field: Field, tables: Sequence[Table]) -> Table:
    """The outer product of tables, the last one running fastest; not to be written to."""
    if not tables:
        return eq.one(target, field), 1
    table, length = tables[0]
    for other, count in tables[1:]:
        table = eq.outer_product(target, field, table, length, other, count)
        length *= count
    return table, length
