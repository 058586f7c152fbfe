"""Prove and verify the segments of a language model's inference, or all of it at once.

A model is run twice where there are several segments: once for the tokens that it chooses, since the
statement comes before everything else in every proof, and once more segment by segment, so that the
witness of one segment is there at a time.

Each segment leaves claims on the weights, and all of them are shown by one opening behind the last
segment, whose transcript has the hashes of all segments' proofs, and so all that the claims follow from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from blake3 import blake3

from zkbench import binding, segments
from zkbench.bench.timers import PhaseTimer
from zkbench.commitments.claims import Claim
from zkbench.commitments.dense import Centred
from zkbench.commitments.interleaved import ProverData
from zkbench.kernels.launch import Array, Target
from zkbench.language_plan import LanguagePlan
from zkbench.language_statement import LanguageStatement
from zkbench.models.language.integer_model import Prompt
from zkbench.models.language.trace import LanguageTrace, OutputTrace
from zkbench.placed_model import PlacedModel
from zkbench.progress import Note
from zkbench.proof import Proof, ProofRejected
from zkbench.protocols.language_inference import LanguageInference
from zkbench.protocols.language_segment import Boundary
from zkbench.protocols.language_witness import boundary_arrays
from zkbench.transcript import VerifierTranscript

Roots = tuple[
    bytes, ...
]  # of what a segment is joined to: before it and behind it, if there is any


@dataclass(frozen=True, eq=False)
class LanguageProver:
    """A committed model where it is proven. model: the prover's side of the weights' commitment."""

    placed: PlacedModel
    model: ProverData
    tensors: Mapping[str, Array]
    target: Target
    timer: PhaseTimer
    note: Note

    def prove(self, planned: LanguagePlan) -> tuple[bytes, LanguageStatement]:
        """The proof of a statement whose chosen tokens are yet to be found, and the statement."""
        if planned.is_whole:
            return self._prove_whole(planned)
        prompt = self._prompt(planned)
        with self.timer.phase("witness"):
            plan = _answered(planned, self._pass_through(prompt))
        stream, parts = self.placed.stacked.embed(prompt.tokens), []
        states: list[bytes] = []
        claims: list[Claim] = []
        for index in range(plan.cut.count):
            self.note(f"segment {index + 1} of {plan.cut.count}")
            part, left, roots, stream = self._prove_segment(plan, prompt, index, stream)
            parts.append(part)
            claims += left
            states.append(roots[-1])
        header = binding.header(plan.protocol(), plan.statement)
        opening = self._open(plan, states[:-1], parts, claims)
        return segments.joined(header, states[:-1], parts, opening), plan.statement

    def _open(
        self, plan: LanguagePlan, states: list[bytes], parts: list[bytes], claims: list[Claim]
    ) -> bytes:
        """What all segments leave: the claims on the weights."""
        identity, scheme = plan.opening_protocol(), plan.scheme
        transcript = binding.begin_proof(scheme.field, identity, plan.public, plan.statement)
        _bind_segments(transcript, states, parts)
        with self.timer.phase("opening"):
            scheme.prove(transcript, self.target, [(self.model, claims)])
        return transcript.finish()

    def _prompt(self, planned: LanguagePlan) -> Prompt:
        statement = planned.statement
        return self.placed.stacked.prompt(statement.tokens, statement.positions)

    def _prove_whole(self, planned: LanguagePlan) -> tuple[bytes, LanguageStatement]:
        with self.timer.phase("witness"):
            plan, witness = self._witness(planned)
        proof, _ = self._prove(plan, 0, (), [self.model], witness)
        return proof, plan.statement

    def _witness(self, planned: LanguagePlan) -> tuple[LanguagePlan, dict[str, Array]]:
        """The plan of the true statement, and the tensors of a whole forward pass."""
        trace = self.placed.stacked.forward(planned.statement.tokens, planned.statement.positions)
        plan = _answered(planned, trace.output)
        return plan, self.placed.witness(plan.inference(0), trace, self.target)

    def _pass_through(self, prompt: Prompt) -> OutputTrace:
        """The model's output; nothing else is kept."""
        model = self.placed.stacked
        stream = model.embed(prompt.tokens)
        for _, _, following in model.run_layers(prompt.context, stream):
            stream = following
        return model.output_at(prompt, stream)

    def _prove_segment(
        self, plan: LanguagePlan, prompt: Prompt, index: int, stream: Any
    ) -> tuple[bytes, list[Claim], Roots, Any]:
        """(proof, claims that it leaves, roots of what it is joined to, the stream behind it)."""
        inference = plan.inference(index)
        with self.timer.phase("witness"):
            tensors, behind = self._segment_witness(plan, prompt, index, stream)
        with self.timer.phase("commit"):
            joints = [self._commit(plan, one, tensors) for one in inference.boundaries.values()]
        roots = tuple(data.commitment.root for data in joints)
        part, left = self._prove(plan, index, roots, [self.model, *joints], tensors)
        return part, left, roots, behind

    def _segment_witness(
        self, plan: LanguagePlan, prompt: Prompt, index: int, stream: Any
    ) -> tuple[dict[str, Array], Any]:
        """(the tensors of a segment's forward pass, the stream behind it)."""
        inference, model = plan.inference(index), self.placed.stacked
        trace, behind = model.forward_layers(prompt, plan.layers(index), stream)
        if inference.segment.ends:
            trace = LanguageTrace(**vars(trace), output=model.output_at(prompt, behind))
        tensors = self.placed.segment(inference, self.target)
        tensors |= self.placed.witness(inference, trace, self.target, stream)
        tensors |= self._boundaries(inference, {"first": stream, "last": behind})
        return tensors, behind

    def _boundaries(
        self, inference: LanguageInference, streams: Mapping[str, Any]
    ) -> dict[str, Array]:
        return {
            name: self.target.to_device(array)
            for when, one in inference.boundaries.items()
            for name, array in boundary_arrays(one, streams[when]).items()
        }

    def _commit(
        self, plan: LanguagePlan, boundary: Boundary, tensors: Mapping[str, Array]
    ) -> ProverData:
        committed = {
            name: Centred(tensors[name]) if name in boundary.unsigned else tensors[name]
            for name in boundary.shapes
        }
        return plan.scheme.commit(self.target, committed, boundary.shapes)

    def _prove(
        self,
        plan: LanguagePlan,
        index: int,
        roots: Roots,
        given: list[ProverData],
        tensors: dict[str, Array],
    ) -> tuple[bytes, list[Claim]]:
        """The proof of one segment, all of whose tensors are there, and the claims that it leaves.

        ``tensors`` is emptied, as by ``Program.prove``.
        """
        inference, identity = plan.inference(index), plan.segment_protocol(index)
        transcript = binding.begin_proof(inference.field, identity, plan.public, plan.statement)
        _bind_states(transcript, plan, roots)
        for name, array in self.tensors.items():
            tensors.setdefault(name, array)
        program = inference.program
        left = program.prove(transcript, self.target, given, tensors, self.timer)
        return transcript.finish(), left


