"""The first rounds of products of integers, against sums in Python integers."""

from __future__ import annotations

from itertools import product
from random import Random
from typing import Any

import numpy as np
import pytest
from cases.entrywise import random_integers
from definitions import eq_weights, random_elements
from round_weights import SUM_SHIFT, RoundWeights
from targets import EACH_TARGET, Machine
from test_product_rounds import Table, expected_round, flatten, fold

from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels.integer_products import kernels

SHAPES = [(1, 2), (1, 3), (3, 5), (2, 8), (4, 7), (5, 1), (3, 700)]
EACH_SHAPE = pytest.mark.parametrize(("rows", "cols"), SHAPES)
EACH_SHIFT = pytest.mark.parametrize("shift", [0, 1, SUM_SHIFT])
EACH_NUMBER = pytest.mark.parametrize("bound", [0, 1, 2, 4])
DTYPES = ("int16", "uint16")


class Tables:
    """Two tables of integers, on a machine and as elements, with some variables bound."""

    def __init__(self, machine: Machine, rng: Random, rows: int, cols: int, bound: int) -> None:
        self.rows, self.cols, self.span = rows, cols, 1 << bound
        self.integers = [random_integers(rng, rows * cols, dtype) for dtype in DTYPES]
        pairs = zip(self.integers, DTYPES, strict=True)
        self.arrays = [machine.put_integers(values, dtype) for values, dtype in pairs]
        challenges = random_elements(FIELD, rng, bound)
        self.eq = machine.put([FIELD.element(1) * w for w in eq_weights(challenges)])
        self.folded = [self._elements(values) for values in self.integers]
        for r in challenges:
            self.folded = [fold(table, r) for table in self.folded]

    def _elements(self, values: list[int]) -> Table:
        starts = range(0, len(values), self.cols)
        return [[FIELD.element(v) for v in values[s : s + self.cols]] for s in starts]

    @property
    def length(self) -> int:
        return len(self.folded[0][0])


@EACH_TARGET
@EACH_SHAPE
@EACH_SHIFT
def test_first_vs_python_int(target_name: str, rows: int, cols: int, shift: int) -> None:
    machine, rng = Machine(target_name), Random(f"{rows} {cols} {shift}")
    tables, half = Tables(machine, rng, rows, cols, 0), (cols + 1) // 2
    weights = RoundWeights(rng, rows, half, shift)
    sizes = cols, half
    found = machine.reduce(
        kernels(FIELD).first, rows * half, *tables.arrays, *sizes, *weights.arguments(machine)
    )
    assert found == expected_round(tables.folded, weights)


@EACH_TARGET
@EACH_SHAPE
@EACH_NUMBER
def test_bind_vs_python_int(target_name: str, rows: int, cols: int, bound: int) -> None:
    machine = Machine(target_name)
    tables = Tables(machine, Random(f"{rows} {cols}"), rows, cols, bound)
    sizes = tables.span, cols, tables.length
    for array, expected in zip(tables.arrays, tables.folded, strict=True):
        out = machine.empty(rows * tables.length)
        machine.map(kernels(FIELD).bind, rows * tables.length, array, out, tables.eq, *sizes)
        assert machine.get(out) == flatten(expected)


@EACH_TARGET
@EACH_SHAPE
@EACH_SHIFT
@EACH_NUMBER
def test_later_and_last_vs_python_int(
    target_name: str, rows: int, cols: int, shift: int, bound: int
) -> None:
    """The latter also stores what it sums."""
    machine, rng = Machine(target_name), Random(f"{rows} {cols} {shift}")
    tables = Tables(machine, rng, rows, cols, bound)
    length, half = tables.length, (tables.length + 1) // 2
    weights = RoundWeights(rng, rows, half, shift)
    expected, family = expected_round(tables.folded, weights), kernels(FIELD)
    bound_by, rest = (tables.eq, tables.span, cols), weights.arguments(machine)
    assert (
        machine.reduce(family.later, rows * half, *tables.arrays, *bound_by, half, *rest)
        == expected
    )
    outs = [machine.empty(rows * length) for _ in tables.arrays]
    arguments = *tables.arrays, *outs, *bound_by, length, half, *rest
    assert machine.reduce(family.last, rows * half, *arguments) == expected
    assert [machine.get(out) for out in outs] == [flatten(table) for table in tables.folded]


@EACH_TARGET
@pytest.mark.parametrize("signs", list(product([-1, 1], repeat=4)), ids=str)
def test_first_of_extremes_vs_python_int(target_name: str, signs: tuple[int, ...]) -> None:
    """The largest products of differences that there are: 2^17 times 2^17."""
    machine, rng = Machine(target_name), Random(1)
    a, b = ([s << 16 for s in half] for half in (signs[:2], signs[2:]))
    arrays = [machine.put_integers(values, np.int32) for values in (a, b)]
    weights = RoundWeights(rng, 1, 1, 0)
    found: Any = machine.reduce(kernels(FIELD).first, 1, *arrays, 2, 1, *weights.arguments(machine))
    w = weights.at(0, 0)
    assert found == [w * (a[0] * b[0]), w * ((a[1] - a[0]) * (b[1] - b[0]))]
