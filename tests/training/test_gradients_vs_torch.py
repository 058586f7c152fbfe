"""Integer gradients against torch's autograd, and momentum against torch.optim.SGD.

What a rounding may do to every later value is followed through the step in intervals: the bounds are
consequences of the formats, not measured. They are small against the gradients, which is tested too.
"""

import numpy as np
import pytest
from training_case import random_batch, random_state, small_rule

from zkbench.models.training.float_training import FloatState, LearningRule, float_step
from zkbench.models.training.float_training import initial_model as float_model
from zkbench.models.training.integer_training import TrainingState, train_step
from zkbench.models.training.rule import LOSSES, TrainingFormats

torch = pytest.importorskip("torch")

FINE = TrainingFormats(activation=11, output=11, error=11, weight=20)
_FLOAT = 1e-9  # float64's own errors are far below


def fine_rule(loss, momentum=0):
    return small_rule(
        dims=(7, 6, 6, 4), loss=loss, formats=FINE, batch=8, rate=(100, 18), momentum=momentum
    )


class TorchModel:
    """The real numbers of an integer state, as leaves of an autograd graph."""

    def __init__(self, rule, state):
        unit = 2.0**-rule.formats.weight
        self.rule = rule
        self.weights = [torch.tensor(w * unit, requires_grad=True) for w in state.weights]
        self.biases = [torch.tensor(b * unit, requires_grad=True) for b in state.biases]
        self.parameters = self.weights + self.biases

    def backward(self, x, targets):
        """Keeps all layers' inputs and outputs; fills gradients."""
        values = torch.tensor(x * 2.0**-self.rule.formats.activation)
        real = torch.tensor(targets * 2.0**-self.rule.last_error_bits)
        self.inputs, self.outputs = [], []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            self.inputs.append(values)
            self.outputs.append(values @ weight + bias)
            self.outputs[-1].retain_grad()
            values = torch.relu(self.outputs[-1])
        loss_of(self.rule.loss, self.outputs[-1], real).backward()

    def errors(self):
        return [y.grad.numpy() for y in self.outputs]


def loss_of(loss, y, targets):
    if loss == "square":
        return ((y - targets) ** 2).sum() / 2
    return torch.nn.functional.cross_entropy(y, targets, reduction="sum")


def bounds_of(model):
    """How far the integer step's e_l and gradients may be from torch's: by the formats alone."""
    rule, formats = model.rule, model.rule.formats
    weights = [np.abs(w.detach().numpy()) for w in model.weights]
    inputs, outputs = ([v.detach().numpy() for v in part] for part in (model.inputs, model.outputs))
    dx, off_inputs, off_outputs = np.zeros_like(inputs[0]), [], []
    for layer, weight in enumerate(weights):
        is_last = layer == len(weights) - 1
        bits = formats.output if is_last else formats.activation
        off_inputs.append(dx)
        dx = dx @ weight + 0.5 * 2.0**-bits
        off_outputs.append(dx)
    errors, p = model.errors(), None
    off = [last_bound(rule, outputs[-1], off_outputs[-1])]
    for layer in reversed(range(len(weights) - 1)):
        p = np.abs(errors[layer + 1] @ model.weights[layer + 1].detach().numpy().T)
        dp = off[0] @ weights[layer + 1].T
        sign_is_sure = np.abs(outputs[layer]) > off_outputs[layer]
        active = sign_is_sure & (outputs[layer] > 0)
        passed = np.where(sign_is_sure, active * dp, p + dp)
        off.insert(0, passed + 0.5 * 2.0**-formats.error)
    gradients = [
        np.abs(x).T @ de + dx.T @ (np.abs(e) + de)
        for x, dx, e, de in zip(inputs, off_inputs, errors, off, strict=True)
    ]
    return off, gradients + [de.sum(axis=0) for de in off]


def last_bound(rule, y, dy):
    """Of e_{L-1}: exp's rounding, the row sum's tolerance, and what the rounded outputs do."""
    if rule.loss == "square":
        return dy
    p = torch.softmax(torch.tensor(y), dim=1).numpy()
    moved = p * np.expm1(2 * dy.max(axis=1, keepdims=True))
    classes, half = y.shape[1], 0.5 * 2.0**-14
    return half + moved + (p + moved) * (rule.tolerance * 2.0**-14 + classes * half)


