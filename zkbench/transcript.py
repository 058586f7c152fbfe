"""The Fiat-Shamir transcript: one script of messages and challenges that prover and verifier follow.

Every message is absorbed with its label and length before the next challenge is drawn. The prover
``send``s what the verifier ``receive``s, under the same labels in the same order; a missing, extra,
renamed, resized or non-canonical message rejects.

A protocol's ``verify`` computes with received values only by ``+ - *``, public constants and
challenges, and decides only by ``require_zero``: so the same code can later run over masked values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from blake3 import blake3

from zkbench.fields import Field
from zkbench.proof import Message, Proof, ProofRejected, canonical_json

Element = Any  # an element of the extension E, see zkbench.fields.python_int

_DOMAIN = "zkbench transcript 2026-11 v1"
_STATE_BYTES = 32


class _Sponge:
    """What both sides share: absorb messages, squeeze challenges.

    The state is 32 bytes, the key of one BLAKE3 call a message or challenge: a round of a sumcheck
    is then a few compressions of one block each, which a kernel can do as well.
    """

    def __init__(self, field: Field) -> None:
        self.field = field
        self._state = blake3(b"", derive_key_context=_DOMAIN).digest()

    @staticmethod
    def _frame(kind: bytes, label: str, size: int) -> bytes:
        name = label.encode("ascii")
        return kind + bytes([len(name)]) + name + size.to_bytes(8, "little")

    def _absorb(self, kind: bytes, label: str, data: bytes) -> None:
        self._state = blake3(self._frame(kind, label, len(data)) + data, key=self._state).digest()

    def bind(self, label: str, statement: Any) -> None:
        """Absorb public data (JSON) that both sides know.

        The statement goes in before the first message: a prover who could choose it after seeing
        challenges would pick one that its forged messages happen to satisfy.
        """
        self._absorb(b"S", label, canonical_json(statement))

    def bind_bytes(self, label: str, data: bytes) -> None:
        """Absorb public bytes that both sides know."""
        self._absorb(b"B", label, data)

    def _squeeze(self, label: str, size: int) -> bytes:
        """``size`` bytes that depend on everything absorbed so far; the state moves on."""
        hasher = blake3(self._frame(b"C", label, size), key=self._state)
        output = hasher.digest(length=_STATE_BYTES + size)
        self._state = output[:_STATE_BYTES]
        return output[_STATE_BYTES:]

    def challenges(self, label: str, count: int) -> list[Element]:
        """``count`` uniform elements of E, each coefficient from 128 more bits than the modulus has.

        The bias is below 2^-128.
        """
        field = self.field
        width = field.base_bytes + 16
        data = self._squeeze(label, count * self._challenge_bytes())
        words = [
            int.from_bytes(data[start : start + width], "little")
            for start in range(0, len(data), width)
        ]
        step = field.degree
        return [field.element(*words[i : i + step]) for i in range(0, len(words), step)]

    def _challenge_bytes(self) -> int:
        return self.field.degree * (self.field.base_bytes + 16)

    def challenge(self, label: str) -> Element:
        return self.challenges(label, 1)[0]

    def indices(self, label: str, count: int, log_bound: int) -> list[int]:
        """``count`` uniform indices below 2^log_bound, with repetitions."""
        data = self._squeeze(label, 8 * count)
        mask = (1 << log_bound) - 1
        return [int.from_bytes(data[i : i + 8], "little") & mask for i in range(0, len(data), 8)]

    def grinding_seed(self, label: str) -> bytes:
        """32 bytes that a proof of work must start from."""
        return self._squeeze(label, 32)


class ProverTranscript(_Sponge):
    """Absorbs what the prover sends and writes it into the proof."""

    def __init__(self, field: Field, header: dict[str, Any] | None = None) -> None:
        super().__init__(field)
        self._proof = Proof(header or {})
        self.bind("header", self._proof.header)

    def send_bytes(self, label: str, data: bytes) -> None:
        self._absorb(b"M", label, data)
        self._proof.messages.append(Message(label, data))

    def send(self, label: str, elements: Sequence[Element]) -> None:
        """Send elements of E."""
        self.send_bytes(label, self.field.encode(elements))

    def send_words(self, label: str, words: np.ndarray) -> None:
        """Send a flat uint64 array of canonical words."""
        self.send_bytes(label, words.astype("<u8").tobytes())

    def state_words(self) -> np.ndarray:
        """A copy of the state, for a kernel that runs rounds ahead (kernels/tail.py)."""
        return np.frombuffer(bytearray(self._state), dtype="<u8").astype(np.uint64)

    def round_frames(self, label: str, elements: int) -> np.ndarray:
        """The frames of a message of E elements and of a challenge, in two words each."""
        size = elements * self.field.degree * self.field.base_bytes
        message = self._frame(b"M", label, size)
        challenge = self._frame(b"C", label, self._challenge_bytes())
        frames = message.ljust(16, b"\0") + challenge.ljust(16, b"\0")
        return np.frombuffer(frames, dtype="<u8").astype(np.uint64)

    def finish(self) -> bytes:
        """The proof file."""
        return self._proof.to_bytes()


class VerifierTranscript(_Sponge):
    """Reads a proof in step with the prover's script."""

    def __init__(self, field: Field, proof: Proof) -> None:
        super().__init__(field)
        self._messages = iter(proof.messages)
        self.bind("header", proof.header)

    def receive_bytes(self, label: str, size: int) -> bytes:
        message = next(self._messages, None)
        if message is None:
            raise ProofRejected(f"the proof ends before message {label!r}")
        if message.label != label:
            raise ProofRejected(f"expected message {label!r}, found {message.label!r}")
        if len(message.payload) != size:
            raise ProofRejected(
                f"message {label!r} has {len(message.payload)} bytes instead of {size}"
            )
        self._absorb(b"M", label, message.payload)
        return message.payload

    def receive_words(self, label: str, count: int) -> np.ndarray:
        """A flat array of ``count`` canonical words (uint64)."""
        words = np.frombuffer(self.receive_bytes(label, 8 * count), dtype="<u8").astype(np.uint64)
        if words.size and int(words.max()) >= self.field.modulus:
            raise ProofRejected(
                f"message {label!r} holds a number that is not a reduced field element"
            )
        return words

    def receive(self, label: str, count: int) -> list[Element]:
        """``count`` elements of E."""
        return self.field.unpack(self.receive_words(label, count * self.field.degree))

    def require_zero(self, expression: Element, reason: str) -> None:
        """The only decision of a verifier: reject unless the expression is zero."""
        if expression != 0:
            raise ProofRejected(reason)

    def finish(self) -> None:
        """Reject what is left over."""
        extra = next(self._messages, None)
        if extra is not None:
            raise ProofRejected(f"unexpected message {extra.label!r} after the end of the proof")
