"""Weights of linear functionals over a dense vector: the prover writes, the verifier evaluates.

A tensor's weights are outer[e // width] * inner[e % width], e its row-major index: two small tables
stand for the product of any number of axes.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

from zkbench.fields import Field
from zkbench.kernels.launch import kernel


@cache
def kernels(field: Field) -> SimpleNamespace:
    ring = field.ext
    add, mul, zero, load, store = ring.add, ring.mul, ring.zero, ring.load, ring.store

    @kernel(f"functional.accumulate.{field.name}")
    def accumulate(i, outer, inner, width, offset, weights):
        """weights[offset + i] += outer[i // width] inner[i % width]."""
        row = i // width
        term = mul(load(outer, row), load(inner, i - row * width))
        store(weights, offset + i, add(load(weights, offset + i), term))

    @kernel(f"functional.scatter.{field.name}")
    def scatter(i, indices, coefficients, scale, offset, weights):
        """weights[offset + indices[i]] += scale coefficients[i]; indices are unique."""
        position = offset + indices[i]
        term = mul(scale, load(coefficients, i))
        store(weights, position, add(load(weights, position), term))

    @kernel(f"functional.eq_dot.{field.name}", ring, 1)
    def eq_dot(i, acc, outer, inner, width, stride, low, high, log_low, offset):
        """sum over rows and j < width of outer[row] inner[j] eq(z, offset + row stride + j).

        i = row width + j; low x high: eq at z.
        """
        row = i // width
        j = i - row * width
        position = offset + row * stride + j
        eq = mul(load(low, position & ((1 << log_low) - 1)), load(high, position >> log_low))
        weight = mul(load(outer, row), load(inner, j))
        return (add(acc[0], mul(weight, eq)),)

    @kernel(f"functional.carry_bit.{field.name}")
    def carry_bit(state, carries, count, step, bit, weights, out):
        """out[state] = sum of carries[s] weights[2 r + v % 2] over s, r with v // 2 = state.

        v = s + bit + r step, where r = 0, 1: a bit of a number that is multiplied by ``step``.
        """
        total = zero()
        for r in range(2):
            first = 2 * state - bit - r * step
            for s in range(max(first, 0), min(first + 2, count)):
                weight = load(weights, 2 * r + s - first)
                total = add(total, mul(load(carries, s), weight))
        store(out, state, total)

    @kernel(f"functional.sparse_eq_dot.{field.name}", ring, 1)
    def sparse_eq_dot(i, acc, indices, coefficients, low, high, log_low, offset):
        """sum of coefficients[i] eq(z, offset + indices[i])."""
        position = offset + indices[i]
        eq = mul(load(low, position & ((1 << log_low) - 1)), load(high, position >> log_low))
        return (add(acc[0], mul(load(coefficients, i), eq)),)

    @kernel(f"functional.row_dots.{field.name}")
    def row_dots(row, table, vector, width, out):
        """out[row] = sum over j < width of table[row, j] vector[j], all in E."""
        total = zero()
        for j in range(width):
            total = add(total, mul(load(table, row * width + j), load(vector, j)))
        store(out, row, total)

    return SimpleNamespace(
        accumulate=accumulate,
        scatter=scatter,
        eq_dot=eq_dot,
        carry_bit=carry_bit,
        sparse_eq_dot=sparse_eq_dot,
        row_dots=row_dots,
    )
