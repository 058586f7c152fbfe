"""Provers that are honest but for one stated lie: logUp*."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from random import Random
from typing import Any

import numpy as np
import pytest
from cases.case import FIELD, changed, reason_of_rejection
from cases.lookups import LogupStarCase, edited
from definitions import Element, random_elements, total

from zkbench.kernels.launch import Array, Target
from zkbench.kernels.numerators import Numerators
from zkbench.protocols import logup_star
from zkbench.protocols.gkr import Tree
from zkbench.protocols.logup_star import LogupStar
from zkbench.protocols.tables import Relu
from zkbench.transcript import ProverTranscript

INDEX_OUTSIDE = "an index does not point into its table"


def honest_outputs(seed: int = 1) -> LogupStarCase:
    return LogupStarCase.random(Random(seed), Relu(3), ((3, 5), (4,)))


@dataclass(frozen=True)
class LyingLogupStar(LogupStar):
    """``delta`` is added to the pushed-forward vector; indices outside count as entry 0."""

    delta: tuple[Any, ...] = ()

    def _push(self, target: Target, indices: Any, weights: Any) -> Array:
        low, high = -self.table.offset, self.table_size - 1 - self.table.offset
        inside = [np.where((i >= low) & (i <= high), i, low) for i in indices]
        pushed = super()._push(target, inside, weights)
        if not self.delta:
            return pushed
        moved = [y + d for y, d in zip(FIELD.unpack(pushed), self.delta, strict=True)]
        return FIELD.pack(moved)


@dataclass(frozen=True)
class LyingPush(LogupStarCase):
    """Proves with a pushed-forward vector of its own."""

    delta: tuple[Any, ...] = ()

    @property
    def protocol(self) -> LogupStar:
        return LyingLogupStar(FIELD, self.table, self.shapes, delta=self.delta)


@pytest.mark.parametrize("tensor", [0, 1])
@pytest.mark.parametrize("by", [1, -1, 2**16])
def test_an_output_not_of_the_table(tensor: int, by: int) -> None:
    case = honest_outputs()
    outputs = list(case.outputs)
    outputs[tensor] = changed(outputs[tensor], 2, by)
    prover = replace(case, outputs=tuple(outputs))
    assert reason_of_rejection(prover) == "a looked-up output is not the table's"


@pytest.mark.parametrize("index", [4, -5, 2**15 - 1, -(2**15)])
def test_an_index_outside_the_table(index: int) -> None:
    """Its weight is pushed to entry 0, whose output it claims: the product sumcheck agrees."""
    case = honest_outputs()
    indices = ((index, *case.indices[0][1:]), case.indices[1])
    outputs = ((0, *case.outputs[0][1:]), case.outputs[1])
    prover = LyingPush(**{**vars(case), "indices": indices, "outputs": outputs})
    assert reason_of_rejection(prover, as_verified(prover)) == INDEX_OUTSIDE


def as_verified(case: LogupStarCase) -> LogupStarCase:
    """The same statement, with the protocol's own verifier."""
    return LogupStarCase(
        table=case.table, shapes=case.shapes, indices=case.indices, outputs=case.outputs
    )


@pytest.mark.parametrize("entry", range(8))
def test_a_vector_that_was_not_pushed_forward(entry: int) -> None:
    """Changed before it is committed, so everything after it is consistent with it."""
    case, delta = honest_outputs(), [FIELD.element(0)] * 8
    delta[entry] = random_elements(FIELD, Random(entry), 1)[0]
    prover = LyingPush(**vars(case), delta=tuple(delta))
    assert reason_of_rejection(prover, as_verified(prover)) == INDEX_OUTSIDE


@dataclass(frozen=True)
class ChangedAfterTheFact(LogupStarCase):
    """Commits to one vector and proves with the true one."""

    def pushed(self, transcript: ProverTranscript, target: Target, y: Any) -> None:
        values = FIELD.unpack(y)
        transcript.send("pushed", [values[0] + 1, *values[1:]])


def test_a_pushed_vector_changed_after_the_fact() -> None:
    prover = ChangedAfterTheFact(**vars(honest_outputs()))
    assert reason_of_rejection(prover) == "the claim on the pushed-forward vector is false"


class OtherColumns(LogupStar):
    """The columns that are sent are those of the committed vector; the tree holds another one."""

    def _table_tree(self, target: Target, pushed: Array, c: Element) -> Tree:
        values = FIELD.unpack(pushed)
        moved = [values[0] + 1, values[1] - 1, *values[2:]]
        return super()._table_tree(target, FIELD.pack(moved), c)


