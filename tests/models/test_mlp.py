"""Both models: the integer one against Python integers, the float one against scikit-learn."""

import warnings
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from zkbench.errors import UnusableInput
from zkbench.models.mlp import FloatMLP, IntegerMLP, LinearStack, compare
from zkbench.quant.calibration import calibrate
from zkbench.quant.formats import FixedPoint, QuantisationError


def integer_model(dims, rng, shift=16, weight_bits=15, bias_bits=24):
    """Random integers in all places; small enough widths do not leave 16 bits at shift 16."""
    weight_max, bias_max = 2**weight_bits - 1, 2**bias_bits
    return IntegerMLP(
        weights=tuple(
            rng.integers(-weight_max, weight_max, shape, dtype=np.int16) for shape in pairwise(dims)
        ),
        biases=tuple(rng.integers(-bias_max, bias_max, out) for out in dims[1:]),
        shift=shift,
        input_format=FixedPoint(16, 14),
        formats=tuple(FixedPoint(16, 12 - layer) for layer in range(len(dims) - 1)),
    )


def forward_in_python(model, x):
    """The definition, image by image, in Python integers; None where a value leaves its range."""
    images = []
    for image in x.tolist():
        values, steps = image, []
        for layer, (weight, bias) in enumerate(zip(model.weights, model.biases, strict=True)):
            columns = zip(*weight.tolist(), strict=True)
            acc = [
                sum(v * w for v, w in zip(values, column, strict=True)) + b
                for column, b in zip(columns, bias.tolist(), strict=True)
            ]
            y, rem = zip(
                *[divmod(a + 2 ** (model.shift - 1), 2**model.shift) for a in acc], strict=True
            )
            if max(map(abs, acc)) >= 2**47 or min(y) < -(2**15) or max(y) >= 2**15:
                return None
            steps.append((acc, list(y), list(rem)))
            values = list(y) if layer == model.depth - 1 else [max(value, 0) for value in y]
        images.append((steps, values.index(max(values))))
    return images


dims_strategy = st.lists(st.integers(1, 8), min_size=2, max_size=5)


@settings(max_examples=150, deadline=None)
@given(
    dims=dims_strategy,
    batch=st.integers(1, 5),
    shift=st.integers(1, 16),
    weight_bits=st.integers(1, 15),
    seed=st.integers(0, 2**32),
)
def test_forward_vs_python_int(dims, batch, shift, weight_bits, seed):
    rng = np.random.default_rng(seed)
    model = integer_model(dims, rng, shift, weight_bits, bias_bits=14)
    x = rng.integers(-(2**15), 2**15, (batch, dims[0]), dtype=np.int16)
    expected = forward_in_python(model, x)
    if expected is None:
        with pytest.raises(QuantisationError, match="outside 16 bits"):
            model.forward(x)
        return
    trace = model.forward(x)
    assert (trace.inputs == x).all()
    for layer in range(model.depth):
        assert trace.accumulators[layer].tolist() == [steps[layer][0] for steps, _ in expected]
        assert trace.quotients[layer].tolist() == [steps[layer][1] for steps, _ in expected]
        assert trace.remainders[layer].tolist() == [steps[layer][2] for steps, _ in expected]
    assert trace.labels.tolist() == [label for _, label in expected]


def test_trace_types_and_rescaling_identity():
    model = integer_model((5, 4, 4, 3), np.random.default_rng(1), weight_bits=12)
    trace = model.forward(np.full((2, 5), 1000, np.int16))
    assert trace.labels.dtype == np.int64
    for layer in range(3):
        acc, y, rem = trace.accumulators[layer], trace.quotients[layer], trace.remainders[layer]
        assert (acc.dtype, y.dtype, rem.dtype) == (np.int64, np.int16, np.uint16)
        assert (acc + 2**15 == 2**16 * y.astype(np.int64) + rem).all()
        exact = trace.layer_input(layer).astype(int) @ model.weights[layer].astype(int)
        assert (acc == exact + model.biases[layer]).all()
    assert (trace.layer_input(1) == np.where(trace.quotients[0] > 0, trace.quotients[0], 0)).all()


def single_layer(weight, bias, shift=1):
    zero = FixedPoint(16, 0)
    weights, biases = np.array(weight, np.int16), np.array(bias, np.int64)
    return IntegerMLP((weights,), (biases,), shift, zero, (zero,))


