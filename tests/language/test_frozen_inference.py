"""Old proofs of language models stay valid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from zkbench.files import read_bytes
from zkbench.language import (
    read_language_commitment,
    read_language_statement,
    verify_language_inference,
)
from zkbench.proof import ProofRejected

FOLDER = Path(__file__).parents[1] / "fixtures" / "language-inference-v1"
RENEW = "python tests/fixtures/renew_language_inference.py"


@pytest.fixture(params=["proof", "proof-in-segments"])
def frozen(request):
    public = read_language_commitment(FOLDER / "commitment.json")
    statement = read_language_statement(FOLDER / "statement.json")
    return public, statement, read_bytes(FOLDER / request.param)


def test_frozen_proof_still_verifies(frozen):
    public, statement, proof = frozen
    assert bytes(statement.tokens.tolist()) == b"Proven"
    try:
        verify_language_inference(proof, statement, public, minimum_bits=1)
    except ProofRejected as rejection:
        pytest.fail(
            f"a proof of an earlier version is rejected: {rejection}. If that is meant, run"
            f" `{RENEW}` and note in CHANGELOG.md that older proofs are no longer valid"
        )


def test_frozen_proof_of_something_else(frozen):
    public, statement, proof = frozen
    false = replace(statement, chosen=(statement.chosen + 1) % public.config.vocab)
    with pytest.raises(ProofRejected, match="another statement"):
        verify_language_inference(proof, false, public, minimum_bits=1)


def test_fixtures_are_small():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 550_000
