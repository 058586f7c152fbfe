"""Sums over causal tiles, against the same sums in Python integers."""

from __future__ import annotations

from itertools import product
from random import Random
from typing import Any

import numpy as np
import pytest
from cases.attention_entries import (
    entries,
)
from definitions import random_elements, total
from targets import EACH_TARGET, ChunkingCpu, Machine

from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels import attention as module
from zkbench.kernels.attention import Tiles, expand_groups, mix_blocks
from zkbench.protocols.causal_tiles import AttentionShape

# layers, blocks, log_block, heads, kv_heads, head_dim
SHAPES = [(1, 1, 0, 1, 1, 1), (1, 3, 1, 1, 1, 1), (2, 2, 0, 3, 1, 2), (1, 4, 2, 2, 2, 3)]
EACH_SHAPE = pytest.mark.parametrize(
    "shape", [AttentionShape(*s) for s in SHAPES], ids=[str(s) for s in SHAPES]
)
EACH_TYPE = pytest.mark.parametrize("dtype", [np.uint16, np.int64])
TABLE = [65536, 40000, 7, 1, 0]  # the largest value that sums take; the last stands for all beyond


def tiles_of(machine: Machine, shape: AttentionShape, dtype: Any) -> tuple[Tiles, dict[Any, int]]:
    """P on the target, and its value at (head, query block, key block, i, j)."""
    rng, places = Random(str(shape)), list(entries(shape))
    indices = [rng.choice([0, 1, 2, 3, 4, 5, 65535]) for _ in places]
    values = [TABLE[min(index, len(TABLE) - 1)] for index in indices]
    keys = [(layer * shape.heads + h, bi, bj, i, j) for layer, h, bi, bj, i, j in places]
    array = machine.put_integers(indices, dtype)
    table = machine.put_integers(TABLE, np.int32)
    heads = shape.layers * shape.heads
    tiles = Tiles(machine.target, array, table, heads, shape.blocks, shape.block)
    return tiles, dict(zip(keys, values, strict=True))


@EACH_TARGET
@EACH_TYPE
@EACH_SHAPE
def test_sum_rows_vs_python_int(target_name: str, shape: AttentionShape, dtype: Any) -> None:
    machine = Machine(target_name)
    tiles, p = tiles_of(machine, shape, dtype)
    sums: dict[Any, int] = {}
    for (head, bi, _, i, _), value in p.items():
        sums[head, bi, i] = sums.get((head, bi, i), 0) + value
    found = machine.target.to_host(tiles.sum_rows())
    assert found.tolist() == [sums[key] for key in sorted(sums)]


@EACH_TARGET
@EACH_TYPE
@EACH_SHAPE
def test_sum_columns_vs_python_int(target_name: str, shape: AttentionShape, dtype: Any) -> None:
    machine, rng = Machine(target_name), Random(1)
    tiles, p = tiles_of(machine, shape, dtype)
    at_block = random_elements(FIELD, rng, shape.blocks)
    at_row = random_elements(FIELD, rng, shape.block)
    sums: dict[Any, Any] = {}
    for (head, bi, bj, i, j), value in p.items():
        sums[head, bj, j] = sums.get((head, bj, j), 0) + at_block[bi] * at_row[i] * value
    found = tiles.sum_columns(FIELD, machine.put(at_block), machine.put(at_row))
    assert machine.get(found) == [sums[key] for key in sorted(sums)]


def assert_diagonal_sums(machine: Machine, target: Any, shape: AttentionShape, dtype: Any) -> None:
    rng = Random(2)
    tiles, p = tiles_of(machine, shape, dtype)
    tiles.target = target
    at_head = random_elements(FIELD, rng, shape.layers * shape.heads)
    at_block = random_elements(FIELD, rng, shape.blocks)
    sums: dict[Any, Any] = {}
    for (head, bi, bj, i, j), value in p.items():
        if bi == bj:
            sums[i, j] = sums.get((i, j), 0) + at_head[head] * at_block[bi] * value
    found = tiles.sum_diagonal(FIELD, machine.put(at_head), machine.put(at_block))
    assert machine.get(found) == [sums[key] for key in sorted(sums)]


@EACH_TARGET
@EACH_TYPE
@EACH_SHAPE
def test_sum_diagonal_vs_python_int(target_name: str, shape: AttentionShape, dtype: Any) -> None:
    machine = Machine(target_name)
    assert_diagonal_sums(machine, machine.target, shape, dtype)


@EACH_SHAPE
@pytest.mark.parametrize("gpu_items", [1, 20, 1 << 18])
def test_sum_diagonal_in_chunks_vs_python_int(
    monkeypatch: pytest.MonkeyPatch, shape: AttentionShape, gpu_items: int
) -> None:
    """Cut as for a GPU: into so many chunks that all its cores have an item."""
    monkeypatch.setattr(module, "_GPU_ITEMS", gpu_items)
    assert_diagonal_sums(Machine("cpu"), ChunkingCpu(1), shape, np.uint16)


@EACH_TARGET
@EACH_SHAPE
def test_mix_blocks_vs_python_int(target_name: str, shape: AttentionShape) -> None:
    machine, rng = Machine(target_name), Random(3)
    kv, d = shape.kv_heads, shape.head_dim
    values = random_elements(FIELD, rng, shape.layers * shape.blocks * kv * d)
    weights = random_elements(FIELD, rng, shape.tiles)
    expected = [
        total(
            [
                weights[bi * (bi + 1) // 2 + bj]
                * values[((layer * shape.blocks + bj) * kv + h // shape.group) * d + c]
                for bj in range(bi + 1)
            ]
        )
        for layer, bi, h, c in product(
            range(shape.layers), range(shape.blocks), range(shape.heads), range(d)
        )
    ]
    sizes = (shape.layers, shape.blocks, shape.heads, d)
    arrays = machine.put(values), machine.put(weights)
    found = mix_blocks(machine.target, FIELD, *arrays, sizes, shape.group)
    assert machine.get(found) == expected


@EACH_TARGET
@EACH_SHAPE
def test_expand_groups_vs_python_int(target_name: str, shape: AttentionShape) -> None:
    machine, kv = Machine(target_name), shape.kv_heads
    values = random_elements(FIELD, Random(4), shape.layers * shape.positions * kv)
    expected = [
        values[(layer * shape.positions + position) * kv + h // shape.group]
        for layer, h, position in product(
            range(shape.layers), range(shape.heads), range(shape.positions)
        )
    ]
    sizes = (shape.layers, shape.positions, shape.heads, shape.group)
    found = expand_groups(machine.target, FIELD, machine.put(values), *sizes)
    assert machine.get(found) == expected
