"""Proofs that were written down stay valid, and are what today's prover writes."""

from __future__ import annotations

import copy

import pytest
from frozen_opening import FOLDER, OPENINGS, prove, statement, verify

from zkbench.files import read_bytes, read_json
from zkbench.proof import Proof, ProofRejected
from zkbench.security import Term, total_bits

CHANGED = (
    "If that is meant, run `python tests/fixtures/renew_openings.py` and note in CHANGELOG.md that"
    " older proofs are no longer valid"
)
FULL = ("whir", "whir-johnson", "ligero")


def _frozen(name: str) -> tuple[dict, bytes]:
    return read_json(FOLDER / f"{name}.json"), read_bytes(FOLDER / f"{name}.proof")


@pytest.mark.parametrize("name", OPENINGS)
def test_frozen_proofs_still_verify(name):
    try:
        verify(*_frozen(name))
    except (ProofRejected, ValueError) as error:
        pytest.fail(f"an opening of an earlier version is rejected: {error}. {CHANGED}")


@pytest.mark.parametrize("name", OPENINGS)
def test_the_prover_writes_the_frozen_proofs(name):
    """Parameters, messages and their order are part of the format, not only what is accepted."""
    frozen, (public, proof) = _frozen(name), prove(name)
    if public != frozen[0]:
        pytest.fail(f"parameters or claims are written down in another way. {CHANGED}")
    if proof != frozen[1]:
        ours, old = (Proof.from_bytes(data).messages for data in (proof, frozen[1]))
        pairs = zip(ours, old, strict=False)
        first = next((a.label for a, b in pairs if a != b), "the end")
        pytest.fail(f"the prover writes another proof, from message {first!r} on. {CHANGED}")


@pytest.mark.parametrize("name", OPENINGS)
def test_frozen_proofs_of_something_else(name):
    public, proof = _frozen(name)
    for path in (("claims", 0, 0, "value", 0), ("scheme", "grinding_bits")):
        other = copy.deepcopy(public)
        *outer, last = path
        place = other
        for key in outer:
            place = place[key]
        place[last] += 1
        with pytest.raises(ProofRejected):
            verify(other, proof)


def test_frozen_proofs_have_every_message():
    labels = {name: [m.label for m in Proof.from_bytes(_frozen(name)[1]).messages] for name in FULL}
    assert labels["whir"].count("root") == labels["whir"].count("column values") == 2
    assert "oracle" in labels["whir"]
    assert "out-of-domain values" in labels["whir-johnson"]
    assert "combined column" in labels["ligero"]


@pytest.mark.parametrize("name", FULL)
def test_frozen_proofs_of_standard_parameters(name):
    scheme, shapes = OPENINGS[name]
    values = [sum(t.size for t in one.values()) for one in statement(name)[0]]
    terms = scheme.opening_terms({str(i): (n, 6) for i, n in enumerate(values)})
    assert len(shapes) > 1
    assert min(bits for _, bits in terms) >= (104 if name != "ligero" else 103)
    assert total_bits(Term(*term) for term in terms) >= 100


def test_fixtures_are_small():
    files = list(FOLDER.iterdir())
    assert {file.stem for file in files} == set(OPENINGS)
    assert max(file.stat().st_size for file in files) < 300_000
    assert sum(file.stat().st_size for file in files) < 1_000_000
