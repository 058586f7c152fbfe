"""Where the command line's language models come from: a checkpoint, the package, or a seed."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from zkbench.commands.commit import DEFAULT_CONTEXT
from zkbench.commands.prompts import load_tokens
from zkbench.errors import UnusableInput
from zkbench.files import PathLike, read_bytes
from zkbench.language import tokenizer_files
from zkbench.language_statement import MAX_TOKENS
from zkbench.models.language.checkpoint import Checkpoint
from zkbench.models.language.config import FAMILIES, LanguageModelConfig
from zkbench.models.language.corpus import held_out_text, training_text
from zkbench.models.language.float_model import FloatLanguageModel, check_tokens
from zkbench.models.language.integer_model import IntegerLanguageModel
from zkbench.models.language.presets import preset
from zkbench.models.language.random_model import HEADROOM_BITS, random_integer_model
from zkbench.models.language.shipped import SHIPPED, shipped
from zkbench.models.language.tokenizer import Tokenizer, load_tokenizer
from zkbench.quant.language_calibration import (
    DEFAULT_WINDOW,
    CalibrationOptions,
    calibrate_language_model,
)
from zkbench.quant.language_report import LanguageReport, report_language_model

REPORTED_WINDOWS = (
    8  # that perplexities are measured on: the integer model computes them on the host
)

Tokens = np.ndarray


class Source(Protocol):
    """A model that is to be committed to."""

    @property
    def tokenizer(self) -> Mapping[str, bytes]:
        """Its files; none: bytes, or no tokenizer."""

    def quantised(self) -> tuple[IntegerLanguageModel, LanguageReport | None]:
        """The integer model, and how well it follows the float model."""


def find_source(args: argparse.Namespace) -> Source:
    """What ``--model``, ``--weights`` and ``--random`` name; raises UnusableInput."""
    if args.model is not None and args.model not in (*FAMILIES, *SHIPPED):
        known = ", ".join((*FAMILIES, *SHIPPED))
        raise UnusableInput(f"--model {args.model} is unknown; there are {known}")
    if args.random is not None:
        return _random(args)
    if args.model in SHIPPED:
        return _shipped(args)
    if args.weights is None or args.calibration is None:
        raise UnusableInput(
            f"--model {args.model} needs --weights with a checkpoint and --calibration with a text,"
            " or --random with a preset"
        )
    checkpoint = Checkpoint(args.weights)
    _check_family(args.model, checkpoint.config, args.weights)
    tokens = load_calibration(args.calibration, args.weights, checkpoint.config)
    window = min(DEFAULT_WINDOW, max(1, (len(tokens) - 1) // 2), checkpoint.config.max_positions)
    return CheckpointSource(
        checkpoint, *_divided(tokens, window), window, _options(args, checkpoint.config)
    )


def _check_family(family: str | None, config: LanguageModelConfig, what: str) -> None:
    if family is not None and family != config.family:
        raise UnusableInput(f"--model is {family}, but {what} is of the family {config.family}")


def _options(
    args: argparse.Namespace, config: LanguageModelConfig, headroom: int = 1
) -> CalibrationOptions:
    context = DEFAULT_CONTEXT if args.context is None else args.context
    if not 1 <= context <= MAX_TOKENS:
        raise UnusableInput(f"--context must lie in [1, {MAX_TOKENS}]")
    return CalibrationOptions(
        headroom_bits=headroom if args.headroom is None else args.headroom,
        row_length=min(context, config.max_positions),
    )


def _random(args: argparse.Namespace) -> Source:
    if args.calibration is not None:
        raise UnusableInput("--calibration is not for --random: its ranges are known")
    config = preset(args.random)
    _check_family(args.model, config, args.random)
    return RandomSource(config, args.seed, _options(args, config, HEADROOM_BITS))


def _shipped(args: argparse.Namespace) -> Source:
    if args.weights is not None:
        raise UnusableInput(f"--weights is not for --model {args.model}, which is shipped")
    checkpoint = Checkpoint(shipped(args.model))
    if args.calibration is not None:
        given = load_calibration(args.calibration, checkpoint.folder, checkpoint.config)
        parts = _divided(given, DEFAULT_WINDOW)
    else:
        tokenizer = load_tokenizer(checkpoint.folder, checkpoint.config)
        parts = tokenizer.encode(training_text()), tokenizer.encode(held_out_text())
    return CheckpointSource(checkpoint, *parts, DEFAULT_WINDOW, _options(args, checkpoint.config))


def load_calibration(path: PathLike, folder: PathLike, config: LanguageModelConfig) -> Tokens:
    """The tokens of a text, or of a .npy file; raises UnusableInput for fewer than two."""
    data = read_bytes(path)
    if data.startswith(b"\x93NUMPY"):
        tokens = load_tokens(path)
    else:
        tokens = _encoded(path, data, load_tokenizer(folder, config))
    check_tokens(config, tokens[:1])
    if len(tokens) < 2:
        raise UnusableInput(f"{path} has fewer than two tokens")
    if tokens.min() < 0 or tokens.max() >= config.vocab:
        raise UnusableInput(f"{path} holds tokens outside of the vocabulary [0, {config.vocab})")
    return tokens


def _encoded(path: PathLike, data: bytes, tokenizer: Tokenizer) -> Tokens:
    try:
        return tokenizer.encode(data.decode())
    except UnicodeDecodeError as error:
        raise UnusableInput(f"{path} is neither a text in UTF-8 nor a .npy file") from error


def _divided(tokens: Tokens, window: int) -> tuple[Tokens, Tokens]:
    """(tokens to calibrate on, tokens to measure on): the last tenth, or all where that is short."""
    held_out = max(window + 1, len(tokens) // 10)
    if len(tokens) < 2 * held_out:
        return tokens, tokens
    return tokens[:-held_out], tokens[-held_out:]


@dataclass(frozen=True, eq=False)
class CheckpointSource:
    """Real weights, with scales calibrated on ``fitted`` and perplexities measured on ``measured``."""

    checkpoint: Checkpoint
    fitted: Tokens
    measured: Tokens
    window: int
    options: CalibrationOptions

    @property
    def tokenizer(self) -> Mapping[str, bytes]:
        return tokenizer_files(self.checkpoint.folder)

    def quantised(self) -> tuple[IntegerLanguageModel, LanguageReport | None]:
        weights, window = self.checkpoint, self.window
        model, ranges = calibrate_language_model(weights, self.fitted, self.options, window)
        model = model.in_memory()
        measured = self.measured[: REPORTED_WINDOWS * window + 1]
        report = report_language_model(FloatLanguageModel(weights), model, ranges, measured, window)
        return model, report


@dataclass(frozen=True, eq=False)
class RandomSource:
    """Weights from a seed; there is no float model to compare them with."""

    config: LanguageModelConfig
    seed: int
    options: CalibrationOptions
    tokenizer: Mapping[str, bytes] = field(default_factory=dict)

    def quantised(self) -> tuple[IntegerLanguageModel, LanguageReport | None]:
        return random_integer_model(self.config, self.seed, self.options), None
