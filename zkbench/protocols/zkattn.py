"""zkAttn: causal softmax attention of a stack of layers, from committed q, k, v to committed outputs.

Claim, for every layer, head and pair of positions in the causal tiles (protocols/causal_tiles.py), with
G query heads to a key head, in integers:

    z[i, j]  = sum_d q[i, d] k[j, d]
    t[i, j]  = shift[i] + mask [j > i] - floor((z[i, j] + 2^(s-1)) / 2^s),   0 <= t < 2^bits
    P[i, j]  = EXP[t[i, j]],   P[i, j] = 0 where j > i
    -2^k    <= sum_j P[i, j] - 2^theta < 2^k
    out[i]   = floor((sum_j P[i, j] v[j] + 2^(theta-1)) / 2^theta),          out in int16

Softmax without a division, as in zkLLM (Sun, Li and Zhang, CCS 2024, section 6): the prover chooses
shift, an approximation of log sum exp, and all that binds it is the tolerance k of the row sums: *any*
shift within it is accepted. A row's weights are then those of softmax times a common factor of at most
1 + 2^(k - theta), besides EXP's rounding; that is the statement, not an error of the proof. Where the
paper splits scores into digits, one table of 2^bits entries serves, since t needs no more than that.

Committed, by the caller, before the lookups: q, k, v, out (int16), t (unsigned, layers x heads x tiles
x B x B), shift as two 16-bit limbs, shift = low + 2^16 high - 2^31, and the lookups' multiplicities. z,
P, row sums and all remainders are virtual. Steps:

    lookups   ``range_checks``: remainders of scores and outputs, row sums, limbs, outputs in int16
    claims    remainders of scores at a point -> values of t and the limbs there, sent, and the score's
              value -> attention_scores.py -> q, k; rescale.py -> outputs -> attention_values.py -> v, P;
              row sums -> P; causal_mask.py -> P
    logUp*    the claims on P -> t, and the pushed-forward vector (``exponentials``)

The caller must check the claims on all committed tensors, and that q, k and v are 16-bit integers. No
equation wraps modulo p: |z| < 2^30 head_dim and 2^s (shift + mask - t) < 2^49 are far below it.

Soundness: the sum of the parts' terms. Prover, for each score: one range check of a remainder and one
logUp* of an index (about 10 multiplications in E each, and their trees' memory), three passes that
read its two bytes and add one integer times an element of E (4 word products) each, row sums, and
2 / (n + 1) of a pass; a remainder's and an index's two bytes are all that is stored for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from zkbench.commitments.claims import AxisWeights, Claim, EqAxis, OnesAxis, Value, VectorAxis
from zkbench.fields import Field
from zkbench.kernels.attention import Tiles
from zkbench.kernels.contract import contract, dot
from zkbench.kernels.launch import Array, Target
from zkbench.protocols.attention_scores import AttentionScores
from zkbench.protocols.attention_values import AttentionValues
from zkbench.protocols.causal_mask import CausalMask
from zkbench.protocols.causal_tiles import (
    AttentionShape,
    Weighted,
    eq_weights,
    masked,
    row_weights,
    tiles_of_rows,
)
from zkbench.protocols.gkr import Shape
from zkbench.protocols.logup_star import LogupStar, LogupStarClaims, OutputClaim
from zkbench.protocols.range_checks import RangeCheck, RangeChecks
from zkbench.protocols.rescale import VALUE_BITS, Rescale
from zkbench.protocols.tables import EXP, Exp
from zkbench.protocols.tlookup import TLookup, indicator, multiplicities
from zkbench.security import Term
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any


@dataclass(frozen=True)
class AttentionWitness:
    """What the prover works with, flat on the target.

    queries, keys, values, outputs: int16; indices, shift_low, shift_high and the remainders: uint16;
    ``row_sums`` are int32, from ``ZkAttn.tiles(target, indices).sum_rows()``.
    """

    queries: Array
    keys: Array
    values: Array
    indices: Array
    shift_low: Array
    shift_high: Array
    outputs: Array
    score_remainders: Array
    output_remainders: Array
    row_sums: Array


@dataclass(frozen=True)
class AttentionClaims:
    """What is left: claims on committed tensors, and on P, the looked-up weights."""

    committed: tuple[Claim, ...]
    weights: tuple[OutputClaim, ...]


@dataclass(frozen=True)
class ZkAttn:
    """Attention of this shape.

    score_shift: s, bits that scores lose; log_tolerance: k, row sums may err by 2^k.
    """

    field: Field
    shape: AttentionShape
    score_shift: int
    table: Exp = EXP
    log_tolerance: int = 9
    value_bits: int = VALUE_BITS  # of outputs, and of each of a shift's limbs

    @property
    def shift_offset(self) -> int:
        """shift = low + 2^value_bits high - shift_offset, so its range is symmetric."""
        return 1 << (2 * self.value_bits - 1)

    @property
    def committed_shapes(self) -> dict[str, Shape]:
        """What the caller commits to first, besides the multiplicities; claims use these names."""
        shape = self.shape
        return {
            "queries": shape.queries,
            "keys": shape.keys,
            "values": shape.keys,
            "indices": shape.scores,
            "shift_low": shape.rows,
            "shift_high": shape.rows,
            "outputs": shape.queries,
        }

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        """Names are those of the fields of the witness."""
        shape, tolerance = self.shape, 1 << self.log_tolerance
        scale, size = 1 << self.table.log_scale, 1 << self.value_bits
        return (
            RangeCheck("score_remainders", 1 << self.score_shift, shape.scores),
            RangeCheck("row_sums", 2 * tolerance, shape.rows, tolerance - scale),
            RangeCheck("shift_low", size, shape.rows),
            RangeCheck("shift_high", size, shape.rows),
            RangeCheck("output_remainders", scale, shape.queries),
            RangeCheck("outputs", size, shape.queries, size // 2),
        )

    @property
    def exponentials(self) -> LogupStar:
        """The lookup of P; its one index tensor is ``indices``."""
        return LogupStar(self.field, self.table, (self.shape.scores,))

    @property
    def scores(self) -> AttentionScores:
        return AttentionScores(self.field, self.shape)

    @property
    def weighted_values(self) -> AttentionValues:
        return AttentionValues(self.field, self.shape)

    @property
    def mask(self) -> CausalMask:
        return CausalMask(self.field, self.shape)

    @property
    def rescale(self) -> Rescale:
        return Rescale(self.field, self.shape.queries, self.table.log_scale)

    def tiles(self, target: Target, indices: Array) -> Tiles:
        """P, as it follows from its indices."""
        shape, entries = self.shape, target.to_device(self.table.entries)
        heads = shape.layers * shape.heads
        return Tiles(target, indices, entries, heads, shape.blocks, shape.block)

    def soundness_terms(self) -> list[Term]:
        """Each source of error of the claims' part, with its bits: not those of the lookups."""
        parts = (self.scores, self.weighted_values, self.mask)
        return [term for part in parts for term in part.soundness_terms()]

    # Claims, once those of the range checks are known.

    def prove_claims(
        self,
        transcript: ProverTranscript,
        target: Target,
        witness: AttentionWitness,
        values: Mapping[str, Value],
    ) -> AttentionClaims:
        """``values``: the lookups' claims, by the names of ``range_checks``."""
        tiles = self.tiles(target, witness.indices)
        sent = self._score_parts(target, witness, values["score_remainders"])
        transcript.send("scores", sent)
        at_score, on_parts = self._score_claims(values["score_remainders"], sent)
        on_products = self.scores.prove(transcript, target, witness.queries, witness.keys, at_score)
        at_sum, on_output = self.rescale.prove(
            transcript, target, witness.outputs, values["output_remainders"]
        )
        on_p, on_values = self.weighted_values.prove(
            transcript, target, tiles, witness.values, at_sum
        )
        on_masked = self.mask.prove(transcript, target, tiles)
        on_rows = self._row_claim(values["row_sums"])
        claims = [*on_parts, *self._claims(on_products, on_output, on_values)]
        return self._collect(values, claims, (on_p, on_rows, on_masked))

    def verify_claims(
        self, transcript: VerifierTranscript, values: Mapping[str, Value]
    ) -> AttentionClaims:
        """Returns the claims that the caller must check."""
        sent = transcript.receive("scores", 3)
        at_score, on_parts = self._score_claims(values["score_remainders"], sent)
        on_products = self.scores.verify(transcript, at_score)
        at_sum, on_output = self.rescale.verify(transcript, values["output_remainders"])
        on_p, on_values = self.weighted_values.verify(transcript, at_sum)
        on_masked = self.mask.verify(transcript)
        on_rows = self._row_claim(values["row_sums"])
        claims = [*on_parts, *self._claims(on_products, on_output, on_values)]
        return self._collect(values, claims, (on_p, on_rows, on_masked))

    def _parts_weights(self, point: Sequence[Sequence[Element]]) -> list[tuple[str, AxisWeights]]:
        """By which weights t and the shifts' limbs enter the scores at a point.

        A shift counts once for every score of its row: its block's tiles, and all j.
        """
        at_layer, at_head, at_tile, at_i, _ = map(tuple, point)
        tiles = eq_weights(self.field, at_tile, self.shape.tiles)
        rows = VectorAxis(tuple(row_weights(self.shape, tiles)))
        shifts = AxisWeights((EqAxis(at_layer), EqAxis(at_head), rows, EqAxis(at_i)))
        return [
            ("indices", AxisWeights.at(point)),
            ("shift_low", shifts),
            ("shift_high", shifts),
        ]

    def _score_parts(
        self, target: Target, witness: AttentionWitness, remainder: Value
    ) -> list[Element]:
        """The values of t, and of the shifts' limbs, at the remainders' point."""
        shapes = self.committed_shapes
        return [
            _weighted_total(target, self.field, getattr(witness, name), shapes[name], weights)
            for name, weights in self._parts_weights(remainder.point)
        ]

    def _score_claims(self, remainder: Value, sent: Sequence[Element]) -> tuple[Value, list[Claim]]:
        """The scores' value, from rem = z + 2^(s-1) - 2^s (shift + mask - t), and those sent."""
        at_t, low, high = sent
        _, _, at_tile, at_i, at_j = remainder.point
        real = indicator(self.shape.scores, remainder.point)
        heads = indicator(self.shape.scores[:2], remainder.point[:2])
        tiles = eq_weights(self.field, at_tile, self.shape.tiles)
        mask = self.table.mask * heads * masked(self.shape, tiles, at_i, at_j)
        shift = low + high * (1 << self.value_bits) - self.shift_offset * real
        quotient = shift + mask - at_t
        half = 1 << (self.score_shift - 1)
        score = remainder.value - half * real + quotient * (1 << self.score_shift)
        claims = [
            Claim(name, weights, value)
            for (name, weights), value in zip(
                self._parts_weights(remainder.point), sent, strict=True
            )
        ]
        return Value(remainder.point, score), claims

    def _row_claim(self, row_sum: Value) -> Weighted:
        """A row sum's value is one of P, summed over the row: over its block's tiles, and all j."""
        at_layer, at_head, at_block, at_i = row_sum.point
        rows = tiles_of_rows(self.shape, eq_weights(self.field, at_block, self.shape.blocks))
        axes = (EqAxis(at_layer), EqAxis(at_head), rows, EqAxis(at_i), OnesAxis())
        return AxisWeights(axes), row_sum.value

    @staticmethod
    def _claims(
        on_products: tuple[Weighted, Weighted], on_output: Value, on_values: Weighted
    ) -> list[Claim]:
        on_queries, on_keys = on_products
        return [
            Claim("queries", *on_queries),
            Claim("keys", *on_keys),
            Claim("outputs", AxisWeights.at(on_output.point), on_output.value),
            Claim("values", *on_values),
        ]

    @staticmethod
    def _collect(
        values: Mapping[str, Value], claims: Sequence[Claim], on_weights: Sequence[Weighted]
    ) -> AttentionClaims:
        """With the range checks of committed tensors."""
        ranged = [
            Claim(name, AxisWeights.at(values[name].point), values[name].value)
            for name in ("shift_low", "shift_high", "outputs")
        ]
        return AttentionClaims(
            (*ranged, *claims), tuple(OutputClaim(0, *weighted) for weighted in on_weights)
        )

    # Alone: its own lookups, with every claim left to the caller.

    @property
    def _checks(self) -> RangeChecks:
        return RangeChecks(self.range_checks)

    @property
    def counts(self) -> dict[str, Shape]:
        """The multiplicities that the caller commits to as well, where attention is alone."""
        return self._checks.counts

    @property
    def pushed_shapes(self) -> dict[str, Shape]:
        """Columns of the vector that logUp* pushes forward."""
        size = self.exponentials.table_size
        return {f"pushed{d}": (size,) for d in range(self.field.degree)}

    def count(self, target: Target, witness: AttentionWitness) -> dict[str, np.ndarray]:
        """The multiplicities, by the names of ``counts``."""
        pairs = zip(self._checks.lookups, self._checks.lookers(vars(witness)), strict=True)
        return dict(
            zip(self.counts, (multiplicities(target, *pair) for pair in pairs), strict=True)
        )

    def prove(
        self,
        transcript: ProverTranscript,
        target: Target,
        witness: AttentionWitness,
        counts: Mapping[str, np.ndarray],
        commit: Callable[[Array], None],
    ) -> list[Claim]:
        """All claims on committed tensors, multiplicities and pushed-forward columns included.

        ``commit`` gets the pushed-forward vector as logUp* has it (protocols/logup_star.py).
        """
        lookup = TLookup(self.field, self._checks.lookups)
        lookers = self._checks.lookers(vars(witness))
        ranged = lookup.prove(transcript, target, lookers, list(counts.values()))
        claims = self.prove_claims(transcript, target, witness, self._checks.values(ranged))
        indices = [witness.indices]
        outputs = self.exponentials.prove(transcript, target, indices, claims.weights, commit)
        return [*self._checks.on_counts(ranged), *claims.committed, *self.on_indices(outputs)]

    def verify(
        self, transcript: VerifierTranscript, receive_commitment: Callable[[], None]
    ) -> list[Claim]:
        """Returns the claims that the caller must check."""
        ranged = TLookup(self.field, self._checks.lookups).verify(transcript)
        claims = self.verify_claims(transcript, self._checks.values(ranged))
        outputs = self.exponentials.verify(transcript, claims.weights, receive_commitment)
        return [*self._checks.on_counts(ranged), *claims.committed, *self.on_indices(outputs)]

    def on_indices(self, claims: LogupStarClaims) -> list[Claim]:
        """What the lookup of P leaves on its indices and on the columns of the pushed vector."""
        named = [("indices", claims.indices[0])]
        named += [
            pair
            for columns in claims.pushed
            for pair in zip(self.pushed_shapes, columns, strict=True)
        ]
        return [Claim(name, AxisWeights.at(v.point), v.value) for name, v in named]

    def all_soundness_terms(self) -> list[Term]:
        """Those of the whole protocol, where it is alone."""
        lookups = TLookup(self.field, self._checks.lookups).soundness_terms()
        return [*lookups, *self.soundness_terms(), *self.exponentials.soundness_terms(3)]


def _weighted_total(
    target: Target, field: Field, values: Array, shape: Shape, weights: AxisWeights
) -> Element:
    """sum over entries of weights(entry) values[entry]: first over all axes but those of one tile."""
    lead = 3
    rows, cols = prod(shape[:lead]), prod(shape[lead:])
    leading = AxisWeights(weights.axes[:lead]).table(target, field, shape[:lead])
    inside = AxisWeights(weights.axes[lead:]).table(target, field, shape[lead:])
    by_cell = contract(target, field, values, 1, rows, cols, leading)
    return dot(target, field, by_cell, inside, cols)
