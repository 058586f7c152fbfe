"""Proofs in segments of layers: each leads to where the next begins, and nothing else is accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import pytest
from cases.checkpoints import KINDS, some_tokens
from language_inference_case import FEW_BITS, SMALL
from language_proof import WRONG_OPENING
from segment_case import (
    ASKED,
    LAYERS,
    NOT_OPENED,
    OTHER_PARAMETERS,
    OTHER_SEGMENTS,
    OTHER_STATEMENT,
    TARGET,
    TOKENS,
    SegmentCase,
    case_of,
    of_opening,
    prove,
    reason_of,
    split,
)

from zkbench.bench.timers import PhaseTimer
from zkbench.errors import UnusableInput
from zkbench.language import (
    commit_language_model,
    proof_sizes,
    prove_language_inference,
)
from zkbench.language_memory import witness_bytes
from zkbench.language_plan import LanguagePlan, claimed_plan
from zkbench.language_segments import LanguageProver, verify_segment
from zkbench.progress import silent
from zkbench.proof import Message, Proof
from zkbench.protocols.language_tensors import is_stacked
from zkbench.protocols.language_weights import StackedModel
from zkbench.quant.formats import QuantisationError
from zkbench.security import total_bits


@pytest.fixture(params=list(KINDS))
def case(request: pytest.FixtureRequest) -> SegmentCase:
    return case_of(request.param)


@pytest.fixture
def llama() -> SegmentCase:
    return case_of("llama")


# What is true is accepted.


def test_segments_prove_what_one_proof_proves(case: SegmentCase) -> None:
    """One layer each; two, and the one that is left; all."""
    whole, statement = prove(case.committed, case.tokens, None)
    assert case.verify(whole, statement) >= FEW_BITS
    for segment in (1, 2):
        proof, same = prove(case.committed, case.tokens, segment)
        assert same.digest == statement.digest
        assert case.verify(proof) >= FEW_BITS
        sizes = proof_sizes(proof, case.committed.public)
        assert sizes == (TOKENS, len(ASKED), segment)
        assert claimed_plan(proof, same, case.committed.public).cut.count == -(-LAYERS // segment)
    assert prove(case.committed, case.tokens, LAYERS)[0] == whole
    assert proof_sizes(whole, case.committed.public) == (TOKENS, len(ASKED), LAYERS)


def test_the_same_proof_again(case: SegmentCase) -> None:
    assert prove(case.committed, case.tokens, 1)[0] == case.proof


@pytest.mark.gpu
def test_cpu_and_cuda_make_the_same_segments(case: SegmentCase) -> None:
    from zkbench.kernels.launch import target

    gpu = target("cuda")
    committed = commit_language_model(case.committed.model, gpu, SMALL)
    tokens = case.tokens
    proof, _ = prove_language_inference(
        committed, tokens, gpu, ASKED, minimum_bits=FEW_BITS, segment=1
    )
    assert proof == case.proof


def test_more_than_one_block_of_attention(llama: SegmentCase) -> None:
    tokens = some_tokens(llama.committed.public.config, 150, seed=5)
    proof, statement = prove(llama.committed, tokens, 2)
    assert llama.verify(proof, statement) >= FEW_BITS


# Costs.


def test_errors_of_all_segments_are_added(case: SegmentCase) -> None:
    plan = case.plan
    each = [plan.inference(k).program.soundness_terms() for k in range(LAYERS)]
    together = total_bits([*chain(*each), *of_opening(plan)])
    assert total_bits(plan.soundness_terms()) == pytest.approx(together)
    assert any("boundary of segments" in term.name for term in each[0])


def test_segments_are_each_as_much_stronger_as_there_are_more_of_them(case: SegmentCase) -> None:
    whole = LanguagePlan.of(case.committed.public, case.statement)
    assert case.plan.scheme.security_bits == whole.scheme.security_bits + 2
    assert case.plan.inference(0).security_bits == whole.inference(0).security_bits + 2
    assert whole.scheme == case.committed.public.scheme
    lost = total_bits(whole.soundness_terms()) - total_bits(case.plan.soundness_terms())
    assert lost < 0.5


def test_the_witness_of_a_segment_is_as_large_as_is_said(case: SegmentCase) -> None:
    placed, plan = case.committed.placed, case.plan
    prompt = placed.stacked.prompt(case.tokens, ASKED)
    stream = placed.stacked.embed(prompt.tokens)
    whole = witness_bytes(LanguagePlan.of(plan.public, plan.statement).inference(0))
    inference = plan.inference(0)
    trace, _ = placed.stacked.forward_layers(prompt, plan.layers(0), stream)
    tensors = placed.witness(inference, trace, TARGET, stream)
    held = sum(array.nbytes for array in tensors.values())
    assert held == witness_bytes(inference) < whole / 2


@pytest.mark.parametrize("segment", [0, -1, LAYERS + 1])
def test_segments_that_there_are_not(llama: SegmentCase, segment: int) -> None:
    with pytest.raises(UnusableInput, match=rf"segments have 1 to 3 layers, not {segment}"):
        prove(llama.committed, llama.tokens, segment)


def test_segments_of_too_little_soundness(llama: SegmentCase) -> None:
    with pytest.raises(UnusableInput, match=r"use fewer tokens or longer segments"):
        prove_language_inference(llama.committed, llama.tokens, TARGET, segment=1)


# Lies. What follows from one is honest: later layers, and the tokens that the statement has.


class OtherStreams(StackedModel):
    """Behind some layers, the stream is another than they lead to."""

    changes: dict[int, Callable[[np.ndarray], np.ndarray]]

    def run_layers(self, context: Any, stream: Any, layers: range | None = None) -> Iterator[Any]:
        for index in range(LAYERS) if layers is None else layers:
            ((_, found, stream),) = super().run_layers(context, stream, range(index, index + 1))
            stream = self.changes.get(index, np.copy)(stream)
            yield index, found, stream


def prover(
    case: SegmentCase, kind: Callable[..., Any] = LanguageProver, **changes: Any
) -> LanguageProver:
    committed = case.committed
    placed = replace(committed.placed, **changes)
    timer = PhaseTimer()
    found: LanguageProver = kind(placed, committed.data, committed.tensors, TARGET, timer, silent)
    return found


def lie(case: SegmentCase, one: LanguageProver) -> str:
    """Why what this prover offers is rejected."""
    proof, statement = one.prove(case.plan)
    return case.rejection(proof, statement)


def with_streams(case: SegmentCase, changes: dict[int, Any]) -> LanguageProver:
    placed = case.committed.placed
    model = OtherStreams(placed.model, placed.arrays)
    model.changes = changes
    return prover(case, stacked=model)


def bumped(stream: np.ndarray) -> np.ndarray:
    changed = stream.copy()
    changed[2, 5] += 1
    return changed


def test_the_honest_prover_of_these_tests_convinces(case: SegmentCase) -> None:
    proof, statement = with_streams(case, {}).prove(case.plan)
    assert (proof, statement.digest) == (case.proof, case.statement.digest)


def exchanged(axis: int) -> Callable[[np.ndarray], np.ndarray]:
    """Places 1 and 2, which a point with equal coordinates would not tell apart."""
    return lambda stream: np.take(stream, [0, 2, 1, *range(3, stream.shape[axis])], axis)


@pytest.mark.parametrize("layer", range(LAYERS - 1))
def test_a_segment_that_does_not_lead_where_the_next_begins(case: SegmentCase, layer: int) -> None:
    for change in (bumped, np.zeros_like, *map(exchanged, (0, 1))):
        assert lie(case, with_streams(case, {layer: change})) == WRONG_OPENING


def test_positions_of_padding_are_joined_too(case: SegmentCase) -> None:
    def change(stream: np.ndarray) -> np.ndarray:
        changed = stream.copy()
        changed[-1, 0] += 1
        return changed

    assert lie(case, with_streams(case, {0: change})) == WRONG_OPENING


@dataclass(frozen=True, eq=False)
class OtherCommitments(LanguageProver):
    """Commits to another limb of a boundary than the one that it speaks of. joined: to which roots."""

    limb: str
    joined: list[tuple[bytes, ...]]

    def _commit(self, plan: Any, boundary: Any, tensors: Any) -> Any:
        changed = {self.limb: bumped_flat(tensors[self.limb])} if self.limb in tensors else {}
        return super()._commit(plan, boundary, {**tensors, **changed})

    def _prove(self, plan: Any, index: int, roots: Any, given: Any, tensors: Any) -> bytes:
        self.joined.append(roots)
        return super()._prove(plan, index, roots, given, tensors)


def bumped_flat(array: np.ndarray) -> np.ndarray:
    changed = array.copy()
    changed[5] += 1
    return changed


@pytest.mark.parametrize("when", ["first", "last"])
def test_a_boundary_that_is_not_the_committed_one(case: SegmentCase, when: str) -> None:
    """Each limb alone. The proofs around it name the roots of what is committed."""
    place = 0 if when == "last" else 1
    boundary = case.plan.inference(place).boundaries[when]
    for limb in boundary.limbs:
        joined: list[tuple[bytes, ...]] = []
        one = prover(case, partial(OtherCommitments, limb=limb, joined=joined))
        offered, statement = one.prove(case.plan)
        plan = replace(case.plan, statement=statement)
        _, parts = split(offered)
        assert reason_of(plan, place, joined[place], parts[place]) == WRONG_OPENING
        assert case.rejection(offered, statement)


class OtherBeginning(LanguageProver):
    """The second segment begins elsewhere, and its transcript names the root that it should have."""

    def prove(self, planned: LanguagePlan) -> Any:
        self.__dict__["true"] = []
        return super().prove(planned)

    def _boundaries(self, inference: Any, streams: Any) -> Any:
        if inference.segment.first == 1:
            streams = {**streams, "first": bumped(streams["first"])}
        return super()._boundaries(inference, streams)

    def _prove(self, plan: Any, index: int, roots: Any, given: Any, tensors: Any) -> bytes:
        true = self.__dict__["true"]
        named = (true[-1], *roots[1:]) if index else roots
        true.append(roots[-1])
        return super()._prove(plan, index, named, given, tensors)


def test_a_segment_that_begins_elsewhere(case: SegmentCase) -> None:
    """What is opened is not what the segment before was shown to lead to."""
    offered, statement = prover(case, OtherBeginning).prove(case.plan)
    plan = replace(case.plan, statement=statement)
    states, parts = split(offered)
    verify_segment(plan, 0, (states[0],), parts[0])
    assert reason_of(plan, 1, (states[0], states[1]), parts[1])
    assert case.rejection(offered, statement)


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 2, 1), (0, 0, 2), (0, 1, 1)])
def test_layers_exchanged_or_repeated(case: SegmentCase, order: tuple[int, ...]) -> None:
    """Weights of another layer than the one that a segment's place names."""
    placed = case.committed.placed
    arrays = {
        name: np.ascontiguousarray(a[list(order)]) if is_stacked(name) else a
        for name, a in placed.arrays.items()
    }
    model = StackedModel(placed.model, arrays)
    one = prover(case, stacked=model, arrays=arrays)
    assert lie(case, one) == WRONG_OPENING


