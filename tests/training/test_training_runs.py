"""Runs in folders: training and proofs go on where they were, and trust no file that they find there."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from training_proof import SAMPLES, SCHEME, SEED, TARGET, WRONG_OPENING, WRONG_ROOT, rule_of
from training_run import (
    FEW_BITS,
    SEGMENT,
    RunCase,
    begin,
    proven_segments,
    small_run_rule,
)

from zkbench import training, training_run
from zkbench.errors import UnusableInput
from zkbench.models.tensor_files import safetensors_bytes
from zkbench.models.training.rule import MAX_STEPS
from zkbench.proof import ProofRejected
from zkbench.training import prove_training, verify_training
from zkbench.training_run import finish_run, fitting_segment, load_run
from zkbench.training_statement import TrainingCommitment


def proof_file(folder: Path, index: int) -> Path:
    return folder / "proofs" / f"{index:06d}.bin"


def state_file(folder: Path, index: int) -> Path:
    return folder / "states" / f"{index:06d}.safetensors"


# Training.


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_training_goes_on_where_it_stopped(case: RunCase, tmp_path: Path, kept: int) -> None:
    run = case.copied(tmp_path / "run")
    before = [state_file(run.folder, k).read_bytes() for k in range(4)]
    for k in range(kept + 1, 4):
        state_file(run.folder, k).unlink()
    assert finish_run(run) == case.public
    assert [state_file(run.folder, k).read_bytes() for k in range(4)] == before


def test_a_finished_run_is_not_trained_again(
    case: RunCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = case.copied(tmp_path / "run")
    monkeypatch.setattr(training_run, "train_step", None)
    assert finish_run(begin(run.folder)) == case.public


@pytest.mark.parametrize("damage", [b"", b"{}", None])
def test_a_damaged_state_is_named(case: RunCase, tmp_path: Path, damage: bytes | None) -> None:
    """None: cut in the middle."""
    run = case.copied(tmp_path / "run")
    path = state_file(run.folder, 1)
    path.write_bytes(path.read_bytes()[:100] if damage is None else damage)
    state_file(run.folder, 2).unlink()
    with pytest.raises(UnusableInput, match="000001.safetensors"):
        finish_run(run)


@pytest.mark.parametrize(
    "options",
    [{"seed": 8}, {"steps": 6}, {"segment": 3}, {"data_seed": 4}, {"state_seed": 11}],
    ids=lambda options: next(iter(options)),
)
def test_the_folder_of_another_run(case: RunCase, options: dict[str, int]) -> None:
    with pytest.raises(UnusableInput, match="holds another run; choose another folder"):
        begin(case.run.folder, **options)
    with pytest.raises(UnusableInput, match="holds another run"):
        begin(case.run.folder, small_run_rule(0))


def test_the_segments_of_a_run_are_its_own(case: RunCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """What memory would take now does not matter to a run that is there."""
    monkeypatch.setattr(training_run, "fitting_segment", lambda *_: 1)
    assert begin(case.run.folder, segment=None).plan.segment == SEGMENT


def test_segments_are_not_longer_than_weights_stay_in_range_for() -> None:
    assert fitting_segment(rule_of("square", 0, (1, 1)), MAX_STEPS + 1, "table") <= MAX_STEPS


def test_a_run_with_momentum_starts_from_rest(case: RunCase, tmp_path: Path) -> None:
    """The first step's update has no momentum part by the rule, and by the proof."""
    first = case.run.state(1)
    assert all(update.any() for update in first.updates)
    data = case.run.inputs, case.run.targets
    with pytest.raises(UnusableInput, match="starts from rest; set them to zero"):
        training_run.start_run(tmp_path / "run", case.public.rule, first, *data, SEED, 5, TARGET)
    assert not (tmp_path / "run").exists()


def test_batches_larger_than_the_data(tmp_path: Path) -> None:
    rule = rule_of("square", 0, (3, 2), SAMPLES + 1)
    with pytest.raises(UnusableInput, match="a batch of 11 from 10 samples"):
        begin(tmp_path / "run", rule)
    assert not (tmp_path / "run").exists()


# Proofs.


