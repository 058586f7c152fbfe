"""tlookup with committed inverses: complete, and no liar gets through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
import pytest

from zkbench.commitments.ligero import Ligero
from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels.launch import cpu_target, target
from zkbench.proof import Message, Proof, ProofRejected
from zkbench.protocols.tlookup_inverses import TLookupInverses
from zkbench.transcript import ProverTranscript, VerifierTranscript

SCHEME = Ligero(FIELD, queries=24, grinding_bits=4)  # small enough for hundreds of runs
PROTOCOL = TLookupInverses(FIELD, (5, 6), 16, 8)
NOT_INVERSE = "a committed inverse is not the inverse"
NOT_IN_TABLE = "a looked-up value is not in its table"


def mle(values: list[int], shape: tuple[int, ...], points: Any) -> Any:
    """The definition: the sum of the entries times eq, axis by axis."""
    table: list[Any] = list(values)
    for length, point in zip(reversed(shape), reversed(points), strict=True):
        rows = [table[start : start + length] for start in range(0, len(table), length)]
        table = [sum((v * eq(point, j) for j, v in enumerate(row)), 0) for row in rows]
    return table[0]


def eq(point: Any, index: int) -> Any:
    value: Any = 1
    for k, w in enumerate(point):
        value = value * (w if index >> k & 1 else 1 - w)
    return value


@dataclass
class Instance:
    """Values without offset, and what is said of them: honest unless a test changes it."""

    protocol: TLookupInverses
    values: np.ndarray
    counts: np.ndarray

    @classmethod
    def random(cls, protocol: TLookupInverses, seed: int = 0) -> Instance:
        entries = np.random.default_rng(seed).integers(0, protocol.size, prod(protocol.shape))
        counts = np.bincount(entries, minlength=protocol.size).astype(np.uint64)
        return cls(protocol, (entries - protocol.offset).astype(np.int16), counts)

    def _bind(self, transcript: Any) -> None:
        transcript.bind("values", self.values.tolist())
        transcript.bind("counts", self.counts.tolist())

    def prove(self, prover: Any = None, lies: Any = None, where: Any = None) -> bytes:
        where = where or cpu_target()
        prover, transcript, committed = prover or self.protocol, ProverTranscript(FIELD), []
        self._bind(transcript)

        def commit(columns: dict[str, Any]) -> None:
            committed.append(SCHEME.commit(where, columns, self.protocol.committed_shapes))
            transcript.send_bytes("root", committed[0].commitment.root)

        relay = Relay(transcript, lies or {})
        values = where.to_device(self.values)
        claims = prover.prove(relay, where, values, self.counts, commit)
        SCHEME.prove(transcript, where, [(committed[0], claims.columns)])
        return transcript.finish()

    def verify(self, proof: bytes) -> None:
        transcript, committed = VerifierTranscript(FIELD, Proof.from_bytes(proof)), []
        self._bind(transcript)

        def receive() -> None:
            root = transcript.receive_bytes("root", 32)
            committed.append(SCHEME.commitment(root, self.protocol.committed_shapes))

        claims = self.protocol.verify(transcript, receive)
        SCHEME.verify(transcript, [(committed[0], claims.columns)])
        transcript.finish()
        self._check(claims.looker, self.values, self.protocol.shape, "values")
        self._check(claims.multiplicities, self.counts, (self.protocol.size,), "counts")

    def _check(self, claim: Any, entries: np.ndarray, shape: tuple[int, ...], name: str) -> None:
        if claim.value != mle(entries.tolist(), shape, claim.point):
            raise ProofRejected(f"the claim on the {name} is false")


class Relay:
    """A prover's transcript that lets a liar change elements before they are sent."""

    def __init__(self, transcript: Any, lies: dict[str, Callable]) -> None:
        self._transcript, self._lies = transcript, lies

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transcript, name)

    def send(self, label: str, elements: list[Any]) -> None:
        lie = self._lies.get(label, lambda elements: elements)
        self._transcript.send(label, lie(elements))


@dataclass(frozen=True)
class Liar(TLookupInverses):
    """Has other inverses or denominators: ``change`` edits them, as lists of elements, in place."""

    of: str = ""
    change: Callable = lambda denominators, inverses: None

    def _invert(self, target, name, shape, values, beta):
        made = super()._invert(target, name, shape, values, beta)
        if name != self.of:
            return made
        lists = [FIELD.unpack(words) for words in (made.denominators, made.words)]
        self.change(*lists)
        return replace(made, denominators=FIELD.pack(lists[0]), words=FIELD.pack(lists[1]))


def liar(of: str, change: Callable) -> Liar:
    return Liar(FIELD, PROTOCOL.shape, PROTOCOL.size, PROTOCOL.offset, of, change)


def rejected(reason: str | None, instance: Instance, proof: bytes) -> None:
    with pytest.raises(ProofRejected, match=reason):
        instance.verify(proof)


