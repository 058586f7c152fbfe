"""The shipped models: as good on held-out text as stated, and in integers as in floating point."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from zkbench.models.language.checkpoint import Checkpoint
from zkbench.models.language.corpus import (
    held_out_text,
    is_held_out,
    paragraphs,
    training_text,
    word_hash,
)
from zkbench.models.language.float_model import FloatLanguageModel
from zkbench.models.language.perplexity import bits, mean_nats
from zkbench.models.language.shipped import SHIPPED, shipped
from zkbench.models.language.tokenizer import load_tokenizer
from zkbench.quant.language_calibration import calibrate_language_model
from zkbench.quant.language_report import report_language_model

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "experiments" / "train_language_models.py"


@pytest.mark.parametrize("name", SHIPPED)
def test_perplexity_in_integers_within_half_a_percent_of_float(name):
    weights = Checkpoint(shipped(name))
    tokenizer = load_tokenizer(shipped(name), weights.config)
    model, ranges = calibrate_language_model(weights, tokenizer.encode(training_text()))
    report = report_language_model(
        FloatLanguageModel(weights, np.float32),
        model.in_memory(),
        ranges,
        tokenizer.encode(held_out_text())[: 40 * 128 + 1],
    )
    found = report.comparison
    assert found.tokens == 40 * 128
    assert bits(found.float_nats) < 2.6
    assert abs(found.perplexity_change) < 0.005
    assert found.agreement > 0.99
    assert report.narrow == ()
    assert model.formats.tolerance == 512
    rows = report.ranges.rows
    assert all(row.range_used <= 1 for row in rows)
    assert {"weight q of layer 0", "o of layer 3", "logits"} <= {row.name for row in rows}
    errors = {row.name: row.rms_error / row.max_abs for row in rows}
    assert max(errors.values()) < 0.005, max(errors, key=errors.get)
    assert f"perplexity on {40 * 128} tokens" in report.to_text()
    assert json.dumps(report.to_dict())


@pytest.mark.parametrize("name", SHIPPED)
def test_any_bytes_are_a_prompt(name):
    """Texts that no calibration has seen stay within its headroom."""
    weights = Checkpoint(shipped(name))
    tokenizer = load_tokenizer(shipped(name), weights.config)
    model, _ = calibrate_language_model(weights, tokenizer.encode(training_text()))
    held = model.in_memory()
    rng = np.random.default_rng(0)
    prompts = [rng.integers(0, 256, length) for length in (1, 2, 77, 128)]
    for prompt in [*prompts, np.full(128, 0), np.full(128, 255), np.full(128, ord("a"))]:
        assert held.logits(prompt).shape == (len(prompt), 256)


@pytest.mark.parametrize("name", SHIPPED)
def test_bits_stated_beside_the_weights_are_those_of_the_held_out_text(name):
    stated = json.loads((shipped(name) / "training.json").read_text())
    assert stated["held_out_bits_a_byte"] < 2.1  # far below a bigram's 3.7
    weights, text = Checkpoint(shipped(name)), held_out_text()
    tokens = load_tokenizer(shipped(name), weights.config).encode(text)
    found = bits(mean_nats(FloatLanguageModel(weights, np.float32).logits, tokens, 128))
    same_text = hashlib.sha256(text.encode()).hexdigest() == stated["text_sha256"]["held_out"]
    # Other Python versions have other topics; their words are as English.
    assert abs(found - stated["held_out_bits_a_byte"]) < (0.0002 if same_text else 0.5)


def test_paragraphs_are_held_out_by_their_words():
    found = paragraphs({"b": "one  two\n\n\n three", "a": "one\ntwo\n \nfour\n\n  \n"})
    assert found == ["one\ntwo", "four", "three"]
    assert word_hash("one two") == word_hash(" one\n two ")
    # Which paragraphs are held out must never change: models were trained on the others.
    held_out = [i for i in range(60) if is_held_out(f"paragraph {i}")]
    assert held_out == [1, 14, 31, 39, 42, 45]


def test_training_and_held_out_text_share_no_paragraph():
    training, held_out = set(training_text().split("\n\n")), set(held_out_text().split("\n\n"))
    assert not training & held_out
    assert 0.05 < len(held_out_text()) / len(training_text()) < 0.2


def test_training_is_deterministic_and_writes_a_checkpoint(tmp_path):
    pytest.importorskip("torch")
    for folder, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        command = [sys.executable, str(SCRIPT), "--model", "opt-bytes", "--steps", "2"]
        command += ["--out", str(tmp_path / folder), "--seed", seed]
        subprocess.run(command, check=True, capture_output=True, env={"PYTHONPATH": str(ROOT)})
    data = [(tmp_path / f / "opt-bytes" / "model.safetensors").read_bytes() for f in "abc"]
    assert data[0] == data[1] != data[2]
    trained = Checkpoint(tmp_path / "a" / "opt-bytes")
    assert trained.config == Checkpoint(shipped("opt-bytes")).config
