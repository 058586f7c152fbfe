"""Layers of fraction trees, against sums of fractions in Python integers."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import pytest
from definitions import random_element, random_elements, total
from round_weights import SUM_SHIFT, RoundWeights
from targets import EACH_TARGET, Machine

from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels.gkr import kernels

SHAPES = [(1, 1), (1, 2), (1, 3), (3, 5), (2, 8), (4, 7), (5, 1), (3, 500)]
EACH_SHAPE = pytest.mark.parametrize(("rows", "cols"), SHAPES)

Fraction = tuple[Any, Any]
Node = tuple[Any, Any, Any, Any]  # p0, p1, q0, q1: two children
NOTHING: Fraction = (FIELD.element(0), FIELD.element(1))
NO_NODE: Node = (NOTHING[0], NOTHING[0], NOTHING[1], NOTHING[1])


def pad(row: list[Any], nothing: Any) -> list[Any]:
    return row if len(row) % 2 == 0 else [*row, nothing]


def stored(rows: list[list[Fraction]]) -> tuple[list[Any], list[Any]]:
    """Numerators and denominators as a layer keeps them: every row in whole pairs."""
    fractions = [f for row in rows for f in pad(row, NOTHING)]
    return [p for p, _ in fractions], [q for _, q in fractions]


def in_rows(items: list[Any], cols: int) -> list[list[Any]]:
    return [items[start : start + cols] for start in range(0, len(items), cols)]


def random_nodes(rng: Random, rows: int, cols: int) -> list[list[Node]]:
    return [[tuple(random_elements(FIELD, rng, 4)) for _ in range(cols)] for _ in range(rows)]


def put_nodes(machine: Machine, rows: list[list[Node]]) -> tuple[Any, Any]:
    nodes = [node for row in rows for node in row]
    p = [x for node in nodes for x in node[:2]]
    q = [x for node in nodes for x in node[2:]]
    return machine.put(p), machine.put(q)


def get_nodes(machine: Machine, p: Any, q: Any) -> list[Node]:
    numerators, denominators = in_rows(machine.get(p), 2), in_rows(machine.get(q), 2)
    return [(*a, *b) for a, b in zip(numerators, denominators, strict=True)]


def term(node: Node, lam: Any) -> Any:
    p0, p1, q0, q1 = node
    return (p0 + lam * q0) * q1 + p1 * q0


def node_pairs(row: list[Node]) -> list[tuple[Node, Node]]:
    return list(pairwise(pad(row, NO_NODE)))[::2]


def fold(rows: list[list[Node]], r: Any) -> list[list[Node]]:
    return [
        [tuple(x + r * (y - x) for x, y in zip(a, b, strict=True)) for a, b in node_pairs(row)]
        for row in rows
    ]


def expected_round(rows: list[list[Node]], weights: RoundWeights, lam: Any) -> list[Any]:
    terms = [
        (weights.at(r, j), a, tuple(y - x for x, y in zip(a, b, strict=True)))
        for r, row in enumerate(rows)
        for j, (a, b) in enumerate(node_pairs(row))
    ]
    return [
        total([w * term(a, lam) for w, a, _ in terms]),
        total([w * term(rise, lam) for w, _, rise in terms]),
    ]


@EACH_TARGET
@EACH_SHAPE
@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int32])
def test_leaves_ones_vs_python_int(target_name: str, rows: int, cols: int, dtype: Any) -> None:
    machine, rng = Machine(target_name), Random(rows * cols)
    info, offset, alpha = np.iinfo(dtype), 1 << 15, random_element(FIELD, rng)
    values = [rng.randint(info.min, info.max) for _ in range(rows * cols)]
    values[0] = int(info.min)
    leaves = [(FIELD.element(1), alpha - (v + offset)) for v in values]
    out = [machine.empty(len(x)) for x in stored(in_rows(leaves, cols))]
    arguments = machine.put_integers(values, dtype), offset, FIELD.scalar(alpha), cols, *out
    machine.map(kernels(FIELD).leaves_ones, rows * cols, *arguments)
    assert tuple(machine.get(x) for x in out) == stored(in_rows(leaves, cols))


@EACH_TARGET
@EACH_SHAPE
def test_leaves_vs_python_int(target_name: str, rows: int, cols: int) -> None:
    machine, rng = Machine(target_name), Random(rows * cols)
    alpha, offset = random_element(FIELD, rng), -3
    numerators = random_elements(FIELD, rng, rows * cols)
    values = [rng.randrange(100) for _ in numerators]
    leaves = [(n, alpha - (v + offset)) for n, v in zip(numerators, values, strict=True)]
    out = [machine.empty(len(x)) for x in stored(in_rows(leaves, cols))]
    arrays = machine.put(numerators), machine.put_integers(values, np.int32)
    arguments = *arrays, offset, FIELD.scalar(alpha), cols, *out
    machine.map(kernels(FIELD).leaves, rows * cols, *arguments)
    assert tuple(machine.get(x) for x in out) == stored(in_rows(leaves, cols))


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
