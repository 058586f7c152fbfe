"""A model, its commitment and a proof as files, made by the command line itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from cases.checkpoints import CONFIGS, write_checkpoint
from cli_case import BATCH, DIMS, write_model, zkbench
from language_cli_case import PROMPT

from zkbench.models.tensor_files import write_npy


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """Not to be written to; see ``files``."""
    folder = tmp_path_factory.mktemp("made")
    write_model(folder / "weights.safetensors")
    rng = np.random.default_rng(1)
    write_npy(folder / "calibration.npy", rng.normal(size=(40, DIMS[0])))
    write_npy(folder / "inputs.npy", rng.normal(size=(BATCH, DIMS[0])) / 2)
    names = ("weights.safetensors", "calibration.npy", "model")
    weights, calibration, model = (folder / name for name in names)
    done = zkbench("commit", "--weights", weights, "--calibration", calibration, "--out", model)
    assert done.code == 0, done.err
    inputs, proof, statement = (folder / name for name in ("inputs.npy", "proof", "statement.json"))
    done = zkbench(
        *("prove", "--model", model, "--input", inputs, "--out", proof, "--statement", statement)
    )
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def files(made, tmp_path, monkeypatch) -> Path:
    """A copy of everything, in the current folder."""
    folder = tmp_path / "files"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def edit(files):
    """Changes a public JSON file: edit(name, function of its value)."""

    def change(name: str, function) -> None:
        path = files / name
        value = json.loads(path.read_text())
        function(value)
        path.write_text(json.dumps(value))

    return change


@pytest.fixture(scope="session")
def made_languages(tmp_path_factory) -> Path:
    """A tiny checkpoint of each family, committed to and proven. Not to be written to."""
    folder = tmp_path_factory.mktemp("languages")
    (folder / "text.txt").write_text("A proof convinces; a test only persuades. " * 20)
    for family, config in CONFIGS.items():
        weights, model = write_checkpoint(folder / family, config), folder / f"m-{family}"
        source = ("--model", family, "--weights", weights, "--calibration", folder / "text.txt")
        done = zkbench("commit", *source, "--out", model)
        assert done.code == 0, done.err
        out = ("--out", folder / f"{family}.proof", "--statement", folder / f"{family}.json")
        done = zkbench("prove", "--model", model, "--prompt", PROMPT, *out)
        assert done.code == 0, done.err
    return folder


@pytest.fixture
def languages(made_languages, tmp_path, monkeypatch) -> Path:
    """A copy of everything, in the current folder."""
    folder = tmp_path / "languages"
    shutil.copytree(made_languages, folder)
    monkeypatch.chdir(folder)
    return folder
