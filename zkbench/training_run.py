"""A training run on disk: its plan, its data, and the state at every boundary of segments.

A run's folder holds run.json (the plan), the data and the states, which are secret, and
commitment.json when all steps are done. What was written stays valid: a run that was stopped goes on
from its last state, a proof (training.py) from its last finished segment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from zkbench import binding
from zkbench.commitments.dense import Centred
from zkbench.commitments.interleaved import ProverData
from zkbench.commitments.schemes import DEFAULT, Scheme, scheme_from_json
from zkbench.errors import UnusableInput
from zkbench.files import NewFile, PathLike, read_json, write_together
from zkbench.kernels.launch import Array, Target
from zkbench.model_folder import COMMITMENT_FILE, json_file
from zkbench.models.tensor_files import read_safetensors, safetensors_bytes
from zkbench.models.training.batches import batch_rows
from zkbench.models.training.integer_training import StepTrace, TrainingState, train_step
from zkbench.models.training.rule import MAX_STEPS, TrainingRule
from zkbench.placement import place_on
from zkbench.progress import Note, silent
from zkbench.protocols.training import RELUS, data_shapes, state_shapes
from zkbench.protocols.training_witness import state_arrays
from zkbench.protocols.zkrelu_bits import MAX_SHIFT, VALUE_BITS
from zkbench.segments import Cut
from zkbench.training_statement import (
    Plan,
    Roots,
    TrainingCommitment,
    TrainingStatement,
)

RUN_FILE, DATA_FILE = "run.json", "data.safetensors"
SECRET = 0o600
# Bytes of host memory for a value that a segment's proof commits to, at least; see language.py.
VALUE_BYTES = {"cpu": 64, "cuda": 4}


@dataclass(frozen=True)
class RunPlan:
    """All that a run's result follows from, but for its secrets."""

    scheme: Scheme
    rule: TrainingRule
    samples: int
    stacked: bool
    seed: int
    steps: int
    segment: int
    data: str
    first: str
    relu: str = RELUS[0]

    def to_json(self) -> dict[str, Any]:
        found = {**asdict(self), "scheme": self.scheme.to_json(), "rule": self.rule.to_json()}
        return {"format": "zkbench training run", "version": 1, **found}

    @classmethod
    def from_json(cls, data: Any, what: str) -> RunPlan:
        try:
            fields = {k: v for k, v in data.items() if k not in ("format", "version")}
            fields["scheme"] = scheme_from_json(fields["scheme"], UnusableInput)
            fields["rule"] = TrainingRule.from_json(fields["rule"])
            found = cls(**fields)
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise UnusableInput(f"{what} is no plan of a training run") from error
        if not (binding.same_json(found.to_json(), data) and found._is_plan):
            raise UnusableInput(f"{what} is no plan of a training run")
        return found

    @property
    def _is_plan(self) -> bool:
        """Whether everything that a file may have set is of its kind."""
        integers = self.samples, self.seed, self.steps, self.segment
        kinds = [(int, *integers), (bool, self.stacked), (str, self.data, self.first)]
        fit = all(type(value) is kind for kind, *values in kinds for value in values)
        return fit and min(self.steps, self.segment) > 0 and self.relu in RELUS

    def commitment(self, last: str) -> TrainingCommitment:
        """What is public once the last state is known."""
        roots = Roots(self.data, self.first, last)
        parameters = self.scheme, self.rule, self.samples, self.stacked
        return TrainingCommitment(*parameters, roots, self.relu)

    def proof_plan(self, public: TrainingCommitment) -> Plan:
        """The segments of the run's proof."""
        statement = TrainingStatement.of(public, self.seed, self.steps)
        return Plan(public, statement, self.segment)


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """The prover's side of a run: its folder and plan, and its data where steps are computed."""

    folder: Path
    plan: RunPlan
    inputs: Any
    targets: Any
    target: Target

    @cached_property
    def segments(self) -> Plan:
        """How the run is cut; roots that are not known yet do not matter to that."""
        return self.plan.proof_plan(self.plan.commitment("00" * 32))

    def state_path(self, index: int) -> Path:
        """Of the state before segment ``index``."""
        return self.folder / "states" / f"{index:06d}.safetensors"

    def state(self, index: int) -> TrainingState:
        """The state before segment ``index``, where steps are computed."""
        state = TrainingState.load(self.state_path(index))
        return state.placed(place_on(self.target))

    def steps(self, index: int) -> Iterator[tuple[StepTrace, TrainingState]]:
        """The steps of a segment: what each computes, and the state behind it."""
        state, (first, count) = self.state(index), self.segments.cut.bounds_of(index)
        sizes = self.plan.samples, self.plan.rule.batch
        for rows in batch_rows(self.plan.seed, *sizes, first, count):
            where = np.asarray(rows, like=self.inputs)
            trace, state = train_step(
                self.plan.rule, state, self.inputs[where], self.targets[where]
            )
            yield trace, state


