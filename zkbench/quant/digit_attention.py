"""The integer model of attention with scores in digits: what protocols/digit_attention.py proves.

A row's shift is log sum exp of its scores, rounded up to their unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zkbench.protocols.causal_tiles import AttentionShape
from zkbench.protocols.digit_attention import Digits
from zkbench.quant.attention import in_tiles, require, signed
from zkbench.quant.linear import exact_product, rescale


@dataclass(frozen=True)
class DigitAttentionModel:
    """Attention of this shape with these digits; see ``DigitAttention``."""

    shape: AttentionShape
    digits: Digits
    log_tolerance: int = 10
    value_bits: int = 16

    def forward(
        self, q: NDArray[np.int16], k: NDArray[np.int16], v: NDArray[np.int16]
    ) -> dict[str, NDArray]:
        """All tensors that follow, by the protocol's names, with ``shifts`` in place of its limbs.

        Raises QuantisationError, naming layer and head, where a value leaves its range.
        """
        shape, group = self.shape, self.shape.group
        traces = [
            [
                self._head(
                    layer, h, q[layer, :, :, h], *(x[layer, :, :, h // group] for x in (k, v))
                )
                for h in range(shape.heads)
            ]
            for layer in range(shape.layers)
        ]
        stacked = {
            name: np.stack([np.stack([head[name] for head in heads]) for heads in traces])
            for name in traces[0][0]
        }
        for name in ("outputs", "output_remainders"):
            stacked[name] = np.ascontiguousarray(np.moveaxis(stacked[name], 1, 3))
        return stacked

    def _head(
        self, layer: int, head: int, q: NDArray, k: NDArray, v: NDArray
    ) -> dict[str, NDArray]:
        where, width = f"attention of layer {layer}, head {head}", self.shape.head_dim
        scores = exact_product(q.reshape(-1, width), k.reshape(-1, width).T)
        later = np.triu(np.ones(scores.shape, dtype=bool), 1)
        shifts = self._shifts(scores, later)
        require(where, "a shift", shifts, signed(3 * self.value_bits))
        moved = in_tiles(self.shape, shifts[:, None] + self.digits.mask * later - scores)
        require(where, "a shifted score", moved, (0, (1 << self.digits.bits) - 1))
        digits = self.digits.split(moved)
        weights = self.digits.weights(digits)
        masked = weights[in_tiles(self.shape, later)]
        require(where, "the weight of a masked score", masked, (0, 0))
        return {
            **{f"digit{i}": digit for i, digit in enumerate(digits)},
            "weights": weights,
            "shifts": shifts.reshape(self.shape.rows[2:]),
            **self._outputs(where, weights, v),
        }

    def _outputs(self, where: str, weights: NDArray, v: NDArray) -> dict[str, NDArray]:
        shape, scale = self.shape, 1 << self.digits.log_scale
        sums = np.zeros(shape.rows[2:], dtype=np.int64)
        totals = np.zeros(v.shape, dtype=np.int64)
        for tile, (bi, bj) in zip(weights.astype(np.int64), shape.tile_blocks, strict=True):
            sums[bi] += tile.sum(axis=1)
            totals[bi] += tile @ v[bj].astype(np.int64)
        tolerance = 1 << self.log_tolerance
        require(where, "a row sum", sums, (scale - tolerance, scale + tolerance - 1))
        outputs, rest = rescale(totals, self.digits.log_scale)
        require(where, "an output", outputs, signed(self.value_bits))
        return {
            "row_sums": sums.astype(np.int32),
            "outputs": outputs.astype(np.int16),
            "output_remainders": rest,
        }

    def _shifts(self, scores: NDArray, later: NDArray) -> NDArray:
        unit = 2.0**-self.digits.log_delta
        largest = np.where(later, np.iinfo(np.int64).min, scores).max(axis=1)
        logits = np.where(later, -np.inf, (scores - largest[:, None]) * unit)
        above: NDArray = np.ceil(np.log(np.exp(logits).sum(axis=1)) / unit).astype(np.int64)
        return largest + above