def test_a_boundary_of_more_bits_is_not_made(llama: SegmentCase) -> None:
    one = with_streams(llama, {1: lambda stream: stream + (1 << 30)})
    with pytest.raises(QuantisationError, match="residual stream before"):
        one.prove(llama.plan)


# The file.


def test_segments_in_another_order(case: SegmentCase) -> None:
    a, x, b, y, c = case.messages
    for wrong in ([b, x, a, y, c], [a, y, b, x, c], [b, y, a, x, c], [a, x, b, x, c]):
        reason = case.rejection(case.with_messages(wrong))
        only_states = [wrong[1], wrong[3]] == [x, y]
        assert reason == OTHER_PARAMETERS or only_states
    for wrong in ([a, x, c], [a, x, b, y], [a, x, b, y, b, y, c], [x, a, b, y, c], []):
        assert case.rejection(case.with_messages(wrong)) == OTHER_SEGMENTS


def test_labels_of_segments(case: SegmentCase) -> None:
    """There is one file of a proof."""
    for place, message in enumerate(case.messages):
        for label in {"state", "segment", "", "x"} - {message.label}:
            messages = case.messages
            messages[place] = Message(label, message.payload)
            assert case.rejection(case.with_messages(messages)) == OTHER_SEGMENTS


def test_segments_of_another_proof(case: SegmentCase) -> None:
    other = SegmentCase.of(case.committed, case.tokens[::-1].copy())
    a, x, b, y, c = case.messages
    d, u, e, v, f = other.messages
    for wrong in ([d, u, b, y, c], [a, x, e, v, c], [a, x, b, y, f], [a, u, b, y, c]):
        assert case.rejection(case.with_messages(wrong)) == OTHER_STATEMENT
    for wrong in ([d, x, b, y, c], [a, x, e, y, c]):
        assert case.rejection(case.with_messages(wrong))


