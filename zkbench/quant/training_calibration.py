"""Number formats of training: from a float model, its data and a rate to the integer rule.

Training in floating point shows how large everything becomes. Among all formats that hold that in 16
bits (weights in 32), with shifts and a rate m / 2^k that the rule allows, those are taken whose
roundings disturb gradients and weights least: the sum, over inputs, outputs, errors and updates, of a
rounding's variance over the mean square of what is rounded, and the square of the rate's relative
error. So weights are as fine as updates of 16 bits let them be, and m has fewer than 8 bits only where
the update's shift would exceed 24 and errors are better spared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zkbench.errors import UnusableInput
from zkbench.models.mlp import FloatMLP
from zkbench.models.training.float_training import LearningRule
from zkbench.models.training.rule import (
    MAX_FRACTION_BITS,
    MAX_RATE_NUMERATOR,
    MAX_RATE_SHIFT,
    MAX_SHIFT,
    MAX_SOFTMAX_BITS,
    MIN_SOFTMAX_BITS,
    MOMENTUM_BITS,
    PROBABILITY_BITS,
    VALUE_BITS,
    WEIGHT_BITS,
    TrainingFormats,
    TrainingRule,
)
from zkbench.models.training.training_data import real_targets
from zkbench.quant.formats import FixedPoint, QuantisationError, is_integer, largest_fraction_bits
from zkbench.quant.report import largest_magnitude
from zkbench.quant.training_ranges import Spread, TrainingRanges, measure_training

# A remainder is looked up in a table of 2^shift entries, and beyond some 2^20 that is much of what a
# short run's proof costs: such shifts are taken only where others would disturb by more than this.
LIGHT_SHIFT, LIGHT_DISTURBANCE = 20, 1e-3
CALIBRATION_STEPS = 512  # at most
_CHUNK = 4096  # rows that are quantised at once

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def calibrate_training(
    model: FloatMLP,
    x: ArrayLike,
    targets: ArrayLike,
    loss: str,
    batch: int,
    rate: float,
    momentum: float,
    seed: int,
    steps: int,
    headroom_bits: int = 2,
) -> TrainingRule:
    """The rule that trains ``model`` on ``x`` (N x d_in) with labels (N) or targets (N x d_out).

    rate: for the sum over a batch (B times smaller than for its mean). seed: of the batches' order.
    steps: of the whole run, of which the first 512 are looked at. headroom_bits: values may become
    2^headroom_bits times as large as seen before one leaves its range.
    Raises `UnusableInput` where training diverges, or no formats hold it.
    """
    learning = LearningRule(loss, batch, float(rate), float(momentum))
    _check_headroom(headroom_bits)
    inputs = _checked_inputs(x, model.dims[0])
    real = real_targets(loss, model.dims[-1], targets, len(inputs))
    looked_at = max(1, min(steps, CALIBRATION_STEPS))
    ranges = measure_training(learning, model, inputs, real, seed, looked_at)
    finest = _finest_formats(ranges, inputs, real, loss, headroom_bits)
    return _Choice(learning, model.dims, ranges, finest).rule()


def quantise_data(
    rule: TrainingRule, x: ArrayLike, targets: ArrayLike
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Inputs (N x d_in) and labels (N) or, for square loss, real targets (N x d_out) as integers.

    Raises `UnusableInput` for shapes and labels that do not fit, and for values outside the formats.
    """
    inputs = _checked_inputs(x, rule.dims[0])
    real = real_targets(rule.loss, rule.dims[-1], targets, len(inputs))
    return (
        _quantised(inputs, rule.formats.activation, "inputs"),
        _quantised(real, rule.last_error_bits, "targets"),
    )


def _quantised(values: NDArray[Any], frac_bits: int, name: str) -> NDArray[np.int16]:
    """A few rows at a time: data sets are large, and float64 is four times as large as int16."""
    numbers, integers = FixedPoint(VALUE_BITS, frac_bits), np.empty(values.shape, dtype=np.int16)
    for start in range(0, len(values), _CHUNK):
        rows = slice(start, start + _CHUNK)
        try:
            integers[rows] = numbers.quantise(values[rows], f"one of {name} {start} and on")
        except QuantisationError as error:
            raise QuantisationError(f"{error}; calibrate with this data, or scale it") from error
    return integers


def _checked_inputs(x: ArrayLike, width: int) -> NDArray[Any]:
    inputs = np.asarray(x)
    if inputs.dtype.kind not in "fiu" or inputs.ndim != 2 or not inputs.size:
        raise UnusableInput(
            f"inputs are {inputs.dtype} of shape {inputs.shape}, not rows of numbers"
        )
    if inputs.shape[1] != width:
        raise UnusableInput(f"inputs have {inputs.shape[1]} features, the model takes {width}")
    if not (np.isfinite(inputs.min()) and np.isfinite(inputs.max())):
        raise UnusableInput("inputs hold NaN or infinite values")
    return inputs


def _check_headroom(bits: int) -> None:
    if not is_integer(bits) or not 0 <= bits <= VALUE_BITS - 2:
        raise UnusableInput(f"headroom is {bits!r} bits; it must be an integer in 0 to 14")


