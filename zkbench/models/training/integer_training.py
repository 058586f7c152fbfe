"""One step of training in integers, exactly by the rule, with all that a proof of it needs.

Arrays may live wherever NumPy's functions dispatch to (CuPy on a GPU); ranges are looked at once, at a
step's end, so that a GPU need not wait before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkbench.errors import UnusableInput
from zkbench.kernels.softmax import row_shifts
from zkbench.models.training.rule import (
    PROBABILITY_BITS,
    VALUE_BITS,
    WEIGHT_BITS,
    TrainingRule,
)
from zkbench.models.training.training_state import Arrays, TrainingState
from zkbench.protocols.tables import Exp
from zkbench.quant.formats import FixedPoint, QuantisationError
from zkbench.quant.linear import FLOAT64_EXACT

__all__ = ["ExactWeight", "StepTrace", "TrainingState", "integer_outputs", "train_step"]

_LIMB_BITS = 16
_LAST_INDEX = (1 << 16) - 1
_LARGEST_VALUE = 1 << (VALUE_BITS - 1)
_LARGEST_ERROR = 1 << VALUE_BITS  # of the last layer: a difference of two 16-bit values

_VALUES, _WEIGHTS, _INDICES = (
    FixedPoint(VALUE_BITS, 0),
    FixedPoint(WEIGHT_BITS, 0),
    FixedPoint(16, 0, signed=False),
)

Floats = NDArray[np.float64]
Int64s = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class StepTrace:
    """All values of one step, named as in rule.py; tuples run over layers, rows over the batch.

    weights W_l, biases b_l (int32) before the step; inputs x_l and quotients y_l (int16), products
    p_l (int64, before they are masked) and errors e_l (int16; the last int32), updates u_l and
    bias_updates v_l (int16). There are L - 1 products and e_remainders, L of all others. Remainders
    are 2^shift x quotient less than the sum and its half: uint16 for shifts up to 16, else int32.
    targets: int16, B x d_out. For cross-entropy indices t (uint16, B x d_out) and row_sums: the sum
    of P - 2^14 + tolerance, in [0, 2 tolerance) (int32, B); else None.
    """

    weights: Arrays
    biases: Arrays
    inputs: Arrays
    quotients: Arrays
    y_remainders: Arrays
    products: Arrays
    errors: Arrays
    e_remainders: Arrays
    updates: Arrays
    u_remainders: Arrays
    bias_updates: Arrays
    v_remainders: Arrays
    targets: NDArray[np.int16]
    indices: NDArray[np.uint16] | None = None
    row_sums: NDArray[np.int32] | None = None


def train_step(
    rule: TrainingRule, state: TrainingState, x: NDArray[np.int16], targets: NDArray[np.int16]
) -> tuple[StepTrace, TrainingState]:
    """One step on the batch ``x`` (B x d_0) with ``targets`` (B x d_L): its trace, the state after it.

    Raises `QuantisationError`, naming the layer, where a value leaves its range.
    """
    _check_batch(rule, state, x, rule.batch)
    _check_rows("targets", targets, (rule.batch, rule.dims[-1]))
    step = _Step(rule, state)
    inputs, quotients, y_remainders = step.forward(x)
    last_error, indices, row_sums = step.loss_error(quotients[-1], targets)
    products, errors, e_remainders = step.backward(quotients, last_error)
    updates, u_remainders = step.updates(inputs, errors)
    bias_updates, v_remainders = step.bias_updates(errors)
    after = step.updated(updates, bias_updates)
    step.ranges.require()
    trace = StepTrace(
        weights=state.weights,
        biases=state.biases,
        inputs=inputs,
        quotients=quotients,
        y_remainders=y_remainders,
        products=products,
        errors=errors,
        e_remainders=e_remainders,
        updates=updates,
        u_remainders=u_remainders,
        bias_updates=bias_updates,
        v_remainders=v_remainders,
        targets=targets,
        indices=indices,
        row_sums=row_sums,
    )
    return trace, after


def integer_outputs(
    rule: TrainingRule, state: TrainingState, x: NDArray[np.int16]
) -> NDArray[np.int16]:
    """y_{L-1} for any number of rows ``x``, by the forward pass of a step."""
    _check_batch(rule, state, x, len(x))
    step = _Step(rule, state)
    _, quotients, _ = step.forward(x)
    step.ranges.require()
    outputs: NDArray[np.int16] = quotients[-1]
    return outputs


class _Ranges:
    """Ranges that values must lie in, compared together: one answer from the device for all."""

    def __init__(self) -> None:
        self._expected: list[tuple[FixedPoint, str, str]] = []
        self._extremes: list[Any] = []

    def expect(self, values: NDArray[Any], format_: FixedPoint, what: str, remedy: str) -> None:
        self._expected.append((format_, what, remedy))
        self._extremes += [values.min(), values.max()]

    def require(self) -> None:
        """Raises `QuantisationError` for the first that left its range."""
        extremes = np.stack(self._extremes).tolist()
        pairs = zip(extremes[::2], extremes[1::2], strict=True)
        for (low, high), (format_, what, remedy) in zip(pairs, self._expected, strict=True):
            if low < format_.min or high > format_.max:
                worst = low if low < format_.min else high
                raise QuantisationError(
                    f"{what} reaches {worst} and exceeds {format_.bits} bits; use {remedy}"
                )


class ExactWeight:
    """W_l in float64 for exact products: whole, or as limbs W = 2^16 hi + lo."""

    def __init__(self, weight: NDArray[np.int32], largest: int, largest_sum: int) -> None:
        """``largest``: of |W|; ``largest_sum``: of the absolute values of what a row meets."""
        limbs: list[tuple[int, NDArray[np.int32]]] = [(0, weight)]
        if largest * largest_sum > FLOAT64_EXACT:
            low = weight & ((1 << _LIMB_BITS) - 1)
            limbs = [(_LIMB_BITS, weight >> _LIMB_BITS), (0, low)]
        self._limbs = [(shift, limb.astype(np.float64)) for shift, limb in limbs]

    def product(self, left: Floats, transposed: bool = False) -> Int64s:
        """left W, or left W^T."""
        (shift, first), *rest = [
            (shift, np.matmul(left, limb.T if transposed else limb).astype(np.int64))
            for shift, limb in self._limbs
        ]
        first <<= shift
        for _, product in rest:
            first += product
        return first


class _Step:
    """The passes of one step; sums are rescaled in place."""

    def __init__(self, rule: TrainingRule, state: TrainingState) -> None:
        self.rule, self.state, self.ranges = rule, state, _Ranges()
        self._weights = [
            ExactWeight(weight, largest, self._largest_sum(layer))
            for layer, (weight, largest) in enumerate(
                zip(state.weights, _largest_magnitudes(state.weights), strict=True)
            )
        ]

    def _largest_sum(self, layer: int) -> int:
        d_in, d_out = self.rule.dims[layer : layer + 2]
        return max(d_in * _LARGEST_VALUE, d_out * _LARGEST_ERROR)

    def forward(self, x: NDArray[np.int16]) -> tuple[Arrays, Arrays, Arrays]:
        """Inputs, quotients and their remainders."""
        inputs, quotients, remainders = [x], [], []
        one = 1 << self.rule.formats.activation
        for layer, weight in enumerate(self._weights):
            is_last = layer == self.rule.depth - 1
            sums = weight.product(inputs[-1].astype(np.float64))
            sums += np.multiply(self.state.biases[layer], one, dtype=np.int64)
            name, kind = ("output", "outputs") if is_last else ("activation", "activations")
            remedy = f"fewer fraction bits of {kind}"
            shift = self.rule.forward_shift(layer)
            y, remainder = self._rescaled(sums, shift, f"{name} of layer {layer}", remedy)
            quotients.append(y)
            remainders.append(remainder)
            if not is_last:
                inputs.append(np.maximum(y, 0))
        return tuple(inputs), tuple(quotients), tuple(remainders)

    def loss_error(
        self, y: NDArray[np.int16], targets: NDArray[np.int16]
    ) -> tuple[NDArray[np.int32], NDArray[np.uint16] | None, NDArray[np.int32] | None]:
        """e_{L-1}, and for cross-entropy the indices and row sums of its softmax."""
        if self.rule.loss == "square":
            return np.subtract(y, targets, dtype=np.int32), None, None
        table = np.asarray(_exp_values(self.rule.formats.output), like=y)
        scores = y.astype(np.int64)
        shifts = row_shifts(scores, table, 1 << PROBABILITY_BITS)
        indices = shifts[:, None] - scores
        remedy = "fewer fraction bits of outputs"
        self.ranges.expect(indices, _INDICES, "spread of the softmax's inputs", remedy)
        powers = table[np.minimum(indices, _LAST_INDEX)]
        slack = powers.sum(axis=1, dtype=np.int64)
        slack += self.rule.tolerance - (1 << PROBABILITY_BITS)
        allowed = FixedPoint(self.rule.tolerance.bit_length(), 0, signed=False)
        self.ranges.expect(slack, allowed, "slack of a softmax's row sum", remedy)
        return powers - targets, indices.astype(np.uint16), slack.astype(np.int32)

    def backward(
        self, quotients: Sequence[NDArray[np.int16]], last_error: NDArray[np.int32]
    ) -> tuple[Arrays, Arrays, Arrays]:
        """Products, errors and their remainders."""
        products: list[Int64s] = []
        errors: list[NDArray[Any]] = [last_error]
        remainders = []
        for layer in reversed(range(self.rule.depth - 1)):
            weight = self._weights[layer + 1]
            products.append(weight.product(errors[-1].astype(np.float64), transposed=True))
            active = np.where(quotients[layer] >= 0, products[-1], 0)
            shift = self.rule.backward_shift(layer + 1)
            name, remedy = f"error of layer {layer}", "fewer fraction bits of errors"
            error, remainder = self._rescaled(active, shift, name, remedy)
            errors.append(error)
            remainders.append(remainder)
        return tuple(products[::-1]), tuple(errors[::-1]), tuple(remainders[::-1])

    def updates(self, inputs: Arrays, errors: Arrays) -> tuple[Arrays, Arrays]:
        """u_l and their remainders."""
        pairs = []
        for layer, (x, error) in enumerate(zip(inputs, errors, strict=True)):
            sums = _gradient(x, error)
            sums *= self.rule.rate[0]
            pairs.append(self._update(layer, sums, self.state.updates[layer], "update"))
        return _unzipped(pairs)

    def bias_updates(self, errors: Arrays) -> tuple[Arrays, Arrays]:
        """v_l and their remainders."""
        pairs, factor = [], self.rule.rate[0] << self.rule.formats.activation
        for layer, error in enumerate(errors):
            sums = error.sum(axis=0, dtype=np.int64)
            sums *= factor
            pairs.append(self._update(layer, sums, self.state.bias_updates[layer], "bias update"))
        return _unzipped(pairs)

    def _update(
        self, layer: int, sums: Int64s, before: NDArray[np.int16], name: str
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        if self.rule.momentum:
            sums += np.multiply(before, self.rule.carry(layer), dtype=np.int64)
        remedy = "fewer fraction bits of weights or a smaller rate"
        shift = self.rule.update_shift(layer)
        return self._rescaled(sums, shift, f"{name} of layer {layer}", remedy)

    def updated(self, updates: Arrays, bias_updates: Arrays) -> TrainingState:
        """The state after the step."""
        weights = self._less(self.state.weights, updates, "weight")
        biases = self._less(self.state.biases, bias_updates, "bias")
        return TrainingState(weights, biases, updates, bias_updates)

    def _less(self, before: Arrays, updates: Arrays, name: str) -> Arrays:
        after = []
        for layer, (values, update) in enumerate(zip(before, updates, strict=True)):
            difference = np.subtract(values, update, dtype=np.int64)
            remedy = "fewer fraction bits of weights"
            self.ranges.expect(difference, _WEIGHTS, f"{name} of layer {layer}", remedy)
            after.append(difference.astype(np.int32))
        return tuple(after)

    def _rescaled(
        self, sums: Int64s, shift: int, what: str, remedy: str
    ) -> tuple[NDArray[np.int16], NDArray[Any]]:
        """round(sums / 2^shift), and sums + 2^(shift-1) - 2^shift x that; overwrites ``sums``."""
        dtype = np.uint16 if shift <= 16 else np.int32
        sums += 1 << (shift - 1)
        remainders: NDArray[Any] = sums.astype(dtype)  # the low bits, which are all that it keeps
        remainders &= dtype((1 << shift) - 1)
        sums >>= shift
        self.ranges.expect(sums, _VALUES, what, remedy)
        return sums.astype(np.int16), remainders


def _gradient(x: NDArray[np.int16], error: NDArray[Any]) -> Int64s:
    """x^T e."""
    if len(x) * _LARGEST_VALUE * _LARGEST_ERROR > FLOAT64_EXACT:
        return np.matmul(x.T.astype(np.int64), error.astype(np.int64))
    return np.matmul(x.astype(np.float64).T, error.astype(np.float64)).astype(np.int64)


def _largest_magnitudes(arrays: Arrays) -> list[int]:
    """max |values| of each array, in one answer."""
    extremes = np.stack([end for array in arrays for end in (array.min(), array.max())]).tolist()
    return [max(-low, high) for low, high in zip(extremes[::2], extremes[1::2], strict=True)]


@cache
def _exp_values(log_delta: int) -> NDArray[np.int32]:
    return Exp(log_delta=log_delta, log_scale=PROBABILITY_BITS).values


def _unzipped(pairs: list[tuple[NDArray[Any], NDArray[Any]]]) -> tuple[Arrays, Arrays]:
    quotients, remainders = zip(*pairs, strict=True)
    return quotients, remainders


def _check_batch(rule: TrainingRule, state: TrainingState, x: NDArray[np.int16], rows: int) -> None:
    if state.dims != rule.dims:
        raise UnusableInput(f"the state's widths {state.dims} are not the rule's {rule.dims}")
    _check_rows("inputs", x, (rows, rule.dims[0]))


def _check_rows(name: str, values: NDArray[np.int16], shape: tuple[int, int]) -> None:
    if values.dtype != np.int16 or values.shape != shape or not values.size:
        raise UnusableInput(
            f"{name} are {values.dtype} of shape {values.shape}; a step takes int16 of {shape}"
        )
