"""Proofs of whole models: a program of operators on stacked tensors.

A tensor is known by its name. It is committed (weights, or the witness), or virtual: then it is only
ever spoken of by claims. An operator ties its outputs to its inputs: it takes the claims on its outputs
and leaves claims on its inputs, in the ledger. So operators are proven from the last to the first, each
once for all layers, and the number of stages does not depend on the depth:

    A  commit to the witness and to the multiplicities of the range checks
    B  all range checks of all operators, in one batch of lookups
    C  the operators, from the last to the first
    D  logUp*: claims on looked-up outputs become claims on the indices that they were looked up with
    E  open all claims on committed tensors

Prover and verifier run the same script. What is left in the ledger on a virtual tensor when all is
done would be unproven: that is an error of the program, not of a proof, and raises RuntimeError.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from zkbench.bench.timers import PhaseTimer
from zkbench.commitments.claims import (
    AxisWeights,
    Claim,
    EqAxis,
    Functional,
    Value,
    sum_of_weights,
)
from zkbench.commitments.dense import Centred
from zkbench.commitments.interleaved import Commitment, ProverData
from zkbench.commitments.layout import Layout
from zkbench.commitments.schemes import Scheme
from zkbench.fields import Field
from zkbench.kernels.launch import Array, Target
from zkbench.protocols.gkr import Shape
from zkbench.protocols.logup_star import LogupStar, LogupStarClaims, OutputClaim
from zkbench.protocols.range_checks import RangeCheck, RangeChecks
from zkbench.protocols.tables import Table
from zkbench.protocols.tlookup import SECURITY_BITS, TLookup, multiplicities
from zkbench.security import Term
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any
Tensors = Mapping[str, Array]


@dataclass
class Ledger:
    """Claims on tensors, in the order in which they were made."""

    claims: list[Claim] = field(default_factory=list)

    def add(self, tensor: str, functional: Functional, value: Element) -> None:
        """sum over entries of functional(entry) tensor(entry) = value."""
        self.claims.append(Claim(tensor, functional, value))

    def add_value(self, tensor: str, value: Value) -> None:
        """The extension of ``tensor`` has this value."""
        self.add(tensor, AxisWeights.at(value.point), value.value)

    def take(self, tensor: str) -> list[Claim]:
        """The claims on a tensor, which are no longer in the ledger."""
        taken = [claim for claim in self.claims if claim.tensor == tensor]
        self.claims = [claim for claim in self.claims if claim.tensor != tensor]
        return taken

    def take_value(self, tensor: str) -> Value:
        """The one claim on a tensor, on its extension's value at a point."""
        (claim,) = self.take(tensor)
        axes = axis_weights(claim).axes
        points = tuple(axis.point for axis in axes if isinstance(axis, EqAxis))
        if len(points) != len(axes):
            raise RuntimeError(f"the claim on {tensor} is not one at a point")
        return Value(points, claim.value)

    def on(self, names: Sequence[str]) -> list[Claim]:
        """The claims on these tensors."""
        return [claim for claim in self.claims if claim.tensor in names]


def axis_weights(claim: Claim) -> AxisWeights:
    """The weights of a claim on a virtual tensor, which are products over its axes."""
    if not isinstance(claim.functional, AxisWeights):
        raise RuntimeError(f"a claim on single entries of {claim.tensor}, which is virtual")
    return claim.functional


@dataclass
class Run:
    """What the operators of a proof share, on either side.

    ranged: the range checks' claims, by the names of the tensors that were checked.
    """

    field: Field
    transcript: Any
    ranged: Mapping[str, Value]
    ledger: Ledger


@dataclass
class ProverRun(Run):
    """``tensors``: all tensors, the virtual ones that operators read too, flat on the target."""

    target: Target
    tensors: Tensors


