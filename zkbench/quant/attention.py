"""The integer model of causal softmax attention: scores, shifts, weights and outputs in causal tiles.

Its semantics are those that protocols/zkattn.py proves. A row's shift is the one for which the sum of
its weights is nearest to the table's scale, the smallest on ties.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from zkbench.protocols.causal_tiles import AttentionShape
from zkbench.protocols.tables import EXP, Exp
from zkbench.quant.formats import QuantisationError
from zkbench.quant.linear import exact_product, rescale

_NEAR = 3  # how far the best shift is from log sum exp, nearly always


@dataclass(frozen=True)
class AttentionTrace:
    """One forward pass; shapes as in ``AttentionShape``, remainders as in ``rescale``."""

    indices: NDArray[np.uint16]
    score_remainders: NDArray[np.uint16]
    shifts: NDArray[np.int64]
    row_sums: NDArray[np.int32]
    outputs: NDArray[np.int16]
    output_remainders: NDArray[np.uint16]


@dataclass(frozen=True)
class IntegerAttention:
    """Attention of this shape.

    score_shift: s, bits that scores lose; log_tolerance: k, row sums may err by 2^k.
    """

    shape: AttentionShape
    score_shift: int
    table: Exp = EXP
    log_tolerance: int = 9
    value_bits: int = 16  # of outputs, and half of those of shifts

    def forward(
        self, q: NDArray[np.int16], k: NDArray[np.int16], v: NDArray[np.int16]
    ) -> AttentionTrace:
        """``q``: shape.queries; ``k``, ``v``: shape.keys.

        Raises QuantisationError, naming layer and head, where a value leaves its range.
        """
        shape = self.shape
        layers = []
        for layer in range(shape.layers):
            heads = [
                self._head(layer, h, *(x[layer, :, :, h // g] for x, g in self._grouped(q, k, v)))
                for h in range(shape.heads)
            ]
            layers.append(AttentionTrace(*map(np.stack, zip(*heads, strict=True))))
        stacked = AttentionTrace(
            *(np.stack([getattr(one, field.name) for one in layers]) for field in fields(layers[0]))
        )
        return self._outputs_in_place(stacked)

    def _grouped(self, q: NDArray, k: NDArray, v: NDArray) -> list[tuple[NDArray, int]]:
        return [(q, 1), (k, self.shape.group), (v, self.shape.group)]

    @staticmethod
    def _outputs_in_place(trace: AttentionTrace) -> AttentionTrace:
        """Outputs were made head by head; the head's axis comes after the positions'."""
        outputs = np.ascontiguousarray(np.moveaxis(trace.outputs, 1, 3))
        remainders = np.ascontiguousarray(np.moveaxis(trace.output_remainders, 1, 3))
        return replace(trace, outputs=outputs, output_remainders=remainders)

    def _head(
        self, layer: int, head: int, q: NDArray, k: NDArray, v: NDArray
    ) -> tuple[NDArray, ...]:
        """One head: q, k, v are blocks x B x head_dim."""
        where, width = f"attention of layer {layer}, head {head}", self.shape.head_dim
        flat_q, flat_k, flat_v = (x.reshape(-1, width) for x in (q, k, v))
        scores, remainders = rescale(exact_product(flat_q, flat_k.T), self.score_shift)
        later = np.triu(np.ones(scores.shape, dtype=bool), 1)
        shifts = self._shifts(scores, later)
        require(where, "a shift", shifts, signed(2 * self.value_bits))
        indices = shifts[:, None] - scores + self.table.mask * later
        used = ~later | self._same_block(later.shape)
        require(where, "an index of exp", indices[used], (0, (1 << self.table.bits) - 1))
        weights = np.where(used, self.table.values[indices * used], 0).astype(np.int64)
        require(where, "the weight of a masked score", weights[later], (0, 0))
        sums = weights.sum(axis=1)
        scale, tolerance = 1 << self.table.log_scale, 1 << self.log_tolerance
        require(where, "a row sum", sums, (scale - tolerance, scale + tolerance - 1))
        sums_of_values = weights.astype(np.float64) @ flat_v  # below 2^34, so exact
        outputs, rest = rescale(sums_of_values.astype(np.int64), self.table.log_scale)
        require(where, "an output", outputs, signed(self.value_bits))
        rows = (self.shape.blocks, self.shape.block)
        return (
            in_tiles(self.shape, indices).astype(np.uint16),
            in_tiles(self.shape, remainders),
            shifts.reshape(rows),
            sums.astype(np.int32).reshape(rows),
            outputs.astype(np.int16).reshape(q.shape),
            rest.reshape(q.shape),
        )

    def _same_block(self, shape: tuple[int, ...]) -> NDArray:
        blocks = np.arange(shape[0]) // self.shape.block
        same: NDArray = blocks[:, None] == blocks[None, :]
        return same

    # Shifts: by bisection, since a row sum never grows with its shift.

    def _shifts(self, scores: NDArray, later: NDArray) -> NDArray:
        scale = np.full(len(scores), 1 << self.table.log_scale)
        best = self._first_at_most(scores, later, scale)
        sums = self._row_sums(scores, later, best)
        before = self._row_sums(scores, later, best - 1)
        earlier = self._first_at_most(scores, later, before)
        is_nearer = (before - scale <= scale - sums) & (best > self._least(scores, later))
        return np.where(is_nearer, earlier, best)

    def _least(self, scores: NDArray, later: NDArray) -> NDArray:
        """No index of a score that counts may be negative."""
        return np.where(later, np.iinfo(np.int64).min, scores).max(axis=1)

    def _first_at_most(self, scores: NDArray, later: NDArray, most: NDArray) -> NDArray:
        """The least shift of each row whose sum is at most ``most``."""
        low, high = self._bracket(scores, later, most)
        while (low < high).any():
            middle = (low + high) // 2
            fits = self._row_sums(scores, later, middle) <= most
            low, high = np.where(fits, low, middle + 1), np.where(fits, middle, high)
            low = np.minimum(low, high)
        return low

    def _bracket(self, scores: NDArray, later: NDArray, most: NDArray) -> tuple[NDArray, NDArray]:
        """Shifts between which the least one is: around log sum exp, unless that is not enough."""
        low = self._least(scores, later)
        high = low + self.table.cutoff
        unit = 2.0**-self.table.log_delta
        logits = np.where(later, -np.inf, (scores - low[:, None]) * unit)
        guess = low + (np.log(np.exp(logits).sum(axis=1)) / unit).astype(np.int64)
        near = [np.clip(guess + by, low, high) for by in (-_NEAR, _NEAR)]
        is_above, stays_above = (self._row_sums(scores, later, shift) > most for shift in near)
        return np.where(is_above, near[0], low), np.where(stays_above, high, near[1])

    def _row_sums(self, scores: NDArray, later: NDArray, shifts: NDArray) -> NDArray:
        """Of the scores that count; an index is clipped to the table."""
        indices = np.clip(shifts[:, None] - scores, 0, self.table.cutoff)
        sums: NDArray = np.where(later, 0, self.table.entries[indices]).sum(axis=1)
        return sums


def in_tiles(shape: AttentionShape, square: NDArray) -> NDArray:
    """positions x positions -> tiles x B x B."""
    tiled = square.reshape(shape.blocks, shape.block, shape.blocks, shape.block).swapaxes(1, 2)
    rows, columns = map(list, zip(*shape.tile_blocks, strict=True))
    tiles: NDArray = tiled[rows, columns]
    return tiles


def require(where: str, what: str, values: NDArray, limits: tuple[int, int]) -> None:
    """Raise QuantisationError unless all values lie within the limits, both included."""
    low, high = limits
    if values.size and (values.min() < low or values.max() > high):
        worst = values.min() if values.min() < low else values.max()
        raise QuantisationError(
            f"{where}: {what} is {worst}, outside [{low}, {high}]; recalibrate or widen"
        )


def signed(bits: int) -> tuple[int, int]:
    """The least and the largest signed integer of so many bits."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
