"""Virtual stacks made of pieces of other tensors: a layer's inputs, a step's samples.

A claim on such a stack has weights that are a product over its axes. Those on the axis along which it
is put together, moved to the places that the pieces come from, make claims on the tensors there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zkbench.commitments.claims import AxisWeights, VectorAxis, WordsAxis
from zkbench.fields import Field
from zkbench.kernels.launch import cpu_target
from zkbench.kernels.scatter import push_forward
from zkbench.protocols.gkr import Shape
from zkbench.protocols.numerators import claims_numerators
from zkbench.protocols.program import Run, axis_weights
from zkbench.protocols.range_checks import RangeCheck
from zkbench.protocols.scripted import Part, Scripted, entries, told

_HALF = 1 << 15


@dataclass(frozen=True)
class Source:
    """Where slices of a stack come from: slice ``ours[i]`` is slice ``theirs[i]`` of ``tensor``."""

    tensor: str
    length: int
    ours: tuple[int, ...]
    theirs: tuple[int, ...]


@dataclass(frozen=True)
class Slices(Scripted):
    """The virtual stack ``name``, whose slices along the first axis are slices of other tensors."""

    name: str
    shape: Shape
    sources: tuple[Source, ...]

    def script(self, run: Run) -> None:
        for claim in run.ledger.take(self.name):
            parts = self._parts(run.field, axis_weights(claim))
            values = told(run, "slices", parts[:-1])
            values.append(claim.value - sum(values, run.field.element(0)))
            for part, value in zip(parts, values, strict=True):
                run.ledger.add(part.tensor, part.weights, value)

    def _parts(self, field: Field, weights: AxisWeights) -> list[Part]:
        first, *rest = weights.axes
        ours = entries(field, first, self.shape[0])
        found = []
        for source in self.sources:
            moved = [field.element(0)] * source.length
            for here, there in zip(source.ours, source.theirs, strict=True):
                moved[there] = moved[there] + ours[here]
            axes = AxisWeights((VectorAxis(tuple(moved)), *rest))
            found.append(Part(source.tensor, (source.length, *self.shape[1:]), axes))
        return found


@dataclass(frozen=True, eq=False)
class BatchRows(Scripted):
    """The virtual tensor ``name``, T x B x columns, is rows of the committed ``data``.

    rows: which, T x B, public. What is taken is checked to be 16-bit integers.
    """

    name: str
    data: str
    samples: int
    columns: int
    rows: np.ndarray

    @property
    def shape(self) -> Shape:
        return (*self.rows.shape, self.columns)

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        return (RangeCheck(self.name, 2 * _HALF, self.shape, _HALF),)

    def script(self, run: Run) -> None:
        run.ledger.add_value(self.name, run.ranged[self.name])
        for claim in run.ledger.take(self.name):
            *at_rows, at_column = axis_weights(claim).axes
            by_sample = self._by_sample(run.field, AxisWeights(tuple(at_rows)))
            run.ledger.add(self.data, AxisWeights((by_sample, at_column)), claim.value)

    def _by_sample(self, field: Field, weights: AxisWeights) -> WordsAxis:
        """A sample's weight is the sum of those of the rows that it stands in."""
        target, one = cpu_target(), field.element(1)
        numerators = claims_numerators(target, field, self.rows.shape, [(one, weights)])
        flat = np.ascontiguousarray(self.rows.reshape(-1), dtype=np.int32)
        pushed = push_forward(target, field, flat, flat.size, 0, numerators, self.samples)
        return WordsAxis(field, pushed)
