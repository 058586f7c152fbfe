"""Softmax in integers, row by row: rescaled scores, the shift in the place of a division, weights.

Scores are rows of float64 integers, heads x rows x cols; row r of a head is position ``first`` + r. Only
tiles (bi, bj) of B x B positions with bj <= bi exist, in the order (0, 0), (1, 0), (1, 1), (2, 0), ...,
and of them t and remainders are arrays heads x tiles x B x B.

A row's shift is found by one thread: the sum of its weights never grows with the shift, and the
logarithm of the sum at its top is about where it is right, so four or five sums decide. On a GPU those
are bound by looking up a table of 256 kB, about one entry a clock and multiprocessor: 2 ms for the 84e6
scores of a layer of LLaMA-2-13B at 2048 positions. All else is bound by bytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from zkbench.jit import device
from zkbench.kernels.gkr import row_of
from zkbench.kernels.launch import Target, kernel, target_of

_ROWS_GRAIN = 8  # rows of scores that are worth a thread of their own


@device("softmax.place")
def _place(i, cols, rows, first, log_block, tiles):
    """(position of the row, column, place in the tiles or -1) of score i."""
    row = row_of(i, cols)
    column = i - row * cols
    head = row_of(row, rows)
    position = first + row - head * rows
    block_row, block_column = position >> log_block, column >> log_block
    if block_column > block_row:
        return head, position, column, np.int64(-1)
    tile = head * tiles + block_row * (block_row + 1) // 2 + block_column
    inside = (np.int64(1) << log_block) - 1
    place = ((tile << log_block) + (position & inside) << log_block) + (column & inside)
    return head, position, column, place


@kernel("softmax.rescale")
def _rescale(i, scores, shift, cols, rows, first, log_block, tiles, remainders):
    """A score becomes its quotient by 2^shift, halves up; what that leaves goes to the tiles."""
    _, _, _, place = _place(i, cols, rows, first, log_block, tiles)
    shifted = np.int64(scores[i]) + (np.int64(1) << (shift - 1))
    quotient = shifted >> shift
    scores[i] = np.float64(quotient)
    if place >= 0:
        remainders[place] = np.uint16(shifted - (quotient << shift))


@device("softmax.sum")
def _sum(excess, scores, start, stop, top, table, last):
    """Of the weights of a row's scores for the shift top + excess."""
    total = np.int64(0)
    for j in range(start, stop):
        total += np.int64(table[min(top + excess - np.int64(scores[j]), last)])
    return total


@device("softmax.first_at_most")
def _first_at_most(limit, guess, scores, start, stop, top, table, last):
    """The smallest e >= 0 with sum(e) <= limit, sum(e), and sum(e - 1) where e > 0.

    From a guess in growing steps until two of them enclose it, and then by bisection.
    """
    low, high = np.int64(-1), guess
    above, below = np.int64(0), _sum(guess, scores, start, stop, top, table, last)
    step = np.int64(1)
    while below > limit:
        low, above = high, below
        high = min(low + step, last)
        below = _sum(high, scores, start, stop, top, table, last)
        step *= 2
    while low < 0 and high > 0:
        tried = max(high - step, np.int64(0))
        found = _sum(tried, scores, start, stop, top, table, last)
        if found > limit:
            low, above = tried, found
        else:
            high, below = tried, found
        step *= 2
    while low >= 0 and high - low > 1:
        middle = (low + high) // 2
        found = _sum(middle, scores, start, stop, top, table, last)
        if found > limit:
            low, above = middle, found
        else:
            high, below = middle, found
    return high, below, above


@device("softmax.shift")
def _best_shift(scores, start, stop, top, table, last, row_sum, unit):
    """The smallest shift >= top for which the sum of the weights is nearest to row_sum."""
    whole = _sum(np.int64(0), scores, start, stop, top, table, last)
    guess = np.int64(math.ceil(math.log(max(whole / row_sum, 1.0)) * unit))
    e, at, above = _first_at_most(row_sum, min(guess, last), scores, start, stop, top, table, last)
    if e > 0 and above - row_sum <= row_sum - at:
        e, _, _ = _first_at_most(above, e - 1, scores, start, stop, top, table, last)
    return top + e


@device("softmax.extremes")
def _extremes(scores, start, stop, lowest, highest):
    for j in range(start, stop):
        score = np.int64(scores[j])
        lowest, highest = min(lowest, score), max(highest, score)
    return lowest, highest


