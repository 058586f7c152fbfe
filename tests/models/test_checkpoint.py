"""Checkpoints: whole, sharded, in every type, and everything that can be wrong with one."""

import json
from dataclasses import replace

import numpy as np
import pytest
from language_case import CONFIGS, LLAMA, OPT

from zkbench.errors import UnusableInput
from zkbench.models.language.checkpoint import Checkpoint, RandomWeights, output_weight
from zkbench.models.language.tensor_names import expected_shapes
from zkbench.models.tensor_files import write_safetensors


def tensors_of(config, seed=0):
    weights = RandomWeights(config, seed)
    return {name: weights.tensor(name) for name in expected_shapes(config)}


def write(folder, config, tensors):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config.to_huggingface()))
    write_safetensors(folder / "model.safetensors", tensors)
    return folder


def write_sharded(folder, config, shards):
    write(folder, config, shards[0])
    (folder / "model.safetensors").unlink()
    placed = {}
    for i, shard in enumerate(shards):
        name = f"model-{i + 1:05}-of-{len(shards):05}.safetensors"
        write_safetensors(folder / name, shard)
        placed |= dict.fromkeys(shard, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": placed}))
    return folder


def write_bfloat16(path, tensors):
    """A safetensors file of the upper halves of float32 numbers, written by hand."""
    header, data = {}, b""
    for name, values in tensors.items():
        half = (values.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
        span = [len(data), len(data) + len(half)]
        header[name] = {"dtype": "BF16", "shape": list(values.shape), "data_offsets": span}
        data += half
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


@pytest.mark.parametrize("kind", CONFIGS)
def test_all_tensors_come_back(tmp_path, kind):
    tensors = tensors_of(CONFIGS[kind])
    found = Checkpoint(write(tmp_path, CONFIGS[kind], tensors))
    assert found.config == CONFIGS[kind]
    for name, values in tensors.items():
        np.testing.assert_array_equal(found.tensor(name), values)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floating_point_types(tmp_path, dtype):
    tensors = {name: values.astype(dtype) for name, values in tensors_of(OPT).items()}
    found = Checkpoint(write(tmp_path, OPT, tensors))
    for name, values in tensors.items():
        assert found.tensor(name).dtype == dtype
        np.testing.assert_array_equal(found.tensor(name), values)


def test_bfloat16_is_the_upper_half_of_float32(tmp_path):
    tensors = tensors_of(LLAMA)
    write(tmp_path, LLAMA, tensors)
    write_bfloat16(tmp_path / "model.safetensors", tensors)
    found = Checkpoint(tmp_path)
    for name, values in tensors.items():
        expected = (values.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
        np.testing.assert_array_equal(found.tensor(name), expected)


def test_shards_hold_the_same_model(tmp_path):
    tensors = tensors_of(LLAMA)
    names = list(tensors)
    shards = [{name: tensors[name] for name in names[i::3]} for i in range(3)]
    found = Checkpoint(write_sharded(tmp_path, LLAMA, shards))
    for name, values in tensors.items():
        np.testing.assert_array_equal(found.tensor(name), values)


def test_names_without_the_leading_model_and_redundant_tensors(tmp_path):
    tensors = tensors_of(OPT)
    short = {name.removeprefix("model."): values for name, values in tensors.items()}
    short["lm_head.weight"] = tensors["model.decoder.embed_tokens.weight"]
    found = Checkpoint(write(tmp_path, OPT, short))
    for name, values in tensors.items():
        np.testing.assert_array_equal(found.tensor(name), values)


def test_output_weight_is_the_embedding_where_tied():
    tied = RandomWeights(OPT)
    assert (output_weight(tied) == tied.tensor("model.decoder.embed_tokens.weight")).all()
    untied = RandomWeights(LLAMA)
    assert (output_weight(untied) == untied.tensor("lm_head.weight")).all()


NAME = "model.layers.1.mlp.up_proj.weight"


def without(tensors):
    del tensors[NAME]


def transposed(tensors):
    tensors[NAME] = tensors[NAME].T.copy()


def integers(tensors):
    tensors[NAME] = tensors[NAME].astype(np.int16)


def one_more_layer(tensors):
    tensors[NAME.replace("1", "3")] = tensors[NAME]


def unexpected_bias(tensors):
    tensors["model.layers.0.self_attn.q_proj.bias"] = np.zeros(16, np.float32)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without, f"tensor {NAME} is missing in "),
        (transposed, r"has shape \(12, 20\); config.json gives it \(20, 12\)"),
        (integers, f"tensor {NAME} of .* is I16; weights are floating point"),
        (one_more_layer, "tensor model.layers.3.mlp.up_proj.weight of .* is not part of the model"),
        (unexpected_bias, "tensor model.layers.0.self_attn.q_proj.bias of .* is not part of"),
    ],
)
def test_damaged_checkpoints_name_the_tensor(tmp_path, damage, message):
    tensors = tensors_of(LLAMA)
    damage(tensors)
    with pytest.raises(UnusableInput, match=message):
        Checkpoint(write(tmp_path, LLAMA, tensors))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_name_the_tensor(tmp_path, value):
    tensors = tensors_of(LLAMA)
    tensors[NAME][3, 4] = value
    found = Checkpoint(write(tmp_path, LLAMA, tensors))
    found.tensor("model.norm.weight")
    with pytest.raises(UnusableInput, match=f"tensor {NAME} of .* holds NaN or infinite values"):
        found.tensor(NAME)


