"""Weights over causal tiles and the mask's closed form, entry by entry in Python integers."""

from __future__ import annotations

from random import Random

import pytest
from cases.attention_entries import (
    is_masked,
)
from cases.case import FIELD
from definitions import eq_weights as eq_table
from definitions import mle, outer, random_elements, random_points, total

from zkbench.commitments.claims import EqAxis, VectorAxis
from zkbench.protocols.causal_tiles import (
    AttentionShape,
    column_weights,
    eq_weights,
    later,
    masked,
    row_weights,
    tiles_of_rows,
    tiles_on_diagonal,
)
from zkbench.protocols.sumcheck import num_variables

BLOCKS = pytest.mark.parametrize("blocks", [1, 2, 3, 4, 5])


def shape_of(blocks: int, log_block: int = 1) -> AttentionShape:
    return AttentionShape(1, blocks, log_block, 1, 1, 1)


def test_tiles_are_in_the_order_of_rows() -> None:
    assert shape_of(3).tile_blocks == [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]


@BLOCKS
def test_weights_of_blocks_and_tiles_vs_python_int(blocks: int) -> None:
    shape, rng = shape_of(blocks), Random(blocks)
    at_tile = random_elements(FIELD, rng, shape.tiles)
    at_row, at_column = random_elements(FIELD, rng, blocks), random_elements(FIELD, rng, blocks)
    pairs = list(zip(shape.tile_blocks, at_tile, strict=True))
    assert row_weights(shape, at_tile) == [
        total([w for (bi, _), w in pairs if bi == b]) for b in range(blocks)
    ]
    assert column_weights(shape, at_tile, at_row) == [
        total([w * at_row[bi] for (bi, bj), w in pairs if bj == b]) for b in range(blocks)
    ]
    products = [at_row[bi] * at_column[bj] for bi, bj in shape.tile_blocks]
    assert list(tiles_of_rows(shape, at_row, at_column).values) == products
    assert list(tiles_of_rows(shape, at_row).values) == [at_row[bi] for bi, _ in shape.tile_blocks]
    diagonal = [at_row[bi] if bi == bj else 0 for bi, bj in shape.tile_blocks]
    assert list(tiles_on_diagonal(shape, at_row).values) == diagonal


@pytest.mark.parametrize("length", [1, 2, 5, 8])
def test_eq_weights_vs_python_int(length: int) -> None:
    point = random_elements(FIELD, Random(length), num_variables(length))
    assert eq_weights(FIELD, point, length) == eq_table(point)[:length]


@pytest.mark.parametrize("log_block", [0, 1, 2, 3])
def test_later_vs_python_int(log_block: int) -> None:
    size, rng = 1 << log_block, Random(log_block)
    at_i, at_j = random_points(FIELD, rng, (size, size))
    table = [int(j > i) for i in range(size) for j in range(size)]
    assert later(at_i, at_j) == mle(table, (size, size), (at_i, at_j))


@BLOCKS
@pytest.mark.parametrize("log_block", [0, 2])
def test_the_mask_vs_python_int(blocks: int, log_block: int) -> None:
    shape = shape_of(blocks, log_block)
    points = random_points(FIELD, Random(blocks), shape.scores)
    _, _, at_tile, at_i, at_j = points
    tiles = eq_table(at_tile)[: shape.tiles]
    expected = mle([int(m) for m in is_masked(shape)], shape.scores, points)
    assert masked(shape, tiles, at_i, at_j) == expected


@pytest.mark.parametrize(("heads", "kv_heads"), [(1, 1), (4, 4), (6, 3), (6, 2), (5, 1), (12, 3)])
def test_weights_of_key_heads_vs_python_int(heads: int, kv_heads: int) -> None:
    """By a point where groups are powers of two, else by explicit weights."""
    shape = AttentionShape(1, 1, 0, heads, kv_heads, 1)
    (point,) = random_points(FIELD, Random(heads), (heads,))
    axis, table = shape.at_head(point), eq_table(point)
    is_power = shape.group & (shape.group - 1) == 0
    assert isinstance(axis, EqAxis if is_power else VectorAxis)
    axis.check(kv_heads)
    values = axis.values if isinstance(axis, VectorAxis) else eq_table(axis.point)[:kv_heads]
    groups = [table[g * shape.group : (g + 1) * shape.group] for g in range(kv_heads)]
    # beyond the last head, a group's table may go on: these heads do not exist
    assert list(values) == [total(group) for group in groups]
    assert len(outer([values])) == kv_heads


def test_heads_that_cannot_be_shared_evenly() -> None:
    with pytest.raises(ValueError, match="5 heads cannot share 2 key heads evenly"):
        AttentionShape(1, 1, 1, 5, 2, 1)
