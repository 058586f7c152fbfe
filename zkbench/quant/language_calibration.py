"""From a float language model and a typical text to the number formats of an integer one.

Every tensor gets as many fraction bits as leave the largest of its values, over the text, some
headroom below 16 bits, within what the operators allow: one shift for all layers of an operator,
one table for all layers of an activation function, one unit for all scores, and weights of 16 bits.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from zkbench.errors import UnusableInput
from zkbench.models.language.checkpoint import Weights
from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.float_model import FloatLanguageModel
from zkbench.models.language.folding import FoldedWeights
from zkbench.models.language.formats import (
    ACCUMULATOR_BITS,
    MASK,
    MAX_SHIFT,
    NORM_BITS,
    RESIDUAL_BITS,
    TABLE_SIZE,
    VALUE_BITS,
    LanguageFormats,
)
from zkbench.models.language.integer_model import IntegerLanguageModel
from zkbench.models.language.integer_tensors import QuantisedTensors
from zkbench.models.language.perplexity import windows
from zkbench.protocols.tables import Exp
from zkbench.quant.formats import FixedPoint, is_integer, largest_fraction_bits
from zkbench.quant.language_ranges import LanguageRanges, measure_ranges

DEFAULT_WINDOW = 128
DEFAULT_WINDOWS = 64
FINEST_SCORES, COARSEST_SCORES = 10, 3
MIN_SHIFT = 10  # below, one layer's large weights would cost all layers too many bits

_LIMIT = FixedPoint(VALUE_BITS, 0).max
_BIAS_LIMIT = FixedPoint(ACCUMULATOR_BITS - 1, 0).max
_LOG_ROW_LENGTH = 20  # rows of x up to 2^20: their inverses r keep 11 bits
_LOG_TOLERANCE = 6
_ENOUGH_BITS = 2  # of a typical value, beside its sign

Tokens = NDArray[np.int64]


@dataclass(frozen=True)
class CalibrationOptions:
    """headroom_bits: other texts may reach values 2^headroom_bits times as large.

    score_bits: t counts units of 2^-score_bits nats; None takes the finest for which ranges fit.
    row_bits, tolerance: of the softmax's rows; see `LanguageFormats`. A tolerance of None is the
        sum's 64th part, or what `sure_tolerance` gives for rows of `row_length` where that is more.
    """

    headroom_bits: int = 1
    score_bits: int | None = None
    row_bits: int = 15
    tolerance: int | None = None
    row_length: int = DEFAULT_WINDOW

    def __post_init__(self) -> None:
        if not is_integer(self.headroom_bits) or not 0 <= self.headroom_bits <= 14:
            message = f"headroom is {self.headroom_bits!r} bits; it must be an integer in [0, 14]"
            raise UnusableInput(message)


def calibrate_language_model(
    weights: Weights,
    tokens: Tokens,
    options: CalibrationOptions | None = None,
    window: int = DEFAULT_WINDOW,
    count: int = DEFAULT_WINDOWS,
    dtype: DTypeLike = np.float32,
) -> tuple[IntegerLanguageModel, LanguageRanges]:
    """The integer model of `weights`, with scales fitted to `count` windows spread over a text.

    Two passes over the weights, each layer by layer; the model that comes back quantises a weight
    whenever it is asked for (`in_memory`, `save`). Raises `UnusableInput` where the text is too
    short, and `QuantisationError` where no scales fit.
    """
    given, _ = windows(tokens, max(1, min(window, len(tokens) - 1)))
    chosen = given[np.unique(np.linspace(0, len(given) - 1, count).astype(int))]
    ranges = measure_ranges(FloatLanguageModel(weights, dtype), chosen)
    formats = choose_formats(weights.config, ranges, options or CalibrationOptions())
    tensors = QuantisedTensors(FoldedWeights(weights), formats)
    return IntegerLanguageModel(weights.config, formats, tensors), ranges


def choose_formats(
    config: LanguageModelConfig, ranges: LanguageRanges, options: CalibrationOptions
) -> LanguageFormats:
    """The formats that fit these ranges; see the head of this file."""
    return _Choice(config, ranges, options).formats()


def sure_tolerance(score_bits: int, row_bits: int, row_length: int) -> int:
    """A tolerance that some shift meets in every row of so many scores, whatever they are.

    One more unit of the shift takes a sum A to A e^-delta, and rounding by at most row_length
    further; of the sums on both sides of 2^row_bits the nearer misses it by half of their distance.
    """
    factor = math.exp(2.0**-score_bits)
    distance = (1 << row_bits) * (factor - 1) + factor * row_length
    return math.ceil(distance / 2)


def narrow_tensors(ranges: LanguageRanges, formats: LanguageFormats) -> list[str]:
    """The tensors whose typical value has fewer than 2 bits beside its sign: they need more than 16.

    They hold a few values far larger than the others. As "h of layer 2: 1.3 bits".
    """
    found = []
    for (name, layer), typical in ranges.typical.items():
        frac_bits = formats.logits if name == "logits" else formats.layers[layer][name]
        bits = float(np.log2(typical) + frac_bits) if typical > 0 else _ENOUGH_BITS
        if bits < _ENOUGH_BITS:
            found.append(f"{name} of layer {layer}: {bits:.1f} bits")
    return found


class _Choice:
    """Chooses the scales, operator by operator, in the order of the computation."""

    def __init__(
        self, config: LanguageModelConfig, ranges: LanguageRanges, options: CalibrationOptions
    ) -> None:
        self.config, self.ranges, self.options = config, ranges, options
        self.depth = range(config.layers)
        self.shifts: dict[str, int] = {}
        self.bits: dict[str, list[int]] = {}

    def formats(self) -> LanguageFormats:
        self.residual = self._residual_bits()
        self.bits["y"] = [NORM_BITS for _ in self.depth]
        embedding, positions = self._embedding_bits()
        score_bits = self._choose_scores(self._finest_scores())
        self._choose_means()
        self._choose_linear("o", self._within_residual("o"), self.bits["a"])
        self._choose_feed_forward()
        self._choose_linear("m", self._within_residual("m"), self.bits["h"])
        logits = self._logits_bits()
        layers = tuple({name: bits[i] for name, bits in self.bits.items()} for i in self.depth)
        return LanguageFormats(
            residual=self.residual,
            shifts=self.shifts,
            layers=layers,
            embedding=embedding,
            positions=positions,
            logits=logits,
            epsilon=self._epsilon(),
            score_bits=score_bits,
            row_bits=self.options.row_bits,
            tolerance=self._tolerance(score_bits),
        )

    def _tolerance(self, score_bits: int) -> int:
        options = self.options
        if options.tolerance is not None:
            return options.tolerance
        sure = sure_tolerance(score_bits, options.row_bits, options.row_length)
        return max((1 << options.row_bits) >> _LOG_TOLERANCE, sure)

    def _residual_bits(self) -> int:
        """So that typical rows keep r precise, and no value comes near the limit."""
        typical = _fraction_bits(self.ranges.row_norms, 1 << _LOG_ROW_LENGTH)
        limit = (1 << (RESIDUAL_BITS - 1 - self.options.headroom_bits)) - 1
        return min(typical, _fraction_bits(self.ranges.residual, limit))

    def _epsilon(self) -> int:
        scaled = self.config.width * self.config.norm_eps * 4.0**self.residual
        return max(4, round(scaled))

    def _embedding_bits(self) -> tuple[int, int | None]:
        if not self.config.norm_first:  # the sum is the first layer's input
            bits = _fraction_bits(self.ranges.embedding + self.ranges.positions, _LIMIT - 1)
            self.bits["y"][0] = bits
            return bits, bits
        embedding = min(self.residual, _fraction_bits(self.ranges.embedding, _LIMIT))
        if self.config.is_llama:
            return embedding, None
        return embedding, min(self.residual, _fraction_bits(self.ranges.positions, _LIMIT))

    def _finest_scores(self) -> int:
        """The finest unit with which t fits 16 bits and masked positions count nothing."""
        if self.options.score_bits is not None:
            return self.options.score_bits
        spans, headroom = self.ranges.scores, 2.0**self.options.headroom_bits
        for bits in range(FINEST_SCORES, COARSEST_SCORES, -1):
            unit = headroom * 2.0**bits
            cutoff = Exp(bits, self.options.row_bits).cutoff
            if (
                spans.past * unit < TABLE_SIZE - 1
                and spans.masked_below * unit < TABLE_SIZE - MASK - 1
                and spans.masked_above * unit < MASK - cutoff - 1
            ):
                return bits
        return COARSEST_SCORES

    def _choose_scores(self, wanted: int) -> int:
        """q and k, whose fraction bits have the same sum in all layers: shift + score_bits."""
        for name in "qk":
            self._choose_linear(name, self._wanted(name), self.bits["y"])
        sums = [q + k for q, k in zip(self.bits["q"], self.bits["k"], strict=True)]
        score_bits = min(wanted, min(sums) - 1)
        if score_bits < 1:
            raise UnusableInput("the scores of some layer are too large for 16-bit q and k")
        self.shifts["z"] = min(min(sums) - score_bits, MAX_SHIFT)
        for layer in self.depth:
            excess = sums[layer] - score_bits - self.shifts["z"]
            self.bits["q"][layer] -= (excess + 1) // 2
            self.bits["k"][layer] -= excess // 2
        return score_bits

    def _choose_means(self) -> None:
        """v and a, which is a mean of v with row_bits - shift more fraction bits."""
        self.shifts["a"] = min(self.options.row_bits, MAX_SHIFT)
        more = self.options.row_bits - self.shifts["a"]
        both = zip(self._wanted("v"), self._wanted("a"), strict=True)
        self._choose_linear("v", [min(v, a - more) for v, a in both], self.bits["y"])
        self.bits["a"] = [bits + more for bits in self.bits["v"]]

    def _choose_feed_forward(self) -> None:
        norm = [NORM_BITS for _ in self.depth]
        if not self.config.is_llama:
            shared = self.config.activation != "relu"
            self._choose_linear("f", _same(self._wanted("f"), shared), norm)
            self.bits["f"] = self.bits["h"] = _same(self.bits["f"], shared)
            return
        self._choose_linear("g", _same(self._wanted("g")), norm)
        self.bits["g"] = _same(self.bits["g"])
        self._choose_linear("u", self._wanted("u"), norm)
        self._choose_gated()

    def _choose_gated(self) -> None:
        """h = SILU[g] u: fraction bits of g + u - shift; u gives up what h has no room for."""
        gate, wanted = self.bits["g"][0], self._wanted("h")
        surplus = [gate + u - h for u, h in zip(self.bits["u"], wanted, strict=True)]
        shift = int(np.clip(np.median(surplus), 1, MAX_SHIFT))
        self.shifts["h"] = shift
        both = zip(self.bits["u"], wanted, strict=True)
        self.bits["u"] = [min(u, h + shift - gate) for u, h in both]
        self.bits["h"] = [gate + u - shift for u in self.bits["u"]]

    def _logits_bits(self) -> int:
        depth = self.config.layers
        wanted = [self._bits_of("logits", depth)]
        shift, bits = self._fit("logits", wanted, [NORM_BITS], [depth])
        self.shifts["logits"] = shift
        return bits[0]

    def _choose_linear(self, name: str, wanted: Sequence[int], given: Sequence[int]) -> None:
        self.shifts[name], self.bits[name] = self._fit(name, wanted, given, list(self.depth))

    def _fit(
        self, name: str, wanted: Sequence[int], given: Sequence[int], layers: Sequence[int]
    ) -> tuple[int, list[int]]:
        """The largest shift with which all weights fit, and the outputs' fraction bits with it.

        wanted, given: fraction bits of the output and of the input, by layer.
        """
        room = [self._room(name, layer, bits) for layer, bits in zip(layers, given, strict=True)]
        spare = min(r - w for r, w in zip(room, wanted, strict=True))
        shift = min(max(spare, MIN_SHIFT), MAX_SHIFT)
        return shift, [min(w, r - shift) for r, w in zip(room, wanted, strict=True)]

    def _room(self, name: str, layer: int, given: int) -> int:
        """The most fraction bits of the accumulators with which weights and bias fit."""
        weights = self.ranges.weights
        bounds = [_fraction_bits(weights[name, layer], _LIMIT) + given]
        bounds.append(_fraction_bits(weights[f"{name}.bias", layer], _BIAS_LIMIT))
        if (skip := (f"{name}_skip", layer)) in weights:
            skipped = self.bits["y"][layer] if name == "o" else NORM_BITS
            bounds.append(_fraction_bits(weights[skip], _LIMIT) + skipped)
        return min(bounds)

    def _wanted(self, name: str) -> list[int]:
        return [self._bits_of(name, layer) for layer in self.depth]

    def _within_residual(self, name: str) -> list[int]:
        return [min(bits, self.residual) for bits in self._wanted(name)]

    def _bits_of(self, name: str, layer: int) -> int:
        largest = self.ranges.largest[name, layer]
        return _fraction_bits(largest, _LIMIT) - self.options.headroom_bits


def _same(bits: Sequence[int], shared: bool = True) -> list[int]:
    return [min(bits)] * len(bits) if shared else list(bits)


def _fraction_bits(largest: float, limit: int) -> int:
    """The most with which the largest value stays within the limit; all-zero tensors count as 1."""
    bits = largest_fraction_bits(largest or 1.0, limit)
    assert bits is not None
    return bits
