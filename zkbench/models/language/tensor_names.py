"""The tensors of a checkpoint: their names, as Hugging Face writes them, and their shapes."""

import math

from zkbench.models.language.config import OPT_POSITION_OFFSET, LanguageModelConfig

Shapes = dict[str, tuple[int, ...]]


def expected_shapes(config: LanguageModelConfig) -> Shapes:
    """Every tensor of the model by its full name; matrices are out x in, as PyTorch's."""
    shapes = dict(outer_shapes(config))
    for layer in range(config.layers):
        prefix = layer_prefix(config, layer)
        shapes |= {prefix + name: shape for name, shape in layer_shapes(config).items()}
    return shapes


def num_parameters(config: LanguageModelConfig) -> int:
    """The number of parameters; a tied output layer counts once."""
    return sum(math.prod(shape) for shape in expected_shapes(config).values())


def layer_prefix(config: LanguageModelConfig, layer: int) -> str:
    """What the names of a layer's tensors begin with."""
    return f"model.layers.{layer}." if config.is_llama else f"model.decoder.layers.{layer}."


def layer_shapes(config: LanguageModelConfig) -> Shapes:
    """The tensors of one layer, without the prefix."""
    return _llama_layer(config) if config.is_llama else _opt_layer(config)


def outer_shapes(config: LanguageModelConfig) -> Shapes:
    """The tensors outside of all layers; a tied output layer is none."""
    table = (config.vocab, config.embedding_width)
    if config.is_llama:
        shapes: Shapes = {"model.embed_tokens.weight": table, "model.norm.weight": (config.width,)}
    else:
        shapes = _opt_outer(config)
    return shapes if config.tied else shapes | {"lm_head.weight": table}


def embedding_name(config: LanguageModelConfig) -> str:
    return "model.embed_tokens.weight" if config.is_llama else "model.decoder.embed_tokens.weight"


def _llama_layer(config: LanguageModelConfig) -> Shapes:
    width, inner = config.width, config.ffn_width
    queries, keys = config.heads * config.head_width, config.kv_heads * config.head_width
    attention = {"q": (queries, width), "k": (keys, width), "v": (keys, width)}
    attention["o"] = (width, queries)
    feed_forward = {"gate": (inner, width), "up": (inner, width), "down": (width, inner)}
    norms = ("input_layernorm", "post_attention_layernorm")
    shapes: Shapes = {f"{name}.weight": (width,) for name in norms}
    for name, shape in attention.items():
        shapes |= _linear(f"self_attn.{name}_proj", shape, config.attention_bias)
    for name, shape in feed_forward.items():
        shapes |= _linear(f"mlp.{name}_proj", shape, config.ffn_bias)
    return shapes


def _opt_layer(config: LanguageModelConfig) -> Shapes:
    width, inner = config.width, config.ffn_width
    shapes = _norm("self_attn_layer_norm", width) | _norm("final_layer_norm", width)
    for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
        shapes |= _linear(f"self_attn.{name}", (width, width), config.attention_bias)
    shapes |= _linear("fc1", (inner, width), config.ffn_bias)
    return shapes | _linear("fc2", (width, inner), config.ffn_bias)


def _opt_outer(config: LanguageModelConfig) -> Shapes:
    positions = config.max_positions + OPT_POSITION_OFFSET
    shapes: Shapes = {
        "model.decoder.embed_tokens.weight": (config.vocab, config.embedding_width),
        "model.decoder.embed_positions.weight": (positions, config.width),
    }
    if config.has_projections:
        narrow, wide = config.embedding_width, config.width
        shapes["model.decoder.project_in.weight"] = (wide, narrow)
        shapes["model.decoder.project_out.weight"] = (narrow, wide)
    if config.norm_first:
        shapes |= _norm("model.decoder.final_layer_norm", config.width)
    return shapes


def _linear(name: str, shape: tuple[int, int], bias: bool) -> Shapes:
    weight: Shapes = {f"{name}.weight": shape}
    return weight | {f"{name}.bias": shape[:1]} if bias else weight


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