def start_run(
    folder: PathLike,
    rule: TrainingRule,
    first: TrainingState,
    inputs: np.ndarray,
    targets: np.ndarray,
    seed: int,
    steps: int,
    target: Target,
    segment: int | None = None,
    scheme: Scheme | None = None,
    stacked: bool = True,
    relu: str = RELUS[0],
) -> TrainingRun:
    """Commit to data and first state and write the run's folder; or find it there, and go on.

    inputs: int16, samples x features; targets: int16, samples x outputs. segment: steps that are proven
    together; as many as memory takes if None, or as the run that is there has. relu: what it is proven
    by, one of RELUS. Raises UnusableInput for
    a folder of another run, and for a first state that has momentum.
    """
    batch_rows(seed, len(inputs), rule.batch, 0, 1)  # raises for batches that there are not
    _require_rest(rule, first)
    segment = segment or _segment_there(Path(folder)) or fitting_segment(rule, steps, relu)
    asked = scheme_for(scheme or DEFAULT, steps, segment)
    sizes = (len(inputs), stacked, seed, steps, segment)
    draft = RunPlan(asked, rule, *sizes, data="00" * 32, first="00" * 32, relu=relu)
    data_root = commit_data(draft, inputs, targets, target).commitment.root
    state_root = commit_state(draft, first, "first", target).commitment.root
    plan = replace(draft, data=data_root.hex(), first=state_root.hex())
    _write_run(Path(folder), plan, first, inputs, targets)
    return load_run(folder, target)


def _require_rest(rule: TrainingRule, first: TrainingState) -> None:
    """The rule's first step has no momentum part, and this is proven."""
    updates = (*first.updates, *first.bias_updates)
    if rule.momentum and any(bool(array.any()) for array in updates):
        raise UnusableInput(
            "the first state has updates of a step before it, but a run with momentum starts from rest;"
            " set them to zero"
        )


def _segment_there(folder: Path) -> int | None:
    """The steps of a segment of the run in a folder, if there is one."""
    path = folder / RUN_FILE
    return _read_plan(folder).segment if path.is_file() else None


def _read_plan(folder: Path) -> RunPlan:
    path = folder / RUN_FILE
    return RunPlan.from_json(read_json(path), os.fspath(path))


def scheme_for(scheme: Scheme, steps: int, segment: int) -> Scheme:
    """The scheme, as strong as all segments of a run together need it."""
    return Cut(steps, segment).strengthened(scheme)


