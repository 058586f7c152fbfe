"""The operators of language models, as a program runs them: see program.py.

Each ties named tensors together by one of the protocols. Conventions: the accumulators that are rescaled
to a committed tensor y are the virtual tensor "y.sum", and their remainders "y.remainders".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from zkbench.commitments.claims import Claim, Value
from zkbench.fields import Field
from zkbench.protocols.argmax import ArgMax
from zkbench.protocols.axes import split_point
from zkbench.protocols.gkr import Shape
from zkbench.protocols.hadamard import Hadamard
from zkbench.protocols.linear import Linear
from zkbench.protocols.matmul import MatMul
from zkbench.protocols.program import ProverRun, Run
from zkbench.protocols.range_checks import RangeCheck
from zkbench.protocols.rescale import VALUE_BITS, Rescale
from zkbench.protocols.rmsnorm import RMSNorm, RMSNormClaims, RMSNormWitness
from zkbench.protocols.rotary import Rotary
from zkbench.protocols.rotary_tables import RotaryTables
from zkbench.protocols.zkattn import AttentionClaims, AttentionWitness, ZkAttn
from zkbench.security import Term

Element = Any


@dataclass(frozen=True)
class Rescaled:
    """``y``, int16, is "y.sum" divided by 2^shift and rounded.

    is_index: y is looked up in a table of all int16, which checks its range.
    """

    y: str
    shape: Shape
    shift: int
    is_index: bool = False

    def _protocol(self, field: Field) -> Rescale:
        return Rescale(field, self.shape, self.shift)

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        size = 1 << VALUE_BITS
        name = f"{self.y}.remainders"
        remainders = RangeCheck(name, 1 << self.shift, self.shape, is_last=True)
        values = RangeCheck(self.y, size, self.shape, size // 2)
        return (remainders,) if self.is_index else (remainders, values)

    def prove(self, run: ProverRun) -> None:
        remainder, y = run.ranged[f"{self.y}.remainders"], run.tensors[self.y]
        self._book(run, *self._protocol(run.field).prove(run.transcript, run.target, y, remainder))

    def verify(self, run: Run) -> None:
        remainder = run.ranged[f"{self.y}.remainders"]
        self._book(run, *self._protocol(run.field).verify(run.transcript, remainder))

    def _book(self, run: Run, accumulator: Value, quotient: Value) -> None:
        run.ledger.add_value(f"{self.y}.sum", accumulator)
        run.ledger.add_value(self.y, quotient)
        if not self.is_index:
            run.ledger.add_value(self.y, run.ranged[self.y])

    def soundness_terms(self, field: Field) -> list[Term]:
        """That of the range checks."""
        return []


@dataclass(frozen=True)
class LinearLayer:
    """ "y.sum" = x W + b over a stack.

    rows: the axes of the rows in x, of ``x_rows`` axes there and of ``y_rows`` in y: positions are one
    axis or, in attention, blocks and positions inside them.
    """

    y: str
    x: str
    weights: str
    bias: str | None
    layers: int
    rows: Shape
    d_in: Shape
    d_out: Shape
    x_rows: Shape
    y_rows: Shape

    @property
    def _sizes(self) -> tuple[int, Shape, Shape, Shape]:
        return self.layers, self.rows, self.d_in, self.d_out

    def prove(self, run: ProverRun) -> None:
        claim = self._taken(run)
        x, w = run.tensors[self.x], run.tensors[self.weights]
        if self.bias is None:
            matmul = MatMul(run.field, *self._sizes)
            self._book(run, *matmul.prove(run.transcript, run.target, x, w, claim))
            return
        linear, bias = Linear(run.field, *self._sizes), run.tensors[f"{self.bias}.lifted"]
        claims = linear.prove(run.transcript, run.target, x, w, bias, claim)
        self._book(run, claims.inputs, claims.weights, claims.bias)

    def verify(self, run: Run) -> None:
        claim = self._taken(run)
        if self.bias is None:
            self._book(run, *MatMul(run.field, *self._sizes).verify(run.transcript, claim))
            return
        claims = Linear(run.field, *self._sizes).verify(run.transcript, claim)
        self._book(run, claims.inputs, claims.weights, claims.bias)

    def _taken(self, run: Run) -> Value:
        value = run.ledger.take_value(f"{self.y}.sum")
        return Value(regrouped(value.point, 1, len(self.y_rows), self.rows), value.value)

    def _book(self, run: Run, inputs: Value, weights: Value, bias: Value | None = None) -> None:
        point = regrouped(inputs.point, 1, len(self.rows), self.x_rows)
        run.ledger.add_value(self.x, Value(point, inputs.value))
        run.ledger.add_value(self.weights, weights)
        if bias is not None:
            assert self.bias is not None
            run.ledger.add_value(self.bias, bias)

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        return ()

    def soundness_terms(self, field: Field) -> list[Term]:
        terms = MatMul(field, *self._sizes).soundness_terms()
        return [Term(f"{self.y}: {term.name}", term.bits) for term in terms]


@dataclass(frozen=True)
class AddedProduct:
    """A part x W of "y.sum", for all layers; the claim on "y.sum" goes on to be one on the rest."""

    y: str
    x: str
    weights: str
    layers: int
    rows: Shape
    d_in: Shape
    d_out: Shape

    def _protocol(self, field: Field) -> MatMul:
        return MatMul(field, self.layers, self.rows, self.d_in, self.d_out)

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        return ()

    def prove(self, run: ProverRun) -> None:
        claim = run.ledger.take_value(f"{self.y}.sum")
        x, w = run.tensors[self.x], run.tensors[self.weights]
        product = self._protocol(run.field)
        values = product.prove_value(run.transcript, run.target, x, w, claim.point)
        self._book(run, claim, *values)

    def verify(self, run: Run) -> None:
        claim = run.ledger.take_value(f"{self.y}.sum")
        values = self._protocol(run.field).verify_value(run.transcript, claim.point)
        self._book(run, claim, *values)

    def _book(self, run: Run, claim: Value, product: Value, inputs: Value, weights: Value) -> None:
        rest = Value(claim.point, claim.value - product.value)
        run.ledger.add_value(f"{self.y}.sum", rest)
        run.ledger.add_value(self.x, inputs)
        run.ledger.add_value(self.weights, weights)

    def soundness_terms(self, field: Field) -> list[Term]:
        terms = self._protocol(field).soundness_terms()
        return [Term(f"{self.y}: {term.name}, added", term.bits) for term in terms]


def regrouped(
    point: Sequence[tuple[Element, ...]], start: int, count: int, shape: Shape
) -> tuple[tuple[Element, ...], ...]:
    """A point with its ``count`` axes from ``start`` on joined to one and cut into those of ``shape``.

    Right where all axes on both sides but the first have a power of two as length.
    """
    flat = [r for axis in reversed(point[start : start + count]) for r in axis]
    return (*point[:start], *split_point(flat, shape), *point[start + count :])


@dataclass(frozen=True)
class EntrywiseProduct:
    """ "y.sum" is the entrywise product of two tensors."""

    y: str
    factors: tuple[str, str]
    shape: Shape

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        return ()

    def prove(self, run: ProverRun) -> None:
        tables = [run.tensors[name] for name in self.factors]
        claim = run.ledger.take_value(f"{self.y}.sum")
        self._book(run, self._protocol(run).prove(run.transcript, run.target, tables, claim))

    def verify(self, run: Run) -> None:
        claim = run.ledger.take_value(f"{self.y}.sum")
        self._book(run, self._protocol(run).verify(run.transcript, claim))

    def _protocol(self, run: Run) -> Hadamard:
        return Hadamard(run.field, self.shape)

    def _book(self, run: Run, values: Sequence[Value]) -> None:
        for name, value in zip(self.factors, values, strict=True):
            run.ledger.add_value(name, value)

    def soundness_terms(self, field: Field) -> list[Term]:
        return Hadamard(field, self.shape).soundness_terms()


@dataclass(frozen=True)
class Names:
    """A protocol's own names of tensors, as the program knows them: "prefix.name", or an alias."""

    prefix: str
    aliases: Mapping[str, str]

    def __call__(self, local: str) -> str:
        return self.aliases.get(local, f"{self.prefix}.{local}")

    def checks(self, checks: Sequence[RangeCheck]) -> tuple[RangeCheck, ...]:
        return tuple(replace(check, name=self(check.name)) for check in checks)

    def values(self, run: Run, checks: Sequence[RangeCheck]) -> dict[str, Value]:
        """The range checks' claims, by the protocol's own names."""
        return {check.name: run.ranged[self(check.name)] for check in checks}

    def witness(self, run: ProverRun, kind: Any) -> Any:
        """A protocol's witness: a dataclass of tensors; None for those that only lookups needed."""
        return kind(**{one.name: run.tensors.get(self(one.name)) for one in fields(kind)})

    def book(self, run: Run, claims: Sequence[Claim]) -> None:
        run.ledger.claims += [replace(claim, tensor=self(claim.tensor)) for claim in claims]


