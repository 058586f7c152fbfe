"""zkAttn with scores in digits, as zkLLM has it (Sun, Li and Zhang, CCS 2024, section 6).

Claim, for every layer, head and pair of positions in the causal tiles, in integers:

    x[i, j] = shift[i] + mask [j > i] - sum_d q[i, d] k[j, d] = sum over k < K of B_k X_k[i, j],
    0 <= X_k[i, j] < b_k,   B_k = b_0 ... b_{k-1}
    P[i, j] = product over k >= L of Y_k[i, j],   Y_k = T_k[X_k]

and from P on as in attention_outputs.py. T_k[x] = round(theta_k exp(-B_k x delta)) with delta the nats
of one unit of x; for the M most significant digits T_k[x] = [x = 0], since exp of anything more is 0;
the L least significant digits have no weight: their exp is nearly 1, and they take the place of a
rescaling of the scores. Beside protocols/zkattn.py, where one digit is cut off and one looked up, this
is for comparison, and for scores that need more than 16 bits.

Departures from the paper's code: multiplicities alone are committed for range checks, the Y_k are
virtual (logUp*), the mask is in the statement, digits are bound before the point at which they are
added up, row sums are checked, and P is at most 2^15, where the paper has 2^40: the products of two
or more rounded tables are then coarse, and rows of hundreds of positions need a wide tolerance. One
digit with a weight (K = 2, L = 1, M = 0) is as exact as zkattn.py.

Committed, by the caller, before the lookups: q, k, v, out (int16), X_k (unsigned, layers x heads x
tiles x B x B), shift in three limbs, multiplicities. The caller must check the claims on these and on
the pushed-forward vectors, and that q, k and v are 16-bit integers. No equation wraps modulo p: |z| <
2^30 head_dim, |shift| < 2^47, and x below the product of the bases, which must not exceed 2^48.

Rounds: those of the parts. Soundness: the sum of their terms, and log2 of the number of scores / |E|
for the point of the digits. Prover, for each score: a range check of each of the L lowest digits, a
logUp* of each other one (about 10 multiplications in E each), and one table of E for each of these
and one for weights (claims_on_products.py): 16 (K - L + 1) bytes a score, where zkattn.py has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from zkbench.commitments.claims import AxisWeights, Claim, Value
from zkbench.fields import Field
from zkbench.kernels.attention import Tiles, look_up
from zkbench.kernels.launch import Array, Target
from zkbench.protocols.attention_outputs import AttentionOutputs
from zkbench.protocols.attention_scores import AttentionScores
from zkbench.protocols.causal_tiles import AttentionShape, Weighted
from zkbench.protocols.claims_on_products import ClaimsOnProducts
from zkbench.protocols.gkr import Shape, depth
from zkbench.protocols.logup_star import LogupStar, LogupStarClaims, OutputClaim
from zkbench.protocols.range_checks import RangeCheck, RangeChecks
from zkbench.protocols.rescale import VALUE_BITS
from zkbench.protocols.row_shifts import RowShifts, weighted_total
from zkbench.protocols.sumcheck import split_point
from zkbench.protocols.tables import FunctionTable, exp_entries
from zkbench.protocols.tlookup import TLookup
from zkbench.security import Term, error_bits
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any
LIMBS = ("shift0", "shift1", "shift2")  # of a row's shift, committed
_MAX_BITS, _MAX_LOG_SCALE = 48, 15


@dataclass(frozen=True)
class Digits:
    """K digits of bases 2^log_bases[k], least significant first; one unit is 2^-log_delta nats.

    least: L, digits without weight; most: M, digits whose exp is 0 unless they are; log_scales:
    log2 of theta_k, for the K - L - M digits between. Raises ValueError where these do not fit.
    """

    log_bases: tuple[int, ...]
    least: int
    most: int
    log_scales: tuple[int, ...]
    log_delta: int

    def __post_init__(self) -> None:
        if len(self.log_scales) != len(self.log_bases) - self.least - self.most:
            raise ValueError(
                f"{len(self.log_scales)} scales for {len(self.log_bases)} digits, of which "
                f"{self.least} have no weight and {self.most} must be zero"
            )
        if not self.tables:
            raise ValueError("no digit has a weight")
        if self.bits > _MAX_BITS or self.log_scale > _MAX_LOG_SCALE:
            raise ValueError(
                f"digits of {self.bits} bits with weights up to 2^{self.log_scale}: at most "
                f"{_MAX_BITS} bits and 2^{_MAX_LOG_SCALE} are proven"
            )

    @property
    def bits(self) -> int:
        """Of x, in all."""
        return sum(self.log_bases)

    @property
    def log_scale(self) -> int:
        """log2 of the weight of x = 0."""
        return sum(self.log_scales)

    @property
    def mask(self) -> int:
        """What is added to x where a score is masked."""
        return 1 << (self.bits - 1)

    @property
    def log_places(self) -> list[int]:
        """log2 of B_k."""
        return [sum(self.log_bases[:k]) for k in range(len(self.log_bases))]

    @cached_property
    def tables(self) -> tuple[FunctionTable, ...]:
        """T_k for k >= L."""
        return tuple(self._table(k) for k in range(self.least, len(self.log_bases)))

    def _table(self, k: int) -> FunctionTable:
        size, entries = 1 << self.log_bases[k], (1,)
        if k < len(self.log_bases) - self.most:
            log_delta = self.log_delta - self.log_places[k]
            entries = tuple(exp_entries(log_delta, self.log_scales[k - self.least]).tolist())
        padded = entries[:size] + (0,) * (size - len(entries))
        return FunctionTable(f"digit{k}", padded)

    def split(self, x: np.ndarray) -> list[np.ndarray]:
        """The digits of non-negative integers, as uint16 or, of larger bases, uint32."""
        return [
            ((x >> place) & ((1 << base) - 1)).astype(np.uint16 if base <= 16 else np.uint32)
            for place, base in zip(self.log_places, self.log_bases, strict=True)
        ]

    def weights(self, digits: Sequence[np.ndarray]) -> np.ndarray:
        """P, uint16."""
        looked_up = [t.values[d] for t, d in zip(self.tables, digits[self.least :], strict=True)]
        product: np.ndarray = np.prod(looked_up, axis=0)
        return product.astype(np.uint16)


@dataclass(frozen=True)
class DigitAttention:
    """Attention of this shape with these digits; row sums may err by 2^log_tolerance.

    Witnesses are flat arrays on the target by name: those of ``committed_shapes`` and, virtual,
    ``weights`` (P, uint16), ``row_sums`` and ``output_remainders``.
    """

    field: Field
    shape: AttentionShape
    digits: Digits
    log_tolerance: int = 10
    value_bits: int = VALUE_BITS  # of outputs, and of each of a shift's limbs

    @property
    def digit_names(self) -> list[str]:
        return [f"digit{k}" for k in range(len(self.digits.log_bases))]

    @property
    def committed_shapes(self) -> dict[str, Shape]:
        """What the caller commits to first, besides the multiplicities; claims use these names."""
        shape = self.shape
        inputs = {"queries": shape.queries, "keys": shape.keys, "values": shape.keys}
        digits = dict.fromkeys(self.digit_names, shape.scores)
        return {**inputs, **digits, **dict.fromkeys(LIMBS, shape.rows), "outputs": shape.queries}

    @property
    def shifts(self) -> RowShifts:
        return RowShifts(self.field, self.shape, LIMBS, self.value_bits)

    @property
    def scores(self) -> AttentionScores:
        return AttentionScores(self.field, self.shape)

    @property
    def outputs(self) -> AttentionOutputs:
        parameters = (self.digits.log_scale, self.log_tolerance, self.value_bits)
        return AttentionOutputs(self.field, self.shape, *parameters)

    @property
    def products(self) -> ClaimsOnProducts:
        return ClaimsOnProducts(self.field, self.shape.scores, len(self.digits.tables))

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        """Of the digits without weight, and what all forms of attention need."""
        bases = self.digits.log_bases[: self.digits.least]
        digits = [
            RangeCheck(name, 1 << base, self.shape.scores)
            for name, base in zip(self.digit_names, bases, strict=False)
        ]
        return (*digits, *self.shifts.range_checks, *self.outputs.range_checks)

    @property
    def exponentials(self) -> dict[str, LogupStar]:
        """The lookups of the digits with a weight, by their names."""
        names = self.digit_names[self.digits.least :]
        return {
            name: LogupStar(self.field, table, (self.shape.scores,))
            for name, table in zip(names, self.digits.tables, strict=True)
        }

    @property
    def pushed_shapes(self) -> dict[str, dict[str, Shape]]:
        """For each digit with a weight, columns of the vector that logUp* pushes forward."""
        return {
            name: {f"{name}.pushed{d}": (lookup.table_size,) for d in range(self.field.degree)}
            for name, lookup in self.exponentials.items()
        }

    @property
    def checks(self) -> RangeChecks:
        return RangeChecks(self.range_checks)

    def tiles(self, target: Target, weights: Array) -> Tiles:
        """P as it stands: each weight is its own index."""
        identity = target.to_device(np.arange(1 << 16, dtype=np.int32))
        heads = self.shape.layers * self.shape.heads
        return Tiles(target, weights, identity, heads, self.shape.blocks, self.shape.block)

    def prove(
        self,
        transcript: ProverTranscript,
        target: Target,
        witness: Mapping[str, Array],
        counts: Mapping[str, np.ndarray],
        commit: Callable[[str, Array], None],
    ) -> list[Claim]:
        """All claims on committed tensors. ``commit`` gets a digit's name and its pushed vector."""
        checks, lookers = self.checks, self.checks.lookers(witness)
        lookups = TLookup(self.field, checks.lookups)
        ranged = lookups.prove(transcript, target, lookers, list(counts.values()))
        values = checks.values(ranged)
        on_scores = self._prove_scores(transcript, target, witness)
        tensors = (self.tiles(target, witness["weights"]), witness["values"], witness["outputs"])
        on_outputs = self.outputs.prove(transcript, target, *tensors, values)
        tables = self._tables(target, witness)
        factors = self.products.prove(transcript, target, tables, on_outputs.weights)
        claims = [*checks.on_counts(ranged), *self._on_ranged(values), *on_scores]
        claims += on_outputs.committed
        for (name, table), at_digit in zip(self.exponentials.items(), factors, strict=True):
            indices, on_table = [witness[name]], [_output_claim(at_digit)]
            receiver = _named(commit, name)
            claims += self._on_digit(
                name, table.prove(transcript, target, indices, on_table, receiver)
            )
        return claims

    def verify(
        self, transcript: VerifierTranscript, receive_commitment: Callable[[str], None]
    ) -> list[Claim]:
        """Returns the claims that the caller must check."""
        checks = self.checks
        ranged = TLookup(self.field, checks.lookups).verify(transcript)
        values = checks.values(ranged)
        on_scores = self._verify_scores(transcript)
        on_outputs = self.outputs.verify(transcript, values)
        factors = self.products.verify(transcript, on_outputs.weights)
        claims = [*checks.on_counts(ranged), *self._on_ranged(values), *on_scores]
        claims += on_outputs.committed
        for (name, table), at_digit in zip(self.exponentials.items(), factors, strict=True):
            receiver = _named(receive_commitment, name)
            found = table.verify(transcript, [_output_claim(at_digit)], receiver)
            claims += self._on_digit(name, found)
        return claims

    def _prove_scores(
        self, transcript: ProverTranscript, target: Target, witness: Mapping[str, Array]
    ) -> list[Claim]:
        point, shapes = self._point(transcript), self.committed_shapes
        parts = self._parts(point)
        sent = [weighted_total(target, self.field, witness[n], shapes[n], w) for n, w in parts]
        transcript.send("digits", sent)
        tensors, score = (witness["queries"], witness["keys"]), self._score(point, sent)
        on_products = self.scores.prove(transcript, target, *tensors, score)
        return self._on_parts(parts, sent, on_products)

    def _verify_scores(self, transcript: VerifierTranscript) -> list[Claim]:
        point = self._point(transcript)
        parts = self._parts(point)
        sent = transcript.receive("digits", len(parts))
        on_products = self.scores.verify(transcript, self._score(point, sent))
        return self._on_parts(parts, sent, on_products)

    def _tables(self, target: Target, witness: Mapping[str, Array]) -> list[Array]:
        """Y_k, elements of E."""
        return [
            look_up(target, self.field, witness[name], lookup.table.values)
            for name, lookup in self.exponentials.items()
        ]

    def soundness_terms(self) -> list[Term]:
        """Each source of error, with its bits."""
        terms = TLookup(self.field, self.checks.lookups).soundness_terms()
        terms.append(Term("digits' point", error_bits(self.field.bits, depth(self.shape.scores))))
        terms += self.scores.soundness_terms() + self.outputs.soundness_terms()
        terms += self.products.soundness_terms(3)
        return terms + [t for e in self.exponentials.values() for t in e.soundness_terms(1)]

    def _point(self, transcript: Any) -> list[tuple[Element, ...]]:
        shape = self.shape.scores
        return split_point(transcript.challenges("digits", depth(shape)), shape)

    def _parts(self, point: Sequence[Sequence[Element]]) -> list[tuple[str, AxisWeights]]:
        """By which weights digits and limbs enter the scores at a point."""
        at_digit, rows = AxisWeights.at(point), self.shifts.weights(point)
        return [(name, at_digit) for name in self.digit_names] + [(name, rows) for name in LIMBS]

    def _score(self, point: Sequence[tuple[Element, ...]], sent: Sequence[Element]) -> Value:
        """z = shift + mask - x."""
        places = self.digits.log_places
        score = self.shifts.value(sent[len(places) :], point, self.digits.mask)
        for place, digit in zip(places, sent, strict=False):
            score = score - digit * (1 << place)
        return Value(tuple(point), score)

    def _on_ranged(self, values: Mapping[str, Value]) -> list[Claim]:
        """Range checks of committed digits and limbs."""
        checked = (*self.digit_names[: self.digits.least], *LIMBS)
        return [Claim(n, AxisWeights.at(values[n].point), values[n].value) for n in checked]

    @staticmethod
    def _on_parts(
        parts: Sequence[tuple[str, AxisWeights]],
        sent: Sequence[Element],
        on_products: tuple[Weighted, Weighted],
    ) -> list[Claim]:
        claims = [Claim(*part, value) for part, value in zip(parts, sent, strict=True)]
        on_queries, on_keys = on_products
        return [*claims, Claim("queries", *on_queries), Claim("keys", *on_keys)]

    def _on_digit(self, name: str, claims: LogupStarClaims) -> list[Claim]:
        named = [(name, claims.indices[0])]
        for columns in claims.pushed:
            named += zip(self.pushed_shapes[name], columns, strict=True)
        return [Claim(n, AxisWeights.at(v.point), v.value) for n, v in named]


def _output_claim(value: Value) -> OutputClaim:
    return OutputClaim(0, AxisWeights.at(value.point), value.value)


def _named(function: Callable[..., None], name: str) -> Callable[..., None]:
    return lambda *args: function(name, *args)
