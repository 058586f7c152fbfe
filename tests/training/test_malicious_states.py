"""Provers of training that are honest but for one stated lie: weights, data, and what is committed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bold_provers import Relay, Unflipped, committing
from lying_training import at, both, bump
from training_proof import (
    DIMS,
    KINDS,
    NOT_THE_TABLES,
    SEED,
    STEPS,
    TWO_SHIFTS,
    WRONG_OPENING,
    WRONG_PRODUCT,
    WRONG_ROOT,
    Case,
    case_of,
    committed,
    forge,
    make_case,
    rejected,
    rejected_out_of_range,
    rule_of,
    state_arrays,
)

from zkbench.commitments.claims import AxisWeights, sum_of_weights
from zkbench.models.training.batches import batch_rows
from zkbench.protocols import losses
from zkbench.protocols.program import ProverRun
from zkbench.protocols.scripted import Part, told
from zkbench.protocols.training import state_shapes

LAYERS = range(len(DIMS) - 1)


@pytest.fixture(scope="module")
def case() -> Case:
    """With momentum and softmax."""
    return case_of(*KINDS[0])


def values_of(case: Case, name: str) -> list[list[np.ndarray]]:
    """Of every step and layer."""
    return [values[name] for values in case.training().steps(case.segment.rows)[0]]


# The parameters of the steps: all that is computed from them is right.


@pytest.mark.parametrize(("name", "layer"), [("w", 0), ("w", 2), ("b", 3)])
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


def test_the_first_step_from_parameters_that_differ_by_a_limb(case: Case) -> None:
    """By 2^16, with high limbs that fit; those that are committed are looked up."""
    name, amount = "first.w0.high", np.zeros((1, *case.first["w"][0].shape), dtype=int)
    amount[0, 0, 3] = 1
    change = at("w", 0, 0, lambda w: w + (amount[0] << 16))

    def edit(tensors: dict[str, Any]) -> dict[str, Any]:
        return {name: tensors[name] + amount.reshape(-1), f"shown.{name}": tensors[name]}

    root = {"first": case.commit_state(case.first, "first")}
    rejected(WRONG_OPENING, case, change, edit=edit, committed_to=root)


# The states around a segment.


@pytest.mark.parametrize(("name", "layer"), [("w", 0), ("b", 2), ("u", 2), ("v", 3)])
def test_another_last_state(case: Case, name: str, layer: int) -> None:
    rejected(WRONG_OPENING, case, bump(f"last.{name}", STEPS, layer, -1))


def test_a_last_state_that_was_not_updated(case: Case) -> None:
    """It is the first one."""
    changes = [
        at(f"last.{n}", STEPS, l, lambda _, n=n, l=l: case.first[n][l])
        for n in "wb"
        for l in LAYERS
    ]
    rejected(WRONG_OPENING, case, both(*changes))


@pytest.mark.parametrize("which", ["first", "last", "data"])
def test_other_states_or_data_are_committed_than_worked_with(case: Case, which: str) -> None:
    """Data committed after the fact, too: only the statement names the others, or the prover as well."""
    state = {**case.first, "b": [b + 1 for b in case.first["b"]]}
    targets = case.targets.copy()
    targets[case.segment.rows[0, 0], 0] ^= 1
    others = {
        "first": case.commit_state(state, "first"),
        "last": case.commit_state(state, "last"),
        "data": replace(case, targets=targets).commit_data(),
    }
    other = {which: others[which]}
    rejected(WRONG_ROOT, case, claimed=other)
    inner = replace(case, segment=replace(case.segment, is_first=False, is_last=False))
    rejected(WRONG_OPENING, inner, committed_to=other)


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
    """High 2^16 + low is what the updates leave; and where another segment follows, it checks them."""
    for by in (1, -1):
        names = (f"last.{name}.high", f"last.{name}.low")
        rejected_out_of_range(case, edit=moved_limb(names, by), outside={names[1]})
        followed = replace(case, segment=replace(case.segment, is_last=False))
        forge(followed, edit=moved_limb(names, by)).verify()


def with_large_weights(largest: int) -> Case:
    """Two features that are the same, and whose weights cancel each other but for their size."""
    case = make_case(replace(rule_of("square", 0), rate=(60, 12)), steps=1)
    case.inputs[:, 5] = case.inputs[:, 4]
    case.first["w"][0][4], case.first["w"][0][5] = -largest, largest
    return case


@pytest.mark.parametrize("size", [(1 << 31) - 1, 1 << 31])
def test_weights_beyond_32_bits(size: int) -> None:
    """Behind the last step, or before the first one too."""
    case, outside = with_large_weights(size), {"last.w0.high"}
    if size == 1 << 31:
        outside |= {"first.w0.high"}
    rejected_out_of_range(case, outside=outside)


@pytest.mark.parametrize("name", ["w1", "b0"])
def test_first_limbs_out_of_range(case: Case, name: str) -> None:
    """Of the committed state."""
    names = (f"first.{name}.high", f"first.{name}.low")
    arrays = state_arrays(case.rule, True, case.first, "first")
    limbs = moved_limb(names, 1)(arrays)
    root = {"first": committed(arrays | limbs, state_shapes(case.rule, True, "first"))}
    edit: Any = lambda _: limbs  # noqa: E731
    rejected_out_of_range(case, edit=edit, committed_to=root, outside={names[1]})


def test_updates_before_the_first_step(case: Case) -> None:
    """A state with momentum in it, that its first step takes account of."""
    for name in "uv":
        first = {**case.first, name: [u + 5 for u in case.first[name]]}
        rejected(WRONG_OPENING, replace(case, first=first))


def test_momentum_from_the_segment_before_out_of_range(case: Case) -> None:
    """Of the weights of the first feature, which is small."""
    updates = [u.copy() for u in case.first["u"]]
    updates[0][0] = 1 << 15
    first, segment = {**case.first, "u": updates}, replace(case.segment, is_first=False)
    lie = replace(case, first=first, segment=segment)
    rejected_out_of_range(lie, outside={"first.u0"})


# The data.


def rows_of(case: Case, order: list[int]) -> np.ndarray:
    """The steps' batches in another order."""
    return case.segment.rows[order]


