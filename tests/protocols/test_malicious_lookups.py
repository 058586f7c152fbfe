"""Provers that are honest but for one stated lie: fractional GKR and tlookup."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np
import pytest
from cases.case import FIELD, changed, prove, reason_of_rejection, verify
from cases.lookups import GkrCase, TLookupCase
from definitions import Element

from zkbench.kernels.launch import Target, cpu_target
from zkbench.proof import ProofRejected
from zkbench.protocols.gkr import FractionalGKR, Tree
from zkbench.protocols.tlookup import Lookup, LookupClaims
from zkbench.transcript import ProverTranscript

SIZE = 8
LOOKUP = Lookup(SIZE, ((7,), (2, 3)), (0, 4))
NOT_IN_TABLE = "a looked-up value is not in its table"


# Fractional GKR.


@dataclass(frozen=True)
class OneLayerWrong(GkrCase):
    """A node is not the sum of its children; the layers above it are summed honestly."""

    layer: int = 1
    is_denominator: bool = False

    def tree(self, target: Target, i: int, alpha: Element) -> Tree:
        tree = super().tree(target, i, alpha)
        if i == 0:
            del tree.layers[self.layer + 1 :]
            array = tree.layers[self.layer][1 + self.is_denominator]
            array[:2] = FIELD.pack([FIELD.unpack(array[:2])[0] + 1])
            tree._build()
        return tree


@pytest.mark.parametrize("layer", [0, 1, 2, 3])
@pytest.mark.parametrize("is_denominator", [False, True])
def test_a_wrong_layer_of_a_tree(layer: int, is_denominator: bool) -> None:
    case = GkrCase.random(Random(1), ((3, 5), (4,)))
    prover = OneLayerWrong(**vars(case), layer=layer, is_denominator=is_denominator)
    leaves_differ = "a root or a leaf is not the tree's"
    wrong_sum = "a layer of the fraction tree does not sum to the one above"
    assert reason_of_rejection(prover) == (wrong_sum if layer else leaves_differ)


# tlookup.


def honest_lookup(seed: int = 1) -> TLookupCase:
    return TLookupCase.random(Random(seed), (LOOKUP,))


@pytest.mark.parametrize("value", [SIZE, -1, 2**15, -(2**31)])
@pytest.mark.parametrize("counted_as", [None, 0, SIZE - 1])
def test_a_value_outside_the_table(value: int, counted_as: int | None) -> None:
    """Left out of the multiplicities, or counted as one of the table's entries."""
    ((first, second),) = honest_lookup().lookers
    case = TLookupCase.of((LOOKUP,), (((value, *first[1:]), second),))
    if counted_as is not None:
        case = replace(case, counts=(changed(case.counts[0], counted_as),))
    assert reason_of_rejection(case) == NOT_IN_TABLE


@pytest.mark.parametrize("looker", [0, 1])
@pytest.mark.parametrize("most_lookers", [1, 7, 13])
def test_a_value_outside_the_table_in_any_batch(looker: int, most_lookers: int) -> None:
    """Trees that are proven one after the other still have one sum."""
    lookers = [list(values) for values in honest_lookup().lookers[0]]
    lookers[looker][0] = 99
    case = TLookupCase.of((LOOKUP,), (tuple(map(tuple, lookers)),))
    assert reason_of_rejection(replace(case, most_lookers=most_lookers)) == NOT_IN_TABLE


def test_a_proof_in_batches_is_none_of_all_at_once() -> None:
    """Which trees are proven together is the statement's, not the prover's, to choose."""
    case = honest_lookup()
    batched, _ = prove(replace(case, most_lookers=7), cpu_target())
    with pytest.raises(ProofRejected):
        verify(case, batched)


def test_a_value_outside_the_table_in_a_shifted_looker() -> None:
    """In range without the offset, outside with it."""
    ((first, second),) = honest_lookup().lookers
    case = TLookupCase.of((LOOKUP,), ((first, (4, *second[1:])),))
    assert reason_of_rejection(case) == NOT_IN_TABLE


