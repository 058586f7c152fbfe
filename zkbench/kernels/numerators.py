"""Numerators of the leaves of a fraction tree, as sums of products of two small tables each.

Leaf c of row r has the numerator

    sum over claims k < num_claims of outer[k, r * num_high + (c >> shift)] * inner[k, c mod 2^shift]

so that no table needs an element of E for each leaf: for rows of 2^30 leaves whose weights are an eq
table, two tables of 2^15 elements do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

from zkbench.fields import Field
from zkbench.fields.field import Arithmetic
from zkbench.jit import device
from zkbench.kernels.launch import Array, Target, kernel


@dataclass(frozen=True)
class Numerators:
    """The tables, and how a leaf finds its factors in them; ``cols``: leaves a row.

    ``outer``: num_claims x outer_size elements of E, ``inner``: num_claims x inner_size.
    """

    cols: int
    outer: Array
    inner: Array
    num_claims: int
    outer_size: int
    inner_size: int
    num_high: int
    shift: int

    @classmethod
    def dense(cls, target: Target, field: Field, words: Array, count: int) -> Numerators:
        """One element of E for each of ``count`` leaves, given as flat words."""
        one = target.to_device(field.pack([1]))
        return cls(count, words, one, 1, count, 1, count, 0)

    def in_rows(self, cols: int) -> Numerators:
        """The same numerators of leaves that are counted in rows of ``cols``."""
        if cols == self.cols:
            return self
        if self.shift or self.num_claims > 1:
            raise ValueError(f"numerators of rows of {self.cols} leaves, not of {cols}")
        return Numerators(cols, self.outer, self.inner, 1, self.outer_size, 1, cols, 0)

    def arguments(self) -> tuple[Any, ...]:
        """What ``numerator_function`` takes after the leaf's row and column."""
        sizes = self.num_claims, self.outer_size, self.inner_size
        return self.outer, self.inner, *sizes, self.num_high, self.shift


@cache
def numerator_function(ring: Arithmetic) -> Any:
    """(row, column, *arguments of Numerators) -> the leaf's numerator."""
    add, mul, load = ring.add, ring.mul, ring.load

    @device(f"numerators.numerator.{ring.name}")
    def numerator(row, c, outer, inner, num_claims, outer_size, inner_size, num_high, shift):
        high = row * num_high + (c >> shift)
        low = c - ((c >> shift) << shift)
        total = mul(load(outer, high), load(inner, low))
        for _ in range(1, num_claims):
            high += outer_size
            low += inner_size
            total = add(total, mul(load(outer, high), load(inner, low)))
        return total

    return numerator


@cache
def kernels(field: Field) -> SimpleNamespace:
    ring = field.ext
    mul, load, store = ring.mul, ring.load, ring.store

    @kernel(f"numerators.put_scaled.{field.name}")
    def put_scaled(i, table, start, other, scale):
        """table[start + i] = scale * other[i]."""
        store(table, start + i, mul(load(other, i), scale))

    return SimpleNamespace(put_scaled=put_scaled)


def stack(target: Target, field: Field, tables: list[tuple[Any, Array]], size: int) -> Array:
    """Tables of ``size`` elements of E, each times its scale, one after the other."""
    out = target.empty(len(tables) * size * field.ext.limbs)
    for k, (scale, table) in enumerate(tables):
        scalar = field.scalar(scale)
        target.map(kernels(field).put_scaled, size, out, k * size, table, scalar)
    return out