@pytest.mark.parametrize("order", [[0, 1, 1], [0, 0, 2], [1, 0, 2], [2, 1, 0]])
def test_a_step_repeated_or_steps_exchanged(case: Case, order: list[int]) -> None:
    rejected(WRONG_OPENING, case, rows=rows_of(case, order))


def test_the_samples_of_a_batch_in_another_order(case: Case) -> None:
    """All weights are the same ones; but the statement says which sample stands where."""
    rows = case.segment.rows.copy()
    rows[1] = np.roll(rows[1], 1)
    rejected(WRONG_OPENING, case, rows=rows)


def test_another_sample(case: Case) -> None:
    for step, place in ((0, 0), (STEPS - 1, 3)):
        rows = case.segment.rows.copy()
        rows[step, place] = (rows[step, place] + 1) % len(case.inputs)
        rejected(WRONG_OPENING, case, rows=rows)


def test_the_order_of_another_seed(case: Case) -> None:
    rows = batch_rows(SEED + 1, len(case.inputs), case.rule.batch, 0, STEPS)
    rejected(WRONG_OPENING, case, rows=rows)


@pytest.mark.parametrize("kind", KINDS[:2])
def test_a_label_or_a_feature_changed(kind: tuple[str, int]) -> None:
    """In one step only."""
    case = case_of(*kind)
    rejected(WRONG_OPENING, case, bump("goals", 1, 3))
    rejected(WRONG_OPENING, case, bump("x", 1, 0))