@kernel("softmax.choose")
def _choose(
    i,
    scores,
    cols,
    rows,
    first,
    log_block,
    length,
    table,
    last,
    row_sum,
    unit,
    mask,
    shifts,
    sums,
    lowest,
    highest,
):
    """Row i's shift, sum of weights, smallest t of a masked position and largest t of any."""
    head = row_of(i, rows)
    position = first + i - head * rows
    start = i * cols
    past = start + min(position + 1, cols)
    visible = start + min(((position >> log_block) + 1) << log_block, cols)
    score = np.int64(scores[start])
    bottom, top = _extremes(scores, start, past, score, score)
    shift = _best_shift(scores, start, past, top, table, last, row_sum, unit)
    out = head * length + position
    shifts[out] = shift
    sums[out] = _sum(shift - top, scores, start, past, top, table, last)
    lowest[out], highest[out] = mask, shift - bottom
    if visible > past:
        score = np.int64(scores[past])
        bottom, top = _extremes(scores, past, visible, score, score)
        lowest[out] = shift - top + mask
        highest[out] = max(highest[out], shift - bottom + mask)


@kernel("softmax.weigh")
def _weigh(i, scores, cols, rows, first, log_block, tiles, length, table, last, mask, shifts, t):
    """t of a score goes to the tiles, and the score becomes its weight; 0 where no tile is."""
    head, position, column, place = _place(i, cols, rows, first, log_block, tiles)
    weight = np.float64(0)
    if place >= 0:
        index = np.int64(shifts[head * length + position]) - np.int64(scores[i])
        if column > position:
            index += mask
        t[place] = np.uint16(index)
        weight = np.float64(table[max(min(index, last), np.int64(0))])
    scores[i] = weight


@dataclass(frozen=True, eq=False)
class CausalSoftmax:
    """The rows of ``heads`` x ``positions``, in blocks of ``block``, a power of two.

    Arrays are NumPy's, or another library's where the target can use them. table: int32, never grows
    and ends in 0; t of masked positions is ``mask`` more.
    """

    heads: int
    positions: int
    block: int
    table: Any
    mask: int

    @property
    def target(self) -> Target:
        return target_of(self.table)

    @property
    def tiles(self) -> int:
        """T, those on and below the diagonal."""
        blocks = self.positions // self.block
        return blocks * (blocks + 1) // 2

    @property
    def _log_block(self) -> int:
        return self.block.bit_length() - 1

    def rescale(self, scores: Any, first: int, shift: int, remainders: Any) -> None:
        """Scores (heads x rows x cols, float64) become quotients; ``remainders``: uint16, tiles."""
        _, rows, cols = scores.shape
        place = cols, rows, first, self._log_block, self.tiles
        self._map(_rescale, scores.size, scores, shift, *place, remainders)

    def choose(self, scores: Any, first: int, row_sum: int, *found: Any) -> None:
        """Fills the rows' places in ``found``, each heads x positions: shifts and sums (int32), and
        the smallest t of a masked position and the largest t of any (int64)."""
        heads, rows, cols = scores.shape
        place = cols, rows, first, self._log_block, self.positions
        decide = self.table, self._last, row_sum, self._unit, self.mask
        grain = _ROWS_GRAIN
        self._map(_choose, heads * rows, scores, *place, *decide, *found, grain=grain)

    def weigh(self, scores: Any, first: int, shifts: Any, t: Any) -> None:
        """Quotients become weights; ``t``: uint16, tiles."""
        _, rows, cols = scores.shape
        place = cols, rows, first, self._log_block, self.tiles, self.positions
        decide = self.table, self._last, self.mask
        self._map(_weigh, scores.size, scores, *place, *decide, shifts, t)

    @property
    def _last(self) -> int:
        return len(self.table) - 1

    @cached_property
    def _unit(self) -> int:
        """Units of t in one nat."""
        return int((self.table <= float(self.table[0]) * math.exp(-1)).argmax())

    def _map(self, body: Any, n: int, *args: Any, grain: int = 1 << 14) -> None:
        target = self.target
        placed = (target.to_device(arg) if hasattr(arg, "dtype") else arg for arg in args)
        target.map(body, n, *placed, grain=grain)


def row_shifts(scores: Any, table: Any, row_sum: int, causal: bool = False) -> Any:
    """The shift of each row of integers ``scores`` (.. x rows x cols), int64.

    causal: column j of row i counts where j <= i. table: int32, never grows and ends in 0.
    """
    rows, cols = scores.shape[-2:]
    flat = scores.astype(np.float64, order="C").reshape(-1, rows, cols)
    first = 0 if causal else cols
    heads, length = len(flat), first + rows
    block = 1 << length.bit_length()
    softmax = CausalSoftmax(heads, length, block, table, 0)
    types = np.int32, np.int32, np.int64, np.int64
    found = [np.empty((heads, length), dtype=dtype, like=flat) for dtype in types]
    softmax.choose(flat, first, row_sum, *found)
    return found[0][:, first:].astype(np.int64).reshape(scores.shape[:-1])
