"""Inference under every commitment scheme, from a commitment that was written down and read."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from inference_case import DIMS, inputs_in_range, random_model

from zkbench.commitments.ligero import Ligero
from zkbench.commitments.whir import Whir
from zkbench.inference import commit_model, prove_inference, verify_inference
from zkbench.kernels.launch import cpu_target
from zkbench.proof import ProofRejected
from zkbench.security import total_bits
from zkbench.statement import ModelCommitment

SCHEMES = [
    Ligero(queries=24, grinding_bits=4),
    Whir(security_bits=20, grinding_bits=4, log_fold=2, num_rounds=3, log_rows=7),
    Whir(security_bits=20, grinding_bits=4, johnson=True, log_fold=3, num_rounds=2),
]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_inference_is_proven(scheme):
    """Weights, forward pass and pushed-forward vectors are opened together."""
    rng = np.random.default_rng(1)
    model = random_model(rng, DIMS, 9)
    inputs = inputs_in_range(rng, model, 3)
    committed = commit_model(model, cpu_target(), scheme)
    data = json.loads(json.dumps(committed.public.to_json()))
    public = ModelCommitment.from_json(data)
    assert public == committed.public
    proof, statement = prove_inference(committed, inputs, cpu_target(), minimum_bits=10)
    bits = verify_inference(proof, statement, public, minimum_bits=10)
    assert bits == total_bits(public.protocol(3).soundness_terms())
    wrong = replace(statement, labels=(statement.labels + 1) % DIMS[-1])
    with pytest.raises(ProofRejected):
        verify_inference(proof, wrong, public, minimum_bits=10)


def test_a_proof_under_another_scheme_is_rejected():
    rng = np.random.default_rng(1)
    model = random_model(rng, DIMS, 9)
    inputs = inputs_in_range(rng, model, 1)
    first, second = (commit_model(model, cpu_target(), scheme) for scheme in SCHEMES[:2])
    proof, statement = prove_inference(first, inputs, cpu_target(), minimum_bits=10)
    with pytest.raises(ProofRejected, match="another model"):
        verify_inference(proof, statement, second.public, minimum_bits=10)


def test_standard_schemes_have_a_hundred_bits():
    rng = np.random.default_rng(1)
    model = random_model(rng, DIMS, 9)
    for scheme in (Ligero(), Whir(), Whir(johnson=True)):
        public = commit_model(model, cpu_target(), scheme).public
        assert total_bits(public.protocol(64).soundness_terms()) >= 100
