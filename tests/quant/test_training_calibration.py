"""Formats of training: everything fits, with headroom, as finely as the rule lets it."""

from dataclasses import asdict, replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkbench.errors import UnusableInput
from zkbench.models.training.curves import Samples, float_run, integer_run
from zkbench.models.training.float_training import LearningRule, initial_model
from zkbench.models.training.integer_training import TrainingState
from zkbench.models.training.rule import LOSSES, TrainingFormats, TrainingRule
from zkbench.models.training.training_data import real_targets
from zkbench.quant.formats import QuantisationError
from zkbench.quant.training_calibration import (
    LIGHT_DISTURBANCE,
    LIGHT_SHIFT,
    calibrate_training,
    quantise_data,
)
from zkbench.quant.training_ranges import measure_training

DIMS, SAMPLES, BATCH, SEED, STEPS = (6, 8, 8, 3), 40, 8, 4, 30


def data(scale=1.0):
    generator = np.random.default_rng(3)
    x = scale * generator.uniform(-1, 1, (SAMPLES, DIMS[0]))
    return x, (x @ generator.normal(size=(DIMS[0], 3))).argmax(axis=1)


def calibrated(loss="square", rate=0.01, momentum=0.0, scale=1.0, dims=DIMS, **more):
    x, labels = data(scale)
    return calibrate_training(
        initial_model(dims, 1), x, labels, loss, BATCH, rate, momentum, SEED, STEPS, **more
    )


@given(
    st.sampled_from(LOSSES),
    st.floats(-13, -6),
    st.sampled_from([0.0, 0.5, 0.9]),
    st.floats(-4, 2),
    st.integers(1, 3),
)
@settings(max_examples=40)
def test_the_calibrated_run_stays_in_range_and_near_the_float_run(
    loss, log_rate, momentum, log_scale, depth
):
    """At rates at which training is stable: what is chaotic magnifies every rounding."""
    dims, scale = (*DIMS[:depth], 3), 2.0**log_scale
    rate = 2.0**log_rate * (1 - momentum) / max(1.0, scale**2)
    x, labels = data(scale)
    model = initial_model(dims, 1)
    arguments = (loss, BATCH, rate, momentum, SEED, STEPS)
    rule = calibrate_training(model, x, labels, *arguments)
    assert abs(rule.rate[0] / 2.0 ** rule.rate[1] / rate - 1) < 0.05
    assert rule.momentum == round(momentum * 4096)
    integers = Samples(*quantise_data(rule, x, labels))
    state = TrainingState.from_floats(model, rule)
    after, curve = integer_run(rule, state, integers, SEED, STEPS, STEPS)
    real = Samples(x, real_targets(loss, 3, labels, SAMPLES))
    expected, float_curve = float_run(
        LearningRule(loss, BATCH, rate, momentum), model, real, SEED, STEPS, STEPS
    )
    assert curve[-1].train_loss == pytest.approx(float_curve[-1].train_loss, rel=0.1, abs=0.01)
    found = after.to_float_model(rule)
    for before, mine, its in zip(model.weights, found.weights, expected.weights, strict=True):
        assert np.linalg.norm(mine - its) < 0.25 * np.linalg.norm(its - before) + 1e-3


def disturbance(rule, ranges, rate):
    """What calibration makes small, written down once more."""
    kinds = ("inputs", "last_error", "errors", "updates")
    total = (rule.rate[0] / 2.0 ** rule.rate[1] / rate - 1) ** 2
    for bits, kind in zip(asdict(rule.formats).values(), kinds, strict=True):
        layers = getattr(ranges, kind).mean_squares.values()
        total += 4.0**-bits / 12 / min(np.mean(steps) for steps in layers)
    return total


def everything_fits(rule, ranges, x, headroom):
    """Largest values below 2^(15 - headroom), weights below 2^(31 - headroom), data below 2^15."""
    formats, limit = rule.formats, 2 ** (15 - headroom) - 1
    updates = max(ranges.updates.largest, ranges.bias_updates.largest)
    return all(
        np.rint(largest * 2.0**bits) <= bound
        for largest, bits, bound in (
            (np.abs(x).max(), formats.activation, 2**15 - 1),
            (1.0, formats.output, 2**15 - 1),  # the targets of square loss
            (ranges.activations.largest, formats.activation, limit),
            (ranges.outputs.largest, formats.output, limit),
            (ranges.errors.largest, formats.error, limit),
            (updates, formats.weight, limit),
            (ranges.weights.largest, formats.weight, 2 ** (31 - headroom) - 1),
        )
    )


def is_light(rule):
    """No range table is longer than a short run's proof can bear."""
    shifts = [rule.forward_shift(layer) for layer in range(rule.depth)]
    shifts += [rule.update_shift(layer) for layer in range(rule.depth)]
    shifts += [rule.backward_shift(layer) for layer in range(1, rule.depth)]
    return max(shifts) <= LIGHT_SHIFT


# With and without the update's shift between the wishes for fine errors and an exact rate.
CHOICES = [
    ("square", 0.01, 0.9),
    ("cross-entropy", 3e-4, 0.0),
    ("cross-entropy", 1e-7, 0.5),
    ("square", 1e-6, 0.0),
]


