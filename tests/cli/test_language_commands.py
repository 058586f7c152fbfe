"""Language models on the command line: from a checkpoint to a verified proof."""

from __future__ import annotations

import json
import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cases.checkpoints import CONFIGS, KINDS, LLAMA, NORMS_LAST, write_checkpoint
from cli_case import zkbench
from language_cli_case import PROMPT, commit_language, prove_language, verify_language

from zkbench.models.language.integer_model import IntegerLanguageModel

FAMILIES = list(CONFIGS)


@pytest.fixture(autouse=True)
def _in_the_folder(languages):
    """All tests run in a copy of the files."""


@pytest.mark.parametrize("family", FAMILIES)
def test_commit_prints_the_report_and_where_the_commitment_is(family):
    done = commit_language(model=family, weights=family, out="a/new")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].split()[0] == "tensor"
    assert any("perplexity on" in line and "in integers" in line for line in lines)
    assert lines[-1].startswith("committed to model ")
    assert lines[-1].endswith(" on cpu: a/new/commitment.json")
    assert sorted(os.listdir("a/new")) == ["commitment.json", "integer_model.safetensors"]
    assert stat.S_IMODE(os.stat("a/new/integer_model.safetensors").st_mode) == 0o600
    same = Path(f"m-{family}/commitment.json").read_bytes()
    assert Path("a/new/commitment.json").read_bytes() == same


def test_commit_as_json():
    result = json.loads(commit_language(json=True).out)
    keys = {"model", "commitment", "config", "parameters", "scheme", "target", "seconds", "report"}
    assert set(result) == keys
    assert result["config"] == LLAMA.to_dict()
    assert result["parameters"] == 2 * 256 * 12 + 2 * (2 * 12 * 16 + 2 * 12 * 8 + 3 * 12 * 20)
    assert result["report"]["comparison"]["perplexity_change"] < 0.01


@pytest.mark.parametrize("family", FAMILIES)
def test_prove_prints_the_continuation_and_one_line(family):
    done = prove_language(model=f"m-{family}")
    assert (done.code, done.err) == (0, "")
    first, second = done.out.splitlines()
    chosen = json.loads(Path("s").read_text())["chosen"]
    said = repr(bytes(chosen).decode(errors="replace"))
    assert first == f"continuation: {said}"
    assert second.startswith(f"proved 1 token behind a prompt of {len(PROMPT)} by model ")
    for words in ("on cpu", "bits of soundness", "not zero-knowledge"):
        assert words in second
    assert Path("p").read_bytes() == Path(f"{family}.proof").read_bytes()


def test_prove_as_json_and_at_all_positions():
    result = json.loads(prove_language(json=True, positions="all").out)
    model = IntegerLanguageModel.load("m-llama")
    tokens = np.frombuffer(PROMPT.encode(), np.uint8).astype(np.int64)
    assert result["chosen"] == model.logits(tokens).argmax(axis=-1).tolist()
    assert result["positions"] == list(range(len(PROMPT)))
    assert result["text"] == bytes(result["chosen"]).decode(errors="replace")
    assert result["proof_bytes"] == os.path.getsize("p")
    assert result["soundness_bits"] >= 100
    assert set(result["phases"]) == {"witness", "commit", "lookups", "sumchecks", "opening"}
    done = verify_language(proof="p", statement="s")
    assert done.code == 0
    assert f"chooses behind {len(PROMPT)} positions of {len(PROMPT)} tokens" in done.out
    done = zkbench("soundness", "p", "--commitment", "m-llama/commitment.json", "--json")
    sizes = json.loads(done.out)
    assert (sizes["tokens"], sizes["positions"]) == (len(PROMPT), len(PROMPT))


