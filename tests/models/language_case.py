"""Small language models of every kind, with random weights, and their integer models."""

from dataclasses import replace
from functools import cache

import numpy as np

from zkbench.models.language.checkpoint import RandomWeights
from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.integer_model import IntegerLanguageModel
from zkbench.models.language.integer_tensors import HeldTensors, described_tensors
from zkbench.quant.language_calibration import CalibrationOptions, calibrate_language_model

LLAMA = LanguageModelConfig(
    family="llama",
    vocab=19,
    width=12,
    layers=3,
    heads=4,
    kv_heads=2,
    head_width=4,
    ffn_width=20,
    max_positions=32,
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

CONFIGS = {
    "llama": LLAMA,
    "llama with biases, tied": replace(LLAMA, tied=True, attention_bias=True, ffn_bias=True),
    "llama, one key": replace(LLAMA, kv_heads=1),
    "opt": OPT,
    "opt, gelu": replace(OPT, activation="gelu"),
    "opt, no biases": replace(OPT, attention_bias=False, ffn_bias=False, tied=False),
    "opt, norms last": replace(OPT, norm_first=False, embedding_width=8),
    "opt, norms last, no biases": replace(
        OPT, norm_first=False, attention_bias=False, ffn_bias=False
    ),
}


def some_tokens(config: LanguageModelConfig, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, config.vocab, count)


@cache
def integer_model(kind: str, options: CalibrationOptions | None = None) -> IntegerLanguageModel:
    """Calibrated on random tokens, held in memory."""
    config = CONFIGS[kind]
    tokens = some_tokens(config, 401)
    model, _ = calibrate_language_model(RandomWeights(config, 1), tokens, options, window=20)
    return model.in_memory()


def with_tensor(model: IntegerLanguageModel, name: str, tensor: np.ndarray) -> IntegerLanguageModel:
    """The same model with one tensor replaced."""
    held = {key: model.tensor(key) for key in described_tensors(model.config)}
    return IntegerLanguageModel(model.config, model.formats, HeldTensors({**held, name: tensor}))
