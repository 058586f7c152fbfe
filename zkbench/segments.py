"""Proofs in segments, of a training run's steps or of a model's layers: how they are cut and joined."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from zkbench.commitments.schemes import Scheme, strengthened
from zkbench.proof import Message, Proof, ProofRejected
from zkbench.protocols.tlookup import SECURITY_BITS
from zkbench.security import Term

_STATE, _SEGMENT = "state", "segment"  # a root that joins two segments, a segment's own proof
_OPENING = "opening"  # what all segments leave to be shown together, if there is anything


@dataclass(frozen=True)
class Cut:
    """``total`` steps or layers in segments of ``length``, the last one with the rest."""

    total: int
    length: int

    @property
    def count(self) -> int:
        return -(-self.total // self.length)

    @property
    def bounds(self) -> list[tuple[int, int]]:
        """(first, number) of each segment's steps or layers."""
        return list(map(self.bounds_of, range(self.count)))

    def bounds_of(self, index: int) -> tuple[int, int]:
        """(first, number) of one segment's steps or layers."""
        first = index * self.length
        return first, min(self.length, self.total - first)

    @property
    def security_bits(self) -> int:
        """Bits of each of a segment's errors, so that those of all segments together leave 100."""
        return SECURITY_BITS + (self.count - 1).bit_length()

    def strengthened(self, scheme: Scheme) -> Scheme:
        """The scheme, as strong as all segments together need it."""
        return strengthened(scheme, self.security_bits - SECURITY_BITS)

    def terms(self, terms_of: Callable[[int], list[Term]]) -> list[Term]:
        """Errors of all segments, from those of one: the segments between first and last are alike."""
        return list(self._terms(terms_of))

    def _terms(self, terms_of: Callable[[int], list[Term]]) -> Iterator[Term]:
        last = self.count - 1
        for index, count in ((0, 1), (1, last - 1), (last, 1 if last else 0)):
            for term in terms_of(index) if count > 0 else []:
                yield term if count == 1 else _each(term, count)


def _each(term: Term, count: int) -> Term:
    """So many of one kind."""
    return Term(f"{term.name}, each of {count} segments", term.bits - math.log2(count))


# The file: segments in their order, each after the root of what it leads to, and what they leave.


def joined(
    header: dict[str, Any],
    states: Sequence[bytes],
    parts: Sequence[bytes],
    opening: bytes | None = None,
) -> bytes:
    """One proof of all segments. states: what each leads to, or each but the last."""
    messages = []
    for index, part in enumerate(parts):
        messages += [Message(_STATE, state) for state in states[index : index + 1]]
        messages.append(Message(_SEGMENT, part))
    messages += [] if opening is None else [Message(_OPENING, opening)]
    return Proof(header, messages).to_bytes()


def claimed_length(outer: Proof) -> int | None:
    """The length of segments that a proof's header claims; raises ProofRejected for what is none."""
    claimed = outer.header.get("protocol")
    length = claimed.get("segment") if isinstance(claimed, dict) else None
    if length is not None and type(length) is not int:
        raise ProofRejected("the proof was made with other parameters")
    return length


def without_opening(outer: Proof) -> tuple[Proof, bytes]:
    """(the same of segments alone, what shows what they leave); raises ProofRejected without it."""
    if not outer.messages or outer.messages[-1].label != _OPENING:
        raise ProofRejected("the proof does not open what its segments leave")
    return Proof(outer.header, outer.messages[:-1]), outer.messages[-1].payload


def split(outer: Proof, num_states: int, num_segments: int) -> tuple[list[bytes], list[bytes]]:
    """(states, parts) that were ``joined``; raises ProofRejected for anything else."""
    states, parts = outer.messages[: 2 * num_states : 2], outer.messages[1 : 2 * num_states : 2]
    parts += outer.messages[2 * num_states :]
    labels = [m.label for m in states] == [_STATE] * num_states
    if not labels or [m.label for m in parts] != [_SEGMENT] * num_segments:
        raise ProofRejected("the proof does not have the statement's segments")
    return [m.payload for m in states], [m.payload for m in parts]
