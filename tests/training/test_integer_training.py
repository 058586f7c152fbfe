"""A step of training in integers: every value against Python integers, and every range.

Not tested here: CuPy's arrays.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from python_int_training import OutOfRangeError, python_int_step, softmax_indices
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
from zkbench.models.training.rule import LOSSES, TrainingFormats, TrainingRule
from zkbench.protocols.tables import Exp
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


def lone_layer(biases, loss="cross-entropy", output=11):
    """A rule and a state whose outputs are half the biases, and a batch of one row of zeros."""
    formats = TrainingFormats(activation=0, output=output, error=0, weight=output + 1)
    dims = (1, len(biases))
    rate = (1, formats.weight)
    rule = small_rule(dims=dims, loss=loss, formats=formats, batch=1, rate=rate, momentum=0)
    state = _filled(random_state(rule), weights=0)
    state = replace(state, biases=(np.array(biases, np.int32),))
    return rule, state, np.zeros((1, 1), np.int16), np.zeros((1, len(biases)), np.int16)


@pytest.mark.parametrize(
    ("bias", "output"),
    [(65534, 32767), (65535, None), (-65537, -32768), (-65538, None)],
)
def test_16_bits_to_the_last_value(bias, output):
    arguments = lone_layer([bias], loss="square")
    if output is None:
        message = (
            "^output of layer 0 reaches -?327.. and exceeds 16 bits; use fewer fraction bits of"
        )
        with pytest.raises(QuantisationError, match=message):
            train_step(*arguments)
    else:
        assert train_step(*arguments)[0].quotients[0].tolist() == [[output]]


def test_the_softmax_spread_beyond_16_bits():
    """Two largest outputs move the shift log(2) 2^11 above them."""
    trace, _ = train_step(*lone_layer([65534, -65536]))
    assert trace.indices.tolist() == [[0, 65535]]
    table = Exp(log_delta=11, log_scale=14).values.tolist()
    assert softmax_indices([32767, 32767, -32768], table) == [1419, 1419, 66954]
    message = "^spread of the softmax's inputs reaches 66954 and exceeds 16 bits; use fewer frac"
    with pytest.raises(QuantisationError, match=message):
        train_step(*lone_layer([65534, 65534, -65536]))


@given(st.lists(st.integers(-3000, 3000), min_size=1, max_size=300), st.integers(4, 11))
def test_every_row_sum_is_within_the_tolerance(biases, output):
    rule, *arguments = lone_layer(biases, output=output)
    trace, _ = train_step(rule, *arguments)
    table = Exp(log_delta=output, log_scale=14).values
    total = int(table[trace.indices[0]].sum())
    assert trace.row_sums.tolist() == [total - 2**14 + rule.tolerance]
    assert abs(total - 2**14) < rule.tolerance


def test_a_row_sum_beyond_the_tolerance(monkeypatch):
    """The rule's tolerance is never missed; a smaller one is."""
    monkeypatch.setattr(TrainingRule, "tolerance", 1)
    with pytest.raises(QuantisationError, match="^slack of a softmax's row sum reaches -?\\d+ and"):
        train_step(*lone_layer([10, 20, 31], output=4))


def odd_weights(count):
    """Between 2^30 and 2^31: int32."""
    return 2 * np.random.default_rng(0).integers(2**29, 2**30, count, dtype=np.int32) + 1


def test_products_forward_through_wide_layers_are_exact():
    """Terms of 2^46 that cancel but for one weight."""
    width, formats = 16384, TrainingFormats(activation=0, output=0, error=0, weight=16)
    rule = small_rule(
        dims=(width, 1), loss="square", formats=formats, batch=1, rate=(1, 30), momentum=0
    )
    weight = odd_weights(width // 2)
    state = _filled(random_state(rule), biases=0)
    state = replace(state, weights=(np.concatenate([weight, weight[::-1]])[:, None],))
    x = np.repeat([32767, -32767], width // 2).astype(np.int16)[None]
    x[0, 5] -= 1
    y, remainder = divmod(-int(weight[5]) + 2**15, 2**16)
    trace, _ = train_step(rule, state, x, np.array([[y]], np.int16))
    assert (trace.quotients[0].tolist(), trace.y_remainders[0].tolist()) == ([[y]], [[remainder]])


def test_products_backward_through_wide_layers_are_exact():
    """Terms of 2^47 that cancel: only sums within 2^53 are exact in float64."""
    width, formats = 8192, TrainingFormats(activation=0, output=0, error=0, weight=16)
    rule = small_rule(
        dims=(1, 1, width), loss="square", formats=formats, batch=1, rate=(1, 30), momentum=0
    )
    signs = np.repeat([1, -1], width // 2)
    weight = odd_weights(width // 2)
    state = _filled(random_state(rule), weights=0, biases=0)
    biases = np.where(signs > 0, 32767 << 16, -(32768 << 16)).astype(np.int32)
    state = replace(
        state,
        weights=(state.weights[0], np.concatenate([weight, weight[::-1]])[None]),
        biases=(state.biases[0], biases),
    )
    targets = np.where(signs > 0, -32768, 32767).astype(np.int16)[None]
    targets[0, 5] += 1
    trace, _ = train_step(rule, state, np.zeros((1, 1), np.int16), targets)
    assert set(np.abs(trace.errors[1][0]).tolist()) == {65535, 65534}
    assert trace.products[0].tolist() == [[-int(weight[5])]]


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