def fitting_segment(rule: TrainingRule, steps: int, relu: str) -> int:
    """Steps whose proof takes at most half of the memory that is free."""
    each = 2 if relu == RELUS[0] else 2 + VALUE_BITS + MAX_SHIFT
    values = sum(d_in * d_out for d_in, d_out in zip(rule.dims, rule.dims[1:], strict=False))
    values += each * rule.batch * sum(rule.dims)
    free = psutil.virtual_memory().available // 2
    return max(1, min(steps, MAX_STEPS, free // (VALUE_BYTES["cpu"] * values)))


def commit_data(plan: RunPlan, inputs: Any, targets: Any, target: Target) -> ProverData:
    """Commit to the samples, int16."""
    tensors = {"inputs": target.to_device(inputs), "targets": target.to_device(targets)}
    return plan.scheme.commit(target, tensors, data_shapes(plan.rule, plan.samples))


def commit_state(plan: RunPlan, state: TrainingState, when: str, target: Target) -> ProverData:
    """Commit to the parameters of a state, named as a segment's "first" or "last"."""
    return plan.scheme.commit(
        target,
        state_tensors(plan, state, when, target, committed=True),
        state_shapes(plan.rule, plan.stacked, when),
    )


def state_tensors(
    plan: RunPlan, state: TrainingState, when: str, target: Target, committed: bool = False
) -> dict[str, Array]:
    """A state's tensors on the target; committed: as integers that a commitment takes."""
    arrays = state_arrays(plan.rule, plan.stacked, state, when)
    tensors = {name: target.to_device(array) for name, array in arrays.items()}
    unsigned = [name for name in tensors if committed and arrays[name].dtype == np.uint16]
    return tensors | {name: Centred(tensors[name]) for name in unsigned}


def _write_run(
    folder: Path, plan: RunPlan, first: TrainingState, inputs: np.ndarray, targets: np.ndarray
) -> None:
    if (folder / RUN_FILE).exists():
        if not binding.same_json(read_json(folder / RUN_FILE), plan.to_json()):
            raise UnusableInput(f"{folder} holds another run; choose another folder")
        return
    try:
        (folder / "states").mkdir(parents=True, exist_ok=True)
        (folder / "proofs").mkdir(exist_ok=True)
    except OSError as error:
        raise UnusableInput(f"cannot make the folder {folder}: {error.strerror}") from error
    data = safetensors_bytes({"inputs": inputs, "targets": targets})
    state = folder / "states" / f"{0:06d}.safetensors"
    secrets = [
        NewFile(folder / DATA_FILE, data, SECRET),
        NewFile(state, first.to_bytes(), SECRET),
    ]
    write_together([*secrets, NewFile(folder / RUN_FILE, json_file(plan.to_json()))])


def load_run(folder: PathLike, target: Target) -> TrainingRun:
    """Read what ``start_run`` wrote; raises UnusableInput for anything else."""
    path = Path(folder)
    if not (path / RUN_FILE).is_file():
        raise UnusableInput(f"{path} is no folder that zkbench train wrote")
    plan = _read_plan(path)
    tensors, _ = read_safetensors(path / DATA_FILE)
    shapes = data_shapes(plan.rule, plan.samples)
    if {name: array.shape for name, array in tensors.items()} != shapes or any(
        array.dtype != np.int16 for array in tensors.values()
    ):
        raise UnusableInput(f"{path / DATA_FILE} does not hold the run's data")
    place = place_on(target)
    return TrainingRun(path, plan, place(tensors["inputs"]), place(tensors["targets"]), target)


def finished_run(folder: PathLike, target: Target) -> tuple[TrainingRun, TrainingCommitment]:
    """A run whose steps are all done, and its commitment; raises UnusableInput for another."""
    run = load_run(folder, target)
    path = run.folder / COMMITMENT_FILE
    if not path.is_file():
        raise UnusableInput(
            f"the run in {folder} is not finished; run zkbench train again to go on"
        )
    public = TrainingCommitment.from_json(read_json(path), os.fspath(path))
    if public != run.plan.commitment(public.roots.last):
        raise UnusableInput(f"{path} is not the commitment to the run beside it")
    return run, public


def finish_run(run: TrainingRun, note: Note = silent) -> TrainingCommitment:
    """Train what is not trained yet, keeping the state at every boundary; publish the commitment.

    Raises QuantisationError where a value leaves its range.
    """
    count = run.segments.cut.count
    for index in range(count):
        if not run.state_path(index + 1).exists():
            note(f"segment {index + 1} of {count}")
            state = run.state(index)
            for _, behind in run.steps(index):
                state = behind
            write_together([NewFile(run.state_path(index + 1), state.to_bytes(), SECRET)])
    last = commit_state(run.plan, run.state(count), "last", run.target)
    public = run.plan.commitment(last.commitment.root.hex())
    write_together([NewFile(run.folder / COMMITMENT_FILE, json_file(public.to_json()))])
    return public
