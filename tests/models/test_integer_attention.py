"""zkAttn in integers: the chosen shifts, the mask, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from language_case import integer_model
from python_int_model import best_shift

from zkbench.kernels.softmax import row_shifts
from zkbench.models.language.integer_attention import attend, block_size, num_tiles
from zkbench.protocols.tables import Exp
from zkbench.quant.formats import QuantisationError
from zkbench.quant.language_calibration import sure_tolerance


@given(
    st.lists(st.integers(-4000, 4000), min_size=1, max_size=12),
    st.integers(1, 9),
    st.integers(8, 17),
)
def test_row_shifts_vs_trying_all(scores, score_bits, row_bits):
    table = Exp(score_bits, row_bits).values
    rows = np.tile(np.array(scores), (len(scores), 1))
    found = row_shifts(rows[None], table, 1 << row_bits, causal=True)[0]
    listed = table.tolist()
    for i, shift in enumerate(found.tolist()):
        assert shift == best_shift(scores[: i + 1], listed, 1 << row_bits)


@given(st.integers(1, 300), st.integers(1, 9))
def test_equal_scores_take_the_smallest_shift_of_a_plateau(count, score_bits):
    """Many equal scores: the sum moves in steps of their count and stays over many shifts."""
    table = Exp(score_bits, 15).values
    scores = np.full((1, 1, count), 7)
    found = int(row_shifts(scores, table, 1 << 15)[0, 0])
    misses = np.abs(count * table.astype(np.int64)[: 1 << 13] - (1 << 15))
    assert found == 7 + int(misses.argmin())  # argmin takes the first


def formats(**changes):
    return replace(integer_model("llama").formats, **changes)


def attend_rows(q, k, shift, **changes):
    found = formats(shifts={**formats().shifts, "z": shift}, score_bits=8, **changes)
    table = Exp(8, found.row_bits).values
    heads = [np.array(values, dtype=np.int16).reshape(-1, 1, 1) for values in (q, k, k)]
    return attend(*heads, found, table, len(q), 3)


def test_masked_positions_count_nothing_as_long_as_they_are_not_far_above():
    trace = attend_rows([20000, 0], [1, 20000], shift=16)
    assert trace.t[0, 0, 0].tolist() == [0, 2**15 - 6104]
    assert Exp(8, 15).cutoff < 2**15 - 6104
    assert trace.a[0, 0, 0] == 1


def test_a_masked_score_far_above_is_refused():
    """t = shift - zq + 2^15 would come back below the table's cut-off."""
    with pytest.raises(QuantisationError, match="layer 3: a masked position would count"):
        attend_rows([32767, 0], [0, 32000], shift=15)


def test_a_masked_score_far_below_is_refused():
    with pytest.raises(QuantisationError, match="scores of layer 3 spread over .* exceed 16 bits"):
        attend_rows([-32767, 0], [0, 32767], shift=14)


def test_a_row_that_misses_its_sum_is_refused():
    """n equal scores: sums move in steps of n, and of 2^15 / 2^8 with the shift."""
    attend_rows([0] * 128, [0] * 128, shift=15, tolerance=(128 + 128) // 2)
    with pytest.raises(QuantisationError, match="softmax of layer 3, head 0"):
        attend_rows([0] * 128, [0] * 128, shift=15, tolerance=16)


@given(
    st.integers(1, 400),
    st.integers(0, 3000),
    st.integers(3, 10),
    st.integers(12, 18),
    st.integers(0, 2**32),
)
def test_a_sure_tolerance_is_met_whatever_the_scores(count, spread, score_bits, row_bits, seed):
    table = Exp(score_bits, row_bits).values
    scores = np.random.default_rng(seed).integers(0, spread, (1, 1, count), endpoint=True)
    shift = row_shifts(scores, table, 1 << row_bits)
    found = table[np.minimum(shift[..., None] - scores, 2**16 - 1)].sum()
    assert abs(found - (1 << row_bits)) <= sure_tolerance(score_bits, row_bits, count)


def test_more_row_bits_make_the_same_steps_a_smaller_part_of_the_sum():
    trace = attend_rows(
        [0] * 128, [4] * 128, shift=15, row_bits=18, tolerance=(128 + (1 << 10)) // 2
    )
    assert (trace.a == 16).all()  # two more fraction bits than v


@pytest.mark.parametrize(
    ("positions", "block"),
    [(1, 1), (2, 2), (3, 4), (100, 128), (128, 128), (129, 128), (4096, 128)],
)
def test_block_size(positions, block):
    assert block_size(positions) == block


def test_num_tiles():
    assert [num_tiles(n) for n in range(5)] == [0, 1, 3, 6, 10]
