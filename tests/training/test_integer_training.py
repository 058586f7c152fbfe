"""A step of training in integers: every value against Python integers, and every range.

Not tested here: CuPy's arrays.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from python_int_training import OutOfRangeError, python_int_step
from training_case import (
    FORMATS,
    as_lists,
    random_batch,
    random_state,
    small_rule,
    trace_dtypes,
)

from zkbench.errors import UnusableInput
from zkbench.models.training import integer_training
from zkbench.models.training.integer_training import (
    ExactWeight,
    TrainingState,
    integer_outputs,
    train_step,
)
from zkbench.models.training.rule import LOSSES, TrainingFormats
from zkbench.quant.formats import QuantisationError


@st.composite
def rules(draw):
    formats = TrainingFormats(*(draw(st.integers(*limits)) for limits in _FORMAT_LIMITS))
    try:
        return small_rule(
            dims=tuple(draw(st.lists(st.integers(1, 5), min_size=2, max_size=5))),
            loss=draw(st.sampled_from(LOSSES)),
            formats=formats,
            batch=draw(st.integers(1, 4)),
            rate=(draw(st.integers(1, 255)), draw(st.integers(0, 20))),
            momentum=draw(st.sampled_from([0, 1, 2048, 4095])),
        )
    except UnusableInput:
        assume(False)


_FORMAT_LIMITS = ((4, 13), (3, 11), (6, 20), (6, 23))


@given(rules(), st.integers(0, 2**32), st.integers(4, 15), st.integers(0, 2))
@settings(max_examples=300)
def test_two_steps_vs_python_int(rule, seed, log_input, log_excess):
    log_weight = rule.formats.weight + log_excess
    state = random_state(rule, seed, log_weight=log_weight, log_update=15)
    for step in range(2):
        x, targets = random_batch(rule, seed + step, log_input)
        given_lists = (as_lists(state), x.tolist(), targets.tolist())
        try:
            expected, after = python_int_step(rule, *given_lists)
        except OutOfRangeError as error:
            event(f"{str(error).split()[0]} out of range")
            with pytest.raises(QuantisationError, match=f"^{error} reaches "):
                train_step(rule, state, x, targets)
            return
        trace, state = train_step(rule, state, x, targets)
        assert as_lists(trace) == expected | {"targets": targets.tolist()}
        assert as_lists(state) == after
        event(f"step {step} in range")


@pytest.mark.parametrize("loss", LOSSES)
def test_types_of_the_trace(loss):
    rule = small_rule(loss=loss)
    trace, _ = train_step(rule, random_state(rule), *random_batch(rule))
    for name, dtype in trace_dtypes(rule).items():
        values = getattr(trace, name)
        if isinstance(values, tuple) and "remainders" not in name and name != "errors":
            assert {array.dtype for array in values} == {dtype}, name
    assert [array.dtype for array in trace.errors] == [np.int16, np.int16, np.int32]
    assert len(trace.products) == len(trace.e_remainders) == rule.depth - 1
    assert (trace.indices is None) == (trace.row_sums is None) == (loss == "square")


@pytest.mark.parametrize(("weight", "dtype"), [(16, np.uint16), (17, np.int32)])
def test_remainders_of_more_than_16_bits_are_int32(weight, dtype):
    rule = small_rule(formats=replace(FORMATS, weight=weight))
    state = random_state(rule, log_weight=weight - 1)
    trace, _ = train_step(rule, state, *random_batch(rule))
    assert trace.y_remainders[0].dtype == trace.e_remainders[0].dtype == dtype


def test_exact_products_of_weights_vs_python_int():
    generator = np.random.default_rng(3)
    weight = generator.integers(2**30, 2**31, (300, 400)).astype(np.int32)
    left, right = (generator.integers(-(2**16), -(2**15), (3, n)) for n in (300, 400))
    exact = ExactWeight(weight, 2**31, 400 << 16)
    whole = ExactWeight(weight, 0, 0)
    for x, transposed in ((left, False), (right, True)):
        w = (weight.T if transposed else weight).astype(object)
        expected = x.astype(object) @ w
        assert (exact.product(x.astype(np.float64), transposed) == expected).all()
        assert (whole.product(x.astype(np.float64), transposed) != expected).any()


@pytest.mark.parametrize("loss", LOSSES)
def test_limbs_of_weights_change_nothing(loss, monkeypatch):
    rule = small_rule(loss=loss)
    state, batch = random_state(rule), random_batch(rule)
    expected = train_step(rule, state, *batch)
    monkeypatch.setattr(integer_training, "FLOAT64_EXACT", 1)
    found = train_step(rule, state, *batch)
    assert list(map(as_lists, found)) == list(map(as_lists, expected))


def test_a_step_changes_nothing_that_it_was_given():
    rule = small_rule()
    state, (x, targets) = random_state(rule), random_batch(rule)
    before = as_lists(state), x.tolist(), targets.tolist()
    train_step(rule, state, x, targets)
    assert (as_lists(state), x.tolist(), targets.tolist()) == before


def test_relu_lets_errors_pass_where_the_quotient_is_zero():
    rule = small_rule(dims=(1, 1, 1), loss="square", batch=2, momentum=0)
    one = np.int32(1 << FORMATS.weight)
    state = random_state(rule, log_weight=0)
    weights = (np.array([[one]]), np.array([[one]]))
    state = replace(state, weights=weights, biases=(np.zeros(1, np.int32),) * 2)
    x = np.array([[0], [-1]], np.int16)
    trace, _ = train_step(rule, state, x, np.full((2, 1), 64, np.int16))
    assert trace.quotients[0].tolist() == [[0], [-1]]
    # -64 with 9 fraction bits is -256 with 11
    assert trace.errors[0].tolist() == [[-256], [0]]


def test_outputs_are_those_of_a_step_for_any_number_of_rows():
    rule = small_rule()
    state, (x, targets) = random_state(rule), random_batch(rule)
    trace, _ = train_step(rule, state, x, targets)
    assert (integer_outputs(rule, state, x) == trace.quotients[-1]).all()
    assert (integer_outputs(rule, state, x[:2]) == trace.quotients[-1][:2]).all()


def _filled(state, **values):
    """The state with the named arrays full of one value."""
    changes = {
        name: tuple(np.full_like(array, value) for array in getattr(state, name))
        for name, value in values.items()
    }
    return replace(state, **changes)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"weights": 2**24},
            "activation of layer 0 .* exceeds 16 bits; use fewer fraction bits of",
        ),
        ({"updates": 2**15 - 1}, None),
        ({"biases": 2**31 - 1}, "activation of layer 0"),
        ({"weights": 0, "biases": 0, "updates": 2**15 - 1}, None),
    ],
)
def test_forward_ranges(values, message):
    rule = small_rule(momentum=0)
    state = _filled(random_state(rule), **values)
    x, targets = np.full((6, 5), 500, np.int16), random_batch(rule)[1]
    if message is None:
        train_step(rule, state, x, targets)
    else:
        with pytest.raises(QuantisationError, match=message):
            train_step(rule, state, x, targets)


@pytest.mark.parametrize(
    ("biases", "updates", "name"),
    [(0, -(2**15), "weight"), (-(2**31), 0, "bias")],
)
def test_weights_beyond_32_bits(biases, updates, name):
    """A lone layer: its weights meet zeros, its bias is too coarse to leave 16 bits."""
    formats = TrainingFormats(activation=0, output=0, error=0, weight=16)
    rule = small_rule(
        dims=(1, 1), loss="square", formats=formats, batch=1, rate=(1, 28), momentum=4095
    )
    state = _filled(random_state(rule), weights=2**31 - 1, biases=biases, updates=updates)
    state = _filled(state, bias_updates=2**15 - 1 if biases else 0)
    zeros = np.zeros((1, 1), np.int16)
    message = f"^{name} of layer 0 reaches -?\\d+ and exceeds 32 bits; use fewer fraction bits of w"
    with pytest.raises(QuantisationError, match=message):
        train_step(rule, state, zeros, zeros)


def test_the_softmax_spread_beyond_16_bits():
    formats = replace(FORMATS, activation=4, output=2, weight=18)
    rule = small_rule(dims=(1, 2), formats=formats, batch=1, rate=(1, 8), momentum=0)
    state = random_state(rule, log_weight=0)
    state = replace(state, biases=(np.zeros(2, np.int32),))
    weights = (np.array([[2**31 - 1, -(2**31)]], np.int32),)
    x, targets = np.array([[15]], np.int16), np.zeros((1, 2), np.int16)
    with pytest.raises(QuantisationError, match="output of layer 0 reaches"):
        train_step(rule, replace(state, weights=weights), x * 100, targets)
    trace, _ = train_step(rule, replace(state, weights=weights), x, targets)
    assert trace.indices[0, 0] == 0
    assert trace.indices[0, 1] > 2**14


@pytest.mark.parametrize(
    ("x", "targets", "message"),
    [
        (np.zeros((6, 5)), np.zeros((6, 3), np.int16), "inputs are float64 .* takes int16"),
        (np.zeros((5, 5), np.int16), np.zeros((6, 3), np.int16), "inputs are int16 of shape"),
        (np.zeros((6, 5), np.int16), np.zeros((6, 4), np.int16), "targets are int16 of shape"),
    ],
)
def test_batches_that_do_not_fit(x, targets, message):
    rule = small_rule()
    with pytest.raises(UnusableInput, match=message):
        train_step(rule, random_state(rule), x, targets)


def test_a_state_of_other_widths():
    state = random_state(small_rule(dims=(5, 4, 3)))
    with pytest.raises(UnusableInput, match="are not the rule's"):
        train_step(small_rule(), state, *random_batch(small_rule()))
    with pytest.raises(UnusableInput, match="which does not fit"):
        TrainingState(*(part[::-1] for part in vars(state).values()))
