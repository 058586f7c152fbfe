"""The same statement has the same proof, whatever computes it; and old proofs stay valid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from inference_case import FEW_BITS, SMALL, inputs_in_range, random_model

from zkbench.files import read_bytes
from zkbench.inference import (
    commit_model,
    prove_inference,
    read_commitment,
    read_statement,
    verify_inference,
)
from zkbench.kernels.launch import CpuTarget, cpu_target, target
from zkbench.proof import ProofRejected

FIXTURES = Path(__file__).parents[1] / "fixtures"
FROZEN = [FIXTURES / "mlp-inference-v1", FIXTURES / "mlp-inference-whir-v1"]
RENEW = "python tests/fixtures/renew_mlp_inference.py"


def _prove(where, dims, shift, batch):
    rng = np.random.default_rng(6)
    model = random_model(rng, dims, shift)
    committed = commit_model(model, where, SMALL)
    inputs = inputs_in_range(rng, model, batch)
    proof, statement = prove_inference(committed, inputs, where, minimum_bits=FEW_BITS)
    return committed.public, statement.to_json(), proof


# The second is large enough for every kernel to be split over threads, or to fill blocks.
SIZES = [((5, 6, 6, 6, 3), 12, 3), ((40, 64, 64, 64, 10), 16, 50)]


@pytest.mark.parametrize("size", SIZES)
def test_twice_the_same(size):
    assert _prove(cpu_target(), *size) == _prove(cpu_target(), *size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("threads", [2, 5])
def test_one_thread_and_several(size, threads):
    assert _prove(CpuTarget(1), *size) == _prove(CpuTarget(threads), *size)


@pytest.mark.gpu
@pytest.mark.parametrize("size", SIZES)
def test_cpu_and_cuda(size):
    gpu = target("cuda")
    assert gpu.name == "cuda"
    assert _prove(cpu_target(), *size) == _prove(gpu, *size)


def _frozen(folder):
    public = read_commitment(folder / "commitment.json")
    statement = read_statement(folder / "statement.json")
    return public, statement, read_bytes(folder / "proof")


def _name(folder):
    return folder.name


@pytest.mark.parametrize("folder", FROZEN, ids=_name)
def test_frozen_proof_still_verifies(folder):
    public, statement, proof = _frozen(folder)
    try:
        verify_inference(proof, statement, public, minimum_bits=1)
    except ProofRejected as rejection:
        pytest.fail(
            f"a proof of an earlier version is rejected: {rejection}. If that is meant, run"
            f" `{RENEW}` and note in CHANGELOG.md that older proofs are no longer valid"
        )


@pytest.mark.parametrize("folder", FROZEN, ids=_name)
def test_frozen_proof_of_something_else(folder):
    public, statement, proof = _frozen(folder)
    labels = (statement.labels + 1) % public.dims[-1]
    with pytest.raises(ProofRejected, match="another statement"):
        verify_inference(proof, replace(statement, labels=labels), public, minimum_bits=1)


@pytest.mark.parametrize("folder", FROZEN, ids=_name)
def test_fixtures_are_small(folder):
    assert sum(file.stat().st_size for file in folder.iterdir()) < 150_000
