"""Sums of small integers times elements of E, against the same sums in Python integers."""

from __future__ import annotations

from itertools import product
from random import Random
from typing import Any

import numpy as np
import pytest
from definitions import random_element, random_elements, total
from targets import EACH_TARGET, ChunkingCpu, Machine

from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels import contract as module
from zkbench.kernels.contract import contract, dot, kernels, weighted_sum

# (outer, length, inner)
SHAPES = [(1, 1, 1), (1, 9, 1), (4, 1, 3), (3, 5, 7), (1, 2, 40), (30, 6, 1), (2, 100, 3)]
DTYPES = [np.int8, np.int16, np.int32, np.uint16]
LIMIT = 1 << 16  # the largest magnitude that contract promises to take


def random_integers(rng: Random, count: int, dtype: Any) -> list[int]:
    """Uniform ones, and both ends of the range."""
    info = np.iinfo(dtype)
    low, high = max(-LIMIT, int(info.min)), min(LIMIT, int(info.max))
    return [rng.choice([low, high, rng.randint(low, high)]) for _ in range(count)]


def contracted(values: list[int], shape: tuple[int, int, int], weights: list[Any]) -> list[Any]:
    outer, length, inner = shape
    return [
        total([weights[k] * values[(o * length + k) * inner + i] for k in range(length)])
        for o, i in product(range(outer), range(inner))
    ]


@EACH_TARGET
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_contract_vs_python_int(target_name: str, shape: tuple[int, int, int], dtype: Any) -> None:
    machine, rng = Machine(target_name), Random(str(shape))
    weights = random_elements(FIELD, rng, shape[1])
    values = random_integers(rng, shape[0] * shape[1] * shape[2], dtype)
    array = machine.put_integers(values, dtype)
    found = contract(machine.target, FIELD, array, *shape, machine.put(weights))
    assert machine.get(found) == contracted(values, shape, weights)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("gpu_items", [1, 10, 1 << 18])
def test_contract_in_chunks_vs_python_int(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int, int], gpu_items: int
) -> None:
    """Cut as for a GPU: into so many chunks that all its cores have an item."""
    monkeypatch.setattr(module, "_GPU_ITEMS", gpu_items)
    machine, rng = Machine("cpu"), Random(str(shape))
    weights = random_elements(FIELD, rng, shape[1])
    values = random_integers(rng, shape[0] * shape[1] * shape[2], np.int16)
    array = machine.put_integers(values, np.int16)
    found = contract(ChunkingCpu(1), FIELD, array, *shape, machine.put(weights))
    assert machine.get(found) == contracted(values, shape, weights)


@EACH_TARGET
@pytest.mark.parametrize("value", [LIMIT, -LIMIT])
@pytest.mark.parametrize("length", [1 << 14, (1 << 14) + 1])
def test_contract_of_extremes_vs_python_int(target_name: str, value: int, length: int) -> None:
    """Lazily reduced sums as long and as large as they may become, and one term more."""
    machine, extreme = Machine(target_name), FIELD.element(FIELD.modulus - 1, 2**32 - 1)
    array = machine.put_integers([value] * length, np.int32)
    weights = machine.put([extreme] * length)
    found = contract(machine.target, FIELD, array, 1, length, 1, weights)
    assert machine.get(found) == [extreme * value * length]


@EACH_TARGET
@pytest.mark.parametrize("length", [1, 2, 1500])
def test_dot_vs_python_int(target_name: str, length: int) -> None:
    machine, rng = Machine(target_name), Random(length)
    a, b = random_elements(FIELD, rng, length), random_elements(FIELD, rng, length)
    found = dot(machine.target, FIELD, machine.put(a), machine.put(b), length)
    assert found == total([x * y for x, y in zip(a, b, strict=True)])


@EACH_TARGET
def test_dot_columns_vs_python_int(target_name: str) -> None:
    """Every coefficient of an element is an entry of its own column."""
    machine, rng = Machine(target_name), Random(1)
    elements, weights = random_elements(FIELD, rng, 37), random_elements(FIELD, rng, 37)
    kernel = kernels(FIELD).dot_columns
    found = machine.reduce(kernel, 37, machine.put(elements), machine.put(weights))
    columns = list(zip(*(e.coefficients for e in elements), strict=True))
    assert found == [total([w * c for w, c in zip(weights, col, strict=True)]) for col in columns]


@EACH_TARGET
def test_add_scaled_vs_python_int(target_name: str) -> None:
    machine, rng = Machine(target_name), Random(2)
    table, other = random_elements(FIELD, rng, 37), random_elements(FIELD, rng, 37)
    scale, array = random_element(FIELD, rng), machine.put(table)
    machine.map(kernels(FIELD).add_scaled, 37, array, machine.put(other), FIELD.scalar(scale))
    assert machine.get(array) == [t + scale * o for t, o in zip(table, other, strict=True)]


@EACH_TARGET
@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (5, 1), (1, 9), (7, 12)])
def test_weighted_sum_vs_python_int(target_name: str, rows: int, cols: int) -> None:
    machine, rng = Machine(target_name), Random(rows * cols)
    values = random_integers(rng, rows * cols, np.int16)
    at_row, at_col = random_elements(FIELD, rng, rows), random_elements(FIELD, rng, cols)
    array, weights = (
        machine.put_integers(values, np.int16),
        (machine.put(at_row), machine.put(at_col)),
    )
    found = weighted_sum(machine.target, FIELD, array, rows, cols, *weights)
    by_row = [[values[r * cols + c] * at_col[c] for c in range(cols)] for r in range(rows)]
    assert found == total([w * total(row) for w, row in zip(at_row, by_row, strict=True)])
