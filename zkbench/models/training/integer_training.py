"""One step of training in integers, exactly by the rule, with all that a proof of it needs.

Arrays may live wherever NumPy's functions dispatch to (CuPy on a GPU), where a call on a small array
costs as much as one on a large array. So only what must go layer by layer does: products, and what the
next layer reads of them. The rest is done for all layers of a stack at once (layers.py), and ranges are
looked at together at a step's end, so that a GPU need not wait before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkbench.errors import UnusableInput
from zkbench.kernels.softmax import row_shifts
from zkbench.models.training.layers import Layers, Which, group_of, layout_of
from zkbench.models.training.rescaling import add_to_integers, half, remainders
from zkbench.models.training.rule import (
    PROBABILITY_BITS,
    VALUE_BITS,
    WEIGHT_BITS,
    TrainingRule,
)
from zkbench.models.training.step_ranges import Ranges, extremes
from zkbench.models.training.training_state import Arrays, TrainingState
from zkbench.protocols.tables import Exp
from zkbench.quant.formats import FixedPoint
from zkbench.quant.linear import FLOAT64_EXACT

__all__ = ["ExactWeight", "StepTrace", "TrainingState", "integer_outputs", "train_step"]

_LIMB_BITS = 16
_LAST_INDEX = (1 << 16) - 1
_LARGEST_VALUE = 1 << (VALUE_BITS - 1)
_LARGEST_ERROR = 1 << VALUE_BITS  # of the last layer: a difference of two 16-bit values
_LARGEST_UPDATE = 1 << (VALUE_BITS - 1)
# A float64 of this size has steps of 1, so its mantissa ends in what was added to it, up to 2^51.
_UNIT_STEPS = 1.5 * (1 << 52)
_UNIT_STEPS_WORD = 0x4338 << 48

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
    The tuples of a step are `Layers`: stacks of them need no copy.

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
    updates, u_remainders = step.updates()
    bias_updates, v_remainders = step.bias_updates()
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


class ExactWeight:
    """W of a layer or of a stack in float64 for exact products: whole, or as limbs W = 2^16 hi + lo."""

    def __init__(self, weight: NDArray[np.int32], largest: int, largest_sum: int) -> None:
        """``largest``: of |W|; ``largest_sum``: of the absolute values of what a row meets."""
        limbs: list[tuple[int, NDArray[np.int32]]] = [(0, weight)]
        if largest * largest_sum > FLOAT64_EXACT:
            low = weight & ((1 << _LIMB_BITS) - 1)
            limbs = [(_LIMB_BITS, weight >> _LIMB_BITS), (0, low)]
        self._limbs = [(shift, limb.astype(np.float64)) for shift, limb in limbs]

    def product(self, left: Floats, transposed: bool = False, place: Any = ...) -> Floats | Int64s:
        """left W, or left W^T; W is the stack's at ``place``. In float64 if W is whole, else int64."""
        (shift, first), *rest = [
            (shift, np.matmul(left, limb[place].T if transposed else limb[place]))
            for shift, limb in self._limbs
        ]
        if not rest:
            return first
        total = first.astype(np.int64) << shift
        for _, product in rest:
            total += product.astype(np.int64)
        return total


