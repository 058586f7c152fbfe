"""Arrays of all layers, of which those of one shape lie in one array: one call computes them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkbench.models.training.rule import TrainingRule

Array = NDArray[Any]
Which = tuple[int, ...]  # layers, as indices into a tuple of one array a layer


class Layers(tuple[Array, ...]):
    """One array a layer, each of them a view of its group's.

    groups: for some layers, their arrays in one, k x .... bounds: for groups of parameters, what no
    magnitude in them exceeds; so such arrays must not be changed in place.
    """

    groups: Mapping[Which, Array]
    bounds: Mapping[Which, int]

    @classmethod
    def of(cls, groups: Mapping[Which, Array], bounds: Mapping[Which, int] | None = None) -> Layers:
        """Layers 0, 1, ... from groups in which each of them is once."""
        views: dict[int, Array] = {}
        for which, array in groups.items():
            views.update(zip(which, array, strict=True))
        layers = cls(map(views.__getitem__, range(len(views))))
        layers.groups, layers.bounds = groups, bounds or {}
        return layers

    @classmethod
    def empty(cls, shapes: Mapping[Which, tuple[int, ...]], dtype: Any, like: Any) -> Layers:
        """Room for groups of these shapes, where ``like`` is."""
        return cls.of({which: np.empty(shape, dtype, like=like) for which, shape in shapes.items()})


def group_of(layers: Sequence[Array], which: Which) -> Array:
    """The arrays of these layers in one, k x ...: copied only where they do not lie together."""
    if isinstance(layers, Layers) and which in layers.groups:
        return layers.groups[which]
    if len(which) == 1:
        return layers[which[0]][None]
    return np.stack([layers[layer] for layer in which])


@dataclass(frozen=True)
class Layout:
    """How a rule's layers lie in groups, and the bits that each of them drops.

    groups: the rule's stacks. behind: for those but the first, the layers before theirs, which read what
    they hand down. home: for each layer, its group and place. behind_shifts: of e_l, by layer l + 1.
    """

    groups: tuple[Which, ...]
    behind: tuple[Which, ...]
    widths: Mapping[Which, tuple[int, int]]
    home: tuple[tuple[Which, int], ...]
    forward_shifts: tuple[int, ...]
    behind_shifts: tuple[int, ...]
    update_shifts: tuple[int, ...]

    def outputs(self, rows: int) -> dict[Which, tuple[int, ...]]:
        """Shapes of all layers' outputs."""
        return {which: (len(which), rows, self.widths[which][1]) for which in self.groups}

    def inputs(self, rows: int) -> dict[Which, tuple[int, ...]]:
        """Shapes of all layers' inputs."""
        return {which: (len(which), rows, self.widths[which][0]) for which in self.groups}

    def handed_down(self, rows: int) -> dict[Which, tuple[int, ...]]:
        """Shapes of what all layers but the first hand down, under the layers that read it."""
        shapes = list(self.inputs(rows).values())[1:]
        return dict(zip(self.behind, shapes, strict=True))


@cache
def layout_of(rule: TrainingRule) -> Layout:
    """The layers of each stack in one group."""
    groups = tuple(stack.layers for stack in rule.stacks)
    home = {layer: (which, n) for which in groups for n, layer in enumerate(which)}
    layers = range(rule.depth)
    return Layout(
        groups,
        tuple(tuple(layer - 1 for layer in which) for which in groups[1:]),
        {stack.layers: (stack.d_in, stack.d_out) for stack in rule.stacks},
        tuple(home[layer] for layer in layers),
        tuple(map(rule.forward_shift, layers)),
        tuple(map(rule.backward_shift, layers[1:])),
        tuple(map(rule.update_shift, layers)),
    )
