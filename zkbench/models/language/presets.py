"""The published architectures, for measurements with random weights.

OPT: Zhang et al., "OPT: Open Pre-trained Transformer Language Models" (2022), table 1, and the
configurations that Meta published with the weights. LLaMA-2: Touvron et al., "Llama 2: Open
Foundation and Fine-Tuned Chat Models" (2023), section 2.2 and the published configurations.
"""

from zkbench.errors import UnusableInput
from zkbench.models.language.config import LanguageModelConfig

OPT_VOCAB = 50272
LLAMA_VOCAB = 32000


def preset(name: str) -> LanguageModelConfig:
    """The architecture of that name; raises `UnusableInput` for a name that is not in `PRESETS`."""
    if name not in PRESETS:
        raise UnusableInput(f"preset {name!r} is unknown; there are {', '.join(PRESETS)}")
    return PRESETS[name]


def _opt(width: int, layers: int, heads: int) -> LanguageModelConfig:
    return LanguageModelConfig(
        family="opt",
        vocab=OPT_VOCAB,
        width=width,
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_width=width // heads,
        ffn_width=4 * width,
        max_positions=2048,
        embedding_width=512 if width == 1024 else width,
        tied=True,
        activation="relu",
        attention_bias=True,
        ffn_bias=True,
        norm_first=width != 1024,
    )


def _llama_2(width: int, layers: int, heads: int, ffn_width: int) -> LanguageModelConfig:
    return LanguageModelConfig(
        family="llama",
        vocab=LLAMA_VOCAB,
        width=width,
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_width=width // heads,
        ffn_width=ffn_width,
        max_positions=4096,
        embedding_width=width,
    )


PRESETS = {
    "opt-125m": _opt(768, 12, 12),
    "opt-350m": _opt(1024, 24, 16),
    "opt-1.3b": _opt(2048, 24, 32),
    "opt-2.7b": _opt(2560, 32, 32),
    "opt-6.7b": _opt(4096, 32, 32),
    "opt-13b": _opt(5120, 40, 40),
    "llama-2-7b": _llama_2(4096, 32, 32, 11008),
    "llama-2-13b": _llama_2(5120, 40, 40, 13824),
}
