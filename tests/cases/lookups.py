"""Cases of fractional GKR, tlookup and logUp*."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from random import Random
from typing import Any

import numpy as np
from definitions import Element, axis_weights, padded_mle, random_elements, split, total

from cases.case import (
    FIELD,
    Case,
    Shape,
    draw_points,
    receive_integers,
    require_claim,
    send_integers,
)
from zkbench.commitments.claims import AxisWeights, EqAxis, OnesAxis, Sparse, VectorAxis
from zkbench.kernels.launch import Target, cpu_target
from zkbench.kernels.numerators import Numerators
from zkbench.proof import ProofRejected
from zkbench.protocols.gkr import FractionalGKR, Tree
from zkbench.protocols.logup_star import LogupStar, OutputClaim
from zkbench.protocols.tables import Relu, Table
from zkbench.protocols.tlookup import MOST_LOOKERS, SECURITY_BITS, Lookup, LookupClaims, TLookup
from zkbench.transcript import ProverTranscript, VerifierTranscript

ONE = FIELD.element(1)
RELU3 = Relu(3)


def formal_sum(numerators: list[Element], denominators: list[Element]) -> tuple[Element, Element]:
    """The sum of fractions over the product of all denominators."""
    p, q = 0 * ONE, ONE
    for n, d in zip(numerators, denominators, strict=True):
        p, q = p * d + n * q, q * d
    return p, q


@dataclass(frozen=True)
class GkrCase(Case):
    """Trees of fractions n_i / (alpha - (v_i + offset)); numerators None: all one."""

    name = "gkr"
    shapes: tuple[Shape, ...] = ((1,),)
    values: tuple[tuple[int, ...], ...] = ()
    numerators: tuple[tuple[Element, ...] | None, ...] = ()
    offset: int = 0

    @classmethod
    def random(cls, rng: Random, shapes: tuple[Shape, ...], offset: int = 0) -> GkrCase:
        counts = [prod(shape) for shape in shapes]
        values = tuple(tuple(rng.randrange(-(2**15), 2**15) for _ in range(n)) for n in counts)
        numerators = tuple(
            tuple(random_elements(FIELD, rng, n)) if i % 2 else None for i, n in enumerate(counts)
        )
        return cls(shapes=shapes, values=values, numerators=numerators, offset=offset)

    def false_statements(self) -> list[Case]:
        return [replace(self, offset=self.offset + 1)]

    def tree(self, target: Target, i: int, alpha: Element) -> Tree:
        values = target.to_device(np.array(self.values[i], dtype=np.int16))
        numerators = self.numerators[i]
        words = None if numerators is None else target.to_device(FIELD.pack(numerators))
        return Tree(target, FIELD, self.shapes[i]).fill_leaves(values, self.offset, alpha, words)

    def prove(self, transcript: ProverTranscript, target: Target) -> Any:
        for values, numerators in zip(self.values, self.numerators, strict=True):
            send_integers(transcript, "values", values)
            if numerators is not None:
                transcript.send("numerators", numerators)
        alpha = transcript.challenge("alpha")
        trees = [self.tree(target, i, alpha) for i in range(len(self.shapes))]
        return FractionalGKR(FIELD, self.shapes).prove(transcript, trees)

    def verify(self, transcript: VerifierTranscript) -> Any:
        leaves = []
        for shape, numerators in zip(self.shapes, self.numerators, strict=True):
            values, n = receive_integers(transcript, "values", prod(shape)), prod(shape)
            ones = [ONE] * n
            leaves.append(
                (ones if numerators is None else transcript.receive("numerators", n), values)
            )
        alpha = transcript.challenge("alpha")
        roots, claims = FractionalGKR(FIELD, self.shapes).verify(transcript)
        for shape, (numerators, values), root, claim in zip(
            self.shapes, leaves, roots, claims, strict=True
        ):
            denominators = [alpha - v - self.offset for v in values]
            at = split(claim.point, shape)
            leaf = padded_mle(numerators, shape, at, 0), padded_mle(denominators, shape, at, 1)
            if (claim.p, claim.q) != leaf or (root.p, root.q) != formal_sum(
                numerators, denominators
            ):
                raise ProofRejected("a root or a leaf is not the tree's")
        return claims


@dataclass(frozen=True)
class TLookupCase(Case):
    """Several lookups; what is looked up and how often is sent, truly or not."""

    name = "tlookup"
    lookups: tuple[Lookup, ...] = ()
    lookers: tuple[tuple[tuple[int, ...], ...], ...] = ()
    counts: tuple[tuple[int, ...], ...] = ()
    statement: tuple[Lookup, ...] | None = None  # what is verified, if it is not ``lookups``
    security_bits: float = SECURITY_BITS
    most_lookers: int = MOST_LOOKERS

    @classmethod
    def of(cls, lookups: tuple[Lookup, ...], lookers: Any) -> TLookupCase:
        counts = tuple(
            true_counts(lookup, values) for lookup, values in zip(lookups, lookers, strict=True)
        )
        return cls(lookups=lookups, lookers=lookers, counts=counts)

    @classmethod
    def random(cls, rng: Random, lookups: tuple[Lookup, ...]) -> TLookupCase:
        lookers = tuple(
            tuple(
                tuple(rng.randrange(lookup.size) - lookup.offset(k) for _ in range(prod(shape)))
                for k, shape in enumerate(lookup.shapes)
            )
            for lookup in lookups
        )
        return cls.of(lookups, lookers)

    def false_statements(self) -> list[Case]:
        """The table starts one entry later for all lookers of the first lookup."""
        first, *rest = self.lookups
        moved = tuple(first.offset(k) + 1 for k in range(len(first.shapes)))
        return [replace(self, statement=(replace(first, offsets=moved), *rest))]

    @property
    def protocol(self) -> TLookup:
        return TLookup(FIELD, self.lookups, self.security_bits, self.most_lookers)

    def prove_lookups(self, transcript: ProverTranscript, target: Target) -> list[LookupClaims]:
        """The protocol's own prover; malicious ones replace it."""
        arrays = [
            [target.to_device(np.array(v, dtype=np.int32)) for v in values]
            for values in self.lookers
        ]
        counts = [np.array(c, dtype=np.uint64) for c in self.counts]
        return self.protocol.prove(transcript, target, arrays, counts)

    def prove(self, transcript: ProverTranscript, target: Target) -> Any:
        for values, counts in zip(self.lookers, self.counts, strict=True):
            for looker in values:
                send_integers(transcript, "looker", looker)
            send_integers(transcript, "counts", counts)
        return self.prove_lookups(transcript, target)

    def verify(self, transcript: VerifierTranscript) -> Any:
        lookups, tensors = self.statement or self.lookups, []
        for lookup in lookups:
            lookers = [receive_integers(transcript, "looker", prod(s)) for s in lookup.shapes]
            tensors.append((lookers, receive_integers(transcript, "counts", lookup.size)))
        claims = replace(self.protocol, lookups=lookups).verify(transcript)
        for lookup, claim, (lookers, counts) in zip(lookups, claims, tensors, strict=True):
            for value, looker, shape in zip(claim.lookers, lookers, lookup.shapes, strict=True):
                require_claim(value, looker, shape, "a looker")
            require_claim(claim.multiplicities, counts, (lookup.size,), "the multiplicities")
        return claims


