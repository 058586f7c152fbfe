"""From the weights P of attention to its outputs: what is the same however P came about.

Claim: for every layer, head and row i (protocols/causal_tiles.py), with P virtual and v committed,

    P[i, j]  = 0 where j > i
    -2^k    <= sum_j P[i, j] - 2^theta < 2^k
    out[i]   = floor((sum_j P[i, j] v[j] + 2^(theta-1)) / 2^theta),          out in int16

The row sums and the remainders of the outputs are virtual. Once the lookups of ``range_checks`` are
proven, their claims become claims on out and v, and three claims on P: those of attention_values.py,
of the row sums (weight 1 for all entries of a row) and of causal_mask.py. The caller must check all.

Rounds, soundness and cost: those of rescale.py, attention_values.py and causal_mask.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zkbench.commitments.claims import AxisWeights, Claim, EqAxis, OnesAxis, Value
from zkbench.fields import Field
from zkbench.kernels.attention import Tiles
from zkbench.kernels.launch import Array, Target
from zkbench.protocols.attention_values import AttentionValues
from zkbench.protocols.causal_mask import CausalMask
from zkbench.protocols.causal_tiles import (
    AttentionShape,
    Weighted,
    eq_weights,
    tiles_of_rows,
)
from zkbench.protocols.range_checks import RangeCheck
from zkbench.protocols.rescale import Rescale
from zkbench.security import Term
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any


@dataclass(frozen=True)
class OutputsClaims:
    """Claims on ``outputs`` and ``values``, and on P."""

    committed: tuple[Claim, ...]
    weights: tuple[Weighted, Weighted, Weighted]


@dataclass(frozen=True)
class AttentionOutputs:
    """log_scale: theta, a row of weights sums to 2^theta; log_tolerance: k, it may err by 2^k."""

    field: Field
    shape: AttentionShape
    log_scale: int
    log_tolerance: int
    value_bits: int  # of outputs

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        shape, tolerance = self.shape, 1 << self.log_tolerance
        scale, size = 1 << self.log_scale, 1 << self.value_bits
        return (
            RangeCheck("row_sums", 2 * tolerance, shape.rows, tolerance - scale),
            RangeCheck("output_remainders", scale, shape.queries, is_last=True),
            RangeCheck("outputs", size, shape.queries, size // 2),
        )

    @property
    def _rescale(self) -> Rescale:
        return Rescale(self.field, self.shape.queries, self.log_scale)

    @property
    def _values(self) -> AttentionValues:
        return AttentionValues(self.field, self.shape)

    @property
    def _mask(self) -> CausalMask:
        return CausalMask(self.field, self.shape)

    def prove(
        self,
        transcript: ProverTranscript,
        target: Target,
        tiles: Tiles,
        v: Array,
        outputs: Array,
        ranged: Mapping[str, Value],
    ) -> OutputsClaims:
        """``ranged``: the lookups' claims, by the names of ``range_checks``."""
        at_sum, on_output = self._rescale.prove(
            transcript, target, outputs, ranged["output_remainders"]
        )
        on_p, on_values = self._values.prove(transcript, target, tiles, v, at_sum)
        on_masked = self._mask.prove(transcript, target, tiles)
        return self._claims(ranged, on_output, on_values, on_p, on_masked)

    def verify(self, transcript: VerifierTranscript, ranged: Mapping[str, Value]) -> OutputsClaims:
        """Returns the claims that the caller must check."""
        at_sum, on_output = self._rescale.verify(transcript, ranged["output_remainders"])
        on_p, on_values = self._values.verify(transcript, at_sum)
        on_masked = self._mask.verify(transcript)
        return self._claims(ranged, on_output, on_values, on_p, on_masked)

    def soundness_terms(self) -> list[Term]:
        """Each source of error, with its bits: not those of the lookups."""
        return self._values.soundness_terms() + self._mask.soundness_terms()

    def _claims(
        self,
        ranged: Mapping[str, Value],
        on_output: Value,
        on_values: Weighted,
        on_p: Weighted,
        on_masked: Weighted,
    ) -> OutputsClaims:
        at_outputs = [
            Claim("outputs", AxisWeights.at(value.point), value.value)
            for value in (ranged["outputs"], on_output)
        ]
        on_rows = self._row_claim(ranged["row_sums"])
        return OutputsClaims((*at_outputs, Claim("values", *on_values)), (on_p, on_rows, on_masked))

    def _row_claim(self, row_sum: Value) -> Weighted:
        """A row sum's value is one of P, summed over the row: over its block's tiles, and all j."""
        at_layer, at_head, at_block, at_i = row_sum.point
        rows = tiles_of_rows(self.shape, eq_weights(self.field, at_block, self.shape.blocks))
        axes = (EqAxis(at_layer), EqAxis(at_head), rows, EqAxis(at_i), OnesAxis())
        return AxisWeights(axes), row_sum.value
