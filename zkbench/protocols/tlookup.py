"""tlookup as LogUp-GKR: every value of some tensors lies in a range [0, size).

Claim: for each lookup, sum over lookers i of 1 / (alpha - a_i) = sum over j < size of
m_j / (alpha - j), as rational functions in alpha, where m_j counts how often j occurs; so every a_i
is one of 0 ... size - 1 (Haboeck, ePrint 2022/1530; the tree of fractions: Papini and Haboeck, ePrint
2023/1284). zkLLM proves the same sum with committed inverses (protocols/tlookup_inverses.py); here
nothing but the multiplicities is committed, and lookers may be virtual.

The caller must have bound the lookers and the multiplicities to the transcript before, and must check
the claims that are returned: the value of each looker's extension and of each multiplicity vector's
at a random point. Several lookups with tables of any sizes share alpha, and batches of trees.

Rounds: n (n - 1) / 2 for 2^n lookers or table entries, whichever is deeper. Soundness error:
(number of lookers + table size) / |E| for alpha, which a proof of work right before alpha divides
where it has fewer than ``security_bits`` (from 2^25 values on, by default), plus that of fractional
GKR. No row of the table may occur p times: a lookup has fewer than 2^63 values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np

from zkbench.commitments.claims import Value
from zkbench.fields import Field
from zkbench.kernels import eq
from zkbench.kernels.launch import Array, Target
from zkbench.kernels.scatter import histogram
from zkbench.protocols.gkr import Fraction, FractionalGKR, Shape, Tree, unstored_levels
from zkbench.protocols.grinding import missing_bits, prove_work, verify_work
from zkbench.protocols.sumcheck import split_point
from zkbench.protocols.tables import index_extension
from zkbench.security import Term, error_bits
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any
MOST_LOOKERS = 1 << 32
SECURITY_BITS = 103  # of a challenge that is ground for: all terms of a proof leave 100


@dataclass(frozen=True)
class Lookup:
    """Tensors of these shapes, plus an offset each, look up [0, size), size a power of two."""

    size: int
    shapes: tuple[Shape, ...]
    offsets: tuple[int, ...] = ()

    def offset(self, looker: int) -> int:
        return self.offsets[looker] if self.offsets else 0


@dataclass(frozen=True)
class LookupClaims:
    """What a lookup leaves to be checked: values of its lookers (without offset), of its counts."""

    lookers: tuple[Value, ...]
    multiplicities: Value


def count(shape: Shape) -> int:
    """Number of entries of a tensor."""
    return reduce(lambda a, b: a * b, shape, 1)


def indicator(shape: Shape, point: Sequence[Sequence[Element]]) -> Element:
    """The extension of the tensor that is 1 at every real entry."""
    value: Any = 1
    for length, at in zip(shape, point, strict=True):
        value = value * eq.truncated_eq(at, None, length)
    return value


def multiplicities(target: Target, lookup: Lookup, lookers: Sequence[Array]) -> np.ndarray:
    """How often each table entry is looked up: uint64, on the host. Values must be in range."""
    total = np.zeros(lookup.size, dtype=np.uint64)
    for k, (values, shape) in enumerate(zip(lookers, lookup.shapes, strict=True)):
        counts = histogram(target, values, count(shape), lookup.offset(k), lookup.size)
        total += target.to_host(counts)
    return total


@dataclass(frozen=True)
class TLookup:
    """A batch of lookups; the challenge alpha errs with at most 2^-security_bits.

    Trees are proven together as long as they have at most ``most_lookers`` leaves, tables apart: what a
    layer that is not stored takes of memory, and how often its leaves are gone through for that, grows
    with the leaves that are there at once (protocols/fraction_layers.py).
    """

    field: Field
    lookups: tuple[Lookup, ...]
    security_bits: float = SECURITY_BITS
    most_lookers: int = MOST_LOOKERS

    @cached_property
    def _places(self) -> list[tuple[int, int]]:
        """(lookup, looker) of each tree; behind a lookup's lookers comes its table."""
        return [
            (l, k) for l, lookup in enumerate(self.lookups) for k in range(len(lookup.shapes) + 1)
        ]

    def _is_table(self, place: tuple[int, int]) -> bool:
        return place[1] == len(self.lookups[place[0]].shapes)

    def _shape(self, place: tuple[int, int]) -> Shape:
        lookup = self.lookups[place[0]]
        return (*lookup.shapes, (lookup.size,))[place[1]]

    @cached_property
    def _batches(self) -> list[list[tuple[int, int]]]:
        """Trees that are proven together."""
        batches: list[list[tuple[int, int]]] = [[]]
        lookers = 0
        for place in self._places:
            more = 0 if self._is_table(place) else count(self._shape(place))
            if lookers and lookers + more > self.most_lookers:
                batches.append([])
                lookers = 0
            batches[-1].append(place)
            lookers += more
        return batches

    def _gkr(self, batch: list[tuple[int, int]]) -> FractionalGKR:
        return FractionalGKR(self.field, tuple(map(self._shape, batch)))

    def prove(
        self,
        transcript: ProverTranscript,
        target: Target,
        lookers: Sequence[Sequence[Array]],
        counts: Sequence[np.ndarray],
        done: Callable[[list[tuple[int, int]]], None] = lambda places: None,
    ) -> list[LookupClaims]:
        """``lookers[l][k]``: integers of looker k on the target; ``counts[l]``: its multiplicities.

        ``done`` is told behind each batch which (l, k) were in it: those are not read again.
        """
        if work := self._work():
            prove_work(transcript, target, work)
        alpha = transcript.challenge("alpha")
        roots, leaves = [], []
        for batch in self._batches:
            gkr = self._gkr(batch)
            levels = unstored_levels(target, self.field, gkr.shapes)
            trees = [
                self._tree(target, place, level, lookers, counts, alpha)
                for place, level in zip(batch, levels, strict=True)
            ]
            leaves += gkr.prove(transcript, trees)
            roots += [tree.root for tree in trees]
            del trees  # before the next batch takes memory
            done([place for place in batch if not self._is_table(place)])
        transcript.send("inverse", [_product([root.q for root in roots]).inverse()])
        return self._claims(alpha, leaves)

    def _tree(
        self,
        target: Target,
        place: tuple[int, int],
        unstored: int,
        lookers: Sequence[Sequence[Array]],
        counts: Sequence[np.ndarray],
        alpha: Element,
    ) -> Tree:
        l, k = place
        if self._is_table(place):
            return self._table_tree(target, self.lookups[l], counts[l], alpha)
        tree = Tree(target, self.field, self._shape(place), unstored)
        return tree.fill_leaves(lookers[l][k], self.lookups[l].offset(k), alpha)

    def _table_tree(
        self, target: Target, lookup: Lookup, multiplicity: np.ndarray, alpha: Element
    ) -> Tree:
        numerators = np.zeros((lookup.size, self.field.ext.limbs), dtype=np.uint64)
        modulus = np.uint64(self.field.modulus)
        numerators[:, 0] = np.where(multiplicity == 0, multiplicity, modulus - multiplicity)
        indices = target.to_device(np.arange(lookup.size, dtype=np.int32))
        tree = Tree(target, self.field, (lookup.size,))
        return tree.fill_leaves(indices, 0, alpha, target.to_device(numerators))

    def verify(self, transcript: VerifierTranscript) -> list[LookupClaims]:
        """Returns the claims that the caller must check."""
        if work := self._work():
            verify_work(transcript, work)
        alpha = transcript.challenge("alpha")
        roots: list[Fraction] = []
        leaves: list[Fraction] = []
        for batch in self._batches:
            of_batch = self._gkr(batch).verify(transcript)
            roots, leaves = roots + of_batch[0], leaves + of_batch[1]
        (inverse,) = transcript.receive("inverse", 1)
        product = _product([root.q for root in roots])
        transcript.require_zero(product * inverse - 1, "a denominator of the lookup is zero")
        self._check_sums(transcript, roots)
        self._check_leaves(transcript, alpha, leaves)
        return self._claims(alpha, leaves)

    def soundness_terms(self) -> list[Term]:
        """Each source of error, with its bits."""
        return [
            Term("lookup challenge", self._challenge_bits() + self._work()),
            Term("fraction tree", error_bits(self.field.bits, self._gkr_errors())),
        ]

    def _gkr_errors(self) -> int:
        return sum(self._gkr(batch).num_errors for batch in self._batches)

    def _challenge_bits(self) -> float:
        lookers = sum(count(shape) for lookup in self.lookups for shape in lookup.shapes)
        entries = sum(lookup.size for lookup in self.lookups)
        return error_bits(self.field.bits, lookers + entries)

    def _work(self) -> int:
        """Bits of work before alpha."""
        return missing_bits(self.security_bits, self._challenge_bits())

    def _groups(self, items: Sequence[Any]) -> list[tuple[Lookup, list[Any], Any]]:
        """(lookup, items of its lookers, item of its table)."""
        groups, start = [], 0
        for lookup in self.lookups:
            stop = start + len(lookup.shapes)
            groups.append((lookup, list(items[start:stop]), items[stop]))
            start = stop + 1
        return groups

    def _check_sums(self, transcript: VerifierTranscript, roots: list[Fraction]) -> None:
        for _, lookers, table in self._groups(roots):
            transcript.require_zero(
                add_fractions([*lookers, table]).p, "a looked-up value is not in its table"
            )

    def _check_leaves(
        self, transcript: VerifierTranscript, alpha: Element, leaves: list[Fraction]
    ) -> None:
        for lookup, lookers, table in self._groups(leaves):
            for shape, leaf in zip(lookup.shapes, lookers, strict=True):
                real = indicator(shape, split_point(leaf.point, shape))
                transcript.require_zero(leaf.p - real, "a lookup's numerators are not all one")
            expected = alpha - index_extension(table.point)
            transcript.require_zero(table.q - expected, "the lookup's table is another one")

    def _claims(self, alpha: Element, leaves: list[Fraction]) -> list[LookupClaims]:
        result = []
        for lookup, lookers, table in self._groups(leaves):
            values = tuple(
                looker_value(leaf, shape, alpha, lookup.offset(k))
                for k, (shape, leaf) in enumerate(zip(lookup.shapes, lookers, strict=True))
            )
            result.append(LookupClaims(values, Value((table.point,), -table.p)))
        return result


def looker_value(leaf: Fraction, shape: Shape, alpha: Element, offset: int) -> Value:
    """The looker's extension from its denominators': alpha - a_i - offset if real, 1 if padding."""
    point = tuple(split_point(leaf.point, shape))
    real = indicator(shape, point)
    return Value(point, (alpha - offset - 1) * real + 1 - leaf.q)


def add_fractions(fractions: Sequence[Fraction]) -> Fraction:
    """Their sum, over the product of their denominators."""
    total = fractions[0]
    for f in fractions[1:]:
        total = Fraction(total.p * f.q + f.p * total.q, total.q * f.q)
    return total


def _product(elements: Sequence[Element]) -> Element:
    return reduce(lambda a, b: a * b, elements)