def _finest_formats(
    ranges: TrainingRanges, x: NDArray[Any], targets: Floats, loss: str, headroom_bits: int
) -> TrainingFormats:
    """The most fraction bits with which each fits: the data as they are, all else with headroom."""
    whole, spared = VALUE_BITS, VALUE_BITS - headroom_bits
    inputs = max(float(x.max()), -float(x.min()))
    updates = max(ranges.updates.largest, ranges.bias_updates.largest)
    output = _most(ranges.outputs.largest, spared)
    targets_fit = _most(largest_magnitude(targets), whole) if loss == "square" else MAX_SOFTMAX_BITS
    return TrainingFormats(
        activation=min(_most(inputs, whole), _most(ranges.activations.largest, spared)),
        output=min(output, targets_fit),
        error=_most(ranges.errors.largest, spared),
        weight=min(
            _most(updates, spared), _most(ranges.weights.largest, WEIGHT_BITS - headroom_bits)
        ),
    )


def _most(largest: float, bits: int) -> int:
    """The most fraction bits with which ``largest`` fits in so many bits; negative for large ones."""
    found = largest_fraction_bits(largest, (1 << (bits - 1)) - 1)
    return VALUE_BITS if found is None else min(found, MAX_FRACTION_BITS)


@dataclass(frozen=True)
class _Choice:
    """All formats from none to the finest, and rates near the wanted one: the best of them."""

    learning: LearningRule
    dims: tuple[int, ...]
    ranges: TrainingRanges
    finest: TrainingFormats

    def rule(self) -> TrainingRule:
        axes = self._axes()
        light, any_shift = (
            np.where(self._is_allowed(most, *axes), self._disturbance(*axes), np.inf)
            for most in (LIGHT_SHIFT, MAX_SHIFT)
        )
        if not np.isfinite(any_shift).any():
            raise UnusableInput(self._why_none())
        disturbance = light if light.min() <= LIGHT_DISTURBANCE else any_shift
        at = np.unravel_index(int(disturbance.argmin()), disturbance.shape)
        chosen = [int(axis.ravel()[index]) for axis, index in zip(axes, at, strict=True)]
        *formats, k = chosen
        return TrainingRule(
            dims=self.dims,
            loss=self.learning.loss,
            formats=TrainingFormats(*formats),
            batch=self.learning.batch,
            rate=(round(math.ldexp(self.learning.rate, k)), k),
            momentum=self._momentum,
        )

    @property
    def _momentum(self) -> int:
        one = 1 << MOMENTUM_BITS
        return min(round(self.learning.momentum * one), one - 1)

    def _axes(self) -> tuple[Ints, ...]:
        """Fraction bits of activations, outputs, errors, weights, and k: an open mesh, finest first."""
        least = {"output": MIN_SOFTMAX_BITS} if self.learning.loss == "cross-entropy" else {}
        formats = [
            np.arange(finest, least.get(name, 0) - 1, -1)
            for name, finest in vars(self.finest).items()
        ]
        return np.ix_(*formats, np.array(self._rate_shifts(), dtype=np.int64))

    def _rate_shifts(self) -> list[int]:
        """k from the one that gives m eight bits down to the one that gives it one."""
        _, exponent = math.frexp(self.learning.rate)
        largest = MAX_RATE_NUMERATOR.bit_length() - exponent
        shifts = [
            k
            for k in range(largest, largest - MAX_RATE_NUMERATOR.bit_length() - 1, -1)
            if 0 <= k <= MAX_RATE_SHIFT
            and 1 <= round(math.ldexp(self.learning.rate, k)) <= MAX_RATE_NUMERATOR
        ]
        if not shifts:
            raise UnusableInput(
                f"the rate {self.learning.rate} is no m / 2^k with 1 <= m <= {MAX_RATE_NUMERATOR},"
                f" 0 <= k <= {MAX_RATE_SHIFT}; use another"
            )
        return shifts

    def _is_allowed(
        self, most: int, activation: Ints, output: Ints, error: Ints, weight: Ints, k: Ints
    ) -> Any:
        """Whether all shifts are such as TrainingRule takes them, and at most ``most``."""
        is_square, is_deep = self.learning.loss == "square", len(self.dims) > 2
        last = output if is_square else np.int64(PROBABILITY_BITS)
        updates = [activation + last + k - weight]
        shifts = [activation + weight - output]
        if is_deep:
            updates.append(activation + error + k - weight)
            shifts += [weight, last + weight - error]
        least = MOMENTUM_BITS if self._momentum else 1
        allowed: Any = True
        for shift, low in [(s, 1) for s in shifts] + [(s, least) for s in updates]:
            allowed = allowed & (shift >= low) & (shift <= most)
        return allowed

    def _disturbance(
        self, activation: Ints, output: Ints, error: Ints, weight: Ints, k: Ints
    ) -> Floats:
        rate = self.learning.rate
        rate_error = np.rint(np.ldexp(rate, k)) * np.ldexp(1.0, -k) / rate - 1
        total: Floats = (
            _rounding(activation, self.ranges.inputs)
            + _rounding(output, self.ranges.last_error)
            + _rounding(error, self.ranges.errors)
            + _rounding(weight, self.ranges.updates)
            + np.square(rate_error)
        )
        return total

    def _why_none(self) -> str:
        finest = ", ".join(f"{bits} of {name}s" for name, bits in vars(self.finest).items())
        return (
            f"no number formats hold this training (fraction bits that fit, at most: {finest});"
            " use another rate, less headroom or scaled inputs"
        )


def _rounding(fraction_bits: Ints, spread: Spread) -> Floats:
    """The variance of rounding over the mean square of what is rounded; 0 where all of that is zero."""
    mean_square = spread.least_mean_square
    variance: Floats = np.ldexp(1 / 12, -2 * fraction_bits)
    return variance / mean_square if mean_square else 0 * variance
