"""Small training runs, proofs of a segment of them, and a prover whose every part may lie.

``forge`` runs an honest prover on values that are changed where a test says so; what follows from a
change is honest again, the last state among it: a forgery claims that its own run leads there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
from bold_provers import BoldProgram, Clipping
from lying_training import Change, LyingTensors, LyingTraining, Values, as_it_is

from zkbench.bench.timers import PhaseTimer
from zkbench.commitments.interleaved import Commitment, ProverData
from zkbench.commitments.whir import Whir
from zkbench.kernels.launch import cpu_target
from zkbench.models.training.batches import batch_rows
from zkbench.models.training.rule import TrainingFormats, TrainingRule
from zkbench.proof import Proof, ProofRejected
from zkbench.protocols.program import Program
from zkbench.protocols.training import (
    TrainingSegment,
    data_shapes,
    parameters_of,
    stacks_of,
    state_shapes,
)
from zkbench.transcript import ProverTranscript, VerifierTranscript

TARGET = cpu_target()
SCHEME = Whir(security_bits=30, grinding_bits=3)  # enough that chance accepts nothing here
DIMS, BATCH, STEPS, SAMPLES, SEED = (6, 5, 5, 5, 3), 4, 3, 10, 9
HALF = 1 << 15

NOT_IN_TABLE = "a looked-up value is not in its table"
WRONG_OPENING = "opening: the claims do not hold"
WRONG_PRODUCT = "a matrix product is wrong"
WRONG_ENTRIES = "an entrywise product is wrong"
WRONG_INDEX = "an index does not point into its table"
NOT_THE_TABLES = "a looked-up output is not the table's"
WRONG_ROOT = "Merkle opening: the path does not lead to the root"
TWO_SHIFTS = "a softmax's row has more than one shift"

# Shifts of 8 to 16, so that tables of remainders are small.
FORMATS = {
    "cross-entropy": TrainingFormats(activation=6, output=5, error=14, weight=12),
    "square": TrainingFormats(activation=6, output=6, error=8, weight=12),
}
RATES = {"cross-entropy": (3, 8), "square": (3, 12)}
KINDS = [("cross-entropy", 3600), ("square", 0), ("cross-entropy", 0), ("square", 3600)]

Arrays = dict[str, np.ndarray]


def rule_of(
    loss: str, momentum: int, dims: Sequence[int] = DIMS, batch: int = BATCH
) -> TrainingRule:
    return TrainingRule(tuple(dims), loss, FORMATS[loss], batch, RATES[loss], momentum)


def random_data(rule: TrainingRule, samples: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Inputs of both signs, the first feature's small, and one-hot targets."""
    rng = np.random.default_rng(seed)
    inputs = rng.integers(-100, 100, (samples, rule.dims[0])).astype(np.int16)
    inputs[:, 0] //= 50
    labels = rng.integers(0, rule.dims[-1], samples)
    targets = (np.arange(rule.dims[-1]) == labels[:, None]) << rule.last_error_bits
    return inputs, targets.astype(np.int16)


