"""zkReLU by bits: rescaling, ReLU and its derivative, all from one committed tensor of bits.

Claim: for a stack of accumulators acc of any shape and a shift s, 1 <= s <= 24,

    acc + 2^(s-1) = 2^s y + rem,    y in int16,    0 <= rem < 2^s,    a = max(y, 0),    active = [y >= 0]

so the derivative of ReLU is 1 at y = 0. Committed is B[k, entry], k < 16 + s: bit k of the number T that
acc + 2^(s-1) is when 2^(s+15) are added to it, lowest bit first. Where all entries are 0 or 1, T is in
[0, 2^(s+16)) and nothing is left to choose:

    T   = sum over k of 2^k B[k]             acc = T - 2^(s-1) - 2^(s+15)
    low = sum over k < 15 of 2^k B[s + k]    active = B[s + 15]
    y   = low + 2^15 active - 2^15           a = active low

acc is right modulo p, and so over the integers if it is known to be below 2^62 in magnitude, as sums in
this suite are. All but a is linear in B. Two parts, for in a network the claims on a come from products
whose accumulators the first part speaks of:

    bits      at a random point r, the prover sends v = B(r); sum of eq(r, .) B^2 = v by a sumcheck of
              one table (square_sums.py), which ends at (kappa, z). The prover sends B(kappa, z) and
              T(z), two weighted sums of the planes B[k] at z, which a random delta joins to one claim.
    outputs   claims on a are claims on a product (claims_on_products.py): with gamma to join their
              weights, a sumcheck of degree 3 leaves active(z') and low(z'), again joined to one claim.
              Claims on active and y, of any number, are claims on B as they are.

The caller must check the claims returned: those on B, and the accumulators' extension at z, a point
that nobody knew when B was committed. The axis of bits comes *first*: explicit weights on the last one
would keep the opening from binding a block of entries at once (commitments/unification.py).

Rounds: log2 of the entries of B, and log2 of those of acc. Sent besides: v and four values. Soundness
error, m and n being these two numbers: m / |E| for r, 3 m / |E| for the first sumcheck, n / |E| for z
(accumulators that are not those of B), claims / |E| for gamma, 4 n / |E| for the second sumcheck, and
1 / |E| for each delta.

Prover, for each bit: about 5 multiplications in E and 4 of an element of E by an integer for its square,
one more of these for each claim and each value sent, and 3 bytes of tables; for each value: 30
multiplications in E and 72 bytes for the claims on a, and a commitment to 16 + s entries. The version by
tables (rescale.py, logup_star.py with tables.py: Relu, Sign) has three lookups, some 40 multiplications
in E a value, and commits to one entry a value and five vectors as long as the tables. So for s = 16
bits were to cost five times the multiplications and 32 times the entries, and next to nothing that does
not grow with the stack. Measured on two cores, everything opened: 4.5 us a value against 0.95 at 2^18
values (1.5 for this protocol, 1.7 and 1.2 to commit and to open; 0.6 for the lookups), and 0.08 s
against 0.27 in all at 2^12, even at 2^14; proofs of 280 kB against 342, and 117 against 278. Verifier:
the rounds, and the weights of the claims at z'.

zkReLU is from zkDL (arXiv 2307.16273), which commits to the same bits by Pedersen vectors and
shows them to be bits by inner products. Here a sumcheck does that, the sign's bit is committed as its
complement, so that the bits are those of one number, and the rescaling of the gradient is an operator of
its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zkbench.commitments.claims import AxisWeights, Value, VectorAxis, sum_of_weights
from zkbench.fields import Field
from zkbench.kernels.contract import contract
from zkbench.kernels.eq import eq_at
from zkbench.kernels.launch import Array, Target
from zkbench.protocols.causal_tiles import Weighted
from zkbench.protocols.claims_on_products import ClaimsOnProducts
from zkbench.protocols.evaluate import extension_of_integers, sum_of_integers
from zkbench.protocols.gkr import Shape, depth
from zkbench.protocols.integer_products import lift
from zkbench.protocols.square_sums import SquareStatement
from zkbench.protocols.sumcheck import Sumcheck, axes_at, split_point
from zkbench.protocols.tlookup import count, indicator
from zkbench.security import Term, error_bits
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any
Point = Sequence[tuple[Element, ...]]
VALUE_BITS = 16  # of y
_LOW_BITS = VALUE_BITS - 1
MAX_SHIFT = 24


def relu_bits(accumulators: Any, shift: int, dtype: Any = np.int8) -> Any:
    """B for int64 accumulators of any shape: (16 + shift, *shape) of ``dtype``, where they lie.

    Raises ValueError if a y is no int16: there are no such bits then.
    """
    number = accumulators + ((1 << (shift - 1)) + (1 << (shift + _LOW_BITS)))
    length = VALUE_BITS + shift
    if bool((number >> length).any()):
        raise ValueError(
            "an accumulator's quotient exceeds 16 bits, so it has no bits to commit to"
        )
    bits = np.empty((length, *number.shape), dtype=dtype, like=number)
    for k in range(length):
        bits[k] = ((number >> k) & 1).astype(dtype)
    return bits


@dataclass(frozen=True)
class ReluClaims:
    """Weighted sums of a, of active and of y."""

    outputs: Sequence[Weighted]
    active: Sequence[Weighted] = ()
    quotients: Sequence[Weighted] = ()


@dataclass(frozen=True)
class BitClaims:
    """What is left to be checked: weighted sums of B, and the accumulators at a random point."""

    bits: tuple[Weighted, ...]
    accumulators: Value


@dataclass(frozen=True)
class ZkReluBits:
    """A stack of this shape, divided by 2^shift and rounded half up, and its ReLU."""

    field: Field
    shape: Shape
    shift: int

    def __post_init__(self) -> None:
        if not 1 <= self.shift <= MAX_SHIFT:
            raise ValueError(f"a shift of {self.shift}, which is not from 1 to {MAX_SHIFT}")

    @property
    def bits_shape(self) -> Shape:
        """Of B: the tensor to commit to."""
        return (VALUE_BITS + self.shift, *self.shape)

    def prove(
        self, transcript: ProverTranscript, target: Target, bits: Array, claims: ReluClaims
    ) -> BitClaims:
        """``bits``: B, flat signed integers on the target."""
        found = self.prove_bits(transcript, target, bits)
        more = self.prove_outputs(transcript, target, bits, claims)
        return BitClaims((*found.bits, *more), found.accumulators)

    def verify(self, transcript: VerifierTranscript, claims: ReluClaims) -> BitClaims:
        """Returns the claims that the caller must check."""
        found = self.verify_bits(transcript)
        more = self.verify_outputs(transcript, claims)
        return BitClaims((*found.bits, *more), found.accumulators)

    # All entries of B are bits, and those of the accumulators.

    def prove_bits(self, transcript: ProverTranscript, target: Target, bits: Array) -> BitClaims:
        """The first part, which needs no claims."""
        r = transcript.challenges("bits", depth(self.bits_shape))
        start = Value(tuple(split_point(r, self.bits_shape)), self._at(target, bits, r))
        transcript.send("bits", [start.value])
        statement = SquareStatement(target, self.field, bits, axes_at(self.bits_shape, r))
        point, _ = Sumcheck(self.field).prove(transcript, statement)
        at_entry = split_point(point, self.bits_shape)[1:]
        weights = self._planes(self._powers(), AxisWeights.at(at_entry))
        total = sum_of_integers(target, self.field, bits, self.bits_shape, weights)
        values = [self._at(target, bits, point), total]
        transcript.send("planes", values)
        return self._bit_claims(transcript, start, point, values)

    def verify_bits(self, transcript: VerifierTranscript) -> BitClaims:
        """Its verifier."""
        r = transcript.challenges("bits", depth(self.bits_shape))
        (value,) = transcript.receive("bits", 1)
        start = Value(tuple(split_point(r, self.bits_shape)), value)
        axes = axes_at(self.bits_shape, r)
        point, final = Sumcheck(self.field).verify(transcript, start.value, axes)
        values = transcript.receive("planes", 2)
        transcript.require_zero(final - values[0] * values[0], "a committed bit is not 0 or 1")
        return self._bit_claims(transcript, start, point, values)

    def _bit_claims(
        self,
        transcript: Any,
        start: Value,
        point: Sequence[Element],
        values: Sequence[Element],
    ) -> BitClaims:
        """From B(kappa, z) and T(z), ``values``; z is ``point`` but for its part kappa."""
        at_bit, *at_entry = split_point(point, self.bits_shape)
        sums = [self._eq_weights(at_bit), self._powers()]
        joined = self._joined(transcript, at_entry, sums, values)
        ones = indicator(self.shape, at_entry) * self._offset
        accumulators = Value(tuple(at_entry), values[1] - ones)
        return BitClaims(((AxisWeights.at(start.point), start.value), joined), accumulators)

    # The claims on what follows from them.

    def prove_outputs(
        self, transcript: ProverTranscript, target: Target, bits: Array, claims: ReluClaims
    ) -> tuple[Weighted, ...]:
        """The second part. Returns the claims on B."""
        tables = self._factors(target, bits)
        factors = self._product.prove(transcript, target, tables, claims.outputs)
        return self._output_claims(transcript, factors, claims)

    def verify_outputs(
        self, transcript: VerifierTranscript, claims: ReluClaims
    ) -> tuple[Weighted, ...]:
        """Its verifier."""
        factors = self._product.verify(transcript, claims.outputs)
        return self._output_claims(transcript, factors, claims)

    def _output_claims(
        self, transcript: Any, factors: Sequence[Value], claims: ReluClaims
    ) -> tuple[Weighted, ...]:
        """From claims on active and low at a point, and on active and y as they were given."""
        at_entry, values = factors[0].point, [value.value for value in factors]
        joined = self._joined(transcript, at_entry, [self._active, self._low], values)
        active = [(self._planes(self._active, w), value) for w, value in claims.active]
        offset = 1 << _LOW_BITS
        quotients = [
            (self._planes(self._quotient, w), value + offset * sum_of_weights(w, self.shape))
            for w, value in claims.quotients
        ]
        return joined, *active, *quotients

    def soundness_terms(self, num_claims: int) -> list[Term]:
        """Each source of error, with its bits, for at most ``num_claims`` claims on a."""
        return self.bits_terms() + self.output_terms(num_claims)

    def bits_terms(self) -> list[Term]:
        """Those of the first part."""
        field_bits, rounds = self.field.bits, depth(self.bits_shape)
        return [
            Term("bits at a random point", error_bits(field_bits, rounds)),
            Term("squares of bits", Sumcheck(self.field).soundness_bits(rounds)),
            Term("accumulators at a random point", error_bits(field_bits, depth(self.shape))),
            Term("planes of bits, joined", error_bits(field_bits, 1)),
        ]

    def output_terms(self, num_claims: int) -> list[Term]:
        """Those of the second part."""
        joined = Term("active and low, joined", error_bits(self.field.bits, 1))
        return [*self._product.soundness_terms(num_claims), joined]

    @property
    def _product(self) -> ClaimsOnProducts:
        """a = active low."""
        return ClaimsOnProducts(
            self.field, self.shape, 2, "a ReLU's output is not active times low"
        )

    def _factors(self, target: Target, bits: Array) -> list[Array]:
        """E words of active and of low."""
        size = count(self.shape)
        low, top = self.shift * size, (self.shift + _LOW_BITS) * size
        powers = target.to_device(self.field.pack(self._powers()[:_LOW_BITS]))
        planes = target.view(bits, low, top)
        sums = contract(target, self.field, planes, 1, _LOW_BITS, size, powers)
        return [lift(target, self.field, target.view(bits, top, top + size)), sums]

    # Weights of the planes.

    def _powers(self) -> list[Element]:
        """2^k: T."""
        return [self.field.element(1 << k) for k in range(self.bits_shape[0])]

    @property
    def _offset(self) -> int:
        """T - acc."""
        return (1 << (self.shift - 1)) + (1 << (self.shift + _LOW_BITS))

    @property
    def _active(self) -> list[Element]:
        return self._above_shift([0] * _LOW_BITS + [1])

    @property
    def _low(self) -> list[Element]:
        return self._above_shift([1 << k for k in range(_LOW_BITS)] + [0])

    @property
    def _quotient(self) -> list[Element]:
        """y + 2^15."""
        return self._above_shift([1 << k for k in range(VALUE_BITS)])

    def _above_shift(self, weights: Sequence[int]) -> list[Element]:
        return [self.field.element(w) for w in (*[0] * self.shift, *weights)]

    def _at(self, target: Target, bits: Array, point: Sequence[Element]) -> Element:
        """The extension of B."""
        points = split_point(point, self.bits_shape)
        return extension_of_integers(target, self.field, bits, self.bits_shape, points)

    def _eq_weights(self, at_bit: Sequence[Element]) -> list[Element]:
        return [eq_at(at_bit, k) + self.field.element(0) for k in range(self.bits_shape[0])]

    def _planes(self, weights: Sequence[Element], of_entries: AxisWeights) -> AxisWeights:
        """A weighted sum of weighted sums of planes."""
        return AxisWeights((VectorAxis(tuple(weights)), *of_entries.axes))

    def _joined(
        self,
        transcript: Any,
        at_entry: Point,
        sums: Sequence[Sequence[Element]],
        values: Sequence[Element],
    ) -> Weighted:
        """One claim from two on weighted sums of planes at a point."""
        delta = transcript.challenge("delta")
        first, second = sums
        weights = [a + delta * b for a, b in zip(first, second, strict=True)]
        value = values[0] + delta * values[1]
        return self._planes(weights, AxisWeights.at(at_entry)), value
