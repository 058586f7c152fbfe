"""RMSNorm of a stack of rows: y = x / |x| to 15 fraction bits, for all layers at once.

Claim, for every row x of ``width`` integers, with b = ``value_bits`` (16), over the integers:

    ss = epsilon + sum_j x_j^2
    sq = floor(sqrt(ss))                    (1) ss = sq^2 + d           (2) d + e = 2 sq
    r  = floor(2^(2b-1) / sq)               (3) r sq + m = 2^(2b-1)     (4) m + f = sq - 1
    y_j = floor((x_j r + 2^(b-1)) / 2^b)    (5) x_j r + 2^(b-1) = 2^b y_j + rem_j

The factor sqrt(width) of x / rms(x), the norm's weight and bias, and for LayerNorm the centring, are
folded into the linear layers around it.

Committed, by the caller, before the lookups, besides the multiplicities: y (b bits, signed), and each
row's sq, r, d, e, m, f in limbs of b bits. ``limbs`` stacks all of these but the high limbs of sq (b / 2
bits) and r (b - 1 bits), which are tensors of their own for the sake of their ranges: sq < 2^(3b/2),
r < 2^(2b-1), the others < 2^(2b). Virtual: rem, ss, and x, the residual stream. Steps:

    lookups   ``range_checks``: remainders, y, limbs
    claims    (5) at the remainders' point z -> y, and sum over rows of eq(z, row) X(row) r(row), where X
              is x contracted along the row: a product sumcheck over rows -> x, r.
              At a random point rho of the rows: values of ss, d, e, m, f, sq are sent, (2) and (4)
              checked; with a challenge gamma, (1) and (3) are sum over rows of
              eq(rho, row) (gamma r - sq) sq = gamma (2^(2b-1) 1(rho) - m(rho)) - (ss(rho) - d(rho)):
              a product sumcheck -> r, sq.
              ss at rho: sum over rows, j of eq(rho, row) x[row, j]^2: a sumcheck over squares -> x.

The caller must check the claims on all committed tensors and those on x, and know from elsewhere that
|x| < 2^(2b) (the residual stream: a sum of range-checked tensors times public powers of two).

No equation wraps modulo p (b = 16; a smaller b leaves more room). Ranges make (2) and (4) sums of
numbers below 2^33, so 0 <= d <= 2 sq, 0 <= m < sq and sq >= 1 over the integers. In (3), r sq + m is
below 2^55 + 2^32: r is the quotient, and r sq > 2^31 - sq > 2^31 - 2^24. In (5), |x_j r| < 2^63 and all
else is below 2^32, so the difference is below p: (5) holds over the integers, and |x_j| <=
(2^31 + 2^15) / r < sq (2^31 + 2^15) / (2^31 - 2^24) < 1.008 sq. So sum_j x_j^2 < 1.02 2^48 width, below
2^63 for a width of at most 2^14; with epsilon < 2^48 and sq^2 + d < 2^49 the difference in (1) is below
p. Hence sq^2 <= ss <= sq^2 + 2 sq, and what is committed is the only solution.

A row has a proof unless sq or y leaves its range (quant/rms_norm.py): epsilon >= 4 keeps r in its own.

Rounds: 3 log2 of the rows, log2 of the width. Sent: 16 elements besides. Soundness error: 3 / |E| a
round, log2(rows) / |E| for rho, 1 / |E| for gamma. Prover, for each entry of x: two range checks; five
passes that read it, with 2 word products each (a contraction, three rounds over squares, the pass that
stores their table, of 2 bytes an entry), and about 5 multiplications in all; little for each row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from zkbench.commitments.claims import AxisWeights, Claim, Value
from zkbench.fields import Field
from zkbench.kernels.contract import contract
from zkbench.kernels.launch import Array, Target
from zkbench.protocols.gkr import Shape, depth
from zkbench.protocols.matmul import axes_of, weights_at
from zkbench.protocols.norm_limbs import LIMBS, NormLimbs, Point, RMSNormWitness
from zkbench.protocols.range_checks import RangeCheck, RangeChecks
from zkbench.protocols.rescale import VALUE_BITS, Rescale
from zkbench.protocols.square_sums import SquareStatement
from zkbench.protocols.sumcheck import Axis, ProductStatement, Sumcheck, num_variables, split_point
from zkbench.protocols.tlookup import TLookup, indicator, multiplicities
from zkbench.security import Term, error_bits
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any
Weighted = tuple[AxisWeights, Element]  # sum over entries of weights(entry) tensor(entry) = value

MAX_WIDTH = 1 << 14


@dataclass(frozen=True)
class RMSNormClaims:
    """What is left: claims on committed tensors, and on x (layers x *rows x width)."""

    committed: tuple[Claim, ...]
    inputs: tuple[Weighted, ...]


@dataclass(frozen=True)
class RMSNorm:
    """Norms of layers x rows (a length, or the lengths of several axes) of this width.

    epsilon: added to the sum of squares; an integer, in the scale of x^2. value_bits: even.
    """

    field: Field
    layers: int
    rows: int | Shape
    width: int
    epsilon: int
    value_bits: int = VALUE_BITS

    def __post_init__(self) -> None:
        if not 1 <= self.width <= MAX_WIDTH:
            raise ValueError(f"a norm of width {self.width}, outside [1, {MAX_WIDTH}]")
        if self.value_bits not in range(2, VALUE_BITS + 1, 2):
            raise ValueError(f"value_bits must be even, from 2 to 16, not {self.value_bits}")
        if not 4 <= self.epsilon < 1 << self.log_sums:
            raise ValueError(f"epsilon is {self.epsilon}, outside [4, 2^{self.log_sums})")

    @property
    def row_shape(self) -> Shape:
        return (self.layers, *axes_of(self.rows))

    @property
    def shape(self) -> Shape:
        """Of inputs, outputs and remainders."""
        return (*self.row_shape, self.width)

    @property
    def log_sums(self) -> int:
        """Honest sums of squares are below 2^log_sums, since sq is below the root of that."""
        return 3 * self.value_bits

    @property
    def committed_shapes(self) -> dict[str, Shape]:
        """What the caller commits to first, besides the multiplicities; claims use these names."""
        limbs = (len(LIMBS), *self.row_shape)
        return {
            "outputs": self.shape,
            "limbs": limbs,
            "sq_high": self.row_shape,
            "r_high": self.row_shape,
        }

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        """Names are those of the fields of the witness."""
        size, shapes = 1 << self.value_bits, self.committed_shapes
        return (
            RangeCheck("remainders", size, self.shape, is_last=True),
            RangeCheck("outputs", size, self.shape, size // 2),
            RangeCheck("limbs", size, shapes["limbs"]),
            RangeCheck("sq_high", 1 << (self.value_bits // 2), self.row_shape),
            RangeCheck("r_high", size // 2, self.row_shape),
        )

    @property
    def numbers(self) -> NormLimbs:
        """Each row's sq, r, d, e, m, f."""
        return NormLimbs(self.field, self.row_shape, self.value_bits)

    @property
    def rescale(self) -> Rescale:
        return Rescale(self.field, self.shape, self.value_bits)

    def soundness_terms(self) -> list[Term]:
        """Each source of error of the claims' part, with its bits: not those of the lookups."""
        sumcheck, rows = Sumcheck(self.field), depth(self.row_shape)
        squares = rows + num_variables(self.width)
        return [
            Term("norm, scaling", sumcheck.soundness_bits(rows)),
            Term("norm, point and challenge", error_bits(self.field.bits, rows + 1)),
            Term("norm, roots and inverses", sumcheck.soundness_bits(rows)),
            Term("norm, squares", sumcheck.soundness_bits(squares)),
        ]

    # Claims, once those of the range checks are known.

    def prove_claims(
        self,
        transcript: ProverTranscript,
        target: Target,
        witness: RMSNormWitness,
        values: Mapping[str, Value],
    ) -> RMSNormClaims:
        """``values``: the lookups' claims, by the names of ``range_checks``."""
        scaled, on_output = self.rescale.prove(
            transcript, target, witness.outputs, values["remainders"]
        )
        on_scaled, input_scaled = self._prove_scaling(transcript, target, witness, scaled)
        rho = self._draw_rho(transcript)
        sent = self._sent_at_rho(target, witness, rho)
        transcript.send("norms", sent)
        on_roots = self._prove_roots(transcript, target, witness, rho, sent)
        input_squared = self._prove_squares(transcript, target, witness.inputs, rho)
        claims = [*on_scaled, *self._claims_at_rho(rho, sent), *on_roots]
        return self._collect(values, on_output, claims, (input_scaled, input_squared))

    def verify_claims(
        self, transcript: VerifierTranscript, values: Mapping[str, Value]
    ) -> RMSNormClaims:
        """Returns the claims that the caller must check."""
        scaled, on_output = self.rescale.verify(transcript, values["remainders"])
        on_scaled, input_scaled = self._verify_scaling(transcript, scaled)
        rho = self._draw_rho(transcript)
        sent = transcript.receive("norms", 7)
        self._check_at_rho(transcript, rho, sent)
        on_roots = self._verify_roots(transcript, rho, sent)
        input_squared = self._verify_squares(transcript, rho, sent[0])
        claims = [*on_scaled, *self._claims_at_rho(rho, sent), *on_roots]
        return self._collect(values, on_output, claims, (input_scaled, input_squared))

    # Scaling: x r at the remainders' point.

    def _row_axes(self, point: Sequence[tuple[Element, ...]]) -> list[Axis]:
        return [Axis(n, at) for n, at in zip(self.row_shape, point, strict=True)]

    def _prove_scaling(
        self,
        transcript: ProverTranscript,
        target: Target,
        witness: RMSNormWitness,
        scaled: Value,
    ) -> tuple[list[Claim], Weighted]:
        *at_rows, at_column = scaled.point
        columns = weights_at(target, self.field, [at_column], (self.width,))
        x = contract(
            target,
            self.field,
            witness.inputs,
            prod(self.row_shape),
            self.width,
            1,
            columns,
            "integers",
        )
        tables = [x, self.numbers.table(target, witness, {"r": 1})]
        statement = ProductStatement(target, self.field, tables, self._row_axes(at_rows))
        point, (value, _) = Sumcheck(self.field).prove(transcript, statement)
        at = tuple(split_point(point, self.row_shape))
        rows = self.numbers.at(target, witness, at)
        sent = [value, rows["r_low"], rows["r_high"]]
        transcript.send("factors", sent)
        return self._scaling_claims(at, at_column, sent)

    def _verify_scaling(
        self, transcript: VerifierTranscript, scaled: Value
    ) -> tuple[list[Claim], Weighted]:
        *at_rows, at_column = scaled.point
        axes = self._row_axes(at_rows)
        point, final = Sumcheck(self.field).verify(transcript, scaled.value, axes)
        sent = transcript.receive("factors", 3)
        product = sent[0] * self.numbers.joined(*sent[1:])
        transcript.require_zero(final - product, "a norm's output is not its input times r")
        return self._scaling_claims(tuple(split_point(point, self.row_shape)), at_column, sent)

    def _scaling_claims(
        self, at: Point, at_column: tuple[Element, ...], sent: Sequence[Element]
    ) -> tuple[list[Claim], Weighted]:
        value, low, high = sent
        claims = [self.numbers.claim(at, "r_low", low), self.numbers.claim(at, "r_high", high)]
        return claims, (AxisWeights.at((*at, at_column)), value)

    # Roots and inverses, at a random point of the rows.

    def _draw_rho(self, transcript: ProverTranscript | VerifierTranscript) -> Point:
        variables = transcript.challenges("rho", depth(self.row_shape))
        return tuple(split_point(variables, self.row_shape))

    def _sent_at_rho(self, target: Target, witness: RMSNormWitness, rho: Point) -> list[Element]:
        """ss, d, e, m, f, and both limbs of sq."""
        rows = self.numbers.at(target, witness, rho)
        joined = [self.numbers.joined(rows[f"{name}_low"], rows[f"{name}_high"]) for name in "demf"]
        return [rows["sums"], *joined, rows["sq_low"], rows["sq_high"]]

    def _claims_at_rho(self, rho: Point, sent: Sequence[Element]) -> list[Claim]:
        _, d, e, m, f, sq_low, sq_high = sent
        on_pairs = [
            self.numbers.claim(rho, name, value)
            for name, value in zip("demf", (d, e, m, f), strict=True)
        ]
        on_low = self.numbers.claim(rho, "sq_low", sq_low)
        return [*on_pairs, on_low, self.numbers.claim(rho, "sq_high", sq_high)]

    def _check_at_rho(
        self, transcript: VerifierTranscript, rho: Point, sent: Sequence[Element]
    ) -> None:
        _, d, e, m, f, *limbs = sent
        sq, real = self.numbers.joined(*limbs), indicator(self.row_shape, rho)
        transcript.require_zero(d + e - 2 * sq, "a norm's root is too small")
        transcript.require_zero(m + f - sq + real, "a norm's inverse is too small")

    def _roots_claim(self, rho: Point, sent: Sequence[Element], gamma: Element) -> Element:
        """sum over rows of eq(rho, row) (gamma r - sq) sq, as (1) and (3) want it."""
        ss, d, _, m, *_ = sent
        scale = indicator(self.row_shape, rho) * (1 << (2 * self.value_bits - 1))
        return gamma * (scale - m) - (ss - d)

    def _prove_roots(
        self,
        transcript: ProverTranscript,
        target: Target,
        witness: RMSNormWitness,
        rho: Point,
        sent: Sequence[Element],
    ) -> list[Claim]:
        gamma = transcript.challenge("gamma")
        left = self.numbers.table(target, witness, {"r": gamma, "sq": -1})
        tables = [left, self.numbers.table(target, witness, {"sq": 1})]
        statement = ProductStatement(target, self.field, tables, self._row_axes(rho))
        point, _ = Sumcheck(self.field).prove(transcript, statement)
        at = tuple(split_point(point, self.row_shape))
        rows = self.numbers.at(target, witness, at)
        limbs = [rows[name] for name in ("r_low", "r_high", "sq_low", "sq_high")]
        transcript.send("roots", limbs)
        return self._root_claims(at, limbs)

    def _verify_roots(
        self, transcript: VerifierTranscript, rho: Point, sent: Sequence[Element]
    ) -> list[Claim]:
        gamma = transcript.challenge("gamma")
        claim, axes = self._roots_claim(rho, sent, gamma), self._row_axes(rho)
        point, final = Sumcheck(self.field).verify(transcript, claim, axes)
        limbs = transcript.receive("roots", 4)
        r, sq = self.numbers.joined(*limbs[:2]), self.numbers.joined(*limbs[2:])
        transcript.require_zero(
            final - (gamma * r - sq) * sq, "a norm's root or its inverse is wrong"
        )
        return self._root_claims(tuple(split_point(point, self.row_shape)), limbs)

    def _root_claims(self, at: Point, limbs: Sequence[Element]) -> list[Claim]:
        r_low, r_high, sq_low, sq_high = limbs
        return [
            self.numbers.claim(at, "r_low", r_low),
            self.numbers.claim(at, "r_high", r_high),
            self.numbers.claim(at, "sq_low", sq_low),
            self.numbers.claim(at, "sq_high", sq_high),
        ]

    # Sums of squares.

    def _square_axes(self, rho: Point) -> list[Axis]:
        return [*self._row_axes(rho), Axis(self.width)]

    def _prove_squares(
        self, transcript: ProverTranscript, target: Target, inputs: Array, rho: Point
    ) -> Weighted:
        statement = SquareStatement(target, self.field, inputs, self._square_axes(rho))
        point, (value, *_) = Sumcheck(self.field).prove(transcript, statement)
        transcript.send("input", [value])
        return AxisWeights.at(split_point(point, self.shape)), value

    def _verify_squares(self, transcript: VerifierTranscript, rho: Point, ss: Element) -> Weighted:
        claim = ss - self.epsilon * indicator(self.row_shape, rho)
        point, final = Sumcheck(self.field).verify(transcript, claim, self._square_axes(rho))
        (value,) = transcript.receive("input", 1)
        transcript.require_zero(final - value * value, "a norm's sum of squares is wrong")
        return AxisWeights.at(split_point(point, self.shape)), value

    def _collect(
        self,
        values: Mapping[str, Value],
        on_output: Value,
        claims: Sequence[Claim],
        on_inputs: tuple[Weighted, ...],
    ) -> RMSNormClaims:
        """With the range checks of committed tensors."""
        ranged = [(name, values[name]) for name in self.committed_shapes]
        named = [*ranged, ("outputs", on_output)]
        at_points = [Claim(name, AxisWeights.at(v.point), v.value) for name, v in named]
        return RMSNormClaims((*at_points, *claims), on_inputs)

    # Alone: its own lookups, with every claim left to the caller.

    @property
    def _checks(self) -> RangeChecks:
        return RangeChecks(self.range_checks)

    @property
    def counts(self) -> dict[str, Shape]:
        """The multiplicities that the caller commits to as well, where the norm is alone."""
        return self._checks.counts

    def count(self, target: Target, witness: RMSNormWitness) -> dict[str, np.ndarray]:
        """The multiplicities, by the names of ``counts``."""
        pairs = zip(self._checks.lookups, self._checks.lookers(vars(witness)), strict=True)
        found = (multiplicities(target, *pair) for pair in pairs)
        return dict(zip(self.counts, found, strict=True))

    def prove(
        self,
        transcript: ProverTranscript,
        target: Target,
        witness: RMSNormWitness,
        counts: Mapping[str, np.ndarray],
    ) -> RMSNormClaims:
        """Claims on committed tensors, multiplicities included, and on x."""
        lookup = TLookup(self.field, self._checks.lookups)
        lookers = self._checks.lookers(vars(witness))
        ranged = lookup.prove(transcript, target, lookers, list(counts.values()))
        claims = self.prove_claims(transcript, target, witness, self._checks.values(ranged))
        return RMSNormClaims((*self._checks.on_counts(ranged), *claims.committed), claims.inputs)

    def verify(self, transcript: VerifierTranscript) -> RMSNormClaims:
        """Returns the claims that the caller must check."""
        ranged = TLookup(self.field, self._checks.lookups).verify(transcript)
        claims = self.verify_claims(transcript, self._checks.values(ranged))
        return RMSNormClaims((*self._checks.on_counts(ranged), *claims.committed), claims.inputs)

    def all_soundness_terms(self) -> list[Term]:
        """Those of the whole protocol, where it is alone."""
        lookups = TLookup(self.field, self._checks.lookups).soundness_terms()
        return [*lookups, *self.soundness_terms()]
