"""Provers of training that are honest but for one stated lie: what a step computes.

Most lies are told in two ways. The remainder that makes an equation true is out of range; or the
prover looks up one that is in range, and the equation does not hold.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bold_provers import miscounted
from lying_training import Change, as_it_is, at, both, bump
from training_proof import (
    DIMS,
    KINDS,
    NOT_IN_TABLE,
    NOT_THE_TABLES,
    STEPS,
    TWO_SHIFTS,
    WRONG_ENTRIES,
    WRONG_INDEX,
    WRONG_OPENING,
    WRONG_PRODUCT,
    Case,
    case_of,
    forge,
    make_case,
    rejected,
    rejected_out_of_range,
    rule_of,
    tensors_of,
)

LAYERS = range(len(DIMS) - 1)
STACK = (0, 1, 1, 2)  # of each layer
STEP, ROW = 1, 2


@pytest.fixture(scope="module")
def case() -> Case:
    """With softmax and momentum."""
    return case_of(*KINDS[0])


@pytest.fixture(scope="module")
def square() -> Case:
    """Without either."""
    return case_of(*KINDS[1])


def remainders(name: str, layer: int) -> str:
    return f"{name}{STACK[layer]}.remainders"


def rejected_twice(
    case: Case, change: Change, names: list[str], reason: str, **options: Any
) -> None:
    """With these remainders out of range, and with such as are in range and do not fit."""
    rejected(NOT_IN_TABLE, case, change, outside=set(names), **options)
    rejected(reason, case, change, in_range=names, **options)


# Quotients off by one: the remainder that makes up for it is out of range.

OFF_BY_ONE = [
    *(("y", layer, WRONG_PRODUCT) for layer in (0, 2, 3)),
    *(("d", layer, WRONG_ENTRIES) for layer in (1, 3)),
    *(("u", layer, WRONG_PRODUCT) for layer in (0, 1)),
    *(("v", layer, WRONG_OPENING) for layer in (2, 3)),
]


@pytest.mark.parametrize(("name", "layer", "reason"), OFF_BY_ONE)
def test_a_value_rounded_the_wrong_way(name: str, layer: int, reason: str) -> None:
    case = case_of(*KINDS[layer])  # each once
    rejected(reason, case, bump(name, STEP, layer), in_range=[remainders(name, layer)])


@pytest.mark.parametrize(("name", "step"), [("y", 0), ("u", STEPS - 1), ("v", 0), ("d", STEPS - 1)])
def test_a_value_rounded_the_wrong_way_and_its_remainder(case: Case, name: str, step: int) -> None:
    rejected(NOT_IN_TABLE, case, bump(name, step, 2, -1), outside={remainders(name, 2)})


# Updates.


def times(name: str, layer: int, factor: float, steps: range = range(STEPS)) -> Change:
    return both(*(at(name, step, layer, lambda g: (g * factor).astype(int)) for step in steps))


@pytest.mark.parametrize("layer", [0, 2])
def test_a_gradient_scaled(case: Case, layer: int) -> None:
    lie = times("u.sum", layer, 0.5, range(STEP, STEP + 1))
    rejected_twice(case, lie, [remainders("u", layer)], WRONG_PRODUCT)


def test_a_gradient_of_biases_scaled(square: Case) -> None:
    rejected_twice(square, times("v.sum", 2, 0.5), [remainders("v", 2)], WRONG_OPENING)


def test_another_learning_rate(square: Case) -> None:
    """Of all parameters, in all steps."""
    m = square.rule.rate[0]
    slower = [times(f"{n}.sum", l, (m - 1) / m) for n in "uv" for l in LAYERS]
    names = [f"{n}{s}.remainders" for n in "uv" for s in range(3)]
    rejected_twice(square, both(*slower), names, WRONG_PRODUCT)


@pytest.mark.parametrize(("name", "reason"), [("u", WRONG_PRODUCT), ("v", WRONG_OPENING)])
def test_an_update_dropped(case: Case, name: str, reason: str) -> None:
    change = at(name, STEP, 2, np.zeros_like)
    rejected(reason, case, change, in_range=[remainders(name, 2)])


def test_all_updates_of_a_step_dropped(case: Case) -> None:
    """A step skipped: the next one starts from the same parameters."""
    changes = [at(name, STEP, l, np.zeros_like) for name in "uv" for l in LAYERS]
    names = [f"{n}{s}.remainders" for n in "uv" for s in range(3)]
    rejected_twice(case, both(*changes), names, WRONG_PRODUCT)


def test_an_update_beyond_16_bits() -> None:
    """All equations hold; then it is made to wrap around."""
    case = make_case(replace(rule_of("cross-entropy", 0), rate=(150, 7)), steps=1)
    rejected_out_of_range(case, outside={"u2"})

    def wrapped(values: np.ndarray) -> np.ndarray:
        return (values + (1 << 15)) % (1 << 16) - (1 << 15)

    rejected_twice(case, at("u", 0, 3, wrapped), ["u2.remainders"], WRONG_PRODUCT)


# Momentum.


@pytest.mark.parametrize(("name", "reason"), [("u", WRONG_PRODUCT), ("v", WRONG_OPENING)])
def test_momentum_dropped(case: Case, name: str, reason: str) -> None:
    def without(values: np.ndarray, before: np.ndarray) -> np.ndarray:
        return values - case.rule.carry(2) * before

    before = case.training().steps(case.segment.rows)[0][STEP][f"{name}.before"][2]
    assert before.any()
    change = at(f"{name}.sum", STEP, 2, lambda values: without(values, before))
    rejected(reason, case, change, in_range=[remainders(name, 2)])


@pytest.mark.parametrize(
    ("name", "change"), [("u.before", np.zeros_like), ("v.before", lambda before: 2 * before)]
)
def test_momentum_of_other_updates(case: Case, name: str, change: Any) -> None:
    """All sums are right, of what is not the step before's updates."""
    rejected(WRONG_OPENING, case, at(name, STEP, 2, change))


