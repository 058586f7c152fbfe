"""The forward pass in floating point: LLaMA and OPT as their authors define them.

Shapes: tokens are batch x S, activations batch x S x D, heads batch x H x S x d.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from zkbench.errors import UnusableInput
from zkbench.models.language.checkpoint import Weights, output_weight
from zkbench.models.language.config import OPT_POSITION_OFFSET, LanguageModelConfig
from zkbench.models.language.tensor_names import embedding_name, layer_prefix, layer_shapes

Floats = NDArray[np.floating[Any]]
Tokens = NDArray[np.int64]
# Called with an operator's name, the layer and the values.
Observer = Callable[[str, int, Floats], None]


def _ignore(name: str, layer: int, values: Floats) -> None:
    pass


class FloatLanguageModel:
    """A model whose layers are read from `weights` one at a time, when they are needed.

    dtype: float64 or float32, in which everything is computed.
    """

    def __init__(self, weights: Weights, dtype: DTypeLike = np.float64) -> None:
        self.weights = weights
        self.config: LanguageModelConfig = weights.config
        self.dtype = np.dtype(dtype)

    def logits(self, tokens: Tokens, observe: Observer = _ignore) -> Floats:
        """batch x S x V, for tokens of shape batch x S.

        `observe` sees the values of every operator: "x" and "x_mid" (the residual stream before
        attention and before the feed-forward part; without leading norms: the sums before the
        norms), "q", "k", "v", "q_rotated", "k_rotated", "scores" (with 1/sqrt(d), not masked), "a",
        "o", "gate", "up" or "f", "h", "m", and for the layer behind the last one "x" (with leading
        norms) and "logits".
        Raises `UnusableInput` for tokens outside of the vocabulary and too many positions.
        """
        check_tokens(self.config, tokens)
        x = self.embed(tokens)
        for layer in range(self.config.layers):
            x = self.layer(layer, x, observe)
        return self.output(x, observe)

    def embed(self, tokens: Tokens) -> Floats:
        """x_0, batch x S x D."""
        x = self._tensor(embedding_name(self.config), tokens)
        if self.config.is_llama:
            return x
        if self.config.has_projections:
            x = x @ self._tensor("model.decoder.project_in.weight").T
        rows = np.arange(tokens.shape[1]) + OPT_POSITION_OFFSET
        return x + self._tensor("model.decoder.embed_positions.weight", rows)

    def layer(self, layer: int, x: Floats, observe: Observer = _ignore) -> Floats:
        """The residual stream behind a layer, from the one before it."""
        prefix = layer_prefix(self.config, layer)
        tensors = {name: self._tensor(prefix + name) for name in layer_shapes(self.config)}
        return _Layer(self.config, layer, tensors, observe).forward(x)

    def output(self, x: Floats, observe: Observer = _ignore) -> Floats:
        """The logits, batch x S x V, from the residual stream behind the last layer."""
        config = self.config
        if config.norm_first:
            observe("x", config.layers, x)
        if config.is_llama:
            x = rms_norm(x, self._tensor("model.norm.weight"), config.norm_eps)
        elif config.norm_first:
            name = "model.decoder.final_layer_norm"
            x = layer_norm(x, self._tensor(f"{name}.weight"), self._tensor(f"{name}.bias"))
        if config.has_projections:
            x = x @ self._tensor("model.decoder.project_out.weight").T
        logits: Floats = x @ output_weight(self.weights).astype(self.dtype).T
        observe("logits", config.layers, logits)
        return logits

    def _tensor(self, name: str, rows: Any = slice(None)) -> Floats:
        return self.weights.tensor(name)[rows].astype(self.dtype)


class _Layer:
    """One layer's tensors, by their names without the prefix, and its operators."""

    def __init__(
        self,
        config: LanguageModelConfig,
        index: int,
        tensors: dict[str, Floats],
        observe: Observer,
    ) -> None:
        self.config = config
        self.tensors = tensors
        self.observe = lambda name, values: observe(name, index, values)

    def forward(self, x: Floats) -> Floats:
        first, second = self._norms()
        if self.config.norm_first:
            self.observe("x", x)
            x = x + self.attention(self.norm(first, x))
            self.observe("x_mid", x)
            return x + self.feed_forward(self.norm(second, x))
        x = x + self.attention(x)
        self.observe("x_mid", x)
        x = self.norm(first, x)
        x = x + self.feed_forward(x)
        self.observe("x", x)
        return self.norm(second, x)

    def attention(self, y: Floats) -> Floats:
        q, k, v = (self._heads(name, y) for name in "qkv")
        if self.config.is_llama:
            q, k = (rotate(values, self.config.rope_theta) for values in (q, k))
            self.observe("q_rotated", q)
            self.observe("k_rotated", k)
        a = self._mixed(q, k, v)
        self.observe("a", a)
        o = self.linear("self_attn.o_proj" if self.config.is_llama else "self_attn.out_proj", a)
        self.observe("o", o)
        return o

    def feed_forward(self, y: Floats) -> Floats:
        if self.config.is_llama:
            gate, up = self.linear("mlp.gate_proj", y), self.linear("mlp.up_proj", y)
            self.observe("gate", gate)
            self.observe("up", up)
            h: Floats = silu(gate) * up
        else:
            f = self.linear("fc1", y)
            self.observe("f", f)
            h = activation_function(self.config.activation)(f)
        self.observe("h", h)
        m = self.linear("mlp.down_proj" if self.config.is_llama else "fc2", h)
        self.observe("m", m)
        return m

    def norm(self, name: str, x: Floats) -> Floats:
        weight = self.tensors[f"{name}.weight"]
        if self.config.is_llama:
            return rms_norm(x, weight, self.config.norm_eps)
        return layer_norm(x, weight, self.tensors[f"{name}.bias"], self.config.norm_eps)

    def linear(self, name: str, x: Floats) -> Floats:
        y: Floats = x @ self.tensors[f"{name}.weight"].T
        bias = self.tensors.get(f"{name}.bias")
        return y if bias is None else y + bias

    def _norms(self) -> tuple[str, str]:
        if self.config.is_llama:
            return "input_layernorm", "post_attention_layernorm"
        return "self_attn_layer_norm", "final_layer_norm"

    def _heads(self, name: str, y: Floats) -> Floats:
        values = self.linear(f"self_attn.{name}_proj", y)
        self.observe(name, values)
        batch, positions, _ = values.shape
        return values.reshape(batch, positions, -1, self.config.head_width).transpose(0, 2, 1, 3)

    def _mixed(self, q: Floats, k: Floats, v: Floats) -> Floats:
        """The heads' weighted means of v, side by side: batch x S x (H d)."""
        k, v = np.repeat(k, self.config.group, axis=1), np.repeat(v, self.config.group, axis=1)
        scores = q @ k.transpose(0, 1, 3, 2) / math.sqrt(self.config.head_width)
        self.observe("scores", scores)
        a: Floats = causal_softmax(scores) @ v
        return a.transpose(0, 2, 1, 3).reshape(a.shape[0], a.shape[2], -1)