@pytest.mark.parametrize(("name", "taken_as"), [("inputs", "x0"), ("targets", "goals")])
def test_committed_data_out_of_range(name: str, taken_as: str) -> None:
    """In a sample that is taken; in one that is not, nobody cares."""
    case = make_case(rule_of("square", 0), steps=1)
    case.first["w"][0][-1] = 0  # so that nothing else leaves its range
    case.first["w"][3][:] //= 8
    taken = set(case.segment.rows.ravel())
    free = set(range(len(case.inputs))) - taken
    for sample in (min(taken), min(free)):
        wide = getattr(case, name).astype(np.int32)
        wide[sample, -1] = 1 << 15
        lie = replace(case, **{name: wide})
        if sample in taken:
            rejected_out_of_range(lie, outside={taken_as})
        else:
            forge(lie).verify()


# What the prover says on the way.


class Lie:
    """Adds so much to elements of a message: of the ``which``-th under its label."""

    def __init__(self, which: int, amounts: dict[int, int]) -> None:
        self.left, self.amounts = which, amounts

    def __call__(self, elements: list[Any]) -> None:
        for element, amount in self.amounts.items() if self.left == 0 else ():
            elements[element] = elements[element] + amount
        self.left -= 1


def rejected_for_saying(
    reason: str, case: Case, label: str, which: int, element: int, **options: Any
) -> None:
    lie = Lie(which, {element: 1})
    rejected(reason, case, wrap=lambda transcript: Relay(transcript, label, lie), **options)


SUMS = [
    ("bias", 1, 0, WRONG_PRODUCT),
    ("before", 0, 0, WRONG_OPENING),
    ("before", 1, 0, WRONG_PRODUCT),
    ("carried", 2, 0, WRONG_OPENING),
    ("last", 4, 0, WRONG_OPENING),
    ("last", 5, 1, WRONG_OPENING),
    ("stream", 3, 0, WRONG_OPENING),
    ("stream", 4, 1, WRONG_OPENING),
    ("slices", 2, 0, NOT_THE_TABLES),
    ("slices", 4, 0, WRONG_OPENING),
    ("outputs", 1, 0, NOT_THE_TABLES),
    ("shifts", 0, 3, TWO_SHIFTS),
]


@pytest.mark.parametrize(("label", "which", "element", "reason"), SUMS)
def test_a_false_sum(case: Case, label: str, which: int, element: int, reason: str) -> None:
    """All that follows from it is right."""
    rejected_for_saying(reason, case, label, which, element)


@pytest.mark.parametrize(("label", "which"), [("carried", 1), ("stream", 1), ("stream", 2)])
def test_a_false_sum_of_nothing(label: str, which: int) -> None:
    """In a segment of one step, no update comes before a step: these sums have no terms."""
    case = make_case(rule_of(*KINDS[0]), steps=1)
    rejected_for_saying(WRONG_OPENING, case, label, which, 0)


def told_to_fit(run: Any, label: str, parts: list[Part]) -> list[Any]:
    """The scores' sum is said to be what one shift would need."""
    if label != "shifts" or not isinstance(run, ProverRun):
        return told(run, label, parts)
    index, _, *others = (part.value(run) for part in parts)
    columns = AxisWeights(parts[0].weights.axes[-1:])
    needed = (others[0] + others[1]) * sum_of_weights(columns, parts[0].shape[-1:])
    values = [index, needed - index, *others]
    run.transcript.send(label, values)
    return values


def test_two_shifts_and_a_sum_that_hides_them(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "told", told_to_fit)
    rejected(WRONG_OPENING, case, at("t", 1, 3, lambda t: t + np.array([0, 0, 1])))


# What is committed.


def test_another_tensor_is_committed_than_worked_with(case: Case) -> None:
    """One of each kind in the witness, of the multiplicities, and of the pushed vectors' columns."""
    program = case.segment.program
    committed_by = {"witness": ["y0", "u1", "v0", "d1", "t"]}
    assert {name[0] for name in program.witness} == set("yuvdt")
    committed_by["counts"] = list(program.checks.counts)[:1]
    committed_by |= {one.name: [f"{one.name}.pushed1"] for one in program.lookups}
    for label, names in committed_by.items():
        for name in names:
            rejected(WRONG_OPENING, case, program=committing(label, name).of)


def test_unsigned_integers_committed_as_signed_ones(case: Case) -> None:
    rejected(WRONG_OPENING, case, program=Unflipped.of)
