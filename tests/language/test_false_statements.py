"""An honest proof shows its own statement and no other, and only as it is."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from language_inference_case import LanguageCase, commit_tiny

from zkbench.binding import bind
from zkbench.errors import UnusableInput
from zkbench.fields import GOLDILOCKS
from zkbench.language_statement import LanguageCommitment, LanguageStatement, TokenizerReference
from zkbench.proof import Message, Proof, ProofRejected
from zkbench.transcript import ProverTranscript


def _changed(array: np.ndarray, place: int, value: int) -> np.ndarray:
    array = array.copy()
    array[place] = value
    return array


def _false_statements(truth: LanguageStatement) -> dict[str, LanguageStatement]:
    first, last = truth.tokens[0], truth.chosen[-1]
    return {
        "another prompt": replace(truth, tokens=_changed(truth.tokens, 0, (first + 1) % 256)),
        "a shorter prompt": replace(truth, tokens=truth.tokens[:-1], positions=np.array([3, 9])),
        "its padding as tokens": replace(truth, tokens=np.append(truth.tokens, 0)),
        "another token": replace(truth, chosen=_changed(truth.chosen, -1, (last + 1) % 256)),
        "another position": replace(truth, positions=_changed(truth.positions, 0, 4)),
        "one position less": replace(truth, positions=truth.positions[1:], chosen=truth.chosen[1:]),
    }


NAMES = [
    *("another prompt", "a shorter prompt", "its padding as tokens"),
    *("another token", "another position", "one position less"),
]


@pytest.mark.parametrize("name", NAMES)
def test_another_statement(case, name):
    with pytest.raises(ProofRejected, match=r"of another statement|with other parameters"):
        case.verify(statement=_false_statements(case.statement)[name])


@pytest.mark.parametrize("name", NAMES)
def test_another_statement_with_the_header_repaired(case, name):
    """The header is only for a clear message: what rejects here is the proof."""
    false = _false_statements(case.statement)[name]
    proof = Proof.from_bytes(case.proof)
    header = {"protocol": case.public.protocol(*false.sizes), "statement": false.digest}
    with pytest.raises(ProofRejected):
        case.verify(Proof(header, proof.messages).to_bytes(), false)


def test_tokens_that_the_model_has_not(case):
    for name in ("tokens", "chosen"):
        false = replace(case.statement, **{name: _changed(getattr(case.statement, name), 0, 256)})
        with pytest.raises(ProofRejected, match="the statement does not fit the model"):
            case.verify(statement=false)


def test_more_positions_than_the_model_has(opt):
    tokens = np.zeros(65, np.int64)
    with pytest.raises(ProofRejected, match="take 128 positions; the model has 64"):
        opt.verify(statement=replace(opt.statement, tokens=tokens))


def test_another_model(case):
    other = commit_tiny(case.public.config, seed=2)
    with pytest.raises(ProofRejected, match="the statement is about another model"):
        case.verify(public=other.public)
    swapped = replace(case.statement, model=other.public.digest)
    with pytest.raises(ProofRejected, match=r"of another statement|with other parameters"):
        case.verify(statement=swapped, public=other.public)
    proof = Proof.from_bytes(case.proof)
    header = {"protocol": other.public.protocol(*swapped.sizes), "statement": swapped.digest}
    with pytest.raises(ProofRejected):
        case.verify(Proof(header, proof.messages).to_bytes(), swapped, other.public)


def test_the_opposite_family(llama, opt):
    with pytest.raises(ProofRejected, match="about another model"):
        llama.verify(public=opt.public)
    with pytest.raises(ProofRejected, match="with other parameters"):
        llama.verify(proof=opt.proof)


def test_more_bits_than_there_are(llama):
    from zkbench.language import verify_language_inference

    with pytest.raises(ProofRejected, match="its parameters give only 29.3 bits of soundness"):
        verify_language_inference(llama.proof, llama.statement, llama.public)


# The file.


def test_truncated_and_extended(case):
    size = len(case.proof)
    for cut in (0, 1, 14, 40, size // 2, size - 1):
        with pytest.raises(ProofRejected):
            case.verify(case.proof[:cut])
    with pytest.raises(ProofRejected):
        case.verify(case.proof + b"\0")
    proof = Proof.from_bytes(case.proof)
    for messages in (proof.messages[:-1], [*proof.messages, Message("more", b"")]):
        with pytest.raises(ProofRejected):
            case.verify(Proof(proof.header, messages).to_bytes())


def test_a_changed_bit_in_messages_of_every_label(case):
    """In the first and the last message of each label, at the front and at the end."""
    proof = Proof.from_bytes(case.proof)
    places: dict[str, list[int]] = {}
    for k, message in enumerate(proof.messages):
        if message.payload:
            places.setdefault(message.label, []).append(k)
    assert {"witness", "counts", "exponentials", "activation", "stream"} <= set(places)
    for label, found in places.items():
        for k in {found[0], found[-1]}:
            for byte in (0, len(proof.messages[k].payload) - 1):
                payload = bytearray(proof.messages[k].payload)
                payload[byte] ^= 1
                messages = list(proof.messages)
                messages[k] = Message(label, bytes(payload))
                with pytest.raises(ProofRejected):
                    case.verify(Proof(proof.header, messages).to_bytes())


# What is bound.


def _first_challenge(public: LanguageCommitment, statement: LanguageStatement) -> object:
    transcript = ProverTranscript(GOLDILOCKS, {})
    bind(transcript, public, statement)
    return transcript.challenge("alpha")


def test_everything_public_is_bound_before_the_first_challenge(llama):
    public, truth = llama.public, llama.statement
    formats = public.formats
    variants = [
        (replace(public, root=bytes(32)), truth),
        (replace(public, scheme=replace(public.scheme, grinding_bits=4)), truth),
        (replace(public, config=replace(public.config, rope_theta=1e6)), truth),
        (replace(public, config=replace(public.config, max_positions=65)), truth),
        (replace(public, formats=replace(formats, epsilon=formats.epsilon + 1)), truth),
        (replace(public, formats=replace(formats, tolerance=1024)), truth),
        (replace(public, formats=replace(formats, logits=formats.logits + 1)), truth),
        (replace(public, tokenizer=TokenizerReference({})), truth),
        *((public, false) for false in _false_statements(truth).values()),
        (public, replace(truth, model="0" * 64)),
    ]
    seen = {_first_challenge(*variant) for variant in [(public, truth), *variants]}
    assert len(seen) == len(variants) + 1


# Commitments from strangers: consistent, as far as they go, and of another model.


def _edited(public: LanguageCommitment, part: str, key: str, value: object) -> LanguageCommitment:
    data = public.to_json()
    data[part][key] = value
    with pytest.MonkeyPatch.context() as patched:  # a stranger's tables are whatever they are
        patched.setattr("zkbench.language_statement._check_tables", lambda *_: None)
        return LanguageCommitment.from_json(json.loads(json.dumps(data)))


SIZES = {
    "vocab": (1, 255, 1 << 20),
    "width": (1, 1 << 14),
    "heads": (2, 1024),
    "kv_heads": (1, 4),
    "head_width": (2, 1 << 12),
    "ffn_width": (1, 1 << 18),
    "max_positions": (1, 1 << 20),
    "embedding_width": (1, 8, 12, 1 << 20),
    "norm_first": (True, False),
    "rope_theta": (1, 1e12),
    "tied": (True, False),
    "attention_bias": (True, False),
    "activation": ("silu", "relu", "gelu"),
}
SCALES = {
    "residual": (1100, -1100, 12),
    "epsilon": (4, 1 << 47, (1 << 62) - 1),
    "score_bits": (1, 11),
    "row_bits": (8, 20),
    "tolerance": (1, 3, 1 << 15),
    "embedding": (-1100, 1100),
    "positions": (None, -1100, 1100),
}
EDITS = [("config", key, value) for key, values in SIZES.items() for value in values]
EDITS += [("formats", key, value) for key, values in SCALES.items() for value in values]


@pytest.mark.parametrize(("part", "key", "value"), EDITS)
def test_another_architecture_is_unusable_or_rejected(case, part, key, value):
    """With the statement and the proof's header repaired, so that the whole script runs."""
    if case.public.to_json()[part][key] == value:
        return
    try:
        public = _edited(case.public, part, key, value)
    except UnusableInput as error:
        assert str(error).startswith("the model commitment is malformed")
        return
    statement = replace(case.statement, model=public.digest)
    header = {"protocol": public.protocol(*statement.sizes), "statement": statement.digest}
    proof = Proof(header, Proof.from_bytes(case.proof).messages).to_bytes()
    with pytest.raises(ProofRejected):
        case.verify(proof, statement, public)


def test_another_machines_table_is_named(case):
    for name in ("exponentials", "activation", "rotary"):
        data = case.public.to_json()
        if data["tables"][name] is None:
            continue
        data["tables"][name] = "0" * 64
        with pytest.raises(UnusableInput, match=f"the table {name} of x is another than the one"):
            LanguageCommitment.from_json(data, "x")


def test_a_proof_is_not_one_of_other_sizes(llama):
    one = LanguageCase.of(llama.committed, llama.statement.tokens, [10])
    with pytest.raises(ProofRejected, match="with other parameters"):
        llama.verify(proof=one.proof)
