"""How well an integer language model follows the float model that it was made from."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkbench.models.language.float_model import FloatLanguageModel
from zkbench.models.language.folding import FoldedWeights, folded_values
from zkbench.models.language.formats import VALUE_BITS, matrix_names
from zkbench.models.language.integer_model import IntegerLanguageModel
from zkbench.models.language.perplexity import bits, log_likelihoods, perplexity, windows
from zkbench.models.language.trace import LanguageTrace
from zkbench.quant.formats import FixedPoint
from zkbench.quant.language_calibration import DEFAULT_WINDOW, narrow_tensors
from zkbench.quant.language_ranges import LanguageRanges
from zkbench.quant.report import RangeReport, TensorRange, measure_range

Floats = NDArray[np.floating[Any]]
Tokens = NDArray[np.int64]

_NORM_FIRST = {"gate": "g", "up": "u", "x": "", "x_mid": "", "scores": ""}
_ROTARY = {"q": "q_raw", "k": "k_raw", "q_rotated": "q", "k_rotated": "k"}
_NORM_LAST = {"o": "", "m": "", "x_mid": "o", "x": "m", "scores": ""}


@dataclass(frozen=True)
class LanguageComparison:
    """Float against integer on a text, in windows in which each token is predicted once.

    nats: -log p of a token on average. agreement: how often both choose the same token.
    """

    tokens: int
    window: int
    float_nats: float
    integer_nats: float
    agreement: float

    @property
    def perplexity_change(self) -> float:
        """The integer model's perplexity over the float model's, less one."""
        return perplexity(self.integer_nats - self.float_nats) - 1

    def to_dict(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "float_perplexity": perplexity(self.float_nats),
            "integer_perplexity": perplexity(self.integer_nats),
            "float_bits": bits(self.float_nats),
            "integer_bits": bits(self.integer_nats),
            "perplexity_change": self.perplexity_change,
        }


@dataclass(frozen=True)
class LanguageReport:
    """What a calibration came to: ranges, the tensors that need more bits, and perplexities.

    Nothing is ever clipped: a value outside of its range is an error, so `range_used` is at most 1.
    """

    ranges: RangeReport
    narrow: tuple[str, ...]
    comparison: LanguageComparison

    def to_dict(self) -> dict[str, Any]:
        narrow = {"need_more_bits": list(self.narrow)}
        return {**self.ranges.to_dict(), **narrow, "comparison": self.comparison.to_dict()}

    def to_text(self) -> str:
        """A table for a terminal, and the perplexities."""
        found = self.comparison
        lines = [self.ranges.to_text(), ""]
        lines += [f"needs more bits: {name}" for name in self.narrow]
        lines.append(
            f"perplexity on {found.tokens} tokens: {perplexity(found.float_nats):.5f} in floating "
            f"point, {perplexity(found.integer_nats):.5f} in integers "
            f"({100 * found.perplexity_change:+.4f} %), same choice {100 * found.agreement:.2f} %"
        )
        return "\n".join(lines)


def report_language_model(
    float_model: FloatLanguageModel,
    integer_model: IntegerLanguageModel,
    ranges: LanguageRanges,
    tokens: Tokens,
    window: int = DEFAULT_WINDOW,
) -> LanguageReport:
    """The report on a text that the model was not calibrated on; errors are of its first window."""
    given, _ = windows(tokens, window)
    return LanguageReport(
        measure_errors(float_model, integer_model, given[0]),
        tuple(narrow_tensors(ranges, integer_model.formats)),
        compare_language_models(float_model, integer_model, tokens, window),
    )


def compare_language_models(
    float_model: FloatLanguageModel,
    integer_model: IntegerLanguageModel,
    tokens: Tokens,
    window: int = DEFAULT_WINDOW,
) -> LanguageComparison:
    """Both models' likelihoods on a text, window by window."""
    given, targets = windows(tokens, window)
    nats = np.zeros(2)
    agreed = 0
    for row, expected in zip(given, targets, strict=True):
        both = float_model.logits(row[None])[0], integer_model.logits(row)
        real = integer_model.float_logits(both[1])
        for i, logits in enumerate((both[0], real)):
            nats[i] -= log_likelihoods(logits, expected).sum()
        agreed += int((both[0].argmax(axis=-1) == both[1].argmax(axis=-1)).sum())
    size = targets.size
    float_nats, integer_nats = (float(total) / size for total in nats)
    return LanguageComparison(size, window, float_nats, integer_nats, agreed / size)


def measure_errors(
    float_model: FloatLanguageModel, integer_model: IntegerLanguageModel, tokens: Tokens
) -> RangeReport:
    """Ranges and errors of all weights, and of all activations on the given tokens."""
    trace = integer_model.forward(tokens, positions=np.arange(len(tokens)))
    rows = list(_weight_rows(integer_model, FoldedWeights(float_model.weights)))

    def observe(name: str, layer: int, values: Floats) -> None:
        row = _activation_row(integer_model, trace, name, layer, values)
        if row is not None:
            rows.append(row)

    float_model.logits(tokens[None], observe)
    return RangeReport(tuple(rows))


def _weight_rows(model: IntegerLanguageModel, folded: FoldedWeights) -> list[TensorRange]:
    rows = [
        _row("embedding", folded.embedding(), model.tensor("embedding"), model.formats.embedding)
    ]
    for layer in range(model.config.layers):
        for name in matrix_names(model.config):
            integers = model.tensor(f"layers.{layer}.{name}")
            frac_bits = model.formats.weight_bits(layer, name)
            values = folded.matrix(layer, name)
            rows.append(_row(f"weight {name} of layer {layer}", values, integers, frac_bits))
    return rows


def _activation_row(
    model: IntegerLanguageModel, trace: LanguageTrace, name: str, layer: int, values: Floats
) -> TensorRange | None:
    names = dict(_NORM_FIRST if model.config.norm_first else _NORM_LAST)
    tensor = (names | _ROTARY if model.config.is_llama else names).get(name, name)
    if not tensor:
        return None
    folded = folded_values(model.config, name, values)[0]
    if tensor == "logits":
        return _row("logits", folded, trace.output.logits, model.formats.logits)
    integers = trace[tensor][layer][: trace.num_tokens]
    frac_bits = model.formats.layers[layer][tensor.removesuffix("_raw")]
    if name.endswith("_rotated"):
        folded = folded.transpose(1, 0, 2)
    same = folded.reshape(integers.shape).astype(np.float64)
    return _row(f"{tensor} of layer {layer}", same, integers, frac_bits)


def _row(name: str, values: Floats, integers: NDArray[Any], frac_bits: int) -> TensorRange:
    number_format = FixedPoint(VALUE_BITS, frac_bits)
    return measure_range(name, values.astype(np.float64), integers, number_format)
