"""Tables of eq(w, x) = prod_i ((1 - w_i)(1 - x_i) + w_i x_i), and outer products of tables."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from zkbench.fields import Field
from zkbench.kernels.launch import Array, Target, kernel

_DIRECT_BITS = 11  # a table of more variables is the outer product of two smaller ones


@cache
def kernels(field: Field) -> SimpleNamespace:
    ring = field.ext
    one, mul, sub, load, store = ring.one, ring.mul, ring.sub, ring.load, ring.store

    @kernel(f"eq.direct.{field.name}")
    def direct(i, point, num_vars, out):
        """out[i] = eq(point, bits of i), index bit k <-> point[k]."""
        value = one()
        for k in range(num_vars):
            w = load(point, k)
            value = mul(value, w if (i >> k) & 1 else sub(one(), w))
        store(out, i, value)

    @kernel(f"eq.suffixes.{field.name}")
    def suffixes(i, point, num_vars, out):
        """out[2^t + j] = eq(last t variables of point, j); out[0] = 1 is never read."""
        value = one()
        size = np.int64(i)
        t = 0
        while size > 1:
            size >>= 1
            t += 1
        for k in range(t):
            w = load(point, num_vars - t + k)
            value = mul(value, w if (i >> k) & 1 else sub(one(), w))
        store(out, i, value)

    @kernel(f"eq.outer.{field.name}")
    def outer(i, high, low, low_length, out):
        """out[h * low_length + l] = high[h] * low[l]."""
        store(out, i, mul(load(high, i // low_length), load(low, i % low_length)))

    return SimpleNamespace(direct=direct, suffixes=suffixes, outer=outer)


def outer_product(
    target: Target,
    field: Field,
    high: Array,
    num_high: int,
    low: Array,
    num_low: int,
    length: int | None = None,
) -> Array:
    """The first ``length`` (all, if None) of high[h] * low[l], l running fastest."""
    length = num_high * num_low if length is None else length
    out = target.empty(length * field.ext.limbs)
    target.map(kernels(field).outer, length, high, low, num_low, out)
    return out


@lru_cache(maxsize=4)
def one(target: Target, field: Field) -> Array:
    """A table of one element, 1: the product of no tables. Not to be written to."""
    return target.to_device(field.pack([1]))


def eq_table(target: Target, field: Field, point: Sequence[Any], length: int) -> Array:
    """eq(point, i) for i < length <= 2^len(point), as flat E words; index bit k <-> point[k]."""
    if len(point) <= _DIRECT_BITS:
        out = target.empty(length * field.ext.limbs)
        words = target.to_device(field.pack(point))
        target.map(kernels(field).direct, length, words, len(point), out)
        return out
    half = len(point) // 2
    low = eq_table(target, field, point[:half], 1 << half)
    num_high = -(-length >> half)
    high = eq_table(target, field, point[half:], num_high)
    return outer_product(target, field, high, num_high, low, 1 << half, length)


def shared_table(target: Target, field: Field, point: tuple[Any, ...], length: int) -> Array:
    """``eq_table`` for those who only read: claims and statements side by side have axes in common."""
    make = _kept_table if len(point) <= _DIRECT_BITS else eq_table
    return make(target, field, point, length)


@lru_cache(maxsize=64)
def _kept_table(target: Target, field: Field, point: tuple[Any, ...], length: int) -> Array:
    """The last short tables, of at most 2^11 elements: 2 MiB."""
    return eq_table(target, field, point, length)


@lru_cache(maxsize=4)
def suffix_tables(target: Target, field: Field, point: tuple[Any, ...]) -> Array:
    """Tables of eq for every suffix of ``point``: the one of its last t variables starts at 2^t.

    Statements that run side by side have the same point, so the last tables are kept.
    """
    out = target.empty((1 << len(point)) * field.ext.limbs)
    words = target.to_device(field.pack(point) if point else np.zeros(field.ext.limbs, np.uint64))
    target.map(kernels(field).suffixes, 1 << len(point), words, len(point), out)
    return out


def eq_at(point: Sequence[Any], index: int) -> Any:
    """eq(point, bits of index); index bit k <-> point[k]."""
    value: Any = 1
    for k, w in enumerate(point):
        value = value * (w if (index >> k) & 1 else 1 - w)
    return value


def suffix_masses(point: Sequence[Any], length: int) -> list[Any]:
    """The sums of eq over what is left of ``length`` > 0 entries when variables are bound.

    With k bound, so t = len(point) - k left, at t: sum over i < ceil(length / 2^k) of eq(point[k:], i).
    Each comes from the one before: doubling the entries keeps their sum, and where their number is
    odd, the last one goes again.
    """
    mass: Any = 1 + 0 * point[-1] if point else 1
    masses, last = [mass], mass
    for k in reversed(range(len(point))):
        high = point[k] * last
        if -(-length >> k) & 1:
            mass, last = mass - high, last - high
        else:
            last = high
        masses.append(mass)
    return masses


def truncated_eq(a: Sequence[Any], b: Sequence[Any] | None, length: int) -> Any:
    """sum over i < length of eq(a, i) eq(b, i), or of eq(a, i) if b is None, in O(len(a)).

    Works on elements of E by + - * alone, so a verifier may use it. ``length`` <= 2^len(a).
    """
    if b is None:
        return suffix_masses(a, length)[-1] if length else 0
    zeros = [(1 - x) * (1 - y) for x, y in zip(a, b, strict=True)]
    ones = [x * y for x, y in zip(a, b, strict=True)]
    below: list[Any] = [1]  # below[k]: the whole sum over the lowest k bits
    for zero, one in zip(zeros, ones, strict=True):
        below.append(below[-1] * (zero + one))
    if length == 1 << len(a):
        return below[-1]
    total: Any = 0
    prefix: Any = 1
    for k in reversed(range(len(a))):
        if (length >> k) & 1:
            total = total + prefix * zeros[k] * below[k]
            prefix = prefix * ones[k]
        else:
            prefix = prefix * zeros[k]
    return total
