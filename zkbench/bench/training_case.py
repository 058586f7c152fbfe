"""Benchmark of training: steps of a perceptron on random data, all of them proven.

What is measured begins with committed data and a committed first state, and ends with the proof: the
steps in integers themselves, the commitment to the state behind them, the witness and the commitment to
it are all part of the proving time. Data and weights are random and stand for those of a user; so their
roots, and that of the last state, come with the proof, as in `language_case`, and what is shown is: this
rule leads, on this data in the order of this seed, from the first state to the last.

Formats are the same for all sizes, so that sizes can be compared: every rescaling drops 16 bits (with
cross-entropy, whose last errors have 14 fraction bits, 14 to 18), and random data stays within a quarter
of its range.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any

from zkbench.bench.protocol_case import Limits, read_params
from zkbench.bench.registry import register
from zkbench.bench.sampling import timed
from zkbench.bench.timers import PhaseTimer
from zkbench.binding import header, same_json
from zkbench.commitments.interleaved import ProverData
from zkbench.commitments.schemes import DEFAULT
from zkbench.errors import UnusableInput
from zkbench.kernels.launch import target as find_target
from zkbench.models.training.batches import batch_rows
from zkbench.models.training.float_training import initial_model
from zkbench.models.training.integer_training import TrainingState, train_step
from zkbench.models.training.rule import (
    LOSSES,
    MAX_STEPS,
    MOMENTUM_BITS,
    PROBABILITY_BITS,
    TrainingFormats,
    TrainingRule,
)
from zkbench.models.training.training_data import random_data
from zkbench.placement import place_on
from zkbench.proof import Message, Proof, ProofRejected, canonical_json
from zkbench.protocols.training import RELUS
from zkbench.protocols.training_witness import SegmentTensors
from zkbench.security import total_bits
from zkbench.training import prove_committed, verify_training
from zkbench.training_run import RunPlan, commit_data, commit_state, scheme_for, state_tensors
from zkbench.training_statement import Plan, Roots, TrainingCommitment, TrainingStatement

VARIANTS = ("stacked", "sequential")
SHIFT = 16  # bits that every rescaling drops, and fraction bits of weights
_VALUE_BITS = {"square": 9, "cross-entropy": 8}  # fraction bits of inputs, activations and outputs
_ERROR_BITS = {"square": 9, "cross-entropy": 12}  # of the errors of hidden layers
_LENGTH_BYTES = 4
_NO_ROOT = "00" * 32
_ROOT = re.compile("[0-9a-f]{64}")


def random_rule(dims: tuple[int, ...], loss: str, batch: int, momentum: int) -> TrainingRule:
    """The rule for random data; its rate, for the sum over a batch, follows from the shifts."""
    values, errors = _VALUE_BITS[loss], _ERROR_BITS[loss]
    last = values if loss == "square" else PROBABILITY_BITS
    formats = TrainingFormats(activation=values, output=values, error=errors, weight=SHIFT)
    return TrainingRule(dims, loss, formats, batch, (1, 2 * SHIFT - values - last), momentum)


@dataclass(frozen=True, eq=False)
class _Trained:
    """A run of which every state at a boundary of segments is known; ``last``: to the last of them."""

    plan: Plan
    states: list[TrainingState]
    last: ProverData


@register("training")
class TrainingCase:
    """``depth`` hidden layers of ``width``, from ``inputs`` features to ``outputs``; a value is a step.

    ``samples``: of the committed data, of which every step takes ``batch``. ``segment``: steps that are
    proven together. ``momentum``: in 2^-12. ``variant``: "stacked" is FAC4DNN; "sequential" is its
    baseline, a proof for each step, in which every layer is a stack of its own. ``relu``, which may be
    left out: "table" or "bits".

    ``prove`` returns what the verifier is told and then the proof, which ``proof_bytes`` counts alone.
    """

    benchmark = "training"

    def __init__(self, params: dict[str, Any], target: str, seed: int) -> None:
        limits: Limits = {"depth": (1, 256), "width": (1, 1 << 14)}
        limits = {**limits, "inputs": (1, 1 << 14), "outputs": (1, 1 << 14)}
        limits = {**limits, "batch": (1, 1 << 14), "samples": (1, 1 << 20)}
        limits = {**limits, "steps": (1, MAX_STEPS), "segment": (1, MAX_STEPS)}
        limits = {**limits, "loss": LOSSES, "momentum": (0, (1 << MOMENTUM_BITS) - 1)}
        limits = {**limits, "variant": VARIANTS}
        self.params = read_params(self.benchmark, params, limits, {"relu": RELUS})
        self._check()
        self.values, self.target, self.seed = self.params["steps"], target, seed
        self.plan = self._plan(_NO_ROOT, _NO_ROOT)
        self.field = self.plan.scheme.field.name

    def _check(self) -> None:
        batch, samples = self.params["batch"], self.params["samples"]
        if batch > samples:
            raise UnusableInput(f"training: batch must be at most samples, {samples}, not {batch}")
        if self.params["segment"] > self.params["steps"]:
            raise UnusableInput("training: segment must be at most steps")
        if self.params["variant"] == "sequential" and self.params["segment"] != 1:
            raise UnusableInput(
                "training: segment must be 1 with sequential, a proof for each step"
            )

    def _plan(self, data: str, first: str) -> RunPlan:
        p = self.params
        dims = (p["inputs"], *[p["width"]] * p["depth"], p["outputs"])
        rule = random_rule(dims, p["loss"], p["batch"], p["momentum"])
        scheme, stacked = scheme_for(DEFAULT, p["steps"], p["segment"]), p["variant"] == "stacked"
        sizes = (p["samples"], stacked, self.seed, p["steps"], p["segment"])
        relu = p.get("relu", RELUS[0])
        return RunPlan(scheme, rule, *sizes, data=data, first=first, relu=relu)

    # The prover's side.

    def setup(self) -> None:
        """Draw data and the first state, and commit to them; what that took goes into ``extra``."""
        self.where = find_target(self.target)
        rule, place = self.plan.rule, place_on(self.where)
        inputs, targets = random_data(rule, self.plan.samples, self.seed)
        self.inputs, self.targets = place(inputs), place(targets)
        model = initial_model(rule.dims, self.seed + 2)  # the data has the two seeds before
        self.state = TrainingState.from_floats(model, rule).placed(place)
        self.where.fit_workspace()
        cold, warm = (timed(self._commit)[0] for _ in range(2))
        self.committing = {"commit_s": warm, "cold_commit_s": cold}
        roots = [data.commitment.root.hex() for data in (self.data, self.first)]
        self.plan = self._plan(*roots)
        self.where.reset_memory_peak()

    def _commit(self) -> None:
        self.data: ProverData = commit_data(self.plan, self.inputs, self.targets, self.where)
        self.first: ProverData = commit_state(self.plan, self.state, "first", self.where)
        self.where.synchronise()

    def prove(self, timer: PhaseTimer) -> bytes:
        """Segments are proven from the last to the first: the last state's root is in the statement."""
        trained, tensors = self._trained(timer)
        plan = trained.plan
        proof = Proof(header(plan.protocol(), plan.statement))
        for index in reversed(range(plan.cut.count)):
            if index < plan.cut.count - 1:
                with timer.phase("witness"):
                    tensors, _ = self._train(index, trained.states[index])
            proof.messages[:0] = self._prove_segment(trained, index, tensors, timer)
        told = canonical_json({"roots": vars(plan.public.roots)})
        return len(told).to_bytes(_LENGTH_BYTES, "little") + told + proof.to_bytes()

    def _trained(self, timer: PhaseTimer) -> tuple[_Trained, SegmentTensors]:
        """All steps done, and all that a proof of the last segment needs."""
        with timer.phase("witness"):
            states = [self.state]
            for first, count in self._cut.cut.bounds[:-1]:
                states.append(self._state_after(states[-1], first, count))
            tensors, behind = self._train(len(states) - 1, states[-1])
        with timer.phase("commit"):
            last = commit_state(self.plan, behind, "last", self.where)
        plan = self.plan.proof_plan(self.plan.commitment(last.commitment.root.hex()))
        return _Trained(plan, [*states, behind], last), tensors

    def _state_after(self, state: TrainingState, first: int, count: int) -> TrainingState:
        for inputs, targets in self._batches(first, count):
            _, state = train_step(self.plan.rule, state, inputs, targets)
        return state

    def _train(self, index: int, state: TrainingState) -> tuple[SegmentTensors, TrainingState]:
        """A segment's steps: all that a proof of them needs, and the state behind them."""
        tensors = SegmentTensors(self._cut.program(index), state)
        for step, (inputs, targets) in enumerate(self._batches(*self._cut.cut.bounds[index])):
            trace, state = train_step(self.plan.rule, state, inputs, targets)
            tensors.add(step, trace)
        return tensors, state

    def _batches(self, first: int, count: int) -> Iterable[tuple[Any, Any]]:
        rows = batch_rows(self.seed, self.plan.samples, self.plan.rule.batch, first, count)
        return ((self.inputs[one], self.targets[one]) for one in place_on(self.where)(rows))

    @property
    def _cut(self) -> Plan:
        """The run's segments; the last state's root, which is not known yet, does not matter to them."""
        return self.plan.proof_plan(self.plan.commitment(_NO_ROOT))

    def _prove_segment(
        self, trained: _Trained, index: int, filled: SegmentTensors, timer: PhaseTimer
    ) -> list[Message]:
        """The root of the state behind a segment, and the proof of its steps."""
        with timer.phase("witness"):
            tensors = filled.to_target(self.where, self.plan.scheme.field)
            for when, state in zip(("first", "last"), trained.states[index:], strict=False):
                tensors |= state_tensors(self.plan, state, when, self.where)
            self.where.fit_workspace()
        with timer.phase("commit"):
            given = [self.data, *self._commitments(trained, index)]
        part = prove_committed(trained.plan, index, given, tensors, self.where, timer)
        return [Message("state", given[-1].commitment.root), Message("segment", part)]

    def _commitments(self, trained: _Trained, index: int) -> tuple[ProverData, ProverData]:
        """To the states before and behind a segment; those at the ends of the run are there."""
        before, behind = trained.states[index : index + 2]
        first, last = self.first, trained.last
        if index > 0:
            first = commit_state(self.plan, before, "first", self.where)
        if index < trained.plan.cut.count - 1:
            last = commit_state(self.plan, behind, "last", self.where)
        return first, last

    def proof_bytes(self, returned: bytes) -> int:
        """Size of the proof itself."""
        return len(_split(returned)[1])

    # The verifier's side.

    def verify(self, returned: bytes) -> None:
        told, proof = _split(returned)
        public = self._public(told)
        statement = TrainingStatement.of(public, self.seed, self.values)
        expected = Plan(public, statement, self.plan.segment).protocol()
        if not same_json(Proof.from_bytes(proof).header.get("protocol"), expected):
            raise ProofRejected("the proof is of another statement")
        verify_training(proof, statement, public)

    def _public(self, told: bytes) -> TrainingCommitment:
        """Raises ProofRejected for anything but three roots in their one encoding."""
        plan = self.plan
        try:
            roots = Roots(**json.loads(told)["roots"])
            fits = all(map(_ROOT.fullmatch, vars(roots).values()))
            fits = fits and canonical_json({"roots": vars(roots)}) == told
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ProofRejected("the roots of the run are malformed") from error
        if not fits:
            raise ProofRejected("the roots of the run are malformed")
        return replace(plan.commitment(_NO_ROOT), roots=roots)

    # What the record says besides times and bytes.

    def soundness_bits(self) -> float:
        return total_bits(self._cut.soundness_terms())

    def extra(self) -> dict[str, Any]:
        """Sizes of the model and of its proof; how long the commitment before it took."""
        dims = self.plan.rule.dims
        parameters = sum((d_in + 1) * d_out for d_in, d_out in pairwise(dims))
        return self.committing | {"parameters": parameters} | self._sizes()

    def _sizes(self) -> dict[str, int]:
        """Values that all segments' proofs commit to, and that they look up in tables of either kind."""
        cut = self._cut
        found = {"committed_values": 0, "range_checks": 0, "table_lookups": 0}
        for index in range(cut.cut.count):
            program = cut.program(index).program
            pushed = [lookup.pushed_shapes(program.field) for lookup in program.lookups]
            committed = [program.witness, program.checks.counts, *pushed]
            found["committed_values"] += sum(map(_entries, committed))
            found["range_checks"] += sum(prod(check.shape) for check in program.checks.checks)
            outputs = [shape for one in program.lookups for _, _, shape in one.outputs]
            found["table_lookups"] += sum(map(prod, outputs))
        return found

    def synchronise(self) -> None:
        self.where.synchronise()

    def device_memory_peak(self) -> int | None:
        peak: int | None = self.where.memory_peak()
        return peak


def _split(returned: bytes) -> tuple[bytes, bytes]:
    """(what the verifier is told, proof)."""
    start = _LENGTH_BYTES + int.from_bytes(returned[:_LENGTH_BYTES], "little")
    return returned[_LENGTH_BYTES:start], returned[start:]


def _entries(shapes: Mapping[str, tuple[int, ...]]) -> int:
    return sum(map(prod, shapes.values()))
