"""tlookup as LogUp-GKR: every value of some tensors lies in a range [0, size).

Claim: for each lookup, sum over lookers i of 1 / (alpha - a_i) = sum over j < size of
m_j / (alpha - j), as rational functions in alpha, where m_j counts how often j occurs; so every a_i
is one of 0 ... size - 1 (Haboeck, ePrint 2022/1530; the tree of fractions: Papini and Haboeck, ePrint
2023/1284). zkLLM proves the same sum with committed inverses (protocols/tlookup_inverses.py); here
nothing but the multiplicities is committed, and lookers may be virtual.

The caller must have bound the lookers and the multiplicities to the transcript before, and must check
the claims that are returned: the value of each looker's extension and of each multiplicity vector's
at a random point. Several lookups with tables of any sizes share one batch of trees.

Rounds: n (n - 1) / 2 for 2^n lookers or table entries, whichever is deeper. Soundness error:
(number of lookers + table size) / |E| for alpha, which a proof of work right before alpha divides
where it has fewer than ``security_bits`` (from 2^25 values on, by default), plus that of fractional
GKR. No row of the table may occur p times: a lookup has fewer than 2^63 values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
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
    """A batch of lookups; the challenge alpha errs with at most 2^-security_bits."""

    field: Field
    lookups: tuple[Lookup, ...]
    security_bits: float = SECURITY_BITS

    def _gkr(self) -> FractionalGKR:
        shapes = [shape for lookup in self.lookups for shape in (*lookup.shapes, (lookup.size,))]
        return FractionalGKR(self.field, tuple(shapes))

    def prove(
        self,
        transcript: ProverTranscript,
        target: Target,
        lookers: Sequence[Sequence[Array]],
        counts: Sequence[np.ndarray],
    ) -> list[LookupClaims]:
        """``lookers[l][k]``: integers of looker k on the target; ``counts[l]``: its multiplicities."""
        if work := self._work():
            prove_work(transcript, target, work)
        alpha = transcript.challenge("alpha")
        trees = []
        unstored = self._groups(unstored_levels(target, self.field, self._gkr().shapes))
        for (lookup, levels, _), values, multiplicity in zip(
            unstored, lookers, counts, strict=True
        ):
            for k, (array, level) in enumerate(zip(values, levels, strict=True)):
                tree = Tree(target, self.field, lookup.shapes[k], level)
                trees.append(tree.fill_leaves(array, lookup.offset(k), alpha))
            trees.append(self._table_tree(target, lookup, multiplicity, alpha))
        leaves = self._gkr().prove(transcript, trees)
        transcript.send("inverse", [_product([tree.root.q for tree in trees]).inverse()])
        return self._claims(alpha, leaves)

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
        roots, leaves = self._gkr().verify(transcript)
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
            Term("fraction tree", self._gkr().soundness_bits()),
        ]

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
