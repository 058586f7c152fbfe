"""The integer forward pass: exact, causal, independent of padding, and never wrapped."""

from dataclasses import replace

import numpy as np
import pytest
from language_case import CONFIGS, integer_model, some_tokens, with_tensor
from python_int_model import PythonIntModel

from zkbench.errors import UnusableInput
from zkbench.models.language.checkpoint import RandomWeights
from zkbench.models.language.float_model import FloatLanguageModel
from zkbench.models.language.integer_model import IntegerLanguageModel
from zkbench.models.language.integer_tensors import HeldTensors, described_tensors
from zkbench.quant.formats import QuantisationError

KINDS = list(CONFIGS)
DTYPES = {"t": np.uint16, "shift": np.int32, "row_sums": np.int32}
DTYPES |= {f"{name}{i}": np.int32 for name in ("sq", "r") for i in (1, 2)}
DTYPES |= {"ss1": np.int64, "ss2": np.int64}


@pytest.mark.parametrize("kind", KINDS)
def test_every_tensor_vs_python_int(kind):
    model = integer_model(kind)
    tokens = some_tokens(model.config, 6, seed=3)
    trace = model.forward(tokens, positions=np.arange(6), block=4)
    expected = PythonIntModel(model).forward(tokens.tolist(), block=4)
    logits = np.array(expected.pop("logits"))
    assert set(trace.tensors) == set(expected)
    for name, values in expected.items():
        dtype = np.uint16 if name.endswith(".remainders") else DTYPES.get(name, np.int16)
        assert trace[name].dtype == dtype, name
        found = trace[name].reshape(np.shape(values))
        np.testing.assert_array_equal(found, values, err_msg=name)
    np.testing.assert_array_equal(trace.output.logits, logits[:6])
    assert trace.output.chosen.tolist() == [row.index(max(row)) for row in logits[:6].tolist()]


@pytest.mark.parametrize("kind", KINDS)
def test_norms_satisfy_their_inequalities(kind):
    model = integer_model(kind)
    trace = model.forward(some_tokens(CONFIGS[kind], 9))
    inputs = list(model.norm_inputs(trace))
    for i in (1, 2):
        ss, sq, r = (trace[f"{name}{i}"].astype(object) for name in ("ss", "sq", "r"))
        squares = [(pair[i - 1].astype(object) ** 2).sum(axis=1) for pair in inputs]
        assert (ss == np.array(squares) + model.formats.epsilon).all()
        assert ((sq * sq <= ss) & (ss < (sq + 1) * (sq + 1))).all()
        assert ((r * sq <= 2**31) & ((r + 1) * sq > 2**31)).all()
        assert r.max() < 2**31


@pytest.mark.parametrize("kind", KINDS)
def test_integer_logits_are_close_to_float_ones(kind):
    config, model = CONFIGS[kind], integer_model(kind)
    tokens = some_tokens(config, 21, seed=5)
    exact = FloatLanguageModel(RandomWeights(config, 1)).logits(tokens[None])[0]
    found = model.float_logits(model.logits(tokens))
    assert np.abs(found - exact).max() < 0.01 * exact.std()


@pytest.mark.parametrize("kind", KINDS)
def test_a_later_token_changes_nothing_before_it(kind):
    model = integer_model(kind)
    tokens = some_tokens(model.config, 13)
    changed = tokens.copy()
    changed[9] = (changed[9] + 1) % model.config.vocab
    before, after = (model.forward(t, positions=np.arange(13), block=4) for t in (tokens, changed))
    for name in set(before.tensors) - {"t", "t.remainders", "shift", "row_sums"}:
        np.testing.assert_array_equal(before[name][:, :9], after[name][:, :9], err_msg=name)
    for name in ("shift", "row_sums"):
        np.testing.assert_array_equal(before[name][..., :9], after[name][..., :9])
    np.testing.assert_array_equal(before.output.logits[:9], after.output.logits[:9])
    assert (before.output.logits[9:] != after.output.logits[9:]).any()