@dataclass(frozen=True)
class Attention:
    """zkAttn. The claims on P are on the tensor "weights" of its names, for a table lookup to show."""

    protocol: ZkAttn
    names: Names

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        return self.names.checks(self.protocol.range_checks)

    def prove(self, run: ProverRun) -> None:
        witness = self.names.witness(run, AttentionWitness)
        values = self.names.values(run, self.protocol.range_checks)
        claims = self.protocol.prove_claims(run.transcript, run.target, witness, values)
        self._book(run, claims)

    def verify(self, run: Run) -> None:
        values = self.names.values(run, self.protocol.range_checks)
        self._book(run, self.protocol.verify_claims(run.transcript, values))

    def _book(self, run: Run, claims: AttentionClaims) -> None:
        self.names.book(run, claims.committed)
        for claim in claims.weights:
            run.ledger.add(self.names("weights"), claim.weights, claim.value)

    def soundness_terms(self, field: Field) -> list[Term]:
        return self.protocol.soundness_terms()


@dataclass(frozen=True)
class Norm:
    """RMSNorm of the tensor "inputs" of its names."""

    protocol: RMSNorm
    names: Names

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        return self.names.checks(self.protocol.range_checks)

    def prove(self, run: ProverRun) -> None:
        witness = self.names.witness(run, RMSNormWitness)
        values = self.names.values(run, self.protocol.range_checks)
        claims = self.protocol.prove_claims(run.transcript, run.target, witness, values)
        self._book(run, claims)

    def verify(self, run: Run) -> None:
        values = self.names.values(run, self.protocol.range_checks)
        self._book(run, self.protocol.verify_claims(run.transcript, values))

    def _book(self, run: Run, claims: RMSNormClaims) -> None:
        self.names.book(run, claims.committed)
        for weights, value in claims.inputs:
            run.ledger.add(self.names("inputs"), weights, value)

    def soundness_terms(self, field: Field) -> list[Term]:
        return self.protocol.soundness_terms()