def test_first_maximum_is_the_label():
    model = single_layer([[0, 0, 0]], [2, 6, 6])
    assert model.forward(np.array([[1]], np.int16)).labels.tolist() == [1]


@pytest.mark.parametrize("edge", [2**15 - 1, -(2**15)])
def test_activation_at_the_edge_of_16_bits_passes_and_one_more_does_not(edge):
    x = np.zeros((1, 1), np.int16)
    assert single_layer([[0]], [2 * edge]).forward(x).quotients[0].tolist() == [[edge]]
    beyond = edge + (1 if edge > 0 else -1)
    with pytest.raises(QuantisationError) as caught:
        single_layer([[0]], [2 * beyond]).forward(x)
    assert str(caught.value) == (
        f"activation of layer 0 (output) reaches {beyond}, outside 16 bits; "
        "recalibrate with these inputs or leave more headroom (--headroom)"
    )


def test_hidden_layer_outside_its_range_is_named():
    model = integer_model((2, 2, 2), np.random.default_rng(0))
    biases = (np.array([0, 2**40], np.int64), model.biases[1])
    with pytest.raises(QuantisationError, match=r"layer 0 \(hidden\) reaches 16777216, outside 16"):
        replace(model, biases=biases).forward(np.zeros((1, 2), np.int16))


def test_accumulator_outside_48_bits_is_named():
    model = single_layer([[2]], [2**47 - 1])
    with pytest.raises(QuantisationError, match=r"accumulator of layer 0 .* 140737488355329, out"):
        model.forward(np.array([[1]], np.int16))


def test_forward_refuses_other_types_and_shapes():
    model = single_layer([[1]], [0])
    with pytest.raises(TypeError, match="x_0 is float64, not int16"):
        model.forward(np.zeros((1, 1)))
    for shape in [(1,), (0, 1), (2, 2)]:
        with pytest.raises(UnusableInput, match="inputs have"):
            model.forward(np.zeros(shape, np.int16))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            2.0,
            r"input at \[0, 1\] is 2, outside \[-2, .*recalibrate with these inputs or leave more",
        ),
        (np.nan, "input holds NaN or infinite values$"),
        (-np.inf, "input holds NaN or infinite values$"),
    ],
)
def test_unusable_inputs_are_refused(value, message):
    model = integer_model((2, 1), np.random.default_rng(0))
    with pytest.raises(QuantisationError, match=message):
        model.quantise_inputs([[0.0, value]])


def test_inputs_are_rounded_half_to_even():
    model = integer_model((4, 1), np.random.default_rng(0))
    x = np.array([[0.5, 1.5, -0.5, -2.0 * 2**14]]) / 2**14
    q = model.quantise_inputs(x)
    assert q.dtype == np.int16
    assert q.tolist() == [[0, 2, 0, -(2**15)]]


@pytest.mark.parametrize(
    ("dims", "expected"),
    [
        ((3, 2), [((0,), 3, 2, True)]),
        (
            (64, 128, 128, 10),
            [((0,), 64, 128, False), ((1,), 128, 128, False), ((2,), 128, 10, True)],
        ),
        ((4, 4, 4, 4), [((0, 1), 4, 4, False), ((2,), 4, 4, True)]),
        (
            (2, 3, 2, 3, 2, 2),
            [((0, 2), 2, 3, False), ((1, 3), 3, 2, False), ((4,), 2, 2, True)],
        ),
    ],
)
def test_stacks_group_hidden_layers_by_shape(dims, expected):
    model = integer_model(dims, np.random.default_rng(0))
    assert model.dims == dims
    assert model.stacks() == [LinearStack(*fields) for fields in expected]


@given(dims_strategy)
def test_stacks_hold_every_layer_once(dims):
    model = integer_model(dims, np.random.default_rng(0))
    stacks = model.stacks()
    assert sorted(layer for stack in stacks for layer in stack.layers) == list(range(model.depth))
    for stack in stacks:
        assert {model.weights[layer].shape for layer in stack.layers} == {(stack.d_in, stack.d_out)}
    assert [stack.is_output for stack in stacks] == [False] * (len(stacks) - 1) + [True]


