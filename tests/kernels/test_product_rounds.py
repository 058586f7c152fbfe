"""Rounds and folds of product sumchecks, against sums in Python integers."""

from __future__ import annotations

from math import prod
from random import Random
from typing import Any

import pytest
from definitions import random_element, random_elements, total
from round_weights import SUM_SHIFT, RoundWeights
from targets import EACH_TARGET, Machine

from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels.sumcheck import kernels

SHAPES = [(1, 2), (1, 3), (3, 5), (2, 8), (4, 7), (5, 1), (3, 700)]
EACH_SHAPE = pytest.mark.parametrize(("rows", "cols"), SHAPES)
EACH_DEGREE = pytest.mark.parametrize("factors", [2, 3])

Table = list[list[Any]]  # rows of elements


def random_table(rng: Random, rows: int, cols: int) -> Table:
    return [random_elements(FIELD, rng, cols) for _ in range(rows)]


def flatten(table: Table) -> list[Any]:
    return [element for row in table for element in row]


def pairs(row: list[Any]) -> list[tuple[Any, Any]]:
    """Neighbours; a missing odd one is zero."""
    padded = row if len(row) % 2 == 0 else [*row, FIELD.element(0)]
    return list(zip(padded[::2], padded[1::2], strict=True))


def fold(table: Table, r: Any) -> Table:
    return [[a + r * (b - a) for a, b in pairs(row)] for row in table]


def expected_round(tables: list[Table], weights: RoundWeights) -> list[Any]:
    """q(0), the leading coefficient and, for three factors, q(-1)."""
    at = {"0": lambda a, b: a, "lead": lambda a, b: b - a, "-1": lambda a, b: a - (b - a)}
    names = ["0", "lead", "-1"] if len(tables) == 3 else ["0", "lead"]
    paired = [[pairs(row) for row in table] for table in tables]
    return [
        total(
            [
                prod([at[name](*t[row][j]) for t in paired], start=weights.at(row, j))
                for row in range(len(paired[0]))
                for j in range(len(paired[0][row]))
            ]
        )
        for name in names
    ]


@EACH_TARGET
@EACH_DEGREE
@EACH_SHAPE
@pytest.mark.parametrize("shift", [0, 1, SUM_SHIFT])
def test_round_vs_python_int(
    target_name: str, factors: int, rows: int, cols: int, shift: int
) -> None:
    machine, rng = Machine(target_name), Random(f"{rows} {cols} {shift}")
    tables = [random_table(rng, rows, cols) for _ in range(factors)]
    half = (cols + 1) // 2
    weights = RoundWeights(rng, rows, half, shift)
    arrays = [machine.put(flatten(t)) for t in tables]
    kernel = kernels(FIELD).round[factors]
    found = machine.reduce(kernel, rows * half, *arrays, cols, half, *weights.arguments(machine))
    assert found == expected_round(tables, weights)


@EACH_TARGET
@EACH_SHAPE
def test_fold_vs_python_int(target_name: str, rows: int, cols: int) -> None:
    machine, rng = Machine(target_name), Random(f"{rows} {cols}")
    table, r = random_table(rng, rows, cols), random_element(FIELD, rng)
    half = (cols + 1) // 2
    out = machine.empty(rows * half)
    array, scalar = machine.put(flatten(table)), FIELD.scalar(r)
    machine.map(kernels(FIELD).fold, rows * half, array, out, cols, half, scalar)
    assert machine.get(out) == flatten(fold(table, r))


@EACH_TARGET
@EACH_DEGREE
@EACH_SHAPE
@pytest.mark.parametrize("shift", [0, 1, SUM_SHIFT])
def test_fold_round_vs_python_int(
    target_name: str, factors: int, rows: int, cols: int, shift: int
) -> None:
    machine, rng = Machine(target_name), Random(f"{rows} {cols} {shift}")
    tables = [random_table(rng, rows, cols) for _ in range(factors)]
    r, half, quarter = random_element(FIELD, rng), (cols + 1) // 2, (cols + 3) // 4
    weights = RoundWeights(rng, rows, quarter, shift)
    arrays = [machine.put(flatten(t)) for t in tables]
    outs = [machine.empty(rows * half) for _ in tables]
    sizes = cols, half, quarter
    kernel, arguments = kernels(FIELD).fold_round[factors], weights.arguments(machine)
    found = machine.reduce(
        kernel, rows * quarter, *arrays, *outs, *sizes, FIELD.scalar(r), *arguments
    )
    folded = [fold(t, r) for t in tables]
    assert [machine.get(out) for out in outs] == [flatten(t) for t in folded]
    assert found == expected_round(folded, weights)
