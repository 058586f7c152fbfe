"""Levels of fraction trees computed from the leaves' integers, against sums in Python integers."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from cases.lookups import expand
from definitions import eq_weights, random_element, random_elements
from fractions_in_python import (
    Fraction,
    expected_round,
    fold,
    get_nodes,
    in_rows,
    level,
    nodes_above,
    stored,
)
from round_weights import RoundWeights
from targets import EACH_TARGET, Machine

from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels.leaves import kernels
from zkbench.kernels.numerators import Numerators

# Odd and even rows, shorter than a node, and one with a node of a single leaf at its end.
SHAPES = [(1, 1), (1, 2), (3, 5), (2, 16), (4, 7), (2, 33), (3, 100)]
EACH_SHAPE = pytest.mark.parametrize(("rows", "cols"), SHAPES)
EACH_KIND = pytest.mark.parametrize("kind", ["ones", "weighted"])
LIMITS = [np.int16, np.uint16, np.int32]


class RandomLeaves:
    """Leaves of a kind, as kernels take them and as fractions."""

    def __init__(self, machine: Machine, kind: str, rows: int, cols: int, dtype: Any) -> None:
        rng, info = Random(f"{kind} {rows} {cols}"), np.iinfo(dtype)
        self.kind, self.cols, self.alpha = kind, cols, random_element(FIELD, rng)
        ends = [int(info.min), int(info.max)]
        values = [rng.choice([*ends, rng.randint(info.min, info.max)]) for _ in range(rows * cols)]
        numerators, weights = [FIELD.element(1)] * len(values), ()
        if kind == "weighted":
            tables = self._tables(machine, rng, rows, cols)
            numerators, weights = expand_on(machine, tables, rows * cols), tables.arguments()
        pairs = zip(numerators, values, strict=True)
        self.rows: list[list[Fraction]] = in_rows([(n, self.alpha - v) for n, v in pairs], cols)
        scalars = FIELD.scalar(self.alpha), FIELD.scalar(self.alpha * self.alpha)
        self.arguments = (machine.put_integers(values, dtype), *scalars, *weights)

    def _tables(self, machine: Machine, rng: Random, rows: int, cols: int) -> Numerators:
        """Two claims, their tables cut at two variables."""
        shift = min(2, (cols - 1).bit_length())
        high, low = -(-cols >> shift), 1 << shift
        outer = machine.put(random_elements(FIELD, rng, 2 * rows * high))
        inner = machine.put(random_elements(FIELD, rng, 2 * low))
        return Numerators(cols, outer, inner, 2, rows * high, low, high, shift)


def expand_on(machine: Machine, tables: Numerators, count: int) -> list[Any]:
    on_host = [machine.target.to_host(t) for t in (tables.outer, tables.inner)]
    _, _, *sizes = tables.arguments()
    return expand(Numerators(tables.cols, *on_host, *sizes), count)


@EACH_TARGET
@EACH_SHAPE
@EACH_KIND
@pytest.mark.parametrize("j", range(5))
def test_build_vs_python_int(target_name: str, rows: int, cols: int, kind: str, j: int) -> None:
    machine = Machine(target_name)
    leaves = RandomLeaves(machine, kind, rows, cols, LIMITS[j % 3])
    expected = level(leaves.rows, j)
    nodes = len(expected[0])
    out = [machine.empty(len(x)) for x in stored(expected)]
    kernel = getattr(kernels(FIELD), kind).build
    machine.map(kernel, rows * nodes, j, cols, nodes, nodes, *out, *leaves.arguments)
    assert tuple(machine.get(x) for x in out) == stored(expected)


def folded_layer(leaves: RandomLeaves, j: int, bound: list[Any]) -> list[list[Any]]:
    nodes = nodes_above(level(leaves.rows, j))
    for r in bound:
        nodes = fold(nodes, r)
    return nodes


@EACH_TARGET
@EACH_SHAPE
@EACH_KIND
@pytest.mark.parametrize("j", range(4))
@pytest.mark.parametrize("num_bound", range(4))
@pytest.mark.parametrize("is_stored", [0, 1])
def test_round_vs_python_int(
    target_name: str, rows: int, cols: int, kind: str, j: int, num_bound: int, is_stored: int
) -> None:
    machine, rng = Machine(target_name), Random(f"{rows} {cols} {j} {num_bound}")
    leaves = RandomLeaves(machine, kind, rows, cols, LIMITS[(j + num_bound) % 3])
    bound, lam = random_elements(FIELD, rng, num_bound), random_element(FIELD, rng)
    expected = folded_layer(leaves, j, bound)
    nodes, half = len(expected[0]), (len(expected[0]) + 1) // 2
    weights = RoundWeights(rng, rows, half, 1)
    out = [machine.empty(2 * rows * nodes) for _ in range(2)]
    eqs = machine.put(eq_weights(bound))
    arguments = j, num_bound, eqs, nodes, half, is_stored, *out, FIELD.scalar(lam)
    rest = *weights.arguments(machine), cols, *leaves.arguments
    kernel = getattr(kernels(FIELD), kind).round
    assert machine.reduce(kernel, rows * half, *arguments, *rest) == expected_round(
        expected, weights, lam
    )
    if is_stored:
        assert get_nodes(machine, *out) == [node for row in expected for node in row]


@EACH_TARGET
@EACH_SHAPE
@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("num_bound", range(4))
@pytest.mark.parametrize("is_stored", [0, 1])
def test_leaf_round_vs_python_int(
    target_name: str, rows: int, cols: int, dtype: Any, num_bound: int, is_stored: int
) -> None:
    machine, rng = Machine(target_name), Random(f"{rows} {cols} {num_bound}")
    leaves = RandomLeaves(machine, "ones", rows, cols, dtype)
    bound, lam = random_elements(FIELD, rng, num_bound), random_element(FIELD, rng)
    expected = folded_layer(leaves, 0, bound)
    nodes, half = len(expected[0]), (len(expected[0]) + 1) // 2
    weights = RoundWeights(rng, rows, half, 1)
    out = [machine.empty(2 * rows * nodes) for _ in range(2)]
    found = machine.reduce(
        kernels(FIELD).ones.leaf_round,
        rows * half,
        num_bound,
        machine.put(folds(bound, leaves.alpha)),
        nodes,
        half,
        is_stored,
        *out,
        *(FIELD.scalar(x) for x in round_constants(leaves.alpha, lam)),
        *weights.arguments(machine),
        cols,
        *leaves.arguments,
    )
    assert found == expected_round(expected, weights, lam)
    if is_stored:
        assert get_nodes(machine, *out) == [node for row in expected for node in row]


def folds(bound: list[Any], alpha: Any) -> list[Any]:
    """eq, its sums over the first n, and what a denominator is for leaves 0."""
    eqs = eq_weights(bound)
    sums = [sum(eqs[:n], FIELD.element(0)) for n in range(len(eqs) + 1)]
    return [*eqs, *sums, *(s * alpha + (1 - s) for s in sums)]


def round_constants(alpha: Any, lam: Any) -> tuple[Any, Any, Any]:
    return lam * alpha * alpha + alpha + alpha, lam * alpha + 1, lam
