"""PyTorch state dicts, from bytes put together here."""

import json

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from zkbench.errors import UnusableInput
from zkbench.models.mlp import FloatMLP

RNG = np.random.default_rng(6)
GOOD = {
    "0.weight": RNG.standard_normal((3, 2)),
    "0.bias": RNG.standard_normal(3),
    "2.weight": RNG.standard_normal((4, 3)),
    "2.bias": RNG.standard_normal(4),
}


def encode(tensors):
    """The safetensors format, written out: name -> (dtype, shape, bytes)."""
    header, body = {}, b""
    for name, (dtype, shape, data) in tensors.items():
        offsets = [len(body), len(body) + len(data)]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": offsets}
        body += data
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def doubles(tensors):
    return encode({name: ("F64", t.shape, t.tobytes()) for name, t in tensors.items()})


def load(tmp_path, content):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    return FloatMLP.from_safetensors(path)


def test_layers_in_order_of_their_numbers(tmp_path):
    dims = [2, *range(3, 15)]  # twelve layers: as strings, 10.weight comes before 2.weight
    tensors = {}
    for layer in reversed(range(12)):
        tensors[f"{2 * layer}.bias"] = RNG.standard_normal(dims[layer + 1])
        tensors[f"{2 * layer}.weight"] = RNG.standard_normal((dims[layer + 1], dims[layer]))
    model = load(tmp_path, doubles(tensors))
    assert model.dims == tuple(dims)
    for layer in range(12):
        assert (model.weights[layer] == tensors[f"{2 * layer}.weight"]).all()
        assert (model.biases[layer] == tensors[f"{2 * layer}.bias"]).all()


def bfloat16(number):
    """The sixteen bits of a bfloat16: 1 sign, 8 exponent, 7 fraction, of an exact number."""
    fraction, exponent = np.frexp(abs(number))
    mantissa = int(fraction * 256) - 128
    return (int(number < 0) << 15) | ((int(exponent) + 126) << 7) | mantissa


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16"])
def test_floating_point_types(tmp_path, dtype):
    numbers = [1.5, -0.15625, 3.0, -96.0]
    struct = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}.get(dtype)
    if struct:
        data = np.array(numbers, struct).tobytes()
    else:
        data = np.array([bfloat16(number) for number in numbers], "<u2").tobytes()
    size = len(data) // 4
    tensors = {"0.weight": (dtype, (2, 2), data), "0.bias": (dtype, (2,), data[: 2 * size])}
    model = load(tmp_path, encode(tensors))
    assert model.weights[0].dtype == np.float64
    assert model.weights[0].tolist() == [numbers[:2], numbers[2:]]
    assert model.biases[0].tolist() == numbers[:2]


def test_written_state_dict_vs_safetensors_library(tmp_path):
    model = load(tmp_path, doubles(GOOD))
    path = tmp_path / "out.safetensors"
    model.to_safetensors(path)
    tensors = safetensors.numpy.load_file(path)
    assert tensors.keys() == GOOD.keys()
    assert all((tensors[name] == GOOD[name]).all() for name in GOOD)
    model.to_safetensors(path, np.float32)
    assert safetensors.numpy.load_file(path)["2.weight"].dtype == np.float32


def without(*names):
    return {name: tensor for name, tensor in GOOD.items() if name not in names}


def renamed(old, new):
    return {name.replace(old, new): tensor for name, tensor in GOOD.items()}


def spoiled(name, number):
    tensor = GOOD[name].copy()
    tensor.flat[-1] = number
    return GOOD | {name: tensor}


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "the file holds no tensors; expected an nn.Sequential"),
        (without("2.bias"), "tensor 2.bias is missing"),
        (without("0.weight"), "tensor 0.weight is missing"),
        (without("0.weight", "0.bias"), "tensor 0.weight is missing before layer 2"),
        (renamed("2.", "4."), "tensor 2.weight is missing before layer 4"),
        (renamed("2.", "1."), "layer 1 stands where the ReLU before layer 2 belongs"),
        (GOOD | {"scale": np.ones(1)}, "tensor scale is unknown"),
        (GOOD | {"1.running_mean": np.ones(3)}, "tensor 1.running_mean is unknown"),
        (renamed("0.", "00."), "tensor 00.(weight|bias) is unknown"),
        (renamed("0.", "net.0."), "tensor net.0.(weight|bias) is unknown"),
        (GOOD | {"2.weight": np.ones((4, 5))}, "2.weight takes 5 values, but 0.weight gives 3"),
        (GOOD | {"2.weight": np.ones(12)}, r"2.weight has shape \(12,\); expected out x in"),
        (GOOD | {"0.weight": np.ones((3, 0))}, r"0.weight has shape \(3, 0\); expected out x in"),
        (GOOD | {"2.bias": np.ones(3)}, r"2.bias has shape \(3,\); expected \(4,\)"),
        (GOOD | {"2.bias": np.ones((4, 1))}, r"2.bias has shape \(4, 1\); expected \(4,\)"),
        (spoiled("0.weight", np.nan), "tensor 0.weight holds NaN or infinite values"),
        (spoiled("2.bias", np.inf), "tensor 2.bias holds NaN or infinite values"),
    ],
)
def test_state_dicts_that_are_no_mlp_are_refused(tmp_path, tensors, message):
    with pytest.raises(UnusableInput, match=f"w.safetensors: .*{message}"):
        load(tmp_path, doubles(tensors))


@pytest.mark.parametrize(
    ("dtype", "size", "message"), [("I64", 8, "is int64; weights are floating"), ("I8", 1, "is I8")]
)
def test_integer_weights_are_refused(tmp_path, dtype, size, message):
    weight, bias = (dtype, (1, 1), bytes(size)), ("F64", (1,), bytes(8))
    with pytest.raises(UnusableInput, match=f"tensor 0.weight .*{message}"):
        load(tmp_path, encode({"0.weight": weight, "0.bias": bias}))


@pytest.mark.parametrize(
    "content",
    [b"", b"\x93NUMPY", b"PK\x03\x04" + bytes(100), doubles(GOOD)[:-1], doubles(GOOD)[:40]],
)
def test_other_and_truncated_files_are_refused(tmp_path, content):
    with pytest.raises(UnusableInput, match="w.safetensors is not a safetensors file"):
        load(tmp_path, content)


@pytest.mark.parametrize(("name", "reason"), [("nowhere", "No such file"), (".", "Is a directory")])
def test_unreadable_paths_are_refused(tmp_path, name, reason):
    with pytest.raises(UnusableInput, match=f"cannot read .*: {reason}"):
        FloatMLP.from_safetensors(tmp_path / name)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_are_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "random.safetensors"
    path.write_bytes(content)
    with pytest.raises(UnusableInput, match="random.safetensors"):
        FloatMLP.from_safetensors(path)


@pytest.mark.parametrize("parts", [([], []), ([np.ones((1, 1))], [])])
def test_float_model_needs_layers_and_biases(parts):
    with pytest.raises(UnusableInput, match="make no model"):
        FloatMLP(*parts)