def test_momentum_of_the_step_before_the_last(case: Case) -> None:
    steps, _ = case.training().steps(case.segment.rows)
    rejected(WRONG_OPENING, case, at("u.before", 2, 1, lambda _: steps[0]["u"][1]))


# ReLU and its derivative.


def flipped(case: Case, layer: int, where: Any) -> Change:
    """The derivative before a layer, where its quotient is so and the product is largest."""
    step = case.training().steps(case.segment.rows)[0][0]
    p = np.where(where(step["y"][layer - 1]), abs(step["p"][layer]), 0)
    assert p.max() >> case.rule.backward_shift(layer)  # the errors that are handed down change
    place = np.unravel_index(p.argmax(), p.shape)

    def flip(active: np.ndarray) -> np.ndarray:
        active = active.copy()
        active[place] ^= 1
        return active

    return at("active", 0, layer, flip)


WHERE = {"zero": lambda y: y == 0, "positive": lambda y: y > 0, "negative": lambda y: y < 0}


@pytest.mark.parametrize(
    ("layer", "sign"), [(1, "zero"), (1, "negative"), (2, "positive"), (3, "negative")]
)
def test_a_derivative_flipped(case: Case, layer: int, sign: str) -> None:
    """All that follows is right: the errors handed down are those of the false derivative."""
    rejected(NOT_THE_TABLES, case, flipped(case, layer, WHERE[sign]))


def test_a_derivative_flipped_in_the_table_too(case: Case) -> None:
    """The signs that are looked up are the false ones as well."""
    change = flipped(case, 1, WHERE["zero"])

    def edit(tensors: dict[str, Any]) -> dict[str, Any]:
        return {"signs0": tensors["active1"]}

    rejected(NOT_THE_TABLES, case, change, edit=edit)


@pytest.mark.parametrize("layer", [0, 2])
def test_an_activation_that_is_not_the_tables(case: Case, layer: int) -> None:
    rejected(NOT_THE_TABLES, case, bump("a", STEP, layer))


def test_relu_left_out(case: Case) -> None:
    rejected(NOT_THE_TABLES, case, at("a", 0, 1, lambda a: a - 1000))


# Which layer reads what.


@pytest.mark.parametrize("layer", [1, 2])
def test_the_inputs_of_another_layer(case: Case, layer: int) -> None:
    """Layers 1 and 2 are one stack; what they read comes from two."""
    steps, _ = case.training().steps(case.segment.rows)
    other = steps[STEP]["x"][3 - layer]
    assert (other != steps[STEP]["x"][layer]).any()
    rejected(NOT_THE_TABLES, case, at("x", STEP, layer, lambda _: other))


def test_the_inputs_of_another_step(case: Case) -> None:
    steps, _ = case.training().steps(case.segment.rows)
    rejected(NOT_THE_TABLES, case, at("x", STEP, 3, lambda _: steps[0]["x"][3]))


