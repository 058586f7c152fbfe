"""The architecture of a language model of the LLaMA or the OPT family, as one description.

It comes from a Hugging Face `config.json`, or from a preset with the published shapes.
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from zkbench.errors import UnusableInput
from zkbench.files import PathLike, read_json

FAMILIES = ("llama", "opt")
ACTIVATIONS = ("silu", "relu", "gelu")
OPT_POSITION_OFFSET = 2  # rows of OPT's table of positions before position 0
OPT_NORM_EPS = 1e-5  # PyTorch's default, which OPT takes

_ACTIVATION_NAMES = {"silu": "silu", "swish": "silu", "relu": "relu", "gelu": "gelu"}


@dataclass(frozen=True)
class LanguageModelConfig:
    """The shapes and the operators of a decoder-only transformer.

    family: "llama" (RMSNorm, rotary positions, a gated feed-forward part) or "opt" (LayerNorm,
        learned positions, a plain feed-forward part, scores scaled by 1/sqrt(head_width)).
    vocab, width, layers, ffn_width: V, D, L, F. heads, kv_heads: H, Hkv; H / Hkv queries share a
        key. head_width: d, which need not be width / heads for "llama".
    max_positions: for "opt" the length of the table of positions, for "llama" what it was trained
        for.
    embedding_width: of the embedding and of the output layer, different from the width only for
        OPT-350M, which projects from the one to the other and back.
    tied: whether the output layer is the transposed embedding.
    attention_bias, ffn_bias: whether the linear layers of these parts have biases.
    norm_first: whether the norms stand before attention and feed-forward part (with one more
        before the output layer) or behind each residual sum.
    """

    family: str
    vocab: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    ffn_width: int
    max_positions: int
    embedding_width: int
    norm_eps: float = OPT_NORM_EPS
    rope_theta: float = 10000.0
    tied: bool = False
    activation: str = "silu"
    attention_bias: bool = False
    ffn_bias: bool = False
    norm_first: bool = True

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise UnusableInput(f"model family {self.family!r} is not one of {list(FAMILIES)}")
        if self.activation not in ACTIVATIONS:
            message = f"activation {self.activation!r} is not one of {list(ACTIVATIONS)}"
            raise UnusableInput(message)
        for name in _COUNTS:
            if not _is_count(getattr(self, name)):
                raise UnusableInput(f"{name} is {getattr(self, name)!r}; it must be 1 or more")
        self._check_heads()
        self._check_family()
        for name in ("norm_eps", "rope_theta"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
                raise UnusableInput(f"{name} is {value!r}; it must be positive and finite")
        if self.is_llama and self.rope_theta < 1:
            raise UnusableInput(f"rope_theta is {self.rope_theta!r}; it must be 1 or more")

    def _check_heads(self) -> None:
        if self.heads % self.kv_heads:
            message = f"{self.heads} heads cannot share {self.kv_heads} key heads evenly"
            raise UnusableInput(message)
        if self.family == "llama" and self.head_width % 2:
            raise UnusableInput(f"head width {self.head_width} is odd; rotation pairs its halves")

    def _check_family(self) -> None:
        if self.family == "llama" and self.activation != "silu":
            raise UnusableInput(
                f"activation {self.activation!r} in a LLaMA: only silu is supported"
            )
        if self.family == "llama" and (self.embedding_width != self.width or not self.norm_first):
            raise UnusableInput("a LLaMA has norms first and an embedding as wide as the model")
        if self.family == "opt" and self.heads * self.head_width != self.width:
            message = f"{self.heads} heads of {self.head_width} do not make a width of {self.width}"
            raise UnusableInput(message)

    @property
    def is_llama(self) -> bool:
        return self.family == "llama"

    @property
    def group(self) -> int:
        """G = H / Hkv, the heads that share a key and a value."""
        return self.heads // self.kv_heads

    @property
    def has_projections(self) -> bool:
        """Whether embeddings are projected to the model's width, and back (OPT-350M)."""
        return self.embedding_width != self.width

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "LanguageModelConfig":
        """The inverse of `to_dict`; raises `UnusableInput` for other keys."""
        known = {entry.name for entry in fields(cls)}
        if unknown := sorted(set(data) - known):
            raise UnusableInput(f"the model description has an unknown key {unknown[0]!r}")
        try:
            return cls(**data)
        except TypeError as error:
            raise UnusableInput(f"the model description is incomplete: {error}") from error

    @classmethod
    def from_huggingface(cls, path: PathLike) -> "LanguageModelConfig":
        """The description in a `config.json`, or in a folder that holds one.

        Raises `UnusableInput` in one sentence for another model, a missing or unusable entry, and
        for what would change the result and is not supported: scaled rotary embeddings, a sliding
        window, OPT without norm weights.
        """
        file = Path(path) / "config.json" if os.path.isdir(path) else Path(path)
        data = read_json(file)
        if not isinstance(data, dict):
            raise UnusableInput(f"{file} is not a JSON object")
        try:
            return _from_huggingface(data)
        except UnusableInput as error:
            raise UnusableInput(f"{file}: {error}") from error

    def to_huggingface(self) -> dict[str, Any]:
        """What `from_huggingface` reads back, in Hugging Face's keys."""
        entries = {key: getattr(self, name) for key, name in _SHARED_KEYS.items()}
        if self.is_llama:
            own = {key: getattr(self, name) for key, name in _LLAMA_KEYS.items()}
            return {**entries, **own, "hidden_act": "silu"}
        own = {key: getattr(self, name) for key, name in _OPT_KEYS.items()}
        return {**entries, **own, "activation_function": self.activation}

    def with_layers(self, layers: int) -> "LanguageModelConfig":
        """The same model with another number of layers."""
        return replace(self, layers=layers)


