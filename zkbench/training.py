"""Prove a training run, verify: what the command line does, as functions; see training_run.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil

from zkbench import binding, segments
from zkbench.bench.timers import PhaseTimer
from zkbench.commitments.interleaved import ProverData
from zkbench.errors import UnusableInput
from zkbench.files import NewFile, read_bytes, write_together
from zkbench.kernels.launch import Array, Target
from zkbench.progress import Note, silent
from zkbench.proof import Proof, ProofRejected
from zkbench.protocols.training import TrainingSegment
from zkbench.protocols.training_witness import SegmentTensors
from zkbench.security import MINIMUM_BITS
from zkbench.training_run import (
    DATA_FILE,
    SECRET,
    VALUE_BYTES,
    TrainingRun,
    commit_data,
    commit_state,
    state_tensors,
)
from zkbench.training_statement import (
    Plan,
    TrainingCommitment,
    TrainingStatement,
)
from zkbench.transcript import VerifierTranscript


def prove_training(
    run: TrainingRun,
    public: TrainingCommitment,
    timer: PhaseTimer | None = None,
    minimum_bits: float = MINIMUM_BITS,
    note: Note = silent,
) -> tuple[bytes, TrainingStatement]:
    """Prove a finished run, segment by segment; finished segments are kept in the run's folder.

    Raises UnusableInput where memory or soundness do not suffice.
    """
    timer = timer or PhaseTimer()
    plan = run.plan.proof_plan(public)
    remedy = "train with longer segments or more queries"
    binding.require_bits(plan.soundness_terms(), minimum_bits, remedy)
    _require_memory(plan.program(0), run.target)
    roots, parts, count = [bytes.fromhex(public.roots.first)], [], plan.cut.count
    for index in range(count):
        note(f"segment {index + 1} of {count}")
        root, part = _kept_segment(run, plan, index, roots[-1])
        if part is None:
            root, part = prove_segment(run, plan, index, roots[-1], timer)
            _keep_segment(run, index, roots[-1], root, part)
        roots.append(root)
        parts.append(part)
    _require_state(run, count, bytes.fromhex(public.roots.last), root)
    header = binding.header(plan.protocol(), plan.statement)
    return segments.joined(header, roots[1:], parts), plan.statement


def prove_segment(
    run: TrainingRun, plan: Plan, index: int, before: bytes, timer: PhaseTimer
) -> tuple[bytes, bytes]:
    """(root of the state behind the segment, its proof).

    Raises UnusableInput unless the state before it has the root ``before``.
    """
    segment, target = plan.program(index), run.target
    with timer.phase("witness"):
        first = run.state(index)
        tensors, last = SegmentTensors(segment, first), first
        for step, (trace, state) in enumerate(run.steps(index)):
            tensors.add(step, trace)
            last = state
        on_target = tensors.to_target(target, segment.field)
        for when, one in (("first", first), ("last", last)):
            on_target |= state_tensors(run.plan, one, when, target)
        target.fit_workspace()
    with timer.phase("commit"):
        given = [
            commit_data(run.plan, run.inputs, run.targets, target),
            commit_state(run.plan, first, "first", target),
            commit_state(run.plan, last, "last", target),
        ]
    _require_data(run, given[0].commitment.root)
    _require_state(run, index, before, given[1].commitment.root)
    return given[-1].commitment.root, prove_committed(plan, index, given, on_target, target, timer)


def prove_committed(
    plan: Plan,
    index: int,
    given: list[ProverData],
    tensors: dict[str, Array],
    target: Target,
    timer: PhaseTimer,
) -> bytes:
    """The proof of one segment, all of whose tensors are there.

    given: of the data, the state before the segment, and that behind it.
    """
    segment = plan.program(index)
    before, after = (data.commitment.root for data in given[1:])
    identity = plan.segment_protocol(index)
    transcript = binding.begin_proof(segment.field, identity, plan.public, plan.statement)
    transcript.bind("states", [before.hex(), after.hex()])
    segment.program.prove(transcript, target, given, tensors, timer)
    return transcript.finish()


def _require_data(run: TrainingRun, root: bytes) -> None:
    if root.hex() != run.plan.data:
        raise UnusableInput(f"{run.folder / DATA_FILE} is not the data that the run committed to")


def _require_state(run: TrainingRun, index: int, expected: bytes, root: bytes) -> None:
    if root != expected:
        raise UnusableInput(
            f"{run.state_path(index)} is not the state that the steps before lead to; delete it and what"
            " follows, and train again"
        )


def _require_memory(segment: TrainingSegment, target: Target) -> None:
    values = sum(int(np.prod(shape)) for shape in segment.witness_shapes.values())
    needed, available = VALUE_BYTES[target.name] * values, psutil.virtual_memory().available
    if needed > available:
        raise UnusableInput(
            f"a segment of {segment.steps} steps takes {needed / 2**30:,.1f} GiB of memory at least,"
            f" and {available / 2**30:,.1f} GiB are free; train with shorter segments"
        )


def _segment_path(run: TrainingRun, index: int) -> Path:
    return run.folder / "proofs" / f"{index:06d}.bin"


def _keep_segment(run: TrainingRun, index: int, before: bytes, after: bytes, part: bytes) -> None:
    write_together([NewFile(_segment_path(run, index), before + after + part, SECRET)])


def _kept_segment(
    run: TrainingRun, plan: Plan, index: int, before: bytes
) -> tuple[bytes, bytes | None]:
    """A segment that an earlier call proved, if it is one of this very proof."""
    path, size = _segment_path(run, index), len(before)
    if not path.is_file():
        return b"", None
    data = read_bytes(path)
    after, part = data[size : 2 * size], data[2 * size :]
    try:
        verify_segment(plan, index, before, after, part)
    except ProofRejected:
        return b"", None
    return after, part


# Verification.


def verify_training(
    proof: bytes,
    statement: TrainingStatement,
    public: TrainingCommitment,
    minimum_bits: float = MINIMUM_BITS,
) -> float:
    """Return the bits of soundness with which the proof shows the statement.

    Raises ProofRejected, with the reason, for any other bytes.
    """
    binding.require_model(public, statement.model)
    if statement != TrainingStatement.of(public, statement.seed, statement.steps):
        raise ProofRejected("the statement is about another run than the commitment")
    plan = claimed_plan(proof, statement, public)
    bits = binding.sufficient_bits(plan.soundness_terms(), minimum_bits)
    before = bytes.fromhex(public.roots.first)
    count = plan.cut.count
    states, parts = segments.split(Proof.from_bytes(proof), count, count)
    for index, (after, part) in enumerate(zip(states, parts, strict=True)):
        verify_segment(plan, index, before, after, part)
        before = after
    if before != bytes.fromhex(public.roots.last):
        raise ProofRejected("the last segment leads to another state")
    return bits


def claimed_plan(proof: bytes, statement: TrainingStatement, public: TrainingCommitment) -> Plan:
    """How a proof says that it is cut; raises ProofRejected unless its header is the statement's."""
    outer = Proof.from_bytes(proof)
    segment = segments.claimed_length(outer)
    if segment is None:
        raise ProofRejected("the proof was made with other parameters")
    try:
        plan = Plan(public, statement, segment)
    except UnusableInput as error:
        raise ProofRejected(str(error)) from error
    binding.require_header(outer, plan.protocol(), statement)
    if len(outer.messages) != 2 * plan.cut.count:
        raise ProofRejected("the proof does not have the statement's segments")
    return plan


def verify_segment(plan: Plan, index: int, before: bytes, after: bytes, part: bytes) -> None:
    """Raises ProofRejected unless these steps lead from one state to the other."""
    if len(after) != len(before):
        raise ProofRejected("a state's root is malformed")
    public, segment = plan.public, plan.program(index)
    states = (public.state(before, "first"), public.state(after, "last"))
    given = [public.data(), *states]

    def script(transcript: VerifierTranscript) -> None:
        transcript.bind("states", [before.hex(), after.hex()])
        segment.program.verify(transcript, given)

    identity = plan.segment_protocol(index)
    binding.verify_bound(part, segment.field, identity, public, plan.statement, script)
