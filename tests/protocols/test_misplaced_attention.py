"""Provers of zkAttn that take tensors from the wrong place: heads, layers, blocks, positions.

Everything follows from what they take as it should, so that only the products can show the lie.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from attention_liars import (
    WRONG_OUTPUT,
    WRONG_SCORE,
    faked_row_sums,
    honest,
    rescored,
    reweighted,
    shifts,
    with_shifts,
    with_tensors,
)
from cases.attention import (
    ZkAttnCase,
)
from cases.attention_entries import (
    key_at,
    query_at,
)
from cases.case import prove, reason_of_rejection, verify

from zkbench.kernels.launch import cpu_target
from zkbench.protocols.causal_tiles import AttentionShape


def moved(
    shape: AttentionShape,
    tensor: Sequence[int],
    place: Callable[..., slice],
    source: Callable[..., tuple[int, int, int, int]],
) -> tuple[int, ...]:
    """Each position's entries are those of another one."""
    out = list(tensor)
    for layer in range(shape.layers):
        for b in range(shape.blocks):
            for i in range(shape.block):
                for h in range(shape.heads):
                    at = source(layer, b, i, h)
                    out[place(shape, layer, b, i, h)] = tensor[place(shape, *at)]
    return tuple(out)


SOURCES: dict[str, Callable[..., tuple[int, int, int, int]]] = {
    "another group of heads": lambda l, b, i, h: (l, b, i, (h + 2) % 4),
    "another layer": lambda l, b, i, h: (1 - l, b, i, h),
    "another block": lambda l, b, i, h: (l, 1 - b, i, h),
    "another position": lambda l, b, i, h: (l, b, 1 - i, h),
}
EACH_SOURCE = pytest.mark.parametrize("source", SOURCES)


def fitting(case: ZkAttnCase) -> ZkAttnCase:
    """Tolerances so wide that any indices and sums pass: only the products can show the lie."""
    return replace(case, table=replace(case.table, bits=8), log_tolerance=8, value_bits=8)


@cache
def lenient() -> ZkAttnCase:
    case = fitting(honest())
    inputs = {name: case.tensors[name] for name in ("queries", "keys", "values")}
    return case.forward(inputs)


@EACH_SOURCE
def test_a_key_of(source: str) -> None:
    case = lenient()
    keys = moved(case.shape, case.tensors["keys"], key_at, SOURCES[source])
    assert_only_the_product_shows(reweighted(with_centred(rescored, case, k=keys)), WRONG_SCORE)


@EACH_SOURCE
def test_a_query_of(source: str) -> None:
    case = lenient()
    queries = moved(case.shape, case.tensors["queries"], query_at, SOURCES[source])
    assert_only_the_product_shows(reweighted(with_centred(rescored, case, q=queries)), WRONG_SCORE)


@EACH_SOURCE
def test_a_value_of(source: str) -> None:
    case = lenient()
    values = moved(case.shape, case.tensors["values"], key_at, SOURCES[source])
    assert_only_the_product_shows(reweighted(case, values), WRONG_OUTPUT)


@EACH_SOURCE
def test_an_output_of(source: str) -> None:
    assert_exchange_shows(SOURCES[source])


def test_outputs_of_two_heads_of_one_group() -> None:
    assert_exchange_shows(lambda l, b, i, h: (l, b, i, h ^ 1))


def assert_exchange_shows(source: Callable[..., tuple[int, int, int, int]]) -> None:
    case = lenient()
    names = ("outputs", "output_remainders")
    prover = with_tensors(
        case,
        **{name: moved(case.shape, case.tensors[name], query_at, source) for name in names},
    )
    assert_only_the_product_shows(prover, WRONG_OUTPUT)


def with_centred(follow: Callable[..., ZkAttnCase], case: ZkAttnCase, **tensors: Any) -> ZkAttnCase:
    """Shifts raised, so that no index is negative whatever the scores."""
    raised = with_shifts(case, [s + 20 for s in shifts(case)])
    return follow(raised, **tensors)


def assert_only_the_product_shows(prover: ZkAttnCase, reason: str) -> None:
    assert prover != lenient()
    assert all(0 <= t < 256 for t in prover.tensors["indices"])
    verify(lenient(), prove(lenient(), cpu_target())[0])
    assert reason_of_rejection(faked_row_sums(prover)) == reason
