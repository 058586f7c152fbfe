"""The proof file: a versioned header and a sequence of labelled messages, in one canonical encoding.

    b"zkbench proof\\n" | version u16 | header length u32 | header (canonical JSON) | messages
    message = label length u8 | label | payload length u32 | payload

Integers are little-endian. There is one encoding of everything, so two different files never carry
the same proof, and a reader that meets anything else rejects.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import Any

MAGIC = b"zkbench proof\n"
VERSION = 1
_HEADER = struct.Struct("<HI")
_LENGTH = struct.Struct("<I")


class ProofRejected(Exception):
    """The proof does not convince; the message says which check failed."""


def canonical_json(value: Any) -> bytes:
    """The one JSON encoding that is hashed: sorted keys, no spaces, ASCII, no NaN."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


@dataclass
class Message:
    """One thing that the prover said."""

    label: str
    payload: bytes


@dataclass
class Proof:
    """What the prover says, in order, under a header that says which protocol is spoken."""

    header: dict[str, Any] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)

    def to_bytes(self) -> bytes:
        header = canonical_json(self.header)
        parts = [MAGIC, _HEADER.pack(VERSION, len(header)), header]
        for message in self.messages:
            label = message.label.encode("ascii")
            parts += [
                bytes([len(label)]),
                label,
                _LENGTH.pack(len(message.payload)),
                message.payload,
            ]
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> Proof:
        """Parse a proof file; raises ProofRejected for what ``to_bytes`` cannot have written."""
        reader = _Reader(data)
        if data[: len(MAGIC)] != MAGIC[: len(data)]:
            raise ProofRejected("not a zkbench proof file")
        reader.take(len(MAGIC))
        version, length = _HEADER.unpack(reader.take(_HEADER.size))
        if version != VERSION:
            raise ProofRejected(
                f"proof format {version} is not supported (this verifier reads {VERSION})"
            )
        proof = cls(_parse_header(reader.take(length)))
        while not reader.at_end:
            label = reader.take(reader.take(1)[0])
            if not label.isascii():
                raise ProofRejected("a message label is not ASCII")
            (size,) = _LENGTH.unpack(reader.take(_LENGTH.size))
            proof.messages.append(Message(label.decode("ascii"), reader.take(size)))
        return proof


def _parse_header(encoded: bytes) -> dict[str, Any]:
    try:
        header = json.loads(encoded)
        if isinstance(header, dict) and canonical_json(header) == encoded:
            return header
    except (ValueError, RecursionError):
        pass
    raise ProofRejected("the proof header is not canonical JSON")


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._position = data, 0

    @property
    def at_end(self) -> bool:
        return self._position == len(self._data)

    def take(self, size: int) -> bytes:
        end = self._position + size
        if end > len(self._data):
            raise ProofRejected("the proof file is truncated")
        piece = self._data[self._position : end]
        self._position = end
        return piece
