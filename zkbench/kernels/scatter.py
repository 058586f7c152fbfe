"""Histograms and push-forwards: sums scattered into a table by small indices.

Bodies add 32-bit pieces into 64-bit words through an ``add`` that the target gives: plain on a
thread's own copy of the table on a CPU, atomic on CUDA. Up to 2^32 additions a word cannot overflow.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from zkbench.fields import Field
from zkbench.jit import device
from zkbench.kernels.launch import Array, Scatter, Target, kernel

_LOW = np.uint64(2**32 - 1)
_32 = np.uint64(32)
_ONE = np.uint64(1)


def _histogram_body(add: Any) -> Any:
    @device(f"scatter.histogram.{add.__name__}")
    def body(i, table, base, values, offset):
        add(table, base + np.int64(values[i]) + offset, _ONE)

    return body


_histogram = Scatter("scatter.histogram", _histogram_body)


@cache
def _kernels(field: Field) -> SimpleNamespace:
    words = field.ext.limbs

    def push_body(add: Any) -> Any:
        @device(f"scatter.push.{field.name}.{add.__name__}")
        def body(i, table, base, values, offset, weights):
            start = base + 2 * words * (np.int64(values[i]) + offset)
            for k in range(words):
                word = weights[words * i + k]
                add(table, start + 2 * k, word & _LOW)
                add(table, start + 2 * k + 1, word >> _32)

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
    target: Target, field: Field, values: Array, count: int, offset: int, weights: Array, size: int
) -> Array:
    """Y[j] = sum of weights[i] over i with values[i] + offset = j: ``size`` elements of E."""
    words = field.ext.limbs
    pieces = target.scatter(_kernels(field).push, count, 2 * words * size, values, offset, weights)
    out = target.empty(size * words)
    target.map(_kernels(field).join, size * words, pieces, out)
    return out
