"""Every message of a real proof, changed in every way: each change is rejected, with a reason."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inference_case import Case

from zkbench.fields import GOLDILOCKS
from zkbench.inference import verify_inference
from zkbench.proof import MAGIC, Message, Proof, ProofRejected, canonical_json
from zkbench.statement import Statement

WORD = 8
MOST_POSITIONS = 6  # of a message; longer ones are sampled
NOT_ELEMENTS = {"witness", "pushed", "nonce", "paths"}


@pytest.fixture(scope="module")
def case() -> Case:
    """Two hidden stacks, one of two layers; batch and widths are no powers of two."""
    return Case.random(1)


@pytest.fixture(scope="module")
def messages(case) -> list[Message]:
    return Proof.from_bytes(case.proof).messages


def _rejected(case: Case, proof: bytes, what: object) -> str:
    try:
        case.verify(proof)
    except ProofRejected as rejection:
        reason = str(rejection)
        assert reason, what
        assert "\n" not in reason, what
        return reason
    raise AssertionError(f"accepted: {what}")


def _with(case: Case, messages: list[Message]) -> bytes:
    return Proof(Proof.from_bytes(case.proof).header, messages).to_bytes()


def _replaced(messages: list[Message], k: int, *new: Message) -> list[Message]:
    return [*messages[:k], *new, *messages[k + 1 :]]


def _positions(rng: np.random.Generator, payload: bytes) -> list[int]:
    """Words of a message: all of a short one, the first, the last and a few of a long one."""
    words = len(payload) // WORD
    if words <= MOST_POSITIONS:
        return list(range(words))
    return [0, words - 1, *rng.integers(1, words - 1, MOST_POSITIONS - 2).tolist()]


def _flipped(payload: bytes, word: int, bit: int) -> bytes:
    changed = bytearray(payload)
    changed[WORD * word + bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


def _bit_flips(messages: list[Message]) -> Iterator[tuple[object, list[Message]]]:
    rng = np.random.default_rng(0)
    for k, message in enumerate(messages):
        for word in _positions(rng, message.payload):
            bit = int(rng.integers(0, 64))
            changed = Message(message.label, _flipped(message.payload, word, bit))
            yield (k, message.label, word, bit), _replaced(messages, k, changed)


@pytest.mark.parametrize("part", range(4))
def test_a_flipped_bit(case, messages, part):
    """In every element of every message, or in some of a long one."""
    for number, (what, changed) in enumerate(_bit_flips(messages)):
        if number % 4 == part:
            _rejected(case, _with(case, changed), what)


def _dropped(messages, k):
    return _replaced(messages, k)


def _doubled(messages, k):
    return _replaced(messages, k, messages[k], messages[k])


def _swapped(messages, k):
    if k + 1 == len(messages) or messages[k] == messages[k + 1]:
        return None
    return [*messages[:k], messages[k + 1], messages[k], *messages[k + 2 :]]


def _resized(change: Callable[[bytes], bytes]):
    def resize(messages, k):
        label, payload = messages[k].label, messages[k].payload
        changed = Message(label, change(payload))
        return None if changed == messages[k] else _replaced(messages, k, changed)

    return resize


def _one_byte(messages, k):
    change = (lambda payload: payload[:-1]) if k % 2 else (lambda payload: payload + b"\0")
    return _resized(change)(messages, k)


def _relabelled(messages, k):
    return _replaced(messages, k, Message(messages[k].label + "s", messages[k].payload))


STRUCTURAL = {
    "dropped": _dropped,
    "doubled": _doubled,
    "swapped with the next": _swapped,
    "truncated by an element": _resized(lambda payload: payload[: -2 * WORD]),
    "truncated or extended by a byte": _one_byte,
    "extended by an element": _resized(lambda payload: payload + bytes(2 * WORD)),
    "relabelled": _relabelled,
}


@pytest.mark.parametrize("change", STRUCTURAL)
def test_another_structure(case, messages, change):
    for k, message in enumerate(messages):
        changed = STRUCTURAL[change](messages, k)
        if changed is not None:
            _rejected(case, _with(case, changed), (k, message.label))


def test_the_end_and_the_start_exchanged(case, messages):
    for k in range(1, len(messages), 29):
        _rejected(case, _with(case, messages[k:] + messages[:k]), k)
    _rejected(case, _with(case, messages[::-1]), "reversed")
    _rejected(case, _with(case, [*messages, *messages]), "twice")
    _rejected(case, _with(case, []), "no message")


def test_elements_that_are_not_reduced(case, messages):
    """Zero written as p, or the largest word: in the first or the last word of every message."""
    seen = set()
    for k, message in enumerate(messages):
        if message.label in NOT_ELEMENTS or not message.payload:
            continue
        seen.add(message.label)
        big, start = (GOLDILOCKS.modulus, 0) if k % 2 else (2**64 - 1, len(message.payload) - WORD)
        payload = bytearray(message.payload)
        payload[start : start + WORD] = big.to_bytes(WORD, "little")
        changed = _replaced(messages, k, Message(message.label, bytes(payload)))
        reason = _rejected(case, _with(case, changed), (k, message.label))
        assert "not a reduced field element" in reason
    assert seen >= {"top", "round", "children", "factors", "rows", "combined column"}


def test_small_words_plus_p(case, messages):
    """The same element, written again: a value below 2^32 - 1 has two 64-bit representations."""
    found = 0
    for k, message in enumerate(messages):
        if message.label in NOT_ELEMENTS:
            continue
        words = np.frombuffer(message.payload, "<u8").copy()
        for word in np.flatnonzero(words < 2**32 - 1)[:1]:
            words[word] += np.uint64(GOLDILOCKS.modulus)
            changed = _replaced(messages, k, Message(message.label, words.tobytes()))
            _rejected(case, _with(case, changed), (k, message.label))
            found += 1
    assert found


def test_messages_of_another_proof(case, messages):
    """One message at a time from a proof of the same model about other inputs."""
    other = case.inputs // 2
    twin = Case.of(case.committed.model, other)
    others = Proof.from_bytes(twin.proof).messages
    for k, (message, stranger) in enumerate(zip(messages, others, strict=False)):
        if message != stranger:
            changed = _replaced(messages, k, stranger)
            _rejected(case, _with(case, changed), (k, message.label))


# The header.


def _header_edits(header: dict) -> dict[str, Callable[[dict], object]]:
    protocol = header["protocol"]

    def set_in(key, value):
        return lambda h: h["protocol"].__setitem__(key, value)

    def without(key):
        return lambda h: h["protocol"].pop(key)

    return {f"without {key}": without(key) for key in protocol} | {
        "another protocol": set_in("protocol", "mlp-training"),
        "another version": set_in("version", 2),
        "another field": set_in("field", "babybear"),
        "another shift": set_in("shift", 11),
        "another batch": set_in("batch", 4),
        "another width": lambda h: h["protocol"]["dims"].__setitem__(1, 7),
        "another depth": lambda h: h["protocol"]["dims"].pop(),
        "fewer queries": lambda h: h["protocol"]["commitment"].__setitem__("queries", 1),
        "zero knowledge": set_in("zero_knowledge", True),
        # Python calls these equal to what stands there; they are other files.
        "zero knowledge 0": set_in("zero_knowledge", 0),
        "version true": set_in("version", True),
        "batch as a float": set_in("batch", 3.0),
        "another statement": lambda h: h.__setitem__("statement", "0" * 64),
        "no statement": lambda h: h.pop("statement"),
        "one key more": lambda h: h.__setitem__("note", "trust me"),
        "protocol is a list": lambda h: h.__setitem__("protocol", []),
        "empty": lambda h: h.clear(),
    }


def test_another_header(case):
    original = Proof.from_bytes(case.proof)
    for name, edit in _header_edits(original.header).items():
        header = copy.deepcopy(original.header)
        edit(header)
        reason = _rejected(case, Proof(header, original.messages).to_bytes(), name)
        assert "other parameters" in reason or "another statement" in reason, name


def test_a_header_in_another_encoding(case):
    original = Proof.from_bytes(case.proof)
    canonical = canonical_json(original.header)
    texts = [
        json.dumps(original.header).encode(),
        canonical + b" ",
        canonical.replace(b"mlp", b"\\u006dlp"),
        canonical.decode().encode("utf-16"),
        canonical[:-1] + b',"batch":NaN}',
        canonical[:-1] + b',"statement":"0"}',
        b"[" * 100_000,
        b"null",
        b"1" * 10_000,
        b"",
    ]
    for text in texts:
        data = MAGIC + b"\1\0" + len(text).to_bytes(4, "little") + text
        tail = case.proof[len(MAGIC) + 6 + len(canonical) :]
        assert "header" in _rejected(case, data + tail, text[:50])


def test_another_format_version(case):
    version = len(MAGIC)
    changed = case.proof[:version] + b"\2" + case.proof[version + 1 :]
    assert "format 2 is not supported" in _rejected(case, changed, "version")


# The file.


def test_every_kind_of_truncation(case):
    rng = np.random.default_rng(2)
    sizes = [*range(0, 400, 7), *rng.integers(0, len(case.proof), 60), len(case.proof) - 1]
    for size in sizes:
        _rejected(case, case.proof[: int(size)], size)


def test_bytes_after_the_end(case):
    for tail in (b"\0", b"\n", b"\5extra\0\0\0\0", case.proof, bytes(1000)):
        _rejected(case, case.proof + tail, tail[:10])


hypothesis_settings = settings(
    max_examples=150, suppress_health_check=list(HealthCheck), deadline=None
)


@hypothesis_settings
@given(data=st.binary(max_size=400), prefix=st.integers(0, 3))
def test_random_bytes(case, data, prefix):
    start = (b"", MAGIC, MAGIC + b"\1\0", case.proof[:500])[prefix]
    _rejected(case, start + data, (prefix, data))


@hypothesis_settings
@given(st.data())
def test_random_edits(case, data):
    """Some pieces of the file deleted, overwritten or inserted, anywhere."""
    changed = case.proof
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed)))
        removed = data.draw(st.sampled_from([0, 0, 1, 2, 8, 16, 1000]))
        changed = changed[:at] + data.draw(st.binary(max_size=24)) + changed[at + removed :]
    if changed != case.proof:
        _rejected(case, changed, "edited")


# The statement beside the proof.


def test_another_statement(case):
    """Each number of the statement, changed: not one is left out of what is bound."""
    truth = case.statement
    for index in np.ndindex(truth.inputs.shape):
        inputs = truth.inputs.copy()
        inputs[index] ^= 1
        changed = replace(truth, inputs=inputs)
        with pytest.raises(ProofRejected, match="of another statement"):
            case.verify(statement=changed)
    for row in range(len(truth.labels)):
        labels = truth.labels.copy()
        labels[row] = (labels[row] + 1) % 3
        with pytest.raises(ProofRejected, match="of another statement"):
            case.verify(statement=replace(truth, labels=labels))


def test_a_statement_of_another_size(case):
    truth = case.statement
    fewer = Statement(truth.model, truth.inputs[:2], truth.labels[:2])
    with pytest.raises(ProofRejected, match="other parameters"):
        case.verify(statement=fewer)
    wider = Statement(truth.model, np.pad(truth.inputs, ((0, 0), (0, 1))), truth.labels)
    with pytest.raises(ProofRejected, match="do not fit the model"):
        case.verify(statement=wider)


def test_another_model(case):
    other = Case.random(2)
    with pytest.raises(ProofRejected, match="about another model"):
        case.verify(statement=other.statement)
    renamed = replace(case.statement, model=other.committed.public.digest)
    with pytest.raises(ProofRejected, match="of another statement"):
        verify_inference(case.proof, renamed, other.committed.public, case.minimum_bits)
