"""The float weights in the form in which they become integers.

With n(x) = x / sqrt(sum_j x_j^2 + D eps) for the norms, everything else moves into matrices (d_in x
d_out) and biases:
* sqrt(D), the norm's weight and its bias move into the matrices that read it;
* 1/sqrt(d) moves into q;
* the centring of LayerNorm moves into what writes to the residual stream: matrices, biases,
  embedding and positions have mean zero over the width;
* OPT-350M's projections move into the embedding and into the output matrix;
* without leading norms, a residual sum starts from a norm's output: "o_skip" and "m_skip" are the
  centred diagonal matrices of that norm's weights.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkbench.models.language.checkpoint import Weights, output_weight
from zkbench.models.language.config import OPT_POSITION_OFFSET, LanguageModelConfig
from zkbench.models.language.tensor_names import embedding_name, layer_prefix

Floats = NDArray[np.floating[Any]]

_LLAMA_NAMES = {
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "o": "self_attn.o_proj",
    "g": "mlp.gate_proj",
    "u": "mlp.up_proj",
    "m": "mlp.down_proj",
}
_OPT_NAMES = {
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "o": "self_attn.out_proj",
    "f": "fc1",
    "m": "fc2",
}
_LLAMA_NORMS = ("input_layernorm", "post_attention_layernorm")
_OPT_NORMS = ("self_attn_layer_norm", "final_layer_norm")


@dataclass(frozen=True)
class Norm:
    """A norm's weight times sqrt(D), and its bias, both D; none of both: the values as they are."""

    weight: Floats | None
    bias: Floats | None


class FoldedWeights:
    """The folded tensors of `weights`, each made when it is asked for, in float64."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.config: LanguageModelConfig = weights.config

    def matrix(self, layer: int, name: str) -> Floats:
        """The matrix `name` of a layer, d_in x d_out."""
        if name.endswith("_skip"):
            return self._skip(layer, name)
        matrix = self._tensor(layer, f"{self.checkpoint_name(name)}.weight").T
        if name in ("o", "m"):
            return self._centred(matrix)
        norm = self._norm_read_by(layer, name)
        if norm.weight is not None:
            matrix = norm.weight[:, None] * matrix
        return matrix * self._factor(name)

    def bias(self, layer: int, name: str) -> Floats | None:
        """The bias of the tensor `name` (d_out), or None for a LLaMA without; an OPT has all."""
        bias = self._own_bias(layer, name)
        norm = self._norm_read_by(layer, name)
        if norm.bias is not None:
            carried = norm.bias
            if name not in ("o", "m"):
                carried = self._tensor(layer, f"{self.checkpoint_name(name)}.weight") @ norm.bias
            bias = carried if bias is None else bias + carried
        if bias is None:
            return None if self.config.is_llama else np.zeros(self.config.width)
        return self._centred(bias) if name in ("o", "m") else bias * self._factor(name)

    def embedding(self) -> Floats:
        """V x D."""
        table = self.weights.tensor(embedding_name(self.config)).astype(np.float64)
        if self.config.has_projections:
            table = table @ self._outer("model.decoder.project_in.weight").T
        return self._centred(table) if self.config.norm_first else table

    def positions(self) -> Floats | None:
        """max_positions x D, or None for a rotary model."""
        if self.config.is_llama:
            return None
        table = self._outer("model.decoder.embed_positions.weight")[OPT_POSITION_OFFSET:]
        return self._centred(table) if self.config.norm_first else table

    def output(self) -> Floats:
        """D x V."""
        norm, matrix = self._final_norm(), self._output_matrix()
        return matrix if norm.weight is None else norm.weight[:, None] * matrix

    def output_bias(self) -> Floats | None:
        """V, or None for a LLaMA."""
        norm = self._final_norm()
        return None if norm.bias is None else norm.bias @ self._output_matrix()

    def checkpoint_name(self, name: str) -> str:
        """What a checkpoint calls the matrix, without the layer's prefix."""
        return (_LLAMA_NAMES if self.config.is_llama else _OPT_NAMES)[name]

    def _output_matrix(self) -> Floats:
        matrix = output_weight(self.weights).astype(np.float64).T
        if self.config.has_projections:
            matrix = self._outer("model.decoder.project_out.weight").T @ matrix
        return matrix

    def _skip(self, layer: int, name: str) -> Floats:
        norm = self._norm_read_by(layer, name.removesuffix("_skip"))
        diagonal = np.ones(self.config.width) if norm.weight is None else norm.weight
        return self._centred(np.diag(diagonal))

    def _norm_read_by(self, layer: int, name: str) -> Norm:
        """The norm whose output the tensor is computed from, by its matrix or its skip."""
        in_attention = name in ("q", "k", "v", "o")
        if self.config.norm_first:
            return Norm(None, None) if name in ("o", "m") else self._norm(layer, not in_attention)
        if not in_attention:
            return self._norm(layer, False)
        return self._norm(layer - 1, True) if layer else Norm(None, None)

    def _norm(self, layer: int, second: bool) -> Norm:
        name = (_LLAMA_NORMS if self.config.is_llama else _OPT_NORMS)[second]
        return self._named_norm(layer_prefix(self.config, layer) + name)

    def _final_norm(self) -> Norm:
        if self.config.is_llama:
            return self._named_norm("model.norm")
        if self.config.norm_first:
            return self._named_norm("model.decoder.final_layer_norm")
        return self._norm(self.config.layers - 1, True)

    def _named_norm(self, name: str) -> Norm:
        weight = self._outer(f"{name}.weight") * math.sqrt(self.config.width)
        return Norm(weight, None if self.config.is_llama else self._outer(f"{name}.bias"))

    def _own_bias(self, layer: int, name: str) -> Floats | None:
        has = self.config.attention_bias if name in ("q", "k", "v", "o") else self.config.ffn_bias
        return self._tensor(layer, f"{self.checkpoint_name(name)}.bias") if has else None

    def _factor(self, name: str) -> float:
        return 1 / math.sqrt(self.config.head_width) if name == "q" else 1.0

    def _centred(self, values: Floats) -> Floats:
        if self.config.is_llama:
            return values
        return np.asarray(values - values.mean(axis=-1, keepdims=True))

    def _tensor(self, layer: int, name: str) -> Floats:
        return self._outer(layer_prefix(self.config, layer) + name)

    def _outer(self, name: str) -> Floats:
        return self.weights.tensor(name).astype(np.float64)


def folded_values(config: LanguageModelConfig, name: str, values: Floats) -> Floats:
    """What the integer model computes in the place of the float model's values.

    `name` is what `FloatLanguageModel` calls them. Those of q are divided by sqrt(d), those that
    enter a LayerNorm are centred.
    """
    if name in ("q", "q_rotated"):
        return values / math.sqrt(config.head_width)
    if not config.is_llama and name in ("x", "x_mid", "o", "m"):
        return np.asarray(values - values.mean(axis=-1, keepdims=True))
    return values