def test_truncated_files_name_file_and_tensor(tmp_path):
    write(tmp_path, LLAMA, tensors_of(LLAMA))
    path = tmp_path / "model.safetensors"
    whole = path.read_bytes()
    for size in range(0, len(whole), 1009):
        path.write_bytes(whole[:size])
        with pytest.raises(UnusableInput, match=r"model\.safetensors.*(truncated|empty)"):
            Checkpoint(tmp_path)
    path.write_bytes(whole[:-1])
    with pytest.raises(UnusableInput, match=r"truncated: tensor \S+ reaches beyond its end"):
        Checkpoint(tmp_path)


def test_missing_files(tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps(LLAMA.to_huggingface()))
    with pytest.raises(UnusableInput, match="holds neither model.safetensors nor"):
        Checkpoint(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(UnusableInput, match="convert its pytorch_model.bin to safetensors"):
        Checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"weight_map": {"a": "gone.safetensors"}}, "cannot read .*gone.safetensors"),
        (
            {"weight_map": {"a": "../b.safetensors"}},
            "'../b.safetensors', which is not a file beside",
        ),
        ({"weight_map": [1]}, "has no weight_map"),
        ([], "has no weight_map"),
    ],
)
def test_unusable_indices(tmp_path, content, message):
    (tmp_path / "config.json").write_text(json.dumps(LLAMA.to_huggingface()))
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(content))
    with pytest.raises(UnusableInput, match=message):
        Checkpoint(tmp_path)


def test_random_weights_depend_on_seed_and_name_and_nothing_else():
    first, again, other = RandomWeights(LLAMA, 3), RandomWeights(LLAMA, 3), RandomWeights(LLAMA, 4)
    names = list(expected_shapes(LLAMA))
    expected = {name: first.tensor(name) for name in names}
    for name in reversed(names):
        assert expected[name].dtype == np.float32
        np.testing.assert_array_equal(again.tensor(name), expected[name])
        assert (other.tensor(name) != expected[name]).any()
    deeper = RandomWeights(replace(LLAMA, ffn_width=24), 3)
    assert (deeper.tensor("lm_head.weight") == expected["lm_head.weight"]).all()
    q = "model.layers.{}.self_attn.q_proj.weight"
    assert (expected[q.format(0)] != expected[q.format(1)]).any()


def test_random_weights_have_the_stated_deviations():
    config = replace(LLAMA, width=256, embedding_width=256, ffn_width=1024, layers=2)
    weights = RandomWeights(config)
    for name, deviation in (("gate", 1 / 16), ("up", 1 / 16), ("down", 1 / 32 / 2)):
        values = weights.tensor(f"model.layers.0.mlp.{name}_proj.weight")
        assert abs(values.std() / deviation - 1) < 0.01
        assert abs(values.mean()) < 0.01 * deviation
