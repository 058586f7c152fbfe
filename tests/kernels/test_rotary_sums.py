"""Sums over layers and heads, and the coefficients of rotary embedding, against Python integers."""

from __future__ import annotations

from itertools import product
from math import prod
from random import Random

import numpy as np
import pytest
from definitions import random_elements, total
from targets import EACH_TARGET, ChunkingCpu, Machine

from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels import rotary as module
from zkbench.kernels.rotary import coefficients, sum_heads

# layers, rows, heads, width
SHAPES = [(1, 1, 1, 1), (1, 4, 3, 2), (5, 1, 1, 3), (2, 3, 4, 5), (4, 2, 3, 1), (3, 6, 1, 2)]
EACH_SHAPE = pytest.mark.parametrize("shape", SHAPES, ids=str)
Sizes = tuple[int, int, int, int]


def random_int16(rng: Random, count: int) -> list[int]:
    return [rng.choice([-(2**15), 2**15 - 1, rng.randrange(-(2**15), 2**15)]) for _ in range(count)]


def assert_sums(machine: Machine, target: object, shape: Sizes) -> None:
    rng, (layers, rows, heads, width) = Random(str(shape)), shape
    values = random_int16(rng, prod(shape))
    weights = random_elements(FIELD, rng, layers * heads)
    array = machine.put_integers(values, np.int16)
    found = sum_heads(target, FIELD, array, machine.put(weights), shape)
    assert machine.get(found) == [
        total(
            [
                weights[l * heads + h] * values[((l * rows + r) * heads + h) * width + d]
                for l, h in product(range(layers), range(heads))
            ]
        )
        for r, d in product(range(rows), range(width))
    ]


@EACH_TARGET
@EACH_SHAPE
def test_sum_heads_vs_python_int(target_name: str, shape: Sizes) -> None:
    machine = Machine(target_name)
    assert_sums(machine, machine.target, shape)


@EACH_SHAPE
@pytest.mark.parametrize("gpu_items", [1, 10, 1 << 18])
def test_sum_heads_in_chunks_vs_python_int(
    monkeypatch: pytest.MonkeyPatch, shape: Sizes, gpu_items: int
) -> None:
    """Cut as for a GPU, also in the middle of a layer."""
    monkeypatch.setattr(module, "_GPU_ITEMS", gpu_items)
    assert_sums(Machine("cpu"), ChunkingCpu(1), shape)


@pytest.mark.parametrize("most", [1, 2, 5])
@EACH_SHAPE
def test_long_sums_are_reduced_on_the_way(
    monkeypatch: pytest.MonkeyPatch, shape: Sizes, most: int
) -> None:
    monkeypatch.setattr(module, "_MAX_TERMS", most)
    machine = Machine("cpu")
    assert_sums(machine, machine.target, shape)


@EACH_TARGET
@pytest.mark.parametrize(("rows", "half"), [(1, 1), (3, 1), (5, 4), (2, 7)])
def test_coefficients_vs_python_int(target_name: str, rows: int, half: int) -> None:
    machine, rng = Machine(target_name), Random(f"{rows} {half}")
    cos, sin = random_int16(rng, rows * half), random_int16(rng, rows * half)
    straight, crossed = (random_elements(FIELD, rng, 2 * half) for _ in range(2))
    tables = (machine.put_integers(cos, np.int16), machine.put_integers(sin, np.int16))
    weights = (machine.put(straight), machine.put(crossed))
    found = coefficients(machine.target, FIELD, tables, weights, rows, half)
    assert machine.get(found) == [
        straight[d] * cos[r * half + d % half] + crossed[d] * sin[r * half + d % half]
        for r, d in product(range(rows), range(2 * half))
    ]
