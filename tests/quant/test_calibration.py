"""Calibration: whatever the model and the inputs, everything fits and the error is bounded."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkbench.errors import UnusableInput
from zkbench.models.mlp import ACCUMULATOR_BITS, FloatMLP
from zkbench.quant.calibration import calibrate
from zkbench.quant.formats import QuantisationError


@st.composite
def float_models(draw):
    """Models of depth 1..4 and inputs, at scales over many powers of ten, some of them all zero."""
    dims = draw(st.lists(st.integers(1, 9), min_size=2, max_size=5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    scale = st.sampled_from([0.0, 1e-30, 1e-3, 1.0, 1.0, 1.0, 40.0, 1e9])
    weights = [draw(scale) * rng.standard_normal((out, given)) for given, out in pairwise(dims)]
    biases = [draw(scale) * rng.standard_normal(out) for out in dims[1:]]
    x = draw(scale) * rng.standard_normal((draw(st.integers(1, 12)), dims[0]))
    return FloatMLP(weights, biases), x


def error_bounds(model, integer, x):
    """For each layer, what |y_l / 2^frac_bits - float y_l| can reach at most, by the triangle
    inequality: errors of x through the quantised weights, of the weights through the exact x, of
    the bias, and half a unit in the last place of y."""
    error = np.full(x.shape, 2.0 ** -(integer.input_format.frac_bits + 1))
    values = x
    for layer, exact in enumerate(model.preactivations(x)):
        weights = np.abs(integer.weight_format(layer).dequantise(integer.weights[layer]))
        weight_error = 2.0 ** -(integer.weight_format(layer).frac_bits + 1)
        error = error @ weights + weight_error * np.abs(values).sum(axis=1, keepdims=True)
        error = error + 2.0 ** -(integer.accumulator_format(layer).frac_bits + 1)
        error = error + 2.0 ** -(integer.formats[layer].frac_bits + 1)
        yield error + 1e-9 * np.abs(exact)  # float64's own rounding
        values = np.maximum(exact, 0)


@settings(max_examples=150, deadline=None)
@given(float_models(), st.integers(1, 16), st.integers(0, 4))
def test_everything_fits_and_error_within_triangle_inequality(case, shift, headroom):
    model, x = case
    integer = calibrate(model, x, shift=shift, headroom_bits=headroom)
    trace = integer.forward(integer.quantise_inputs(x))
    assert all(np.abs(acc).max() < 2 ** (ACCUMULATOR_BITS - 1) for acc in trace.accumulators)
    exact = model.preactivations(x)
    for layer, bound in enumerate(error_bounds(model, integer, x)):
        found = integer.formats[layer].dequantise(trace.quotients[layer])
        assert (np.abs(found - exact[layer]) <= bound).all()


def fits(values, frac_bits, limit):
    return np.rint(np.ldexp(np.abs(values).max(), frac_bits)) <= limit


def layer_fits(model, integer, x, layer, more):
    """Whether layer fits with `more` fraction bits in its activation, headroom aside."""
    weight_bits = integer.weight_format(layer).frac_bits + more
    bias_bits = integer.accumulator_format(layer).frac_bits + more
    weight, bias = model.weights[layer].T, model.biases[layer]
    if not (fits(weight, weight_bits, 2**15 - 1) and fits(bias, bias_bits, 2**47 - 1)):
        return False
    values = integer.forward(integer.quantise_inputs(x)).layer_input(layer).astype(np.int64)
    weight_q = np.rint(np.ldexp(weight, weight_bits)).astype(np.int64)
    acc = values @ weight_q + np.rint(np.ldexp(bias, bias_bits)).astype(np.int64)
    y = (acc + 2 ** (integer.shift - 1)) // 2**integer.shift
    return y.min() >= -(2**15) and y.max() < 2**15


@settings(max_examples=150, deadline=None)
@given(float_models(), st.integers(1, 16), st.integers(0, 4))
def test_headroom_is_kept_and_no_fraction_bit_is_given_away(case, shift, headroom):
    """As chosen everything fits; with one more fraction bit something does not."""
    model, x = case
    integer = calibrate(model, x, shift=shift, headroom_bits=headroom)
    limit = min(2 ** (15 - headroom), 2**15 - 1)
    assert fits(x, integer.input_format.frac_bits, limit)
    assert not fits(x if x.any() else 1.0, integer.input_format.frac_bits + 1, limit)
    for layer, exact in enumerate(model.preactivations(x)):
        frac_bits = integer.formats[layer].frac_bits
        assert fits(exact, frac_bits, limit)
        assert layer_fits(model, integer, x, layer, more=0)
        roomy = fits(exact if exact.any() else 1.0, frac_bits + 1, limit)
        assert not (roomy and layer_fits(model, integer, x, layer, more=1))


def one_layer(weight, bias=(0.0,)):
    return FloatMLP([np.array(weight, np.float64)], [np.array(bias, np.float64)])


def test_inputs_twice_as_large_fit_by_default_and_not_without_headroom():
    model, x = one_layer([[0.5, 0.25]]), np.array([[0.9, 0.8]])
    roomy, tight = calibrate(model, x), calibrate(model, x, headroom_bits=0)
    roomy.forward(roomy.quantise_inputs(2 * x))
    with pytest.raises(QuantisationError, match=r"input at \[0, 0\] is 1.8, outside .*headroom"):
        tight.quantise_inputs(2 * x)


def test_unseen_activation_names_layer_value_and_remedy():
    signs = np.array([[1.0, -1.0] * 8])
    integer = calibrate(one_layer(signs), np.ones((1, 16)))
    with pytest.raises(QuantisationError) as caught:
        integer.forward(integer.quantise_inputs(1.9 * signs))
    frac_bits = integer.formats[0].frac_bits
    reached = int(str(caught.value).split("reaches ")[1].split(",")[0])
    assert reached == pytest.approx(16 * 1.9 * 2.0**frac_bits, rel=1e-3)
    assert str(caught.value) == (
        f"activation of layer 0 (output) reaches {reached}, outside 16 bits; "
        "recalibrate with these inputs or leave more headroom (--headroom)"
    )


def test_weights_that_do_not_fit_cost_fraction_bits_of_the_activation():
    integer = calibrate(one_layer([[1.0]]), np.array([[1.0]]))
    assert integer.input_format.frac_bits == 14
    assert integer.weights[0].tolist() == [[2**14]]
    assert integer.formats[0].frac_bits == 12
    assert integer.forward(np.array([[2**14]], np.int16)).quotients[0].tolist() == [[2**12]]


def test_bias_that_cancels_its_product_fits():
    model = one_layer([[3e4]], [-3e4 + 0.5])
    integer = calibrate(model, np.array([[1.0]]), shift=1)
    assert integer.forward(integer.quantise_inputs([[1.0]])).labels.tolist() == [0]
    assert abs(int(integer.biases[0][0])) < 2**47


def test_bias_that_outgrows_48_bits_costs_fraction_bits():
    """Only above 2^17 inputs can products cancel a bias so large that 16-bit activations fit."""
    size, number = 2**18, 1 - 2**-14
    model, x = one_layer([[number] * size], [-size * number**2]), np.full((1, size), number)
    integer = calibrate(model, x, headroom_bits=0)
    assert 2**46 <= abs(int(integer.biases[0][0])) < 2**47
    assert np.abs(integer.forward(integer.quantise_inputs(x)).quotients[0]).max() < 2**15


@pytest.mark.parametrize("x", [np.zeros((3, 2)), np.full((3, 2), 0.7)], ids=["zero", "constant"])
def test_zero_and_constant_inputs(x):
    model = one_layer([[0.3, -0.2], [0.1, 0.4]], [0.0, 0.0])
    integer = calibrate(model, x)
    output = integer.formats[0].dequantise(integer.forward(integer.quantise_inputs(x)).quotients[0])
    assert output == pytest.approx(model.forward(x), abs=1e-3)


def test_model_of_zeros():
    integer = calibrate(one_layer([[0.0]]), np.array([[0.0]]))
    trace = integer.forward(integer.quantise_inputs([[1.0]]))
    assert trace.quotients[0].tolist() == [[0]]


def test_smallest_and_largest_floats():
    for size in (5e-324, 1e-300, 1e150):
        model, x = one_layer([[size]], [size]), np.array([[size]])
        if size > 1:
            x = np.array([[1.0]])
        integer = calibrate(model, x)
        integer.forward(integer.quantise_inputs(x))


@pytest.mark.parametrize("shift", [0, 17, -1, 1.0, True, None])
def test_shift_out_of_range_is_refused(shift):
    with pytest.raises(UnusableInput, match=r"shift is .*integer in \[1, 16\]"):
        calibrate(one_layer([[1.0]]), np.array([[1.0]]), shift=shift)


@pytest.mark.parametrize("headroom", [-1, 15, 0.5, False])
def test_headroom_out_of_range_is_refused(headroom):
    with pytest.raises(UnusableInput, match=r"headroom is .*integer in \[0, 14\]"):
        calibrate(one_layer([[1.0]]), np.array([[1.0]]), headroom_bits=headroom)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 3)), "inputs have 3 features, the model takes 1"),
        (np.zeros((0, 1)), r"inputs have shape \(0, 1\)"),
        (np.zeros(1), r"inputs have shape \(1,\)"),
        (np.array([[np.nan]]), "input holds NaN or infinite values"),
        (np.array([[-np.inf]]), "input holds NaN or infinite values"),
    ],
)
def test_unusable_calibration_inputs(x, message):
    with pytest.raises(UnusableInput, match=message):
        calibrate(one_layer([[1.0]]), x)


def test_overflow_in_floating_point_names_the_layer():
    model = FloatMLP([np.array([[1e200]])] * 2, [np.zeros(1)] * 2)
    with pytest.raises(UnusableInput, match=r"activation of layer 1 \(output\) is not finite"):
        calibrate(model, np.array([[1.0]]))
