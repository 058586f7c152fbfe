"""Training on the command line: from data to a verified proof, stopped and gone on with, and refused."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from cli_case import zkbench

from zkbench.models.mlp import FloatMLP
from zkbench.models.tensor_files import write_npy
from zkbench.models.training.float_training import initial_model

TRAIN = {
    "weights": "w.safetensors",
    "data": "x.npy",
    "labels": "y.npy",
    "batch": "4",
    "steps": "5",
    "segment": "2",
    "lr": "0.1",
    "out": "run",
}


def command(name: str, options: dict[str, str], *more: str):
    given = [part for key, value in options.items() for part in (f"--{key}", value)]
    return zkbench(name, *given, *more)


def train(**changes: str | None):
    options = {**TRAIN, **changes}
    return command("train", {key: value for key, value in options.items() if value is not None})


def prove(*more: str):
    return command("prove", {"training": "run", "out": "p", "statement": "s"}, *more)


def verify(*more: str):
    return zkbench("verify", "p", "--statement", "s", "--commitment", "run/commitment.json", *more)


@pytest.fixture(scope="session")
def proven(tmp_path_factory) -> Path:
    """Data, a finished run and its proof; not to be written to."""
    folder = tmp_path_factory.mktemp("training")
    before = os.getcwd()
    os.chdir(folder)
    try:
        rng = np.random.default_rng(0)
        initial_model((6, 5, 3), 1).to_safetensors("w.safetensors")
        write_npy("x.npy", rng.random((11, 6)))
        write_npy("y.npy", rng.integers(0, 3, 11))
        for done in (train(), prove()):
            assert (done.code, done.err) == (0, "")
    finally:
        os.chdir(before)
    return folder


@pytest.fixture(autouse=True)
def folder(proven, tmp_path, monkeypatch) -> Path:
    """All tests run in a copy of the files."""
    copy = tmp_path / "files"
    shutil.copytree(proven, copy)
    monkeypatch.chdir(copy)
    return copy


def test_verify_says_in_words_what_was_proven():
    done = verify()
    assert (done.code, done.err) == (0, "")
    statement = json.loads(Path("s").read_text())
    assert done.out.startswith(f"accepted: model {statement['model'][:16]} has the weights ")
    assert "after 5 steps" in done.out
    assert "cross-entropy loss (rate 0.1" in done.out
    result = json.loads(verify("--json").out)
    assert (result["accepted"], result["steps"], result["seed"]) == (True, 5, 0)


def test_relu_by_bits():
    """The same weights, proven in another way; a run that is there is not taken for one so proven."""
    by_tables = json.loads(Path("s").read_text())
    done = train(relu="bits")
    assert (done.code, done.out) == (2, "")
    assert "run holds another run; choose another folder" in done.err
    shutil.rmtree("run")
    for done in (train(relu="bits"), prove(), verify()):
        assert (done.code, done.err) == (0, "")
    statement = json.loads(Path("s").read_text())
    assert statement["roots"] == by_tables["roots"]
    assert statement["model"] != by_tables["model"]
    assert json.loads(Path("run/commitment.json").read_text())["relu"] == "bits"


def test_what_is_secret_is_the_owners():
    names = ["run/data.safetensors", "run/states/000000.safetensors", "run/proofs/000000.bin"]
    assert {stat.S_IMODE(os.stat(name).st_mode) for name in names} == {0o600}
    assert sorted(os.listdir("run/states")) == [f"{k:06d}.safetensors" for k in range(4)]


def test_a_run_that_was_stopped_goes_on_to_the_same_commitment():
    before = Path("run/commitment.json").read_bytes()
    for name in ("commitment.json", "states/000002.safetensors", "states/000003.safetensors"):
        os.unlink(Path("run") / name)
    done = prove()
    assert (done.code, done.out) == (2, "")
    assert "is not finished" in done.err
    assert train().code == 0
    assert Path("run/commitment.json").read_bytes() == before


def test_a_proof_that_was_stopped_goes_on_with_the_same_bytes():
    before = Path("p").read_bytes()
    os.unlink("run/proofs/000001.bin")
    Path("run/proofs/000002.bin").write_bytes(b"not a proof")
    assert prove().code == 0
    assert Path("p").read_bytes() == before


def test_another_run_does_not_go_into_the_folder_of_one():
    before = Path("run/run.json").read_bytes()
    done = train(lr="0.2")
    assert (done.code, done.out) == (2, "")
    assert "run holds another run; choose another folder" in done.err
    assert Path("run/run.json").read_bytes() == before


def test_square_loss_momentum_and_real_targets():
    write_npy("targets.npy", np.random.default_rng(2).random((11, 3)))
    options = {"loss": "square", "momentum": "0.9", "labels": "targets.npy", "out": "other"}
    done = train(**options, steps="2")
    assert (done.code, done.err) == (0, "")
    given = {"training": "other", "out": "q", "statement": "t"}
    assert command("prove", given).code == 0
    done = zkbench("verify", "q", "--statement", "t", "--commitment", "other/commitment.json")
    assert done.code == 0
    assert "SGD on the square loss" in done.out
    assert "momentum 0.8999" in done.out


def test_compare_writes_both_curves():
    assert train(compare="curves.csv", out="other").code == 0
    header, *lines = Path("curves.csv").read_text().splitlines()
    assert header == "run,step,train_loss,test_accuracy"
    assert [line.split(",")[:2] for line in lines[:2]] == [["integer", "0"], ["integer", "1"]]
    assert len(lines) == 2 * 6


def test_soundness_and_info():
    done = zkbench("soundness", "p", "--statement", "s", "--commitment", "run/commitment.json")
    assert done.code == 0
    assert float(done.out.splitlines()[-1].split()[0]) > 100
    result = json.loads(zkbench("info", "run", "--json").out)
    assert (result["kind"], result["samples"]) == ("mlp-training", 11)
    done = zkbench("soundness", "--batch", "3", "--commitment", "run/commitment.json")
    assert (done.code, done.out) == (2, "")


def test_another_statement_is_rejected():
    statement = json.loads(Path("s").read_text())
    Path("s").write_text(json.dumps({**statement, "seed": 1}))
    done = verify()
    assert (done.code, done.out) == (1, "rejected: the proof is of another statement\n")
    statement["roots"]["first"] = "00" * 32
    Path("s").write_text(json.dumps(statement))
    assert "another run than the commitment" in verify().out


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"batch": "12"}, "use smaller batches"),
        ({"steps": "0"}, "--steps is 0"),
        ({"lr": "-1"}, "is not a positive number"),
        ({"lr": "1e9"}, "use another"),
        ({"data": "nothing.npy"}, "cannot read nothing.npy"),
        ({"data": "mnist", "labels": None}, "no folder, and not digits"),
        ({"labels": None}, "give its --labels"),
        ({"weights": None, "widths": "6;3"}, "give integers as 64,64,10"),
        ({"weights": None, "widths": "7,3"}, "7"),
        ({"momentum": "1"}, "the momentum 1.0 is not in [0, 1)"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing_behind(changes, reason):
    done = train(**changes, out="other")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("zkbench train: ")
    assert done.err.count("\n") == 1
    assert reason in done.err
    assert not os.path.exists("other")


def test_a_model_of_other_widths_is_refused():
    FloatMLP([np.zeros((3, 7))], [np.zeros(3)]).to_safetensors("w.safetensors")
    done = train(out="other")
    assert (done.code, done.out) == (2, "")


def test_prove_needs_inputs_for_a_model_and_none_for_a_run():
    assert "--input is not for" in prove("--input", "x.npy").err
    done = command("prove", {"model": "run", "out": "q", "statement": "t"})
    assert (done.code, done.out) == (2, "")