class OtherWeights(LogupStar):
    """The numerators of the first index tensor are not the weights of its claims."""

    def _numerators(self, target: Target, gammas: Any, claims: Any) -> list[Numerators]:
        first, *rest = super()._numerators(target, gammas, claims)
        other = edited(first, prod(self.shapes[0]), lambda values: [values[0] + 1, *values[1:]])
        return [other, *rest]


@dataclass(frozen=True)
class WithProtocol(LogupStarCase):
    """Proves with a protocol of its own."""

    lying: type[LogupStar] = LogupStar

    @property
    def protocol(self) -> LogupStar:
        return self.lying(FIELD, self.table, self.shapes)


def test_the_tree_holds_another_vector_than_the_committed_one() -> None:
    prover = WithProtocol(**vars(honest_outputs()), lying=OtherColumns)
    assert reason_of_rejection(prover, as_verified(prover)) == INDEX_OUTSIDE


def test_numerators_are_not_the_claims_weights() -> None:
    """An entry counts for more than its claims say, in the tree and in the pushed vector."""
    prover = WithProtocol(**vars(honest_outputs()), lying=OtherWeights)
    reason = "a lookup's numerators are not its claims' weights"
    assert reason_of_rejection(prover, as_verified(prover)) == reason


class OtherTable(LogupStar):
    """The outside index 99 is an entry of the table that the prover sums over, in place of 7."""

    def _push(self, target: Target, indices: Any, weights: Any) -> Array:
        high = self.table_size - 1 - self.table.offset
        return super()._push(target, [np.minimum(i, high) for i in indices], weights)

    def _table_tree(self, target: Target, pushed: Array, c: Element) -> Tree:
        negated = FIELD.pack([-y for y in FIELD.unpack(pushed)])
        entries = np.array([*range(self.table_size - 1), 99], dtype=np.int32)
        return Tree(target, FIELD, (self.table_size,)).fill_leaves(entries, 0, c, negated)


def test_a_table_with_another_entry() -> None:
    table = Relu(3)
    indices = ((99 - table.offset, 0, 1, -1), (2, 2))
    outputs = ((3, 0, 1, 0), (2, 2))
    prover = WithProtocol(
        table=table, shapes=((4,), (2,)), indices=indices, outputs=outputs, lying=OtherTable
    )
    reason = "the lookup's table is another one"
    assert reason_of_rejection(prover, as_verified(prover)) == reason


class FittedVector(LogupStar):
    """Commits to a vector that fits the claims, and holds the pushed-forward one in the tree."""

    def _numerators(self, target: Target, gammas: Any, claims: Any) -> list[Numerators]:
        joined = [gamma * claim.value for gamma, claim in zip(gammas, claims, strict=True)]
        object.__setattr__(self, "claimed", total(joined))
        return super()._numerators(target, gammas, claims)

    def _push(self, target: Target, indices: Any, weights: Any) -> Array:
        pushed, entries = FIELD.unpack(super()._push(target, indices, weights)), self.table.values
        found = total([y * int(t) for y, t in zip(pushed, entries, strict=True)])
        object.__setattr__(self, "gap", (self.claimed - found) / int(entries[-1]))
        return FIELD.pack([*pushed[:-1], pushed[-1] + self.gap])

    def _table_tree(self, target: Target, pushed: Array, c: Element) -> Tree:
        values = FIELD.unpack(pushed)
        true = FIELD.pack([*values[:-1], values[-1] - self.gap])
        return super()._table_tree(target, true, c)


def test_a_vector_fitted_to_a_false_output() -> None:
    case = honest_outputs()
    outputs = (changed(case.outputs[0], 2), case.outputs[1])
    prover = WithProtocol(**{**vars(case), "outputs": outputs}, lying=FittedVector)
    reason = "the pushed-forward vector is not the committed one"
    assert reason_of_rejection(prover, as_verified(prover)) == reason


class ZeroLeafTree(Tree):
    """Its first leaf is 1/0, so the sum of two of them has numerator 0, whatever else they hold."""

    def _build(self) -> None:
        self.layers[0][2][:2] = 0
        super()._build()


class WithoutInverse(LyingLogupStar):
    """Sends 1 for the inverse of zero."""

    def _denominators(self, roots: Any) -> Element:
        product = super()._denominators(roots)
        return product if product != 0 else FIELD.element(1)


def test_denominators_of_outputs_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    case = honest_outputs()
    indices = ((99, *case.indices[0][1:]), case.indices[1])
    outputs = ((0, *case.outputs[0][1:]), case.outputs[1])
    fields = {**vars(case), "indices": indices, "outputs": outputs}
    prover = WithProtocol(**fields, lying=WithoutInverse)
    monkeypatch.setattr(logup_star, "Tree", ZeroLeafTree)
    reason = "a denominator of the lookup is zero"
    assert reason_of_rejection(prover, as_verified(prover)) == reason
