"""No changed proof convinces, and whatever is read, the answer is ProofRejected or acceptance."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from random import Random

import pytest
from cases.case import prove, verify
from cases.everything import SMALL
from hypothesis import given
from hypothesis import strategies as st
from tampering import changes

from zkbench.kernels.launch import cpu_target
from zkbench.proof import Message, Proof, ProofRejected

EACH_CASE = pytest.mark.parametrize("name", SMALL)


@cache
def honest_proof(name: str) -> bytes:
    return prove(SMALL[name], cpu_target())[0]


@EACH_CASE
def test_every_change_is_rejected(name: str) -> None:
    convincing, wrong_reason = [], []
    for change, data, reason in changes(honest_proof(name)):
        try:
            verify(SMALL[name], data)
            convincing.append(change)
        except ProofRejected as rejection:
            if reason not in str(rejection):
                wrong_reason.append((change, str(rejection)))
    assert not convincing
    assert not wrong_reason


@EACH_CASE
def test_false_statements_are_rejected(name: str) -> None:
    statements = SMALL[name].false_statements()
    assert statements
    for statement in statements:
        with pytest.raises(ProofRejected):
            verify(statement, honest_proof(name))


@EACH_CASE
@given(data=st.data())
def test_spliced_bytes_never_crash_the_verifier(name: str, data: st.DataObject) -> None:
    honest = honest_proof(name)
    start = data.draw(st.integers(0, len(honest)))
    end = data.draw(st.integers(start, min(len(honest), start + 24)))
    spliced = honest[:start] + data.draw(st.binary(max_size=24)) + honest[end:]
    assert_rejected_unless_honest(name, spliced)


@EACH_CASE
@given(data=st.data())
def test_random_messages_never_crash_the_verifier(name: str, data: st.DataObject) -> None:
    """From some message on, all have the right labels and sizes and random contents.

    Not always rejected: tensors of zeros and a proof of zeros, say, are a true statement.
    """
    proof = Proof.from_bytes(honest_proof(name))
    keep = data.draw(st.integers(0, len(proof.messages) - 1))
    source = data.draw(st.randoms(use_true_random=False))
    forged = [Message(m.label, random_payload(source, m)) for m in proof.messages[keep:]]
    forged_proof = Proof(proof.header, [*proof.messages[:keep], *forged])
    with suppress(ProofRejected):
        verify(SMALL[name], forged_proof.to_bytes())


def random_payload(source: Random, message: Message) -> bytes:
    """Reduced words, many of them 0, 1 or p - 1."""
    edges = [0, 1, 2**64 - 2**32]
    words = [
        source.choice([*edges, source.randrange(2**64 - 2**32)])
        for _ in range(len(message.payload) // 8)
    ]
    return b"".join(word.to_bytes(8, "little") for word in words)


def assert_rejected_unless_honest(name: str, data: bytes) -> None:
    if data == honest_proof(name):
        verify(SMALL[name], data)
    else:
        with pytest.raises(ProofRejected):
            verify(SMALL[name], data)
