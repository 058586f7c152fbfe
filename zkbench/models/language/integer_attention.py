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

from dataclasses import dataclass

import numpy as np

from zkbench.kernels.softmax import CausalSoftmax
from zkbench.models.language.formats import MASK, MAX_SHIFT, TABLE_SIZE, LanguageFormats
from zkbench.models.language.integer_operators import Int16s, Int32s, UInt16s, rescaled
from zkbench.quant.causal_attention import CausalAttention, causal_attention
from zkbench.quant.formats import QuantisationError

MAX_BLOCK = 128

_LAST = TABLE_SIZE - 1


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
    softmax = CausalSoftmax(q.shape[1], len(q), block, np.asarray(table, like=q), MASK)
    found = causal_attention(q, k, v, softmax, formats.shifts["z"], 1 << formats.row_bits)
    _check_range(found, table, layer)
    _check_sums(found.row_sums, formats, layer)
    sums, shift = found.sums.astype(np.int64), min(formats.row_bits, MAX_SHIFT)
    a, remainders = rescaled(sums, shift, f"a of layer {layer}")
    of_scores = found.t, found.score_remainders, found.shifts, found.row_sums
    return AttentionTrace(*of_scores, a, remainders)


_COARSER = "recalibrate with a coarser unit of the scores"


def _check_range(found: CausalAttention, table: Int32s, layer: int) -> None:
    low, high = int(found.lowest.min()), int(found.highest.max())
    if low < 0 or high > _LAST:
        spread = f"scores of layer {layer} spread over {max(high, high - low)} units"
        raise QuantisationError(f"{spread} and exceed 16 bits; {_COARSER}")
    if int(table[low]) > 0:
        message = f"scores of layer {layer}: a masked position would count; {_COARSER}"
        raise QuantisationError(message)


def _check_sums(sums: Int32s, formats: LanguageFormats, layer: int) -> None:
    misses = np.abs(sums - (1 << formats.row_bits))
    if int(misses.max()) > formats.tolerance:
        head, position = (int(i) for i in np.unravel_index(int(misses.argmax()), misses.shape))
        found = f"softmax of layer {layer}, head {head}, position {position}"
        message = f"{found} misses its sum by {int(misses.max())}, more than {formats.tolerance}"
        raise QuantisationError(f"{message}; give its rows more bits or a larger tolerance")
