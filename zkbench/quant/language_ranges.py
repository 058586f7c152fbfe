"""What a float language model's values reach on a text: the input of its calibration."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.float_model import FloatLanguageModel, causal_logsumexp
from zkbench.models.language.folding import FoldedWeights, folded_values
from zkbench.models.language.formats import linear_names, matrix_names
from zkbench.quant.report import largest_magnitude

Floats = NDArray[np.floating[Any]]
Tokens = NDArray[np.int64]
Key = tuple[str, int]

# The integer model's names of what the float model names otherwise; None: it has no such tensor.
_NAMES: dict[str, str | None] = {
    "gate": "g",
    "up": "u",
    "q_rotated": "q",
    "k_rotated": "k",
    "x": None,
    "x_mid": None,
}
# Without leading norms, what o and m write is the whole residual sum.
_SUM_NAMES = {**_NAMES, "o": None, "m": None, "x_mid": "o", "x": "m"}
_STREAM = ("x", "x_mid")
_TYPICAL_ROW = 99  # percentile: a few rows with massive values do not set the residual's scale


@dataclass(frozen=True)
class ScoreSpans:
    """How far scores lie from the logsumexp of their row, in nats.

    past: below it, for j <= i. masked_below, masked_above: below and above it, for j > i.
    """

    past: float = 0.0
    masked_below: float = 0.0
    masked_above: float = 0.0

    def joined(self, other: "ScoreSpans") -> "ScoreSpans":
        return ScoreSpans(
            max(self.past, other.past),
            max(self.masked_below, other.masked_below),
            max(self.masked_above, other.masked_above),
        )


@dataclass
class LanguageRanges:
    """The folded values' ranges, each by the integer model's name of the tensor and the layer.

    largest, typical: max |value|, and the median |value| of those that are not 0.
    weights: max |value| of each folded matrix, under "q.bias" of a bias.
    scores: how they spread.
    row_norms: the lengths of the rows of the residual stream that a norm reads, their 99th
        percentile, the largest of all norms. residual: max |x|.
    embedding, positions: max |value| of the tables.
    """

    largest: dict[Key, float] = field(default_factory=dict)
    typical: dict[Key, float] = field(default_factory=dict)
    weights: dict[Key, float] = field(default_factory=dict)
    scores: ScoreSpans = field(default_factory=ScoreSpans)
    row_norms: float = 0.0
    residual: float = 0.0
    embedding: float = 0.0
    positions: float = 0.0

    def observe(self, config: LanguageModelConfig, name: str, layer: int, values: Floats) -> None:
        """Takes values in as `FloatLanguageModel` calls its observer."""
        folded = folded_values(config, name, values)
        if name == "scores":
            self.scores = self.scores.joined(_spans(folded))
            return
        if name in _STREAM:
            self._observe_stream(folded)
        tensor = (_NAMES if config.norm_first else _SUM_NAMES).get(name, name)
        if tensor is not None:
            self._observe_values((tensor, layer), folded)

    def _observe_values(self, key: Key, values: Floats) -> None:
        self.largest[key] = max(self.largest.get(key, 0.0), largest_magnitude(values))
        self.typical[key] = max(self.typical.get(key, 0.0), _median(values))

    def _observe_stream(self, values: Floats) -> None:
        lengths = np.sqrt(np.square(values).sum(axis=-1))
        self.row_norms = max(self.row_norms, float(np.percentile(lengths, _TYPICAL_ROW)))
        self.residual = max(self.residual, largest_magnitude(values))


def measure_ranges(model: FloatLanguageModel, given: Tokens) -> LanguageRanges:
    """The ranges of a model on windows of tokens, count x S: one forward pass, layer by layer."""
    ranges = LanguageRanges()
    model.logits(given, lambda name, layer, x: ranges.observe(model.config, name, layer, x))
    _measure_weights(ranges, FoldedWeights(model.weights))
    return ranges


def _measure_weights(ranges: LanguageRanges, folded: FoldedWeights) -> None:
    config = folded.config
    for layer in range(config.layers):
        for name in matrix_names(config):
            ranges.weights[name, layer] = largest_magnitude(folded.matrix(layer, name))
        for name in linear_names(config):
            bias = folded.bias(layer, name)
            ranges.weights[f"{name}.bias", layer] = _magnitude(bias)
    ranges.weights["logits", config.layers] = largest_magnitude(folded.output())
    ranges.weights["logits.bias", config.layers] = _magnitude(folded.output_bias())
    ranges.embedding = largest_magnitude(folded.embedding())
    ranges.positions = _magnitude(folded.positions())


def _median(values: Floats) -> float:
    """The median |value| of those that are not 0 (ReLU leaves many); 0 where all are."""
    present = np.abs(values[values != 0])
    return float(np.median(present)) if present.size else 0.0


def _magnitude(values: Floats | None) -> float:
    return 0.0 if values is None else largest_magnitude(values)


def _spans(scores: Floats) -> ScoreSpans:
    below = causal_logsumexp(scores)[..., None] - scores
    past = np.tri(*scores.shape[-2:], dtype=np.bool_)
    masked = below[..., ~past]
    if masked.size == 0:
        return ScoreSpans(past=float(below[..., past].max()))
    return ScoreSpans(float(below[..., past].max()), float(masked.max()), float(-masked.min()))