@pytest.mark.parametrize("kind", KINDS)
def test_neither_block_nor_padding_changes_the_logits(kind):
    model = integer_model(kind)
    tokens = some_tokens(model.config, 11)
    expected = model.logits(tokens)
    for block in (1, 2, 8, 32):
        trace = model.forward(tokens, positions=np.arange(11), block=block)
        assert trace["o"].shape[1] == len(trace.tokens) == -(-11 // block) * block
        np.testing.assert_array_equal(trace.output.logits, expected)


def test_tiles_cover_the_causal_half_in_row_order():
    model = integer_model("llama")
    tokens = some_tokens(model.config, 12)
    small, whole = model.forward(tokens, block=4), model.forward(tokens, block=16)
    order = [(bi, bj) for bi in range(3) for bj in range(bi + 1)]
    for tile, (bi, bj) in enumerate(order):
        rows, columns = slice(4 * bi, 4 * bi + 4), slice(4 * bj, 4 * bj + 4)
        np.testing.assert_array_equal(small["t"][:, :, tile], whole["t"][:, :, 0, rows, columns])


def test_asked_positions_and_the_default():
    model = integer_model("opt")
    tokens = some_tokens(model.config, 7)
    every = model.forward(tokens, positions=np.arange(7)).output
    np.testing.assert_array_equal(every.logits, model.logits(tokens))
    np.testing.assert_array_equal(model.forward(tokens).output.logits, every.logits[-1:])
    chosen = model.forward(tokens, positions=[4, 2]).output.chosen
    assert chosen.tolist() == every.chosen[[4, 2]].tolist()


def test_first_of_equal_logits_is_chosen():
    model = integer_model("llama")
    output = model.tensor("output").copy()
    output[:, 2:] = output[:, :1]
    output[:, 1] = -output[:, 0]
    chosen = with_tensor(model, "output", output).forward([1, 2, 3], positions=[0, 1, 2]).output
    assert set(chosen.chosen.tolist()) <= {0, 1}


@pytest.mark.parametrize(
    ("kind", "name"),
    [("llama with biases, tied", name) for name in "qkvogum"]
    + [("opt", "f"), ("opt, norms last", "o"), ("opt, norms last", "m")],
)
def test_overflow_names_layer_and_operator(kind, name):
    model = integer_model(kind)
    huge = np.full_like(model.tensor(f"layers.1.{name}.bias"), 1 << 40)
    with pytest.raises(QuantisationError, match=rf"^{name} of layer 1 .*; recalibrate or widen"):
        with_tensor(model, f"layers.1.{name}.bias", huge).forward(some_tokens(model.config, 8))


def with_formats(model, shifts=None, bits=None, **changes):
    """Other formats for the same weights; `bits` gives a layer's changes from its formats."""
    held = HeldTensors({name: model.tensor(name) for name in described_tensors(model.config)})
    layers = [{**layer, **(bits(layer) if bits else {})} for layer in model.formats.layers]
    changes |= {"shifts": {**model.formats.shifts, **(shifts or {})}, "layers": tuple(layers)}
    return IntegerLanguageModel(model.config, replace(model.formats, **changes), held)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"residual": 40}, "residual stream before norm 1 of layer 0"),
        ({"tolerance": 1}, "softmax of layer 0, head [0-3], position .* misses its sum"),
        (
            {"score_bits": 11, "shifts": {"z": 1}, "bits": lambda layer: {"q": 12 - layer["k"]}},
            "scores of layer 0 spread over",
        ),
        (
            {"shifts": {"h": 1}, "bits": lambda layer: {"h": layer["g"] + layer["u"] - 1}},
            "h of layer 0",
        ),
        ({"shifts": {"logits": 1}}, "logits of the output layer"),
    ],
)
def test_values_out_of_range_are_errors(changes, message):
    model = integer_model("llama")
    with pytest.raises(QuantisationError, match=message):
        with_formats(model, **changes).forward(some_tokens(model.config, 12))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tokens": []}, "tokens are float64"),
        ({"tokens": np.zeros(0, int)}, "there are no tokens"),
        ({"tokens": [1, 19]}, "token 19 is outside of the vocabulary [0, 19)"),
        ({"tokens": [-1]}, "token -1 is outside"),
        ({"tokens": [0] * 33}, "33 positions; the model has 32"),
        ({"tokens": [0] * 20, "block": 64}, "64 positions; the model has 32"),
        ({"tokens": [0, 1], "positions": [2]}, "positions reach outside of the 2 tokens"),
        ({"tokens": [0, 1], "positions": []}, "at least one"),
        ({"tokens": [0, 1], "block": 3}, "the block is 3; it must be a power of two"),
    ],
)
def test_unusable_requests_are_one_sentence(arguments, message):
    with pytest.raises(UnusableInput) as caught:
        integer_model("opt").forward(**arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
