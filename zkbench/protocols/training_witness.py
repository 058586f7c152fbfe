"""What a prover works with: the steps of a segment and the states around it, as a program names them."""

from __future__ import annotations

from typing import Any

import numpy as np

from zkbench.fields import Field
from zkbench.kernels.launch import Array, Target
from zkbench.models.training.integer_training import StepTrace, TrainingState
from zkbench.models.training.layers import group_of
from zkbench.models.training.rule import TrainingRule
from zkbench.protocols.gkr import Shape
from zkbench.protocols.training import TrainingSegment, parameters_of, stacks_of
from zkbench.protocols.zkrelu_bits import relu_bits

Arrays = dict[str, Any]  # NumPy's, or another library's that NumPy's functions dispatch to


def state_arrays(rule: TrainingRule, stacked: bool, state: TrainingState, when: str) -> Arrays:
    """The committed tensors of a state ("first" or "last"): the parameters' limbs, the last updates."""
    found: Arrays = {}
    kinds = {
        "w": (state.weights, state.updates),
        "b": (state.biases, state.bias_updates),
    }
    stacks = stacks_of(rule, stacked)
    for one in parameters_of(rule, stacked):
        values, updates = kinds[one.name[0]]
        layers = stacks[int(one.name[1:])].layers
        stack = np.stack([values[l] for l in layers])
        high, low = one.limbs(when)
        found[high] = (stack >> 16).astype(np.int16)
        found[low] = (stack & 0xFFFF).astype(np.uint16)
        if rule.momentum:
            found[f"{when}.{one.updates}"] = np.stack([updates[l] for l in layers])
    return found


