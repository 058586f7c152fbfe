"""What an inference's verifier does, in which order: its claims; what challenges depend on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from cheating import WRONG_OPENING
from inference_case import FEW_BITS, FORMAT, Case

from zkbench.binding import bind
from zkbench.commitments.claims import Book
from zkbench.commitments.ligero import Ligero
from zkbench.fields import GOLDILOCKS
from zkbench.models.mlp import IntegerMLP
from zkbench.proof import Message, Proof, ProofRejected
from zkbench.transcript import ProverTranscript, _Sponge


@pytest.fixture
def opened(monkeypatch):
    """All (commitment, claims) that a verifier opens, as a list that fills."""
    seen: list = []
    original = Ligero.verify

    def verify(scheme, transcript, openings):
        seen.extend(openings)
        original(scheme, transcript, openings)

    monkeypatch.setattr(Ligero, "verify", verify)
    return seen


def _claims_by_tensor(opened) -> dict[str, int]:
    counts = Counter(claim.tensor for _, claims in opened for claim in claims)
    names = [name for commitment, _ in opened for name in commitment.names]
    assert len(names) == len(set(names))
    assert set(counts) == set(names), "a committed tensor without a claim"
    return dict(counts)


def test_every_committed_tensor_has_its_claims(case, opened):
    """Weights and biases: of the linear layers. Quotients: of the rescaling and of ReLU; of the
    output: of the rescaling, its range and the two of the labels."""
    case.verify()
    num_lookups = len(case.committed.public.protocol(1).lookups)
    expected = {f"{kind}{s}": 1 for kind in ("weights", "biases") for s in range(3)}
    expected |= {"quotients0": 2, "quotients1": 2, "quotients2": 4}
    expected |= {f"counts{k}": 1 for k in range(num_lookups)}
    expected |= {"pushed0": 2, "pushed1": 2}
    assert _claims_by_tensor(opened) == expected


def test_claims_of_a_single_layer(opened):
    Case.random(3, (4, 3), shift=16, batch=2).verify()
    expected = {"weights0": 1, "biases0": 1, "quotients0": 4, "counts0": 1}
    assert _claims_by_tensor(opened) == expected


def test_each_claim_is_opened(monkeypatch, case):
    """The verifier's book with one value changed, one claim after the other."""
    original = Book.on
    sizes = []

    def verify_with(changed: int) -> None:
        position = 0

        def on(book, names):
            nonlocal position
            claims = original(book, names)
            for k, claim in enumerate(claims):
                if position == changed:
                    claims[k] = replace(claim, value=claim.value + 1)
                position += 1
            return claims

        with monkeypatch.context() as patched:
            patched.setattr(Book, "on", on)
            try:
                case.verify()
            finally:
                sizes.append(position)

    verify_with(-1)
    for changed in range(sizes[0]):
        with pytest.raises(ProofRejected, match=WRONG_OPENING):
            verify_with(changed)


def test_a_claim_forgotten_by_the_prover(monkeypatch, case):
    """Each tensor's last claim left out of the opening by the prover alone."""
    original = Book.on
    for tensor in ("weights1", "biases0", "quotients1", "quotients2", "counts0", "pushed1"):

        def on(book, names, tensor=tensor):
            claims = original(book, names)
            last = max((k for k, c in enumerate(claims) if c.tensor == tensor), default=None)
            return [c for k, c in enumerate(claims) if k != last]

        with monkeypatch.context() as patched:
            patched.setattr(Book, "on", on)
            lazy = Case.of(case.committed.model, case.inputs)
        with pytest.raises(ProofRejected, match=WRONG_OPENING):
            lazy.verify()


# Fiat-Shamir.


@pytest.fixture
def script(monkeypatch):
    """(kind, label) of all that a transcript absorbs: S statement, M message, C challenge."""
    absorbed: list[tuple[str, str]] = []
    absorb, squeeze = _Sponge._absorb, _Sponge._squeeze

    def recording_absorb(sponge, kind, label, data):
        absorbed.append((kind.decode(), label))
        absorb(sponge, kind, label, data)

    def recording_squeeze(sponge, label, size):
        absorbed.append(("C", label))
        return squeeze(sponge, label, size)

    monkeypatch.setattr(_Sponge, "_absorb", recording_absorb)
    monkeypatch.setattr(_Sponge, "_squeeze", recording_squeeze)
    return absorbed