def random_first(rule: TrainingRule, seed: int = 5) -> Values:
    """Parameters, those of the first feature and biases of more than 16 bits.

    All quotients of the first layer's unit 1 are zero in the first step.
    """
    rng, one = np.random.default_rng(seed), 1 << rule.formats.weight
    found: Values = {"w": [], "b": []}
    for d_in, d_out in zip(rule.dims, rule.dims[1:], strict=False):
        found["w"].append(rng.integers(-one // 2, one // 2, (d_in, d_out)))
        found["b"].append(rng.integers(-8 * one, 8 * one, d_out))
    found["w"][0][0] = rng.integers(-128 * one, 128 * one, rule.dims[1])
    if rule.dims[1] > 1:
        found["w"][0][:, 1] = found["b"][0][1] = 0
    found["u"], found["v"] = (list(map(np.zeros_like, found[name])) for name in "wb")
    return found


def narrow(array: np.ndarray, *kinds: Any) -> np.ndarray:
    """The first of these types that it fits, flat."""
    for kind in kinds:
        limits = np.iinfo(kind)
        if array.min() >= limits.min and array.max() <= limits.max:
            return np.ascontiguousarray(array, dtype=kind).reshape(-1)
    return np.ascontiguousarray(array, dtype=np.int64).reshape(-1)


def state_arrays(rule: TrainingRule, stacked: bool, state: Values, when: str) -> Arrays:
    """The tensors of a state. Limbs are in wider integers where parameters leave 32 bits."""
    found: Arrays = {}
    stacks = stacks_of(rule, stacked)
    for one in parameters_of(rule, stacked):
        layers = stacks[int(one.name[1:])].layers
        parameters, updates = (
            np.stack([state[n[0]][l] for l in layers]) for n in (one.name, one.updates)
        )
        high, low = one.limbs(when)
        found |= {
            high: narrow(parameters >> 16, np.int16),
            low: narrow(parameters & 0xFFFF, np.uint16),
        }
        if rule.momentum:
            found[f"{when}.{one.updates}"] = narrow(updates, np.int16)
    return found


def committed(arrays: Mapping[str, Any], shapes: Mapping[str, Sequence[int]]) -> ProverData:
    """Unsigned limbs less 2^15, whatever they are."""
    signed = {
        name: narrow(array.astype(np.int64) - HALF, np.int16) if name.endswith(".low") else array
        for name, array in arrays.items()
    }
    return SCHEME.commit(TARGET, {name: signed[name] for name in shapes}, shapes)


@dataclass(frozen=True, eq=False)
class Case:
    """Committed data and a committed first state; the segment of a run that starts there."""

    segment: TrainingSegment
    inputs: np.ndarray
    targets: np.ndarray
    first: Values

    @property
    def rule(self) -> TrainingRule:
        return self.segment.rule

    def commit_data(self) -> ProverData:
        arrays = {"inputs": self.inputs.reshape(-1), "targets": self.targets.reshape(-1)}
        return committed(arrays, data_shapes(self.rule, len(self.inputs)))

    def commit_state(self, state: Values, when: str) -> ProverData:
        arrays = state_arrays(self.rule, self.segment.stacked, state, when)
        return committed(arrays, state_shapes(self.rule, self.segment.stacked, when))

    def training(self, change: Change = as_it_is) -> LyingTraining:
        return LyingTraining(self.rule, self.first, self.inputs, self.targets, change)


def make_case(
    rule: TrainingRule,
    steps: int = STEPS,
    samples: int = SAMPLES,
    stacked: bool = True,
    seed: int = SEED,
    **changes: Any,
) -> Case:
    """A run of random data; ``changes``: of the segment."""
    rows = batch_rows(seed, samples, rule.batch, 0, steps)
    segment = TrainingSegment(SCHEME, rule, samples, rows, stacked, **changes)
    return Case(segment, *random_data(rule, samples), random_first(rule))


@cache
def case_of(loss: str, momentum: int = 0, relu: str = "table") -> Case:
    return make_case(rule_of(loss, momentum), relu=relu)


# Proofs.


@dataclass(frozen=True)
class Statement:
    """That a segment's steps lead from one state to another, all of it committed."""

    segment: TrainingSegment
    given: tuple[Commitment, ...]  # of the data, of the state before, of that behind

    def bind(self, transcript: Any) -> None:
        """All that is public."""
        transcript.bind("rule", self.segment.rule.to_json())
        transcript.bind("rows", self.segment.rows.tolist())
        transcript.bind("given", [one.to_json() for one in self.given])

    def verify(
        self, proof: bytes, transcripts: Any = VerifierTranscript, program: Program | None = None
    ) -> None:
        """Raises ProofRejected unless the proof is one of this. ``program``: the verifier's own."""
        transcript = transcripts(self.segment.field, Proof.from_bytes(proof))
        self.bind(transcript)
        (program or self.segment.program).verify(transcript, self.given)
        transcript.finish()


@dataclass(frozen=True, eq=False)
class Forgery:
    """A statement, and the proof that a cheater offers for it. ``outside``: see ``names_outside``."""

    statement: Statement
    proof: bytes
    outside: set[str]

    def verify(self) -> None:
        self.statement.verify(self.proof)

    def reason(self) -> str:
        """Why it is rejected."""
        with pytest.raises(ProofRejected) as rejected:
            self.verify()
        return str(rejected.value)


Edit = Callable[[dict[str, Any]], Mapping[str, Any]]


def tensors_of(
    case: Case,
    change: Change = as_it_is,
    in_range: Sequence[str] = (),
    rows: np.ndarray | None = None,
) -> Arrays:
    """All tensors, each with its shape, and the limbs of both states, flat."""
    segment = case.segment
    steps, last = case.training(change).steps(segment.rows if rows is None else rows)
    found = LyingTensors(segment, steps, in_range).arrays
    for when, state in (("first", case.first), ("last", last)):
        found |= state_arrays(segment.rule, segment.stacked, state, when)
    return found


def on_target(case: Case, tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """As honest provers hold them, where they fit."""
    unsigned = {name for name in tensors if name == "t" or name.endswith((".remainders", ".low"))}
    found = {}
    for name, array in tensors.items():
        if name[0] == "p":
            found[name] = case.segment.field.lift(np.ascontiguousarray(array.astype(np.int64)))
        else:
            found[name] = narrow(array, np.uint16 if name in unsigned else np.int16, np.int32)
    return found


def forge(
    case: Case,
    change: Change = as_it_is,
    *,
    in_range: Sequence[str] = (),
    rows: np.ndarray | None = None,
    edit: Edit = lambda tensors: {},
    program: Callable[[Program], BoldProgram] = BoldProgram.of,
    wrap: Callable[[ProverTranscript], Any] = lambda transcript: transcript,
    committed_to: Mapping[str, ProverData] | None = None,
    claimed: Mapping[str, ProverData] | None = None,
    target: Any = TARGET,
) -> Forgery:
    """What this prover offers.

    rows: the samples that it trains on, if they are not the statement's. edit: tensors that it works
    with in place of those of its run, those of its last state among them. committed_to: commitments
    ("data", "first", "last") that prover and statement have in place of those to what it works with.
    claimed: those that the statement alone has.
    """
    segment = case.segment
    tensors = on_target(case, tensors_of(case, change, in_range, rows))
    tensors |= on_target(case, edit(dict(tensors)))
    shapes = state_shapes(segment.rule, segment.stacked, "last")
    held = {
        "data": case.commit_data(),
        "first": case.commit_state(case.first, "first"),
        "last": committed(tensors, shapes),
    }
    held |= committed_to or {}
    named = (held | dict(claimed or {})).values()
    statement = Statement(segment, tuple(data.commitment for data in named))
    transcript = ProverTranscript(segment.field)
    statement.bind(transcript)
    own, data = program(segment.program), list(held.values())
    own.prove(wrap(transcript), target, data, dict(tensors), PhaseTimer())
    return Forgery(statement, transcript.finish(), names_outside(segment, tensors))


def names_outside(segment: TrainingSegment, tensors: Mapping[str, Any]) -> set[str]:
    """What is looked up and not in its range."""
    found = set()
    for check in segment.program.checks.checks:
        values = tensors[check.name].astype(np.int64) + check.offset
        if values.min() < 0 or values.max() >= check.size:
            found.add(check.name)
    return found


def rejected(
    reason: str,
    case: Case,
    change: Change = as_it_is,
    outside: set[str] | None = None,
    **options: Any,
) -> None:
    """Assert that what this prover offers (see ``forge``) is rejected for this reason.

    ``outside``: what exactly is out of its range; nothing where the reason is another one.
    """
    forgery = forge(case, change, **options)
    if outside is not None or reason != NOT_IN_TABLE:
        assert forgery.outside == (outside or set())
    found = forgery.reason()
    assert found == reason, found


def rejected_out_of_range(
    case: Case, change: Change = as_it_is, *, outside: set[str], **options: Any
) -> None:
    """All equations hold of what is outside; or the prover looks up something else, which is inside."""
    rejected(NOT_IN_TABLE, case, change, outside, **options)
    forgery = forge(case, change, program=Clipping.of, **options)
    assert forgery.reason() == WRONG_OPENING
