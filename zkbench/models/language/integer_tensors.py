"""The tensors of an integer model by name: their shapes, and where they come from."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zkbench.errors import UnusableInput
from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.folding import FoldedWeights
from zkbench.models.language.formats import (
    ACCUMULATOR_BITS,
    NORM_BITS,
    VALUE_BITS,
    LanguageFormats,
    linear_names,
    matrix_names,
)
from zkbench.quant.formats import FixedPoint

Described = dict[str, tuple[tuple[int, ...], str]]

# A bias leaves its accumulator room for the product: together they stay below 2^46.
_BIAS_BITS = ACCUMULATOR_BITS - 1


class IntegerTensors(Protocol):
    """Tensors by the names of `described_tensors`."""

    def tensor(self, name: str) -> NDArray[Any]: ...


class HeldTensors:
    """Tensors in memory."""

    def __init__(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        self._tensors = tensors

    def tensor(self, name: str) -> NDArray[Any]:
        return self._tensors[name]


class QuantisedTensors:
    """Tensors made from float weights when they are asked for, so that no two need memory at once.

    Raises `QuantisationError`, naming the tensor, where one does not fit its format.
    """

    def __init__(self, folded: FoldedWeights, formats: LanguageFormats) -> None:
        self._folded = folded
        self._formats = formats

    def tensor(self, name: str) -> NDArray[Any]:
        if not name.startswith("layers."):
            return self._outer(name)
        _, layer, matrix, *bias = name.split(".")
        if bias:
            values = self._folded.bias(int(layer), matrix)
            frac_bits = self._formats.accumulator_bits(int(layer), matrix)
            return _quantised(values, _BIAS_BITS, frac_bits, name).astype(np.int64)
        frac_bits = self._formats.weight_bits(int(layer), matrix)
        values = self._folded.matrix(int(layer), matrix)
        return _quantised(values, VALUE_BITS, frac_bits, name).astype(np.int16)

    def _outer(self, name: str) -> NDArray[Any]:
        formats, folded = self._formats, self._folded
        accumulator_bits = formats.shifts["logits"] + formats.logits
        if name == "output.bias":
            bias = _quantised(folded.output_bias(), _BIAS_BITS, accumulator_bits, name)
            return bias.astype(np.int64)
        if name == "output":
            values, frac_bits = folded.output(), accumulator_bits - NORM_BITS
        elif name == "embedding":
            values, frac_bits = folded.embedding(), formats.embedding
        else:
            positions = folded.positions()
            assert positions is not None
            assert formats.positions is not None
            values, frac_bits = positions, formats.positions
        return _quantised(values, VALUE_BITS, frac_bits, name).astype(np.int16)


def described_tensors(config: LanguageModelConfig) -> Described:
    """Shape and type of every tensor of an integer model: matrices d_in x d_out, int16; biases
    int64; embedding V x D, positions max_positions x D and output D x V, int16."""
    width, vocab = config.width, config.vocab
    found: Described = {"embedding": ((vocab, width), "int16")}
    if not config.is_llama:
        found["positions"] = ((config.max_positions, width), "int16")
        found["output.bias"] = ((vocab,), "int64")
    found["output"] = ((width, vocab), "int16")
    for layer in range(config.layers):
        for name in matrix_names(config):
            found[f"layers.{layer}.{name}"] = (matrix_shape(config, name), "int16")
        for name in filter(lambda name: has_bias(config, name), linear_names(config)):
            found[f"layers.{layer}.{name}.bias"] = (matrix_shape(config, name)[1:], "int64")
    return found


def matrix_shape(config: LanguageModelConfig, name: str) -> tuple[int, int]:
    """d_in x d_out of a layer's matrix."""
    width, inner = config.width, config.ffn_width
    queries, keys = config.heads * config.head_width, config.kv_heads * config.head_width
    return {
        "q": (width, queries),
        "k": (width, keys),
        "v": (width, keys),
        "o": (queries, width),
        "o_skip": (width, width),
        "m": (inner, width),
        "m_skip": (width, width),
    }.get(name, (width, inner))


def has_bias(config: LanguageModelConfig, name: str) -> bool:
    """Whether the linear layer that makes the tensor `name` has a bias, once norms are folded."""
    if not config.is_llama:
        return True
    return config.attention_bias if name in ("q", "k", "v", "o") else config.ffn_bias


def check_tensors(config: LanguageModelConfig, found: Described) -> None:
    """Raises `UnusableInput`, naming the tensor, unless `found` are those of `config`."""
    expected = described_tensors(config)
    for name, (shape, dtype) in expected.items():
        if name not in found:
            raise UnusableInput(f"tensor {name} is missing")
        if found[name] != (shape, dtype):
            have = f"tensor {name} is {found[name][1]} of shape {found[name][0]}"
            raise UnusableInput(f"{have}; expected {dtype} of shape {shape}")
    if others := sorted(set(found) - set(expected)):
        raise UnusableInput(f"tensor {others[0]} is not part of the model")


def _quantised(values: Any, bits: int, frac_bits: int, name: str) -> NDArray[np.int64]:
    return FixedPoint(bits, frac_bits).quantise(values, f"weight {name}")
