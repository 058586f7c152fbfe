"""Commit, open, verify: completeness, every message tampered with, parameters and sizes.

Not tested here: the soundness error itself, which is below what any test can meet.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from brute_force import E, true_claim
from hypothesis import given, settings
from hypothesis import strategies as st
from opening_case import SMALL, Case

from zkbench.commitments.claims import AxisWeights, Claim, OnesAxis, Sparse
from zkbench.commitments.interleaved import Commitment
from zkbench.commitments.ligero import Ligero, ligero_from_json
from zkbench.commitments.reduction import check_commitment
from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels.launch import CpuTarget, cpu_target
from zkbench.proof import Message, Proof, ProofRejected

MODULUS = FIELD.modulus
LENGTHS = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 11, 16])
SHAPES = st.dictionaries(
    st.text("xyz", min_size=1, max_size=2),
    st.lists(LENGTHS, max_size=3).map(tuple),
    min_size=1,
    max_size=3,
)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32), st.lists(SHAPES, min_size=1, max_size=2), st.none() | st.integers(0, 6)
)
def test_true_claims_verify(seed, shapes, log_rows):
    case = Case.random(seed, shapes, scheme=replace(SMALL, log_rows=log_rows))
    case.verify(case.prove())


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (2,), (1, 3), (359, 5)])
@pytest.mark.parametrize("log_rows", [None, 0, 3])
def test_odd_shapes_verify(shape, log_rows):
    case = Case.random(1, [{"t": shape}], scheme=replace(SMALL, log_rows=log_rows))
    case.verify(case.prove())


def test_standard_parameters_verify():
    case = Case.random(2, [{"a": (40, 33), "b": (64,)}], scheme=Ligero())
    case.verify(case.prove())


def test_field_words_with_several_representatives():
    words = np.array([0, 1, MODULUS - 1, MODULUS, MODULUS + 5, 2**64 - 1], dtype=np.uint64)
    claim = true_claim("t", words, AxisWeights((OnesAxis(),)))
    case = Case([{"t": words}], [[claim]])
    case.verify(case.prove())


def test_commitments_do_not_depend_on_integer_type_or_threads():
    rng = np.random.default_rng(1)
    values = rng.integers(-(2**15), 2**15, 1000)
    roots = {
        SMALL.commit(CpuTarget(threads), {"t": values.astype(dtype)}).commitment.root
        for threads in (1, 2, 3)
        for dtype in (np.int16, np.int32, np.int64)
    }
    words = np.array([int(v) % MODULUS for v in values], dtype=np.uint64)
    roots.add(SMALL.commit(cpu_target(), {"t": words}).commitment.root)
    assert len(roots) == 1


CASE = Case.random(
    3, [{"a": (15, 6), "b": (16,)}, {"c": (133,)}], scheme=replace(SMALL, log_rows=5)
)
PROOF = CASE.prove()
LABELS = [message.label for message in PROOF.messages]


def _rejected(messages: list[Message], match: str | None = None) -> None:
    with pytest.raises(ProofRejected, match=match):
        CASE.verify(Proof(PROOF.header, messages))


def _with(index: int, payload: bytes) -> list[Message]:
    messages = list(PROOF.messages)
    messages[index] = Message(messages[index].label, payload)
    return messages


def test_the_case_has_every_message():
    assert set(LABELS) == {
        *("root", "round", "column values", "combined column", "nonce", "rows", "paths")
    }
    CASE.verify(PROOF)


@pytest.mark.parametrize("index", range(len(LABELS)))
def test_every_changed_byte_is_rejected(index):
    payload = PROOF.messages[index].payload
    assert payload, "a message without content cannot be tampered with"
    step = max(1, len(payload) // 24)
    for position in {*range(0, len(payload), step), len(payload) - 1}:
        changed = bytearray(payload)
        changed[position] ^= 1 << (position % 8)
        _rejected(_with(index, bytes(changed)))


@pytest.mark.parametrize("index", range(len(LABELS)))
def test_missing_doubled_renamed_and_resized_messages_are_rejected(index):
    messages, payload = PROOF.messages, PROOF.messages[index].payload
    _rejected(messages[:index] + messages[index + 1 :])
    _rejected(messages[:index] + messages[index : index + 1] + messages[index:])
    _rejected(messages[:index])
    renamed = [Message(m.label + "x" * (m is messages[index]), m.payload) for m in messages]
    _rejected(renamed, "expected message")
    for resized in (b"", payload[:-1], payload[:-8], payload + b"\0", payload + bytes(8)):
        _rejected(_with(index, resized), "bytes instead of")


def test_swapped_messages_are_rejected():
    for i in range(len(LABELS) - 1):
        for j in range(i + 1, len(LABELS)):
            messages = list(PROOF.messages)
            if messages[i] == messages[j]:
                continue
            messages[i], messages[j] = messages[j], messages[i]
            _rejected(messages)


def test_numbers_that_are_not_reduced_are_rejected():
    field_labels = {"round", "column values", "combined column", "rows"}
    tried = 0
    for index, message in enumerate(PROOF.messages):
        if message.label not in field_labels:
            continue
        words = np.frombuffer(message.payload, dtype="<u8").copy()
        words[0] = MODULUS if words[0] >= 2**32 - 1 else int(words[0]) + MODULUS
        _rejected(_with(index, words.tobytes()), "not a reduced field element")
        tried += 1
    assert tried > len(field_labels)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(LABELS), st.binary(max_size=64)), max_size=12))
def test_any_messages_are_rejected(messages):
    _rejected([Message(label, payload) for label, payload in messages])


def test_false_values_are_rejected():
    for k, claims in enumerate(CASE.claims):
        for i, claim in enumerate(claims):
            changed = [list(c) for c in CASE.claims]
            changed[k][i] = replace(claim, value=claim.value + 1)
            false = Case(CASE.tensors, changed, CASE.scheme)
            with pytest.raises(ProofRejected):
                false.verify(PROOF)
            with pytest.raises(ProofRejected, match="claims do not hold"):
                false.verify(false.prove())


def test_claims_swapped_between_tensors_are_rejected():
    tensors = {"a": np.arange(8, dtype=np.int16), "b": np.arange(8, 16, dtype=np.int16)}
    ones = AxisWeights((OnesAxis(),))
    claims = [true_claim(name, tensor, ones) for name, tensor in tensors.items()]
    swapped = [Claim(a.tensor, ones, b.value) for a, b in zip(claims, claims[::-1], strict=True)]
    proof = Case([tensors], [claims]).prove()
    with pytest.raises(ProofRejected):
        Case([tensors], [swapped]).verify(proof)


def test_other_shapes_and_parameters_are_rejected():
    shapes = [{k: v.shape for k, v in one.items()} for one in CASE.tensors]
    for other in (
        {"a": (6, 15), "b": (16,)},
        {"a": (15, 6), "b": (17,)},
        {"a": (15, 6), "x": (16,)},
    ):
        with pytest.raises(ProofRejected):
            CASE.verify(PROOF, [other, shapes[1]])
    for change in ({"queries": 25}, {"queries": 23}, {"log_rows": 4}, {"log_inv_rate": 2}):
        with pytest.raises(ProofRejected):
            CASE.verify(PROOF, scheme=replace(CASE.scheme, **change))


def test_a_commitment_of_other_parameters_is_rejected():
    data = CASE.commit()[0]
    other = replace(SMALL, log_rows=0)
    assert data.commitment.code != other.code(data.commitment.layout.num_values)
    with pytest.raises(ProofRejected, match="other parameters"):
        check_commitment(other.code(90 + 16), data.commitment, [])


def test_claims_that_fit_no_tensor():
    missing = Case(CASE.tensors, [[Claim("q", Sparse((), ()), E(0))], []], CASE.scheme)
    misshapen = Case(
        CASE.tensors, [[Claim("a", AxisWeights((OnesAxis(),)), E(0))], []], CASE.scheme
    )
    for case, reason in ((missing, "holds no tensor 'q'"), (misshapen, "weights of 1 axes")):
        with pytest.raises(ProofRejected, match=reason):
            case.verify(PROOF)
        with pytest.raises(ValueError, match=reason):
            case.prove()


def test_commitment_json_round_trip():
    commitment = CASE.commit()[0].commitment
    data = json.loads(json.dumps(commitment.to_json()))
    assert Commitment.from_json(data, ValueError) == commitment
    changes = [{"root": "00"}, {"root": data["root"].upper()}, {"root": 3}, {"field": "x"}]
    changes += [{"field": []}, {"log_rows": -1}, {"log_rows": 40}, {"log_rows": True}]
    changes += [{"log_inv_rate": 1.0}, {"layout": []}, {"extra": 1}]
    for change in changes:
        with pytest.raises(LookupError):
            Commitment.from_json({**data, **change}, LookupError)
    for key in data:
        with pytest.raises(LookupError):
            Commitment.from_json({k: v for k, v in data.items() if k != key}, LookupError)
    with pytest.raises(LookupError):
        Commitment.from_json(None, LookupError)


def test_scheme_json_round_trip():
    for scheme in (Ligero(), replace(SMALL, log_rows=3)):
        assert ligero_from_json(json.loads(json.dumps(scheme.to_json())), ValueError) == scheme
    good = SMALL.to_json()
    changes = [{"queries": -1}, {"queries": True}, {"scheme": "whir"}, {"field": None}]
    for change in [*changes, {"log_rows": -1}, {"log_rows": "3"}, {"grinding_bits": 64}, {"x": 0}]:
        with pytest.raises(LookupError):
            ligero_from_json({**good, **change}, LookupError)


@pytest.mark.parametrize("log_size", [0, 5, 15, 20, 22, 30])
def test_every_term_has_the_bits_asked_for(log_size):
    terms = dict(Ligero().soundness_terms(1 << log_size, 50))
    assert min(terms.values()) >= 101
    assert terms["queries"] == pytest.approx(20 + Ligero().queries * (2 - math.log2(3)))


def test_log_rows_makes_the_proof_smallest():
    """The rule's k against its neighbours, by real proofs."""
    sizes = {}
    best = Ligero(queries=100, grinding_bits=0).code(5000).log_rows
    for log_rows in (best - 1, best, best + 1):
        scheme = Ligero(queries=100, grinding_bits=0, log_rows=log_rows)
        tensor = np.arange(5000, dtype=np.int16)
        claim = Claim("t", AxisWeights((OnesAxis(),)), E(int(tensor.sum(dtype=np.int64))))
        sizes[log_rows] = len(Case([{"t": tensor}], [[claim]], scheme).prove().to_bytes())
    # The rule estimates the Merkle paths, whose length depends on the indices drawn.
    assert sizes[best] <= 1.01 * min(sizes.values())