def test_finished_segments_are_not_proven_again(
    case: RunCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, proven = case.copied(tmp_path / "run"), proven_segments(monkeypatch)
    proof_file(run.folder, 1).unlink()
    assert prove_training(run, case.public, minimum_bits=FEW_BITS)[0] == case.proof
    assert proven == [1]
    assert prove_training(run, case.public, minimum_bits=FEW_BITS)[0] == case.proof
    assert proven == [1]


DAMAGES = {
    "short": lambda data: data[:40],
    "extended": lambda data: data + b"\0",
    "last root": lambda data: data[:32] + bytes([data[32] ^ 1]) + data[33:],
    "flipped": lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
}


def test_damaged_proofs_of_segments_are_made_again(
    case: RunCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, proven = case.copied(tmp_path / "run"), proven_segments(monkeypatch)
    path = proof_file(run.folder, 2)
    for name, damage in DAMAGES.items():
        path.write_bytes(damage(path.read_bytes()))
        proof, _ = prove_training(run, case.public, minimum_bits=FEW_BITS)
        assert proof == case.proof, name
    assert proven == [2] * len(DAMAGES)


def test_proofs_of_another_run_in_the_folder(
    case: RunCase, other: RunCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And of another segment of this one."""
    run, proven = case.copied(tmp_path / "run"), proven_segments(monkeypatch)
    shutil.copy(proof_file(other.run.folder, 0), proof_file(run.folder, 0))
    shutil.copy(proof_file(case.run.folder, 0), proof_file(run.folder, 1))
    assert prove_training(run, case.public, minimum_bits=FEW_BITS)[0] == case.proof
    assert proven == [0, 1]


@pytest.mark.parametrize("index", [0, 1, 2])
def test_states_of_another_run_in_the_folder(
    case: RunCase, other: RunCase, tmp_path: Path, index: int
) -> None:
    """No proof of a segment starts from them."""
    run = case.copied(tmp_path / "run")
    shutil.copy(state_file(other.run.folder, index), state_file(run.folder, index))
    for k in range(3):
        proof_file(run.folder, k).unlink()
    with pytest.raises(UnusableInput, match=f"{index:06d}.safetensors is not the state that"):
        prove_training(run, case.public, minimum_bits=FEW_BITS)


def test_a_last_state_of_another_run(case: RunCase, other: RunCase, tmp_path: Path) -> None:
    """The commitment that is published is to it; the proof leads elsewhere."""
    run = case.copied(tmp_path / "run")
    shutil.copy(state_file(other.run.folder, 3), state_file(run.folder, 3))
    public = finish_run(run)
    assert public != case.public
    with pytest.raises(UnusableInput, match="000003.safetensors is not the state that"):
        prove_training(run, public, minimum_bits=FEW_BITS)


def test_data_changed_between_segments(case: RunCase, tmp_path: Path) -> None:
    run = case.copied(tmp_path / "run")
    proof_file(run.folder, 2).unlink()
    changed = {"inputs": np.asarray(run.inputs), "targets": np.roll(run.targets, 1, axis=0)}
    path = run.folder / training_run.DATA_FILE
    path.write_bytes(safetensors_bytes(changed))
    with pytest.raises(UnusableInput, match="data.safetensors is not the data that the run"):
        prove_training(load_run(run.folder, TARGET), case.public, minimum_bits=FEW_BITS)


# Provers that do not look.


def reason(run: training_run.TrainingRun, public: TrainingCommitment) -> str:
    """Why what this prover offers is rejected."""
    proof, statement = prove_training(run, public, minimum_bits=FEW_BITS)
    with pytest.raises(ProofRejected) as rejected:
        verify_training(proof, statement, public, FEW_BITS)
    return str(rejected.value)


def test_a_proof_that_leads_elsewhere(
    case: RunCase, other: RunCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All segments are true, and made for a statement with another run's last root."""
    monkeypatch.setattr(training, "_require_state", lambda *_: None)
    roots = replace(case.public.roots, last=other.public.roots.last)
    public = replace(case.public, roots=roots)
    found = reason(case.copied(tmp_path / "run"), public)
    assert found == "the last segment leads to another state"


def test_a_segment_from_another_state(
    case: RunCase, other: RunCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """True, and bound to the root of that state, to which the segment before does not lead."""
    monkeypatch.setattr(training, "_require_state", lambda *_: None)
    run = case.copied(tmp_path / "run")
    shutil.copy(state_file(other.run.folder, 2), state_file(run.folder, 2))
    proof_file(run.folder, 2).unlink()
    assert reason(run, case.public)


def test_a_segment_on_other_data(
    case: RunCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_require_state", "_require_data"):
        monkeypatch.setattr(training, name, lambda *_: None)
    run = case.copied(tmp_path / "run")
    proof_file(run.folder, 2).unlink()
    run.targets[:] = np.roll(run.targets, 1, axis=0)
    assert reason(run, case.public) == WRONG_ROOT


def test_a_run_that_does_not_start_from_rest(
    case: RunCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first step has a momentum part, of committed updates that no step computed."""
    monkeypatch.setattr(training_run, "_require_rest", lambda *_: None)
    data = case.run.inputs, case.run.targets
    options = {"segment": SEGMENT, "scheme": SCHEME}
    first = case.run.state(1)
    run = training_run.start_run(
        tmp_path, case.public.rule, first, *data, SEED, 3, TARGET, **options
    )
    assert reason(run, finish_run(run)) == WRONG_OPENING


def test_the_ends_of_a_run_are_those_of_its_first_and_last_segment(case: RunCase) -> None:
    programs = [case.run.segments.program(k) for k in range(3)]
    assert [one.is_first for one in programs] == [True, False, False]
    assert [one.is_last for one in programs] == [False, False, True]


def test_more_soundness_than_there_is(case: RunCase) -> None:
    with pytest.raises(UnusableInput, match="bits of soundness, below 100"):
        prove_training(case.run, case.public)


PLANS = {"segment": (0, "2", 2.0, True), "steps": (0, None), "stacked": (1,), "data": (7,)}
PLANS |= {
    "relu": ("other", [], 1),
    "samples": (-1, 3),
    "scheme": (None, {}),
    "rule": ({}, []),
}


@pytest.mark.parametrize("key", [*PLANS, "version", "more"])
def test_a_damaged_plan(case: RunCase, tmp_path: Path, key: str) -> None:
    run = case.copied(tmp_path / "run")
    path = run.folder / training_run.RUN_FILE
    plan = json.loads(path.read_text())
    for value in PLANS.get(key, (2,)):
        path.write_text(json.dumps({**plan, key: value}))
        with pytest.raises(UnusableInput):
            load_run(run.folder, TARGET)


def test_a_folder_that_is_no_runs(tmp_path: Path) -> None:
    with pytest.raises(UnusableInput, match="is no folder that zkbench train wrote"):
        load_run(tmp_path, TARGET)
