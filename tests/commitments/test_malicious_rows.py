"""Provers who open other rows than those asked for, at one place at a time; and other tensors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from brute_force import E, true_claim
from opening_case import SMALL, Case
from whir_liars import JOHNSON, SCHEME, TWO, lie, proof, rejected

from zkbench.commitments.claims import AxisWeights, Claim, OnesAxis, Sparse
from zkbench.commitments.rows import HashedRows
from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels.launch import cpu_target
from zkbench.proof import Proof, ProofRejected
from zkbench.transcript import ProverTranscript, VerifierTranscript

LIGERO = replace(TWO, scheme=replace(SMALL, log_rows=5))
CASES = {"whir": TWO, "johnson": replace(TWO, scheme=JOHNSON), "ligero": LIGERO}
PLACES = [
    *[("whir", place) for place in range(4)],  # two commitments, two oracles
    *[("johnson", place) for place in range(4)],
    *[("ligero", place) for place in range(2)],
]
PATH = "path does not lead to the root"


def _at_one_place(monkeypatch, place, change) -> list[int]:
    """``change`` of (rows, indices) opens instead; the list grows by one a place."""
    opened: list[int] = []

    def wrap(honest):
        def open_rows(self, transcript, indices):
            opened.append(len(indices))
            rows, leaves = change(self, indices) if len(opened) == place + 1 else (self, indices)
            honest(rows, transcript, leaves)

        return open_rows

    lie(monkeypatch, HashedRows, "open", wrap)
    return opened


@pytest.mark.parametrize(("name", "place"), PLACES)
def test_rows_of_other_leaves(monkeypatch, name, place):
    """Rows and paths that are in the tree, at the leaves beside those asked for."""
    _at_one_place(monkeypatch, place, lambda rows, leaves: (rows, [leaf ^ 1 for leaf in leaves]))
    rejected(PATH, proof(monkeypatch, CASES[name]), CASES[name])


@pytest.mark.parametrize(("name", "place"), PLACES)
def test_a_row_of_another_leaf_with_the_right_path(monkeypatch, name, place):
    """The last row asked for is that of its neighbour; the path is the one asked for."""

    def swapped(rows, leaves):
        entries, limbs = rows.num_words >> rows.log_limbs, 1 << rows.log_limbs
        columns = rows.matrix[: entries * rows.stride * limbs].copy()
        columns = columns.reshape(entries, rows.stride, limbs)
        columns[:, leaves[-1]] = columns[:, leaves[-1] ^ 1]
        return replace(rows, matrix=columns.reshape(-1)), leaves

    _at_one_place(monkeypatch, place, swapped)
    rejected(PATH, proof(monkeypatch, CASES[name]), CASES[name])


@pytest.mark.parametrize(("name", "place"), PLACES)
def test_the_place_exists(monkeypatch, name, place):
    opened = _at_one_place(monkeypatch, place, lambda rows, leaves: (rows, leaves))
    CASES[name].verify(proof(monkeypatch, CASES[name]))
    assert len(opened) == 1 + max(last for other, last in PLACES if other == name)
    assert min(opened) > 0


@pytest.mark.parametrize("scheme", [SCHEME, JOHNSON, SMALL])
def test_commitments_in_another_order(scheme):
    """The statement says first a, then b; the prover has sent b's root for a, and opens b."""
    rng = np.random.default_rng(5)
    a, b = (rng.integers(-99, 99, 70).astype(np.int16) for _ in range(2))
    ones = AxisWeights((OnesAxis(),))
    stated = [[true_claim("t", a, ones)], [true_claim("t", b, ones)]]
    case = Case([{"t": a}, {"t": b}], stated, scheme)
    swapped = Case([{"t": b}, {"t": a}], stated[::-1], scheme)
    case.verify(case.prove())
    rejected("claims do not hold", case.prove(swapped.commit()), case)
    rejected(None, swapped.prove(case.commit()[::-1]), case)


