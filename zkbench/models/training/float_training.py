"""Training in floating point by the integer rule's formulas: float64, with nothing rounded.

The same batches, losses and derivatives (that of ReLU is 1 at 0), SGD with momentum as PyTorch defines
it; the rate is for the sum over a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from zkbench.errors import UnusableInput
from zkbench.models.mlp import FloatMLP
from zkbench.models.training.rule import LOSSES, MOMENTUM_BITS, TrainingRule

Floats = NDArray[np.float64]
FloatLayers = tuple[Floats, ...]


@dataclass(frozen=True)
class LearningRule:
    """What does not depend on number formats. rate: for the sum over a batch; momentum: in [0, 1)."""

    loss: str
    batch: int
    rate: float
    momentum: float = 0.0

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise UnusableInput(f"the loss {self.loss!r} is none of {', '.join(LOSSES)}")
        if not 0 < self.rate < float("inf"):
            raise UnusableInput(f"the rate {self.rate} is not a positive number")
        if not 0 <= self.momentum < 1:
            raise UnusableInput(f"the momentum {self.momentum} is not in [0, 1)")

    @classmethod
    def of(cls, rule: TrainingRule) -> LearningRule:
        """The integer rule's, exactly."""
        m, k = rule.rate
        return cls(rule.loss, rule.batch, m / 2**k, rule.momentum / (1 << MOMENTUM_BITS))


@dataclass(frozen=True, eq=False)
class FloatState:
    """Weights (d_in x d_out), biases, and the updates of the step before; tuples over the layers."""

    weights: FloatLayers
    biases: FloatLayers
    updates: FloatLayers
    bias_updates: FloatLayers

    @classmethod
    def from_model(cls, model: FloatMLP) -> FloatState:
        """The model before the first step."""
        weights = tuple(np.ascontiguousarray(weight.T) for weight in model.weights)
        biases = tuple(model.biases)
        zeros = (tuple(map(np.zeros_like, part)) for part in (weights, biases))
        return cls(weights, biases, *zeros)

    def to_model(self) -> FloatMLP:
        return FloatMLP([weight.T for weight in self.weights], self.biases)


@dataclass(frozen=True, eq=False)
class FloatTrace:
    """x_l, y_l and e_l of one step: B x width."""

    inputs: FloatLayers
    outputs: FloatLayers
    errors: FloatLayers


def initial_model(dims: Sequence[int], seed: int) -> FloatMLP:
    """Weights that keep variances from layer to layer, biases zero (He et al., arXiv 1502.01852).

    Uniform within sqrt(6 / d_in) before a ReLU, within sqrt(3 / d_in) in the last layer.
    """
    if len(dims) < 2 or min(dims) < 1:
        raise UnusableInput(
            f"widths {tuple(dims)} make no perceptron; give two positive ones or more"
        )
    generator, weights = np.random.Generator(np.random.PCG64(seed)), []
    for layer, (d_in, d_out) in enumerate(pairwise(dims)):
        gain = 3.0 if layer == len(dims) - 2 else 6.0
        bound = np.sqrt(gain / d_in)
        weights.append(bound * (2 * generator.random((d_out, d_in)) - 1))
    return FloatMLP(weights, [np.zeros(d_out) for d_out in dims[1:]])


def float_step(
    rule: LearningRule, state: FloatState, x: Floats, targets: Floats
) -> tuple[FloatTrace, FloatState]:
    """One step on a batch; raises `UnusableInput` where training has diverged."""
    with np.errstate(over="ignore", invalid="ignore"):
        inputs, outputs = _forward(state, x)
        errors = _backward(state, outputs, loss_error(rule.loss, outputs[-1], targets))
        after = _updated(rule, state, inputs, errors)
        sums = [values.sum() for values in (outputs[-1], *after.updates)]
    if not np.isfinite(sums).all():
        raise UnusableInput("training diverges in floating point; use a smaller rate")
    return FloatTrace(inputs, outputs, errors), after


def float_outputs(state: FloatState, x: Floats) -> Floats:
    """y_{L-1}."""
    return _forward(state, x)[1][-1]


def loss_error(loss: str, y: Floats, targets: Floats) -> Floats:
    """The loss's derivative by y: B x d_out."""
    return (y if loss == "square" else softmax(y)) - targets


def mean_loss(loss: str, y: Floats, targets: Floats) -> float:
    """Half the squared distance, or minus the logarithm of the targets' probability: a row's mean."""
    if loss == "square":
        return float(np.square(y - targets).sum(axis=1).mean() / 2)
    above = y - y.max(axis=1, keepdims=True)
    logarithms = above - np.log(np.exp(above).sum(axis=1, keepdims=True))
    return float(-(targets * logarithms).sum(axis=1).mean())


def softmax(y: Floats) -> Floats:
    powers = np.exp(y - y.max(axis=1, keepdims=True))
    probabilities: Floats = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def _forward(state: FloatState, x: Floats) -> tuple[FloatLayers, FloatLayers]:
    inputs, outputs = [x], []
    for weight, bias in zip(state.weights, state.biases, strict=True):
        outputs.append(inputs[-1] @ weight + bias)
        inputs.append(np.maximum(outputs[-1], 0))
    return tuple(inputs[:-1]), tuple(outputs)


def _backward(state: FloatState, outputs: FloatLayers, last: Floats) -> FloatLayers:
    errors = [last]
    for weight, y in zip(state.weights[:0:-1], outputs[-2::-1], strict=True):
        errors.append((errors[-1] @ weight.T) * (y >= 0))
    return tuple(errors[::-1])


def _updated(
    rule: LearningRule, state: FloatState, inputs: FloatLayers, errors: FloatLayers
) -> FloatState:
    gradients = (x.T @ error for x, error in zip(inputs, errors, strict=True))
    updates = _with_momentum(rule, gradients, state.updates)
    sums = (error.sum(axis=0) for error in errors)
    bias_updates = _with_momentum(rule, sums, state.bias_updates)
    return FloatState(
        tuple(w - u for w, u in zip(state.weights, updates, strict=True)),
        tuple(b - v for b, v in zip(state.biases, bias_updates, strict=True)),
        updates,
        bias_updates,
    )


def _with_momentum(
    rule: LearningRule, gradients: Iterable[Floats], before: FloatLayers
) -> FloatLayers:
    """The updates of weights or biases, in the place of their gradients."""
    updates = []
    for gradient, update in zip(gradients, before, strict=True):
        gradient *= rule.rate
        if rule.momentum:
            gradient += rule.momentum * update
        updates.append(gradient)
    return tuple(updates)
