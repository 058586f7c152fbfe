"""The state between two steps: from floats and back, and its file."""

from dataclasses import replace

import numpy as np
import pytest
from training_case import FORMATS, as_lists, random_state, small_rule

from zkbench.errors import UnusableInput
from zkbench.models.mlp import FloatMLP
from zkbench.models.tensor_files import read_safetensors, safetensors_bytes
from zkbench.models.training.float_training import initial_model
from zkbench.models.training.integer_training import TrainingState
from zkbench.quant.formats import QuantisationError

RULE = small_rule()


def test_floats_are_rounded_and_transposed():
    model = initial_model(RULE.dims, 3)
    state = TrainingState.from_floats(model, RULE)
    assert state.dims == model.dims == RULE.dims
    for layer, (integers, weight) in enumerate(zip(state.weights, model.weights, strict=True)):
        assert integers.dtype == np.int32
        assert integers.flags.c_contiguous
        assert np.abs(integers - weight.T * 2**FORMATS.weight).max() <= 0.5
        assert state.updates[layer].dtype == state.bias_updates[layer].dtype == np.int16
        assert not state.updates[layer].any()
        assert not state.bias_updates[layer].any()
    again = state.to_float_model(RULE)
    assert as_lists(TrainingState.from_floats(again, RULE)) == as_lists(state)
    for found, weight in zip(again.weights, model.weights, strict=True):
        assert np.abs(found - weight).max() <= 2.0 ** -(FORMATS.weight + 1)


def test_floats_beyond_32_bits():
    model = initial_model(RULE.dims, 3)
    weights = [weight.copy() for weight in model.weights]
    weights[1][2, 1] = 2.0 ** (31 - FORMATS.weight)
    message = (
        r"weight of layer 1 at \[1, 2\] is 8192, outside .*; use fewer fraction bits of weights"
    )
    with pytest.raises(QuantisationError, match=message):
        TrainingState.from_floats(FloatMLP(weights, model.biases), RULE)
    weights[1][2, 1] = -(2.0 ** (31 - FORMATS.weight))
    state = TrainingState.from_floats(FloatMLP(weights, model.biases), RULE)
    assert state.weights[1][1, 2] == -(2**31)


def test_floats_of_other_widths():
    with pytest.raises(UnusableInput, match="are not the rule's"):
        TrainingState.from_floats(initial_model((5, 3), 0), RULE)


def test_a_file_holds_the_state(tmp_path):
    state = random_state(RULE, seed=4, log_weight=31, log_update=15)
    state.save(tmp_path / "state.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["state.safetensors"]
    found = TrainingState.load(tmp_path / "state.safetensors")
    assert as_lists(found) == as_lists(state)
    assert found.to_bytes() == state.to_bytes() == (tmp_path / "state.safetensors").read_bytes()


def _rewritten(tmp_path, change):
    """The file of a state with its tensors and header changed."""
    path = tmp_path / "state.safetensors"
    random_state(RULE).save(path)
    tensors, metadata = read_safetensors(path)
    tensors, header = change(dict(tensors), metadata["zkbench"])
    path.write_bytes(safetensors_bytes(tensors, {"zkbench": header}))
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, h: (t, h.replace("training state", "integer MLP")), "its kind or version"),
        (lambda t, h: (t, h.replace('"layers": 3', '"layers": 2')), "not those of 2 layers"),
        (lambda t, h: (t, h.replace('"layers": 3', '"layers": -1')), "not those of 0 layers"),
        (lambda t, h: (t, h.replace('"layers": 3', '"layers": "3"')), "its header does not fit"),
        (lambda t, h: (t, "[" * 100000), "its header does not fit"),
        (lambda t, h: (t, "[]"), "its header does not fit"),
        (lambda t, h: (t | {"0.bias": t["0.bias"].astype(np.int64)}, h), "bias of layer 0 is not"),
        (lambda t, h: (t | {"1.update": t["1.update"][:2]}, h), "update of layer 1 is not"),
        (lambda t, h: (t | {"1.weight": t["1.weight"][:, :3]}, h), "bias of layer 1 is not"),
        (lambda t, h: (t | {"1.weight": t["1.bias"]}, h), "weight of layer 1 has shape"),
    ],
)
def test_other_files(tmp_path, change, message):
    path = _rewritten(tmp_path, change)
    with pytest.raises(UnusableInput, match=f"{path} is no training state of zkbench: .*{message}"):
        TrainingState.load(path)


def test_truncated_files(tmp_path):
    data = random_state(RULE).to_bytes()
    for length in (0, 7, 100, len(data) - 1):
        with pytest.raises(UnusableInput, match="the training state is not a safetensors file"):
            TrainingState.from_bytes(data[:length])
    with pytest.raises(UnusableInput, match="cannot read"):
        TrainingState.load(tmp_path / "none")


def test_a_state_without_layers():
    with pytest.raises(UnusableInput, match="needs weight, bias and both updates of each layer"):
        TrainingState((), (), (), ())
    state = random_state(RULE)
    with pytest.raises(UnusableInput, match="needs weight, bias and both updates of each layer"):
        replace(state, updates=state.updates[:2])
