"""The transcript: one script that both sides follow, and challenges that depend on all of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.proof import VERSION, Message, Proof, ProofRejected
from zkbench.transcript import ProverTranscript, VerifierTranscript

E = FIELD.element
ELEMENTS = [E(1, 2), E(FIELD.modulus - 1, 0)]


def sent_proof() -> Proof:
    """A proof of three messages: "a" (two elements), "b" (three words) and "c" (bytes)."""
    transcript = ProverTranscript(FIELD, {"kind": "test"})
    transcript.send("a", ELEMENTS)
    transcript.send_words("b", np.array([1, 2, 3], dtype=np.uint64))
    transcript.send_bytes("c", b"xyz")
    return Proof.from_bytes(transcript.finish())


def read(proof: Proof) -> tuple[Any, ...]:
    """The script that ``sent_proof`` follows."""
    transcript = VerifierTranscript(FIELD, proof)
    a = transcript.receive("a", 2)
    b = transcript.receive_words("b", 3)
    c = transcript.receive_bytes("c", 3)
    transcript.finish()
    return a, b.tolist(), c


def rejection(change: Callable[[list[Message]], Any]) -> str:
    """Why the script is rejected after a change to the list of messages."""
    proof = sent_proof()
    change(proof.messages)
    with pytest.raises(ProofRejected) as raised:
        read(proof)
    return str(raised.value)


def test_what_is_sent_is_received() -> None:
    assert read(sent_proof()) == (ELEMENTS, [1, 2, 3], b"xyz")


def test_a_missing_message() -> None:
    assert rejection(lambda m: m.pop(1)) == "expected message 'b', found 'c'"
    assert rejection(lambda m: m.pop()) == "the proof ends before message 'c'"
    assert rejection(lambda m: m.clear()) == "the proof ends before message 'a'"


def test_an_extra_message() -> None:
    at_end = "unexpected message 'd' after the end of the proof"
    assert rejection(lambda m: m.append(Message("d", b""))) == at_end
    assert rejection(lambda m: m.insert(0, Message("d", b""))) == "expected message 'a', found 'd'"
    assert rejection(lambda m: m.insert(1, m[0])) == "expected message 'b', found 'a'"


def test_messages_out_of_order() -> None:
    assert rejection(lambda m: m.reverse()) == "expected message 'a', found 'c'"


@pytest.mark.parametrize(("index", "size"), [(0, 32), (1, 24), (2, 3)])
@pytest.mark.parametrize("other", [0, 1, 8, 33])
def test_a_message_of_another_length(index: int, size: int, other: int) -> None:
    label = "abc"[index]
    reason = f"message {label!r} has {other} bytes instead of {size}"
    assert rejection(lambda m: m.__setitem__(index, Message(label, bytes(other)))) == reason


@pytest.mark.parametrize("word", [FIELD.modulus, FIELD.modulus + 1, 2**64 - 1])
@pytest.mark.parametrize("index", [0, 1])
def test_a_word_that_is_not_reduced(word: int, index: int) -> None:
    def change(messages: list[Message]) -> None:
        old = messages[index]
        messages[index] = Message(old.label, word.to_bytes(8, "little") + old.payload[8:])

    reason = f"message {'ab'[index]!r} holds a number that is not a reduced field element"
    assert rejection(change) == reason


def test_require_zero() -> None:
    transcript = VerifierTranscript(FIELD, Proof())
    transcript.require_zero(E(0), "no")
    transcript.require_zero(E(3, 4) - E(3, 4), "no")
    for value in (E(1), E(0, 1), E(FIELD.modulus - 1)):
        with pytest.raises(ProofRejected, match=r"^no$"):
            transcript.require_zero(value, "no")


# Challenges.


def challenge_after(run: Callable[[ProverTranscript], Any], header: Any = None) -> Any:
    transcript = ProverTranscript(FIELD, header)
    run(transcript)
    return transcript.challenge("x")


DIFFERENT: dict[str, Callable[[ProverTranscript], Any]] = {
    "nothing": lambda t: None,
    "empty message": lambda t: t.send_bytes("", b""),
    "message": lambda t: t.send_bytes("a", b"bc"),
    "label longer": lambda t: t.send_bytes("ab", b"c"),
    "label empty": lambda t: t.send_bytes("", b"abc"),
    "other label": lambda t: t.send_bytes("b", b"bc"),
    "two messages": lambda t: (t.send_bytes("a", b"b"), t.send_bytes("a", b"c")),
    "two other messages": lambda t: (t.send_bytes("a", b"c"), t.send_bytes("a", b"b")),
    "bound bytes": lambda t: t.bind_bytes("a", b"bc"),
    "bound JSON": lambda t: t.bind("a", "bc"),
    "bound list": lambda t: t.bind("a", ["bc"]),
    "challenge": lambda t: t.challenge("a"),
    "same challenge": lambda t: t.challenge("x"),
    "two challenges": lambda t: t.challenges("x", 2),
    "seed": lambda t: t.grinding_seed("a"),
    "indices": lambda t: t.indices("a", 3, 5),
    "element": lambda t: t.send("a", [E(1)]),
    "swapped coefficients": lambda t: t.send("a", [E(0, 1)]),
    "words": lambda t: t.send_words("a", np.array([7], dtype=np.uint64)),
}


def test_challenges_depend_on_everything_before() -> None:
    """Kind, label, length, contents and order of everything that was absorbed or drawn."""
    found = {name: challenge_after(run) for name, run in DIFFERENT.items()}
    assert len(set(found.values())) == len(found)


def test_challenges_depend_on_the_header() -> None:
    headers = [{}, {"a": 1}, {"a": 2}, {"b": 1}]
    assert len({challenge_after(lambda t: None, header) for header in headers}) == len(headers)


def test_challenges_depend_on_their_label_and_move_on() -> None:
    transcript = ProverTranscript(FIELD)
    drawn = [transcript.challenge(label) for label in ("a", "a", "b")]
    drawn += transcript.challenges("a", 3)
    assert len(set(drawn)) == 6


@given(st.lists(st.sampled_from(sorted(DIFFERENT)), max_size=6))
def test_both_sides_draw_the_same_challenges(script: list[str]) -> None:
    prover = ProverTranscript(FIELD, {"script": script})
    for name in script:
        DIFFERENT[name](prover)
    verifier = VerifierTranscript(FIELD, Proof.from_bytes(prover.finish()))
    replay = Replay(verifier)
    for name in script:
        DIFFERENT[name](replay)  # type: ignore[arg-type]
    verifier.finish()
    assert verifier.challenges("end", 3) == prover.challenges("end", 3)


class Replay:
    """Receives whatever a prover's script sends, and checks that it is that."""

    def __init__(self, verifier: VerifierTranscript) -> None:
        self.verifier = verifier

    def __getattr__(self, name: str) -> Any:
        return getattr(self.verifier, name)

    def send_bytes(self, label: str, data: bytes) -> None:
        assert self.verifier.receive_bytes(label, len(data)) == data

    def send(self, label: str, elements: list[Any]) -> None:
        assert self.verifier.receive(label, len(elements)) == elements

    def send_words(self, label: str, words: np.ndarray) -> None:
        assert self.verifier.receive_words(label, len(words)).tolist() == words.tolist()


