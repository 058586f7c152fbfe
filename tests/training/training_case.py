"""Small rules, states and batches for tests of training."""

from dataclasses import fields

import numpy as np

from zkbench.models.training.integer_training import StepTrace, TrainingState
from zkbench.models.training.rule import TrainingFormats, TrainingRule

FORMATS = TrainingFormats(activation=10, output=9, error=11, weight=18)


def small_rule(**changes):
    """A rule that `changes` replaces parts of."""
    parts = {
        "dims": (5, 4, 4, 3),
        "loss": "cross-entropy",
        "formats": FORMATS,
        "batch": 6,
        "rate": (200, 15),
        "momentum": 3686,
    }
    return TrainingRule(**(parts | changes))


def random_state(rule, seed=0, log_weight=17, log_update=6):
    """Weights and updates of about so many bits."""
    generator = np.random.default_rng(seed)

    def drawn(shape, log_size, dtype):
        return generator.integers(-(1 << log_size), 1 << log_size, shape).astype(dtype)

    shapes = list(zip(rule.dims, rule.dims[1:], strict=False))
    return TrainingState(
        tuple(drawn(shape, log_weight, np.int32) for shape in shapes),
        tuple(drawn(shape[1:], log_weight, np.int32) for shape in shapes),
        tuple(drawn(shape, log_update, np.int16) for shape in shapes),
        tuple(drawn(shape[1:], log_update, np.int16) for shape in shapes),
    )


def random_batch(rule, seed=1, log_input=10):
    """Inputs of either sign and one-hot targets."""
    generator = np.random.default_rng(seed)
    x = generator.integers(-(1 << log_input), 1 << log_input, (rule.batch, rule.dims[0]))
    labels = generator.integers(0, rule.dims[-1], rule.batch)
    targets = (np.arange(rule.dims[-1]) == labels[:, None]) << rule.last_error_bits
    return x.astype(np.int16), targets.astype(np.int16)


def as_lists(record):
    """A trace or a state as (nested) lists of Python integers; what is None is left out."""
    found = {field.name: getattr(record, field.name) for field in fields(record)}
    return {name: _listed(value) for name, value in found.items() if value is not None}


def _listed(value):
    return [array.tolist() for array in value] if isinstance(value, tuple) else value.tolist()


def trace_dtypes(rule):
    """The types that a trace's arrays have."""
    found = {field.name: np.dtype(np.int16) for field in fields(StepTrace)}
    found |= {"weights": np.dtype(np.int32), "biases": np.dtype(np.int32)}
    found |= {"products": np.dtype(np.int64), "indices": np.dtype(np.uint16)}
    return found | {"row_sums": np.dtype(np.int32)}