class Operator(Protocol):
    """One kind of operator of a model, for all its layers."""

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        """What must be in a range; the claims come in ``Run.ranged``."""

    def prove(self, run: ProverRun) -> None:
        """Take the claims on the outputs, leave claims on the inputs."""

    def verify(self, run: Run) -> None:
        """The same."""

    def soundness_terms(self, field: Field) -> list[Term]:
        """Each source of error, with its bits."""


@dataclass(frozen=True)
class TableLookup:
    """Virtual tensors that are a table's entries at committed indices.

    outputs: (name of the virtual tensor, name of its indices, their shape).
    """

    name: str
    table: Table
    outputs: tuple[tuple[str, str, Shape], ...]

    def protocol(self, field: Field, security_bits: float = SECURITY_BITS) -> LogupStar:
        shapes = tuple(shape for _, _, shape in self.outputs)
        return LogupStar(field, self.table, shapes, security_bits)

    def pushed_shapes(self, field: Field) -> dict[str, Shape]:
        """Columns of the vector that logUp* pushes forward."""
        size = len(self.table.values)
        return {f"{self.name}.pushed{d}": (size,) for d in range(field.degree)}

    def take(self, ledger: Ledger) -> list[OutputClaim]:
        """The claims on the outputs, numbered as logUp* numbers its index tensors."""
        return [
            OutputClaim(source, axis_weights(claim), claim.value)
            for source, (output, _, _) in enumerate(self.outputs)
            for claim in ledger.take(output)
        ]

    def book(self, field: Field, ledger: Ledger, claims: LogupStarClaims) -> None:
        for (_, index, _), value in zip(self.outputs, claims.indices, strict=True):
            ledger.add_value(index, value)
        for columns in claims.pushed:
            for name, value in zip(self.pushed_shapes(field), columns, strict=True):
                ledger.add_value(name, value)


_LET_GO_SHARE = 8  # of the workspace: memory that is let go of and changes it


def _let_go(target: Target, tensors: dict[str, Array], names: Iterable[str]) -> None:
    """Take these tensors out; the workspace follows where they are much of it."""
    freed = sum(tensors.pop(name).nbytes for name in names if name in tensors)
    if freed * _LET_GO_SHARE > target.workspace_bytes:
        target.fit_workspace()


