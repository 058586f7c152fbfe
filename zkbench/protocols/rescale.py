"""Rescaling: acc + 2^(s-1) = 2^s y + rem with 0 <= rem < 2^s, entry by entry.

y is the committed quotient, rem is virtual: only its range check (a lookup into [0, 2^s)) touches it.
That lookup leaves a claim on rem's extension at z; with the quotient's value at z, which the prover
sends, the accumulators' value there is forced:

    acc(z) = rem(z) + 2^s y(z) - 2^(s-1) 1(z)       (1: the tensor that is 1 at every real entry)

The caller must check the claims on y and acc, and that *y* is in range too: without that, every rem
has a quotient modulo p (the gap in published code that DESIGN section 2 names). With y in 16 bits and
s <= 24, 2^s y + rem stays below 2^40, so (y, rem) is unique and equal over the integers.

No rounds of its own; one element is sent. Soundness: that of the lookup.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zkbench.commitments.claims import Value
from zkbench.fields import Field
from zkbench.kernels.launch import Array, Target
from zkbench.protocols.evaluate import extension_of_integers
from zkbench.protocols.gkr import Shape
from zkbench.protocols.tlookup import Lookup, TLookup, indicator
from zkbench.security import Term
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any
VALUE_BITS = 16  # of a quotient


@dataclass(frozen=True)
class Rescale:
    """A stack of this shape, divided by 2^shift and rounded half up."""

    field: Field
    shape: Shape
    shift: int

    @property
    def range_checks(self) -> tuple[Lookup, ...]:
        """Lookups of the remainders in [0, 2^s), then of the quotients in int16."""
        size, half = 1 << VALUE_BITS, 1 << (VALUE_BITS - 1)
        if self.shift == VALUE_BITS:  # one table serves both
            return (Lookup(size, (self.shape, self.shape), (0, half)),)
        return Lookup(1 << self.shift, (self.shape,)), Lookup(size, (self.shape,), (half,))

    def soundness_terms(self) -> list[Term]:
        """Each source of error, with its bits: those of ``range_checks``."""
        return TLookup(self.field, self.range_checks).soundness_terms()

    def prove(
        self, transcript: ProverTranscript, target: Target, quotients: Array, remainder: Value
    ) -> tuple[Value, Value]:
        """Returns the claims on the accumulators and on the quotients (int16 on the target)."""
        value = extension_of_integers(target, self.field, quotients, self.shape, remainder.point)
        transcript.send("quotient", [value])
        return self._claims(remainder, value)

    def verify(self, transcript: VerifierTranscript, remainder: Value) -> tuple[Value, Value]:
        """Returns the claims on the accumulators and on the quotients that the caller must check."""
        (value,) = transcript.receive("quotient", 1)
        return self._claims(remainder, value)

    def _claims(self, remainder: Value, quotient: Element) -> tuple[Value, Value]:
        half = indicator(self.shape, remainder.point) * (1 << (self.shift - 1))
        accumulator = remainder.value + quotient * (1 << self.shift) - half
        return Value(remainder.point, accumulator), Value(remainder.point, quotient)
