"""How large the values of training become: seen by training in floating point."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkbench.models.mlp import FloatMLP
from zkbench.models.training.batches import batch_rows
from zkbench.models.training.float_training import (
    FloatLayers,
    FloatState,
    FloatTrace,
    LearningRule,
    float_step,
)

Floats = NDArray[np.float64]


@dataclass
class Spread:
    """The largest magnitude of one kind of values, and the mean square of each layer's."""

    largest: float = 0.0
    mean_squares: dict[int, list[float]] = field(default_factory=dict)

    def see(self, layers: FloatLayers) -> None:
        """One step's values, a tuple over the layers."""
        for layer, values in enumerate(layers):
            self.largest = max(self.largest, float(values.max()), -float(values.min()))
            with np.errstate(over="ignore"):  # of values that fit no format anyway
                mean_square = float(np.vdot(values, values)) / values.size
            self.mean_squares.setdefault(layer, []).append(mean_square)

    @property
    def least_mean_square(self) -> float:
        """Of the layer where it is least over all steps: there a rounding disturbs most."""
        return min((float(np.mean(steps)) for steps in self.mean_squares.values()), default=0.0)


@dataclass
class TrainingRanges:
    """Inputs x_l, hidden y_l, outputs y_{L-1}, errors e_l but the last, the last, updates of weights
    and of biases, all in every step; weights and biases before the first and after the last."""

    inputs: Spread = field(default_factory=Spread)
    activations: Spread = field(default_factory=Spread)
    outputs: Spread = field(default_factory=Spread)
    errors: Spread = field(default_factory=Spread)
    last_error: Spread = field(default_factory=Spread)
    updates: Spread = field(default_factory=Spread)
    bias_updates: Spread = field(default_factory=Spread)
    weights: Spread = field(default_factory=Spread)

    def see(self, trace: FloatTrace, after: FloatState) -> None:
        """One step."""
        self.inputs.see(trace.inputs)
        self.activations.see(trace.outputs[:-1])
        self.outputs.see(trace.outputs[-1:])
        self.errors.see(trace.errors[:-1])
        self.last_error.see(trace.errors[-1:])
        self.updates.see(after.updates)
        self.bias_updates.see(after.bias_updates)


def measure_training(
    rule: LearningRule, model: FloatMLP, x: NDArray[Any], targets: Floats, seed: int, steps: int
) -> TrainingRanges:
    """Trains ``model`` on ``x`` (N x d_in, real) and ``targets`` (N x d_out) for ``steps`` steps.

    Raises `UnusableInput` where training diverges.
    """
    state, ranges = FloatState.from_model(model), TrainingRanges()
    ranges.weights.see((*state.weights, *state.biases))
    for rows in batch_rows(seed, len(x), rule.batch, 0, steps):
        trace, state = float_step(rule, state, x[rows].astype(np.float64), targets[rows])
        ranges.see(trace, state)
    ranges.weights.see((*state.weights, *state.biases))
    return ranges
