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
from typing import Any

import numpy as np

from zkbench.commitments.claims import AxisWeights, Claim, Value
from zkbench.fields import Field
from zkbench.kernels.attention import Tiles
from zkbench.kernels.launch import Array, Target
from zkbench.protocols.attention_outputs import AttentionOutputs, OutputsClaims
from zkbench.protocols.attention_scores import AttentionScores
from zkbench.protocols.causal_tiles import AttentionShape, Weighted
from zkbench.protocols.gkr import Shape
from zkbench.protocols.logup_star import LogupStar, LogupStarClaims, OutputClaim
from zkbench.protocols.range_checks import RangeCheck, RangeChecks
from zkbench.protocols.rescale import VALUE_BITS
from zkbench.protocols.row_shifts import Points, RowShifts, weighted_total
from zkbench.protocols.tables import EXP, Exp
from zkbench.protocols.tlookup import TLookup, indicator, multiplicities
from zkbench.security import Term
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any
LIMBS = ("shift_low", "shift_high")  # of a row's shift, committed


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
    def shifts(self) -> RowShifts:
        return RowShifts(self.field, self.shape, LIMBS, self.value_bits)

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
        size, shape = 1 << self.score_shift, self.shape.scores
        remainders = RangeCheck("score_remainders", size, shape, is_last=True)
        return (remainders, *self.shifts.range_checks, *self.outputs.range_checks)

    @property
    def exponentials(self) -> LogupStar:
        """The lookup of P; its one index tensor is ``indices``."""
        return LogupStar(self.field, self.table, (self.shape.scores,))

    @property
    def scores(self) -> AttentionScores:
        return AttentionScores(self.field, self.shape)

    @property
    def outputs(self) -> AttentionOutputs:
        parameters = (self.table.log_scale, self.log_tolerance, self.value_bits)
        return AttentionOutputs(self.field, self.shape, *parameters)

    def tiles(self, target: Target, indices: Array) -> Tiles:
        """P, as it follows from its indices."""
        shape, entries = self.shape, target.to_device(self.table.entries)
        heads = shape.layers * shape.heads
        return Tiles(target, indices, entries, heads, shape.blocks, shape.block)

    def soundness_terms(self) -> list[Term]:
        """Each source of error of the claims' part, with its bits: not those of the lookups."""
        return self.scores.soundness_terms() + self.outputs.soundness_terms()

    # Claims, once those of the range checks are known.

    def prove_claims(
        self,
        transcript: ProverTranscript,
        target: Target,
        witness: AttentionWitness,
        values: Mapping[str, Value],
    ) -> AttentionClaims:
        """``values``: the lookups' claims, by the names of ``range_checks``."""
        at = self._parts_weights(values["score_remainders"].point)
        sent = [self._total(target, witness, *pair) for pair in at]
        transcript.send("scores", sent)
        score = self._score(values["score_remainders"], sent)
        on_products = self.scores.prove(transcript, target, witness.queries, witness.keys, score)
        tiles = self.tiles(target, witness.indices)
        tensors = (tiles, witness.values, witness.outputs)
        on_outputs = self.outputs.prove(transcript, target, *tensors, values)
        return self._collect(values, at, sent, on_products, on_outputs)

    def verify_claims(
        self, transcript: VerifierTranscript, values: Mapping[str, Value]
    ) -> AttentionClaims:
        """Returns the claims that the caller must check."""
        at = self._parts_weights(values["score_remainders"].point)
        sent = transcript.receive("scores", len(at))
        score = self._score(values["score_remainders"], sent)
        on_products = self.scores.verify(transcript, score)
        on_outputs = self.outputs.verify(transcript, values)
        return self._collect(values, at, sent, on_products, on_outputs)

    def _parts_weights(self, point: Points) -> list[tuple[str, AxisWeights]]:
        """By which weights t and the shifts' limbs enter the scores at a point."""
        rows = self.shifts.weights(point)
        return [("indices", AxisWeights.at(point)), *((name, rows) for name in LIMBS)]

    def _total(
        self, target: Target, witness: AttentionWitness, name: str, weights: AxisWeights
    ) -> Element:
        shape = self.committed_shapes[name]
        return weighted_total(target, self.field, getattr(witness, name), shape, weights)

    def _score(self, remainder: Value, sent: Sequence[Element]) -> Value:
        """The scores' value, from rem = z + 2^(s-1) - 2^s (shift + mask - t)."""
        at_t, *limbs = sent
        quotient = self.shifts.value(limbs, remainder.point, self.table.mask) - at_t
        half = indicator(self.shape.scores, remainder.point) * (1 << (self.score_shift - 1))
        value = remainder.value - half + quotient * (1 << self.score_shift)
        return Value(remainder.point, value)

    @staticmethod
    def _collect(
        values: Mapping[str, Value],
        at: Sequence[tuple[str, AxisWeights]],
        sent: Sequence[Element],
        on_products: tuple[Weighted, Weighted],
        on_outputs: OutputsClaims,
    ) -> AttentionClaims:
        """With the range checks of the limbs."""
        on_queries, on_keys = on_products
        ranged = [
            Claim(name, AxisWeights.at(values[name].point), values[name].value) for name in LIMBS
        ]
        parts = [Claim(*pair, value) for pair, value in zip(at, sent, strict=True)]
        products = [Claim("queries", *on_queries), Claim("keys", *on_keys)]
        return AttentionClaims(
            (*ranged, *parts, *products, *on_outputs.committed),
            tuple(OutputClaim(0, *weighted) for weighted in on_outputs.weights),
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
