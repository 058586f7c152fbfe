"""Whole runs and their curves; the digits by the integer rule as well as in floating point."""

import numpy as np
import pytest
from training_case import as_lists, random_state, small_rule

from zkbench.errors import UnusableInput
from zkbench.models.training.batches import batch_rows
from zkbench.models.training.curves import CurvePoint, Samples, float_run, integer_run
from zkbench.models.training.float_training import LearningRule, initial_model, mean_loss
from zkbench.models.training.integer_training import (
    TrainingState,
    integer_outputs,
    train_step,
)
from zkbench.models.training.training_data import digits, real_targets
from zkbench.quant.training_calibration import calibrate_training, quantise_data


def small_samples(rule, rows=20):
    generator = np.random.default_rng(2)
    x = generator.integers(-500, 500, (rows, rule.dims[0])).astype(np.int16)
    labels = generator.integers(0, rule.dims[-1], rows)
    targets = (np.eye(rule.dims[-1])[labels] * 2**rule.last_error_bits).astype(np.int16)
    return Samples(x, targets, x[:7], labels[:7])


@pytest.mark.parametrize("loss", ["square", "cross-entropy"])
def test_an_integer_run_is_its_steps(loss):
    rule = small_rule(loss=loss)
    state, data = random_state(rule, log_update=0), small_samples(rule)
    expected = state
    for rows in batch_rows(5, 20, rule.batch, 0, 7):
        _, expected = train_step(rule, expected, data.x[rows], data.targets[rows])
    found, curve = integer_run(rule, state, data, seed=5, steps=7, every=3)
    assert as_lists(found) == as_lists(expected)
    assert [point.step for point in curve] == [0, 3, 6, 7]
    outputs = integer_outputs(rule, expected, data.x) * 2.0**-rule.formats.output
    targets = data.targets * 2.0**-rule.last_error_bits
    assert curve[-1].train_loss == pytest.approx(mean_loss(loss, outputs, targets))
    accuracy = float(np.mean(outputs[:7].argmax(axis=1) == data.test_labels))
    assert curve[-1].to_dict() == {
        "step": 7,
        "train_loss": curve[-1].train_loss,
        "test_accuracy": accuracy,
    }


def test_runs_without_a_test_part_have_no_accuracy():
    rule = small_rule()
    data = small_samples(rule)
    _, curve = integer_run(rule, random_state(rule), Samples(data.x, data.targets), 0, 0, 1)
    assert curve == [CurvePoint(0, curve[0].train_loss, None)]
    with pytest.raises(UnusableInput, match="a point every 0 steps makes no curve"):
        integer_run(rule, random_state(rule), data, 0, 2, 0)


@pytest.mark.parametrize(("rate", "momentum"), [(0.1, 0.9), (0.2, 0.0)])
def test_digits_in_integers_are_within_a_point_of_floats(rate, momentum):
    """64-64-64-10, 300 steps of 64, cross-entropy; both curves fall together."""
    data, model = digits(), initial_model((64, 64, 64, 10), 0)
    run = {"seed": 0, "steps": 300}
    rule = calibrate_training(
        model, data.x, data.labels, "cross-entropy", 64, rate / 64, momentum, **run
    )
    targets = real_targets("cross-entropy", 10, data.labels, len(data.x))
    real = Samples(data.x, targets, data.test_x, data.test_labels)
    x, integers = quantise_data(rule, data.x, data.labels)
    test_x, _ = quantise_data(rule, data.test_x, data.test_labels)
    samples = Samples(x, integers, test_x, data.test_labels)
    wanted = LearningRule("cross-entropy", 64, rate / 64, momentum)
    _, expected = float_run(wanted, model, real, every=50, **run)
    state = TrainingState.from_floats(model, rule)
    _, found = integer_run(rule, state, samples, every=50, **run)
    assert [point.step for point in found] == list(range(0, 301, 50))
    assert expected[-1].test_accuracy > 0.95
    assert abs(found[-1].test_accuracy - expected[-1].test_accuracy) <= 0.01
    for integer, real_point in zip(found, expected, strict=True):
        assert integer.train_loss == pytest.approx(real_point.train_loss, rel=0.3, abs=0.02)