@pytest.mark.parametrize("family", FAMILIES)
def test_prove_in_segments(family):
    done = prove_language(model=f"m-{family}", segment=1)
    assert (done.code, done.err) == (0, "")
    assert f"by model {commitment_digest(family)[:16]} in 2 segments on cpu" in done.out
    assert Path("s").read_bytes() == Path(f"{family}.json").read_bytes()
    whole, cut = os.path.getsize(f"{family}.proof"), os.path.getsize("p")
    assert 1.5 * whole < cut < 2.5 * whole
    done = verify_language(family, proof="p", statement="s")
    assert (done.code, done.err) == (0, "")
    assert f"{cut:,} bytes" in done.out
    said = [
        zkbench("soundness", *of, "--commitment", f"m-{family}/commitment.json", "--json")
        for of in (["p"], ["--num-tokens", len(PROMPT), "--segment", 1])
    ]
    assert said[0].out == said[1].out
    assert json.loads(said[0].out)["segment"] == 1
    assert json.loads(said[0].out)["total_bits"] >= 100


def test_segments_as_json():
    result = json.loads(prove_language(json=True, segment=2).out)
    assert result["segment"] == 2
    assert Path("p").read_bytes() == Path("llama.proof").read_bytes()


def commitment_digest(family):
    return json.loads(Path(f"{family}.json").read_text())["model"]


def test_tokens_instead_of_a_prompt():
    np.save("t.npy", np.frombuffer(PROMPT.encode(), np.uint8))
    assert prove_language(tokens="t.npy").code == 0
    assert Path("s").read_bytes() == Path("llama.json").read_bytes()
    assert prove_language(tokens="t.npy", positions="5,0").code == 0
    assert json.loads(Path("s").read_text())["positions"] == [0, 5]
    done = verify_language(proof="p", statement="s", tokens="t.npy")
    assert done.code == 0
    assert "chooses behind 2 positions" in done.out


@pytest.mark.parametrize("family", FAMILIES)
def test_verify_prints_one_line(family):
    done = verify_language(family)
    assert (done.code, done.err) == (0, "")
    (line,) = done.out.splitlines()
    (token,) = json.loads(Path(f"{family}.json").read_text())["chosen"]
    assert line.startswith("accepted: model ")
    assert f"continues {len(PROMPT)} tokens ({PROMPT!r}) with token {token} " in line
    assert "not zero-knowledge" in line


def test_verify_as_json():
    result = json.loads(verify_language(json=True).out)
    assert result["accepted"] is True
    assert result["tokens"] == len(PROMPT)
    assert result["positions"] == [len(PROMPT) - 1]
    assert result["proof_bytes"] == os.path.getsize("llama.proof")
    assert result["soundness_bits"] >= 100


def test_verify_needs_nothing_secret():
    shutil.rmtree("llama")
    os.remove("m-llama/integer_model.safetensors")
    assert verify_language(prompt=PROMPT).code == 0


