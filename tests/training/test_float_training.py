"""Training in floating point, without torch: against differences of the loss, and by formula."""

from fractions import Fraction

import numpy as np
import pytest
from training_case import small_rule

from zkbench.errors import UnusableInput
from zkbench.models.training.float_training import (
    FloatState,
    LearningRule,
    float_outputs,
    float_step,
    initial_model,
    mean_loss,
)
from zkbench.models.training.rule import LOSSES

DIMS = (5, 7, 6, 4)


def batch(seed=2, rows=9):
    generator = np.random.default_rng(seed)
    x, labels = generator.normal(size=(rows, 5)), generator.integers(0, 4, rows)
    return x, np.eye(4)[labels]


def loss_at(state, loss, x, targets):
    return len(x) * mean_loss(loss, float_outputs(state, x), targets)


@pytest.mark.parametrize("loss", LOSSES)
def test_updates_vs_central_differences_of_the_loss(loss):
    state, (x, targets), step = FloatState.from_model(initial_model(DIMS, 1)), batch(), 1e-6
    rule = LearningRule(loss, len(x), rate=0.25)
    _, after = float_step(rule, state, x, targets)
    for kind, updates in (("weights", after.updates), ("biases", after.bias_updates)):
        for array, update in zip(getattr(state, kind), updates, strict=True):
            for at in list(np.ndindex(array.shape))[::3]:
                sides = []
                for sign in (1, -1):
                    array.flags.writeable = True
                    kept, array[at] = array[at], array[at] + sign * step
                    sides.append(loss_at(state, loss, x, targets))
                    array[at] = kept
                difference = (sides[0] - sides[1]) / (2 * step)
                assert update[at] == pytest.approx(0.25 * difference, rel=1e-5, abs=1e-7)


def test_momentum_adds_a_part_of_the_update_before():
    state, (x, targets) = FloatState.from_model(initial_model(DIMS, 1)), batch()
    _, first = float_step(LearningRule("square", 9, 0.01, 0.75), state, x, targets)
    _, plain = float_step(LearningRule("square", 9, 0.01), first, x, targets)
    _, second = float_step(LearningRule("square", 9, 0.01, 0.75), first, x, targets)
    for layer in range(3):
        for part in ("updates", "bias_updates"):
            before, without, found = (getattr(s, part)[layer] for s in (first, plain, second))
            np.testing.assert_allclose(found, without + 0.75 * before, rtol=1e-12)
        expected = first.weights[layer] - second.updates[layer]
        assert (second.weights[layer] == expected).all()


def test_relu_lets_errors_pass_at_zero():
    ones, zeros = np.ones((1, 1)), np.zeros(1)
    state = FloatState((ones, ones), (zeros, zeros), (0 * ones,) * 2, (zeros, zeros))
    x, targets = np.array([[0.0], [-1.0]]), np.full((2, 1), 3.0)
    trace, _ = float_step(LearningRule("square", 2, 0.1), state, x, targets)
    assert trace.errors[0].tolist() == [[-3.0], [0.0]]


def test_losses_by_formula():
    y, targets = np.array([[0.0, np.log(3)], [2.0, 2.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])
    assert mean_loss("cross-entropy", y, targets) == pytest.approx(
        np.log(4 / 3) / 2 + np.log(2) / 2
    )
    assert mean_loss("square", y, targets) == pytest.approx(((np.log(3) - 1) ** 2 + 1 + 4) / 4)
    assert mean_loss("cross-entropy", y + 5000, targets) == pytest.approx(
        mean_loss("cross-entropy", y, targets)
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_divergence_is_said(loss):
    state, (x, targets) = FloatState.from_model(initial_model(DIMS, 1)), batch()
    rule = LearningRule(loss, 9, rate=1e200)
    _, state = float_step(rule, state, x, targets)
    with pytest.raises(UnusableInput, match="diverges in floating point; use a smaller rate"):
        float_step(rule, state, x, targets)


def test_an_update_beyond_floats_is_divergence():
    state, (x, targets) = FloatState.from_model(initial_model(DIMS, 1)), batch()
    with pytest.raises(UnusableInput, match="diverges in floating point; use a smaller rate"):
        float_step(LearningRule("square", 9, rate=1e308), state, 1e3 * x, targets)


def test_the_initial_model():
    model = initial_model((400, 300, 200), 6)
    assert model.dims == (400, 300, 200)
    for weight, gain in zip(model.weights, (6, 3), strict=True):
        bound = np.sqrt(gain / weight.shape[1])
        assert 0.99 * bound < np.abs(weight).max() <= bound
        assert weight.var() == pytest.approx(bound**2 / 3, rel=0.02)
        assert abs(weight.mean()) < 0.01 * bound
    assert not any(bias.any() for bias in model.biases)
    same, other = initial_model((400, 300, 200), 6), initial_model((400, 300, 200), 7)
    assert (same.weights[1] == model.weights[1]).all()
    assert (other.weights[1] != model.weights[1]).all()


def test_the_initial_model_is_frozen():
    model = initial_model((3, 2, 2), 1)
    expected = [[0.03343660396077565, 1.2741037374017061, -1.0064686034639772]]
    np.testing.assert_allclose(model.weights[0][:1], expected, rtol=1e-15)


@pytest.mark.parametrize("dims", [(), (3,), (3, 0), (3, -1, 2)])
def test_widths_of_no_model(dims):
    with pytest.raises(UnusableInput, match="make no perceptron"):
        initial_model(dims, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("hinge", 1, 0.1), "the loss 'hinge' is none of"),
        (("square", 1, 0.0), "the rate 0.0 is not a positive number"),
        (("square", 1, float("nan")), "the rate nan is not"),
        (("square", 1, float("inf")), "the rate inf is not"),
        (("square", 1, 0.1, 1.0), "the momentum 1.0 is not in"),
        (("square", 1, 0.1, -0.1), "the momentum -0.1 is not in"),
    ],
)
def test_rules_that_learn_nothing(arguments, message):
    with pytest.raises(UnusableInput, match=message):
        LearningRule(*arguments)


def test_the_integer_rules_numbers_are_taken_exactly():
    found = LearningRule.of(small_rule(rate=(201, 15), momentum=3687))
    assert Fraction(found.rate) == Fraction(201, 2**15)
    assert Fraction(found.momentum) == Fraction(3687, 4096)
    assert (found.loss, found.batch) == ("cross-entropy", 6)