class _Step:
    """The passes of one step. Sums come with the half by which a shift rounds."""

    def __init__(self, rule: TrainingRule, state: TrainingState) -> None:
        self.rule, self.state, self.ranges = rule, state, Ranges()
        self._layout = layout_of(rule)
        sums = {which: self._largest_sum(which) for which in self._layout.groups}
        self._bounds = _bounds(state, sums)
        self._weights = {
            which: ExactWeight(group_of(state.weights, which), self._bounds[0][which], largest_sum)
            for which, largest_sum in sums.items()
        }

    def _largest_sum(self, which: Which) -> int:
        d_in, d_out = self._layout.widths[which]
        return max(d_in * _LARGEST_VALUE, d_out * _LARGEST_ERROR)

    def _product(self, layer: int, left: Floats, transposed: bool = False) -> Floats | Int64s:
        which, place = self._layout.home[layer]
        return self._weights[which].product(left, transposed, place)

    def forward(self, x: NDArray[np.int16]) -> tuple[Layers, Layers, Layers]:
        """Inputs, quotients and their remainders."""
        layout, shifts, rows = self._layout, self._layout.forward_shifts, len(x)
        sums = Layers.empty(layout.outputs(rows), np.int64, x)
        quotients = Layers.empty(layout.outputs(rows), np.int16, x)
        inputs = Layers.empty(layout.inputs(rows), np.float64, x)
        inputs[0][...] = x
        offsets = self._offsets()
        for layer, shift in enumerate(shifts):
            add_to_integers(self._product(layer, inputs[layer]), offsets[layer], sums[layer])
            np.right_shift(sums[layer], shift, out=quotients[layer])
            if layer + 1 < self.rule.depth:
                np.maximum(quotients[layer], 0, out=inputs[layer + 1])
        self.ranges.expect_layers(sums.groups, shifts, _VALUES, self._named_output)
        self._inputs = inputs
        return _int16s(inputs, 0, x), quotients, remainders(sums.groups, shifts)

    def _offsets(self) -> Layers:
        """2^fx b_l and the half."""
        found, one = {}, 1 << self.rule.formats.activation
        for which in self._layout.groups:
            found[which] = np.multiply(group_of(self.state.biases, which), one, dtype=np.int64)
            found[which] += half(self._layout.forward_shifts[which[0]])
        return Layers.of(found)

    def _named_output(self, layer: int) -> tuple[str, str]:
        is_last = layer == self.rule.depth - 1
        name, kind = ("output", "outputs") if is_last else ("activation", "activations")
        return f"{name} of layer {layer}", f"fewer fraction bits of {kind}"

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
        self, quotients: Layers, last_error: NDArray[np.int32]
    ) -> tuple[Layers, Layers, Layers]:
        """Products, errors and their remainders."""
        layout, shifts, rows = self._layout, self._layout.behind_shifts, len(last_error)
        sums = Layers.empty(layout.handed_down(rows), np.int64, last_error)
        rounded = Layers.empty(layout.handed_down(rows), np.int16, last_error)
        errors = Layers.empty(layout.outputs(rows), np.float64, last_error)
        errors[-1][...] = last_error
        active = Layers.of({which: group_of(quotients, which) >= 0 for which in layout.behind})
        for layer in reversed(range(self.rule.depth - 1)):
            product = self._product(layer + 1, errors[layer + 1], transposed=True)
            add_to_integers(product, half(shifts[layer]), sums[layer])
            np.right_shift(sums[layer], shifts[layer], out=rounded[layer])
            np.multiply(rounded[layer], active[layer], out=errors[layer])
        self._errors = errors
        left = self._error_remainders(sums, active)
        return self._products(sums), _int16s(errors, -1, last_error), left

    def _error_remainders(self, sums: Layers, active: Layers) -> Layers:
        """Of p_l [y_l >= 0]: a zero leaves the half."""
        shifts, passed = self._layout.behind_shifts, {}
        for which, array in sums.groups.items():
            rounding = half(shifts[which[0]])
            passed[which] = np.where(active.groups[which], array, rounding)
        self.ranges.expect_layers(passed, shifts, _VALUES, _named_error, backwards=True)
        return remainders(passed, shifts)

    def _products(self, sums: Layers) -> Layers:
        """p_l: takes the halves out of ``sums``."""
        for which, array in sums.groups.items():
            array -= half(self._layout.behind_shifts[which[0]])
        return sums

    def updates(self) -> tuple[Layers, Layers]:
        """u_l and their remainders."""
        sums, m = {}, self.rule.rate[0]
        for which in self._layout.groups:
            rounding = half(self._layout.update_shifts[which[0]])
            sums[which] = _gradient(
                self._inputs.groups[which], self._errors.groups[which], m, rounding
            )
            self._add_momentum(sums[which], self.state.updates, which)
        return self._rescaled_updates(sums, "update")

    def bias_updates(self) -> tuple[Layers, Layers]:
        """v_l and their remainders."""
        sums, factor = {}, self.rule.rate[0] << self.rule.formats.activation
        for which in self._layout.groups:
            sums[which] = self._errors.groups[which].sum(axis=1).astype(np.int64)
            sums[which] *= factor
            sums[which] += half(self._layout.update_shifts[which[0]])
            self._add_momentum(sums[which], self.state.bias_updates, which)
        return self._rescaled_updates(sums, "bias update")

    def _add_momentum(self, sums: Int64s, before: Arrays, which: Which) -> None:
        if self.rule.momentum:
            carry = self.rule.carry(which[0])
            sums += np.multiply(group_of(before, which), carry, dtype=np.int64)

    def _rescaled_updates(self, sums: Mapping[Which, Int64s], name: str) -> tuple[Layers, Layers]:
        shifts = self._layout.update_shifts
        remedy = "fewer fraction bits of weights or a smaller rate"
        self.ranges.expect_layers(
            sums, shifts, _VALUES, lambda layer: (f"{name} of layer {layer}", remedy)
        )
        quotients = {}
        for which, array in sums.items():
            room = np.empty_like(array, dtype=np.int16)
            quotients[which] = np.right_shift(array, shifts[which[0]], out=room)
        return Layers.of(quotients), remainders(sums, shifts)

    def updated(self, updates: Layers, bias_updates: Layers) -> TrainingState:
        """The state after the step."""
        weights = self._less(self.state.weights, updates, self._bounds[0], "weight")
        biases = self._less(self.state.biases, bias_updates, self._bounds[1], "bias")
        return TrainingState(weights, biases, updates, bias_updates)

    def _less(
        self, before: Arrays, updates: Layers, bounds: Mapping[Which, int], name: str
    ) -> Layers:
        """Looks at a stack's range only where an update could lead out of it."""
        after, wide, remedy = {}, {}, "fewer fraction bits of weights"
        new_bounds = {which: bound + _LARGEST_UPDATE for which, bound in bounds.items()}
        for which, bound in new_bounds.items():
            dtype = np.int32 if bound <= _WEIGHTS.max else np.int64
            values = np.subtract(group_of(before, which), updates.groups[which], dtype=dtype)
            if dtype is np.int64:
                wide[which] = values
            after[which] = values.astype(np.int32, copy=False)
        self.ranges.expect_layers(
            wide,
            [0] * self.rule.depth,
            _WEIGHTS,
            lambda layer: (f"{name} of layer {layer}", remedy),
        )
        return Layers.of(after, new_bounds)


