"""Names and shapes of the tensors of a language model's proof that follow from its architecture."""

from __future__ import annotations

from math import prod

from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.formats import SKIPS, linear_names, matrix_names
from zkbench.models.language.integer_tensors import has_bias
from zkbench.protocols.gkr import Shape


def model_shapes(config: LanguageModelConfig) -> dict[str, Shape]:
    """Names and shapes of a model's committed tensors: layers stacked, heads as axes."""
    layers, width, inner = config.layers, config.width, config.ffn_width
    heads, keys = (config.heads, config.head_width), (config.kv_heads, config.head_width)
    sides: dict[str, tuple[Shape, Shape]] = {
        "q": ((width,), heads),
        "k": ((width,), keys),
        "v": ((width,), keys),
        "o": (heads, (width,)),
        "m": ((inner,), (width,)),
    }
    sides |= dict.fromkeys(("g", "u", "f"), ((width,), (inner,)))
    sides |= dict.fromkeys(SKIPS, ((width,), (width,)))
    shapes: dict[str, Shape] = {"embedding": (config.vocab, width)}
    if not config.is_llama:
        shapes["positions"] = (config.max_positions, width)
        shapes["b_output"] = (1, config.vocab)
    shapes["output"] = (1, width, config.vocab)
    for name in matrix_names(config):
        d_in, d_out = sides[name]
        shapes[f"w_{name}"] = (layers, *d_in, *d_out)
        if name in linear_names(config) and has_bias(config, name):
            shapes[f"b_{name}"] = (layers, *d_out)
    return shapes


def committed_integers(config: LanguageModelConfig) -> int:
    """How many these tensors have."""
    return sum(map(prod, model_shapes(config).values()))


def is_stacked(name: str) -> bool:
    """Whether a tensor of a model's commitment has the layers as its first axis."""
    return name.startswith(("w_", "b_")) and name != "b_output"


def norm_tensors(config: LanguageModelConfig, ends: bool = True) -> dict[str, tuple[str, str]]:
    """Of each norm, by its name: the tensor that it reads and the one that it makes.

    ends: whether the norm before the output is one of them.
    """
    if config.norm_first:
        return {
            f"norm{suffix}": (f"x{suffix}", f"y{suffix}") for suffix in ("12f" if ends else "12")
        }
    return {"norm1": ("x1", "y2"), "norm2": ("x2", "y3")}