def _answered(planned: LanguagePlan, output: OutputTrace) -> LanguagePlan:
    """The plan of the true statement."""
    chosen = np.array(output.chosen.tolist(), dtype=np.int64)
    return replace(planned, statement=replace(planned.statement, chosen=chosen))


def _bind_states(transcript: Any, plan: LanguagePlan, roots: Roots) -> None:
    if not plan.is_whole:
        transcript.bind("states", [root.hex() for root in roots])


def _bind_segments(transcript: Any, states: Sequence[bytes], parts: Sequence[bytes]) -> None:
    hashes = [blake3(part).hexdigest() for part in parts]
    transcript.bind("segments", {"states": [state.hex() for state in states], "proofs": hashes})


def verify_segments(plan: LanguagePlan, proof: bytes) -> None:
    """Raises ProofRejected unless all segments are shown, each from where the one before it led to."""
    if plan.is_whole:
        if verify_segment(plan, 0, (), proof):
            raise RuntimeError("a proof of all layers leaves claims on the weights")
        return
    outer, count = Proof.from_bytes(proof), plan.cut.count
    binding.require_header(outer, plan.protocol(), plan.statement)
    cut, opening = segments.without_opening(outer)
    states, parts = segments.split(cut, count - 1, count)
    claims: list[Claim] = []
    for index, part in enumerate(parts):
        claims += verify_segment(plan, index, tuple(states[max(index - 1, 0) : index + 1]), part)

    def script(transcript: VerifierTranscript) -> None:
        _bind_segments(transcript, states, parts)
        plan.scheme.verify(transcript, [(plan.public.commitment, claims)])

    identity, field = plan.opening_protocol(), plan.scheme.field
    binding.verify_bound(opening, field, identity, plan.public, plan.statement, script)


def verify_segment(plan: LanguagePlan, index: int, roots: Roots, part: bytes) -> list[Claim]:
    """Raises ProofRejected unless these layers lead from one of ``roots`` to the other.

    Returns the claims on the weights that this rests on, where there are several segments.
    """
    if any(len(root) != len(plan.public.root) for root in roots):
        raise ProofRejected("a state's root is malformed")
    inference, given = plan.inference(index), plan.given(index, roots)
    left: list[Claim] = []

    def script(transcript: VerifierTranscript) -> None:
        _bind_states(transcript, plan, roots)
        left.extend(inference.program.verify(transcript, given))

    identity = plan.segment_protocol(index)
    binding.verify_bound(part, inference.field, identity, plan.public, plan.statement, script)
    return left
