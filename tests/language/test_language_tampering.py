"""Every kind of message of a language model's proof, changed in every way: all are rejected."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from language_proof import Case, case_of, prove, some_tokens, witness

from zkbench.proof import Message, Proof, ProofRejected

EACH_LABEL = 3  # messages of every label that are changed: the first, the last, and some between


@pytest.fixture(scope="module", params=["llama", "opt", "norms last"])
def case(request: pytest.FixtureRequest) -> Case:
    return case_of(request.param)


@pytest.fixture(scope="module")
def messages(case: Case) -> list[Message]:
    proof = prove(case.inference, case.data, witness(case))
    case.verify(proof)
    return Proof.from_bytes(proof).messages


def some_of_each_label(messages: list[Message]) -> list[int]:
    rng, places = np.random.default_rng(1), []
    for label in sorted({message.label for message in messages}):
        found = [k for k, message in enumerate(messages) if message.label == label]
        between = rng.permutation(found[1:-1])[: EACH_LABEL - 2].tolist()
        places += sorted({found[0], found[-1], *between})
    return places


def variants(messages: list[Message], k: int) -> Iterator[tuple[str, list[Message]]]:
    before, one, after = messages[:k], messages[k], messages[k + 1 :]
    flipped = bytearray(one.payload)
    if flipped:
        flipped[(7 * k) % len(flipped)] ^= 1 << (k % 8)
        yield "flipped", [*before, Message(one.label, bytes(flipped)), *after]
        zeros = Message(one.label, bytes(len(one.payload)))
        yield "made zero", [*before, zeros, *after]
        yield "shortened", [*before, Message(one.label, one.payload[:-16]), *after]
    yield "extended", [*before, Message(one.label, one.payload + bytes(16)), *after]
    yield "dropped", [*before, *after]
    yield "doubled", [*before, one, one, *after]
    yield "renamed", [*before, Message(one.label + "s", one.payload), *after]
    if after:
        yield "exchanged with the next", [*before, after[0], one, *after[1:]]


def test_changed_messages(case: Case, messages: list[Message]) -> None:
    convincing = []
    for k in some_of_each_label(messages):
        for name, changed in variants(messages, k):
            if changed == messages:
                continue
            try:
                case.verify(Proof({}, changed).to_bytes())
                convincing.append((k, messages[k].label, name))
            except ProofRejected as rejection:
                assert str(rejection)
    assert not convincing


def test_messages_of_another_prompts_proof(case: Case, messages: list[Message]) -> None:
    twin = Case.of(case.model, some_tokens(case.model.config, len(case.tokens), 9))
    others = Proof.from_bytes(prove(twin.inference, twin.data, witness(twin))).messages
    assert len(others) == len(messages)
    for k in some_of_each_label(messages):
        if others[k] != messages[k]:
            changed = [*messages[:k], others[k], *messages[k + 1 :]]
            case.rejection(Proof({}, changed).to_bytes())


def test_another_layers_messages(case: Case, messages: list[Message]) -> None:
    """Two messages of one label exchanged, wherever they stand."""
    by_label: dict[str, list[int]] = {}
    for k, message in enumerate(messages):
        by_label.setdefault(message.label, []).append(k)
    pairs = [(found[0], found[-1]) for found in by_label.values() if len(found) > 1]
    assert pairs
    for a, b in pairs:
        changed = list(messages)
        changed[a], changed[b] = messages[b], messages[a]
        if changed != messages:
            case.rejection(Proof({}, changed).to_bytes())


def test_messages_after_the_end_and_before_the_start(case: Case, messages: list[Message]) -> None:
    for changed in ([*messages, Message("more", b"")], [*messages, *messages], messages[1:], []):
        case.rejection(Proof({}, changed).to_bytes())
