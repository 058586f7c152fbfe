"""Softmax in integers: any number of rows at once, on any target, gives the same."""

import numpy as np
import pytest
from targets import TARGETS, get_target

from zkbench.kernels.softmax import CausalSoftmax, row_shifts
from zkbench.placement import place_on
from zkbench.protocols.tables import Exp
from zkbench.quant import causal_attention as module
from zkbench.quant.causal_attention import causal_attention

TABLE = Exp(5, 12)
HEADS, KV_HEADS, BLOCK, BLOCKS, WIDTH = 4, 2, 8, 5, 3


def attention(place=np.asarray):
    rng = np.random.default_rng(1)
    positions = BLOCK * BLOCKS
    q, k, v = (
        place(rng.integers(-120, 121, (positions, heads, WIDTH), dtype=np.int16))
        for heads in (HEADS, KV_HEADS, KV_HEADS)
    )
    softmax = CausalSoftmax(HEADS, positions, BLOCK, place(TABLE.values), TABLE.mask)
    found = causal_attention(q, k, v, softmax, 7, 1 << TABLE.log_scale)
    return {
        name: array.get() if hasattr(array, "get") else array for name, array in vars(found).items()
    }


@pytest.mark.parametrize("blocks", [2, 3, 5])
def test_rows_at_once_do_not_matter(monkeypatch, blocks):
    """Scores to the right of a row's last tile are computed then, and must not count."""
    expected = attention()
    monkeypatch.setattr(module, "_rows_at_once", lambda softmax: blocks * softmax.block)
    for name, array in attention().items():
        assert np.array_equal(array, expected[name]), name


@pytest.mark.parametrize("name", TARGETS)
def test_targets_agree(name):
    """Where another library computes, as on the host; where none does, place_on is NumPy's."""
    found, expected = attention(place_on(get_target(name))), attention()
    for key, array in found.items():
        assert np.array_equal(array, expected[key]), key


def test_extremes_are_those_of_t():
    """lowest: of masked positions in a row's tiles; highest: of all; t has 16 bits of them."""
    found = attention()
    at, lowest, highest = 0, {}, {}
    for bi in range(BLOCKS):
        for bj in range(bi + 1):
            for i in range(BLOCK):
                for j in range(BLOCK):
                    t, row = found["t"][:, at, i, j].astype(np.int64), bi * BLOCK + i
                    highest[row] = np.maximum(highest.get(row, t), t)
                    if bj * BLOCK + j > row:
                        lowest[row] = np.minimum(lowest.get(row, t), t)
            at += 1
    for row in range(BLOCK * BLOCKS):
        assert np.array_equal(found["highest"][:, row], highest[row])
        last_of_block = row % BLOCK == BLOCK - 1
        expected = TABLE.mask if last_of_block else lowest[row]
        assert (found["lowest"][:, row] == expected).all()


def test_shifts_far_from_the_guess():
    """A table whose steps are far from those of an exponential: the search must not trust it."""
    table = np.zeros(1 << 10, dtype=np.int32)
    table[:1000] = 1000
    for count, row_sum, expected in ((1, 1000, 0), (3, 1000, 1000), (3, 2000, 0), (3, 1400, 1000)):
        scores = np.full((1, count), 5)
        assert row_shifts(scores, table, row_sum)[0] == 5 + expected