class SegmentTensors:
    """All tensors of a segment, filled step by step, wherever the steps were computed."""

    def __init__(self, segment: TrainingSegment, first: TrainingState) -> None:
        self.segment = segment
        self.arrays: Arrays = {}
        self._like = first.weights[0]
        self._before = first
        for s in range(len(segment.stacks)):
            self._allocate(s)
        self._allocate_loss()

    def _new(self, name: str, shape: Shape, dtype: Any) -> None:
        self.arrays[name] = np.zeros(shape, dtype=dtype, like=self._like)

    def _allocate(self, s: int) -> None:
        segment, stack = self.segment, self.segment.stacks[s]
        layer, rule = stack.layers[0], segment.rule
        size, weights = segment.size(s), (segment.size(s), stack.d_in, stack.d_out)
        last = s not in segment.hidden
        if s in segment.with_bits:
            self._new(f"bits{s}", segment.bits(s), np.int8)
        else:
            self._rescaled(f"y{s}", segment.outputs(s), rule.forward_shift(layer))
        self._rescaled(f"u{s}", weights, rule.update_shift(layer))
        self._rescaled(f"v{s}", (size, stack.d_out), rule.update_shift(layer))
        self._new(f"x{s}", segment.inputs(s), np.int16)
        self._new(f"e{s}", segment.outputs(s), np.int32 if last else np.int16)
        self._new(f"w{s}", weights, np.int32)
        self._new(f"b{s}", (size, stack.d_out), np.int32)
        if rule.momentum:
            self._new(f"u{s}.before", weights, np.int16)
            self._new(f"v{s}.before", (size, stack.d_out), np.int16)
        if not last:
            self._new(f"a{s}", segment.outputs(s), np.int16)
            self._new(f"signs{s}", segment.outputs(s), np.int16)
        if s:
            self._rescaled(f"d{s}", segment.inputs(s), rule.backward_shift(layer))
            self._new(f"active{s}", segment.inputs(s), np.int16)
            self._new(f"p{s}", segment.inputs(s), np.int64)

    def _rescaled(self, name: str, shape: Shape, shift: int) -> None:
        self._new(name, shape, np.int16)
        self._new(f"{name}.remainders", shape, np.uint16 if shift <= 16 else np.int32)

    def _allocate_loss(self) -> None:
        rule, steps = self.segment.rule, self.segment.steps
        shape = (steps, rule.batch, rule.dims[-1])
        self._new("goals", shape, np.int16)
        if rule.loss == "cross-entropy":
            self._new("t", shape, np.uint16)
            self._new("chances", shape, np.int16)
            self._new("t.sums", shape[:-1], np.int32)

    def add(self, step: int, trace: StepTrace) -> None:
        """The step's place is counted from the segment's first."""
        for s, stack in enumerate(self.segment.stacks):
            size = len(stack.layers)
            self._add_stack(s, slice(step * size, (step + 1) * size), trace)
        self._add_loss(step, trace)

    def _add_stack(self, s: int, places: slice, trace: StepTrace) -> None:
        layers = self.segment.stacks[s].layers
        found = {
            f"w{s}": trace.weights,
            f"b{s}": trace.biases,
            f"x{s}": trace.inputs,
            f"e{s}": trace.errors,
            f"u{s}": trace.updates,
            f"u{s}.remainders": trace.u_remainders,
            f"v{s}": trace.bias_updates,
            f"v{s}.remainders": trace.v_remainders,
        }
        if s in self.segment.with_bits:
            self.arrays[f"bits{s}"][:, places] = self._bits(layers, trace)
        else:
            found |= {f"y{s}": trace.quotients, f"y{s}.remainders": trace.y_remainders}
        for name, values in found.items():
            self.arrays[name][places] = group_of(values, layers)
        if s:
            behind = tuple(layer - 1 for layer in layers)
            self.arrays[f"p{s}"][places] = group_of(trace.products, behind)
            self.arrays[f"d{s}.remainders"][places] = group_of(trace.e_remainders, behind)

    def _bits(self, layers: tuple[int, ...], trace: StepTrace) -> Any:
        """Of a stack's sums, from what they were rescaled to."""
        shift = self.segment.rule.forward_shift(layers[0])
        sums = group_of(trace.quotients, layers).astype(np.int64) << shift
        sums += group_of(trace.y_remainders, layers)
        return relu_bits(sums - (1 << (shift - 1)), shift)

    def _add_loss(self, step: int, trace: StepTrace) -> None:
        self.arrays["goals"][step] = trace.targets
        if trace.indices is not None:
            self.arrays["t"][step] = trace.indices
            self.arrays["t.sums"][step] = trace.row_sums
            self.arrays["chances"][step] = trace.errors[-1] + trace.targets

    def to_target(self, target: Target, field: Field) -> dict[str, Array]:
        """Flat, as a program takes them; the errors' products as elements of E."""
        self.complete()
        found = {}
        for name in list(self.arrays):
            array = self.arrays.pop(name)
            words = field.lift(array) if array.dtype == np.int64 else array
            found[name] = target.to_device(words)
        return found

    def complete(self) -> None:
        """Fill in what follows from the tensors of all steps."""
        for s in self.segment.hidden:
            # y is an int16, so the last of its bits tells whether it is negative
            with_bits = s in self.segment.with_bits
            signs = self.arrays[f"bits{s}"][-1] if with_bits else self.arrays[f"y{s}"] >= 0
            self.arrays[f"signs{s}"][...] = signs
        for layer in range(self.segment.rule.depth - 1):
            self._hand_over(layer)
        self._carry()

    def _hand_over(self, layer: int) -> None:
        """Between a layer and the next: its outputs and their signs, and the errors handed down."""
        s, here = self._places(layer)
        t, there = self._places(layer + 1)
        arrays = self.arrays
        arrays[f"a{s}"][here] = arrays[f"x{t}"][there]
        arrays[f"active{t}"][there] = arrays[f"signs{s}"][here]
        arrays[f"d{t}"][there] = arrays[f"e{s}"][here]

    def _places(self, layer: int) -> tuple[int, slice]:
        """(a layer's stack, its places in it at all steps)."""
        s, place = self.segment.home(layer)
        return s, slice(place, None, len(self.segment.stacks[s].layers))

    def _carry(self) -> None:
        """With momentum: every step's updates are the next step's "before"."""
        rule = self.segment.rule
        if not rule.momentum:
            return
        for name, first in state_arrays(rule, self.segment.stacked, self._before, "first").items():
            updates = name.removeprefix("first.")
            if updates[0] in "uv":
                layers = len(first)
                before = self.arrays[f"{updates}.before"]
                before[:layers] = first
                before[layers:] = self.arrays[updates][:-layers]
