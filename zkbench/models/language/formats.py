"""The number formats of an integer language model: one shift an operator, scales for each layer.

A tensor with f fraction bits stands for its integers over 2^f. The shift s of an operator is the
same in all layers; scales that differ between layers are absorbed by the weights:
    fraction bits of the weight = s + fraction bits of the output - fraction bits of the input.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from zkbench.errors import UnusableInput
from zkbench.models.language.config import LanguageModelConfig
from zkbench.quant.formats import is_integer

VALUE_BITS = 16
ACCUMULATOR_BITS = 47  # |acc| < 2^46
RESIDUAL_BITS = 31  # |x| < 2^30
MAX_SHIFT = 16
NORM_BITS = 15  # |x| <= sqrt(ss): with 15 fraction bits x / sqrt(ss) always fits
NORM_SHIFT = 16
INVERSE_BITS = NORM_BITS + NORM_SHIFT  # A
MASK = 1 << 15  # what t gains where j > i
TABLE_SIZE = 1 << 16

LLAMA_MATRICES = ("q", "k", "v", "o", "g", "u", "m")
OPT_MATRICES = ("q", "k", "v", "o", "f", "m")
SKIPS = ("o_skip", "m_skip")


def matrix_names(config: LanguageModelConfig) -> tuple[str, ...]:
    """The matrices of a layer, each named after the tensor that it makes.

    Without leading norms the residual sum is part of the layers that write: o_skip and m_skip lead
    from a part's input to its output, beside o and m.
    """
    names = LLAMA_MATRICES if config.is_llama else OPT_MATRICES
    return names if config.norm_first else (*names, *SKIPS)


def linear_names(config: LanguageModelConfig) -> tuple[str, ...]:
    """The tensors that come out of a linear layer (and its rescaling)."""
    return LLAMA_MATRICES if config.is_llama else OPT_MATRICES


_BOUNDS = {"score_bits": (1, 11), "row_bits": (8, 20), "tolerance": (1, (1 << 15) - 1)}
# 2^30 times an int16 is far from wrapping in int64, and caught as too large for the stream.
_MAX_RESIDUAL_SHIFT = 30


def shift_names(config: LanguageModelConfig) -> tuple[str, ...]:
    """The operators that rescale, each named after the tensor that it makes."""
    gated = ("h",) if config.is_llama else ()
    return (*linear_names(config), *gated, "z", "a", "logits")


def value_names(config: LanguageModelConfig) -> tuple[str, ...]:
    """The tensors that have a scale of their own in each layer."""
    return (*linear_names(config), "a", "h", "y")


@dataclass(frozen=True)
class LanguageFormats:
    """All scales of a model.

    residual: fraction bits of the residual stream x.
    shifts: of the rescalings, by the tensor that they make: "q", "k", "v", "o", "g", "u", "h" (or
        "f"), "m", "z" (the scores), "a", "logits"; each in [1, 16].
    layers: for each layer the fraction bits of "q", "k" (before and after the rotation), "v", "a",
        "o", "g", "u", "h" (or "f", "h"), "m", and "y" for the input of attention, 15 where it comes
        from a norm.
    embedding, positions: fraction bits of the tables, positions None for rotary models.
    logits: fraction bits of the logits.
    score_bits: one unit of t is 2^-score_bits nats.
    row_bits: the exponentials of a row shall sum to 2^row_bits.
    tolerance: by how much that sum may differ.
    epsilon: the norms' eps in the scale of ss.
    """

    residual: int
    shifts: Mapping[str, int]
    layers: tuple[Mapping[str, int], ...]
    embedding: int
    positions: int | None
    logits: int
    epsilon: int
    score_bits: int = 8
    row_bits: int = 15
    tolerance: int = 512

    def __post_init__(self) -> None:
        for name in ("residual", "embedding", "logits", "epsilon", *_BOUNDS):
            if not is_integer(getattr(self, name)):
                raise UnusableInput(f"{name} is {getattr(self, name)!r}; it must be an integer")
        for name, shift in self.shifts.items():
            if not is_integer(shift) or not 1 <= shift <= MAX_SHIFT:
                raise UnusableInput(f"the shift of {name} is {shift!r}; it must be in [1, 16]")
        if not 4 <= self.epsilon < 1 << 62:  # r = 2^31 / sq is below 2^31 from sq = 2 on
            raise UnusableInput(f"epsilon is {self.epsilon}; it must be in [4, 2^62)")
        for name, (low, high) in _BOUNDS.items():
            if not low <= getattr(self, name) <= high:
                raise UnusableInput(
                    f"{name} is {getattr(self, name)}; it must be in [{low}, {high}]"
                )

    def input_bits(self, layer: int, matrix: str) -> int:
        """Fraction bits of what the matrix is multiplied with."""
        if matrix == "o":
            return self.layers[layer]["a"]
        if matrix == "m":
            return self.layers[layer]["h"]
        return self.layers[layer]["y"] if matrix in ("q", "k", "v", "o_skip") else NORM_BITS

    def accumulator_bits(self, layer: int, matrix: str) -> int:
        """Fraction bits of the accumulators and of the bias; `matrix` may be a skip."""
        name = matrix.removesuffix("_skip")
        return self.shifts[name] + self.layers[layer][name]

    def weight_bits(self, layer: int, matrix: str) -> int:
        """Fraction bits of the matrix."""
        return self.accumulator_bits(layer, matrix) - self.input_bits(layer, matrix)

    def residual_shift(self, layer: int, name: str) -> int:
        """c_l for "o", e_l for "m": how far a contribution is shifted left into the stream."""
        return self.residual - self.layers[layer][name]

    @property
    def embedding_shift(self) -> int:
        return self.residual - self.embedding

    @property
    def positions_shift(self) -> int:
        return 0 if self.positions is None else self.residual - self.positions

    def check(self, config: LanguageModelConfig) -> None:
        """Raises `UnusableInput` unless these are formats for that model, and fit together."""
        if len(self.layers) != config.layers:
            raise UnusableInput(f"{len(self.layers)} layers have formats, not {config.layers}")
        _check_names("shift", self.shifts, shift_names(config))
        for layer, bits in enumerate(self.layers):
            _check_names(f"format of layer {layer} for", bits, value_names(config))
            if not self._fits(config, bits):
                raise UnusableInput(f"the number formats of layer {layer} do not fit together")
        if (self.positions is None) != config.is_llama:
            raise UnusableInput("the number formats have positions for another family")
        if config.norm_first and not self._is_residual(self.embedding, self.positions):
            raise UnusableInput(
                "the number formats of the embedding do not fit the residual stream"
            )
        first = self.layers[0]["y"]  # without leading norms: embedding and positions as they are
        if not config.norm_first and not first == self.embedding == self.positions:
            raise UnusableInput("the number formats of the embedding do not fit the first layer")

    def _fits(self, config: LanguageModelConfig, bits: Mapping[str, int]) -> bool:
        """Whether the products' fraction bits are what their rescaling takes and leaves."""
        fits = bits["q"] + bits["k"] == self.shifts["z"] + self.score_bits
        fits &= bits["v"] + self.row_bits == bits["a"] + self.shifts["a"]
        fits &= self._is_residual(bits["o"], bits["m"])
        if config.is_llama:
            fits &= bits["g"] == self.layers[0]["g"]
            return fits and bits["g"] + bits["u"] == bits["h"] + self.shifts["h"]
        shared = config.activation != "relu"
        return fits and bits["f"] == bits["h"] and (not shared or bits["f"] == self.layers[0]["f"])

    def _is_residual(self, *bits: int | None) -> bool:
        return all(0 <= self.residual - b <= _MAX_RESIDUAL_SHIFT for b in bits if b is not None)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "LanguageFormats":
        known = {entry.name for entry in fields(cls)}
        if set(data) != known:
            raise UnusableInput("the number formats are incomplete or hold an unknown entry")
        return cls(**{**data, "layers": tuple(dict(layer) for layer in data["layers"])})


def _check_names(what: str, found: Mapping[str, int], expected: tuple[str, ...]) -> None:
    for name in expected:
        if not is_integer(found.get(name)):
            raise UnusableInput(f"the {what} {name} is missing or no integer")
    if others := sorted(set(found) - set(expected)):
        raise UnusableInput(f"the {what} {others[0]} is unknown")