def _named_error(layer: int) -> tuple[str, str]:
    return f"error of layer {layer}", "fewer fraction bits of errors"


def _int16s(values: Layers, given_layer: int, given: NDArray[Any]) -> Layers:
    """The integers that values stand for; those of one layer, alone in its group, are given."""
    lone = (range(len(values))[given_layer],)
    return Layers.of(
        {
            which: given[None] if which == lone else array.astype(np.int16)
            for which, array in values.groups.items()
        }
    )


def _gradient(x: Floats, error: Floats, factor: int, more: int) -> Int64s:
    """factor x^T e + more, of a stack."""
    transposed = x.swapaxes(1, 2)
    scaled = error if factor == 1 else error * factor
    # room for 2^51 in all: ``more`` is at most 2^23
    if 8 * x.shape[1] * _LARGEST_VALUE * _LARGEST_ERROR * factor > FLOAT64_EXACT:
        sums: Int64s = np.matmul(transposed.astype(np.int64), scaled.astype(np.int64))
        sums += more
        return sums
    floats = np.matmul(transposed, scaled)
    floats += _UNIT_STEPS + more
    integers: Int64s = floats.view(np.int64)
    integers -= _UNIT_STEPS_WORD
    return integers


def _bounds(
    state: TrainingState, largest_sums: Mapping[Which, int]
) -> tuple[Mapping[Which, int], Mapping[Which, int]]:
    """What no |W| and no |b| of each stack exceeds: as the step before left it, while that shows
    that products are whole and biases in range; else the largest ones, in one answer."""
    parts, whole = (state.weights, state.biases), FLOAT64_EXACT
    known = [part.bounds for part in parts if isinstance(part, Layers) and part.bounds]
    if (
        len(known) == 2
        and max(known[1].values()) <= _WEIGHTS.max
        and all(known[0][which] * most <= whole for which, most in largest_sums.items())
    ):
        return known[0], known[1]
    arrays = [group_of(part, which) for part in parts for which in largest_sums]
    largest = iter([max(-low, high) for low, high in extremes(arrays)])
    of_weights, of_biases = ({which: next(largest) for which in largest_sums} for _ in parts)
    return of_weights, of_biases


@cache
def _exp_values(log_delta: int) -> NDArray[np.int32]:
    return Exp(log_delta=log_delta, log_scale=PROBABILITY_BITS).values


def _check_batch(rule: TrainingRule, state: TrainingState, x: NDArray[np.int16], rows: int) -> None:
    if state.dims != rule.dims:
        raise UnusableInput(f"the state's widths {state.dims} are not the rule's {rule.dims}")
    _check_rows("inputs", x, (rows, rule.dims[0]))


def _check_rows(name: str, values: NDArray[np.int16], shape: tuple[int, int]) -> None:
    if values.dtype != np.int16 or values.shape != shape or not values.size:
        raise UnusableInput(
            f"{name} are {values.dtype} of shape {values.shape}; a step takes int16 of {shape}"
        )
