"""True statements about small training runs are proven, whatever their shapes, everywhere the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_proof import (
    KINDS,
    TARGET,
    Case,
    case_of,
    forge,
    make_case,
    rule_of,
    tensors_of,
)
from training_run import (
    FEW_BITS,
    RunCase,
    begin,
    small_run_rule,
    state_from,
)

from zkbench.commitments.ligero import Ligero
from zkbench.kernels.launch import CpuTarget, target
from zkbench.models.training.integer_training import train_step
from zkbench.models.training.rule import TrainingFormats, TrainingRule
from zkbench.models.training.training_state import TrainingState
from zkbench.protocols.training_witness import SegmentTensors, state_arrays
from zkbench.training_run import commit_state
from zkbench.training_statement import TrainingCommitment, TrainingStatement


def honest_tensors(case: Case) -> tuple[dict[str, np.ndarray], TrainingState]:
    """What an honest prover fills step by step, and the last state."""
    state = state_from(case.first)
    tensors = SegmentTensors(case.segment, state)
    for step, rows in enumerate(case.segment.rows):
        trace, state = train_step(case.rule, state, case.inputs[rows], case.targets[rows])
        tensors.add(step, trace)
    tensors.complete()
    found = {name: np.asarray(array) for name, array in tensors.arrays.items()}
    return found, state


def require_the_same_tensors(case: Case) -> None:
    honest, last = honest_tensors(case)
    ours = tensors_of(case)
    for name, array in honest.items():
        assert (ours[name] == array).all(), name
    for name, array in state_arrays(case.rule, case.segment.stacked, last, "last").items():
        assert (ours[name] == array.reshape(-1)).all(), name


SHAPES: list[dict[str, Any]] = [
    {"dims": (6, 3)},
    {"dims": (1, 1), "batch": 1, "steps": 1, "samples": 1},
    {"dims": (5, 4, 3), "batch": 5, "steps": 2, "samples": 5},
    {"dims": (5, 5, 5, 3), "batch": 3, "steps": 5},  # a first layer of the hidden ones' shape
    {"dims": (6, 5, 4, 5, 4, 3), "steps": 2},  # several hidden shapes, in turns
    {"dims": (8, 4, 4, 4, 2), "batch": 8, "steps": 4, "samples": 16},
    {"dims": (3, 1, 1, 2), "batch": 7, "steps": 3, "samples": 7},
    {"dims": (5, 4, 4, 3), "stacked": False, "steps": 3},
    {"dims": (5, 4, 4, 3), "stacked": False, "steps": 1},
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(map(str, shape["dims"])))
def test_runs_of_any_shape(shape: dict[str, Any], request: pytest.FixtureRequest) -> None:
    """Both losses, with and without momentum, in turns."""
    number = SHAPES.index(shape)
    for kind in (KINDS[number % 2], KINDS[2 + number % 2]):
        options = dict(shape)
        rule = rule_of(*kind, options.pop("dims"), options.pop("batch", 4))
        case = make_case(rule, **options)
        require_the_same_tensors(case)
        forgery = forge(case)
        assert forgery.outside == set()
        forgery.verify()


def test_rescalings_that_drop_one_bit() -> None:
    """The smallest table of remainders."""
    formats = TrainingFormats(activation=0, output=0, error=0, weight=1)
    case = make_case(TrainingRule((4, 3, 3, 2), "square", formats, 3, (1, 2)), steps=2)
    for data in (case.inputs, case.targets):
        np.sign(data, out=data)
    require_the_same_tensors(case)
    assert 2 in case.segment.program.checks.sizes
    forge(case).verify()


@pytest.mark.parametrize("kind", KINDS)
def test_the_prover_that_tells_no_lie_is_accepted(kind: tuple[str, int]) -> None:
    require_the_same_tensors(case_of(*kind))
    forge(case_of(*kind)).verify()


def test_the_same_proof_whatever_memory_and_threads_there_are() -> None:
    targets = [CpuTarget(*one) for one in ((1, None), (3, 1 << 14))]
    proofs = {forge(case_of(*KINDS[0]), target=target).proof for target in (TARGET, *targets)}
    assert len(proofs) == 1


# Runs.


def test_a_run_of_several_segments(case: RunCase) -> None:
    """Over several epochs, the last segment shorter."""
    assert case.run.segments.cut.bounds == [(0, 2), (2, 2), (4, 1)]
    assert case.verify() >= FEW_BITS
    public = TrainingCommitment.from_json(json.loads(json.dumps(case.public.to_json())))
    statement = TrainingStatement.from_json(json.loads(json.dumps(case.statement.to_json())))
    assert (public, statement) == (case.public, case.statement)
    assert case.verify(statement=statement, public=public) >= FEW_BITS


@pytest.mark.parametrize(
    "options",
    [
        {"rule": small_run_rule(0), "steps": 3, "segment": 1, "stacked": False},
        {"rule": rule_of("square", 3600, (3, 2)), "steps": 2, "segment": None},
        {"steps": 1, "scheme": Ligero(queries=60, grinding_bits=1)},
    ],
    ids=["sequential", "one segment", "ligero"],
)
def test_other_runs(options: dict[str, Any], tmp_path: Path) -> None:
    assert RunCase.of(begin(tmp_path / "run", **options)).verify() >= FEW_BITS


@pytest.mark.gpu
def test_the_same_run_and_proof_on_cuda(case: RunCase, tmp_path: Path) -> None:
    gpu = target("cuda")
    assert gpu.name == "cuda"
    there = RunCase.of(begin(tmp_path / "run", target=gpu))
    assert (there.public, there.proof) == (case.public, case.proof)


def test_a_states_root_does_not_depend_on_where_it_stands(case: RunCase) -> None:
    plan, state = case.run.plan, case.run.state(1)
    roots = {commit_state(plan, state, when, TARGET).commitment.root for when in ("first", "last")}
    assert len(roots) == 1
    first, last = (commit_state(plan, state, when, TARGET).commitment for when in ("first", "last"))
    renamed = [(slot.name.replace("last.", "first."), slot.offset) for slot in last.layout.slots]
    assert renamed == [(slot.name, slot.offset) for slot in first.layout.slots]


def test_eleven_stacks_lie_the_same_way_in_both_states() -> None:
    """Names are sorted as text: stack 10 comes before stack 2, in both."""
    rule = rule_of("square", 3600, range(1, 13))
    case = make_case(rule, steps=1)
    assert len(case.segment.stacks) == 11
    first, last = (case.commit_state(case.first, when).commitment for when in ("first", "last"))
    assert first.root == last.root
    forge(case).verify()