def test_challenges_fill_the_field() -> None:
    """Every coefficient is drawn from all of 0 ... p - 1: each of its bits is set half the time."""
    drawn = ProverTranscript(FIELD).challenges("x", 2000)
    for coefficients in zip(*(e.coefficients for e in drawn), strict=True):
        assert max(coefficients) < FIELD.modulus
        for bit in (0, 31, 32, 62, 63):
            assert 850 < sum(c >> bit & 1 for c in coefficients) < 1150


@pytest.mark.parametrize("log_bound", [0, 1, 5, 40])
def test_indices_fill_their_range(log_bound: int) -> None:
    drawn = ProverTranscript(FIELD).indices("x", 500, log_bound)
    assert len(drawn) == 500
    assert all(0 <= i < 1 << log_bound for i in drawn)
    assert log_bound > 5 or set(drawn) == set(range(1 << log_bound))


def test_the_format_has_not_changed() -> None:
    """Challenges and file of one small transcript, as this version of the format fixes them."""
    transcript = ProverTranscript(FIELD, {"protocol": "known answer", "version": 1})
    transcript.bind("statement", {"shape": [2, 3]})
    transcript.bind_bytes("table", bytes(range(5)))
    transcript.send("elements", ELEMENTS)
    challenge = transcript.challenge("alpha")
    transcript.send_words("words", np.array([5, FIELD.modulus - 1], dtype=np.uint64))
    found = {
        "challenge": challenge.coefficients,
        "indices": transcript.indices("rows", 3, 20),
        "seed": transcript.grinding_seed("work").hex(),
        "file": transcript.finish().hex(),
    }
    assert found == KNOWN_ANSWER, (
        f"the transcript or the proof file changed: raise VERSION (now {VERSION}) in"
        " zkbench/proof.py and the version in _DOMAIN in zkbench/transcript.py, say so in"
        " CHANGELOG.md, and put what was found here"
    )


KNOWN_ANSWER: dict[str, Any] = {
    "challenge": (223356101401282950, 7128415152571930360),
    "indices": [855671, 602827, 800188],
    "seed": "6d4423dd0b14adee002a981e06fc0b25affc0ef4042a18fd06d82faa55f5674b",
    "file": (
        "7a6b62656e63682070726f6f660a"  # zkbench proof
        "010027000000"
        "7b2270726f746f636f6c223a226b6e6f776e20616e73776572222c2276657273696f6e223a317d"
        "08656c656d656e747320000000"
        "01000000000000000200000000000000"
        "00000000ffffffff0000000000000000"
        "05776f72647310000000"
        "050000000000000000000000ffffffff"
    ),
}
