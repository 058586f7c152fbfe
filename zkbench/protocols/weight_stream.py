"""Weights over the steps of a training run: never committed but for the first and the last.

A step's weights are the first ones less all updates before it, and the updates are committed. So a claim
on the weights of all steps is one on the first ones and one on the updates, each with the sum of the
weights of the steps behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

from zkbench.commitments.claims import AxisWeight, AxisWeights, VectorAxis
from zkbench.fields import Field
from zkbench.protocols.gkr import Shape
from zkbench.protocols.program import Element, Run, axis_weights
from zkbench.protocols.range_checks import RangeCheck
from zkbench.protocols.scripted import (
    Part,
    Scripted,
    entries,
    random_point,
    random_point_term,
    told,
)
from zkbench.security import Term

_HALF = 1 << 15


@dataclass(frozen=True)
class Parameters:
    """A stack of weights or biases: L layers of ``shape`` over T steps, and their updates' name."""

    name: str
    updates: str
    steps: int
    layers: int
    shape: Shape

    @property
    def over_steps(self) -> Shape:
        return (self.steps * self.layers, *self.shape)

    @property
    def at_once(self) -> Shape:
        return (self.layers, *self.shape)

    def limbs(self, when: str) -> tuple[str, str]:
        """Names of the halves of the committed ones, high * 2^16 + low: "first" or "last"."""
        return f"{when}.{self.name}.high", f"{when}.{self.name}.low"

    def committed(self, when: str, momentum: bool) -> dict[str, Shape]:
        """Names and shapes of what a state has of them."""
        names = [*self.limbs(when), *([f"{when}.{self.updates}"] if momentum else [])]
        return dict.fromkeys(names, self.at_once)


@dataclass(frozen=True)
class WeightStream(Scripted):
    """Parameters before each step, virtual: the first ones less all updates before.

    The first are range-checked limbs, so with 16-bit updates nothing can wrap around; that the last
    ones, limbs too, are what all updates leave is shown at a random point. Their range is checked where
    they are the next segment's first, and here if no segment follows (``is_last``): a run's result is
    32-bit integers, in the limbs that every such integer has.
    """

    parameters: Parameters
    is_last: bool = True

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        return tuple(check for when in self._checked for check in self._of_limbs(when))

    @property
    def _checked(self) -> tuple[str, ...]:
        return ("first", "last") if self.is_last else ("first",)

    def _of_limbs(self, when: str) -> tuple[RangeCheck, ...]:
        (high, low), shape = self.parameters.limbs(when), self.parameters.at_once
        return RangeCheck(high, 2 * _HALF, shape, _HALF), RangeCheck(low, 2 * _HALF, shape)

    def script(self, run: Run) -> None:
        parameters = self.parameters
        for check in self.range_checks:
            run.ledger.add_value(check.name, run.ranged[check.name])
        self._split(run, *self._last(run), parameters.steps)
        for claim in run.ledger.take(parameters.name):
            self._split(run, axis_weights(claim), claim.value, None)

    def _last(self, run: Run) -> tuple[AxisWeights, Element]:
        """(weights of a random point, the last parameters' value there)."""
        shape = self.parameters.at_once
        point = random_point(run, shape)
        parts = [Part(limb, shape, point) for limb in self.parameters.limbs("last")]
        values = told(run, "last", parts)
        for part, value in zip(parts, values, strict=True):
            run.ledger.add(part.tensor, part.weights, value)
        return point, values[0] * (1 << 16) + values[1]

    def _split(self, run: Run, weights: AxisWeights, value: Element, step: int | None) -> None:
        """A claim on the parameters before one step, or before each of them, as claims on its parts."""
        parameters, (first, *rest) = self.parameters, weights.axes
        by_step = self._by_step(run.field, first, step)
        before, later = self._totals(run.field, by_step)
        updates = AxisWeights((VectorAxis(tuple(later)), *rest))
        start = AxisWeights((VectorAxis(tuple(before)), *rest))
        high, low = parameters.limbs("first")
        parts = [
            Part(parameters.updates, parameters.over_steps, updates),
            Part(high, parameters.at_once, start),
        ]
        updated, upper = told(run, "stream", parts)
        run.ledger.add(parameters.updates, updates, updated)
        run.ledger.add(high, start, upper)
        run.ledger.add(low, start, value + updated - upper * (1 << 16))

    def _by_step(
        self, field: Field, axis: AxisWeight, step: int | None
    ) -> dict[int, list[Element]]:
        """The layers' weights at each step that has any."""
        layers, steps = self.parameters.layers, self.parameters.steps
        if step is not None:
            return {step: entries(field, axis, layers)}
        flat = entries(field, axis, steps * layers)
        return {t: flat[t * layers : (t + 1) * layers] for t in range(steps)}

    def _totals(
        self, field: Field, by_step: dict[int, list[Element]]
    ) -> tuple[list[Element], list[Element]]:
        """(weights of the first parameters, of each step's updates: the sum of those of later steps)."""
        total = [field.element(0)] * self.parameters.layers
        later: list[list[Element]] = []
        for t in reversed(range(self.parameters.steps)):
            if t + 1 in by_step:
                total = [a + b for a, b in zip(total, by_step[t + 1], strict=True)]
            later.append(total)
        if 0 in by_step:
            total = [a + b for a, b in zip(total, by_step[0], strict=True)]
        return total, [w for weights in reversed(later) for w in weights]

    def soundness_terms(self, field: Field) -> list[Term]:
        return [random_point_term(field, self.parameters.name, self.parameters.at_once)]


