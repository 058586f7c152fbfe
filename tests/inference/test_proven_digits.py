"""The digit classifier from training to a verified proof, as a user meets it."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from zkbench.inference import commit_model, prove_inference, verify_inference
from zkbench.kernels.launch import cpu_target
from zkbench.models.mlp import FloatMLP, compare
from zkbench.models.tensor_files import load_inputs, load_labels
from zkbench.proof import ProofRejected
from zkbench.quant.calibration import calibrate
from zkbench.security import MINIMUM_BITS, total_bits

SCRIPT = Path(__file__).parents[2] / "experiments" / "train_digits.py"
IMAGES = 64
EPOCHS = 25  # enough for 95 %; the workflow trains until it converges
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("digits")
    train = runpy.run_path(str(SCRIPT))["main"]
    assert train(["--out", str(out), "--epochs", str(EPOCHS)]) == 0
    return out


@pytest.fixture(scope="module")
def models(digits):
    model = FloatMLP.from_safetensors(digits / "model.safetensors")
    return model, calibrate(model, load_inputs(digits / "train_x.npy", 64))


@pytest.fixture(scope="module")
def proven(digits, models):
    _, integer = models
    committed = commit_model(integer, cpu_target())
    images = load_inputs(digits / "test_x.npy", 64)[:IMAGES]
    inputs = integer.quantise_inputs(images)
    proof, statement = prove_inference(committed, inputs, cpu_target())
    return committed.public, statement, proof


def test_accuracy_in_integers_and_in_floating_point(digits, models):
    x = load_inputs(digits / "test_x.npy", 64)
    result = compare(*models, x, load_labels(digits / "test_y.npy", len(x)))
    assert result.accuracy_float > 0.93
    assert abs(result.accuracy_integer - result.accuracy_float) <= 0.003


def test_proof_of_64_images(digits, models, proven):
    public, statement, proof = proven
    assert verify_inference(proof, statement, public) >= MINIMUM_BITS
    assert len(proof) <= MEGABYTE
    expected = load_labels(digits / "test_y.npy", 360)[:IMAGES]
    assert np.mean(statement.labels == expected) > 0.9


def test_all_test_images_are_within_the_limits(proven):
    """Soundness for 360 images, the largest batch of the experiments."""
    public, _, _ = proven
    assert total_bits(public.protocol(360).soundness_terms()) >= MINIMUM_BITS


def test_another_label_is_rejected(proven):
    public, statement, proof = proven
    other = type(statement)(public.digest, statement.inputs, (statement.labels + 1) % 10)
    with pytest.raises(ProofRejected, match="another statement"):
        verify_inference(proof, other, public)