@pytest.mark.parametrize("headroom", [0, 2, 4])
@pytest.mark.parametrize(("loss", "rate", "momentum"), CHOICES)
def test_the_choice_vs_all_others(loss, rate, momentum, headroom):
    """No valid rule in a box around the chosen one fits and disturbs less, but for light ones first."""
    rule = calibrated(loss, rate, momentum, headroom_bits=headroom)
    x, labels = data()
    learning = LearningRule(loss, BATCH, rate, momentum)
    targets = real_targets(loss, 3, labels, SAMPLES)
    ranges = measure_training(learning, initial_model(DIMS, 1), x, targets, SEED, STEPS)
    assert everything_fits(rule, ranges, x, headroom)
    best, compared = disturbance(rule, ranges, rate), 0
    for by in product((-1, 0, 1, 2), repeat=5):
        bits = [b + d for b, d in zip(asdict(rule.formats).values(), by, strict=False)]
        k = rule.rate[1] + by[-1]
        try:
            other = replace(rule, formats=TrainingFormats(*bits), rate=(round(rate * 2**k), k))
        except UnusableInput:
            continue
        if not everything_fits(other, ranges, x, headroom):
            continue
        compared += 1
        if is_light(rule) and best <= LIGHT_DISTURBANCE and not is_light(other):
            continue
        if is_light(other) and not is_light(rule):
            assert disturbance(other, ranges, rate) > LIGHT_DISTURBANCE
        assert disturbance(other, ranges, rate) >= best * (1 - 1e-9)
    assert compared > 3


def test_the_rate_has_eight_bits_where_shifts_allow_it():
    assert calibrated(rate=0.01).rate == (164, 14)
    assert calibrated(rate=0.01, momentum=0.9).momentum == 3686
    assert calibrated(rate=0.01, momentum=0.99999).momentum == 4095


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate": 1e30}, "training diverges in floating point; use a smaller rate"),
        ({"rate": 2.0**-100}, "is no m / 2.k with 1 <= m <= 255"),
        ({"rate": 2.0**-60}, "no number formats hold this training"),
        ({"rate": -1.0}, "is not a positive number"),
        ({"momentum": 1.0}, "the momentum 1.0 is not in"),
        ({"loss": "hinge"}, "the loss 'hinge' is none of"),
        ({"scale": 1e7, "rate": 1e-17}, "no number formats hold this training"),
        ({"headroom_bits": 15}, "headroom is 15 bits; it must be an integer in 0 to 14"),
        ({"headroom_bits": -1}, "headroom is -1 bits"),
        ({"dims": (5, 3)}, "inputs have 6 features, the model takes 5"),
        ({"dims": (6, 2)}, "the label of sample"),
    ],
)
def test_what_cannot_be_calibrated(changes, message):
    with pytest.raises(UnusableInput, match=message):
        calibrated(**changes)


def test_training_of_nothing_is_calibrated():
    """Zeros everywhere: no value asks for anything."""
    x = np.zeros((8, 2))
    model = initial_model((2, 2, 1), 0)
    rule = calibrate_training(model, x, np.zeros((8, 1)), "square", 4, 0.1, 0.0, 0, 3)
    assert isinstance(rule, TrainingRule)


def a_rule():
    return calibrated("square")


def test_data_as_integers():
    rule = a_rule()
    x, labels = data()
    integers, targets = quantise_data(rule, x, labels)
    assert integers.dtype == targets.dtype == np.int16
    assert np.abs(integers - x * 2**rule.formats.activation).max() <= 0.5
    assert (targets == np.eye(3)[labels] * 2**rule.formats.output).all()
    _, given = quantise_data(rule, x, np.full((SAMPLES, 3), 0.25))
    assert (given == 2 ** (rule.formats.output - 2)).all()
    _, probabilities = quantise_data(calibrated("cross-entropy", 0.01), x, labels)
    assert (probabilities == np.eye(3)[labels] * 2**14).all()


def test_large_data_are_taken_piece_by_piece():
    rule = a_rule()
    x = np.random.default_rng(0).uniform(-1, 1, (9001, 6)).astype(np.float32)
    integers, _ = quantise_data(rule, x, np.zeros(9001, int))
    assert (integers == np.rint(x.astype(np.float64) * 2**rule.formats.activation)).all()


@pytest.mark.parametrize(
    ("x", "targets", "message"),
    [
        (np.full((5000, 6), 1e6), np.zeros(5000, int), r"inputs 0 and on at \[0, 0\] is 1e\+06"),
        (np.zeros((2, 6)), np.full((2, 3), 1e6), "targets 0 and on .*; calibrate with this data"),
        (np.full((2, 6), np.inf), [0, 0], "inputs hold NaN or infinite values"),
        (np.full((2, 6), np.nan), [0, 0], "inputs hold NaN or infinite values"),
        (np.zeros((2, 5)), [0, 0], "inputs have 5 features, the model takes 6"),
        (np.zeros((0, 6)), [], "not rows of numbers"),
        (np.zeros(6), [0], "not rows of numbers"),
        (np.full((2, 6), "a"), [0, 0], "not rows of numbers"),
    ],
)
def test_data_that_do_not_fit(x, targets, message):
    with pytest.raises(UnusableInput, match=message):
        quantise_data(a_rule(), x, targets)


def test_the_error_names_the_remedy():
    with pytest.raises(QuantisationError, match="; calibrate with this data, or scale it"):
        quantise_data(a_rule(), np.full((2, 6), 1e6), [0, 0])
