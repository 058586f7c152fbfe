"""Tiny checkpoints of language models, as Hugging Face's libraries write them, with random weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from zkbench.models.language.checkpoint import RandomWeights
from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.integer_model import IntegerLanguageModel
from zkbench.models.language.tensor_names import expected_shapes
from zkbench.models.tensor_files import write_safetensors
from zkbench.quant.language_calibration import calibrate_language_model

LLAMA = LanguageModelConfig(
    family="llama",
    vocab=256,
    width=12,
    layers=2,
    heads=4,
    kv_heads=2,
    head_width=4,
    ffn_width=20,
    max_positions=64,
    embedding_width=12,
)
OPT = replace(
    LLAMA,
    family="opt",
    heads=3,
    kv_heads=3,
    tied=True,
    activation="relu",
    attention_bias=True,
    ffn_bias=True,
)
CONFIGS = {"llama": LLAMA, "opt": OPT}
# Of OPT-350M's shape: norms behind the sums, and projections from and to narrower embeddings.
NORMS_LAST = replace(OPT, norm_first=False, embedding_width=8)
KINDS = {**CONFIGS, "norms last": NORMS_LAST}


def write_checkpoint(folder: Path, config: LanguageModelConfig, seed: int = 1) -> Path:
    """config.json and model.safetensors in a new folder."""
    weights = RandomWeights(config, seed)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config.to_huggingface()))
    tensors = {name: weights.tensor(name) for name in expected_shapes(config)}
    write_safetensors(folder / "model.safetensors", tensors)
    return folder


def some_tokens(config: LanguageModelConfig, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, config.vocab, count)


def integer_model(config: LanguageModelConfig, seed: int = 1) -> IntegerLanguageModel:
    """Calibrated on random tokens, held in memory."""
    tokens = some_tokens(config, 1001)
    model, _ = calibrate_language_model(RandomWeights(config, seed), tokens, window=20)
    return model.in_memory()
