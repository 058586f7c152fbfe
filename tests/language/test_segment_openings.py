"""What the segments of a proof leave: claims on the weights, shown by one opening for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from cases.checkpoints import KINDS
from language_proof import WRONG_OPENING
from segment_case import (
    NOT_OPENED,
    OTHER_PARAMETERS,
    OTHER_SEGMENTS,
    OTHER_STATEMENT,
    TARGET,
    SegmentCase,
    case_of,
    split,
)

from zkbench import language_segments
from zkbench.bench.timers import PhaseTimer
from zkbench.commitments.claims import Claim
from zkbench.language_segments import LanguageProver
from zkbench.progress import silent
from zkbench.proof import Message, Proof
from zkbench.transcript import VerifierTranscript


@pytest.fixture(params=list(KINDS))
def case(request: pytest.FixtureRequest) -> SegmentCase:
    return case_of(request.param)


def offered(case: SegmentCase, kind: type[LanguageProver]) -> str:
    """Why what such a prover offers is rejected."""
    committed = case.committed
    given = committed.placed, committed.data, committed.tensors, TARGET, PhaseTimer(), silent
    proof, statement = kind(*given).prove(case.plan)
    return case.rejection(proof, statement)


# Lies.


class OneClaimLess(LanguageProver):
    """Opens all claims but one."""

    def _open(self, plan: Any, states: Any, parts: Any, claims: list[Claim]) -> bytes:
        return super()._open(plan, states, parts, claims[:-1])


class AnotherOrder(LanguageProver):
    """Takes the values of some claims for those of others."""

    def _open(self, plan: Any, states: Any, parts: Any, claims: list[Claim]) -> bytes:
        return super()._open(plan, states, parts, [*claims[1:], claims[0]])


@dataclass(frozen=True, eq=False)
class OfFewer(LanguageProver):
    """Binds the first segment alone."""

    def _open(self, plan: Any, states: Any, parts: Any, claims: list[Claim]) -> bytes:
        return super()._open(plan, states, parts[:1], claims)


@pytest.mark.parametrize("kind", [OneClaimLess, AnotherOrder, OfFewer])
def test_other_openings(case: SegmentCase, kind: type[LanguageProver]) -> None:
    assert offered(case, kind) == WRONG_OPENING


# What it is bound to.


def first_challenge(states: list[bytes], parts: list[bytes]) -> str:
    transcript = VerifierTranscript(case_of("llama").plan.scheme.field, Proof())
    language_segments._bind_segments(transcript, states, parts)
    return repr(transcript.challenges("first", 1))


def test_all_states_and_proofs_are_bound(case: SegmentCase) -> None:
    states, parts = split(case.proof)
    seen = {first_challenge(states, parts)}
    for k in range(len(states)):
        seen.add(first_challenge([*states[:k], bytes(32), *states[k + 1 :]], parts))
    for k, part in enumerate(parts):
        changed = bytes([part[0] ^ 1]) + part[1:]
        seen.add(first_challenge(states, [*parts[:k], changed, *parts[k + 1 :]]))
    seen.add(first_challenge(states, parts[::-1]))
    assert len(seen) == 1 + len(states) + len(parts) + 1


def test_claims_of_all_segments_are_opened(
    case: SegmentCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as the segments leave, and on their own layers."""
    left: list[list[Claim]] = []
    honest = language_segments.verify_segment

    def noting(*given: Any) -> list[Claim]:
        left.append(honest(*given))
        return left[-1]

    opened: list[Claim] = []
    scheme = type(case.plan.scheme)
    verify = scheme.verify

    def counting(self: Any, transcript: Any, openings: Any) -> None:
        if len(openings) == 1:
            opened.extend(openings[0][1])
        verify(self, transcript, openings)

    monkeypatch.setattr(language_segments, "verify_segment", noting)
    monkeypatch.setattr(scheme, "verify", counting)
    case.verify(case.proof)
    assert all(left)
    assert opened == [claim for claims in left for claim in claims]
    stacked = [claim for claims in left for claim in claims if claim.tensor.startswith("w_")]
    names = {claim.tensor for claim in stacked}
    assert len(stacked) == len(left) * len(names)


# The file.


def test_openings_that_are_missing_or_elsewhere(case: SegmentCase) -> None:
    messages, opening = case.messages, case.opening
    header = Proof.from_bytes(case.proof).header

    def rejection(changed: list[Message]) -> str:
        return case.rejection(Proof(header, changed).to_bytes())

    assert rejection(messages) == NOT_OPENED
    assert rejection([]) == NOT_OPENED
    assert rejection([*messages, Message("segment", opening.payload)]) == NOT_OPENED
    assert rejection([opening, *messages]) == NOT_OPENED
    assert rejection([opening]) == OTHER_SEGMENTS
    assert rejection([*messages, opening, opening]) == OTHER_SEGMENTS


def test_openings_of_other_proofs(case: SegmentCase) -> None:
    other = SegmentCase.of(case.committed, case.tokens[::-1].copy())
    assert case.rejection(case.with_messages(case.messages, other.opening)) == OTHER_STATEMENT
    part = Message("opening", case.messages[-1].payload)
    assert case.rejection(case.with_messages(case.messages, part)) == OTHER_PARAMETERS


def test_changed_messages_of_the_opening(case: SegmentCase) -> None:
    proof = Proof.from_bytes(case.opening.payload)
    for k, message in enumerate(proof.messages):
        if message.payload:
            flipped = bytearray(message.payload)
            flipped[(7 * k) % len(flipped)] ^= 1 << (k % 8)
            messages = list(proof.messages)
            messages[k] = Message(message.label, bytes(flipped))
            changed = Message("opening", Proof(proof.header, messages).to_bytes())
            assert case.rejection(case.with_messages(case.messages, changed))
