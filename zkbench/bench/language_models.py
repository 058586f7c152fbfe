"""The language models that are measured: shipped ones, and published shapes with random weights.

Everything follows from the model's name and a seed. A shipped model is calibrated on the training text
that comes with Python, and its prompt is the beginning of the held-out text; a random model's formats
and weights follow from the seed, and so do its tokens.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zkbench.errors import UnusableInput
from zkbench.models.language.checkpoint import Checkpoint
from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.corpus import held_out_text, training_text
from zkbench.models.language.integer_model import IntegerLanguageModel
from zkbench.models.language.presets import PRESETS
from zkbench.models.language.random_model import random_integer_model
from zkbench.models.language.shipped import SHIPPED, shipped
from zkbench.models.language.tokenizer import load_tokenizer
from zkbench.quant.language_calibration import calibrate_language_model

Tokens = NDArray[np.int64]


def measured_models() -> tuple[str, ...]:
    """Names of the models that there are."""
    return (*SHIPPED, *PRESETS)


def config_of(name: str) -> LanguageModelConfig:
    """The architecture of a model."""
    if name in SHIPPED:
        return LanguageModelConfig.from_huggingface(shipped(name))
    return PRESETS[name]


def integer_model(name: str, seed: int) -> IntegerLanguageModel:
    """The model in integers; its tensors are made when they are asked for."""
    if name not in SHIPPED:
        return random_integer_model(PRESETS[name], seed)
    weights = Checkpoint(shipped(name))
    model, _ = calibrate_language_model(weights, encoded(name, training_text()))
    return model


def prompt(name: str, positions: int, seed: int) -> Tokens:
    """So many tokens. Raises UnusableInput for more than the text or the model has."""
    if name not in SHIPPED:
        random = np.random.default_rng(seed)
        return random.integers(0, PRESETS[name].vocab, positions, dtype=np.int64)
    tokens = encoded(name, held_out_text())[:positions]
    if len(tokens) < positions:
        raise UnusableInput(f"the held-out text has {len(tokens)} tokens, not {positions}")
    return tokens


def encoded(name: str, text: str) -> Tokens:
    """A text in the tokens of a shipped model."""
    folder = shipped(name)
    tokens: Tokens = load_tokenizer(folder, config_of(name)).encode(text)
    return tokens