def length(arrays):
    return np.sqrt(sum(np.square(array).sum() for array in arrays))


def case(loss, momentum, seed):
    rule = fine_rule(loss, momentum)
    state = random_state(rule, seed, log_weight=19, log_update=8)
    return rule, state, random_batch(rule, seed + 1, log_input=10)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("loss", LOSSES)
def test_integer_gradients_vs_autograd(loss, seed):
    rule, state, batch = case(loss, 0, seed)
    trace, _ = train_step(rule, state, *batch)
    model = TorchModel(rule, state)
    model.backward(*batch)
    off, off_gradients = bounds_of(model)
    bits = [rule.formats.error] * (rule.depth - 1) + [rule.last_error_bits]
    for found, expected, bound, frac in zip(trace.errors, model.errors(), off, bits, strict=True):
        assert (np.abs(found * 2.0**-frac - expected) <= bound + _FLOAT).all()
    rate, unit = rule.rate[0] / 2.0 ** rule.rate[1], 2.0**-rule.formats.weight
    updates = trace.updates + trace.bias_updates
    gradients = [parameter.grad.numpy() for parameter in model.parameters]
    assert length(off_gradients) < 0.1 * length(gradients)
    for found, gradient, bound in zip(updates, gradients, off_gradients, strict=True):
        assert (np.abs(found * unit - rate * gradient) <= rate * bound + unit / 2 + _FLOAT).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_integer_momentum_vs_torch_sgd(loss):
    """Each step starts from the integer run's weights; the momentum is torch's own from the start."""
    rule, state, _ = case(loss, 3686, 3)
    rate, unit, mu = rule.rate[0] / 2.0 ** rule.rate[1], 2.0**-rule.formats.weight, 3686 / 4096
    zeros = {
        name: tuple(map(np.zeros_like, getattr(state, name)))
        for name in ("updates", "bias_updates")
    }
    state = TrainingState(state.weights, state.biases, **zeros)
    model = TorchModel(rule, state)
    optimiser = torch.optim.SGD(model.parameters, lr=rate, momentum=mu)
    off = [0.0] * len(model.parameters)
    for step in range(5):
        _set(model.parameters, state.weights + state.biases, unit)
        batch = random_batch(rule, step, log_input=10)
        optimiser.zero_grad()
        model.backward(*batch)
        bounds = bounds_of(model)[1]
        optimiser.step()
        _, state = train_step(rule, state, *batch)
        for i, parameter in enumerate(model.parameters):
            off[i] = mu * off[i] + rate * bounds[i] + unit / 2
            found = (state.weights + state.biases)[i] * unit
            assert (np.abs(found - parameter.detach().numpy()) <= off[i] + _FLOAT).all()
        changes = [optimiser.state[p]["momentum_buffer"].numpy() for p in model.parameters]
        assert length(off) < 0.1 * rate * length(changes)


def _set(parameters, integers, unit):
    with torch.no_grad():
        for parameter, values in zip(parameters, integers, strict=True):
            parameter.copy_(torch.tensor(values * unit))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("loss", LOSSES)
def test_float_training_vs_torch_sgd(loss, momentum):
    generator = np.random.default_rng(5)
    state = FloatState.from_model(float_model((7, 6, 6, 4), 1))
    weights = [torch.tensor(w.copy(), requires_grad=True) for w in state.weights]
    biases = [torch.tensor(b.copy(), requires_grad=True) for b in state.biases]
    rule = LearningRule(loss, 8, 0.01, momentum)
    optimiser = torch.optim.SGD(weights + biases, lr=rule.rate, momentum=momentum)
    for _ in range(20):
        x, targets = generator.normal(size=(8, 7)), np.eye(4)[generator.integers(0, 4, 8)]
        values = torch.tensor(x)
        for weight, bias in zip(weights, biases, strict=True):
            y = values @ weight + bias
            values = torch.relu(y)
        optimiser.zero_grad()
        loss_of(loss, y, torch.tensor(targets)).backward()
        optimiser.step()
        _, state = float_step(rule, state, x, targets)
    for found, expected in zip(state.weights + state.biases, weights + biases, strict=True):
        np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-9, atol=1e-11)
