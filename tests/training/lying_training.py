"""Training by the integer rule in which any value may be changed, and all tensors of its segment.

A change is a function of (name, step, layer, values) that returns what the training goes on with, as
int64. Names are those of rule.py and, where a value is read in several places, one for each of them:

    w, b        before a step
    x           what a layer's products read: of layer 0 the step's samples; goals: their targets
    y, a        quotients, and ReLU of them
    t, chances  of a softmax; e: errors behind a layer
    active, d   of what a layer hands down: the derivative of ReLU before it, and quotients
    u.before    the updates of the step before, u.sum and u; v.before, v.sum and v those of biases
    last.w      and last.b, last.u, last.v: the state behind all steps, of step T
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zkbench.kernels.softmax import row_shifts
from zkbench.models.training.rule import PROBABILITY_BITS, TrainingRule
from zkbench.protocols.tables import Exp
from zkbench.protocols.training import TrainingSegment

Change = Callable[[str, int, int, np.ndarray], np.ndarray]
Values = dict[str, list[np.ndarray]]  # of one step: one array a layer


def as_it_is(name: str, step: int, layer: int, values: np.ndarray) -> np.ndarray:
    return values


def at(name: str, step: int, layer: int, change: Callable[[np.ndarray], np.ndarray]) -> Change:
    """Changes one value of one step and layer."""
    place = (name, step, layer)
    return lambda n, t, l, values: change(values) if (n, t, l) == place else values


def bump(name: str, step: int, layer: int, amount: int = 1, index: Any = None) -> Change:
    """Adds to one entry, by default to the last one."""

    def add(values: np.ndarray) -> np.ndarray:
        values = values.copy()
        values[tuple(n - 1 for n in values.shape) if index is None else index] += amount
        return values

    return at(name, step, layer, add)


def both(*changes: Change) -> Change:
    """One after the other."""

    def change(name: str, step: int, layer: int, values: np.ndarray) -> np.ndarray:
        for one in changes:
            values = one(name, step, layer, values)
        return values

    return change


def rounded(sums: np.ndarray, shift: int) -> np.ndarray:
    return (sums + (1 << (shift - 1))) >> shift


@dataclass(frozen=True, eq=False)
class LyingTraining:
    """Steps on these rows of the data, from this state."""

    rule: TrainingRule
    first: Values
    inputs: np.ndarray
    targets: np.ndarray
    change: Change = as_it_is

    def steps(self, rows: np.ndarray) -> tuple[list[Values], Values]:
        """(the values of every step, the state behind the last one: w, b, u, v)."""
        state, found = self.first, []
        for step, samples in enumerate(rows):
            values = self._step(step, samples, state)
            found.append(values)
            state = self._behind(values)
        return found, {n: self._each(f"last.{n}", len(rows), v) for n, v in state.items()}

    def _changed(self, name: str, step: int, layer: int, values: np.ndarray) -> np.ndarray:
        return self.change(name, step, layer, values.astype(np.int64))

    def _each(self, name: str, step: int, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [self._changed(name, step, l, array) for l, array in enumerate(arrays)]

    def _behind(self, values: Values) -> Values:
        found = {name: values[name] for name in "uv"}
        for parameter, update in ("wu", "bv"):
            pairs = zip(values[parameter], values[update], strict=True)
            found[parameter] = [before - by for before, by in pairs]
        return found

    def _step(self, step: int, samples: np.ndarray, state: Values) -> Values:
        values = {name: self._each(name, step, state[name]) for name in "wb"}
        values |= {f"{n}.before": self._each(f"{n}.before", step, state[n]) for n in "uv"}
        self._forward(step, self.inputs[samples], values)
        self._loss(step, self.targets[samples], values)
        self._backward(step, values)
        self._updates(step, values)
        return values

    def _forward(self, step: int, x: np.ndarray, values: Values) -> None:
        values |= {"x": [], "y": [], "a": []}
        for layer in range(self.rule.depth):
            values["x"].append(self._changed("x", step, layer, x))
            sums = forward_sums(self.rule, values["x"][layer], *(values[n][layer] for n in "wb"))
            y = self._changed("y", step, layer, rounded(sums, self.rule.forward_shift(layer)))
            x = self._changed("a", step, layer, np.maximum(y, 0))
            values["y"].append(y)
            values["a"].append(x)

    def _loss(self, step: int, targets: np.ndarray, values: Values) -> None:
        last, y = self.rule.depth - 1, values["y"][-1]
        goals = self._changed("goals", step, last, targets)
        values["goals"] = [goals]
        if self.rule.loss == "cross-entropy":
            table = Exp(self.rule.formats.output, PROBABILITY_BITS).values
            shifts = row_shifts(y, table, 1 << PROBABILITY_BITS)
            t = self._changed("t", step, last, shifts[:, None] - y)
            chances = table[np.clip(t, 0, (1 << 16) - 1)]
            y = self._changed("chances", step, last, chances)
            values |= {"t": [t], "chances": [y]}
        values["e"] = [self._changed("e", step, last, y - goals)]

    def _backward(self, step: int, values: Values) -> None:
        values |= {"active": [], "p": [], "d": []}
        for layer in range(self.rule.depth - 1, 0, -1):
            p = values["e"][0] @ values["w"][layer].T
            active = self._changed("active", step, layer, values["y"][layer - 1] >= 0)
            shift = self.rule.backward_shift(layer)
            d = self._changed("d", step, layer, rounded(p * active, shift))
            for name, array in (("active", active), ("p", p), ("d", d)):
                values[name].insert(0, array)
            values["e"].insert(0, self._changed("e", step, layer - 1, d))
        for name in ("active", "p", "d"):  # layer 0 hands nothing down
            values[name].insert(0, np.zeros(0))

    def _updates(self, step: int, values: Values) -> None:
        for name in "uv":
            values[name] = []
            for layer in range(self.rule.depth):
                sums = update_sums(self.rule, layer, name, values)
                sums = self._changed(f"{name}.sum", step, layer, sums)
                update = rounded(sums, self.rule.update_shift(layer))
                values[name].append(self._changed(name, step, layer, update))


def forward_sums(rule: TrainingRule, x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    return x @ w + (b << rule.formats.activation)


def update_sums(rule: TrainingRule, layer: int, name: str, values: Values) -> np.ndarray:
    """u.sum or v.sum of a layer."""
    x, e = values["x"][layer], values["e"][layer]
    gradient = x.T @ e if name == "u" else e.sum(axis=0) << rule.formats.activation
    return rule.rate[0] * gradient + rule.carry(layer) * values[f"{name}.before"][layer]


class LyingTensors:
    """All tensors of a segment in which such steps were done, as a program names them.

    Remainders are those that make the equations true of what the prover works with, outside of their
    ranges if need be, or, for the names in ``in_range``, ones in range that do not fit.
    """

    def __init__(self, segment: TrainingSegment, steps: list[Values], in_range: Sequence[str]):
        self.segment, self.rule, self.steps = segment, segment.rule, steps
        self.in_range = frozenset(in_range)
        self.arrays: dict[str, np.ndarray] = {}
        for s in range(len(segment.stacks)):
            self._layers(s)
        self._loss()

    def _stack(self, s: int, name: str) -> np.ndarray:
        layers = self.segment.stacks[s].layers
        return np.stack([values[name][l] for values in self.steps for l in layers])

    def _layers(self, s: int) -> None:
        names = ["w", "b", "x", "y", "e", "u", "v"]
        names += ["a"] if s in self.segment.hidden else []
        names += ["d", "active", "p"] if s else []
        self.arrays |= {f"{name}{s}": self._stack(s, name) for name in names}
        if self.rule.momentum:
            self.arrays |= {f"{n}{s}.before": self._stack(s, f"{n}.before") for n in "uv"}
        if s in self.segment.hidden:
            self.arrays[f"signs{s}"] = (self.arrays[f"y{s}"] >= 0).astype(np.int64)
        self._remainders_of(s)
        if s in self.segment.with_bits:
            self._bits(s)

    def _bits(self, s: int) -> None:
        """Of what quotients and remainders say together, as far as there are bits for it."""
        length, *_ = self.segment.bits(s)
        left = self.arrays.pop(f"y{s}.remainders")
        number = ((self.arrays.pop(f"y{s}") + (1 << 15)) << (length - 16)) + left
        self.arrays[f"bits{s}"] = np.stack([(number >> k) & 1 for k in range(length)])

    def _remainders_of(self, s: int) -> None:
        rule, layer = self.rule, self.segment.stacks[s].layers[0]
        found: dict[str, list[np.ndarray]] = {name: [] for name in "yuv"}
        for values in self.steps:
            for l in self.segment.stacks[s].layers:
                found["y"].append(forward_sums(rule, *(values[n][l] for n in "xwb")))
                for name in "uv":
                    found[name].append(update_sums(rule, l, name, values))
        shifts = {"y": rule.forward_shift(layer), **dict.fromkeys("uv", rule.update_shift(layer))}
        for name, sums in found.items():
            self._remainders(f"{name}{s}", np.stack(sums), shifts[name])
        if s:
            active = self.arrays[f"p{s}"] * self.arrays[f"active{s}"]
            self._remainders(f"d{s}", active, rule.backward_shift(layer))

    def _remainders(self, y: str, sums: np.ndarray, shift: int) -> None:
        exact = sums + (1 << (shift - 1)) - (self.arrays[y] << shift)
        name = f"{y}.remainders"
        self.arrays[name] = exact & ((1 << shift) - 1) if name in self.in_range else exact

    def _loss(self) -> None:
        self.arrays["goals"] = np.stack([values["goals"][0] for values in self.steps])
        if self.rule.loss == "cross-entropy":
            for name in ("t", "chances"):
                self.arrays[name] = np.stack([values[name][0] for values in self.steps])
            sums = self.arrays["chances"].sum(axis=-1) - (1 << PROBABILITY_BITS)
            sums += self.rule.tolerance
            inside = np.clip(sums, 0, 2 * self.rule.tolerance - 1)
            self.arrays["t.sums"] = inside if "t.sums" in self.in_range else sums
