"""The definitions that kernels and protocols are tested against, in Python integers.

Elements are those of ``Field.element``; tensors are flat lists, last axis lowest; a point is
little-endian, and several axes have one point each. Nothing here is shared with the code that is
tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from random import Random
from typing import Any

import numpy as np

from zkbench.fields import Field

Element = Any
Point = Sequence[Element]


def num_variables(length: int) -> int:
    """The least n with 2^n >= length."""
    return next(n for n in range(64) if 1 << n >= length)


def eq_weights(point: Point) -> list[Element]:
    """eq(point, i) for every i < 2^len(point)."""
    table: list[Element] = [1]
    for w in point:
        table = [v * (1 - w) for v in table] + [v * w for v in table]
    return table


def outer(tables: Sequence[Sequence[Element]]) -> list[Element]:
    """The product of one factor from every table, last table fastest."""
    result: list[Element] = [1]
    for table in tables:
        result = [a * b for a in result for b in table]
    return result


def total(elements: Sequence[Element]) -> Element:
    result: Element = 0
    for element in elements:
        result = result + element
    return result


def axis_weights(shape: Sequence[int], points: Sequence[Point | None]) -> list[Element]:
    """Product over the axes of eq(point, index), or of 1 where there is no point."""
    pairs = zip(shape, points, strict=True)
    return outer([[1] * n if p is None else eq_weights(p)[:n] for n, p in pairs])


def mle(values: Sequence[Element], shape: Sequence[int], points: Sequence[Point]) -> Element:
    """The multilinear extension of a tensor, zero-extended, at one point an axis."""
    assert len(values) == prod(shape)
    return total([w * v for w, v in zip(axis_weights(shape, points), values, strict=True)])


def padded_mle(
    values: Sequence[Element], shape: Sequence[int], points: Sequence[Point], padding: int
) -> Element:
    """The same for a tensor that is extended by another constant than zero."""
    return mle([v - padding for v in values], shape, points) + padding


def split(point: Point, shape: Sequence[int]) -> list[Point]:
    """A little-endian point over all axes, last axis first, cut into one an axis."""
    rest, points = list(point), []
    for length in reversed(shape):
        n = num_variables(length)
        points.append(tuple(rest[:n]))
        rest = rest[n:]
    assert not rest
    return points[::-1]


def matrix_products(
    x: Sequence[int], w: Sequence[int], layers: int, rows: int, d_in: int, d_out: int
) -> list[int]:
    """A[l, r, o] = sum over k of X[l, r, k] W[l, k, o]."""
    return [
        sum(x[(l * rows + r) * d_in + k] * w[(l * d_in + k) * d_out + o] for k in range(d_in))
        for l, r, o in product(range(layers), range(rows), range(d_out))
    ]


def fraction_sum(numerators: Sequence[Element], denominators: Sequence[Element]) -> Element:
    """sum of n_i / d_i."""
    return total([n * d.inverse() for n, d in zip(numerators, denominators, strict=True)])


def random_element(field: Field, rng: Random) -> Element:
    return field.element(*(rng.randrange(field.modulus) for _ in range(field.degree)))


def random_elements(field: Field, rng: Random, count: int) -> list[Element]:
    return [random_element(field, rng) for _ in range(count)]


def random_points(field: Field, rng: Random, shape: Sequence[int]) -> list[Point]:
    return [tuple(random_elements(field, rng, num_variables(n))) for n in shape]


def flat(array: Any) -> list[int]:
    return np.asarray(array).reshape(-1).tolist()