@dataclass(frozen=True)
class CarriedUpdates(Scripted):
    """Momentum: the virtual "updates.before" are the step before's; the last ones go into the state.

    Those before a run's first step (``is_first``) are zero, which is shown at a random point; those
    before another segment's are a committed state's, and range-checked.
    """

    parameters: Parameters
    is_first: bool = True

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        name, shape = f"first.{self.parameters.updates}", self.parameters.at_once
        return () if self.is_first else (RangeCheck(name, 2 * _HALF, shape, _HALF),)

    def script(self, run: Run) -> None:
        parameters = self.parameters
        first, last = (f"{when}.{parameters.updates}" for when in ("first", "last"))
        self._first(run, first)
        self._last(run, last)
        for claim in run.ledger.take(f"{parameters.updates}.before"):
            axis, *rest = axis_weights(claim).axes
            weights = entries(run.field, axis, parameters.steps * parameters.layers)
            zeros = [run.field.element(0)] * parameters.layers
            moved = AxisWeights((VectorAxis((*weights[parameters.layers :], *zeros)), *rest))
            (value,) = told(
                run, "carried", [Part(parameters.updates, parameters.over_steps, moved)]
            )
            run.ledger.add(parameters.updates, moved, value)
            start = AxisWeights((VectorAxis(tuple(weights[: parameters.layers])), *rest))
            run.ledger.add(first, start, claim.value - value)

    def _first(self, run: Run, name: str) -> None:
        if self.is_first:
            point = random_point(run, self.parameters.at_once)
            run.ledger.add(name, point, run.field.element(0))
        else:
            run.ledger.add_value(name, run.ranged[name])

    def _last(self, run: Run, name: str) -> None:
        parameters = self.parameters
        point = random_point(run, parameters.at_once)
        (value,) = told(run, "last", [Part(name, parameters.at_once, point)])
        run.ledger.add(name, point, value)
        axis, *rest = point.axes
        zeros = [run.field.element(0)] * (parameters.layers * (parameters.steps - 1))
        at_last = (*zeros, *entries(run.field, axis, parameters.layers))
        run.ledger.add(parameters.updates, AxisWeights((VectorAxis(at_last), *rest)), value)

    def soundness_terms(self, field: Field) -> list[Term]:
        term = random_point_term(field, self.parameters.updates, self.parameters.at_once)
        return [term, term] if self.is_first else [term]
