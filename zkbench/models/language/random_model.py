"""Integer models with random weights, for measurements of cost at published sizes.

The weights are drawn as integers, with the distribution of `RandomWeights`: a model of 13 billion
parameters needs neither float weights nor a calibration of all of its layers. Its formats are those
of its first layers, whose ranges the others share, and of a residual stream as long as L layers
make it.
"""

import hashlib
import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkbench.models.language.checkpoint import RandomWeights
from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.float_model import FloatLanguageModel
from zkbench.models.language.formats import NORM_BITS, LanguageFormats
from zkbench.models.language.integer_model import IntegerLanguageModel
from zkbench.models.language.integer_tensors import described_tensors
from zkbench.quant.formats import QuantisationError
from zkbench.quant.language_calibration import CalibrationOptions, choose_formats
from zkbench.quant.language_ranges import LanguageRanges, measure_ranges

MEASURED_VOCAB = 1024
MEASURED_TOKENS = 64
HEADROOM_BITS = 2
ROW_LENGTH = 2048  # the length at which costs are measured

_CHUNK = 1 << 22
_MARGIN = 1.25
_BIAS = 0.1  # the largest of `RandomWeights`


def random_integer_model(
    config: LanguageModelConfig, seed: int = 0, options: CalibrationOptions | None = None
) -> IntegerLanguageModel:
    """The model of that architecture and seed; each tensor is drawn when it is asked for."""
    chosen = options or CalibrationOptions(headroom_bits=HEADROOM_BITS, row_length=ROW_LENGTH)
    formats = random_formats(config, seed, chosen)
    return IntegerLanguageModel(config, formats, RandomIntegerTensors(config, formats, seed))


def random_formats(
    config: LanguageModelConfig, seed: int, options: CalibrationOptions
) -> LanguageFormats:
    """Formats from the first layers and a part of the vocabulary, the last of them repeated."""
    # Without leading norms, the first layer's input is none, unlike the others'.
    layers = min(config.layers, 1 if config.norm_first else 2)
    part = replace(config, layers=layers, vocab=min(config.vocab, MEASURED_VOCAB))
    tokens = np.random.default_rng(seed).integers(0, part.vocab, (1, _positions(config)))
    weights = RandomWeights(part, seed, depth=config.layers)
    ranges = measure_ranges(FloatLanguageModel(weights, np.float32), tokens)
    found = choose_formats(part, _of_all_layers(ranges, config, layers), options)
    repeated = [found.layers[min(layer, layers - 1)] for layer in range(config.layers)]
    return replace(found, layers=tuple(repeated))


class RandomIntegerTensors:
    """The tensors of `described_tensors`, each uniform from a generator of its own.

    The same seed gives the same tensors, in whatever order they are asked for.
    """

    def __init__(self, config: LanguageModelConfig, formats: LanguageFormats, seed: int) -> None:
        self.config, self.formats, self.seed = config, formats, seed
        self._described = described_tensors(config)

    def tensor(self, name: str) -> NDArray[Any]:
        shape, dtype = self._described[name]
        if name.endswith("_skip"):
            return self._skip(name, shape[0])
        return self._uniform(name, shape, self._bound(name, shape)).astype(dtype, copy=False)

    def _bound(self, name: str, shape: tuple[int, ...]) -> int:
        """The largest integer of the tensor."""
        if name in ("embedding", "positions"):
            bits = self.formats.embedding if name == "embedding" else self.formats.positions
            return round(math.sqrt(3 / self.config.width) * 2.0 ** (bits or 0))
        matrix, bits = self._matrix_and_bits(name)
        if name.endswith(".bias"):
            return round(_BIAS * self._factor(matrix) * 2.0**bits)
        deviation = self._factor(matrix) / math.sqrt(shape[0])
        if matrix in ("o", "m"):
            deviation /= math.sqrt(2 * self.config.layers)
        elif self._reads_norm(name, matrix):
            deviation *= math.sqrt(self.config.width)
        return round(math.sqrt(3) * deviation * 2.0**bits)

    def _matrix_and_bits(self, name: str) -> tuple[str, int]:
        """The matrix's name in its layer, and the fraction bits of the tensor."""
        is_bias = name.endswith(".bias")
        if name.startswith("output"):
            bits = self.formats.shifts["logits"] + self.formats.logits
            return "logits", bits if is_bias else bits - NORM_BITS
        _, layer, matrix, *_ = name.split(".")
        if is_bias:
            return matrix, self.formats.accumulator_bits(int(layer), matrix)
        return matrix, self.formats.weight_bits(int(layer), matrix)

    def _factor(self, matrix: str) -> float:
        return 1 / math.sqrt(self.config.head_width) if matrix == "q" else 1.0

    def _reads_norm(self, name: str, matrix: str) -> bool:
        """Whether sqrt(D) is folded in: not where embeddings are read directly."""
        direct = not self.config.norm_first and name.startswith("layers.0.")
        return not (direct and matrix in ("q", "k", "v"))

    def _skip(self, name: str, width: int) -> NDArray[np.int16]:
        """The centred identity, times sqrt(D) behind a norm."""
        _, layer, matrix = name.split(".")
        direct = int(layer) == 0 and matrix == "o_skip"
        scale = 2.0 ** self.formats.weight_bits(int(layer), matrix)
        centred = (np.eye(width) - 1 / width) * (1.0 if direct else math.sqrt(width))
        return np.rint(scale * centred).astype(np.int16)

    def _uniform(self, name: str, shape: tuple[int, ...], bound: int) -> NDArray[Any]:
        """Uniform integers in [-bound, bound], up to 2^-16 of their probability."""
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        generator = np.random.Generator(np.random.SFC64(int.from_bytes(digest, "little")))
        if name.endswith(".bias"):
            return generator.integers(-bound, bound, shape, endpoint=True)
        if bound >= 1 << 15:
            raise QuantisationError(f"random tensor {name} reaches {bound} and exceeds 16 bits")
        values = np.empty(math.prod(shape), dtype=np.int16)
        for begin in range(0, len(values), _CHUNK):
            chunk = values[begin : begin + _CHUNK]
            drawn = generator.integers(0, 1 << 16, len(chunk), dtype=np.uint16)
            chunk[:] = (drawn.astype(np.uint32) * np.uint32(2 * bound + 1) >> np.uint32(16)).astype(
                np.int32
            ) - bound
        return values.reshape(shape)


def _positions(config: LanguageModelConfig) -> int:
    return min(MEASURED_TOKENS, config.max_positions)


def _of_all_layers(
    ranges: LanguageRanges, config: LanguageModelConfig, layers: int
) -> LanguageRanges:
    """The ranges with a residual stream to which all layers have added, and weights with a margin
    for what is larger in the layers that were not measured."""
    weights = {key: _MARGIN * largest for key, largest in ranges.weights.items()}
    growth = math.sqrt(config.layers / layers) if config.norm_first else 1.0
    return replace(
        ranges,
        weights=weights,
        embedding=_MARGIN * ranges.embedding,
        positions=_MARGIN * ranges.positions,
        row_norms=growth * ranges.row_norms,
        residual=growth * ranges.residual,
    )