@dataclass(frozen=True, eq=False)
class Rotation:
    """ "y.sum" is x with its heads' vectors turned."""

    y: str
    x: str
    shape: Shape
    tables: RotaryTables

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        return ()

    def prove(self, run: ProverRun) -> None:
        claim, x = run.ledger.take_value(f"{self.y}.sum"), run.tensors[self.x]
        value = Rotary(run.field, self.shape).prove(
            run.transcript, run.target, x, self.tables, claim
        )
        run.ledger.add_value(self.x, value)

    def verify(self, run: Run) -> None:
        claim = run.ledger.take_value(f"{self.y}.sum")
        value = Rotary(run.field, self.shape).verify(run.transcript, self.tables, claim)
        run.ledger.add_value(self.x, value)

    def soundness_terms(self, field: Field) -> list[Term]:
        return Rotary(field, self.shape).soundness_terms()


@dataclass(frozen=True, eq=False)
class Chosen:
    """``labels`` are the first largest entries of the rows of ``logits``, 1 x rows x classes, int16."""

    logits: str
    labels: np.ndarray
    classes: int

    @property
    def differences(self) -> str:
        return f"{self.logits}.differences"

    def protocol(self, field: Field) -> ArgMax:
        return ArgMax(field, len(self.labels), self.classes)

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        shape = (len(self.labels), self.classes)
        return (RangeCheck(self.differences, 1 << VALUE_BITS, shape),)

    def prove(self, run: ProverRun) -> None:
        shape = (len(self.labels), self.classes)
        logits = run.target.to_host(run.tensors[self.logits]).reshape(shape)
        claim = run.ranged[self.differences]
        claims = self.protocol(run.field).prove(run.transcript, logits, self.labels, claim)
        self._book(run, claims)

    def verify(self, run: Run) -> None:
        claim = run.ranged[self.differences]
        self._book(run, self.protocol(run.field).verify(run.transcript, self.labels, claim))

    def _book(self, run: Run, claims: Sequence[tuple[Any, Element]]) -> None:
        for functional, value in claims:
            run.ledger.add(self.logits, functional, value)

    def soundness_terms(self, field: Field) -> list[Term]:
        """That of the range checks."""
        return []