_COUNTS = (
    *("vocab", "width", "layers", "heads", "kv_heads", "head_width"),
    *("ffn_width", "max_positions", "embedding_width"),
)
_SHARED_KEYS = {
    "model_type": "family",
    "vocab_size": "vocab",
    "hidden_size": "width",
    "num_hidden_layers": "layers",
    "num_attention_heads": "heads",
    "max_position_embeddings": "max_positions",
    "tie_word_embeddings": "tied",
}
_LLAMA_KEYS = {
    "num_key_value_heads": "kv_heads",
    "head_dim": "head_width",
    "intermediate_size": "ffn_width",
    "rms_norm_eps": "norm_eps",
    "rope_theta": "rope_theta",
    "attention_bias": "attention_bias",
    "mlp_bias": "ffn_bias",
}
_OPT_KEYS = {
    "ffn_dim": "ffn_width",
    "word_embed_proj_dim": "embedding_width",
    "do_layer_norm_before": "norm_first",
    "enable_bias": "attention_bias",
}


def _from_huggingface(data: Mapping[str, Any]) -> LanguageModelConfig:
    family = data.get("model_type")
    if family == "llama":
        return _llama(data)
    if family == "opt":
        return _opt(data)
    raise UnusableInput(f"model_type is {family!r}; supported are {list(FAMILIES)}")


def _llama(data: Mapping[str, Any]) -> LanguageModelConfig:
    _refuse_rope_scaling(data)
    width, heads = _count(data, "hidden_size"), _count(data, "num_attention_heads")
    head_width = data.get("head_dim") or _head_width(width, heads)
    return LanguageModelConfig(
        **_shared(data),
        width=width,
        heads=heads,
        kv_heads=data.get("num_key_value_heads") or heads,
        head_width=head_width,
        ffn_width=_count(data, "intermediate_size"),
        max_positions=_count(data, "max_position_embeddings", 2048),
        embedding_width=width,
        norm_eps=data.get("rms_norm_eps", 1e-6),
        rope_theta=_rope_theta(data),
        tied=_flag(data, "tie_word_embeddings", False),
        activation=_activation(data.get("hidden_act", "silu")),
        attention_bias=_flag(data, "attention_bias", False),
        ffn_bias=_flag(data, "mlp_bias", False),
    )


def _opt(data: Mapping[str, Any]) -> LanguageModelConfig:
    if not _flag(data, "layer_norm_elementwise_affine", True):
        raise UnusableInput("norms without weights (layer_norm_elementwise_affine) are unsupported")
    if _flag(data, "_remove_final_layer_norm", False):
        raise UnusableInput("a model without its final norm (_remove_final_layer_norm) is unknown")
    width, heads = _count(data, "hidden_size"), _count(data, "num_attention_heads")
    biases = _flag(data, "enable_bias", True)
    return LanguageModelConfig(
        **_shared(data),
        width=width,
        heads=heads,
        kv_heads=heads,
        head_width=_head_width(width, heads),
        ffn_width=_count(data, "ffn_dim"),
        max_positions=_count(data, "max_position_embeddings"),
        embedding_width=data.get("word_embed_proj_dim") or width,
        tied=_flag(data, "tie_word_embeddings", True),
        activation=_activation(data.get("activation_function", "relu")),
        attention_bias=biases,
        ffn_bias=biases,
        norm_first=_flag(data, "do_layer_norm_before", True),
    )


def _shared(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "family": data["model_type"],
        "vocab": _count(data, "vocab_size"),
        "layers": _count(data, "num_hidden_layers"),
    }


def _count(data: Mapping[str, Any], key: str, default: int | None = None) -> int:
    value = data.get(key, default)
    if value is None:
        raise UnusableInput(f"the entry {key} is missing")
    if not _is_count(value):
        raise UnusableInput(f"{key} is {json.dumps(value)}; it must be an integer of 1 or more")
    return int(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _flag(data: Mapping[str, Any], key: str, default: bool) -> bool:
    value = data.get(key, default)
    if not isinstance(value, bool):
        raise UnusableInput(f"{key} is {json.dumps(value)}; it must be true or false")
    return value


def _activation(name: object) -> str:
    if not isinstance(name, str) or name not in _ACTIVATION_NAMES:
        raise UnusableInput(f"activation {name!r} is not one of {list(ACTIVATIONS)}")
    return _ACTIVATION_NAMES[name]


def _head_width(width: int, heads: int) -> int:
    if width % heads:
        raise UnusableInput(f"a width of {width} cannot be split evenly into {heads} heads")
    return width // heads


def _rope_parameters(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The two spellings: rope_scaling beside rope_theta, and one rope_parameters with both."""
    found = data.get("rope_parameters") or data.get("rope_scaling") or {}
    return found if isinstance(found, dict) else {}


def _rope_theta(data: Mapping[str, Any]) -> float:
    value: float = data.get("rope_theta", _rope_parameters(data).get("rope_theta", 10000.0))
    return value


def _refuse_rope_scaling(data: Mapping[str, Any]) -> None:
    parameters = _rope_parameters(data)
    kind = parameters.get("rope_type", parameters.get("type", "default"))
    if kind != "default":
        raise UnusableInput(f"rotary embeddings scaled by {kind!r} are not supported")
    if data.get("sliding_window"):
        raise UnusableInput("attention in a sliding window is not supported")