@dataclass(frozen=True)
class Program:
    """The operators of a model, from its inputs to its outputs, and its committed tensors.

    given: what the commitments hold that were made before, such as the model's, by their names; witness:
    what a proof commits to, all of it in int16: tensors named in ``unsigned`` are uint16, and 2^15 less
    is what is committed. most_claims: on each of the commitments, for the soundness terms.
    security_bits: that the lookups' challenges have at least. deferred: which of ``given`` are not
    opened here: the claims on them are the caller's to show, for several programs at once.
    """

    scheme: Scheme
    given: Mapping[str, Mapping[str, Shape]]
    witness: Mapping[str, Shape]
    operators: tuple[Operator, ...]
    lookups: tuple[TableLookup, ...]
    unsigned: frozenset[str] = frozenset()
    most_claims: int = 1 << 10
    security_bits: float = SECURITY_BITS
    deferred: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Claims are told apart by names alone: of two range checks of one name, one would be lost."""
        names = [check.name for check in self.checks.checks]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{repeated[0]} is checked twice")

    @property
    def field(self) -> Field:
        return self.scheme.field

    @property
    def _shapes(self) -> dict[str, Shape]:
        """Of what is committed as integers."""
        given = {name: shape for shapes in self.given.values() for name, shape in shapes.items()}
        return {**given, **self.witness}

    @property
    def checks(self) -> RangeChecks:
        return RangeChecks(tuple(c for one in self.operators for c in one.range_checks))

    @property
    def _ranges(self) -> TLookup:
        return TLookup(self.field, self.checks.lookups, self.security_bits)

    def _protocol(self, lookup: TableLookup) -> LogupStar:
        return lookup.protocol(self.field, self.security_bits)

    def soundness_terms(self) -> list[Term]:
        """Every way in which a false statement may pass, with its bits."""
        terms = self._ranges.soundness_terms()
        for operator in self.operators:
            terms += operator.soundness_terms(self.field)
        given = {name: one for name, one in self.given.items() if name not in self.deferred}
        sizes = {**given, "witness": self.witness, "counts": self.checks.counts}
        for lookup in self.lookups:
            terms += self._protocol(lookup).soundness_terms(self.most_claims)
            sizes[lookup.name] = lookup.pushed_shapes(self.field)
        opened = {
            name: (Layout.of(shapes).num_values, self.most_claims) for name, shapes in sizes.items()
        }
        return terms + [Term(*term) for term in self.scheme.opening_terms(opened)]

    def prove(
        self,
        transcript: ProverTranscript,
        target: Target,
        given: Sequence[ProverData],
        tensors: dict[str, Array],
        timer: PhaseTimer,
    ) -> list[Claim]:
        """``given``: the prover's side of these commitments; the statement is already bound.

        ``tensors``: all of them; emptied of those that are not needed any more, so that their memory,
        where nobody else holds them, is the next stage's to use.

        Returns the claims on those that are deferred.
        """
        checks = self.checks
        with timer.phase("commit"):
            lookers = checks.lookers(tensors)
            counts = self._counts(target, lookers)
            opened = [*given, *self._commit_witness(transcript, target, tensors, counts)]
        with timer.phase("lookups"):

            def done(places: list[tuple[int, int]]) -> None:
                last = [place for place in places if checks.at(*place).is_last]
                for l, k in last:
                    lookers[l][k] = None
                _let_go(target, tensors, [checks.at(*place).name for place in last])

            ranged = self._ranges.prove(transcript, target, lookers, counts, done)
        ledger = Ledger(checks.on_counts(ranged))
        run = ProverRun(self.field, transcript, checks.values(ranged), ledger, target, tensors)
        with timer.phase("sumchecks"):
            for operator in reversed(self.operators):
                operator.prove(run)
            indices = {index for one in self.lookups for _, index, _ in one.outputs}
            _let_go(target, tensors, set(tensors) - indices)
        with timer.phase("lookups"):
            opened += [self._prove_lookup(run, one) for one in self.lookups]
        with timer.phase("opening"):
            claims = self._claims(ledger, [data.commitment.names for data in opened])
            shown, left = self._split(opened, claims)
            self.scheme.prove(transcript, target, shown)
        return left

    def verify(self, transcript: VerifierTranscript, given: Sequence[Commitment]) -> list[Claim]:
        """Raises ProofRejected unless all holds; the statement is already bound.

        Returns the claims on commitments that are deferred, without which nothing is shown.
        """
        checks = self.checks
        opened = [*given, self._receive(transcript, "witness", self.witness)]
        opened.append(self._receive(transcript, "counts", checks.counts))
        ranged = self._ranges.verify(transcript)
        ledger = Ledger(checks.on_counts(ranged))
        run = Run(self.field, transcript, checks.values(ranged), ledger)
        for operator in reversed(self.operators):
            operator.verify(run)
        opened += [self._verify_lookup(run, one) for one in self.lookups]
        claims = self._claims(ledger, [data.names for data in opened])
        shown, left = self._split(opened, claims)
        self.scheme.verify(transcript, shown)
        return left

    def _split(
        self, opened: Sequence[Any], claims: Sequence[list[Claim]]
    ) -> tuple[list[tuple[Any, list[Claim]]], list[Claim]]:
        """(commitments and claims to show here, claims on those that are deferred)."""
        later = [name in self.deferred for name in self.given]
        later += [False] * (len(opened) - len(later))
        pairs = list(zip(opened, claims, strict=True))
        left = [c for late, (_, of) in zip(later, pairs, strict=True) if late for c in of]
        return [pair for late, pair in zip(later, pairs, strict=True) if not late], left

    def _counts(self, target: Target, lookers: Sequence[Sequence[Array]]) -> list[np.ndarray]:
        pairs = zip(self.checks.lookups, lookers, strict=True)
        return [multiplicities(target, *pair) for pair in pairs]

    def _commit_witness(
        self,
        transcript: ProverTranscript,
        target: Target,
        tensors: Tensors,
        counts: Sequence[np.ndarray],
    ) -> list[ProverData]:
        """Multiplicities, which need more bits, are a commitment of their own."""
        shapes = self.checks.counts
        witness = {
            name: self._signed(tensors[name]) if name in self.unsigned else tensors[name]
            for name in self.witness
        }
        numbers = {n: target.to_device(c) for n, c in zip(shapes, counts, strict=True)}
        return [
            self._commit(transcript, target, "witness", witness, self.witness),
            self._commit(transcript, target, "counts", numbers, shapes),
        ]

    def _signed(self, array: Array) -> Any:
        """Unsigned 16-bit integers less 2^15."""
        return Centred(array)

    def _commit(
        self,
        transcript: ProverTranscript,
        target: Target,
        label: str,
        tensors: Tensors,
        shapes: Mapping[str, Shape],
    ) -> ProverData:
        data = self.scheme.commit(target, tensors, shapes)
        transcript.send_bytes(label, data.commitment.root)
        return data

    def _receive(
        self, transcript: VerifierTranscript, label: str, shapes: Mapping[str, Shape]
    ) -> Commitment:
        return self.scheme.commitment(transcript.receive_bytes(label, 32), shapes)

    def _prove_lookup(self, run: ProverRun, lookup: TableLookup) -> ProverData:
        shapes = lookup.pushed_shapes(self.field)
        committed: list[ProverData] = []

        def commit(pushed: Array) -> None:
            words = run.target.to_host(pushed).reshape(-1, self.field.degree)
            columns = {
                name: run.target.to_device(np.ascontiguousarray(words[:, d]))
                for d, name in enumerate(shapes)
            }
            committed.append(self._commit(run.transcript, run.target, lookup.name, columns, shapes))

        indices = [run.tensors[index] for _, index, _ in lookup.outputs]
        outputs = lookup.take(run.ledger)
        claims = self._protocol(lookup).prove(run.transcript, run.target, indices, outputs, commit)
        lookup.book(self.field, run.ledger, claims)
        return committed[0]

    def _verify_lookup(self, run: Run, lookup: TableLookup) -> Commitment:
        committed: list[Commitment] = []
        shapes = lookup.pushed_shapes(self.field)

        def receive() -> None:
            committed.append(self._receive(run.transcript, lookup.name, shapes))

        outputs = lookup.take(run.ledger)
        claims = self._protocol(lookup).verify(run.transcript, outputs, receive)
        lookup.book(self.field, run.ledger, claims)
        return committed[0]

    def _claims(self, ledger: Ledger, names: Sequence[Sequence[str]]) -> list[list[Claim]]:
        """The claims on each commitment; there must not be others."""
        claims = [[self._on_signed(claim) for claim in ledger.on(one)] for one in names]
        if max(map(len, claims)) > self.most_claims:
            raise RuntimeError(f"a commitment has more than {self.most_claims} claims")
        if sum(map(len, claims)) != len(ledger.claims):
            left = {c.tensor for c in ledger.claims} - {name for one in names for name in one}
            raise RuntimeError(f"claims are left on virtual tensors: {sorted(left)}")
        return claims

    def _on_signed(self, claim: Claim) -> Claim:
        """What a claim on unsigned integers says of those that are committed in their place."""
        if claim.tensor not in self.unsigned:
            return claim
        total = sum_of_weights(claim.functional, self._shapes[claim.tensor])
        return replace(claim, value=claim.value - (1 << 15) * total)
