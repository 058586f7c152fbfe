"""Saving and loading of integer models, and what is not one."""

import json

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from zkbench.errors import UnusableInput
from zkbench.models.mlp import FloatMLP, IntegerMLP
from zkbench.quant.calibration import calibrate

RNG = np.random.default_rng(4)
X = RNG.standard_normal((9, 3))


@pytest.fixture(scope="module")
def model():
    dims = ((5, 3), (5, 5), (2, 5))
    weights = [RNG.standard_normal(shape) for shape in dims]
    return calibrate(FloatMLP(weights, [np.zeros(shape[0]) for shape in dims]), X, shift=13)


@pytest.fixture
def saved(model, tmp_path):
    path = tmp_path / "model.bin"
    model.save(path)
    return path


def test_round_trip(model, saved):
    loaded = IntegerMLP.load(saved)
    assert (loaded.shift, loaded.input_format) == (13, model.input_format)
    assert (loaded.formats, loaded.report) == (model.formats, model.report)
    for name in ("weights", "biases"):
        for before, after in zip(getattr(model, name), getattr(loaded, name), strict=True):
            assert before.dtype == after.dtype
            assert (before == after).all()
    assert (
        loaded.forward(loaded.quantise_inputs(X)).labels
        == model.forward(model.quantise_inputs(X)).labels
    ).all()


def test_same_model_gives_same_bytes_alone_in_its_directory(model, saved):
    first = saved.read_bytes()
    IntegerMLP.load(saved).save(saved)
    assert saved.read_bytes() == first
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_directory_is_taken_for_the_file_in_it(model, tmp_path):
    model.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["integer_model.safetensors"]
    assert IntegerMLP.load(tmp_path).dims == model.dims


def edited(path, edit):
    """Rewrites the file at path with edit(tensors, header) applied."""
    data = path.read_bytes()
    tensors = safetensors.numpy.load(data)
    length = int.from_bytes(data[:8], "little")
    header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["zkbench"])
    edit(tensors, header)
    path.write_bytes(safetensors.numpy.save(tensors, {"zkbench": json.dumps(header)}))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda tensors, _: tensors.pop("1.bias"), "its tensors are not those of 3 layers"),
        (lambda tensors, _: tensors.update(x=np.zeros(1)), "its tensors are not those of 3"),
        (lambda tensors, _: tensors.update({"0.weight": np.zeros((3, 5))}), "weight of layer 0"),
        (lambda _, header: header.update(version=2), "its kind or version is another"),
        (lambda _, header: header.update(kind="LLM"), "its kind or version is another"),
        (lambda _, header: header.pop("shift"), "its header does not fit"),
        (lambda _, header: header.update(shift="16"), "shift is '16'"),
        (lambda _, header: header.update(activations=7), "its header does not fit"),
        (lambda _, header: header["input"].update(bits=1.5), "must be integers"),
        (lambda _, header: header["input"].update(scale=1), "its header does not fit"),
        (lambda _, header: header.update(report=[]), "its header does not fit"),
        (lambda _, header: header["report"]["tensors"].append({"name": 1}), "does not fit"),
    ],
)
def test_files_that_are_no_model_are_refused(saved, edit, message):
    edited(saved, edit)
    with pytest.raises(UnusableInput, match=f"model.bin is no integer model .*{message}"):
        IntegerMLP.load(saved)


@pytest.mark.parametrize("metadata", [None, {"zkbench": "{"}, {"zkbench": "[]"}, {"other": "{}"}])
def test_other_safetensors_files_are_refused(tmp_path, metadata):
    path = tmp_path / "other.safetensors"
    path.write_bytes(safetensors.numpy.save({"0.weight": np.zeros((1, 1))}, metadata))
    with pytest.raises(UnusableInput, match=r"other.safetensors is no integer model of zkbench"):
        IntegerMLP.load(path)


def test_missing_file(tmp_path):
    with pytest.raises(UnusableInput, match="cannot read .*nowhere: No such file or directory"):
        IntegerMLP.load(tmp_path / "nowhere")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_bytes_load_or_are_unusable(model, tmp_path_factory, data):
    """Nothing but UnusableInput, wherever a byte is changed or the file is cut."""
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    model.save(path)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    end = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    path.write_bytes(content[:end])
    try:
        IntegerMLP.load(path)
    except UnusableInput as error:
        assert "damaged.safetensors" in str(error)
