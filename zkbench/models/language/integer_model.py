"""The integer language model, which the proofs are about."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zkbench.errors import UnusableInput
from zkbench.files import Content, NewFile, PathLike, write_together
from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.float_model import check_tokens
from zkbench.models.language.formats import LanguageFormats, linear_names, matrix_names
from zkbench.models.language.integer_attention import block_size
from zkbench.models.language.integer_layer import (
    IntegerLayer,
    LayerContext,
    LayerTensors,
    forward_layer,
)
from zkbench.models.language.integer_operators import (
    Int16s,
    Int64s,
    accumulate,
    check_accumulators,
    checked_int16,
    normalise,
    rescaled,
)
from zkbench.models.language.integer_tensors import (
    HeldTensors,
    IntegerTensors,
    check_tensors,
    described_tensors,
    has_bias,
)
from zkbench.models.language.tables import Tables
from zkbench.models.language.trace import (
    LanguageTrace,
    LayersTrace,
    OutputTrace,
    StackedLayers,
)
from zkbench.models.mapped_tensors import MappedTensors, streamed

_FILE_NAME = "integer_model.safetensors"
_FILE_KEY = "zkbench"
_FILE_KIND = {"kind": "integer language model", "version": 1}


@dataclass(frozen=True, eq=False)
class Prompt:
    """What an inference is about.

    tokens: int64, S, padded with zeros to whole blocks; the first `num_tokens` are given. positions:
    int64, where the output layer is asked for. context: what all layers need.
    """

    tokens: Int64s
    num_tokens: int
    positions: Int64s
    context: LayerContext


class IntegerLanguageModel:
    """A model in integers; `integer_layer` says what it computes.

    tensors: where the weights come from, by the names of `described_tensors`: memory, a mapped
    file, or float weights that are quantised when they are needed. One layer is asked for at a
    time.
    """

    def __init__(
        self, config: LanguageModelConfig, formats: LanguageFormats, tensors: IntegerTensors
    ) -> None:
        formats.check(config)
        self.config = config
        self.formats = formats
        self._tensors = tensors

    def tensor(self, name: str) -> NDArray[Any]:
        """A weight by its name in `described_tensors`."""
        return self._tensors.tensor(name)

    def layer(self, index: int) -> IntegerLayer:
        """The weights of one layer."""
        matrices = matrix_names(self.config)
        biases = [name for name in linear_names(self.config) if has_bias(self.config, name)]
        return IntegerLayer(
            {name: self.tensor(f"layers.{index}.{name}") for name in matrices},
            {name: self.tensor(f"layers.{index}.{name}.bias") for name in biases},
        )

    def in_memory(self) -> "IntegerLanguageModel":
        """The same model with all tensors held, for more than one forward pass."""
        held = {name: np.array(self.tensor(name)) for name in described_tensors(self.config)}
        return IntegerLanguageModel(self.config, self.formats, HeldTensors(held))

    def tables(self, positions: int) -> Tables:
        """What all layers look up, for that many positions."""
        return Tables.of(self.config, self.formats, positions)

    def forward(
        self, tokens: ArrayLike, positions: ArrayLike | None = None, block: int | None = None
    ) -> LanguageTrace:
        """The whole inference on `tokens` (1-dimensional, not padded), with all of its values.

        positions: where the output layer is computed, by default at the last token. block: B, a
        power of two; by default that of `block_size`. Raises `UnusableInput` for tokens or
        positions that the model has not, `QuantisationError` where a value leaves its range.
        """
        prompt = self.prompt(tokens, positions, block)
        layers = range(self.config.layers)
        trace, stream = self.forward_layers(prompt, layers, self.embed(prompt.tokens))
        return LanguageTrace(**vars(trace), output=self.output_at(prompt, stream))

    def prompt(
        self, tokens: ArrayLike, positions: ArrayLike | None = None, block: int | None = None
    ) -> Prompt:
        """The arguments of `forward`, checked and padded."""
        given = self._checked_tokens(tokens)
        asked = _checked_positions(positions, len(given))
        block = block_size(len(given)) if block is None else block
        if block < 1 or block & (block - 1):
            raise UnusableInput(f"the block is {block}; it must be a power of two")
        padded = np.zeros(-(-len(given) // block) * block, dtype=np.int64)
        padded[: len(given)] = given
        check_tokens(self.config, padded)
        return Prompt(padded, len(given), asked, self.context(len(padded), block))

    def forward_layers(
        self, prompt: Prompt, layers: range, stream: Int64s
    ) -> tuple[LayersTrace, Int64s]:
        """All values of some layers, from the stream before them, and the stream behind them."""
        stack = StackedLayers(len(layers))
        for index, found, following in self.run_layers(prompt.context, stream, layers):
            stack.add(index - layers.start, found)
            stream = following
        about = prompt.tokens, prompt.num_tokens, prompt.context.block, prompt.positions
        return LayersTrace(*about, stack.tensors), stream

    def output_at(self, prompt: Prompt, stream: Int64s) -> OutputTrace:
        """The output layer where it is asked for, from the stream behind the last layer."""
        return self.output(stream[np.asarray(prompt.positions, like=stream)])

    def logits(self, tokens: ArrayLike) -> Int16s:
        """The logits behind every token, S x V; nothing else is kept."""
        prompt = self.prompt(tokens)
        stream = self.embed(prompt.tokens)
        for _, _, following in self.run_layers(prompt.context, stream):
            stream = following
        return self.output(stream[: prompt.num_tokens]).logits

    def run_layers(
        self, context: LayerContext, stream: Int64s, layers: range | None = None
    ) -> Iterator[tuple[int, LayerTensors, Int64s]]:
        """Index, tensors and following stream of each layer, or of some; one's weights at a time."""
        for index in range(self.config.layers) if layers is None else layers:
            found, stream = forward_layer(context, index, self.layer(index), stream)
            yield index, found, stream

    def context(self, positions: int, block: int) -> LayerContext:
        """What `forward_layer` needs for so many positions, a multiple of the block."""
        return LayerContext(self.config, self.formats, self.tables(positions), block)

    def embed(self, tokens: Int64s) -> Int64s:
        """x_0 = 2^c E[token] + 2^c' P[position], S x D (without leading norms: E + P)."""
        formats = self.formats
        scaled = self.config.norm_first
        table = self.tensor("embedding")
        x = table[np.asarray(tokens, like=table)].astype(np.int64)
        x = x << formats.embedding_shift if scaled else x
        if self.config.is_llama:
            return x
        rows = self.tensor("positions")[: len(tokens)].astype(np.int64)
        return x + (rows << formats.positions_shift if scaled else rows)

    def output(self, stream: Int64s) -> OutputTrace:
        """The output layer, for some rows of the stream behind the last layer."""
        ss = sq = r = None
        if self.config.norm_first:
            norm = normalise(stream, self.formats.epsilon, "the output norm")
            y, ss, sq, r = norm.y, norm.ss, norm.sq, norm.r
        else:
            y = checked_int16(stream, "input of the output layer")
        bias = None if self.config.is_llama else self.tensor("output.bias")
        accumulators = accumulate(y, self.tensor("output"), bias)
        check_accumulators(accumulators, "the output layer")
        shift = self.formats.shifts["logits"]
        logits, _ = rescaled(accumulators, shift, "logits of the output layer")
        return OutputTrace(y, ss, sq, r, logits, logits.argmax(axis=-1).astype(np.int64))

    def norm_inputs(self, trace: LanguageTrace) -> Iterator[tuple[Int64s, Int64s]]:
        """What the first and the second norm of each layer read (S x D), from a trace.

        With leading norms this is the residual stream, which no trace holds; the last norm's input
        is the second's of the last layer plus 2^e m. Without, it is 2^c o and 2^e m.
        """
        x = self.embed(trace.tokens)
        for layer in range(self.config.layers):
            o, m = (self._shifted_left(trace, layer, name) for name in ("o", "m"))
            if self.config.norm_first:
                yield x, x + o
                x = x + o + m
            else:
                yield o, m

    def _shifted_left(self, trace: LanguageTrace, layer: int, name: str) -> Int64s:
        shifted: Int64s = trace[name][layer].astype(np.int64)
        return shifted << self.formats.residual_shift(layer, name)

    def float_logits(self, logits: Int16s) -> NDArray[np.float64]:
        """The real numbers that the logits stand for."""
        return np.ldexp(logits.astype(np.float64), -self.formats.logits)

    def save(self, folder: PathLike) -> None:
        """Writes integer_model.safetensors into the folder, one tensor after the other."""
        os.makedirs(folder, exist_ok=True)
        write_together([NewFile(Path(folder) / _FILE_NAME, self.content())])

    def content(self) -> Content:
        """What writes that file, one tensor after the other."""
        described = described_tensors(self.config)
        description = {
            **_FILE_KIND,
            "config": self.config.to_dict(),
            "formats": self.formats.to_dict(),
        }
        metadata = {_FILE_KEY: json.dumps(description, sort_keys=True)}
        tensors = ((name, self.tensor(name)) for name in described)
        return streamed(described, tensors, metadata)

    @classmethod
    def load(cls, folder: PathLike) -> "IntegerLanguageModel":
        """The model that `save` wrote; its tensors stay in the mapped file.

        Raises `UnusableInput`, naming the file, for everything that is not such a model.
        """
        path = Path(folder) / _FILE_NAME
        file = MappedTensors(path)
        try:
            config, formats = _parsed(file.metadata)
            check_tensors(config, _described(file))
            return cls(config, formats, file)
        except (UnusableInput, KeyError, TypeError, ValueError, AttributeError) as error:
            reason = error if isinstance(error, UnusableInput) else "its description is damaged"
            raise UnusableInput(f"{path} is not an integer language model: {reason}") from error

    def _checked_tokens(self, tokens: ArrayLike) -> Int64s:
        given = np.asarray(tokens)
        if given.ndim != 1 or given.dtype.kind not in "iu":
            raise UnusableInput(f"tokens are {given.dtype} of shape {given.shape}, not integers")
        check_tokens(self.config, given)
        return given.astype(np.int64)


def _checked_positions(positions: ArrayLike | None, count: int) -> Int64s:
    asked = np.array([count - 1]) if positions is None else np.asarray(positions)
    if asked.ndim != 1 or asked.size == 0 or asked.dtype.kind not in "iu":
        raise UnusableInput("positions are a list of integers, at least one")
    if int(asked.min()) < 0 or int(asked.max()) >= count:
        raise UnusableInput(f"positions reach outside of the {count} tokens")
    return asked.astype(np.int64)


def _parsed(metadata: dict[str, str]) -> tuple[LanguageModelConfig, LanguageFormats]:
    if _FILE_KEY not in metadata:
        raise UnusableInput("it has no description")
    content = json.loads(metadata[_FILE_KEY])
    if {key: content.get(key) for key in _FILE_KIND} != _FILE_KIND:
        raise UnusableInput("its kind or version is another")
    config = LanguageModelConfig.from_dict(content["config"])
    return config, LanguageFormats.from_dict(content["formats"])


def _described(file: MappedTensors) -> dict[str, tuple[tuple[int, ...], str]]:
    kinds = {"I16": "int16", "I64": "int64"}
    return {
        name: (file.shape(name), kinds.get(file.dtype_name(name), file.dtype_name(name)))
        for name in file.names
    }