SHAPES = [(1,), (2,), (7,), (64,), (1, 1), (3, 5), (1, 9), (9, 1), (4, 8), (2, 3, 5), (3, 1, 2)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("size", "offset"), [(1, 0), (2, 1), (16, 0), (256, 128)])
def test_honest_proofs_are_accepted(shape: tuple[int, ...], size: int, offset: int) -> None:
    instance = Instance.random(TLookupInverses(FIELD, shape, size, offset), size)
    instance.verify(instance.prove())


def test_more_values_than_a_thread_and_a_table_of_sixteen_bits() -> None:
    instance = Instance.random(TLookupInverses(FIELD, (5000,), 1 << 12))
    instance.verify(instance.prove())


@pytest.mark.gpu
def test_a_gpu_makes_the_same_proof() -> None:
    instance = Instance.random(TLookupInverses(FIELD, (300, 70), 1 << 10))
    assert instance.prove(where=target("cuda")) == instance.prove()


def test_the_left_side_of_the_identity_is_sent_as_sums_of_columns() -> None:
    instance = Instance.random(PROTOCOL)
    seen = []
    instance.prove(lies={"sums": lambda sums: seen.append(sums) or sums})
    transcript = ProverTranscript(FIELD)
    instance._bind(transcript)
    beta = transcript.challenge("beta")
    total = sum((m * (beta + j).inverse() for j, m in enumerate(instance.counts.tolist())), 0)
    assert seen == [[FIELD.element(total.c0), FIELD.element(total.c1)]]


def test_the_prover_gives_up_where_an_inverse_is_missing() -> None:
    class Unlucky(ProverTranscript):
        def challenge(self, label: str) -> Any:
            return FIELD.element(-15)

    instance = Instance.random(PROTOCOL)
    with pytest.raises(ZeroDivisionError, match="a denominator of the lookup zero"):
        PROTOCOL.prove(Unlucky(FIELD), cpu_target(), instance.values, instance.counts, print)


INSTANCE = Instance.random(PROTOCOL)
HONEST = INSTANCE.prove()
MESSAGES = Proof.from_bytes(HONEST).messages
EVERY_MESSAGE = pytest.mark.parametrize("k", range(len(MESSAGES)), ids=lambda k: MESSAGES[k].label)


def with_messages(messages: list[Message]) -> bytes:
    return Proof({}, messages).to_bytes()


