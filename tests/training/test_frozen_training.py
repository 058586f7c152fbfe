"""Old proofs of training stay valid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from zkbench.files import read_bytes
from zkbench.proof import ProofRejected
from zkbench.public_files import read_any_commitment, read_any_statement
from zkbench.training import verify_training

FOLDER = Path(__file__).parents[1] / "fixtures" / "mlp-training-v1"
RENEW = "python tests/fixtures/renew_mlp_training.py"


@pytest.fixture
def frozen():
    public = read_any_commitment(FOLDER / "commitment.json")
    statement = read_any_statement(FOLDER / "statement.json")
    return public, statement, read_bytes(FOLDER / "proof")


def test_frozen_proof_still_verifies(frozen):
    public, statement, proof = frozen
    assert (statement.steps, statement.seed, statement.rule.momentum) == (3, 5, 2048)
    try:
        verify_training(proof, statement, public, minimum_bits=1)
    except ProofRejected as rejection:
        pytest.fail(
            f"a proof of an earlier version is rejected: {rejection}. If that is meant, run"
            f" `{RENEW}` and note in CHANGELOG.md that older proofs are no longer valid"
        )


def test_frozen_proof_of_something_else(frozen):
    public, statement, proof = frozen
    with pytest.raises(ProofRejected, match="another statement"):
        verify_training(proof, replace(statement, seed=6), public, minimum_bits=1)


def test_fixtures_are_small():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 500_000
