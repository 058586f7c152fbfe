"""Commands that succeed: what they write, print and return."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_case import BATCH, COMMITMENT, DIMS, commit, prove, verify, zkbench

import zkbench as package
from zkbench.commitments.ligero import Ligero
from zkbench.commitments.schemes import DEFAULT
from zkbench.commitments.whir import Whir
from zkbench.models.mlp import FloatMLP, IntegerMLP
from zkbench.models.tensor_files import load_inputs

ROOT = Path(__file__).parents[2]


def test_commit_prints_the_ranges_and_where_the_commitment_is(files):
    done = commit("new")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].split()[0] == "tensor"
    assert [line.split()[0] for line in lines[1:-1]] == ["input"] + 3 * [
        "weight",
        "bias",
        "activation",
    ]
    digest = json.loads(commit("new", json=True).out)["model"]
    assert lines[-1] == f"committed to model {digest[:16]} on cpu: new/commitment.json"
    assert done.err == ""
    assert sorted(os.listdir("new")) == ["commitment.json", "integer_model.safetensors"]


def test_secret_and_public_files(files):
    """The weights are for their owner alone, whatever the umask leaves of the others."""
    before = os.umask(0o022)
    try:
        commit("new")
    finally:
        os.umask(before)
    secret, public = os.stat("new/integer_model.safetensors"), os.stat("new/commitment.json")
    assert stat.S_IMODE(secret.st_mode) == 0o600
    assert stat.S_IMODE(public.st_mode) == 0o644


def test_commit_as_json(files):
    result = json.loads(commit("new", json=True).out)
    keys = {"model", "commitment", "dims", "scheme", "target", "seconds", "ranges"}
    assert set(result) == keys
    assert result["dims"] == list(DIMS)
    assert result["scheme"] == DEFAULT.to_json() == Whir().to_json()
    assert result["commitment"] == str(Path("new/commitment.json"))


@pytest.mark.parametrize(
    ("options", "scheme"),
    [({"scheme": "ligero"}, Ligero()), ({"johnson": True}, Whir(johnson=True))],
)
def test_commit_under_another_scheme(files, options, scheme):
    """Everything after the commitment follows its scheme; proofs of two schemes do not mix."""
    result = json.loads(commit("other", json=True, **options).out)
    assert result["scheme"] == scheme.to_json()
    assert prove(model="other").code == 0
    done = verify("p", statement="s", commitment="other/commitment.json", json=True)
    assert done.code == 0
    assert json.loads(done.out)["soundness_bits"] >= 100
    assert verify("p", statement="s").code == 1
    labels = json.loads((files / "s").read_text())["labels"]
    assert labels == json.loads((files / "statement.json").read_text())["labels"]


def test_commit_twice_gives_the_same_and_keeps_other_files(files):
    before = (files / COMMITMENT).read_bytes()
    (files / "model" / "notes.txt").write_text("mine")
    assert commit("model").code == 0
    assert (files / COMMITMENT).read_bytes() == before
    assert (files / "model" / "notes.txt").read_text() == "mine"


def test_commit_into_an_existing_folder_replaces_the_model(files):
    assert commit("model", shift=12).code == 0
    assert prove().code == 0
    assert verify("p", statement="s").code == 0
    assert verify().code == 1  # of the model before


def test_prove_prints_one_line_and_the_labels_as_json(files):
    done = prove()
    assert done.code == 0
    assert done.err == ""
    assert len(done.out.splitlines()) == 1
    for words in ("proved 5 labels of model", "on cpu", "bits of soundness", "not zero-knowledge"):
        assert words in done.out
    result = json.loads(prove(json=True).out)
    labels = json.loads(Path("s").read_text())["labels"]
    assert result["labels"] == labels
    assert result["proof_bytes"] == os.path.getsize("p")
    assert result["soundness_bits"] >= 100
    assert result["zero_knowledge"] is False
    assert set(result["phases"]) == {"witness", "commit", "lookups", "sumchecks", "opening"}


def test_the_labels_are_those_of_the_integer_model(files):
    prove()
    integer = IntegerMLP.load("model")
    inputs = load_inputs("inputs.npy")
    expected = integer.forward(integer.quantise_inputs(inputs)).labels
    assert json.loads(Path("s").read_text())["labels"] == expected.tolist()
    assert (FloatMLP.from_safetensors("weights.safetensors").labels(inputs) == expected).all()


def test_prove_does_not_depend_on_seed_or_run(files):
    prove(seed=1)
    first = Path("p").read_bytes(), Path("s").read_bytes()
    prove(seed=2)
    assert (Path("p").read_bytes(), Path("s").read_bytes()) == first
    assert Path("proof").read_bytes() == first[0]


def test_verify_prints_one_line(files):
    done = verify()
    assert (done.code, done.err) == (0, "")
    (line,) = done.out.splitlines()
    assert line.startswith("accepted: model ")
    assert "gives these 5 inputs these labels" in line
    assert "not zero-knowledge" in line


def test_verify_as_json(files):
    result = json.loads(verify(json=True).out)
    assert result["accepted"] is True
    assert result["batch"] == BATCH
    assert result["proof_bytes"] == os.path.getsize("proof")
    assert result["soundness_bits"] >= 100
    assert result["model"] == json.loads(Path("statement.json").read_text())["model"]


def test_verify_with_the_inputs(files):
    assert verify(input="inputs.npy").code == 0


def test_verify_needs_nothing_secret(files):
    os.remove("model/integer_model.safetensors")
    os.remove("weights.safetensors")
    assert verify().code == 0


def test_rejection_is_one_line_and_exit_code_1(files):
    data = bytearray(Path("proof").read_bytes())
    data[-1] ^= 1
    Path("proof").write_bytes(data)
    done = verify()
    assert (done.code, done.err) == (1, "")
    assert done.out == "rejected: Merkle opening: the path does not lead to the root\n"
    result = json.loads(verify(json=True).out)
    assert result["accepted"] is False
    assert result["reason"] == "Merkle opening: the path does not lead to the root"


def test_minimum_bits(files):
    assert verify(minimum_bits=100).code == 0
    done = verify(minimum_bits=110)
    assert done.code == 1
    assert "its parameters give only 10" in done.out


def test_soundness_term_by_term(files):
    done = zkbench("soundness", "proof", "--commitment", COMMITMENT)
    assert done.code == 0
    *terms, total = done.out.splitlines()[1:]
    assert all(float(line.split()[0]) >= 100 for line in [*terms, total])
    assert "in total" in total
    for other in (("--statement", "statement.json"), ("--batch", BATCH)):
        assert zkbench("soundness", "--commitment", COMMITMENT, *other).out == done.out
    result = json.loads(zkbench("soundness", "proof", "--commitment", COMMITMENT, "--json").out)
    assert result["batch"] == BATCH
    assert len(result["terms"]) == len(terms)
    assert result["total_bits"] <= min(term["bits"] for term in result["terms"])


def test_info(files):
    done = zkbench("info")
    assert done.code == 0
    assert done.out.startswith(f"zkbench {package.__version__}\ntargets: cpu")
    assert "numba" in done.out
    result = json.loads(zkbench("info", "--json").out)
    assert {"targets", "kernel_cache", "versions", "cpu", "gpu"} <= set(result)


@pytest.mark.parametrize("command", [(), *((name,) for name in ("commit", "prove", "verify"))])
def test_help(command):
    done = zkbench(*command, "--help")
    assert done.code == 0
    assert done.out.startswith("usage: zkbench")


def test_inputs_of_other_types(files):
    """Integers and single precision are real numbers, too."""
    for dtype in (np.float32, np.int8):
        np.save("other.npy", np.array([[1, 0, 1, 0]], dtype=dtype))
        assert prove(input="other.npy").code == 0


# As separate processes.


def _process(*arguments: object, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "zkbench.cli", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, **options
    )


def test_verify_in_another_process(files):
    arguments = ("verify", "proof", "--statement", "statement.json", "--commitment", COMMITMENT)
    done = _process(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("accepted: ")
    Path("proof").write_bytes(b"junk")
    done = _process(*arguments)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == "rejected: not a zkbench proof file\n"
    done = _process(*arguments[:-1], "nothing.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "zkbench verify: cannot read nothing.json: No such file or directory\n"


def test_output_into_a_closed_pipe(files):
    """`zkbench soundness ... | head -0` ends quietly."""
    script = f"{sys.executable} -m zkbench.cli soundness proof --commitment {COMMITMENT} | true"
    done = subprocess.run(
        ["bash", "-c", script],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