@EVERY_MESSAGE
def test_a_changed_message_is_rejected(k: int) -> None:
    for position in {0, len(MESSAGES[k].payload) // 2, len(MESSAGES[k].payload) - 1}:
        payload = bytearray(MESSAGES[k].payload)
        payload[position] ^= 1
        changed = [*MESSAGES[:k], Message(MESSAGES[k].label, bytes(payload)), *MESSAGES[k + 1 :]]
        rejected(None, INSTANCE, with_messages(changed))


@EVERY_MESSAGE
def test_a_missing_shortened_or_doubled_message_is_rejected(k: int) -> None:
    before, message, after = MESSAGES[:k], MESSAGES[k], MESSAGES[k + 1 :]
    short = Message(message.label, message.payload[:-8])
    for middle in ([], [short], [message, message], [Message("other", message.payload)]):
        rejected("message", INSTANCE, with_messages([*before, *middle, *after]))


def test_swapped_neighbours_are_rejected() -> None:
    for k, (first, second) in enumerate(pairwise(MESSAGES)):
        if first != second:
            swapped = [*MESSAGES[:k], second, first, *MESSAGES[k + 2 :]]
            rejected(None, INSTANCE, with_messages(swapped))


def test_a_proof_of_other_values_or_counts_is_rejected() -> None:
    values, counts = INSTANCE.values.copy(), INSTANCE.counts.copy()
    values[:2] = values[1::-1]
    counts[:2] += np.uint64(1)
    assert values.tolist() != INSTANCE.values.tolist()
    rejected(None, replace(INSTANCE, values=values), HONEST)
    rejected(None, replace(INSTANCE, counts=counts), HONEST)


# Liars. The first entry of OUTSIDE is no entry of the table; the counts leave it out or forge it.

OUTSIDE = Instance.random(PROTOCOL, 1)
OUTSIDE.values[0] = PROTOCOL.size - PROTOCOL.offset


def test_a_value_outside_the_table_is_rejected() -> None:
    rejected(NOT_IN_TABLE, OUTSIDE, OUTSIDE.prove())


def test_a_value_outside_with_the_inverse_of_an_entry_is_rejected() -> None:
    def change(denominators, inverses):
        inverses[0] = (denominators[0] - 16 + used).inverse()

    used = int(OUTSIDE.counts.argmax())
    instance = replace(OUTSIDE, counts=counts_with(used))
    rejected(NOT_INVERSE, instance, instance.prove(liar("inverses", change)))


def test_a_value_outside_presented_as_an_entry_is_rejected() -> None:
    def change(denominators, inverses):
        denominators[0] = denominators[0] - 16 + used
        inverses[0] = denominators[0].inverse()

    used = int(OUTSIDE.counts.argmax())
    instance = replace(OUTSIDE, counts=counts_with(used))
    rejected("claim on the values is false", instance, instance.prove(liar("inverses", change)))


def counts_with(entry: int) -> np.ndarray:
    """Counts of OUTSIDE as if its first value were this entry."""
    entries = OUTSIDE.values.astype(np.int64) + PROTOCOL.offset
    entries[0] = entry
    return np.bincount(entries, minlength=PROTOCOL.size).astype(np.uint64)


def test_a_value_outside_with_a_table_that_has_it_is_rejected() -> None:
    def change(denominators, inverses):
        denominators[3] = denominators[3] - 3 + 16
        inverses[3] = denominators[3].inverse()

    instance = without_threes()
    rejected("table is another one", instance, instance.prove(liar("table_inverses", change)))


def test_a_value_outside_with_its_inverse_at_an_unused_entry_is_rejected() -> None:
    def change(denominators, inverses):
        inverses[3] = (denominators[3] - 3 + 16).inverse()

    instance = without_threes()
    rejected(NOT_INVERSE, instance, instance.prove(liar("table_inverses", change)))


def without_threes() -> Instance:
    """OUTSIDE without the entry 3, which is counted once instead of the value outside."""
    values = OUTSIDE.values.copy()
    values[values == 3 - PROTOCOL.offset] = -PROTOCOL.offset
    counts = np.bincount(values[1:] + PROTOCOL.offset, minlength=PROTOCOL.size).astype(np.uint64)
    assert counts[3] == 0
    counts[3] = 1
    return Instance(PROTOCOL, values, counts)


@pytest.mark.parametrize("entries", [(0, 1), (2, 2)])
def test_changed_multiplicities_are_rejected(entries: tuple[int, int]) -> None:
    counts = INSTANCE.counts.copy()
    counts[entries[0]] += np.uint64(1)
    counts[entries[1]] -= np.uint64(entries[0] != entries[1])
    instance = replace(INSTANCE, counts=counts)
    rejected(NOT_IN_TABLE, instance, instance.prove())


def test_changed_multiplicities_with_a_sum_to_match_are_rejected() -> None:
    def other_sums(_):
        transcript = ProverTranscript(FIELD)
        instance._bind(transcript)
        beta = transcript.challenge("beta")
        total = sum((m * (beta + j).inverse() for j, m in enumerate(counts.tolist())), 0)
        return [FIELD.element(total.c0), FIELD.element(total.c1)]

    counts = INSTANCE.counts.copy()
    counts[0] += np.uint64(1)
    instance = replace(INSTANCE, counts=counts)
    rejected("the claims do not hold", instance, instance.prove(lies={"sums": other_sums}))


def test_another_sum_is_rejected() -> None:
    proof = INSTANCE.prove(lies={"sums": lambda sums: [sums[0] + 1, sums[1]]})
    rejected(NOT_IN_TABLE, INSTANCE, proof)


def test_multiplicities_other_than_the_bound_ones_are_rejected() -> None:
    def other_value(elements):
        return [elements[0] + 1]

    rejected(NOT_IN_TABLE, INSTANCE, INSTANCE.prove(lies={"multiplicity": other_value}))


@pytest.mark.parametrize("of", ["inverses", "table_inverses"])
@pytest.mark.parametrize("entry", [0, 15])
def test_columns_that_are_not_the_inverses_are_rejected(of: str, entry: int) -> None:
    def change(denominators, inverses):
        inverses[entry] = inverses[entry] + 1

    rejected(NOT_INVERSE, INSTANCE, INSTANCE.prove(liar(of, change)))


def test_inverses_exchanged_between_entries_are_rejected() -> None:
    def change(denominators, inverses):
        inverses[0], inverses[1] = inverses[1], inverses[0]

    assert INSTANCE.values[0] != INSTANCE.values[1]
    rejected(NOT_INVERSE, INSTANCE, INSTANCE.prove(liar("inverses", change)))


@pytest.mark.parametrize("label", ["sums", "columns"])
def test_column_values_that_only_add_up_are_rejected(label: str) -> None:
    """a0 + a1 X stays the same if a1 loses one and a0 gains X."""

    def other_columns(values):
        return [values[0] + FIELD.element(0, 1), values[1] - 1]

    rejected("the claims do not hold", INSTANCE, INSTANCE.prove(lies={label: other_columns}))


def test_soundness_terms() -> None:
    terms = {t.name: t.bits for t in TLookupInverses(FIELD, (1 << 20,), 1 << 16).soundness_terms()}
    assert terms["lookup challenge"] == pytest.approx(128 - np.log2(2**20 + 2**16))
    assert terms["inverses at random points"] == pytest.approx(128 - np.log2(36))
    assert terms["sumchecks"] == pytest.approx(128 - np.log2(3 * 52))
