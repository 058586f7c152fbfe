"""Batch inversion in E by Montgomery's trick, and base-field columns of vectors of E."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from zkbench.fields import Field
from zkbench.kernels.launch import Array, Target, kernel

Element = Any
_CPU_BLOCK = 1 << 10  # elements that one inversion is shared by; they stay in the cache


@cache
def kernels(field: Field) -> SimpleNamespace:
    ring = field.ext
    load, store, one, add, mul = ring.load, ring.store, ring.one, ring.add, ring.mul
    mul_base = ring.mul_base
    inverse, from_int, limbs = ring.inverse, ring.from_int, ring.limbs

    @kernel(f"inverses.shift.{field.name}")
    def shift(i, values, beta, out):
        """out[i] = beta + values[i]."""
        store(out, i, add(beta, from_int(np.int64(values[i]))))

    @kernel(f"inverses.invert.{field.name}")
    def invert(i, table, start_step, step, block, count, out):
        """Item i inverts table[first + k step], k < block: three products an element.

        On the way up, ``out`` holds the product of all elements before.
        """
        first = i * start_step
        stop = min(first + block * step, count)
        product = one()
        for position in range(first, stop, step):
            store(out, position, product)
            product = mul(product, load(table, position))
        rest = inverse(product)
        position = first + (stop - first - 1) // step * step
        while position >= first:
            store(out, position, mul(rest, load(out, position)))
            rest = mul(rest, load(table, position))
            position -= step

    @kernel(f"inverses.column.{field.name}")
    def column(i, table, which, out):
        """out[i] = coefficient ``which`` of element i."""
        out[i] = table[limbs * i + which]

    @kernel(f"inverses.sum_columns.{field.name}", ring, field.degree)
    def sum_columns(i, acc, table):
        """The sum of each coefficient, as elements of E."""
        first, second = mul_base(one(), table[2 * i]), mul_base(one(), table[2 * i + 1])
        return add(acc[0], first), add(acc[1], second)

    return SimpleNamespace(shift=shift, invert=invert, column=column, sum_columns=sum_columns)


def shifted(target: Target, field: Field, values: Array, count: int, beta: Element) -> Array:
    """beta + values[i] for ``count`` integers, as flat E words."""
    out = target.empty(count * field.ext.limbs)
    target.map(kernels(field).shift, count, values, field.scalar(beta), out)
    return out


def invert(target: Target, field: Field, table: Array, count: int) -> Array:
    """1 / table[i] for ``count`` elements of E.

    A zero has no inverse: its whole block comes out as zeros, so the caller must exclude it.
    """
    out = target.empty(count * field.ext.limbs)
    if target.name == "cuda":  # neighbouring threads read neighbouring elements
        items = min(count, target.parallel_items)
        start_step, step, block = 1, items, -(-count // items)
    else:
        items, start_step, step, block = -(-count // _CPU_BLOCK), _CPU_BLOCK, 1, _CPU_BLOCK
    arguments = (table, start_step, step, block, count, out)
    target.map(kernels(field).invert, items, *arguments, grain=8)
    return out


def split_columns(target: Target, field: Field, table: Array, count: int) -> list[Array]:
    """The ``degree`` base-field columns of ``count`` elements of E, as words of F."""
    result = []
    for which in range(field.degree):
        out = target.empty(count)
        target.map(kernels(field).column, count, table, which, out)
        result.append(out)
    return result


def sum_columns(target: Target, field: Field, table: Array, count: int) -> list[Element]:
    """The sums of the ``degree`` base-field columns of ``count`` elements of E."""
    return field.unpack(target.reduce(kernels(field).sum_columns, count, table))
