"""The residual stream: sums of committed contributions, never committed itself.

x_0[i, :] = 2^c E[token_i, :] (+ 2^c' P[i, :]), and every layer adds to it: behind layer l's attention
2^a_l o_l, behind its feed-forward part 2^b_l m_l. So the streams before all first norms, before all
second norms and behind the last layer are linear in the stacks o and m and in the embedding: a claim
on one of them, with weights (layer) x (position) x (width), is a sum of claims with the same weights on
the last two axes. The prover sends all parts' values but the embedding's, which is what remains: tokens
are public, so this is a claim on the committed table's rows.

No rounds; a few elements a claim. Soundness: that of the claims that are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

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
Part = tuple[str, AxisWeights]


@dataclass(frozen=True)
class Contribution:
    """A stack that every layer adds to the stream, times 2^shifts[layer]."""

    name: str
    shifts: tuple[int, ...]


@dataclass(frozen=True)
class Tap:
    """A virtual tensor: for each of its rows of layers, the stream behind so many contributions.

    done: for every entry of the tensor's first axis, how many contributions are in it, in the order
    attention of layer 0, feed-forward part of layer 0, attention of layer 1, ...
    rows: positions that its second axis holds; None: all of them.
    """

    name: str
    done: tuple[int, ...]
    rows: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class ResidualStream:
    """``tokens``: of all positions, padding included. positions: name of the table P, or None."""

    positions: int
    width: int
    vocab: int
    tokens: np.ndarray
    contributions: tuple[Contribution, Contribution]
    taps: tuple[Tap, ...]
    embedding: str
    embedding_shift: int
    table: str | None = None
    table_shift: int = 0
    table_length: int = 0

    @property
    def layers(self) -> int:
        return len(self.contributions[0].shifts)

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        return ()

    @property
    def bound(self) -> int:
        """The largest magnitude that the stream can have, its parts being 16-bit integers."""
        shifts = [s for one in self.contributions for s in one.shifts]
        shifts += [self.embedding_shift] + ([self.table_shift] if self.table else [])
        return sum(1 << (15 + shift) for shift in shifts)

    def prove(self, run: ProverRun) -> None:
        for tap, claim in self._claims(run):
            sent, embedded = self._parts(run.field, tap, axis_weights(claim))
            values = [self._value(run, *part) for part in sent]
            run.transcript.send("stream", values)
            self._book(run, claim, sent, values, embedded)

    def verify(self, run: Run) -> None:
        for tap, claim in self._claims(run):
            sent, embedded = self._parts(run.field, tap, axis_weights(claim))
            values = run.transcript.receive("stream", len(sent))
            self._book(run, claim, sent, values, embedded)

    def _claims(self, run: Run) -> list[tuple[Tap, Claim]]:
        return [(tap, claim) for tap in self.taps for claim in run.ledger.take(tap.name)]

    def _parts(
        self, field: Field, tap: Tap, weights: AxisWeights
    ) -> tuple[list[Part], AxisWeights]:
        """(parts whose values are sent, the embedding's weights) of a claim on a tap."""
        at_layer, at_row, at_width = weights.axes
        layers = _entries(field, at_layer, len(tap.done))
        rows = self._row_weights(field, tap, at_row)
        sent: list[Part] = []
        for k, one in enumerate(self.contributions):
            factors = [
                _sum(
                    field, [w for w, done in zip(layers, tap.done, strict=True) if done > 2 * l + k]
                )
                * (1 << one.shifts[l])
                for l in range(self.layers)
            ]
            sent.append((one.name, AxisWeights((VectorAxis(tuple(factors)), rows, at_width))))
        total = _sum(field, layers)
        by_row = _entries(field, rows, self.positions)
        if self.table is not None:
            padded = [total * (1 << self.table_shift) * w for w in by_row]
            padded += [field.element(0)] * (self.table_length - self.positions)
            sent.append((self.table, AxisWeights((VectorAxis(tuple(padded)), at_width))))
        by_token: dict[int, Element] = {}
        for token, w in zip(self.tokens.tolist(), by_row, strict=True):
            by_token[token] = by_token[token] + w if token in by_token else w
        scale = total * (1 << self.embedding_shift)
        scaled = {token: scale * w for token, w in by_token.items()}
        embedded = AxisWeights((WordsAxis.of(field, self.vocab, scaled), at_width))
        return sent, embedded

    def _row_weights(self, field: Field, tap: Tap, at_row: AxisWeight) -> AxisWeight:
        """Weights over all positions, from weights over those that a tap holds."""
        if tap.rows is None:
            return at_row
        weights = [field.element(0)] * self.positions
        for position, w in zip(tap.rows, _entries(field, at_row, len(tap.rows)), strict=True):
            weights[position] = weights[position] + w
        return VectorAxis(tuple(weights))

    def _shape(self, name: str) -> Shape:
        if name == self.table:
            return (self.table_length, self.width)
        return (self.layers, self.positions, self.width)

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
        sent: Sequence[Part],
        values: Sequence[Element],
        embedded: AxisWeights,
    ) -> None:
        rest = claim.value
        for (name, weights), value in zip(sent, values, strict=True):
            run.ledger.add(name, weights, value)
            rest = rest - value
        run.ledger.add(self.embedding, embedded, rest)

    def soundness_terms(self, field: Field) -> list[Term]:
        """None of its own."""
        return []


def _entries(field: Field, axis: AxisWeight, length: int) -> list[Element]:
    return field.unpack(axis.table(cpu_target(), field, length))


def _sum(field: Field, elements: Sequence[Element]) -> Element:
    return sum(elements, field.element(0))
