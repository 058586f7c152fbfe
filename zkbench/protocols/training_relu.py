"""ReLU by bits as operators of a program, in place of the tables that ``Rescaled`` and lookups use.

Two, for in a stack of layers claims on ReLU's outputs come from products that take the claim on their
own sums first: ``SumsFromBits`` stands where a ``Rescaled`` would, and ``ReluFromBits`` before all
operators that read what it speaks of, so that it is proven after them. Committed is the tensor of bits
alone; y, outputs and derivatives are virtual.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zkbench.fields import Field
from zkbench.protocols.causal_tiles import Weighted
from zkbench.protocols.gkr import Shape
from zkbench.protocols.program import ProverRun, Run, axis_weights
from zkbench.protocols.range_checks import RangeCheck
from zkbench.protocols.zkrelu_bits import BitClaims, ReluClaims, ZkReluBits
from zkbench.security import Term


@dataclass(frozen=True)
class SumsFromBits:
    """ "y.sum", of this shape, are the sums whose bits are ``bits``, of shape (16 + shift, *shape)."""

    y: str
    bits: str
    shape: Shape
    shift: int

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        return ()

    def _protocol(self, field: Field) -> ZkReluBits:
        return ZkReluBits(field, self.shape, self.shift)

    def prove(self, run: ProverRun) -> None:
        bits = run.tensors[self.bits]
        self._book(run, self._protocol(run.field).prove_bits(run.transcript, run.target, bits))

    def verify(self, run: Run) -> None:
        self._book(run, self._protocol(run.field).verify_bits(run.transcript))

    def _book(self, run: Run, claims: BitClaims) -> None:
        book_bits(run, self.bits, claims.bits)
        run.ledger.add_value(f"{self.y}.sum", claims.accumulators)

    def soundness_terms(self, field: Field) -> list[Term]:
        return named(self.y, self._protocol(field).bits_terms())


@dataclass(frozen=True)
class ReluFromBits:
    """``outputs`` = max(y, 0) and ``active`` = [y >= 0], and y itself, of the y whose bits are ``bits``.

    most_claims: on the outputs, for the soundness terms.
    """

    y: str
    outputs: str
    active: str
    bits: str
    shape: Shape
    shift: int
    most_claims: int = 1 << 10

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        return ()

    def _protocol(self, field: Field) -> ZkReluBits:
        return ZkReluBits(field, self.shape, self.shift)

    def prove(self, run: ProverRun) -> None:
        claims, bits = self._taken(run), run.tensors[self.bits]
        protocol = self._protocol(run.field)
        found = protocol.prove_outputs(run.transcript, run.target, bits, claims)
        book_bits(run, self.bits, found)

    def verify(self, run: Run) -> None:
        claims = self._taken(run)
        found = self._protocol(run.field).verify_outputs(run.transcript, claims)
        book_bits(run, self.bits, found)

    def _taken(self, run: Run) -> ReluClaims:
        names = (self.outputs, self.active, self.y)
        outputs, active, quotients = (
            [(axis_weights(claim), claim.value) for claim in run.ledger.take(name)]
            for name in names
        )
        if not 0 < len(outputs) <= self.most_claims:
            raise RuntimeError(
                f"{self.outputs} has {len(outputs)} claims, not 1 to {self.most_claims}"
            )
        return ReluClaims(outputs, active, quotients)

    def soundness_terms(self, field: Field) -> list[Term]:
        return named(self.outputs, self._protocol(field).output_terms(self.most_claims))


def book_bits(run: Run, bits: str, claims: Sequence[Weighted]) -> None:
    for weights, value in claims:
        run.ledger.add(bits, weights, value)


def named(tensor: str, terms: Sequence[Term]) -> list[Term]:
    return [Term(f"{tensor}: {term.name}", term.bits) for term in terms]
