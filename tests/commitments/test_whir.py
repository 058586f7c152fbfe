"""WHIR openings: completeness, every message tampered with, parameters, sizes.

Not tested here: the soundness error itself, which is below what any test can meet; the malicious
provers are in ``test_malicious_whir``, the rounds against their definition in ``test_whir_rounds``.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from brute_force import E, true_claim
from hypothesis import given, settings
from hypothesis import strategies as st
from opening_case import Case

from zkbench.commitments.claims import AxisWeights, Claim, EqAxis, OnesAxis, Sparse
from zkbench.commitments.ligero import Ligero, ligero_from_json
from zkbench.commitments.proximity import Radius, johnson
from zkbench.commitments.schemes import scheme_from_json
from zkbench.commitments.whir import Whir, whir_from_json
from zkbench.commitments.whir_schedule import Security, folding_bits, opening_bytes, schedule
from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels.launch import CpuTarget
from zkbench.proof import Message, Proof, ProofRejected
from zkbench.security import Term, total_bits
from zkbench.transcript import ProverTranscript

SMALL = Whir(grinding_bits=2, security_bits=14, log_fold=2, num_rounds=9)
LENGTHS = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 11, 16])
SHAPES = st.dictionaries(
    st.text("xyz", min_size=1, max_size=2),
    st.lists(LENGTHS, max_size=3).map(tuple),
    min_size=1,
    max_size=3,
)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 2**32),
    st.lists(SHAPES, min_size=1, max_size=4),
    st.none() | st.integers(0, 7),
    st.integers(1, 4),
    st.sampled_from([None, 0, 1, 9]),
    st.booleans(),
    st.integers(1, 3),
)
def test_true_claims_verify(seed, shapes, log_rows, log_fold, num_rounds, johnson, log_inv_rate):
    scheme = replace(
        SMALL,
        log_rows=log_rows,
        log_fold=log_fold,
        num_rounds=num_rounds,
        johnson=johnson,
        log_inv_rate=log_inv_rate,
    )
    case = Case.random(seed, shapes, scheme=scheme)
    case.verify(case.prove())


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (2,), (1, 3), (359, 5)])
@pytest.mark.parametrize("log_rows", [None, 0, 3])
def test_odd_shapes_verify(shape, log_rows):
    case = Case.random(1, [{"t": shape}], scheme=replace(SMALL, log_rows=log_rows))
    case.verify(case.prove())


@pytest.mark.parametrize("johnson", [False, True])
def test_standard_parameters_verify(johnson):
    """Several commitments of very different sizes, the largest long enough for a round."""
    scheme = Whir(johnson=johnson)
    sizes = [{"a": (1,)}, {"w": (192, 1024)}, {"c": (40, 33), "d": (64,)}]
    assert len(scheme.schedule(scheme.code(192 << 10).log_rows).rounds) == 1
    rng = np.random.default_rng(2)
    tensors = [
        {name: rng.integers(-99, 99, shape).astype(np.int16) for name, shape in one.items()}
        for one in sizes
    ]
    sums = [
        [
            Claim(name, AxisWeights((OnesAxis(),) * tensor.ndim), E(int(tensor.sum(dtype=int))))
            for name, tensor in one.items()
        ]
        for one in tensors
    ]
    case = Case(tensors, sums, scheme)
    case.verify(case.prove())


def test_proofs_do_not_depend_on_threads():
    case = Case.random(5, [{"a": (40, 30)}, {"b": (77,)}], scheme=replace(SMALL, log_rows=7))
    proofs = set()
    for target in (CpuTarget(1), CpuTarget(2), CpuTarget(3)):
        data = [case.scheme.commit(target, one) for one in case.tensors]
        transcript = ProverTranscript(FIELD)
        for one in data:
            transcript.send_bytes("root", one.commitment.root)
        case.scheme.prove(transcript, target, list(zip(data, case.claims, strict=True)))
        proofs.add(transcript.finish())
    assert len(proofs) == 1
    case.verify(Proof.from_bytes(proofs.pop()))


# So many bits that folding and the column and commitment combinations need work as well.
DEMANDING = Whir(
    log_inv_rate=3, grinding_bits=5, security_bits=120, log_fold=2, num_rounds=2, johnson=True
)
CASES = [
    Case.random(3, [{"a": (15, 6), "b": (16,)}, {"c": (23,)}], scheme=replace(SMALL, log_rows=5)),
    Case.random(3, [{"a": (15, 6)}, {"b": (9, 2)}], scheme=replace(DEMANDING, log_rows=5)),
    Case.random(3, [{"a": (15, 6)}], scheme=replace(SMALL, num_rounds=0)),
]
PROOFS = [case.prove() for case in CASES]
MESSAGES = [(c, i) for c, proof in enumerate(PROOFS) for i in range(len(proof.messages))]


def _rejected(c: int, messages: list[Message], match: str | None = None) -> None:
    with pytest.raises(ProofRejected, match=match):
        CASES[c].verify(Proof(PROOFS[c].header, messages))


def _with(c: int, index: int, payload: bytes) -> list[Message]:
    messages = list(PROOFS[c].messages)
    messages[index] = Message(messages[index].label, payload)
    return messages


def test_the_cases_have_every_message():
    labels = [[message.label for message in proof.messages] for proof in PROOFS]
    common = {"root", "round", "column values", "nonce", "rows", "paths", "final vector"}
    assert set(labels[0]) == common | {"joined values", "oracle"}
    assert set(labels[1]) == common | {"joined values", "oracle", "out-of-domain values"}
    assert set(labels[2]) == common
    assert labels[0].count("oracle") == 2
    for follower in ("column values", "joined values", "round"):
        pairs = list(zip(labels[1][:-1], labels[1][1:], strict=True))
        assert (follower, "nonce") in pairs, "there is no work to tamper with"
    for case, proof in zip(CASES, PROOFS, strict=True):
        case.verify(proof)


@pytest.mark.parametrize(("c", "index"), MESSAGES)
def test_every_changed_byte_is_rejected(c, index):
    payload = PROOFS[c].messages[index].payload
    step = max(1, len(payload) // 12)
    for position in {*range(0, len(payload), step), *range(len(payload))[-1:]}:
        changed = bytearray(payload)
        changed[position] ^= 1 << (position % 8)
        _rejected(c, _with(c, index, bytes(changed)))


@pytest.mark.parametrize(("c", "index"), MESSAGES)
def test_missing_doubled_renamed_and_resized_messages_are_rejected(c, index):
    messages, payload = PROOFS[c].messages, PROOFS[c].messages[index].payload
    _rejected(c, messages[:index] + messages[index + 1 :])
    _rejected(c, messages[:index] + messages[index : index + 1] + messages[index:])
    _rejected(c, messages[:index])
    renamed = [Message(m.label + "x" * (m is messages[index]), m.payload) for m in messages]
    _rejected(c, renamed, "expected message")
    for resized in (payload[:-1], payload[:-8], payload + b"\0", payload + bytes(8)):
        if resized != payload:
            _rejected(c, _with(c, index, resized), "bytes instead of")


@pytest.mark.parametrize("c", range(len(CASES)))
def test_swapped_messages_are_rejected(c):
    count = len(PROOFS[c].messages)
    for i in range(count):
        for j in range(i + 1, min(count, i + 12)):
            messages = list(PROOFS[c].messages)
            if messages[i] == messages[j]:
                continue
            messages[i], messages[j] = messages[j], messages[i]
            _rejected(c, messages)


@pytest.mark.parametrize(("c", "index"), MESSAGES)
def test_numbers_that_are_not_reduced_are_rejected(c, index):
    label, payload = PROOFS[c].messages[index].label, PROOFS[c].messages[index].payload
    if label in {"root", "oracle", "nonce", "paths"}:
        return
    words = np.frombuffer(payload, dtype="<u8").copy()
    words[0] = FIELD.modulus if words[0] >= 2**32 - 1 else int(words[0]) + FIELD.modulus
    _rejected(c, _with(c, index, words.tobytes()), "not a reduced field element")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["round", "oracle", "rows"]), st.binary(max_size=64))))
def test_any_messages_are_rejected(messages):
    _rejected(0, [Message(label, payload) for label, payload in messages])


@pytest.mark.parametrize("c", range(len(CASES)))
def test_false_values_are_rejected(c):
    case = CASES[c]
    for k, claims in enumerate(case.claims):
        for i, claim in enumerate(claims):
            changed = [list(one) for one in case.claims]
            changed[k][i] = replace(claim, value=claim.value + 1)
            false = Case(case.tensors, changed, case.scheme)
            with pytest.raises(ProofRejected):
                false.verify(PROOFS[c])
            with pytest.raises(ProofRejected, match="claims do not hold"):
                false.verify(false.prove())


def test_other_shapes_and_parameters_are_rejected():
    case, proof = CASES[0], PROOFS[0]
    shapes = [{k: v.shape for k, v in one.items()} for one in case.tensors]
    for other in ({"a": (6, 15), "b": (16,)}, {"a": (15, 6), "b": (17,)}):
        with pytest.raises(ProofRejected):
            case.verify(proof, [other, shapes[1]])
    for change in (
        *({"security_bits": 15}, {"security_bits": 12}, {"grinding_bits": 3}, {"johnson": True}),
        *({"log_rows": 4}, {"log_inv_rate": 2}, {"log_fold": 1}, {"num_rounds": 1}),
    ):
        with pytest.raises(ProofRejected):
            case.verify(proof, scheme=replace(case.scheme, **change))


def test_a_commitment_of_another_scheme_is_rejected():
    """Committed under one k, opened under another."""
    other = replace(CASES[0], scheme=replace(CASES[0].scheme, log_rows=3))
    assert other.commit()[0].commitment != CASES[0].commit()[0].commitment
    with pytest.raises(ProofRejected):
        CASES[0].verify(other.prove())


def test_claims_that_fit_no_tensor():
    case = CASES[0]
    for claim, reason in (
        (Claim("q", Sparse((), ()), E(0)), "holds no tensor 'q'"),
        (Claim("a", AxisWeights((EqAxis(()),)), E(0)), "weights of 1 axes"),
    ):
        false = Case(case.tensors, [[claim], []], case.scheme)
        with pytest.raises(ProofRejected, match=reason):
            false.verify(PROOFS[0])
        with pytest.raises(ValueError, match=reason):
            false.prove()


def test_no_claims_verify():
    case = Case([{"t": np.arange(9, dtype=np.int16)}], [[]], SMALL)
    case.verify(case.prove())


def test_field_words_verify():
    words = np.array([0, 1, FIELD.modulus - 1, FIELD.modulus, 2**64 - 1] * 9, dtype=np.uint64)
    case = Case([{"t": words}], [[true_claim("t", words, AxisWeights((OnesAxis(),)))]], SMALL)
    case.verify(case.prove())


def test_scheme_json_round_trip():
    for scheme in (Whir(), SMALL, DEMANDING, replace(SMALL, log_rows=3)):
        data = json.loads(json.dumps(scheme.to_json()))
        assert whir_from_json(data, ValueError) == scheme
        assert scheme_from_json(data, ValueError) == scheme
    assert scheme_from_json(Ligero().to_json(), ValueError) == Ligero()
    good = SMALL.to_json()
    changes = [{"security_bits": 0}, {"security_bits": True}, {"scheme": "ligero"}, {"field": []}]
    changes += [{"field": "x"}, {"log_rows": -1}, {"log_rows": "3"}, {"num_rounds": 31}, {"x": 0}]
    changes += [{"johnson": 1}, {"johnson": None}, {"log_fold": 0}, {"log_fold": None}]
    changes += [{"log_inv_rate": 0}, {"grinding_bits": 64}, {"security_bits": 121}]
    for change in changes:
        for read in (whir_from_json, scheme_from_json):
            with pytest.raises(LookupError):
                read({**good, **change}, LookupError)
    for other in (None, [], {}, {"scheme": "x"}, {"scheme": []}, {"scheme": None}):
        with pytest.raises(LookupError, match="scheme"):
            scheme_from_json(other, LookupError)
    with pytest.raises(LookupError):
        ligero_from_json(good, LookupError)


# The published tables ask for 100 bits a term with 20 bits of work before queries (P 3.4, 3.6).
PUBLISHED = 100 - 20


@pytest.mark.parametrize(
    ("log_inv_rate", "unique", "listed"),
    [(1, 193, 187), (2, 118, 87), (3, 97, 56), (4, 88, 42), (5, 84, 33), (6, 82, 28), (8, 81, 21)],
)
def test_queries_vs_published_table(log_inv_rate, unique, listed):
    assert Radius(log_inv_rate).queries(PUBLISHED) == unique
    assert Radius(log_inv_rate, 10).queries(PUBLISHED) == listed
    assert johnson(log_inv_rate, PUBLISHED).queries(PUBLISHED) == listed


def test_unique_decoding_rounds_vs_published_table():
    run = schedule(Security(FIELD, 100, 20, False), 24, 1, 4)
    rounds = [(one.log_size, one.radius.log_inv_rate, one.queries) for one in run.rounds]
    assert run.queries == 193
    assert rounds == [(24, 2, 118), (20, 4, 88), (16, 6, 82), (12, 8, 81)]
    assert run.log_final == 8
    assert all(one.out_of_domain == one.folding_work == 0 for one in run.rounds)


def test_johnson_rounds_vs_published_table():
    """The table counts the length of one long word where interleaved ones are 16 times shorter."""
    run = schedule(Security(FIELD, 100, 20, True), 24, 1, 4)
    rounds = [(one.log_size, one.radius.log_inv_rate, one.queries) for one in run.rounds]
    assert run.queries == 193
    assert rounds == [(24, 2, 87), (20, 4, 42), (16, 6, 28), (12, 8, 21)]
    for entry, multiplicity, published in zip(
        run.rounds, (10, 8, 5, 4), (18, 17, 15, 15), strict=True
    ):
        radius = Radius(entry.radius.log_inv_rate, multiplicity)
        length = entry.log_size + radius.log_inv_rate
        bits = FIELD.bits - np.log2(radius.bad_challenges(length))
        assert np.ceil(100 - bits) == published
        assert entry.radius.multiplicity <= multiplicity
        assert entry.folding_work <= published
        assert folding_bits(FIELD, entry) + entry.folding_work >= 100
        assert entry.out_of_domain >= 1


@pytest.mark.parametrize("is_johnson", [False, True])
@pytest.mark.parametrize("log_size", [0, 5, 15, 20, 22, 26, 30, 32, 34])
def test_every_term_has_the_bits_asked_for(is_johnson, log_size):
    scheme = Whir(johnson=is_johnson)
    one = dict(scheme.soundness_terms(1 << log_size, 50))
    assert min(one.values()) >= scheme.security_bits
    sizes = {"weights": (1 << log_size, 50), "witness": (3 << 12, 50), "pushed": (1 << 17, 4)}
    terms = scheme.opening_terms(sizes)
    assert len({name for name, _ in terms}) == len(terms)
    assert min(bits for _, bits in terms) >= scheme.security_bits
    assert total_bits(Term(*term) for term in terms) >= 100.5


@pytest.mark.parametrize(("is_johnson", "most"), [(False, 700_000), (True, 550_000)])
def test_a_proof_for_2_to_the_32_values_is_small(is_johnson, most):
    scheme = Whir(johnson=is_johnson)
    code = scheme.code(1 << 32)
    assert code.log_rows <= 25
    assert scheme._opening_bytes(1 << 32, code.log_rows) <= most


@pytest.mark.parametrize("is_johnson", [False, True])
def test_the_estimated_size_is_near_the_real_one(is_johnson):
    scheme = Whir(johnson=is_johnson, grinding_bits=0, num_rounds=2, log_fold=3, security_bits=60)
    tensor = np.arange(1 << 14, dtype=np.int16)
    claim = Claim("t", AxisWeights((OnesAxis(),)), E(int(tensor.sum(dtype=np.int64))))
    size = len(Case([{"t": tensor}], [[claim]], scheme).prove().to_bytes())
    estimate = scheme._opening_bytes(1 << 14, scheme.code(1 << 14).log_rows)
    assert 0.8 < size / estimate < 1.05
    assert opening_bytes(10, 0, 8) == 8
