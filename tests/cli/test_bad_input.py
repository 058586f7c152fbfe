"""What a user can get wrong: one clear sentence, exit code 2, and nothing left behind."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from cli_case import (
    COMMITMENT,
    commit,
    prove,
    refused,
    refused_by_argparse,
    verify,
    write_model,
    zkbench,
)

from zkbench.kernels.launch import cuda_available

FILES = {
    "weights": "weights.safetensors",
    "array": "inputs.npy",
    "proof": "proof",
    "statement": "statement.json",
    "commitment": COMMITMENT,
    "integer model": "model/integer_model.safetensors",
}


@pytest.fixture(autouse=True)
def leaves_nothing(files):
    """Whatever was wrong: no file appears, none changes, of those that the tests do not make."""
    yield
    for name in ("new", "p", "s"):
        assert not os.path.lexists(name), f"{name} was left behind"
    parts = [name for _, _, names in os.walk(".") for name in names if name.endswith(".part")]
    assert parts == []


def test_commit_under_no_scheme_there_is():
    refused_by_argparse(commit(scheme="hyrax"), "invalid choice: 'hyrax'")
    refused(commit(scheme="ligero", johnson=True), "--johnson is for --scheme whir")


# Missing files and wrong kinds of files, for every argument.


@pytest.mark.parametrize("argument", ["weights", "calibration"])
def test_commit_without_a_file(argument):
    refused(commit(**{argument: "nothing"}), "cannot read nothing: No such file or directory")
    refused(commit(**{argument: "model"}), "cannot read model: Is a directory")


@pytest.mark.parametrize("argument", ["model", "input"])
def test_prove_without_a_file(argument):
    refused(prove(**{argument: "nothing"}), "nothing")


@pytest.mark.parametrize("argument", ["statement", "commitment", "input"])
def test_verify_without_a_file(argument):
    refused(verify(**{argument: "nothing"}), "cannot read nothing: No such file or directory")


def test_verify_without_a_proof():
    refused(verify("nothing"), "cannot read nothing: No such file or directory")
    refused(verify("model"), "cannot read model: Is a directory")


@pytest.mark.parametrize("kind", [kind for kind in FILES if kind != "weights"])
def test_wrong_kind_of_weights(kind):
    refused(commit(weights=FILES[kind]), FILES[kind])


@pytest.mark.parametrize("kind", [kind for kind in FILES if kind != "array"])
def test_wrong_kind_of_arrays(kind):
    refused(commit(calibration=FILES[kind]), f"{FILES[kind]} is not a .npy file")
    refused(prove(input=FILES[kind]), f"{FILES[kind]} is not a .npy file")
    refused(verify(input=FILES[kind]), f"{FILES[kind]} is not a .npy file")


@pytest.mark.parametrize("kind", FILES)
def test_wrong_kind_of_model_folder(kind):
    refused(prove(model=FILES[kind]), f"{FILES[kind]} is no folder that zkbench commit wrote")


@pytest.mark.parametrize("kind", [kind for kind in FILES if kind != "proof"])
def test_wrong_kind_of_proof(kind):
    """A file that is no proof does not convince: that is a rejection."""
    done = verify(FILES[kind])
    assert (done.code, done.out) == (1, "rejected: not a zkbench proof file\n")


@pytest.mark.parametrize("kind", [kind for kind in FILES if kind != "statement"])
def test_wrong_kind_of_statement(kind):
    refused(verify(statement=FILES[kind]), FILES[kind], " is not ")


@pytest.mark.parametrize("kind", [kind for kind in FILES if kind != "commitment"])
def test_wrong_kind_of_commitment(kind):
    refused(verify(commitment=FILES[kind]), FILES[kind], " is not ")
    refused(zkbench("soundness", "--batch", 1, "--commitment", FILES[kind]), FILES[kind])


def test_wrong_files_in_the_model_folder():
    shutil.copy("weights.safetensors", "model/integer_model.safetensors")
    refused(prove(), "is no integer model of zkbench")
    os.remove("model/integer_model.safetensors")
    refused(prove(), "cannot read model/integer_model.safetensors: No such file")


def test_model_folder_without_a_commitment():
    os.remove(COMMITMENT)
    refused(prove(), "cannot read model/commitment.json: No such file")


def test_model_folder_with_the_commitment_of_another_model():
    write_model(Path("other.safetensors"), seed=9)
    assert commit("other", weights="other.safetensors").code == 0
    shutil.copy("other/commitment.json", COMMITMENT)
    refused(prove(), "is not the commitment to the model beside it; run zkbench commit again")


@pytest.mark.parametrize("name", ["weights.safetensors", "calibration.npy"])
def test_truncated_files(name):
    data = Path(name).read_bytes()
    for size in (0, 1, 7, 8, 60, len(data) // 2, len(data) - 1):
        Path(name).write_bytes(data[:size])
        refused(commit(), name)


def test_truncated_integer_model():
    path = Path("model/integer_model.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    refused(prove(), str(path))


# Weights.


def _weights(**changes: np.ndarray | None) -> None:
    tensors = safetensors.numpy.load_file("weights.safetensors")
    tensors |= {name.replace("_", "."): value for name, value in changes.items()}
    kept = {name: value for name, value in tensors.items() if value is not None}
    safetensors.numpy.save_file(kept, "bad.safetensors")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("tensor", ["2.weight", "4.bias"])
def test_weights_that_are_no_numbers(tensor, value):
    array = safetensors.numpy.load_file("weights.safetensors")[tensor].copy()
    array.flat[1] = value
    _weights(**{tensor.replace(".", "_"): array})
    refused(commit(weights="bad.safetensors"), f"tensor {tensor} holds NaN or infinite values")


BAD_SHAPES = [
    (
        {"2_weight": np.zeros((6, 5), np.float32)},
        "tensor 2.weight takes 5 values, but 0.weight gives 6",
    ),
    ({"2_weight": np.zeros((6, 6, 1), np.float32)}, "tensor 2.weight has shape (6, 6, 1)"),
    ({"2_weight": np.zeros((6, 6), np.int32)}, "2.weight"),
    ({"2_bias": np.zeros(5, np.float32)}, "tensor 2.bias has shape (5,)"),
    ({"2_bias": None}, "tensor 2.bias is missing"),
    ({"2_bias": None, "2_weight": None}, "tensor 2.weight is missing before layer 4"),
    ({"1_weight": np.zeros((6, 6), np.float32)}, "layer 1 stands where the ReLU"),
    ({"head_weight": np.zeros((6, 6), np.float32)}, "tensor head.weight is unknown"),
    ({"0_weight": np.zeros((6, 0), np.float32)}, "tensor 0.weight has shape (6, 0)"),
]


@pytest.mark.parametrize(("changes", "words"), BAD_SHAPES)
def test_tensors_that_make_no_model(changes, words):
    _weights(**changes)
    refused(commit(weights="bad.safetensors"), words)


def test_no_tensors():
    safetensors.numpy.save_file({}, "bad.safetensors")
    refused(commit(weights="bad.safetensors"), "the file holds no tensors")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shift": 0}, "shift is 0; it must be an integer in [1, 16]"),
        ({"shift": 17}, "shift is 17"),
        ({"shift": -1}, "shift is -1"),
        ({"headroom": -1}, "headroom is -1 bits"),
        ({"headroom": 15}, "headroom is 15 bits"),
    ],
)
def test_options_out_of_range(options, words):
    refused(commit(**options), words)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("frobnicate",),
        ("commit",),
        ("prove", "--model", "model"),
        ("verify", "proof"),
        ("commit", "--shift", "two"),
        ("verify", "proof", "--minimum-bits", "many"),
        ("verify", "proof", "--minimum-bits", "nan"),
        ("verify", "proof", "--minimum-bits", "inf"),
        ("prove", "--target", "tpu"),
        ("verify", "proof", "--nonsense"),
    ],
)
def test_usage(arguments):
    refused_by_argparse(zkbench(*arguments), "error: ")


def test_minimum_bits_that_are_no_number():
    done = verify(minimum_bits="nan")
    refused_by_argparse(done, "argument --minimum-bits: 'nan' is not a finite number")


def test_more_soundness_than_there_is():
    refused(prove(minimum_bits=120), "bits of soundness, below 120")


# Inputs.

BAD_ARRAYS = [
    (np.zeros((5, 3)), "has 3 features, the model takes 4"),
    (np.zeros((5, 4, 1)), "inputs are batch x features"),
    (np.zeros(4), "inputs are batch x features"),
    (np.zeros((0, 4)), "inputs are batch x features"),
    (np.array(1.0), "inputs are batch x features"),
    (np.full((1, 4), np.nan), "holds NaN or infinite values"),
    (np.full((1, 4), np.inf), "holds NaN or infinite values"),
    (np.full((1, 4), 1j), "inputs are real numbers"),
    (np.full((1, 4), "a"), "inputs are real numbers"),
    (np.zeros((1, 4), bool), "inputs are real numbers"),
]


@pytest.mark.parametrize(("array", "words"), BAD_ARRAYS)
def test_arrays_that_are_no_inputs(array, words):
    np.save("bad.npy", array)
    for done in (commit(calibration="bad.npy"), prove(input="bad.npy"), verify(input="bad.npy")):
        refused(done, "bad.npy", words)


def test_array_of_objects():
    """A pickle is not loaded."""
    np.save("bad.npy", np.array([[{}, 1, 2, 3]], dtype=object), allow_pickle=True)
    refused(prove(input="bad.npy"), "bad.npy is not a usable .npy file")


def test_input_outside_its_format():
    np.save("bad.npy", np.full((1, 4), 1e3))
    refused(prove(input="bad.npy"), "input at [0, 0] is 1000, outside", "--headroom")


def test_activation_outside_its_range():
    """The message names the layer and the remedy."""
    model = write_model(Path("wide.safetensors"), dims=(16, 4, 3))
    # One feature at a time; then all of them, each with its weight's sign.
    np.save("narrow.npy", np.eye(16))
    done = commit(
        "wide", weights="wide.safetensors", calibration="narrow.npy", headroom=0, shift=12
    )
    assert done.code == 0
    np.save("bad.npy", np.sign(model.weights[0][2:3]) * 0.99)
    refused(
        prove(model="wide", input="bad.npy"),
        "activation of layer 0 (hidden) reaches ",
        "outside 16 bits",
        "recalibrate with these inputs or leave more headroom (--headroom)",
    )


def test_statement_about_other_inputs():
    np.save("other.npy", np.load("inputs.npy") + 0.25)
    refused(verify(input="other.npy"), "the statement is not about the inputs in other.npy")
    np.save("other.npy", np.load("inputs.npy")[:2])
    refused(verify(input="other.npy"), "the statement is not about the inputs in other.npy")


@pytest.mark.skipif(cuda_available(), reason="there is a CUDA GPU here")
def test_cuda_without_a_gpu():
    for done in (commit(target="cuda"), prove(target="cuda")):
        refused(done, "target cuda needs an NVIDIA GPU", "use --target cpu")
    refused(zkbench("bench", "tlookup", "--target", "cuda"), "use --target cpu")


# Soundness.


def test_soundness_of_nothing():
    refused(
        zkbench("soundness", "--commitment", COMMITMENT), "give a proof, --statement or --batch"
    )


def test_soundness_of_contradictions():
    arguments = ("soundness", "proof", "--commitment", COMMITMENT)
    refused(zkbench(*arguments, "--batch", 4), "about 4 and 5 inputs")
    for batch in (0, -1, 10**30):
        refused(zkbench(*arguments, "--batch", batch), "--batch must lie in [1, ")


def test_soundness_of_another_models_proof():
    write_model(Path("other.safetensors"), dims=(4, 5, 3))
    assert commit("other", weights="other.safetensors").code == 0
    done = zkbench("soundness", "proof", "--commitment", "other/commitment.json")
    refused(done, "proof was made with other parameters than the commitment's")
    done = zkbench("soundness", "statement.json", "--commitment", COMMITMENT)
    refused(done, "statement.json cannot be read: not a zkbench proof file")
