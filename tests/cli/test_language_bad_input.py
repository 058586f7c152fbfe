"""What a user can get wrong with a language model: one clear sentence and exit code 2."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from cli_case import (
    assign,
    every_wrong_value,
    refused,
    refused_by_argparse,
    write_model,
    zkbench,
)
from language_cli_case import commit_language, prove_language, verify_language

PUBLIC = ("llama.json", "m-llama/commitment.json")


@pytest.fixture(autouse=True)
def leaves_nothing(languages):
    """Whatever was wrong: no file appears of those that the tests do not make."""
    yield
    for name in ("new", "p", "s"):
        assert not os.path.lexists(name), f"{name} was left behind"
    parts = [name for _, _, names in os.walk(".") for name in names if name.endswith(".part")]
    assert parts == []


# commit


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "bert"}, "--model bert is unknown; there are llama, opt, llama-bytes"),
        ({"weights": None}, "--model llama needs --weights with a checkpoint"),
        ({"calibration": None}, "and --calibration with a text"),
        ({"weights": "nothing"}, "nothing"),
        ({"weights": "text.txt"}, "text.txt"),
        ({"weights": "m-llama"}, "m-llama"),
        ({"weights": "opt"}, "--model is llama, but opt is of the family opt"),
        ({"calibration": "nothing"}, "cannot read nothing: No such file or directory"),
        ({"calibration": "llama"}, "cannot read llama: Is a directory"),
        ({"calibration": "llama/model.safetensors"}, "neither a text in UTF-8 nor a .npy file"),
        ({"shift": 12}, "--shift is not for language models"),
        ({"context": 0}, "--context must lie in [1, 32768]"),
        ({"headroom": 15}, "headroom is 15 bits"),
        ({"scheme": "ligero", "johnson": True}, "--johnson is for --scheme whir"),
        ({"model": "llama-bytes"}, "--weights is not for --model llama-bytes"),
        ({"weights": None, "random": "opt-125m"}, "--calibration is not for --random"),
        ({"weights": None, "random": "gpt-5", "calibration": None}, "preset 'gpt-5' is unknown"),
        (
            {"weights": None, "random": "opt-125m", "calibration": None},
            "--model is llama, but opt-125m is of the family opt",
        ),
    ],
)
def test_commit(options, words):
    refused(commit_language(**options), words)


def test_commit_without_a_model_needs_weights():
    refused(
        zkbench("commit", "--out", "new"), "give --weights and --calibration, or name a --model"
    )


def test_weights_and_random_weights():
    refused_by_argparse(commit_language(random="opt-125m"), "not allowed with argument --weights")


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (np.array([1]), "has fewer than two tokens"),
        (np.array([], np.int64), "there are no tokens"),
        (np.array([1, 256]), "outside of the vocabulary [0, 256)"),
        (np.array([[1, 2]]), "tokens have one axis"),
        (np.array([1.0, 2.0]), "tokens are integers"),
    ],
)
def test_calibration_on_tokens(tokens, words):
    np.save("bad.npy", tokens)
    refused(commit_language(calibration="bad.npy"), words)


def test_empty_calibration():
    Path("empty.txt").write_text("")
    refused(commit_language(calibration="empty.txt"), "there are no tokens")


def test_damaged_checkpoint():
    path = Path("llama/model.safetensors")
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    refused(commit_language(), "model.safetensors is truncated: tensor")
    path.write_bytes(data)
    config = json.loads(Path("llama/config.json").read_text())
    Path("llama/config.json").write_text(json.dumps({**config, "intermediate_size": 21}))
    refused(commit_language(), "has shape (20, 12); config.json gives it (21, 12)")


# prove


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prompt": ""}, "the prompt is empty"),
        ({"prompt": "\udcff"}, "the prompt is not valid UTF-8"),
        ({"model": "nothing"}, "nothing is no folder that zkbench commit wrote"),
        ({"model": "llama"}, "cannot read llama/commitment.json"),
        ({"tokens": "nothing"}, "cannot read nothing: No such file or directory"),
        ({"tokens": "text.txt"}, "text.txt is not a .npy file"),
        ({"input": "text.txt"}, "m-llama holds a language model; give --prompt or --tokens"),
        ({"positions": "first"}, "--positions is 'first'; it must be last, all or a list"),
        ({"positions": ""}, "--positions is ''"),
        ({"positions": "1,,2"}, "--positions is '1,,2'"),
        ({"positions": "8"}, "position 8 is none of the prompt's 8 tokens"),
        ({"positions": "3,-1"}, "position -1 is none of the prompt's 8 tokens"),
        ({"positions": "1,2,1"}, "--positions has a position twice"),
        ({"minimum_bits": 120}, "bits of soundness, below 120; use fewer tokens"),
        ({"model": "m-opt", "prompt": "x" * 65}, "65 tokens take 128 positions; the model has 64"),
        ({"out": "nowhere/p"}, "cannot write nowhere/p: No such file or directory"),
    ],
)
def test_prove(options, words):
    refused(prove_language(**options), words)


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (np.array([], np.int64), "the prompt is empty"),
        (np.array([5, 256]), "token 256 is outside of the vocabulary [0, 256)"),
        (np.array([-1]), "token -1 is outside of the vocabulary"),
        (np.array([2**63], np.uint64), "holds 9223372036854775808"),
        (np.array([[1]]), "tokens have one axis"),
        (np.array([1.0]), "tokens are integers"),
        (np.array(["a"]), "tokens are integers"),
        (np.zeros(1 << 16, np.int64), "65536 tokens; a proof takes 32768"),
    ],
)
def test_prove_tokens(tokens, words):
    np.save("bad.npy", tokens)
    refused(prove_language(tokens="bad.npy"), words)


def test_prompt_and_tokens():
    refused_by_argparse(prove_language(prompt="a", tokens="b"), "not allowed with argument")
    refused(
        zkbench("prove", "--model", "m-llama", "--out", "p", "--statement", "s"),
        "give --input, or for a language model --prompt or --tokens",
    )


def test_a_perceptron_takes_no_prompt():
    write_model(Path("weights.safetensors"))
    np.save("inputs.npy", np.zeros((3, 4)))
    source = ("--weights", "weights.safetensors", "--calibration", "inputs.npy")
    assert zkbench("commit", *source, "--out", "mlp").code == 0
    refused(prove_language(model="mlp"), "--prompt is not for the perceptron in mlp")
    done = zkbench("soundness", "--commitment", "mlp/commitment.json", "--num-tokens", 3)
    refused(done, "--num-tokens is not for a perceptron")
    done = verify_language(commitment="mlp/commitment.json")
    assert (done.code, done.out) == (1, "rejected: the statement is about another model\n")


def test_files_of_the_model_folder():
    shutil.copy("m-opt/commitment.json", "m-llama/commitment.json")
    refused(prove_language(), "is not the commitment to the model beside it")
    os.remove("m-llama/integer_model.safetensors")
    refused(prove_language(), "cannot read m-llama/integer_model.safetensors")
    Path("m-llama/integer_model.safetensors").write_bytes(b"junk")
    refused(prove_language(), "is not a safetensors file")


def test_truncated_model_file():
    path = Path("m-llama/integer_model.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    refused(prove_language(), "integer_model.safetensors is truncated")


def test_disk_full_while_committing(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("zkbench.models.mapped_tensors._write_all", full)
    before = Path("m-llama/commitment.json").read_bytes()
    done = commit_language(model="opt", weights="opt", out="m-llama")
    refused(done, "cannot write m-llama/integer_model.safetensors: No space left on device")
    assert Path("m-llama/commitment.json").read_bytes() == before


# verify and soundness


def test_verify_against_ones_own_prompt():
    refused(verify_language(prompt="To prove it"), "the statement is not about this prompt")
    np.save("t.npy", np.arange(8))
    refused(verify_language(tokens="t.npy"), "the statement is not about the tokens in t.npy")
    refused(verify_language(input="t.npy"), "--input is not for a language model")


def test_soundness():
    arguments = ("soundness", "--commitment", "m-llama/commitment.json")
    refused(zkbench(*arguments), "give a proof, --statement or --num-tokens")
    refused(zkbench(*arguments, "--batch", 3), "--batch is not for a language model")
    refused(zkbench(*arguments, "--num-positions", 3), "--num-positions is not for sizes without")
    refused(zkbench(*arguments, "--num-tokens", 0), "--num-tokens must lie in [1, 32768]")
    refused(zkbench(*arguments, "--num-tokens", 4, "--num-positions", 5), "must lie in [1, 4]")
    both = (*arguments, "llama.proof", "--num-tokens", 4)
    refused(zkbench(*both), "what is given is about 1 of 4 and 1 of 8 tokens")
    refused(zkbench(*arguments, "opt.proof"), "was made with other parameters")
    refused(zkbench(*arguments, "text.txt"), "text.txt cannot be read: not a zkbench proof file")


def test_info():
    refused(zkbench("info", "nothing"), "cannot read nothing: No such file or directory")
    refused(zkbench("info", "llama.json"), "llama.json is not a zkbench model commitment")


# Public files from strangers.


@pytest.mark.parametrize("name", PUBLIC)
def test_wrong_types_everywhere(languages, name):
    assert every_wrong_value(languages / name, verify_language) == {1, 2}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("tokens",), []),
        (("tokens",), [0] * 40000),
        (("tokens", 0), 2**31),
        (("tokens", 0), 65.0),
        (("positions",), [3, 3]),
        (("positions",), [7, 3]),
        (("positions",), [8]),
        (("chosen",), [1, 2]),
        (("model",), "F" * 64),
        (("kind",), "mlp-inference"),
    ],
)
def test_statements_that_are_none(languages, path, value):
    _edit(languages / "llama.json", path, value)
    refused(verify_language(), "llama.json is malformed")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("kind",), "mlp", "malformed"),
        (("kind",), "rnn", "its kind is none of mlp, language"),
        (("config", "kv_heads"), 3, "4 heads cannot share 3 key heads evenly"),
        (("config", "head_width"), 5, "head width 5 is odd"),
        (("config", "layers"), 3, "2 layers have formats, not 3"),
        (("config", "width"), 1 << 20, "width"),
        (("config", "embedding_width"), 8, "an embedding as wide as the model"),
        (("config", "activation"), "relu", "only silu is supported"),
        (("config", "norm_first"), False, "norms first"),
        (("config", "rope_theta"), 1e-300, "rope_theta"),
        (("config", "family"), "opt", "do not make a width"),
        (("formats", "shifts", "q"), 17, "shifts"),
        (("formats", "shifts", "extra"), 3, "the shift extra is unknown"),
        (("formats", "residual"), 1100, "layer 0 do not fit together"),
        (("formats", "residual"), 30, "2^32 that a proof allows"),
        (("formats", "residual"), -1100, "malformed"),
        (("formats", "positions"), 3, "positions for another family"),
        (("formats", "tolerance"), 1 << 15, "tolerance"),
        (("formats", "epsilon"), 1 << 50, "epsilon"),
        (("formats", "score_bits"), 11, "malformed"),
        (("formats", "layers", 0, "q"), 3, "layer 0 do not fit together"),
        (("formats", "layers", 0, "extra"), 3, "extra is unknown"),
        (("tables", "exponentials"), "0" * 64, "the table exponentials of"),
        (("tables", "rotary"), None, "the table rotary of"),
        (("tokenizer",), {"files": {"other.bin": "0" * 64}}, "tokenizer"),
        (("scheme", "field"), "bn254", "unknown field 'bn254'"),
        (("root",), "0" * 63, "root"),
    ],
)
def test_commitments_that_are_none(languages, path, value, words):
    _edit(languages / "m-llama/commitment.json", path, value)
    refused(verify_language(), "m-llama/commitment.json", words)
    arguments = ("--num-tokens", 5, "--commitment", "m-llama/commitment.json")
    refused(zkbench("soundness", *arguments), words)


def test_a_model_beyond_all_sizes(languages):
    """Every number within its own bounds."""
    for key, value in {"heads": 1024, "kv_heads": 1024, "head_width": 4096, "width": 16384}.items():
        _edit(languages / "m-llama/commitment.json", ("config", key), value)
    _edit(languages / "m-llama/commitment.json", ("config", "embedding_width"), 16384)
    formats = json.loads((languages / "m-llama/commitment.json").read_text())["formats"]
    _edit(languages / "m-llama/commitment.json", ("config", "layers"), 64)
    _edit(languages / "m-llama/commitment.json", ("formats", "layers"), formats["layers"][:1] * 64)
    refused(verify_language(), "parameters is too large")


def test_weak_scheme_in_the_commitment(languages):
    """With the statement's digest repaired: the verifier's minimum is what counts."""
    from zkbench.public_files import read_any_commitment

    commitment = languages / "m-llama/commitment.json"
    _edit(commitment, ("scheme", "security_bits"), 1)
    _edit(languages / "llama.json", ("model",), read_any_commitment(commitment).digest)
    done = verify_language()
    assert done.code == 1
    assert done.out.startswith("rejected: its parameters give only ")


def _edit(file: Path, path: tuple, value: object) -> None:
    data = json.loads(file.read_text())
    assign(*path, value)(data)
    file.write_text(json.dumps(data))
