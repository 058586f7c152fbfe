"""The proof file: one encoding of everything, and a rejection of everything else."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkbench.proof import MAGIC, VERSION, Message, Proof, ProofRejected, canonical_json

ascii_text = st.text(st.characters(max_codepoint=127), max_size=255)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3)
    ),
    max_leaves=8,
)
headers = st.dictionaries(st.text(), json_values, max_size=4)
messages = st.lists(st.builds(Message, ascii_text, st.binary(max_size=40)), max_size=5)


def encode(
    header: bytes = b"{}", rest: bytes = b"", magic: bytes = MAGIC, version: int = VERSION
) -> bytes:
    """A file with these parts, well-formed or not."""
    return magic + struct.pack("<HI", version, len(header)) + header + rest


def rejection(data: bytes) -> str:
    with pytest.raises(ProofRejected) as raised:
        Proof.from_bytes(data)
    return str(raised.value)


@given(headers, messages)
def test_files_round_trip(header: dict, sent: list[Message]) -> None:
    proof = Proof(header, sent)
    assert Proof.from_bytes(proof.to_bytes()) == proof


@given(st.binary(max_size=200))
def test_random_bytes_are_rejected(data: bytes) -> None:
    assert rejection(data) in {"the proof file is truncated", "not a zkbench proof file"}


@given(headers, messages, st.data())
def test_whatever_is_accepted_is_written_the_same(
    header: dict, sent: list[Message], data: st.DataObject
) -> None:
    """There is one encoding: a changed file is rejected, or another proof."""
    honest = Proof(header, sent).to_bytes()
    start = data.draw(st.integers(0, len(honest)))
    end = data.draw(st.integers(start, len(honest)))
    changed = honest[:start] + data.draw(st.binary(max_size=20)) + honest[end:]
    try:
        assert Proof.from_bytes(changed).to_bytes() == changed
    except ProofRejected:
        assert changed != honest


@given(headers, messages, st.data())
def test_truncated_files_are_rejected_or_end_between_messages(
    header: dict, sent: list[Message], data: st.DataObject
) -> None:
    honest = Proof(header, sent).to_bytes()
    ends = [len(Proof(header, sent[:k]).to_bytes()) for k in range(len(sent) + 1)]
    end = data.draw(st.integers(0, len(honest) - 1))
    if end in ends:
        assert Proof.from_bytes(honest[:end]).messages == sent[: ends.index(end)]
    else:
        assert rejection(honest[:end]) == "the proof file is truncated"


def test_another_format_version_is_named() -> None:
    assert rejection(encode(version=VERSION + 1)) == (
        f"proof format {VERSION + 1} is not supported (this verifier reads {VERSION})"
    )


@pytest.mark.parametrize("magic", [b"zkbench proog\n", b"ZKBENCH PROOF\n", b"\0" * len(MAGIC)])
def test_another_kind_of_file(magic: bytes) -> None:
    assert rejection(encode(magic=magic)) == "not a zkbench proof file"


NOT_CANONICAL = {
    "not JSON": b"{",
    "empty": b"",
    "a list": b"[]",
    "a number": b"1",
    "a space": b'{"a": 1}',
    "a trailing newline": b"{}\n",
    "keys out of order": b'{"b":1,"a":2}',
    "a key twice": b'{"a":1,"a":1}',
    "not ASCII": '{"a":"é"}'.encode(),
    "not UTF-8": b'{"a":"\xff"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "NaN": b'{"a":NaN}',
    "infinity": b'{"a":1e999}',
    "a number in another form": b'{"a":1.50}',
    "a huge integer": b'{"a":' + b"9" * 5000 + b"}",
    "deep nesting": b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
}


@pytest.mark.parametrize("header", NOT_CANONICAL.values(), ids=NOT_CANONICAL)
def test_a_header_that_is_not_canonical(header: bytes) -> None:
    assert rejection(encode(header)) == "the proof header is not canonical JSON"


def test_a_label_that_is_not_ascii() -> None:
    assert rejection(encode(rest=b"\x01\xff" + bytes(4))) == "a message label is not ASCII"


TRUNCATED = {
    "inside the header": encode(b"{}")[:-1],
    "inside a label": encode(rest=b"\x05abc"),
    "inside a length": encode(rest=b"\x01a\0\0"),
    "inside a payload": encode(rest=b"\x01a\x04\0\0\0abc"),
    "a payload of 4 GiB": encode(rest=b"\x01a\xff\xff\xff\xff"),
    "a header of 4 GiB": MAGIC + struct.pack("<HI", VERSION, 2**32 - 1) + b"{}",
}


@pytest.mark.parametrize("data", TRUNCATED.values(), ids=TRUNCATED)
def test_a_truncated_file(data: bytes) -> None:
    assert rejection(data) == "the proof file is truncated"


@given(json_values)
def test_canonical_json_round_trips(value: object) -> None:
    encoded = canonical_json(value)
    assert json.loads(encoded) == value
    assert canonical_json(json.loads(encoded)) == encoded


def test_canonical_json_sorts_and_refuses_nan() -> None:
    assert canonical_json({"b": [1, None], "a": "é"}) == b'{"a":"\\u00e9","b":[1,null]}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))
