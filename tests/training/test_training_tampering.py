"""Training proofs and statements, changed in every way: ProofRejected, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from random import Random
from typing import Any

import pytest
from training_run import (
    OTHER_PARAMETERS,
    OTHER_SEGMENTS,
    OTHER_STATEMENT,
    SEGMENT,
    RunCase,
    outer,
)

from zkbench import binding
from zkbench.models.training.rule import MAX_STEPS
from zkbench.proof import Message, Proof, ProofRejected
from zkbench.training import verify_segment
from zkbench.training_statement import Plan


def with_messages(case: RunCase, messages: list[Message]) -> bytes:
    return Proof(outer(case).header, messages).to_bytes()


# Messages of a segment's proof.


def segment_of(case: RunCase, index: int) -> tuple[Plan, int, bytes, bytes, bytes]:
    """What ``verify_segment`` takes."""
    messages = outer(case).messages
    before = (
        bytes.fromhex(case.public.roots.first) if index == 0 else messages[2 * index - 2].payload
    )
    after, part = messages[2 * index].payload, messages[2 * index + 1].payload
    return Plan(case.public, case.statement, SEGMENT), index, before, after, part


def labelled(messages: list[Message]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for k, message in enumerate(messages):
        found.setdefault(message.label, []).append(k)
    return found


def variants(messages: list[Message], k: int) -> Iterator[tuple[str, list[Message]]]:
    before, one, after = messages[:k], messages[k], messages[k + 1 :]
    if one.payload:
        yield "made zero", [*before, Message(one.label, bytes(len(one.payload))), *after]
        yield "shortened", [*before, Message(one.label, one.payload[:-16]), *after]
    yield "extended", [*before, Message(one.label, one.payload + bytes(16)), *after]
    yield "dropped", [*before, *after]
    yield "doubled", [*before, one, one, *after]
    yield "renamed", [*before, Message(one.label + "s", one.payload), *after]
    if after:
        yield "exchanged with the next", [*before, after[0], one, *after[1:]]


def flipped(messages: list[Message], k: int, byte: int) -> list[Message]:
    payload = bytearray(messages[k].payload)
    payload[byte] ^= 1 << (k % 8)
    return [*messages[:k], Message(messages[k].label, bytes(payload)), *messages[k + 1 :]]


def changed(messages: list[Message]) -> Iterator[tuple[str, list[Message]]]:
    """Of every label: four variants of a message, in turns, and a bit of the first and of the last."""
    rng = Random(1)
    for number, (label, places) in enumerate(labelled(messages).items()):
        found = list(variants(messages, rng.choice(places)))
        for name, variant in found[number % 2 :: 2]:
            yield f"{label} {name}", variant
        for k in {places[0], places[-1]}:
            if messages[k].payload:
                byte = rng.randrange(len(messages[k].payload))
                yield f"{label} {k} flipped at {byte}", flipped(messages, k, byte)


def test_changed_messages_of_a_segment(case: RunCase) -> None:
    *where, part = segment_of(case, 2)
    proof, convincing, tried = Proof.from_bytes(part), [], 0
    assert {"witness", "counts", "stream", "carried", "bias", "slices"} <= set(
        labelled(proof.messages)
    )
    for name, messages in changed(proof.messages):
        if messages != proof.messages:
            tried += 1
            try:
                verify_segment(*where, Proof(proof.header, messages).to_bytes())
                convincing.append(name)
            except ProofRejected as rejection:
                assert str(rejection)
    assert not convincing
    assert tried > 100


def test_messages_of_another_segments_proof(case: RunCase) -> None:
    """Segment 0's and segment 1's have the same form, but for momentum's zeros."""
    *where, part = segment_of(case, 1)
    proof = Proof.from_bytes(part)
    others = Proof.from_bytes(segment_of(case, 0)[-1]).messages
    theirs = labelled(others)
    for label, places in labelled(proof.messages).items():
        k = places[len(places) // 2]
        message = others[theirs[label][len(theirs[label]) // 2]]
        messages = [*proof.messages[:k], message, *proof.messages[k + 1 :]]
        if messages != proof.messages:
            with pytest.raises(ProofRejected):
                verify_segment(*where, Proof(proof.header, messages).to_bytes())


# The segments of a proof.


def cut_into_pairs(case: RunCase) -> list[list[Message]]:
    """(state, segment) of each."""
    messages = outer(case).messages
    return [messages[k : k + 2] for k in range(0, len(messages), 2)]


def test_segments_exchanged_dropped_or_repeated(case: RunCase, other: RunCase) -> None:
    a, b, c = cut_into_pairs(case)
    wrong = {
        "exchanged": [b, a, c],
        "the last ones exchanged": [a, c, b],
        "repeated": [a, a, c],
        "repeated at the end": [a, b, b],
        "another run's": [a, cut_into_pairs(other)[1], c],
        "another run's last": [a, b, cut_into_pairs(other)[2]],
        "states exchanged": [[b[0], a[1]], [a[0], b[1]], c],
        "proofs exchanged": [[a[0], b[1]], [b[0], a[1]], c],
    }
    for name, pairs in wrong.items():
        reason = case.rejection(with_messages(case, list(chain(*pairs))))
        assert reason in (OTHER_PARAMETERS, OTHER_STATEMENT) or "states" in name, (name, reason)
    for pairs in ([a, b], [b, c], [a, c], [a, b, c, c], [a, a, b, c], []):
        assert case.rejection(with_messages(case, list(chain(*pairs)))) == OTHER_SEGMENTS


def test_states_between_segments(case: RunCase, other: RunCase) -> None:
    """Another root, in the proof of the segment before, behind, or both: not that of what is opened."""
    messages = outer(case).messages
    for k in (0, 2):
        for root in (other_root := outer(other).messages[k].payload, bytes(32)):
            assert root != messages[k].payload
            lie = [*messages[:k], Message("state", root), *messages[k + 1 :]]
            assert case.rejection(with_messages(case, lie))
        assert other_root
    for payload in (b"", messages[0].payload[:-1], messages[0].payload + b"\0"):
        lie = [Message("state", payload), *messages[1:]]
        assert case.rejection(with_messages(case, lie)) == "a state's root is malformed"


def test_labels_and_messages_of_the_outer_proof(case: RunCase) -> None:
    messages = outer(case).messages
    renamed = [Message("segment", messages[0].payload), *messages[1:]]
    for lie in (renamed, [messages[1], messages[0], *messages[2:]]):
        assert case.rejection(with_messages(case, lie)) == OTHER_SEGMENTS
    for k in range(len(messages)):
        assert case.rejection(with_messages(case, messages[:k])) == OTHER_SEGMENTS
    more = [*messages, Message("more", b"")]
    assert case.rejection(with_messages(case, more)) == OTHER_SEGMENTS


def test_truncated_and_extended_files(case: RunCase) -> None:
    ends = {0, 1, 13, 14, 20, 60, len(case.proof) - 1}
    for pair in cut_into_pairs(case):
        for message in pair:
            start = case.proof.index(message.payload)
            inner = Random(start).randrange(len(message.payload))
            ends |= {start - 1, start, start + 1, start + inner, start + len(message.payload)}
    for end in sorted(ends - {len(case.proof)}):
        case.rejection(case.proof[:end])
    for more in (b"\0", b"\5state", case.proof):
        case.rejection(case.proof + more)


def test_flipped_bits_of_the_file(case: RunCase) -> None:
    rng, data = Random(2), case.proof
    for _ in range(12):
        where = rng.randrange(len(data))
        case.rejection(
            data[:where] + bytes([data[where] ^ (1 << rng.randrange(8))]) + data[where + 1 :]
        )


# Headers.


def with_header(case: RunCase, **changes: Any) -> bytes:
    header = outer(case).header
    protocol = {**header["protocol"], **changes}
    return Proof({**header, "protocol": protocol}, outer(case).messages).to_bytes()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("segment", True),
        ("segment", 2.0),
        ("segment", "2"),
        ("segment", None),
        ("segment", 3),
        ("segment", 0),
        ("segment", -2),
        ("segment", MAX_STEPS + 1),
        ("segment", 1 << 80),
        ("steps", True),
        ("steps", 5.0),
        ("steps", 4),
        ("stacked", 1),
        ("stacked", False),
        ("zero_knowledge", 0),
        ("samples", 10.0),
        ("version", 2),
        ("protocol", "mlp-inference"),
        ("field", "f"),
        ("rule", {}),
        ("commitment", []),
        ("more", 1),
    ],
)
def test_other_headers(case: RunCase, key: str, value: Any) -> None:
    reason = case.rejection(with_header(case, **{key: value}))
    if key == "segment" and type(value) is int and not 1 <= value <= MAX_STEPS:
        assert reason == f"segments have 1 to 16384 steps, not {value}"
    else:
        assert reason == OTHER_SEGMENTS if (key, value) == ("segment", 3) else OTHER_PARAMETERS


def test_numbers_of_the_rule_in_the_header(case: RunCase) -> None:
    rule = case.public.rule.to_json()
    for wrong in ({**rule, "momentum": True}, {**rule, "batch": 4.0}, {**rule, "rate": [20.0, 8]}):
        assert case.rejection(with_header(case, rule=wrong)) == OTHER_PARAMETERS


@pytest.mark.parametrize("header", [{}, {"protocol": []}, {"protocol": None}, {"protocol": {}}])
def test_headers_of_other_things(case: RunCase, header: dict[str, Any]) -> None:
    assert case.rejection(Proof(header, outer(case).messages).to_bytes()) == OTHER_PARAMETERS


def test_another_statement_in_the_header(case: RunCase) -> None:
    for digest in ("0" * 64, None, True):
        header = {**outer(case).header, "statement": digest}
        assert case.rejection(Proof(header, outer(case).messages).to_bytes()) == OTHER_STATEMENT


def test_headers_of_segments(case: RunCase) -> None:
    """What a segment's own header says is compared, and bound."""
    *where, part = segment_of(case, 1)
    proof = Proof.from_bytes(part)
    for key, value in (("first_step", 2.0), ("first_step", 0), ("number_of_steps", True)):
        header = {**proof.header, "protocol": {**proof.header["protocol"], key: value}}
        with pytest.raises(ProofRejected, match=OTHER_PARAMETERS):
            verify_segment(*where, Proof(header, proof.messages).to_bytes())


def test_a_claim_of_ever_so_many_segments_is_seen_at_once(case: RunCase) -> None:
    """Nothing is computed for each of them."""
    statement = replace(case.statement, steps=1 << 24)
    plan = Plan(case.public, statement, 1)
    proof = Proof(binding.header(plan.protocol(), statement), outer(case).messages)
    assert case.rejection(proof.to_bytes(), statement) == OTHER_SEGMENTS
    assert len(plan.soundness_terms()) < 1000
