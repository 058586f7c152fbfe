"""Rounds of a sumcheck over squares of integers, stored or not, against sums in Python integers."""

from __future__ import annotations

from itertools import product
from math import prod
from random import Random
from typing import Any

import numpy as np
import pytest
from definitions import eq_weights, num_variables, random_elements, random_points, total
from targets import EACH_TARGET, get_target

from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.protocols import square_sums
from zkbench.protocols.axes import Axis
from zkbench.protocols.square_sums import SquareStatement

SHAPES = [(1,), (1, 1), (2,), (3, 1), (1, 9), (5, 3), (2, 3, 4), (3, 2, 21), (3, 64), (2, 700)]
EDGES = [0, 1, -1, 2**31 - 1, -(2**31)]


def bound(values: list[Any], cols: int, challenges: list[Any]) -> list[list[Any]]:
    """Rows of ``cols`` entries, their lowest variables bound to the challenges."""
    rows = [values[start : start + cols] for start in range(0, len(values), cols)]
    for r in challenges:
        padded = [[*row, 0] if len(row) % 2 else row for row in rows]
        rows = [
            [a + r * (b - a) for a, b in zip(row[::2], row[1::2], strict=True)] for row in padded
        ]
    return rows


def expected_round(
    values: list[int], shape: tuple[int, ...], points: list[Any], challenges: list[Any]
) -> list[Any]:
    """q(0) and the leading coefficient of a round within the last axis, entry by entry."""
    rows = bound(values, shape[-1], challenges)
    tables = [eq_weights(p)[:n] for n, p in zip(shape[:-1], points, strict=True)]
    weights = [prod(w, start=FIELD.element(1)) for w in product(*tables)]
    at_zero, lead = [], []
    for w, row in zip(weights, rows, strict=True):
        padded = [*row, 0] if len(row) % 2 else row
        for a, b in zip(padded[::2], padded[1::2], strict=True):
            at_zero.append(w * a * a)
            lead.append(w * (b - a) * (b - a))
    return [total(at_zero), total(lead)]


@EACH_TARGET
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("unstored", [0, 1, 3, 20])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_rounds_vs_python_int(
    shape: tuple[int, ...],
    unstored: int,
    dtype: Any,
    target_name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(square_sums, "UNSTORED_VARIABLES", unstored)
    rng, target = Random(f"{shape}"), get_target(target_name)
    values = [rng.choice([*EDGES, rng.randrange(-(2**31), 2**31)]) for _ in range(prod(shape))]
    points = random_points(FIELD, rng, shape[:-1])
    axes = [*map(Axis, shape[:-1], points), Axis(shape[-1])]
    array = target.to_device(np.array(values, dtype=dtype))
    statement = SquareStatement(target, FIELD, array, axes)
    assert statement.num_rounds == sum(map(num_variables, shape))
    challenges = random_elements(FIELD, rng, num_variables(shape[-1]))
    for k in range(len(challenges)):
        found = statement.round(challenges[k - 1] if k else None)
        assert found == expected_round(values, shape, points, challenges[:k])
    assert_bound(statement, values, shape, challenges, rng)


def assert_bound(
    statement: SquareStatement,
    values: list[int],
    shape: tuple[int, ...],
    challenges: list[Any],
    rng: Random,
) -> None:
    """Once the last axis is bound, and all others: the value is the extension's."""
    rest = random_elements(FIELD, rng, statement.num_rounds - len(challenges))
    done = [*challenges]
    for r in rest:
        statement.round(done[-1] if done else None)
        done.append(r)
    (value,) = statement.finish(done[-1] if done else None)
    column = [row[0] for row in bound(values, shape[-1], challenges)]
    for n in reversed(shape[:-1]):
        variables, rest = rest[: num_variables(n)], rest[num_variables(n) :]
        column = [row[0] for row in bound(column, n, variables)]
    assert value == column[0] + FIELD.element(0)
