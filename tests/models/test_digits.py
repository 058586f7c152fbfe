"""The digit classifier: trained, quantised, and as good in integers as in floating point."""

import hashlib
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from zkbench.models.mlp import FloatMLP, compare
from zkbench.models.tensor_files import load_inputs, load_labels
from zkbench.quant.calibration import calibrate

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "experiments" / "train_digits.py"
FILES = {"model.safetensors", "train_x.npy", "train_y.npy", "test_x.npy", "test_y.npy"}


@pytest.fixture(scope="module")
def main():
    return runpy.run_path(str(SCRIPT))["main"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("digits") / "new" / "folder"
    command = [sys.executable, str(SCRIPT), "--out", str(out)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return out, finished.stdout


def test_files_and_shapes(trained):
    out, _ = trained
    assert {path.name for path in out.iterdir()} == FILES
    assert FloatMLP.from_safetensors(out / "model.safetensors").dims == (64, 128, 128, 10)
    parts = [load_inputs(out / f"{part}_x.npy", 64) for part in ("train", "test")]
    assert [len(part) for part in parts] == [1437, 360]
    together = np.concatenate(parts)
    assert sorted(map(tuple, together)) == sorted(map(tuple, load_digits().data / 16))


def test_integer_accuracy_within_0_3_points_of_float(trained):
    out, printed = trained
    model = FloatMLP.from_safetensors(out / "model.safetensors")
    integer = calibrate(model, load_inputs(out / "train_x.npy"))
    found = compare(
        model, integer, load_inputs(out / "test_x.npy"), load_labels(out / "test_y.npy", 360)
    )
    assert f"test accuracy: {found.accuracy_float:.4f}" in printed
    assert found.accuracy_float > 0.95
    assert abs(found.accuracy_float - found.accuracy_integer) <= 0.003
    assert found.largest_difference < 0.02


def digests(out):
    return {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in FILES}


def test_training_is_deterministic_and_the_seed_counts(main, tmp_path):
    outs = [tmp_path / name for name in ("a", "b", "c")]
    for out, seed in zip(outs, ("0", "0", "1"), strict=True):
        assert main(["--out", str(out), "--epochs", "2", "--seed", seed]) == 0
    first, second, other = map(digests, outs)
    assert first == second
    assert all(first[name] != other[name] for name in FILES)


def test_unusable_directory_is_one_sentence(main, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["--out", str(tmp_path / "file"), "--epochs", "1"]) == 2
    assert capsys.readouterr().err == f"error: cannot create {tmp_path / 'file'}: File exists\n"
