"""Kernels of WHIR: prefix-variable sumcheck and folding, in place, and power vectors.

The variable bound next is the highest bit of the index: entries i and i + n/2 are a pair, all loads
are unit-stride, and folding a vector is the same combination as that of its interleaved columns.
Power vectors x_j^i, i < n, are never written out: x^i = x^(i_high 2^h) x^i_low from two tables of
about sqrt(n) rows. Adding those of t points costs t n multiplications of E by F, which bound it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any

from zkbench.fields import Field
from zkbench.jit import device
from zkbench.kernels import functional
from zkbench.kernels.launch import Array, Target, kernel
from zkbench.kernels.powers import power_function

Element = Any


@cache
def kernels(field: Field) -> SimpleNamespace:
    """Sumcheck and folding."""
    ring = field.ext
    add, sub, mul, load, store = ring.add, ring.sub, ring.mul, ring.load, ring.store

    @device(f"whir.bind.{field.name}")
    def bind(table, i, half, r):
        """table[i] + r (table[i + half] - table[i]), stored and returned."""
        low = load(table, i)
        value = add(low, mul(r, sub(load(table, i + half), low)))
        store(table, i, value)
        return value

    @device(f"whir.pair.{field.name}")
    def pair(acc, f0, f1, w0, w1):
        lead = mul(sub(f1, f0), sub(w1, w0))
        return add(acc[0], mul(f0, w0)), add(acc[1], lead)

    @kernel(f"whir.round.{field.name}", ring, 2)
    def first_round(i, acc, f, w, half):
        """Value at 0 and leading coefficient of f(X) w(X), X the highest variable."""
        return pair(acc, load(f, i), load(f, i + half), load(w, i), load(w, i + half))

    @kernel(f"whir.fold_round.{field.name}", ring, 2)
    def fold_round(i, acc, f, w, quarter, r):
        """Bind the highest variable to r in place, then the round of the next one."""
        f0, f1 = bind(f, i, 2 * quarter, r), bind(f, i + quarter, 2 * quarter, r)
        w0, w1 = bind(w, i, 2 * quarter, r), bind(w, i + quarter, 2 * quarter, r)
        return pair(acc, f0, f1, w0, w1)

    @kernel(f"whir.fold.{field.name}")
    def fold(i, table, half, r):
        bind(table, i, half, r)

    @kernel(f"whir.stretch.{field.name}")
    def stretch(i, source, scale, log_stretch, out):
        """out[i 2^log_stretch] += scale source[i]."""
        place = i << log_stretch
        store(out, place, add(load(out, place), mul(scale, load(source, i))))

    return SimpleNamespace(round=first_round, fold_round=fold_round, fold=fold, stretch=stretch)


@cache
def power_kernels(field: Field) -> SimpleNamespace:
    """Vectors of powers, and polynomials at points."""
    base, ring, power = field.base, field.ext, power_function(field)
    zero, one, add, sub, mul, load, store = (
        ring.zero,
        ring.one,
        ring.add,
        ring.sub,
        ring.mul,
        ring.load,
        ring.store,
    )
    mul_base, load_base, store_base = ring.mul_base, base.load, base.store

    @kernel(f"whir.low_powers.{field.name}")
    def low_powers(i, points, num_points, out):
        """out[e, j] = points[j]^e, points of F."""
        e = i // num_points
        store_base(out, i, power(load_base(points, i - e * num_points), e))

    @kernel(f"whir.high_powers.{field.name}")
    def high_powers(i, points, scales, num_points, log_low, out):
        """out[e, j] = scales[j] points[j]^(e 2^log_low)."""
        e = i // num_points
        j = i - e * num_points
        store(out, i, mul_base(load(scales, j), power(load_base(points, j), e << log_low)))

    @kernel(f"whir.add_powers.{field.name}")
    def add_powers(i, low, high, num_points, log_low, weights):
        """weights[i] += sum over j of high[i_high, j] low[i_low, j]."""
        a = (i >> log_low) * num_points
        b = (i & ((1 << log_low) - 1)) * num_points
        total = load(weights, i)
        for j in range(num_points):
            total = add(total, mul_base(load(high, a + j), load_base(low, b + j)))
        store(weights, i, total)

    @kernel(f"whir.element_powers.{field.name}")
    def element_powers(i, squares, scale, out):
        """out[i] = scale x^i for x in E; squares[k] = x^(2^k)."""
        value = scale
        k = 0
        while i >> k > 0:
            if (i >> k) & 1:
                value = mul(value, load(squares, k))
            k += 1
        store(out, i, value)

    @kernel(f"whir.horner.{field.name}")
    def horner(q, coefficients, length, points, out):
        """out[q] = sum over b < length of coefficients[b] points[q]^b, points of F."""
        x, total = load_base(points, q), zero()
        for b in range(length - 1, -1, -1):
            total = add(mul_base(total, x), load(coefficients, b))
        store(out, q, total)

    @kernel(f"whir.constraint.{field.name}", ring, 1)
    def constraint(j, acc, points, scales, sizes, challenges, final, log_final):
        """Constraint j's weights times the final vector, its first variables bound.

        scales[j] * prod over log_final <= b < sizes[j] of ((1 - r_b) + r_b x^(2^b)) * final(x).
        """
        x = load(points, j)
        total = zero()
        for b in range((1 << log_final) - 1, -1, -1):
            total = add(mul(total, x), load(final, b))
        for _ in range(log_final):
            x = mul(x, x)
        total = mul(total, load(scales, j))
        for b in range(log_final, sizes[j]):
            r = load(challenges, b)
            total = mul(total, add(sub(one(), r), mul(r, x)))
            x = mul(x, x)
        return (add(acc[0], total),)

    return SimpleNamespace(
        low_powers=low_powers,
        high_powers=high_powers,
        add_powers=add_powers,
        element_powers=element_powers,
        horner=horner,
        constraint=constraint,
    )


def add_base_powers(
    target: Target,
    field: Field,
    points: Array,
    scales: Array,
    num_points: int,
    log_length: int,
    weights: Array,
) -> None:
    """weights[i] += sum over j of scales[j] points[j]^i, i < 2^log_length; points in F."""
    family, log_low = power_kernels(field), (log_length + 1) // 2
    low_items = num_points << log_low
    high_items = num_points << (log_length - log_low)
    low = target.empty(low_items * field.base.limbs)
    high = target.empty(high_items * field.ext.limbs)
    target.map(family.low_powers, low_items, points, num_points, low)
    target.map(family.high_powers, high_items, points, scales, num_points, log_low, high)
    arguments = (low, high, num_points, log_low, weights)
    target.map(family.add_powers, 1 << log_length, *arguments, grain=16)


def _element_powers(
    target: Target, field: Field, x: Element, scale: Element, log_length: int
) -> tuple[Array, Array, int]:
    """(x^i for i < 2^h, scale x^(i 2^h) for the rest, h): their products are scale x^i."""
    squares = [x]
    for _ in range(log_length):
        squares.append(squares[-1] * squares[-1])
    log_low = (log_length + 1) // 2
    halves = (
        (squares, log_low, field.element(1)),
        (squares[log_low:], log_length - log_low, scale),
    )
    low, high = (_powers_of_squares(target, field, *half) for half in halves)
    return low, high, log_low


def _powers_of_squares(
    target: Target, field: Field, squares: Sequence[Element], log_length: int, scale: Element
) -> Array:
    """scale x^i for i < 2^log_length, from x^(2^k)."""
    table = target.empty((1 << log_length) * field.ext.limbs)
    arguments = (target.to_device(field.pack(squares)), field.scalar(scale), table)
    target.map(power_kernels(field).element_powers, 1 << log_length, *arguments)
    return table


def add_element_powers(
    target: Target, field: Field, x: Element, scale: Element, log_length: int, weights: Array
) -> None:
    """weights[i] += scale x^i for i < 2^log_length, x in E."""
    low, high, log_low = _element_powers(target, field, x, scale, log_length)
    family = functional.kernels(field)
    target.map(family.accumulate, 1 << log_length, high, low, 1 << log_low, 0, weights)


def evaluate_polynomial(
    target: Target, field: Field, coefficients: Array, log_length: int, x: Element
) -> Element:
    """sum over i of coefficients[i] x^i, for x in E."""
    low, high, log_low = _element_powers(target, field, x, field.element(1), log_length)
    one = target.to_device(field.pack([1]))
    arguments = (coefficients, one, 1, 1, low, high, log_low, 0)
    words = target.reduce(functional.kernels(field).eq_dot, 1 << log_length, *arguments)
    return field.unpack(words)[0]
