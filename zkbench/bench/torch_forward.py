"""Language models in PyTorch: what a proof's cost is compared with. Imported only where torch is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from zkbench.models.language.config import OPT_POSITION_OFFSET, LanguageModelConfig
from zkbench.models.language.tensor_names import (
    embedding_name,
    layer_prefix,
    layer_shapes,
    outer_shapes,
)

Tensor = Any  # torch.Tensor
Weights = Callable[[str], Tensor]  # tensors by their names in a checkpoint

_DEVIATION = 0.02
_SHARE = 2  # weights take at most this part of the memory that is free


def random_weights(config: LanguageModelConfig, device: torch.device) -> Weights:
    """Random fp16 weights: of all layers, or, where memory is short, of a few that take turns."""
    free, _ = torch.cuda.mem_get_info(device)
    shapes = layer_shapes(config)
    layer_bytes = 2 * sum(int(torch.Size(shape).numel()) for shape in shapes.values())
    held = max(1, min(config.layers, free // _SHARE // layer_bytes))
    made = {name: _random(shape, device) for name, shape in outer_shapes(config).items()}
    for layer in range(held):
        prefix = layer_prefix(config, layer)
        made |= {prefix + name: _random(shape, device) for name, shape in shapes.items()}
    for layer in range(held, config.layers):
        prefix, other = (layer_prefix(config, n) for n in (layer, layer % held))
        made |= {prefix + name: made[other + name] for name in shapes}
    return made.__getitem__


def _random(shape: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.randn(shape, device=device, dtype=torch.float16) * _DEVIATION


class TorchLanguageModel:
    """The forward pass of a model, in the type of its weights."""

    def __init__(self, config: LanguageModelConfig, weights: Weights) -> None:
        self.config, self.weights = config, weights

    @torch.inference_mode()
    def logits(self, tokens: Tensor) -> Tensor:
        """V, behind the last of the tokens (S)."""
        config = self.config
        x = self._embedded(tokens)
        for layer in range(config.layers):
            x = self._layer(layer_prefix(config, layer), x)
        x = x[-1]
        if config.norm_first:
            x = self._norm("model.norm" if config.is_llama else "model.decoder.final_layer_norm", x)
        if config.has_projections:
            x = self._linear("model.decoder.project_out", x, False)
        return x @ self.weights(embedding_name(config) if config.tied else "lm_head.weight").T

    def _embedded(self, tokens: Tensor) -> Tensor:
        x = self.weights(embedding_name(self.config))[tokens]
        if self.config.is_llama:
            return x
        if self.config.has_projections:
            x = self._linear("model.decoder.project_in", x, False)
        rows = torch.arange(len(tokens), device=tokens.device) + OPT_POSITION_OFFSET
        return x + self.weights("model.decoder.embed_positions.weight")[rows]

    def _layer(self, prefix: str, x: Tensor) -> Tensor:
        llama = self.config.is_llama
        first, second = (
            ("input_layernorm", "post_attention_layernorm")
            if llama
            else ("self_attn_layer_norm", "final_layer_norm")
        )
        x = self._added(prefix + first, x, lambda y: self._attention(prefix, y))
        feed_forward = self._gated if llama else self._plain
        return self._added(prefix + second, x, lambda y: feed_forward(prefix, y))

    def _added(self, norm: str, x: Tensor, part: Callable[[Tensor], Tensor]) -> Tensor:
        """x and what a part makes of it, with the norm in front of the part or behind the sum."""
        if self.config.norm_first:
            return x + part(self._norm(norm, x))
        return self._norm(norm, x + part(x))

    def _norm(self, name: str, x: Tensor) -> Tensor:
        width, weight = x.shape[-1:], self.weights(f"{name}.weight")
        if self.config.is_llama:
            return F.rms_norm(x, width, weight, self.config.norm_eps)
        bias = self.weights(f"{name}.bias")
        return F.layer_norm(x, width, weight, bias, self.config.norm_eps)

    def _linear(self, name: str, x: Tensor, bias: bool) -> Tensor:
        added = self.weights(f"{name}.bias") if bias else None
        return F.linear(x, self.weights(f"{name}.weight"), added)

    def _attention(self, prefix: str, y: Tensor) -> Tensor:
        config, name = self.config, f"{prefix}self_attn."
        q, k, v = (
            self._linear(f"{name}{one}_proj", y, config.attention_bias)
            .view(len(y), -1, config.head_width)
            .transpose(0, 1)
            for one in "qkv"
        )
        if config.is_llama:
            q, k = (_rotated(one, config.rope_theta) for one in (q, k))
        k, v = (one.repeat_interleave(config.group, dim=0) for one in (k, v))
        a = F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)[0]
        out = f"{name}o_proj" if config.is_llama else f"{name}out_proj"
        return self._linear(out, a.transpose(0, 1).reshape(len(y), -1), config.attention_bias)

    def _gated(self, prefix: str, y: Tensor) -> Tensor:
        bias = self.config.ffn_bias
        gate = F.silu(self._linear(f"{prefix}mlp.gate_proj", y, bias))
        up = self._linear(f"{prefix}mlp.up_proj", y, bias)
        return self._linear(f"{prefix}mlp.down_proj", gate * up, bias)

    def _plain(self, prefix: str, y: Tensor) -> Tensor:
        bias = self.config.ffn_bias
        function = {"relu": F.relu, "gelu": F.gelu, "silu": F.silu}[self.config.activation]
        return self._linear(f"{prefix}fc2", function(self._linear(f"{prefix}fc1", y, bias)), bias)


def _rotated(x: Tensor, theta: float) -> Tensor:
    """Rotary embedding of heads x S x d: entries j and j + d/2 turn together."""
    positions, half = x.shape[-2], x.shape[-1] // 2
    steps = torch.arange(half, device=x.device, dtype=torch.float32) / half
    angles = torch.arange(positions, device=x.device)[:, None] * theta**-steps
    cos, sin = torch.cos(angles).to(x.dtype), torch.sin(angles).to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)
