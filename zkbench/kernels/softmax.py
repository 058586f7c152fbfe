"""Softmax in integers, row by row: rescaled scores, the shift in the place of a division, weights.

Scores are rows of float64 integers, heads x rows x cols; row r of a head is position ``first`` + r. Only
tiles (bi, bj) of B x B positions with bj <= bi exist, in the order (0, 0), (1, 0), (1, 1), (2, 0), ...,
and of them t and remainders are arrays heads x tiles x B x B.

A row's shift is found by one thread, on a GPU by a warp: the sum of its weights never grows with the
shift, and the logarithm of the sum at its top is about where it is right, so four or five sums decide.
On a GPU those are bound by looking up a table of 256 kB, about one entry a clock and multiprocessor:
2 ms for the 84e6 scores of a layer of LLaMA-2-13B at 2048 positions. (With a thread a row it was 15:
there are some 10,000 rows at once, which hide no latency.) All else is bound by bytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from zkbench.jit import device
from zkbench.kernels.gkr import row_of
from zkbench.kernels.launch import Kernel, Target, kernel, target_of

_ROWS_GRAIN = 8  # rows of scores that are worth a thread of their own
_LANES = 32  # of a warp


@device("softmax.place")
def _place(i, cols, rows, first, log_block, tiles):
    """(head, position of the row, column, place in the tiles or -1) of score i."""
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


def choice(kind: str, lanes: int, total: Any, least: Any, most: Any) -> Any:
    """The body of ``choose`` for ``lanes`` neighbouring items that share a row.

    total, least, most: device functions that make one value of all lanes' and give it to each; so all
    take the same turns.
    """

    @device(f"softmax.sum.{kind}")
    def weights_sum(excess, scores, start, stop, top, table, last):
        """Of the weights of a row's scores for the shift top + excess; ``start`` is the lane's own."""
        found = np.int64(0)
        for j in range(start, stop, lanes):
            found += np.int64(table[min(top + excess - np.int64(scores[j]), last)])
        return total(found)

    @device(f"softmax.first_at_most.{kind}")
    def first_at_most(limit, guess, scores, start, stop, top, table, last):
        """The smallest e >= 0 with sum(e) <= limit, sum(e), and sum(e - 1) where e > 0.

        From a guess in growing steps until two of them enclose it, and then by bisection.
        """
        low, high = np.int64(-1), guess
        above, below = np.int64(0), weights_sum(guess, scores, start, stop, top, table, last)
        step = np.int64(1)
        while below > limit:
            low, above = high, below
            high = min(low + step, last)
            below = weights_sum(high, scores, start, stop, top, table, last)
            step *= 2
        while low < 0 and high > 0:
            tried = max(high - step, np.int64(0))
            found = weights_sum(tried, scores, start, stop, top, table, last)
            if found > limit:
                low, above = tried, found
            else:
                high, below = tried, found
            step *= 2
        while low >= 0 and high - low > 1:
            middle = (low + high) // 2
            found = weights_sum(middle, scores, start, stop, top, table, last)
            if found > limit:
                low, above = middle, found
            else:
                high, below = middle, found
        return high, below, above

    @device(f"softmax.shift.{kind}")
    def best_shift(scores, start, stop, top, table, last, row_sum, unit):
        """The smallest shift >= top for which the sum of the weights is nearest to row_sum, and that."""
        row = scores, start, stop, top, table, last
        whole = weights_sum(np.int64(0), *row)
        guess = np.int64(math.ceil(math.log(max(whole / row_sum, 1.0)) * unit))
        e, found, above = first_at_most(row_sum, min(guess, last), *row)
        if e > 0 and above - row_sum <= row_sum - found:
            e, found, _ = first_at_most(above, e - 1, *row)
        return top + e, found

    @device(f"softmax.extremes.{kind}")
    def extremes(scores, start, stop, any_of_them):
        lowest = highest = np.int64(any_of_them)
        for j in range(start, stop, lanes):
            score = np.int64(scores[j])
            lowest, highest = min(lowest, score), max(highest, score)
        return least(lowest), most(highest)

    @device(f"softmax.choose.{kind}")
    def choose(
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
        """A row's shift, sum of weights, smallest t of a masked position and largest t of any."""
        row = i // lanes
        lane = i - row * lanes
        head = row_of(row, rows)
        position = first + row - head * rows
        start = row * cols
        past = start + min(position + 1, cols)
        visible = start + min(((position >> log_block) + 1) << log_block, cols)
        bottom, top = extremes(scores, start + lane, past, scores[start])
        scale = table, last, row_sum, unit
        shift, found = best_shift(scores, start + lane, past, top, *scale)
        of_masked, of_any = mask, shift - bottom
        if visible > past:
            bottom, top = extremes(scores, past + lane, visible, scores[past])
            of_masked = shift - top + mask
            of_any = max(of_any, shift - bottom + mask)
        if lane == 0:
            out = head * length + position
            shifts[out], sums[out] = shift, found
            lowest[out], highest[out] = of_masked, of_any

    return choose


@device("softmax.alone")
def _alone(value):
    return value


def _by_warps() -> Any:
    from zkbench.kernels.softmax_cuda import least, most, total

    return choice("by_warps", _LANES, total, least, most)


_choose = Kernel("softmax.choose", choice("alone", 1, _alone, _alone, _alone), cuda_body=_by_warps)


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
        lanes = _LANES if self.target.runs_blocks else 1
        place = cols, rows, first, self._log_block, self.positions
        decide = self.table, self._last, row_sum, self._unit, self.mask
        self._map(_choose, heads * rows * lanes, scores, *place, *decide, *found, grain=_ROWS_GRAIN)

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
