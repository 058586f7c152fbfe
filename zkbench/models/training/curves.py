"""Whole runs of training, in integers and in floating point, and their curves side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkbench.errors import UnusableInput
from zkbench.models.mlp import FloatMLP
from zkbench.models.training.batches import batch_rows
from zkbench.models.training.float_training import (
    FloatState,
    LearningRule,
    float_outputs,
    float_step,
    mean_loss,
)
from zkbench.models.training.integer_training import integer_outputs, train_step
from zkbench.models.training.rule import TrainingRule
from zkbench.models.training.training_state import TrainingState, on_host

_MEASURED_SAMPLES = 2048  # the first ones, of which a curve has the training loss

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Samples:
    """What a run trains and is measured on, in its own numbers: int16 of the rule's formats, or float.

    x: N x d_in; targets: N x d_out. test_x: M x d_in with test_labels (M), or None.
    """

    x: Array
    targets: Array
    test_x: Array | None = None
    test_labels: Array | None = None


@dataclass(frozen=True)
class CurvePoint:
    """After so many steps: the mean loss of (at most 2048) training samples, and the part of the test
    samples that are classified rightly, in [0, 1], None without any."""

    step: int
    train_loss: float
    test_accuracy: float | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, eq=False)
class _Measure:
    """Points of a curve. outputs: the model's real outputs of rows; error_bits: of the targets."""

    data: Samples
    loss: str
    outputs: Callable[[Array], Array]
    error_bits: int = 0

    def point(self, step: int) -> CurvePoint:
        x, targets = self.data.x[:_MEASURED_SAMPLES], self.data.targets[:_MEASURED_SAMPLES]
        real_targets = np.ldexp(on_host(targets).astype(np.float64), -self.error_bits)
        train_loss = mean_loss(self.loss, self.outputs(x), real_targets)
        return CurvePoint(step, train_loss, self._accuracy())

    def _accuracy(self) -> float | None:
        if self.data.test_x is None or self.data.test_labels is None:
            return None
        found = self.outputs(self.data.test_x).argmax(axis=1)
        return float(np.mean(found == self.data.test_labels))


def float_run(
    rule: LearningRule, model: FloatMLP, data: Samples, seed: int, steps: int, every: int
) -> tuple[FloatMLP, list[CurvePoint]]:
    """``steps`` steps in float64: the model after them, and a point of its curve after every k.

    seed: of the batches' order. Raises `UnusableInput` where training diverges.
    """
    state = FloatState.from_model(model)

    def advance(x: Array, targets: Array) -> None:
        nonlocal state
        _, state = float_step(rule, state, x, targets)

    measure = _Measure(data, rule.loss, lambda x: float_outputs(state, x))
    rows = batch_rows(seed, len(data.x), rule.batch, 0, steps)
    curve = _run(data, rows, every, advance, measure)
    return state.to_model(), curve


def integer_run(
    rule: TrainingRule, state: TrainingState, data: Samples, seed: int, steps: int, every: int
) -> tuple[TrainingState, list[CurvePoint]]:
    """``steps`` steps by the integer rule, as `float_run`; raises `QuantisationError` as a step does."""

    def advance(x: Array, targets: Array) -> None:
        nonlocal state
        _, state = train_step(rule, state, x, targets)

    def outputs(x: Array) -> Array:
        quotients = on_host(integer_outputs(rule, state, x))
        return np.ldexp(quotients.astype(np.float64), -rule.formats.output)

    measure = _Measure(data, rule.loss, outputs, rule.last_error_bits)
    rows = batch_rows(seed, len(data.x), rule.batch, 0, steps)
    curve = _run(data, rows, every, advance, measure)
    return state, curve


def _run(
    data: Samples,
    rows: NDArray[np.int64],
    every: int,
    advance: Callable[[Array, Array], None],
    measure: _Measure,
) -> list[CurvePoint]:
    """Points before the first step, after every k-th and after the last."""
    if every < 1:
        raise UnusableInput(f"a point every {every} steps makes no curve; use 1 or more")
    curve = [measure.point(0)]
    for step, batch in enumerate(rows, start=1):
        advance(data.x[batch], data.targets[batch])
        if step % every == 0 or step == len(rows):
            curve.append(measure.point(step))
    return curve
