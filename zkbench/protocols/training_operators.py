"""The three matrix products of training, for all steps and layers of a stack: models/training/rule.py.

A stack s holds T steps of L layers: its tensors' first axis is (step, layer), entry t L + j, of length
``size`` = T L. Names: y{s} quotients, x{s} inputs, e{s} errors behind it, d{s} those that it hands down,
w{s} and b{s} parameters, u{s} and v{s} their updates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zkbench.commitments.claims import AxisWeights, EqAxis, OnesAxis, Value
from zkbench.fields import Field
from zkbench.protocols.gkr import Shape
from zkbench.protocols.hadamard import Hadamard
from zkbench.protocols.matmul import MatMul
from zkbench.protocols.program import ProverRun, Run
from zkbench.protocols.range_checks import RangeCheck
from zkbench.protocols.scripted import Part, Scripted, told
from zkbench.protocols.tlookup import indicator
from zkbench.security import Term


@dataclass(frozen=True)
class TrainedLayer:
    """ "y.sum" = x W + 2^log_one b, for all steps and layers of stack ``s``; ``size`` = T L."""

    s: int
    size: int
    batch: int
    d_in: int
    d_out: int
    log_one: int

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        return ()

    def _matmul(self, field: Field) -> MatMul:
        sizes = self.size, self.batch, self.d_in, self.d_out
        return MatMul(field, *sizes, wide_weights=True)

    def prove(self, run: ProverRun) -> None:
        product = self._without_bias(run)
        x, w = run.tensors[f"x{self.s}"], run.tensors[f"w{self.s}"]
        self._book(run, *self._matmul(run.field).prove(run.transcript, run.target, x, w, product))

    def verify(self, run: Run) -> None:
        product = self._without_bias(run)
        self._book(run, *self._matmul(run.field).verify(run.transcript, product))

    def _without_bias(self, run: Run) -> Value:
        claim = run.ledger.take_value(f"y{self.s}.sum")
        at_layer, at_row, at_out = claim.point
        weights, name = AxisWeights.at((at_layer, at_out)), f"b{self.s}"
        (bias,) = told(run, "bias", [Part(name, (self.size, self.d_out), weights, wide=True)])
        run.ledger.add(name, weights, bias)
        ones = indicator((self.batch,), (at_row,)) * (1 << self.log_one)
        return Value(claim.point, claim.value - ones * bias)

    def _book(self, run: Run, inputs: Value, weights: Value) -> None:
        run.ledger.add_value(f"x{self.s}", inputs)
        run.ledger.add_value(f"w{self.s}", weights)

    def soundness_terms(self, field: Field) -> list[Term]:
        terms = self._matmul(field).soundness_terms()
        return [Term(f"y{self.s}: {term.name}", term.bits) for term in terms]


@dataclass(frozen=True)
class ErrorsBehind:
    """ "d.sum" = (e W^T) * active, entry by entry: what a stack hands down to the layers before."""

    s: int
    size: int
    batch: int
    d_in: int
    d_out: int

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        return ()

    def _mask(self, field: Field) -> Hadamard:
        return Hadamard(field, (self.size, self.batch, self.d_in))

    def _matmul(self, field: Field) -> MatMul:
        sizes = self.size, self.batch, self.d_out, self.d_in
        return MatMul(field, *sizes, w_transposed=True, wide_weights=True)

    def prove(self, run: ProverRun) -> None:
        claim = run.ledger.take_value(f"d{self.s}.sum")
        tables = [run.tensors[f"p{self.s}"], run.tensors[f"active{self.s}"]]
        product = self._masked(
            run, self._mask(run.field).prove(run.transcript, run.target, tables, claim)
        )
        e, w = run.tensors[f"e{self.s}"], run.tensors[f"w{self.s}"]
        self._book(run, *self._matmul(run.field).prove(run.transcript, run.target, e, w, product))

    def verify(self, run: Run) -> None:
        claim = run.ledger.take_value(f"d{self.s}.sum")
        product = self._masked(run, self._mask(run.field).verify(run.transcript, claim))
        self._book(run, *self._matmul(run.field).verify(run.transcript, product))

    def _masked(self, run: Run, values: Sequence[Value]) -> Value:
        product, active = values
        run.ledger.add_value(f"active{self.s}", active)
        return product

    def _book(self, run: Run, errors: Value, weights: Value) -> None:
        run.ledger.add_value(f"e{self.s}", errors)
        run.ledger.add_value(f"w{self.s}", weights)

    def soundness_terms(self, field: Field) -> list[Term]:
        terms = self._mask(field).soundness_terms() + self._matmul(field).soundness_terms()
        return [Term(f"d{self.s}: {term.name}", term.bits) for term in terms]


@dataclass(frozen=True)
class WeightUpdates:
    """ "u.sum" = factor x^T e + carry * (the updates of the step before)."""

    s: int
    size: int
    batch: int
    d_in: int
    d_out: int
    factor: int
    carry: int

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        return ()

    def _matmul(self, field: Field) -> MatMul:
        return MatMul(field, self.size, self.d_in, self.batch, self.d_out, x_transposed=True)

    def prove(self, run: ProverRun) -> None:
        shape = (self.size, self.d_in, self.d_out)
        claim = gradient_claim(run, f"u{self.s}", shape, self.factor, self.carry)
        x, e = run.tensors[f"x{self.s}"], run.tensors[f"e{self.s}"]
        self._book(run, *self._matmul(run.field).prove(run.transcript, run.target, x, e, claim))

    def verify(self, run: Run) -> None:
        shape = (self.size, self.d_in, self.d_out)
        claim = gradient_claim(run, f"u{self.s}", shape, self.factor, self.carry)
        self._book(run, *self._matmul(run.field).verify(run.transcript, claim))

    def _book(self, run: Run, inputs: Value, errors: Value) -> None:
        run.ledger.add_value(f"x{self.s}", inputs)
        run.ledger.add_value(f"e{self.s}", errors)

    def soundness_terms(self, field: Field) -> list[Term]:
        terms = self._matmul(field).soundness_terms()
        return [Term(f"u{self.s}: {term.name}", term.bits) for term in terms]


@dataclass(frozen=True)
class BiasUpdates(Scripted):
    """ "v.sum" = factor (sum of e's rows) + carry * (the updates of the step before)."""

    s: int
    size: int
    d_out: int
    factor: int
    carry: int

    def script(self, run: Run) -> None:
        shape = (self.size, self.d_out)
        claim = gradient_claim(run, f"v{self.s}", shape, self.factor, self.carry)
        at_layer, at_out = claim.point
        weights = AxisWeights((EqAxis(at_layer), OnesAxis(), EqAxis(at_out)))
        run.ledger.add(f"e{self.s}", weights, claim.value)


def gradient_claim(run: Run, name: str, shape: Shape, factor: int, carry: int) -> Value:
    """From the claim on an update's sums to one on the gradients in them.

    The factor is not zero in the field, so the sums determine the gradients.
    """
    claim = run.ledger.take_value(f"{name}.sum")
    value = claim.value
    if carry:
        part = Part(f"{name}.before", shape, AxisWeights.at(claim.point))
        (before,) = told(run, "before", [part])
        run.ledger.add(part.tensor, part.weights, before)
        value = value - carry * before
    return Value(claim.point, value * run.field.element(factor).inverse())
