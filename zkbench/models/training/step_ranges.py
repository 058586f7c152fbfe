"""Ranges that the values of a step must lie in, looked at once at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zkbench.models.training.layers import Which
from zkbench.quant.formats import FixedPoint, QuantisationError


@dataclass(frozen=True, eq=False)
class _Expected:
    """Values of layers that, divided by 2^shift, lie in a format.

    what: a layer's (name, remedy). backwards: whether the last layer that fails is named, not the first.
    """

    groups: Mapping[Which, Any]
    shifts: Sequence[int]
    format_: FixedPoint
    what: Callable[[int], tuple[str, str]]
    backwards: bool

    def places(self) -> Iterator[tuple[int, Any]]:
        """(layer, its values), in the order in which they are named."""
        views = {
            layer: values[place]
            for which, values in self.groups.items()
            for place, layer in enumerate(which)
        }
        for layer in sorted(views, reverse=self.backwards):
            yield layer, views[layer]

    def worst(self, layer: int, low: int, high: int) -> int | None:
        """From the least and the largest value: a quotient out of range, if there is one."""
        low, high = low >> self.shifts[layer], high >> self.shifts[layer]
        if low < self.format_.min:
            return low
        return high if high > self.format_.max else None


class Ranges:
    """All ranges of a step: one answer from the device for all of them."""

    def __init__(self) -> None:
        self._expected: list[_Expected] = []

    def expect(self, values: Any, format_: FixedPoint, what: str, remedy: str) -> None:
        """That the values, which are of no layer, lie in the format."""
        groups: Mapping[Which, Any] = {(0,): values[None]}
        self._expected.append(_Expected(groups, (0,), format_, lambda _: (what, remedy), False))

    def expect_layers(
        self,
        groups: Mapping[Which, Any],
        shifts: Sequence[int],
        format_: FixedPoint,
        what: Callable[[int], tuple[str, str]],
        backwards: bool = False,
    ) -> None:
        """That the values by 2^shift do; shifts: of every layer, the same throughout a group."""
        self._expected.append(_Expected(groups, shifts, format_, what, backwards))

    def require(self) -> None:
        """Raises `QuantisationError` for the first that left its range, in the order of the calls."""
        wholes = [
            (one, which[0], values)
            for one in self._expected
            for which, values in one.groups.items()
        ]
        found = extremes([values for *_, values in wholes])
        pairs = zip(wholes, found, strict=True)
        if any(one.worst(layer, *ends) is not None for (one, layer, _), ends in pairs):
            self._name_the_first()

    def _name_the_first(self) -> None:
        for one in self._expected:
            for layer, values in one.places():
                worst = one.worst(layer, *extremes([values])[0])
                if worst is not None:
                    name, remedy = one.what(layer)
                    raise QuantisationError(
                        f"{name} reaches {worst} and exceeds {one.format_.bits} bits; use {remedy}"
                    )


def extremes(arrays: Sequence[Any]) -> list[tuple[int, int]]:
    """The least and the largest value of each array, in one answer from the device."""
    ends = np.stack([end for array in arrays for end in (array.min(), array.max())]).tolist()
    return list(zip(ends[::2], ends[1::2], strict=True))
