"""Architectures: from Hugging Face's descriptions, and as published."""

import json

import pytest

from zkbench.errors import UnusableInput
from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.presets import PRESETS, preset
from zkbench.models.language.shipped import SHIPPED, shipped
from zkbench.models.language.tensor_names import expected_shapes, num_parameters

# As published with the weights.
PARAMETERS = {
    "opt-125m": 125_239_296,
    "opt-350m": 331_196_416,
    "opt-1.3b": 1_315_758_080,
    "opt-2.7b": 2_651_596_800,
    "opt-6.7b": 6_658_473_984,
    "opt-13b": 12_853_473_280,
    "llama-2-7b": 6_738_415_616,
    "llama-2-13b": 13_015_864_320,
}
OPT_350M = {
    "model_type": "opt",
    "activation_function": "relu",
    "attention_dropout": 0.0,
    "do_layer_norm_before": False,
    "ffn_dim": 4096,
    "hidden_size": 1024,
    "max_position_embeddings": 2048,
    "num_attention_heads": 16,
    "num_hidden_layers": 24,
    "vocab_size": 50272,
    "word_embed_proj_dim": 512,
}
LLAMA_2_13B = {
    "model_type": "llama",
    "hidden_act": "silu",
    "hidden_size": 5120,
    "intermediate_size": 13824,
    "max_position_embeddings": 4096,
    "num_attention_heads": 40,
    "num_hidden_layers": 40,
    "num_key_value_heads": 40,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "tie_word_embeddings": False,
    "vocab_size": 32000,
}


def read(tmp_path, content):
    (tmp_path / "config.json").write_text(json.dumps(content))
    return LanguageModelConfig.from_huggingface(tmp_path)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_the_published_number_of_parameters(name):
    assert num_parameters(preset(name)) == PARAMETERS[name]


def test_there_is_a_preset_for_every_published_number():
    assert set(PRESETS) == set(PARAMETERS)


@pytest.mark.parametrize(
    ("content", "name"), [(OPT_350M, "opt-350m"), (LLAMA_2_13B, "llama-2-13b")]
)
def test_published_descriptions_are_the_presets(tmp_path, content, name):
    assert read(tmp_path, content) == preset(name)


@pytest.mark.parametrize("name", PRESETS)
def test_huggingface_and_back(tmp_path, name):
    assert read(tmp_path, preset(name).to_huggingface()) == preset(name)
    assert LanguageModelConfig.from_dict(preset(name).to_dict()) == preset(name)


def test_grouped_keys_own_head_width_and_new_spelling_of_theta(tmp_path):
    changes = {"num_key_value_heads": 8, "head_dim": 64, "rope_parameters": {"rope_theta": 5e5}}
    found = read(tmp_path, {**LLAMA_2_13B, **changes})
    assert (found.kv_heads, found.group, found.head_width) == (8, 5, 64)
    assert found.rope_theta == 5e5
    shapes = expected_shapes(found)
    assert shapes["model.layers.39.self_attn.k_proj.weight"] == (512, 5120)
    assert shapes["model.layers.39.self_attn.o_proj.weight"] == (5120, 2560)


def test_a_missing_number_of_keys_is_the_number_of_heads(tmp_path):
    content = {k: v for k, v in LLAMA_2_13B.items() if k != "num_key_value_heads"}
    assert read(tmp_path, content).kv_heads == 40


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_have_one_to_three_million_parameters(name):
    found = LanguageModelConfig.from_huggingface(shipped(name))
    assert found.vocab == 256
    assert 1_000_000 < num_parameters(found) < 3_000_000


@pytest.mark.parametrize(
    ("base", "changes", "message"),
    [
        (LLAMA_2_13B, {"model_type": "mistral"}, "model_type is 'mistral'; supported are"),
        (LLAMA_2_13B, {"model_type": None}, "model_type is None"),
        (LLAMA_2_13B, {"hidden_size": None}, "the entry hidden_size is missing"),
        (
            LLAMA_2_13B,
            {"hidden_size": 5121},
            "a width of 5121 cannot be split evenly into 40 heads",
        ),
        (LLAMA_2_13B, {"vocab_size": -1}, "vocab_size is -1; it must be an integer of 1 or more"),
        (LLAMA_2_13B, {"vocab_size": True}, "vocab_size is true; it must be an integer"),
        (LLAMA_2_13B, {"num_key_value_heads": 7}, "40 heads cannot share 7 key heads evenly"),
        (LLAMA_2_13B, {"head_dim": 15}, "head width 15 is odd"),
        (LLAMA_2_13B, {"hidden_act": "gelu"}, "activation 'gelu' in a LLaMA"),
        (LLAMA_2_13B, {"hidden_act": "mish"}, "activation 'mish' is not one of"),
        (LLAMA_2_13B, {"rms_norm_eps": 0}, "norm_eps is 0; it must be positive"),
        (LLAMA_2_13B, {"rms_norm_eps": "x"}, "norm_eps is 'x'; it must be positive"),
        (LLAMA_2_13B, {"tie_word_embeddings": 1}, "tie_word_embeddings is 1; it must be true or"),
        (LLAMA_2_13B, {"rope_scaling": {"rope_type": "llama3"}}, "scaled by 'llama3' are not"),
        (LLAMA_2_13B, {"rope_scaling": {"type": "linear", "factor": 2}}, "scaled by 'linear'"),
        (LLAMA_2_13B, {"rope_theta": 0.5}, "rope_theta is 0.5; it must be 1 or more"),
        (LLAMA_2_13B, {"sliding_window": 4096}, "sliding window is not supported"),
        (OPT_350M, {"layer_norm_elementwise_affine": False}, "norms without weights"),
        (OPT_350M, {"_remove_final_layer_norm": True}, "without its final norm"),
        (OPT_350M, {"do_layer_norm_before": "no"}, 'do_layer_norm_before is "no"'),
    ],
)
def test_unusable_descriptions_are_one_sentence(tmp_path, base, changes, message):
    content = {key: value for key, value in {**base, **changes}.items() if value is not None}
    with pytest.raises(UnusableInput) as caught:
        read(tmp_path, content)
    assert message in str(caught.value)
    assert str(tmp_path / "config.json") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_description(tmp_path):
    with pytest.raises(UnusableInput, match="cannot read .*config.json"):
        LanguageModelConfig.from_huggingface(tmp_path)
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(UnusableInput, match="is not a JSON object"):
        LanguageModelConfig.from_huggingface(tmp_path)


def test_unknown_names():
    with pytest.raises(UnusableInput, match="preset 'opt-1b' is unknown; there are opt-125m"):
        preset("opt-1b")
    with pytest.raises(UnusableInput, match="no model 'x' is shipped"):
        shipped("x")
