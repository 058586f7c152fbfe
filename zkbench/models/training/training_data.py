"""Data to train on: scikit-learn's digits, CIFAR-10, .npy files, and random numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zkbench.errors import UnusableInput
from zkbench.files import PathLike
from zkbench.models.tensor_files import load_inputs, load_labels
from zkbench.models.training.rule import VALUE_BITS, TrainingRule

_TEST_DIGITS = 360
_MAX_PIXEL = 16

Int16s = NDArray[np.int16]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Inputs (N x d_in, real) and labels (N integers) or targets (N x d_out, real); a test part or none.

    Raises `UnusableInput` where the numbers of samples differ.
    """

    x: NDArray[Any]
    labels: NDArray[Any]
    test_x: NDArray[Any] | None = None
    test_labels: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        for x, labels in ((self.x, self.labels), (self.test_x, self.test_labels)):
            if (x is None) != (labels is None):
                raise UnusableInput("a test part consists of inputs and labels")
            if x is not None and labels is not None and len(x) != len(labels):
                raise UnusableInput(f"{len(x)} inputs come with {len(labels)} labels")


def digits(seed: int = 0) -> TrainingData:
    """Scikit-learn's 8 x 8 digits, pixels in [0, 1]: 1437 to train with, 360 to test, by label."""
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise UnusableInput("the digits come with scikit-learn; install it") from error
    images, labels = load_digits(return_X_y=True)
    x, test_x, y, test_y = train_test_split(
        images / _MAX_PIXEL, labels, test_size=_TEST_DIGITS, random_state=seed, stratify=labels
    )
    return TrainingData(x, y, test_x, test_y)


def npy_data(inputs: PathLike, labels: PathLike) -> TrainingData:
    """Inputs (N x d_in) and labels (N integers) or targets (N x d_out) from .npy files."""
    x = load_inputs(inputs)
    try:
        return TrainingData(x, load_labels(labels, len(x)))
    except UnusableInput as error:
        try:
            targets = load_inputs(labels)
        except UnusableInput:
            raise error from None
    return TrainingData(x, targets)


def real_targets(loss: str, width: int, given: ArrayLike, samples: int) -> Floats:
    """What outputs are compared with, N x width: one-hot rows of labels, or real targets as they are.

    Raises `UnusableInput` for labels outside [0, width), and for what is neither.
    """
    values = np.asarray(given)
    if values.dtype.kind in "iu" and values.shape == (samples,):
        return _one_hot(values, width)
    if loss != "square":
        raise UnusableInput(f"{loss} takes one integer label for each of {samples} samples")
    if values.dtype.kind not in "fiu" or values.shape != (samples, width):
        raise UnusableInput(
            f"targets of shape {values.shape} are neither {samples} labels nor {samples} rows of"
            f" {width} real numbers"
        )
    return values.astype(np.float64)


def _one_hot(labels: NDArray[Any], width: int) -> Floats:
    outside = (labels < 0) | (labels >= width)
    if outside.any():
        sample = int(outside.argmax())
        raise UnusableInput(
            f"the label of sample {sample} is {labels[sample]}; {width} outputs have 0 to {width - 1}"
        )
    targets = np.zeros((len(labels), width))
    targets[np.arange(len(labels)), labels] = 1
    return targets


def random_samples(width: int, samples: int, seed: int) -> Int16s:
    """Uniform in [-1, 1), with 15 fraction bits: samples x width."""
    generator = np.random.Generator(np.random.PCG64(seed))
    limit = 1 << (VALUE_BITS - 1)
    return generator.integers(-limit, limit, (samples, width), dtype=np.int16)


def random_labels(classes: int, samples: int, seed: int) -> NDArray[np.int64]:
    """Uniform in [0, classes)."""
    return np.random.Generator(np.random.PCG64(seed)).integers(0, classes, samples)


def random_data(rule: TrainingRule, samples: int, seed: int) -> tuple[Int16s, Int16s]:
    """Inputs and targets in the rule's formats, without a detour by floats.

    Inputs and the targets of square loss are uniform in [-1, 1) as far as 16 bits reach; for
    cross-entropy targets are one-hot.
    """
    x = _with_fraction_bits(random_samples(rule.dims[0], samples, seed), rule.formats.activation)
    if rule.loss == "square":
        targets = random_samples(rule.dims[-1], samples, seed + 1)
        return x, _with_fraction_bits(targets, rule.formats.output)
    labels = random_labels(rule.dims[-1], samples, seed + 1)
    one_hot = np.zeros((samples, rule.dims[-1]), dtype=np.int16)
    one_hot[np.arange(samples), labels] = 1 << rule.last_error_bits
    return x, one_hot


def random_floats(
    dims: tuple[int, ...], loss: str, samples: int, seed: int
) -> tuple[Floats, NDArray[Any]]:
    """What `random_data` gives, before it is rounded, to calibrate with: inputs; labels or targets."""
    x = np.ldexp(random_samples(dims[0], samples, seed).astype(np.float64), 1 - VALUE_BITS)
    if loss != "square":
        return x, random_labels(dims[-1], samples, seed + 1)
    targets = random_samples(dims[-1], samples, seed + 1).astype(np.float64)
    return x, np.ldexp(targets, 1 - VALUE_BITS)


def _with_fraction_bits(values: Int16s, bits: int) -> Int16s:
    values >>= max(0, VALUE_BITS - 1 - bits)
    return values