def true_counts(lookup: Lookup, lookers: Any) -> tuple[int, ...]:
    """How often each entry occurs; values outside the table are left out."""
    seen = Counter(v + lookup.offset(k) for k, values in enumerate(lookers) for v in values)
    return tuple(seen[j] for j in range(lookup.size))


@dataclass(frozen=True)
class LogupStarCase(Case):
    """Claims about outputs T[I], the outputs sent too, truly or not.

    Sources take turns in having a claim with eq weights and one with a vector or ones on an axis.
    """

    name = "logup-star"
    table: Table = RELU3
    shapes: tuple[Shape, ...] = ((1,),)
    indices: tuple[tuple[int, ...], ...] = ()
    outputs: tuple[tuple[int, ...], ...] = ()
    security_bits: float = SECURITY_BITS

    @classmethod
    def random(cls, rng: Random, table: Table, shapes: tuple[Shape, ...]) -> LogupStarCase:
        size, offset = len(table.values), table.offset
        indices = tuple(
            tuple(rng.randrange(size) - offset for _ in range(prod(shape))) for shape in shapes
        )
        entries = table.values.tolist()
        outputs = tuple(tuple(entries[i + offset] for i in values) for values in indices)
        return cls(table=table, shapes=shapes, indices=indices, outputs=outputs)

    @property
    def protocol(self) -> LogupStar:
        return LogupStar(FIELD, self.table, self.shapes, self.security_bits)

    def _weights(self, transcript: Any) -> list[tuple[int, AxisWeights]]:
        weights = []
        for k, shape in enumerate(self.shapes):
            points = draw_points(transcript, shape)
            weights.append((k, AxisWeights.at(points)))
            first = VectorAxis(tuple(transcript.challenges("vector", shape[0])))
            rest = [EqAxis(p) if j % 2 else OnesAxis() for j, p in enumerate(points[1:])]
            weights.append((k, AxisWeights((first, *rest))))
        return weights

    def _claims(self, transcript: Any, outputs: Any) -> list[OutputClaim]:
        return [
            OutputClaim(k, w, functional_value(w, outputs[k], self.shapes[k]) + self.lie)
            for k, w in self._weights(transcript)
        ]

    def pushed(self, transcript: ProverTranscript, target: Target, y: Any) -> None:
        """What the prover commits to as the pushed-forward vector."""
        transcript.send("pushed", FIELD.unpack(target.to_host(y)))

    def prove(self, transcript: ProverTranscript, target: Target) -> Any:
        for indices, outputs in zip(self.indices, self.outputs, strict=True):
            send_integers(transcript, "indices", indices)
            send_integers(transcript, "outputs", outputs)
        claims = self._claims(transcript, self.outputs)
        arrays = [target.to_device(np.array(i, dtype=np.int16)) for i in self.indices]
        return self.protocol.prove(
            transcript, target, arrays, claims, lambda y: self.pushed(transcript, target, y)
        )

    def verify(self, transcript: VerifierTranscript) -> Any:
        tensors = [
            [receive_integers(transcript, label, prod(s)) for label in ("indices", "outputs")]
            for s in self.shapes
        ]
        claims = self._claims(transcript, [outputs for _, outputs in tensors])
        size, pushed = len(self.table.values), []
        result = self.protocol.verify(
            transcript, claims, lambda: pushed.extend(transcript.receive("pushed", size))
        )
        for value, (indices, _), shape in zip(result.indices, tensors, self.shapes, strict=True):
            require_claim(value, indices, shape, "an index tensor")
        for columns in result.pushed:
            for d, value in enumerate(columns):
                column = [y.coefficients[d] for y in pushed]
                require_claim(value, column, (size,), "the pushed-forward vector")
        return result