@pytest.mark.parametrize("scheme", [SCHEME, JOHNSON, SMALL])
def test_values_behind_the_last_tensor_take_part_in_nothing(scheme):
    """A commitment to 70 values whose last column goes on with 20 others."""
    long = np.arange(1, 91, dtype=np.int16)
    short, ones = long[:70], AxisWeights((OnesAxis(),))
    scheme = replace(scheme, log_rows=5)
    liar = Case([{"t": long}], [[true_claim("t", long, ones)]], scheme)
    case = Case(
        [{"t": short}], [[replace(true_claim("t", short, ones), value=E(90 * 91 // 2))]], scheme
    )
    assert liar.commit()[0].commitment.code == case.commit()[0].commitment.code
    rejected("claims do not hold", liar.prove(), case)
    beyond = [Claim("t", Sparse((75,), (E(1),)), E(76))]
    rejected(
        "outside", Case([{"t": long}], [beyond], scheme).prove(), replace(case, claims=[beyond])
    )


def test_columns_of_the_two_commitments_exchanged(monkeypatch):
    """Column values sent for one commitment are those of the other, of the same shape."""
    rng = np.random.default_rng(6)
    tensors = [{"t": rng.integers(-99, 99, 130).astype(np.int16)} for _ in range(2)]
    ones = AxisWeights((OnesAxis(),))
    for scheme in (replace(SCHEME, log_rows=5), replace(SMALL, log_rows=5)):
        claims = [[true_claim("t", one["t"], ones)] for one in tensors]
        case = Case(tensors, claims, scheme)
        values = [m.payload for m in case.prove().messages if m.label == "column values"]
        assert len(values) == 2
        assert values[0] != values[1]
        sent: list[bytes] = []

        def wrap(honest, values=values, sent=sent):
            def send_bytes(self, name, payload):
                if name == "column values":
                    sent.append(payload)
                    payload = values[len(sent) % 2]
                honest(self, name, payload)

            return send_bytes

        lie(monkeypatch, ProverTranscript, "send_bytes", wrap)
        rejected("claims do not hold", proof(monkeypatch, case), case)
        assert len(sent) == 2
        assert len(values[0]) % (8 * FIELD.degree) == 0


@pytest.mark.parametrize("scheme", [SCHEME, SMALL])
def test_claims_that_are_bound_cannot_be_chosen_to_fit(scheme):
    """Two false values whose combination is true: why callers bind all claims before an opening."""
    tensor = np.arange(70, dtype=np.int16)
    ones = AxisWeights((OnesAxis(),))
    true = [true_claim("t", tensor, ones), true_claim("t", tensor, Sparse((3,), (E(5),)))]

    def opened(transcript, claims, binds) -> Proof:
        data = scheme.commit(cpu_target(), {"t": tensor})
        if binds:
            transcript.bind("claims", [str(claim.value) for claim in claims])
        transcript.send_bytes("root", data.commitment.root)
        scheme.prove(transcript, cpu_target(), [(data, claims)])
        return Proof.from_bytes(transcript.finish())

    def verified(proof, claims, binds) -> None:
        transcript = VerifierTranscript(FIELD, proof)
        if binds:
            transcript.bind("claims", [str(claim.value) for claim in claims])
        commitment = scheme.commitment(transcript.receive_bytes("root", 32), {"t": (70,)})
        scheme.verify(transcript, [(commitment, claims)])

    for binds in (False, True):
        spy = _Spy(FIELD)
        proof = opened(spy, true, binds)
        verified(proof, true, binds)
        gamma = spy.seen["claim combination"]
        false = [
            replace(true[0], value=true[0].value + gamma),
            replace(true[1], value=true[1].value - 1),
        ]
        if binds:
            for forged in (proof, opened(_Spy(FIELD), false, binds)):
                with pytest.raises(ProofRejected):
                    verified(forged, false, binds)
        else:
            verified(proof, false, binds)  # nothing can be wrong with it: gamma came first


class _Spy(ProverTranscript):
    """Remembers the challenges."""

    def __init__(self, field) -> None:
        super().__init__(field)
        self.seen: dict[str, object] = {}

    def challenge(self, label):
        self.seen[label] = super().challenge(label)
        return self.seen[label]
