"""Provers of training that are honest but for one stated lie: weights, data, and what is committed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bold_provers import BoldProgram, Relay
from lying_training import Change, at, both, bump
from training_proof import (
    DIMS,
    HALF,
    KINDS,
    NOT_IN_TABLE,
    NOT_THE_TABLES,
    SEED,
    STEPS,
    WRONG_OPENING,
    Case,
    case_of,
    forge,
    make_case,
    rejected,
    rule_of,
)

from zkbench.models.training.batches import batch_rows

LAYERS = range(len(DIMS) - 1)


@pytest.fixture(scope="module")
def case() -> Case:
    """With momentum and softmax."""
    return case_of(*KINDS[0])


def values_of(case: Case, name: str) -> list[list[np.ndarray]]:
    """Of every step and layer."""
    return [values[name] for values in case.training().steps(case.segment.rows)[0]]


# The parameters of the steps: all that is computed from them is right.


@pytest.mark.parametrize("name", ["w", "b"])
@pytest.mark.parametrize("layer", LAYERS)
def test_a_step_without_the_update_before(case: Case, name: str, layer: int) -> None:
    """The step starts from what the step before started from."""
    stale = values_of(case, name)[0][layer]
    rejected(WRONG_OPENING, case, at(name, 1, layer, lambda _: stale))


def test_an_update_applied_twice(case: Case) -> None:
    update = values_of(case, "u")[0][2]
    rejected(WRONG_OPENING, case, at("w", 1, 2, lambda w: w - update))


def test_parameters_swapped_between_steps(case: Case) -> None:
    first, second = (step[1] for step in values_of(case, "w")[1:3])
    changes = at("w", 1, 1, lambda _: second), at("w", 2, 1, lambda _: first)
    rejected(WRONG_OPENING, case, both(*changes))


def test_parameters_swapped_between_layers(case: Case) -> None:
    one, two = values_of(case, "w")[1][1:3]
    changes = at("w", 1, 1, lambda _: two), at("w", 1, 2, lambda _: one)
    rejected(WRONG_OPENING, case, both(*changes))


def test_the_first_step_from_other_parameters(case: Case) -> None:
    for name, layer in (("w", 0), ("w", 2), ("b", 3)):
        rejected(WRONG_OPENING, case, bump(name, 0, layer))


# The states around a segment.


@pytest.mark.parametrize("name", ["last.w", "last.b", "last.u", "last.v"])
@pytest.mark.parametrize("layer", [0, 2, 3])
def test_another_last_state(case: Case, name: str, layer: int) -> None:
    rejected(WRONG_OPENING, case, bump(name, STEPS, layer, -1))


def test_a_last_state_that_was_not_updated(case: Case) -> None:
    """It is the first one."""
    changes = [
        at(f"last.{n}", STEPS, l, lambda _, n=n, l=l: case.first[n][l])
        for n in "wb"
        for l in LAYERS
    ]
    rejected(WRONG_OPENING, case, both(*changes))


@pytest.mark.parametrize("which", ["first", "last", "data"])
def test_another_root_in_the_statement(case: Case, which: str) -> None:
    """Of a state, or of data, that differ in one entry from what the prover has."""
    first = {**case.first, "b": [b + 1 for b in case.first["b"]]}
    targets = case.targets.copy()
    targets[0, 0] ^= 1
    other = {
        "first": case.commit_state(first, "first"),
        "last": case.commit_state(first, "last"),
        "data": replace(case, targets=targets).commit_data(),
    }
    rejected("", case, claimed={which: other[which]})


def moved_limb(names: tuple[str, str], by: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The same numbers, of other limbs."""

    def edit(tensors: dict[str, Any]) -> dict[str, Any]:
        high, low = (tensors[name].astype(np.int64) for name in names)
        high[0] -= by
        low[0] += by << 16
        return dict(zip(names, (high, low), strict=True))

    return edit


@pytest.mark.parametrize("name", ["w0", "b1"])
def test_last_limbs_out_of_range(case: Case, name: str) -> None:
    """High 2^16 + low is what the updates leave."""
    for by in (1, -1):
        names = (f"last.{name}.high", f"last.{name}.low")
        rejected(NOT_IN_TABLE, case, edit=moved_limb(names, by), outside={names[1]})


def test_updates_before_the_first_step(case: Case) -> None:
    first = {**case.first, "u": [u + 5 for u in case.first["u"]]}
    rejected("", replace(case, first=first))