def rms_norm(x: Floats, weight: Floats, eps: float) -> Floats:
    """x / sqrt(mean(x^2) + eps) * weight over the last axis."""
    scale = 1 / np.sqrt(np.mean(np.square(x), axis=-1, keepdims=True) + eps)
    return np.asarray(x * scale * weight)


def layer_norm(x: Floats, weight: Floats, bias: Floats, eps: float = 1e-5) -> Floats:
    """(x - mean(x)) / sqrt(var(x) + eps) * weight + bias over the last axis."""
    return rms_norm(x - x.mean(axis=-1, keepdims=True), weight, eps) + bias


def rotate(x: Floats, theta: float) -> Floats:
    """Rotary embedding of heads x (.. x S x d): entries j and j + d/2 turn by i theta^(-2j/d)."""
    half = x.shape[-1] // 2
    cos, sin = rotary_angles(x.shape[-2], half, theta, x.dtype)
    a, b = x[..., :half], x[..., half:]
    return np.concatenate((a * cos - b * sin, b * cos + a * sin), axis=-1)


def rotary_angles(
    positions: int, half: int, theta: float, dtype: DTypeLike = np.float64
) -> tuple[Floats, Floats]:
    """Cosines and sines, each positions x half."""
    angles = np.arange(positions)[:, None] * theta ** (-np.arange(half) / half)
    return np.cos(angles).astype(dtype), np.sin(angles).astype(dtype)


def causal_softmax(scores: Floats) -> Floats:
    """Softmax over j <= i of scores (.. x i x j), 0 for j > i."""
    masked = np.where(_is_past(scores), scores, -np.inf)
    powers = np.exp(masked - masked.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def causal_logsumexp(scores: Floats) -> Floats:
    """log sum_{j <= i} exp(scores[.., i, j])."""
    masked = np.where(_is_past(scores), scores, -np.inf)
    top = masked.max(axis=-1)
    return np.asarray(top + np.log(np.exp(masked - top[..., None]).sum(axis=-1)))


def silu(x: Floats) -> Floats:
    """x / (1 + exp(-x))."""
    return np.asarray(x * 0.5 * (1 + np.tanh(0.5 * x)))  # the same, and never overflows


def relu(x: Floats) -> Floats:
    """max(x, 0)."""
    return np.maximum(x, 0)


def gelu(x: Floats) -> Floats:
    """x times the normal distribution function."""
    return np.asarray(0.5 * x * (1 + _erf(x / math.sqrt(2)).astype(x.dtype)))


_erf = np.vectorize(math.erf, otypes=[np.float64])


def activation_function(name: str) -> Callable[[Floats], Floats]:
    """The function that a configuration calls so."""
    return {"silu": silu, "relu": relu, "gelu": gelu}[name]


def check_tokens(config: LanguageModelConfig, tokens: Tokens) -> None:
    """Raises `UnusableInput` for no tokens, tokens outside of [0, V) and too many positions."""
    if tokens.size == 0:
        raise UnusableInput("there are no tokens")
    low, high = int(tokens.min()), int(tokens.max())
    if low < 0 or high >= config.vocab:
        wrong = low if low < 0 else high
        raise UnusableInput(f"token {wrong} is outside of the vocabulary [0, {config.vocab})")
    if not config.is_llama and tokens.shape[-1] > config.max_positions:
        message = f"{tokens.shape[-1]} positions; the model has {config.max_positions}"
        raise UnusableInput(message)


def _is_past(scores: Floats) -> NDArray[np.bool_]:
    return np.tri(*scores.shape[-2:], dtype=np.bool_)
