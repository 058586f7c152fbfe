"""zkAttn in integers: tiles of scores, shifts in the place of a division, weighted means.

For scores z = q k^T (q carries 1/sqrt(d)) of one layer:
    zq[i, j] = rescale(z[i, j], s)            one unit is 2^-score_bits nats
    t[i, j] = shift_i - zq[i, j] + MASK [j > i]      0 <= t < 2^16
    P[i, j] = EXP[t[i, j]]
    |sum_j P[i, j] - 2^row_bits| <= tolerance
    a[i] = rescale(sum_j P[i, j] v[j], min(row_bits, 16))
shift_i is the smallest of those integers with all t[i, j] >= 0 (j <= i) that bring the sum nearest
to 2^row_bits. Only tiles (bi, bj) of B x B positions with bj <= bi exist, in the order (0, 0),
(1, 0), (1, 1), (2, 0), ...
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zkbench.models.language.formats import MASK, MAX_SHIFT, TABLE_SIZE, LanguageFormats
from zkbench.models.language.integer_operators import Int16s, Int32s, Int64s, UInt16s, rescaled
from zkbench.quant.formats import QuantisationError
from zkbench.quant.linear import rescale

MAX_BLOCK = 128

_LAST = TABLE_SIZE - 1

Sums = Callable[[Int64s], Int64s]


def block_size(positions: int) -> int:
    """B: the power of two from `positions` on, 128 at most."""
    return min(MAX_BLOCK, 1 << max(0, positions - 1).bit_length())


def num_tiles(blocks: int) -> int:
    """T, the tiles on and below the diagonal."""
    return blocks * (blocks + 1) // 2


@dataclass(frozen=True, eq=False)
class AttentionTrace:
    """t: uint16, H x T x B x B. shift, row_sums (of P): int32, H x S. a: int16, S x H x d.

    score_remainders, like t, and remainders, like a: what rescaling leaves, uint16.
    """

    t: UInt16s
    score_remainders: UInt16s
    shift: Int32s
    row_sums: Int32s
    a: Int16s
    remainders: UInt16s


def attend(
    q: Int16s, k: Int16s, v: Int16s, formats: LanguageFormats, table: Int32s, block: int, layer: int
) -> AttentionTrace:
    """Causal attention of all heads of a layer.

    q is S x H x d, k and v are S x Hkv x d, S a multiple of `block`; `table` is EXP. Raises
    `QuantisationError`, naming the layer, where t leaves its range, a row's sum misses its
    tolerance, or a masked position would count.
    """
    positions, heads, width = q.shape
    blocks = positions // block
    tiles = (heads, num_tiles(blocks), block, block)
    t, left = (np.empty(tiles, dtype=np.uint16, like=q) for _ in range(2))
    shift, sums = (np.empty((heads, positions), dtype=np.int32, like=q) for _ in range(2))
    a = np.empty((positions, heads, width), dtype=np.int16, like=q)
    remainders = np.empty(a.shape, dtype=np.uint16, like=q)
    for bi in range(blocks):
        rows, row = slice(bi * block, (bi + 1) * block), slice(num_tiles(bi), num_tiles(bi + 1))
        scores, rest = _scores(q[rows], k[: rows.stop], formats.shifts["z"])
        shift[:, rows], values, powers = _shifted(scores, formats, table, layer)
        t[:, row], left[:, row] = _tiles(values, block), _tiles(rest, block)
        sums[:, rows] = _checked_sums(powers, formats, layer)
        a[rows], remainders[rows] = _means(powers, v[: rows.stop], formats, layer)
    return AttentionTrace(t, left, shift, sums, a, remainders)


def row_shifts(scores: Int64s, past: NDArray[np.bool_], table: Int32s, row_sum: int) -> Int64s:
    """The shift of each row of `scores` (.. x i x j); `past` (i x j) tells the positions that count.

    table: EXP, which never grows and ends in 0.
    """
    lowest = np.iinfo(np.int64).min
    top = np.where(past, scores, lowest).max(axis=-1)
    gaps = np.where(past, np.minimum(top[..., None] - scores, _LAST), _LAST)

    def sums(excess: Int64s) -> Int64s:
        return table[np.minimum(gaps + excess[..., None], _LAST)].sum(axis=-1, dtype=np.int64)

    return top + _best_excess(sums, _guess(gaps, table), row_sum)


def _best_excess(sums: Sums, guess: Int64s, row_sum: int) -> Int64s:
    """The smallest e >= 0 for which sums(e), which never grows with e, is nearest to row_sum."""
    below = _first_at_most(sums, np.full_like(guess, row_sum), guess)
    above = sums(np.maximum(below - 1, 0))
    nearer = (below > 0) & (above - row_sum <= row_sum - sums(below))
    plateau = _first_at_most(sums, above, below - 1)
    return np.where(nearer, plateau, below)


def _first_at_most(sums: Sums, limits: Int64s, guess: Int64s) -> Int64s:
    """The smallest e >= 0 with sums(e) <= limits, by bisection from around a guess."""
    low, high = np.maximum(guess - 2, -1), np.maximum(guess, -1) + 2
    low = np.where((low >= 0) & (sums(np.maximum(low, 0)) <= limits), -1, low)
    high = np.where(sums(high) > limits, _LAST, high)
    while bool((high - low > 1).any()):
        middle = (low + high) // 2  # of a row that is done: low, which stays
        fits = (middle >= 0) & (sums(np.maximum(middle, 0)) <= limits)
        low, high = np.where(fits, low, middle), np.where(fits, middle, high)
    return high


def _guess(gaps: Int64s, table: Int32s) -> Int64s:
    """About where the sum is right: the logarithm of the sum at e = 0, in units of t."""
    ratio = table[gaps].sum(axis=-1, dtype=np.int64) / float(table[0])
    unit = int((table <= float(table[0]) * math.exp(-1)).argmax())  # units in one nat
    return np.ceil(np.log(np.maximum(ratio, 1)) * unit).astype(np.int64)


def _scores(q: Int16s, k: Int16s, shift: int) -> tuple[Int64s, UInt16s]:
    """zq of some rows, H x rows x len(k), and the remainders."""
    rows, heads, width = q.shape
    kv_heads = k.shape[1]
    grouped = q.astype(np.float64).transpose(1, 0, 2).reshape(kv_heads, -1, width)
    keys = k.astype(np.float64).transpose(1, 2, 0)
    z = np.matmul(grouped, keys).astype(np.int64).reshape(heads, rows, -1)
    return rescale(z, shift)


def _shifted(
    scores: Int64s, formats: LanguageFormats, table: Int32s, layer: int
) -> tuple[Int64s, Int64s, Int32s]:
    """The shifts (H x rows), t and P (H x rows x columns) of a row of blocks."""
    rows, columns = scores.shape[1:]
    past = (
        np.arange(columns, like=scores) <= np.arange(columns - rows, columns, like=scores)[:, None]
    )
    shifts = row_shifts(scores, past, table, 1 << formats.row_bits)
    values = shifts[..., None] - scores + np.where(past, 0, MASK)
    _check_range(values, layer)
    powers = table[values]
    if bool(powers[:, ~past].any()):
        message = f"scores of layer {layer}: a masked position would count; {_COARSER}"
        raise QuantisationError(message)
    return shifts, values, powers


_COARSER = "recalibrate with a coarser unit of the scores"


def _check_range(values: Int64s, layer: int) -> None:
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > _LAST:
        found = f"scores of layer {layer} spread over {max(high, high - low)} units"
        raise QuantisationError(f"{found} and exceed 16 bits; {_COARSER}")


def _checked_sums(powers: Int32s, formats: LanguageFormats, layer: int) -> Int64s:
    """The rows' sums of P, H x rows."""
    sums: Int64s = powers.sum(axis=-1, dtype=np.int64)
    misses = np.abs(sums - (1 << formats.row_bits))
    if int(misses.max()) > formats.tolerance:
        head, row = (int(i) for i in np.unravel_index(int(misses.argmax()), misses.shape))
        found = f"softmax of layer {layer}, head {head}, row {row} of its block"
        message = f"{found} misses its sum by {int(misses.max())}, more than {formats.tolerance}"
        raise QuantisationError(f"{message}; give its rows more bits or a larger tolerance")
    return sums


def _tiles(values: NDArray[np.integer], block: int) -> UInt16s:
    """H x rows x columns as H x blocks x B x B."""
    heads, rows, _ = values.shape
    tiles = values.reshape(heads, rows, -1, block).transpose(0, 2, 1, 3)
    return tiles.astype(np.uint16)


def _means(
    powers: Int32s, v: Int16s, formats: LanguageFormats, layer: int
) -> tuple[Int16s, UInt16s]:
    """a of some rows, rows x H x d, and the remainders."""
    heads, rows, _ = powers.shape
    kv_heads, width = v.shape[1:]
    grouped = powers.astype(np.float64).reshape(kv_heads, -1, powers.shape[-1])
    sums = np.matmul(grouped, v.astype(np.float64).transpose(1, 0, 2)).astype(np.int64)
    a, remainders = rescaled(sums, min(formats.row_bits, MAX_SHIFT), f"a of layer {layer}")
    by_head = heads, rows, width
    return a.reshape(by_head).transpose(1, 0, 2), remainders.reshape(by_head).transpose(1, 0, 2)
