"""The integer run beside the float run that it stands for: both curves, as one table."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from zkbench.models.mlp import FloatMLP
from zkbench.models.training.curves import CurvePoint, Samples, float_run, integer_run
from zkbench.models.training.float_training import LearningRule
from zkbench.models.training.rule import TrainingRule
from zkbench.models.training.training_data import TrainingData, real_targets
from zkbench.models.training.training_state import TrainingState
from zkbench.quant.training_calibration import quantise_data

Curves = Mapping[str, Sequence[CurvePoint]]


def compare_runs(
    rule: TrainingRule, model: FloatMLP, data: TrainingData, seed: int, steps: int, every: int
) -> dict[str, list[CurvePoint]]:
    """Curves of the "integer" and the "float" run from the same model on the same batches.

    The float run has the rate and the momentum that the integer rule has exactly.
    """
    targets = real_targets(rule.loss, rule.dims[-1], data.labels, len(data.x))
    tested = data.test_x, data.test_labels
    _, in_floats = float_run(
        LearningRule.of(rule), model, Samples(data.x, targets, *tested), seed, steps, every
    )
    x, integer_targets = quantise_data(rule, data.x, data.labels)
    test_x = None
    if data.test_x is not None and data.test_labels is not None:
        test_x, _ = quantise_data(rule, data.test_x, data.test_labels)
    samples = Samples(x, integer_targets, test_x, data.test_labels)
    first = TrainingState.from_floats(model, rule)
    _, in_integers = integer_run(rule, first, samples, seed, steps, every)
    return {"integer": in_integers, "float": in_floats}


def curves_csv(curves: Curves) -> str:
    """run, step, train_loss, test_accuracy: a line a point."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["run", "step", "train_loss", "test_accuracy"])
    for name, curve in curves.items():
        for point in curve:
            accuracy = "" if point.test_accuracy is None else f"{point.test_accuracy:.6f}"
            table.writerow([name, point.step, f"{point.train_loss:.6f}", accuracy])
    return text.getvalue()