def expand(numerators: Numerators, count: int) -> list[Element]:
    """The numerators of all leaves, by the definition in kernels/numerators.py."""
    outer, inner = FIELD.unpack(numerators.outer), FIELD.unpack(numerators.inner)

    def at(i: int) -> Element:
        row, c = divmod(i, numerators.cols)
        high = row * numerators.num_high + (c >> numerators.shift)
        low = c % (1 << numerators.shift)
        return total(
            [
                outer[k * numerators.outer_size + high] * inner[k * numerators.inner_size + low]
                for k in range(numerators.num_claims)
            ]
        )

    return [at(i) for i in range(count)]


def edited(numerators: Numerators, count: int, edit: Callable[[list[Any]], Any]) -> Numerators:
    """Other numerators, made from the list of all of them."""
    words = FIELD.pack(edit(expand(numerators, count)))
    return Numerators.dense(cpu_target(), FIELD, words, count)


def functional_value(functional: Any, tensor: Any, shape: Shape) -> Element:
    """sum over entries of functional(entry) tensor(entry)."""
    if isinstance(functional, Sparse):
        pairs = zip(functional.indices, functional.coefficients, strict=True)
        return total([c * tensor[i] for i, c in pairs]) + 0 * ONE
    points = [axis.point if isinstance(axis, EqAxis) else None for axis in functional.axes]
    weights = axis_weights(shape, points)
    if isinstance(functional.axes[0], VectorAxis):
        inner = len(weights) // shape[0]
        vector = functional.axes[0].values
        weights = [w * vector[i // inner] for i, w in enumerate(weights)]
    return total([w * v for w, v in zip(weights, tensor, strict=True)]) + 0 * ONE
