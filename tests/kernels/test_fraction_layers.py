"""Layers of fraction trees, against sums of fractions in Python integers."""

from __future__ import annotations

from random import Random

import pytest
from definitions import random_element, random_elements
from fractions_in_python import expected_round, fold, get_nodes, put_nodes, random_nodes, stored
from round_weights import SUM_SHIFT, RoundWeights
from targets import EACH_TARGET, Machine

from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels.gkr import kernels

SHAPES = [(1, 1), (1, 2), (1, 3), (3, 5), (2, 8), (4, 7), (5, 1), (3, 500)]
EACH_SHAPE = pytest.mark.parametrize(("rows", "cols"), SHAPES)


@EACH_TARGET
@EACH_SHAPE
def test_combine_vs_python_int(target_name: str, rows: int, cols: int) -> None:
    """Each node's two children are added as fractions; the sums are children of the next layer."""
    machine, rng = Machine(target_name), Random(rows * cols)
    nodes = random_nodes(rng, rows, cols)
    sums = [[(p0 * q1 + p1 * q0, q0 * q1) for p0, p1, q0, q1 in row] for row in nodes]
    out = [machine.empty(len(x)) for x in stored(sums)]
    p, q = put_nodes(machine, nodes)
    machine.map(kernels(FIELD).combine, rows * cols, p, q, cols, *out)
    assert tuple(machine.get(x) for x in out) == stored(sums)


@EACH_TARGET
@EACH_SHAPE
@pytest.mark.parametrize("shift", [0, 1, SUM_SHIFT])
def test_round_vs_python_int(target_name: str, rows: int, cols: int, shift: int) -> None:
    machine, rng = Machine(target_name), Random(f"{rows} {cols} {shift}")
    nodes, lam, half = random_nodes(rng, rows, cols), random_element(FIELD, rng), (cols + 1) // 2
    weights = RoundWeights(rng, rows, half, shift)
    arguments = FIELD.scalar(lam), *weights.arguments(machine)
    p, q = put_nodes(machine, nodes)
    found = machine.reduce(kernels(FIELD).round, rows * half, p, q, cols, half, *arguments)
    assert found == expected_round(nodes, weights, lam)


@EACH_TARGET
@EACH_SHAPE
def test_fold_vs_python_int(target_name: str, rows: int, cols: int) -> None:
    machine, rng = Machine(target_name), Random(f"{rows} {cols}")
    nodes, r, half = random_nodes(rng, rows, cols), random_element(FIELD, rng), (cols + 1) // 2
    out = [machine.empty(2 * rows * half) for _ in range(2)]
    arguments = *put_nodes(machine, nodes), *out, cols, half, FIELD.scalar(r)
    machine.map(kernels(FIELD).fold, rows * half, *arguments)
    assert get_nodes(machine, *out) == [node for row in fold(nodes, r) for node in row]


@EACH_TARGET
@EACH_SHAPE
@pytest.mark.parametrize("shift", [0, 1, SUM_SHIFT])
def test_fold_round_vs_python_int(target_name: str, rows: int, cols: int, shift: int) -> None:
    machine, rng = Machine(target_name), Random(f"{rows} {cols} {shift}")
    nodes, r, lam = random_nodes(rng, rows, cols), *random_elements(FIELD, rng, 2)
    half, quarter = (cols + 1) // 2, (cols + 3) // 4
    weights = RoundWeights(rng, rows, quarter, shift)
    out = [machine.empty(2 * rows * half) for _ in range(2)]
    scalars = FIELD.scalar(r), FIELD.scalar(lam)
    found = machine.reduce(
        kernels(FIELD).fold_round,
        rows * quarter,
        *put_nodes(machine, nodes),
        *out,
        cols,
        half,
        quarter,
        *scalars,
        *weights.arguments(machine),
    )
    folded = fold(nodes, r)
    assert get_nodes(machine, *out) == [node for row in folded for node in row]
    assert found == expected_round(folded, weights, lam)
