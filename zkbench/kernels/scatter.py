"""Histograms and push-forwards: sums scattered into a table by small indices.

Bodies add 32-bit pieces into 64-bit words through an ``add`` that the target gives: plain on a
thread's own copy of the table on a CPU, atomic on CUDA. Up to 2^32 additions a word cannot overflow;
a longer push-forward is the sum of several. On CUDA both are bound by the atomic additions: one a
value for a histogram, four for a push-forward. Where all go to one word of one table, that is a value a
nanosecond on an H100 instead of 40; so there are copies of it (``CudaTarget.scatter``).
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from zkbench.fields import Field
from zkbench.jit import device
from zkbench.kernels.contract import kernels as contract_kernels
from zkbench.kernels.gkr import row_of
from zkbench.kernels.launch import Array, Scatter, Target, kernel
from zkbench.kernels.numerators import Numerators, numerator_function

_LOW = np.uint64(2**32 - 1)
_32 = np.uint64(32)
_ONE = np.uint64(1)
_MAX_ADDITIONS = 1 << 32


def _histogram_body(add: Any) -> Any:
    @device(f"scatter.histogram.{add.__name__}")
    def body(i, table, base, values, offset):
        add(table, base + np.int64(values[i]) + offset, _ONE)

    return body


_histogram = Scatter("scatter.histogram", _histogram_body)


@cache
def _kernels(field: Field) -> SimpleNamespace:
    words = field.ext.limbs
    assert words == 2
    numerator, canonical = numerator_function(field.ext), field.ext.canonical

    def push_body(add: Any) -> Any:
        @device(f"scatter.push.{field.name}.{add.__name__}")
        def body(i, table, base, values, offset, first, cols, *numerators):
            leaf = i + first
            row = row_of(leaf, cols)
            weight = canonical(numerator(row, leaf - row * cols, *numerators))
            start = base + 2 * words * (np.int64(values[leaf]) + offset)
            add(table, start, weight[0] & _LOW)
            add(table, start + 1, weight[0] >> _32)
            add(table, start + 2, weight[1] & _LOW)
            add(table, start + 3, weight[1] >> _32)

        return body

    base_add, base_mul, base_store = field.base.add, field.base.mul, field.base.store

    @kernel(f"scatter.join.{field.name}")
    def join(i, table, out):
        """Word i of the table of E elements from its two sums of 32-bit pieces."""
        high = base_mul(table[2 * i + 1], _LOW + _ONE)
        base_store(out, i, base_add(table[2 * i], high))

    return SimpleNamespace(push=Scatter(f"scatter.push.{field.name}", push_body), join=join)


def histogram(target: Target, values: Array, count: int, offset: int, size: int) -> Array:
    """How often each of 0 .. size - 1 occurs among values[i] + offset, as ``size`` uint64 on the target.

    The caller guarantees the range; an index outside would write outside.
    """
    return target.scatter(_histogram, count, size, values, offset)


def push_forward(
    target: Target,
    field: Field,
    values: Array,
    count: int,
    offset: int,
    weights: Numerators,
    size: int,
) -> Array:
    """Y[j] = sum of weights[i] over i with values[i] + offset = j: ``size`` elements of E."""
    pushed = None
    for first in range(0, max(count, 1), _MAX_ADDITIONS):
        number = min(_MAX_ADDITIONS, count - first)
        part = _push(target, field, number, size, values, offset, first, weights)
        if pushed is None:
            pushed = part
        else:
            add = contract_kernels(field).add_scaled
            target.map(add, size, pushed, part, field.scalar(1))
    return pushed


def _push(
    target: Target,
    field: Field,
    number: int,
    size: int,
    values: Array,
    offset: int,
    first: int,
    weights: Numerators,
) -> Array:
    """The part of ``number`` values from the one at ``first`` on."""
    words, kernels = field.ext.limbs, _kernels(field)
    arguments = values, offset, first, weights.cols, *weights.arguments()
    pieces = target.scatter(kernels.push, number, 2 * words * size, *arguments)
    out = target.empty(size * words)
    target.map(kernels.join, size * words, pieces, out)
    return out