def test_the_order_of_messages_and_challenges(case, script):
    case.verify()

    def at(kind, label, which=0):
        return [k for k, entry in enumerate(script) if entry == (kind, label)][which]

    def before(*entries):
        positions = [at(*entry) for entry in entries]
        assert positions == sorted(positions), entries

    assert script[:3] == [("S", "header"), ("S", "model"), ("S", "statement")]
    assert script[3:5] == [("M", "witness"), ("C", "alpha")]
    # The outputs claimed, before they are joined; Y, before its lookup's challenge.
    before(("M", "inputs", -1), ("C", "gamma"), ("M", "pushed"), ("C", "c"), ("M", "columns"))
    # All values that are opened, before they are joined.
    before(("M", "columns", -1), ("C", "claim combination"), ("M", "column values"))
    for which in range(3):
        before(
            ("C", "claim combination", which),
            ("M", "column values", which),
            ("C", "column combination", which),
            ("M", "combined column", which),
        )
    before(
        ("M", "combined column", -1),
        ("C", "grinding"),
        ("M", "nonce"),
        ("C", "queries"),
        ("M", "rows"),
    )
    rounds = [k for k, entry in enumerate(script) if entry == ("M", "round")]
    assert all(script[k + 1] == ("C", "round") for k in rounds)


def _all_challenges(case: Case, public, statement) -> object:
    transcript = ProverTranscript(GOLDILOCKS, {})
    bind(transcript, public, statement)
    return transcript.challenge("alpha")


def test_everything_public_is_bound_before_the_first_challenge(case):
    """One bit of any public number, and the first challenge is another."""
    public, truth = case.committed.public, case.statement
    variants = [
        (replace(public, root=bytes(32)), truth),
        (replace(public, shift=public.shift - 1), truth),
        (replace(public, dims=(*public.dims[:-1], 4)), truth),
        (replace(public, input_format=replace(FORMAT, frac_bits=1)), truth),
        (replace(public, formats=(*public.formats[:-1], replace(FORMAT, frac_bits=1))), truth),
        (replace(public, scheme=replace(public.scheme, queries=25)), truth),
        (replace(public, scheme=replace(public.scheme, grinding_bits=5)), truth),
        (replace(public, scheme=replace(public.scheme, log_rows=9)), truth),
        (public, replace(truth, model="0" * 64)),
        (public, replace(truth, labels=(truth.labels + 1) % 3)),
        (public, replace(truth, inputs=truth.inputs ^ np.int16(1))),
    ]
    seen = {_all_challenges(case, *variant) for variant in [(public, truth), *variants]}
    assert len(seen) == len(variants) + 1


def test_every_message_is_bound(case, monkeypatch):
    """After a changed message all later challenges differ from those of the real proof."""
    challenges: list[list] = []
    original = _Sponge.challenges

    def record(sponge, label, count):
        challenges[-1].append(original(sponge, label, count))
        return challenges[-1][-1]

    monkeypatch.setattr(_Sponge, "challenges", record)
    monkeypatch.setattr("zkbench.transcript.VerifierTranscript.require_zero", lambda *_: None)
    proof = Proof.from_bytes(case.proof)
    challenges.append([])
    case.verify()
    for k in range(0, len(proof.messages) - 10, 23):
        label, payload = proof.messages[k].label, proof.messages[k].payload
        if not payload:
            continue
        messages = list(proof.messages)
        messages[k] = Message(label, payload[:-8] + bytes([payload[-8] ^ 1]) + payload[-7:])
        challenges.append([])
        with pytest.raises(ProofRejected):  # only the Merkle openings and sizes are left
            case.verify(Proof(proof.header, messages).to_bytes())
        same = [a == b for a, b in zip(challenges[0], challenges[-1], strict=False)]
        first = same.index(False)
        assert not any(same[first:]), label


def test_a_model_of_one_neuron_has_no_degenerate_challenge():
    """1 x 1: most points have no coordinates at all."""
    model = IntegerMLP(
        (np.array([[3]], np.int16),), (np.array([5], np.int64),), 2, FORMAT, (FORMAT,)
    )
    case = Case.of(model, np.array([[9]], np.int16))
    assert case.verify() >= FEW_BITS
    with pytest.raises(ProofRejected):
        case.verify(statement=replace(case.statement, inputs=np.array([[8]], np.int16)))