@pytest.mark.parametrize("by", [(1, 0), (1, -1), (0, FIELD.modulus // 2)], ids=str)
def test_multiplicities_changed(by: tuple[int, int]) -> None:
    """One more; as many in all, but of another entry; by half of the field."""
    case = honest_lookup()
    counts = changed(changed(case.counts[0], 0, by[0]), 1, by[1])
    counts = tuple(c % FIELD.modulus for c in counts)
    assert reason_of_rejection(replace(case, counts=(counts,))) == NOT_IN_TABLE


@dataclass(frozen=True)
class OtherCountsInTheTree(TLookupCase):
    """Commits to some multiplicities and proves with the true ones."""

    def prove_lookups(self, transcript: ProverTranscript, target: Target) -> list[LookupClaims]:
        honest = TLookupCase.of(self.lookups, self.lookers)
        return honest.prove_lookups(transcript, target)


def test_committed_multiplicities_are_not_the_proven_ones() -> None:
    case = honest_lookup()
    prover = OtherCountsInTheTree(**{**vars(case), "counts": (changed(case.counts[0], 2),)})
    assert reason_of_rejection(prover) == "the claim on the multiplicities is false"


@dataclass(frozen=True)
class OtherValuesInTheTree(TLookupCase):
    """Commits to some values and proves the lookup of others, which are in the table."""

    proven: Any = ()

    def prove_lookups(self, transcript: ProverTranscript, target: Target) -> list[LookupClaims]:
        honest = TLookupCase.of(self.lookups, self.proven)
        return replace(honest, counts=self.counts).prove_lookups(transcript, target)


def test_committed_values_are_not_the_proven_ones() -> None:
    case = honest_lookup()
    ((first, second),) = case.lookers
    committed = (((SIZE, *first[1:]), second),)
    prover = OtherValuesInTheTree(**{**vars(case), "lookers": committed}, proven=case.lookers)
    assert reason_of_rejection(prover) == "the claim on a looker is false"


Edit = Callable[[list[Tree]], None]


@dataclass(frozen=True)
class EditedTrees(TLookupCase):
    """Any trees of fractions at all, proven honestly; the last one is the table's."""

    numerator: int = 1
    entries: tuple[int, ...] = tuple(range(SIZE))
    edit: Edit = lambda trees: None

    def prove_lookups(self, transcript: ProverTranscript, target: Target) -> Any:
        alpha, (lookup,), (lookers,) = transcript.challenge("alpha"), self.lookups, self.lookers
        trees = []
        for k, (shape, values) in enumerate(zip(lookup.shapes, lookers, strict=True)):
            ones = FIELD.pack([self.numerator] * len(values))
            array = np.array(values, dtype=np.int32)
            trees.append(
                Tree(target, FIELD, shape).fill_leaves(array, lookup.offset(k), alpha, ones)
            )
        counts = FIELD.pack([-c for c in self.counts[0]])
        entries = np.array(self.entries, dtype=np.int32)
        trees.append(Tree(target, FIELD, (SIZE,)).fill_leaves(entries, 0, alpha, counts))
        self.edit(trees)
        FractionalGKR(FIELD, (*lookup.shapes, (SIZE,))).prove(transcript, trees)
        product = FIELD.element(1)
        for tree in trees:
            product = product * tree.root.q
        transcript.send("inverse", [product.inverse() if product != 0 else product])


def test_numerators_scaled() -> None:
    """Everything counts twice, in the tree of values and in the multiplicities: sums agree."""
    case = honest_lookup()
    doubled = tuple(2 * c for c in case.counts[0])
    prover = EditedTrees(**{**vars(case), "counts": (doubled,)}, numerator=2)
    assert reason_of_rejection(prover) == "a lookup's numerators are not all one"


def test_numerators_zero() -> None:
    """Nothing is looked up at all, so any value would do."""
    ((first, second),) = honest_lookup().lookers
    case = TLookupCase.of((LOOKUP,), (((99, *first[1:]), second),))
    prover = EditedTrees(**{**vars(case), "counts": ((0,) * SIZE,)}, numerator=0)
    assert reason_of_rejection(prover) == "a lookup's numerators are not all one"


def test_another_table() -> None:
    """The value outside is an entry of the table that the prover sums over, in place of 7."""
    lookers = (((99, 1, 1, 1, 1, 1, 1), (0, 0, 0, 0, 0, 0)),)
    case = TLookupCase.of((LOOKUP,), lookers)
    assert case.counts[0] == (0, 6, 0, 0, 6, 0, 0, 0)
    counts, entries = changed(case.counts[0], 7), (*range(SIZE - 1), 99)
    prover = EditedTrees(**{**vars(case), "counts": (counts,)}, entries=entries)
    assert reason_of_rejection(prover) == "the lookup's table is another one"


def zero_denominators(trees: list[Tree]) -> None:
    """A leaf 1/0 in the tree of values and one in the table's: the sum's numerator is then 0."""
    for tree in (trees[0], trees[-1]):
        del tree.layers[1:]
        tree.layers[0][2][:2] = 0
        tree._build()


def test_root_denominators_zero() -> None:
    ((first, second),) = honest_lookup().lookers
    case = TLookupCase.of((LOOKUP,), (((99, *first[1:]), second),))
    prover = EditedTrees(**vars(case), edit=zero_denominators)
    assert reason_of_rejection(prover) == "a denominator of the lookup is zero"
