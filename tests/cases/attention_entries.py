"""Attention by its definition, entry by entry: scores, weighted sums, row sums, the mask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

from definitions import total

from zkbench.protocols.causal_tiles import AttentionShape


def entries(shape: AttentionShape) -> Iterator[tuple[int, int, int, int, int, int]]:
    """(layer, head, query block, key block, i, j) of every score, in order."""
    for layer in range(shape.layers):
        for head in range(shape.heads):
            for bi in range(shape.blocks):
                for bj in range(bi + 1):
                    for i in range(shape.block):
                        for j in range(shape.block):
                            yield layer, head, bi, bj, i, j


def query_at(shape: AttentionShape, layer: int, block: int, i: int, head: int) -> slice:
    """Where a query's entries are; so are an output's."""
    start = ((layer * shape.blocks + block) * shape.block + i) * shape.heads + head
    return slice(start * shape.head_dim, (start + 1) * shape.head_dim)


def key_at(shape: AttentionShape, layer: int, block: int, j: int, head: int) -> slice:
    """Where the entries of the key (or value) that a query head uses are."""
    group = head // (shape.heads // shape.kv_heads)
    start = ((layer * shape.blocks + block) * shape.block + j) * shape.kv_heads + group
    return slice(start * shape.head_dim, (start + 1) * shape.head_dim)


def scores_of(shape: AttentionShape, q: Sequence[Any], k: Sequence[Any]) -> list[Any]:
    return [
        total(
            [
                a * b
                for a, b in zip(
                    q[query_at(shape, layer, bi, i, head)],
                    k[key_at(shape, layer, bj, j, head)],
                    strict=True,
                )
            ]
        )
        for layer, head, bi, bj, i, j in entries(shape)
    ]


def outputs_of(shape: AttentionShape, p: Sequence[Any], v: Sequence[Any]) -> list[Any]:
    """Weighted sums of values."""
    sums: list[Any] = [0] * prod(shape.queries)
    for weight, (layer, head, bi, bj, i, j) in zip(p, entries(shape), strict=True):
        out = query_at(shape, layer, bi, i, head)
        values = v[key_at(shape, layer, bj, j, head)]
        for place, value in zip(range(out.start, out.stop), values, strict=True):
            sums[place] = sums[place] + weight * value
    return sums


def rows_of(shape: AttentionShape, p: Sequence[Any]) -> list[Any]:
    """Row sums."""
    sums: list[Any] = [0] * prod(shape.rows)
    for weight, (layer, head, bi, _, i, _) in zip(p, entries(shape), strict=True):
        row = ((layer * shape.heads + head) * shape.blocks + bi) * shape.block + i
        sums[row] = sums[row] + weight
    return sums


def is_masked(shape: AttentionShape) -> list[bool]:
    """Whether the key's position is later than the query's."""
    block = shape.block
    return [bj * block + j > bi * block + i for _, _, bi, bj, i, j in entries(shape)]


def along_rows(shape: AttentionShape, rows: Sequence[Any]) -> list[Any]:
    """A row's entry at each of its scores."""
    return [
        rows[((layer * shape.heads + head) * shape.blocks + bi) * shape.block + i]
        for layer, head, bi, _, i, _ in entries(shape)
    ]