GOOD = integer_model((3, 4, 2), np.random.default_rng(3))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"shift": 0}, "shift is 0"),
        ({"shift": 17}, "shift is 17"),
        ({"weights": ()}, "for each layer"),
        ({"formats": GOOD.formats[:1]}, "for each layer"),
        ({"weights": (GOOD.weights[0].astype(np.int32), GOOD.weights[1])}, "weight of layer 0"),
        ({"weights": (GOOD.weights[0], GOOD.weights[1].T)}, r"bias of layer 1 \(output\)"),
        ({"weights": (GOOD.weights[0], GOOD.weights[1][:3])}, "weight of layer 1 .* does not fit"),
        ({"weights": (GOOD.weights[0][:0], GOOD.weights[1])}, "weight of layer 0"),
        ({"biases": (GOOD.biases[0].astype(np.int32), GOOD.biases[1])}, "bias of layer 0"),
        ({"biases": (GOOD.biases[0][:1], GOOD.biases[1])}, "bias of layer 0"),
        (
            {"biases": (GOOD.biases[0] + 2**47, GOOD.biases[1])},
            "bias of layer 0 .* outside 48",
        ),
        ({"input_format": FixedPoint(8, 3)}, "have 16 bits"),
        ({"formats": (FixedPoint(16, 3, signed=False), GOOD.formats[1])}, "are signed"),
    ],
)
def test_parts_that_make_no_model_are_refused(parts, message):
    with pytest.raises(UnusableInput, match=message):
        replace(GOOD, **parts)


def test_arrays_of_a_model_cannot_be_changed_from_outside():
    weight = np.ones((1, 1), np.int16)
    model = single_layer(weight, [0])
    weight[0, 0] = 5
    assert model.weights[0].tolist() == [[1]]
    with pytest.raises(ValueError, match="read-only"):
        model.weights[0][0, 0] = 5


def fitted_classifier(hidden, classes, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((60, 5)), np.arange(60) % classes
    classifier = MLPClassifier(hidden, max_iter=20, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return classifier.fit(x, y), rng.standard_normal((200, 5))


@pytest.mark.parametrize("hidden", [(), (1,), (7,), (8, 8), (3, 9, 4)])
def test_float_labels_vs_sklearn(hidden):
    classifier, x = fitted_classifier(hidden, classes=4, seed=len(hidden))
    model = FloatMLP([coefs.T for coefs in classifier.coefs_], classifier.intercepts_)
    assert model.dims == (5, *hidden, 4)
    assert (model.labels(x) == classifier.predict(x)).all()
    exponentials = np.exp(model.forward(x))
    softmax = exponentials / exponentials.sum(axis=1, keepdims=True)
    assert softmax == pytest.approx(classifier.predict_proba(x), abs=1e-12)


def test_compare_vs_definition():
    classifier, x = fitted_classifier((6,), classes=3, seed=2)
    model = FloatMLP([coefs.T for coefs in classifier.coefs_], classifier.intercepts_)
    integer = calibrate(model, x, shift=4)  # few weight bits, so that some labels differ
    labels = np.arange(200) % 3
    found = compare(model, integer, x, labels)
    trace = integer.forward(integer.quantise_inputs(x))
    differences = trace.quotients[-1] / 2.0 ** integer.formats[-1].frac_bits - model.forward(x)
    predicted = classifier.predict(x)
    assert 0 < (predicted != trace.labels).sum() < 100
    assert found.batch == 200
    assert found.accuracy_float == (predicted == labels).mean()
    assert found.accuracy_integer == (trace.labels == labels).mean()
    assert found.agreement == (predicted == trace.labels).mean()
    assert found.largest_difference == pytest.approx(np.abs(differences).max())
    assert found.rms_difference == pytest.approx(np.sqrt((differences**2).mean()))
    unlabelled = compare(model, integer, x)
    assert unlabelled == replace(found, accuracy_float=None, accuracy_integer=None)
    assert unlabelled.to_dict()["accuracy_float"] is None


def test_compare_refuses_labels_of_another_batch():
    model = FloatMLP([np.ones((2, 1))], [np.zeros(2)])
    with pytest.raises(UnusableInput, match=r"labels have shape \(3,\)"):
        compare(model, calibrate(model, np.ones((2, 1))), np.ones((2, 1)), [0, 1, 1])