@pytest.mark.parametrize(("layer", "source"), [(0, 2), (2, 2)])
def test_the_errors_of_another_layer(case: Case, layer: int, source: int) -> None:
    """What layer ``source`` handed down is taken for what layer + 1 did."""
    steps, _ = case.training().steps(case.segment.rows)
    other = steps[STEP]["d"][source]
    assert (other != steps[STEP]["e"][layer]).any()
    rejected(WRONG_OPENING, case, at("e", STEP, layer, lambda _: other))


def test_the_errors_of_another_step(case: Case) -> None:
    steps, _ = case.training().steps(case.segment.rows)
    rejected(WRONG_OPENING, case, at("e", STEP, 1, lambda _: steps[0]["e"][1]))


# The loss.


def test_an_error_behind_the_last_layer(case: Case) -> None:
    """The targets' opening is what does not fit."""
    rejected(WRONG_OPENING, case, bump("e", STEP, 3))


def test_an_output_beyond_16_bits() -> None:
    """Of the last layer, whose quotients no table looks up but for their range."""
    case = make_case(replace(rule_of("square", 0), rate=(1, 12)), steps=1)
    case.first["b"][3][0] = 33_000 << 6
    case.first["w"][3][:, 0] = 0  # so that nothing else grows
    rejected_out_of_range(case, outside={"y2"})


def test_an_activation_beyond_16_bits() -> None:
    """Of a hidden layer: what is looked up as an index has no other check of its range."""
    case = make_case(rule_of("cross-entropy", 0), steps=1)
    case.first["b"][1][0] = 33_000 << 6
    case.first["w"][2][0] = 0  # so that nothing else grows
    rejected(WRONG_INDEX, case)


def shifted(by: int, columns: slice = slice(None), step: int = STEP) -> Change:
    """A row's indices, or some of them, are those of another shift."""

    def shift(t: np.ndarray) -> np.ndarray:
        t = t.copy()
        t[ROW, columns] += by
        return t

    return at("t", step, 3, shift)


def test_a_softmax_with_two_shifts(case: Case) -> None:
    for columns in (slice(0, 1), slice(2, 3)):
        rejected(TWO_SHIFTS, case, shifted(1, columns))


def row_sum(case: Case, change: Change) -> int:
    return int(tensors_of(case, change)["t.sums"][STEP, ROW]) - case.rule.tolerance


def test_a_softmax_scaled_within_the_tolerance_is_accepted(case: Case) -> None:
    """The statement allows it: this is what the tolerance means."""
    assert row_sum(case, shifted(1)) != row_sum(case, as_it_is)
    forge(case, shifted(1)).verify()


def test_a_softmax_scaled_beyond_the_tolerance(case: Case) -> None:
    tolerance = case.rule.tolerance
    assert tolerance < abs(row_sum(case, shifted(3))) < 2 * tolerance
    rejected_twice(case, shifted(3), ["t.sums"], NOT_THE_TABLES)


def test_a_softmax_scaled_beyond_the_tolerance_upwards() -> None:
    """Of three equal outputs, none of which is near its table's end."""
    case = make_case(rule_of("cross-entropy", 0), steps=1)
    case.first["w"][3][:] = case.first["b"][3][:] = 0
    up, tolerance = shifted(-3, step=0), case.rule.tolerance
    sums = int(tensors_of(case, up)["t.sums"][0, ROW])
    assert 2 * tolerance < sums < 3 * tolerance
    rejected_twice(case, up, ["t.sums"], NOT_THE_TABLES)


def test_chances_that_are_not_the_tables(case: Case) -> None:
    """They sum to what is looked up, and the errors follow from them."""
    rejected(NOT_THE_TABLES, case, bump("chances", STEP, 3))


@pytest.mark.parametrize(("outputs", "by"), [((900, 0, 0), -1), ((32767, -32768, 0), 1)])
def test_an_index_out_of_its_table(outputs: tuple[int, ...], by: int) -> None:
    """One below zero, or 2^16: with the table's first entry, or last, the row's sum is right."""
    case = make_case(rule_of("cross-entropy", 0), steps=1)
    case.first["w"][3][:] = 0
    case.first["b"][3][:] = np.array(outputs) << 7
    rejected(WRONG_INDEX, case, shifted(by, step=0))


# Lookups.


def test_a_multiplicity_off_by_one(case: Case) -> None:
    for which in range(len(case.segment.program.checks.sizes)):
        rejected(NOT_IN_TABLE, case, program=miscounted(which).of)