def test_other_proofs_are_rejected():
    assert verify_language(proof="opt.proof").code == 1
    done = verify_language(commitment="m-opt/commitment.json")
    assert (done.code, done.out) == (1, "rejected: the statement is about another model\n")
    done = verify_language(minimum_bits=110)
    assert done.code == 1
    assert done.out.startswith("rejected: its parameters give only 10")
    data = Path("llama.proof").read_bytes()
    for size in (0, 20, len(data) // 2, len(data) - 1):
        Path("llama.proof").write_bytes(data[:size])
        done = verify_language()
        assert (done.code, done.err) == (1, "")
        assert done.out.startswith("rejected: ")


def test_a_statement_about_another_prompt(languages):
    """Told apart by the verifier's own prompt; with the statement changed, by the proof."""
    statement = json.loads((languages / "llama.json").read_text())
    statement["tokens"][0] ^= 1
    (languages / "llama.json").write_text(json.dumps(statement))
    done = verify_language()
    assert (done.code, done.out) == (1, "rejected: the proof is of another statement\n")


def test_control_characters_of_a_stranger_stay_escaped(languages):
    assert prove_language(prompt="\x1b[2Jno\n").code == 0
    done = verify_language(proof="p", statement="s")
    assert done.code == 0
    assert "\x1b" not in done.out
    assert "'\\x1b[2Jno\\n'" in done.out


def test_soundness_of_sizes():
    arguments = ("soundness", "--commitment", "m-llama/commitment.json")
    of_proof = zkbench(*arguments, "--statement", "llama.json")
    assert of_proof.code == 0
    by_size = zkbench(*arguments, "--num-tokens", len(PROMPT))
    assert by_size.out == of_proof.out
    assert "in total" in by_size.out


@pytest.mark.parametrize("family", FAMILIES)
def test_info_of_a_commitment(family):
    for path in (f"m-{family}", f"m-{family}/commitment.json"):
        done = zkbench("info", path)
        assert done.code == 0
        assert "kind: language" in done.out
        assert f"config: family {family}, vocab 256" in done.out
        assert "tokenizer: bytes" in done.out
    result = json.loads(zkbench("info", f"m-{family}", "--json").out)
    assert result["config"] == CONFIGS[family].to_dict()


def test_a_model_without_a_tokenizer_takes_tokens():
    """Calibrated on tokens, too; the statement is told in numbers."""
    write_checkpoint(Path("small"), replace(LLAMA, vocab=19))
    np.save("calibration.npy", np.arange(900) * 7 % 19)
    assert commit_language(weights="small", calibration="calibration.npy").code == 0
    np.save("t.npy", np.array([3, 1, 4]))
    done = prove_language(model="new", tokens="t.npy")
    assert done.code == 0
    (token,) = json.loads(Path("s").read_text())["chosen"]
    assert done.out.startswith(f"continuation: {token}\n")
    done = verify_language(proof="p", statement="s", commitment="new/commitment.json")
    assert f"continues 3 tokens with token {token} (" in done.out


def test_a_checkpoints_tokenizer_goes_with_the_model(languages):
    tokenizers = pytest.importorskip("tokenizers")
    words = {"[UNK]": 0} | {word: i for i, word in enumerate(("a", "proof", "convinces"), 1)}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.save("llama/tokenizer.json")
    assert commit_language().code == 0
    assert Path("new/tokenizer.json").read_bytes() == Path("llama/tokenizer.json").read_bytes()
    assert prove_language(model="new", prompt="a proof convinces").code == 0
    assert json.loads(Path("s").read_text())["tokens"] == [1, 2, 3]
    Path("new/tokenizer.json").write_text("{}")
    assert verify_language(proof="p", statement="s", commitment="new/commitment.json").code == 0
    assert prove_language(model="new", prompt="a proof").code == 2


@pytest.mark.parametrize(("name", "kind"), [("opt-125m", "opt"), ("opt-350m", "norms last")])
def test_random_weights_of_a_published_shape(monkeypatch, name, kind):
    """The same seed, the same model; a preset cut to size for the test."""
    from zkbench.models.language import presets

    assert presets.PRESETS[name].norm_first == KINDS[kind].norm_first
    assert presets.PRESETS[name].has_projections == KINDS[kind].has_projections
    monkeypatch.setitem(presets.PRESETS, name, replace(KINDS[kind], vocab=300))
    digests = []
    for seed in (1, 1, 2):
        done = zkbench("commit", "--random", name, "--seed", seed, "--out", "new", "--json")
        assert done.code == 0, done.err
        digests.append(json.loads(done.out)["model"])
    assert digests[0] == digests[1] != digests[2]
    np.save("t.npy", np.arange(9))
    assert prove_language(model="new", tokens="t.npy").code == 0
    done = verify_language(proof="p", statement="s", commitment="new/commitment.json")
    assert done.code == 0


def test_a_checkpoint_with_norms_behind_the_sums_and_projections():
    write_checkpoint(Path("late"), NORMS_LAST)
    done = commit_language(model="opt", weights="late")
    assert done.code == 0, done.err
    assert prove_language(model="new", prompt="Late").code == 0
    assert verify_language(proof="p", statement="s", commitment="new/commitment.json").code == 0


def test_a_shipped_model():
    done = zkbench("commit", "--model", "opt-bytes", "--out", "new", "--json")
    assert done.code == 0
    report = json.loads(done.out)["report"]
    assert abs(report["comparison"]["perplexity_change"]) < 0.005
    assert report["comparison"]["integer_bits"] < 3
    assert prove_language(model="new", prompt="The value of the expressio").code == 0
    done = verify_language(proof="p", statement="s", commitment="new/commitment.json")
    assert (done.code, "with token 110 'n'" in done.out) == (0, True)
