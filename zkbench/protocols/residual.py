"""The streams that run through a model's layers: sums of committed tensors, never committed themselves.

With norms first, x_0[i, :] = 2^c E[token_i, :] (+ 2^c' P[i, :]), and every layer adds to it: behind
layer l's attention 2^a_l o_l, behind its feed-forward part 2^b_l m_l. So the streams before all first
norms, before all second norms and behind the last layer are linear in the stacks o and m and in the
embedding. With norms behind the sums they are more simply so: a norm reads 2^a_l o_l or 2^b_l m_l (the
sum is made by the linear layer that writes it), a layer reads what the second norm of the layer before
it has put out, and the first layer reads E[token_i, :] + P[i, :].

A claim on such a stream, with weights (layer) x (position) x (width), is a sum of claims on its parts
with the same weights on the last two axes. The prover sends the values of all parts but the last, for
which the rest remains: the embedding, where it is one of them. Tokens are public, so what is claimed of
it is a sum over rows of the committed table. Layers that are proven alone (language_segment.py) begin
with a committed tensor in its place.

No rounds; a few elements a claim. Soundness: that of the claims that are left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import numpy as np

from zkbench.commitments.claims import AxisWeight, AxisWeights, Claim, VectorAxis, WordsAxis
from zkbench.fields import Field
from zkbench.kernels.contract import weighted_sum
from zkbench.kernels.launch import cpu_target
from zkbench.protocols.gkr import Shape
from zkbench.protocols.program import ProverRun, Run, axis_weights
from zkbench.protocols.range_checks import RangeCheck
from zkbench.security import Term

Element = Any
Weighted = tuple[str, AxisWeights]


@dataclass(frozen=True)
class Part:
    """A stack of layers in a stream: its layer l, times 2^shifts[l].

    layers: for every entry of the stream's first axis, the layers of the stack that are in it.
    """

    stack: str
    shifts: tuple[int, ...]
    layers: tuple[range, ...]


@dataclass(frozen=True)
class Tap:
    """A virtual tensor: for every entry of its first axis, a stream at some place of the model.

    begins: whether it has what the streams begin with in it, for every such entry.
    rows: positions that its second axis holds; None: all of them.
    """

    name: str
    parts: tuple[Part, ...]
    begins: tuple[bool, ...]
    rows: tuple[int, ...] | None = None


class Beginning(Protocol):
    """What streams begin with, S x D: committed tensors, times powers of two."""

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """Names and shapes of these tensors."""

    @property
    def shifts(self) -> Sequence[int]:
        """The powers of two."""

    def parts(
        self, field: Field, total: Element, rows: AxisWeight, at_width: AxisWeight
    ) -> list[Weighted]:
        """The tensors with their weights, where it has the weights ``total`` x rows x width."""


@dataclass(frozen=True, eq=False)
class Embedded:
    """Rows of the embedding E and, if there is a ``table`` P of positions, its first rows.

    tokens: of all positions, padding included.
    """

    tokens: np.ndarray
    width: int
    vocab: int
    embedding: str
    embedding_shift: int
    table: str | None = None
    table_shift: int = 0
    table_length: int = 0

    @property
    def shapes(self) -> dict[str, Shape]:
        positions = {} if self.table is None else {self.table: (self.table_length, self.width)}
        return {**positions, self.embedding: (self.vocab, self.width)}

    @property
    def shifts(self) -> list[int]:
        return [*([] if self.table is None else [self.table_shift]), self.embedding_shift]

    def parts(
        self, field: Field, total: Element, rows: AxisWeight, at_width: AxisWeight
    ) -> list[Weighted]:
        """Positions, if there are any, and tokens."""
        positions = len(self.tokens)
        by_row = _entries(field, rows, positions)
        parts: list[Weighted] = []
        if self.table is not None:
            padded = [total * (1 << self.table_shift) * w for w in by_row]
            padded += [field.element(0)] * (self.table_length - positions)
            parts.append((self.table, AxisWeights((VectorAxis(tuple(padded)), at_width))))
        by_token: dict[int, Element] = {}
        for token, w in zip(self.tokens.tolist(), by_row, strict=True):
            by_token[token] = by_token[token] + w if token in by_token else w
        scale = total * (1 << self.embedding_shift)
        scaled = {token: scale * w for token, w in by_token.items()}
        at_tokens = WordsAxis.of(field, self.vocab, scaled)
        return [*parts, (self.embedding, AxisWeights((at_tokens, at_width)))]


@dataclass(frozen=True, eq=False)
class ResidualStream:
    """The streams of a stack of layers, over so many positions and of this width."""

    positions: int
    width: int
    taps: tuple[Tap, ...]
    beginning: Beginning

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        return ()

    @property
    def bound(self) -> int:
        """The largest magnitude that a stream can have, its parts being 16-bit integers."""
        return max(bound for tap in self.taps for bound in self._bounds(tap))

    def _bounds(self, tap: Tap) -> Iterator[int]:
        start = self.beginning.shifts
        for k, begins in enumerate(tap.begins):
            shifts = [part.shifts[l] for part in tap.parts for l in part.layers[k]]
            yield sum(1 << (15 + shift) for shift in [*shifts, *(start if begins else ())])

    def prove(self, run: ProverRun) -> None:
        for tap, claim in self._claims(run):
            *sent, last = self._parts(run.field, tap, axis_weights(claim))
            values = [self._value(run, *part) for part in sent]
            if sent:
                run.transcript.send("stream", values)
            self._book(run, claim, sent, values, last)

    def verify(self, run: Run) -> None:
        for tap, claim in self._claims(run):
            *sent, last = self._parts(run.field, tap, axis_weights(claim))
            values = run.transcript.receive("stream", len(sent)) if sent else []
            self._book(run, claim, sent, values, last)

    def _claims(self, run: Run) -> list[tuple[Tap, Claim]]:
        return [(tap, claim) for tap in self.taps for claim in run.ledger.take(tap.name)]

    def _parts(self, field: Field, tap: Tap, weights: AxisWeights) -> list[Weighted]:
        """The parts of a claim on a tap, each with its weights; the beginning is the last."""
        at_layer, at_row, at_width = weights.axes
        layers = _entries(field, at_layer, len(tap.begins))
        rows = self._row_weights(field, tap, at_row)
        parts = [
            (part.stack, AxisWeights((_stack_weights(field, part, layers), rows, at_width)))
            for part in tap.parts
        ]
        if any(tap.begins):
            total = _sum(field, [w for w, one in zip(layers, tap.begins, strict=True) if one])
            parts += self.beginning.parts(field, total, rows, at_width)
        return parts

    def _row_weights(self, field: Field, tap: Tap, at_row: AxisWeight) -> AxisWeight:
        """Weights over all positions, from weights over those that a tap holds."""
        if tap.rows is None:
            return at_row
        weights = [field.element(0)] * self.positions
        for position, w in zip(tap.rows, _entries(field, at_row, len(tap.rows)), strict=True):
            weights[position] = weights[position] + w
        return VectorAxis(tuple(weights))

    def _shape(self, name: str) -> Shape:
        if name in self.beginning.shapes:
            return self.beginning.shapes[name]
        stacks = {part.stack: len(part.shifts) for tap in self.taps for part in tap.parts}
        return (stacks[name], self.positions, self.width)

    def _value(self, run: ProverRun, name: str, weights: AxisWeights) -> Element:
        """The weighted sum of a committed part."""
        shape = self._shape(name)
        leading = AxisWeights(weights.axes[:-1]).table(run.target, run.field, shape[:-1])
        last = weights.axes[-1].table(run.target, run.field, shape[-1])
        values = run.tensors[name]
        sizes = (prod(shape[:-1]), shape[-1])
        return weighted_sum(run.target, run.field, values, *sizes, leading, last)

    def _book(
        self,
        run: Run,
        claim: Claim,
        sent: Sequence[Weighted],
        values: Sequence[Element],
        last: Weighted,
    ) -> None:
        rest = claim.value
        for (name, weights), value in zip(sent, values, strict=True):
            run.ledger.add(name, weights, value)
            rest = rest - value
        run.ledger.add(*last, rest)

    def soundness_terms(self, field: Field) -> list[Term]:
        """None of its own."""
        return []


def _stack_weights(field: Field, part: Part, layers: Sequence[Element]) -> VectorAxis:
    """For every layer of the stack, the weights of the stream's entries that it is in, scaled."""
    steps = [field.element(0)] * (len(part.shifts) + 1)
    for w, inside in zip(layers, part.layers, strict=True):
        if inside:
            steps[inside.start] = steps[inside.start] + w
            steps[inside.stop] = steps[inside.stop] - w
    weights, total = [], field.element(0)
    for step, shift in zip(steps[:-1], part.shifts, strict=True):
        total = total + step
        weights.append(total * (1 << shift))
    return VectorAxis(tuple(weights))


def _entries(field: Field, axis: AxisWeight, length: int) -> list[Element]:
    return field.unpack(axis.table(cpu_target(), field, length))


def _sum(field: Field, elements: Sequence[Element]) -> Element:
    return sum(elements, field.element(0))
