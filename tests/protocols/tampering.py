"""Every small change to a proof file: of a word, of a message, of their order, of the header."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from zkbench.proof import Message, Proof

MODULUS = 2**64 - 2**32 + 1

Change = tuple[str, bytes, str]  # what was changed, the changed file, what the reason must contain


def with_messages(proof: Proof, messages: list[Message]) -> bytes:
    return Proof(proof.header, messages).to_bytes()


def changes(data: bytes) -> Iterator[Change]:
    """All changes that leave another file than ``data``."""
    proof = Proof.from_bytes(data)
    for name, changed, reason in [*of_words(proof), *of_messages(proof), *of_the_file(proof, data)]:
        if changed != data:
            yield name, changed, reason


def of_words(proof: Proof) -> Iterator[Change]:
    """One bit of one word flipped, and a word replaced by a representative that is not reduced."""
    rng = Random(len(proof.messages))
    for i, message in enumerate(proof.messages):
        for start in range(0, len(message.payload), 8):
            word = int.from_bytes(message.payload[start : start + 8], "little")
            where = f"word {start // 8} of message {i} ({message.label})"
            flipped = replaced(proof, i, start, word ^ (1 << rng.randrange(32)))
            yield f"a bit of {where} flipped", flipped, ""
            same = word + MODULUS if word + MODULUS < 2**64 else 2**64 - 1
            redundant = replaced(proof, i, start, same)
            yield f"p added to {where}", redundant, "not a reduced field element"


def replaced(proof: Proof, i: int, start: int, word: int) -> bytes:
    """The file with one word of message i replaced."""
    messages, old = list(proof.messages), proof.messages[i]
    payload = old.payload[:start] + word.to_bytes(8, "little") + old.payload[start + 8 :]
    messages[i] = Message(old.label, payload)
    return with_messages(proof, messages)


def of_messages(proof: Proof) -> Iterator[Change]:
    """Each message dropped, duplicated, renamed, resized or exchanged with the next."""
    for i, message in enumerate(proof.messages):
        before, after = proof.messages[:i], proof.messages[i + 1 :]
        label, payload, where = message.label, message.payload, f"message {i} ({message.label})"
        yield f"{where} dropped", with_messages(proof, [*before, *after]), ""
        yield f"{where} twice", with_messages(proof, [*before, message, message, *after]), ""
        if after:
            exchanged = [*before, after[0], message, *after[1:]]
            yield f"{where} exchanged with the next", with_messages(proof, exchanged), ""
        resized = [payload[:-1], payload[:-8], b"", payload + b"\0", payload + bytes(8)]
        for other in resized:
            messages = [*before, Message(label, other), *after]
            size = f"has {len(other)} bytes instead of {len(payload)}"
            yield f"{where} of {len(other)} bytes", with_messages(proof, messages), size
        for other in (label + "x", label[:-1], ""):
            messages = [*before, Message(other, payload), *after]
            yield f"{where} renamed", with_messages(proof, messages), f"expected message {label!r}"


def of_the_file(proof: Proof, data: bytes) -> Iterator[Change]:
    """Another header, something after the end, and the file cut at every place near a message."""
    for header in ({}, {**proof.header, "extra": 1}, dict.fromkeys(proof.header)):
        yield f"header {header}", Proof(header, proof.messages).to_bytes(), ""
    extra = [*proof.messages, Message("more", b"")]
    yield "a message more", with_messages(proof, extra), "unexpected message 'more'"
    yield "a byte more", data + b"\0", "truncated"
    for end in range(0, len(data), 7):
        yield f"cut to {end} bytes", data[:end], ""
