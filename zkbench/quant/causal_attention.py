"""Causal attention in integers: rescaled scores, a shift in the place of a division, weighted sums.

For scores z = q k^T of one layer, with 2^s for their rescaling:
    zq[i, j] = rescale(z[i, j], s)
    t[i, j] = shift_i - zq[i, j] + mask [j > i]
    P[i, j] = table[t[i, j]]
    sums[i] = sum_j P[i, j] v[j]
shift_i is the smallest of those integers with all t[i, j] >= 0 (j <= i) that bring sum_j P[i, j] nearest
to row_sum. Nothing is checked here: whoever asks knows what has to be in range, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zkbench.kernels.softmax import CausalSoftmax

_GPU_SCORES = 1 << 28  # bytes of scores at once: some 10,000 rows, and no large holes in a pool

Int16s = NDArray[np.int16]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CausalAttention:
    """What `causal_attention` finds, for S positions in blocks of B, with T tiles of B x B.

    t: uint16, H x T x B x B, as far as it has 16 bits. score_remainders, like t: what rescaling leaves.
    shifts, row_sums (of P): int32, H x S. lowest: int64, H x S, the smallest t of a masked position in
    the row's tiles (``mask``, if it has none); highest, the largest t of any. sums: float64 integers,
    S x H x d, with P for t from 0 on.
    """

    t: NDArray[np.uint16]
    score_remainders: NDArray[np.uint16]
    shifts: NDArray[np.int32]
    row_sums: NDArray[np.int32]
    lowest: NDArray[np.int64]
    highest: NDArray[np.int64]
    sums: Floats


def causal_attention(
    q: Int16s, k: Int16s, v: Int16s, softmax: CausalSoftmax, shift: int, row_sum: int
) -> CausalAttention:
    """Attention of all heads of a layer; q is S x H x d, k and v are S x Hkv x d.

    Arrays may live wherever NumPy's functions dispatch to; ``softmax`` says what the rows are.
    """
    positions, heads, width = q.shape
    tiles = (heads, softmax.tiles, softmax.block, softmax.block)
    t, left = (np.empty(tiles, dtype=np.uint16, like=q) for _ in range(2))
    rows_of = heads, positions
    shifts, row_sums = (np.empty(rows_of, dtype=np.int32, like=q) for _ in range(2))
    lowest, highest = (np.empty(rows_of, dtype=np.int64, like=q) for _ in range(2))
    sums = np.empty((positions, heads, width), dtype=np.float64, like=q)
    step = _rows_at_once(softmax)
    for first in range(0, positions, step):
        rows = slice(first, min(first + step, positions))
        scores = _products(q[rows], k[: rows.stop])
        softmax.rescale(scores, first, shift, left)
        softmax.choose(scores, first, row_sum, shifts, row_sums, lowest, highest)
        softmax.weigh(scores, first, shifts, t)
        sums[rows] = _weighted(scores, v[: rows.stop])
    return CausalAttention(t, left, shifts, row_sums, lowest, highest, sums)


def _rows_at_once(softmax: CausalSoftmax) -> int:
    """Whole blocks of rows: one on a CPU, on a GPU as many as fill it."""
    block_bytes = 8 * softmax.heads * softmax.block * softmax.positions
    room = _GPU_SCORES if softmax.target.name == "cuda" else 0
    return softmax.block * max(1, room // block_bytes)


def _products(q: Int16s, k: Int16s) -> Floats:
    """q k^T of some rows, H x rows x len(k), exactly."""
    rows, heads, width = q.shape
    grouped = q.astype(np.float64).transpose(1, 0, 2).reshape(k.shape[1], -1, width)
    keys = k.astype(np.float64).transpose(1, 2, 0)
    scores: Floats = np.matmul(grouped, keys).reshape(heads, rows, -1)
    return scores


def _weighted(weights: Floats, v: Int16s) -> Floats:
    """sum_j P[i, j] v[j] of some rows, rows x H x d."""
    heads, rows, columns = weights.shape
    kv_heads, width = v.shape[1:]
    grouped = weights.reshape(kv_heads, -1, columns)
    sums = np.matmul(grouped, v.astype(np.float64).transpose(1, 0, 2))
    found: Floats = sums.reshape(heads, rows, width).transpose(1, 0, 2)
    return found
