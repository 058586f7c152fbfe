"""The integer model of causal softmax attention: scores, shifts, weights and outputs in causal tiles.

Its semantics are those that protocols/zkattn.py proves. A row's shift is the one for which the sum of
its weights is nearest to the table's scale, the smallest on ties.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from zkbench.kernels.softmax import CausalSoftmax
from zkbench.protocols.causal_tiles import AttentionShape
from zkbench.protocols.tables import EXP, Exp
from zkbench.quant.causal_attention import CausalAttention, causal_attention
from zkbench.quant.formats import QuantisationError
from zkbench.quant.linear import rescale


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
        layers = [self._layer(l, *one) for l, one in enumerate(zip(q, k, v, strict=True))]
        return AttentionTrace(
            *(np.stack([getattr(one, field.name) for one in layers]) for field in fields(layers[0]))
        )

    def _layer(self, layer: int, q: NDArray, k: NDArray, v: NDArray) -> AttentionTrace:
        """One layer: q, k, v are blocks x B x heads x head_dim."""
        shape, table = self.shape, self.table
        softmax = CausalSoftmax(
            shape.heads, shape.positions, shape.block, table.entries, table.mask
        )
        q_rows, k_rows, v_rows = (x.reshape(shape.positions, -1, shape.head_dim) for x in (q, k, v))
        scale = 1 << table.log_scale
        found = causal_attention(q_rows, k_rows, v_rows, softmax, self.score_shift, scale)
        outputs, rest = rescale(found.sums.astype(np.int64), table.log_scale)
        for head in range(shape.heads):
            self._check(f"attention of layer {layer}, head {head}", found, outputs, head)
        rows = (shape.heads, shape.blocks, shape.block)
        return AttentionTrace(
            found.t,
            found.score_remainders,
            found.shifts.astype(np.int64).reshape(rows),
            found.row_sums.reshape(rows),
            outputs.astype(np.int16).reshape(q.shape),
            rest.reshape(q.shape),
        )

    def _check(self, where: str, found: CausalAttention, outputs: NDArray, head: int) -> None:
        require(where, "a shift", found.shifts[head], signed(2 * self.value_bits))
        last = (1 << self.table.bits) - 1
        for ends in (found.lowest[head], found.highest[head]):
            require(where, "an index of exp", ends, (0, last))
        masked = self.table.values[found.lowest[head]]
        require(where, "the weight of a masked score", masked, (0, 0))
        scale, tolerance = 1 << self.table.log_scale, 1 << self.log_tolerance
        limits = (scale - tolerance, scale + tolerance - 1)
        require(where, "a row sum", found.row_sums[head], limits)
        require(where, "an output", outputs[:, head], signed(self.value_bits))


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