def test_states_are_roots(case: SegmentCase) -> None:
    first, *rest = case.messages
    for payload in (b"", first.payload[:-1], first.payload + b"\0"):
        changed = [Message("state", payload), *rest]
        assert case.rejection(case.with_messages(changed)) == "a state's root is malformed"
    assert case.rejection(case.with_messages([Message("state", bytes(32)), *rest]))


@pytest.mark.parametrize("value", [True, 1.0, "1", [], {}, 0, -1, 2, LAYERS, LAYERS + 1, 1 << 80])
def test_other_lengths_in_the_header(llama: SegmentCase, value: Any) -> None:
    proof = Proof.from_bytes(llama.proof)
    header = {**proof.header, "protocol": {**proof.header["protocol"], "segment": value}}
    reason = llama.rejection(Proof(header, proof.messages).to_bytes())
    if type(value) is int and not 1 <= value <= LAYERS:
        assert reason == f"segments have 1 to 3 layers, not {value}"
    else:
        assert reason == OTHER_PARAMETERS


def test_a_length_that_is_no_number(llama: SegmentCase) -> None:
    """By a prover who says so everywhere."""
    proof, statement = prove(llama.committed, llama.tokens, True)
    assert llama.rejection(proof, statement) == OTHER_PARAMETERS


def test_a_whole_proof_is_no_proof_in_segments(case: SegmentCase) -> None:
    whole, _ = prove(case.committed, case.tokens, None)
    proof, cut = Proof.from_bytes(whole), Proof.from_bytes(case.proof)
    assert case.rejection(Proof(cut.header, proof.messages).to_bytes()) == NOT_OPENED
    behind = [*proof.messages, case.opening]
    assert case.rejection(Proof(cut.header, behind).to_bytes()) == OTHER_SEGMENTS
    assert case.rejection(Proof(proof.header, cut.messages).to_bytes())
    part = next(m.payload for m in cut.messages if m.label == "segment")
    assert case.rejection(part) == OTHER_PARAMETERS


def test_headers_of_segments(case: SegmentCase) -> None:
    states, parts = split(case.proof)
    proof = Proof.from_bytes(parts[1])
    for key, value in (("first_layer", 1.0), ("first_layer", 0), ("number_of_layers", True)):
        header = {**proof.header, "protocol": {**proof.header["protocol"], key: value}}
        changed = Proof(header, proof.messages).to_bytes()
        assert reason_of(case.plan, 1, (states[0], states[1]), changed) == OTHER_PARAMETERS


def test_changed_messages_of_segments(case: SegmentCase) -> None:
    """One of every kind in every segment, changed."""
    for place in (1, 3, 4):
        proof = Proof.from_bytes(case.messages[place].payload)
        for label in ("boundary", "slices", "stream", "witness"):
            places = [k for k, m in enumerate(proof.messages) if m.label == label and m.payload]
            for k in places[:2]:
                flipped = bytearray(proof.messages[k].payload)
                flipped[3] ^= 4
                messages = list(proof.messages)
                messages[k] = Message(label, bytes(flipped))
                changed = case.messages
                part = Proof(proof.header, messages).to_bytes()
                changed[place] = Message("segment", part)
                assert case.rejection(case.with_messages(changed))
