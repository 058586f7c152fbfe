"""Provers that are honest but for one stated lie: zkAttn.

A lie about what is committed leaves a remainder out of its range, or, where the prover range-checks
other remainders than follow, a product that does not fit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from attention_liars import (
    NOT_IN_TABLE,
    NOT_THE_TABLES,
    PARAMETERS,
    WRONG_SCORE,
    faked_row_sums,
    honest,
    rescored,
    reweighted,
    shifts,
    weights,
    with_shifts,
    with_tensors,
)
from cases.attention import (
    STEEP,
    ZkAttnCase,
)
from cases.attention_entries import (
    is_masked,
    rows_of,
)
from cases.case import FIELD, changed, prove, reason_of_rejection, verify

from zkbench.kernels.attention import Tiles
from zkbench.kernels.launch import Array, Target, cpu_target
from zkbench.protocols.causal_tiles import AttentionShape
from zkbench.protocols.logup_star import LogupStar
from zkbench.protocols.zkattn import ZkAttn

INDEX_OUTSIDE = "an index does not point into its table"
MASKED_WEIGHT = "a masked position has a weight"


def test_the_honest_prover_is_accepted() -> None:
    assert verify(honest(), prove(honest(), cpu_target())[0])


def test_what_follows_is_what_the_honest_prover_has() -> None:
    case = honest()
    assert reweighted(rescored(with_shifts(case, shifts(case)))) == case


# The softmax: shifts and row sums.


def row_with_sum(case: ZkAttnCase, by: int, is_within: bool) -> ZkAttnCase:
    """The first row whose sum, its shift moved by so much, is another one, within tolerance or not."""
    tolerance, scale = 1 << case.log_tolerance, 1 << case.table.log_scale
    before = rows_of(case.shape, weights(case))
    for row in range(len(before)):
        moved = reweighted(rescored(with_shifts(case, changed(tuple(shifts(case)), row, by))))
        found = rows_of(case.shape, weights(moved))[row]
        inside = all(0 <= t < len(case.table.values) for t in moved.tensors["indices"])
        if (
            inside
            and found != before[row]
            and is_within == (-tolerance <= found - scale < tolerance)
        ):
            return moved
    raise AssertionError("no row has such a sum")


@pytest.mark.parametrize("by", [2, 3, 4])
def test_a_row_scaled_beyond_the_tolerance(by: int) -> None:
    assert reason_of_rejection(row_with_sum(honest(), by, is_within=False)) == NOT_IN_TABLE


def test_a_row_scaled_within_the_tolerance_is_accepted() -> None:
    """The statement allows it: zkAttn proves softmax up to its tolerance, and this is what it means."""
    moved = row_with_sum(honest(), 1, is_within=True)
    assert moved.tensors["indices"] != honest().tensors["indices"]
    assert verify(honest(), prove(moved, cpu_target())[0])


@pytest.mark.parametrize("by", [2, 3, 4])
def test_a_row_scaled_beyond_the_tolerance_with_a_faked_sum(by: int) -> None:
    prover = faked_row_sums(row_with_sum(honest(), by, is_within=False))
    assert reason_of_rejection(prover) == NOT_THE_TABLES


@pytest.mark.parametrize("row", [0, 5, 31])
def test_a_faked_row_sum(row: int) -> None:
    case = honest()
    sums = changed(tuple(rows_of(case.shape, weights(case))), row, -1)
    assert reason_of_rejection(with_tensors(case, row_sums=sums)) == NOT_THE_TABLES


def test_a_shift_that_is_not_the_scores() -> None:
    """Its limb is committed after the indices were made with another one."""
    case = honest()
    low = case.tensors["shift_low"]
    other = next(r for r, limb in enumerate(low) if limb + 1 < 1 << case.value_bits)
    prover = with_tensors(case, shift_low=changed(low, other))
    assert reason_of_rejection(prover) == WRONG_SCORE


def test_a_low_limb_out_of_range() -> None:
    """The high limb makes up for it: the shift itself is right."""
    case, size = honest(), 1 << honest().value_bits
    low, high = case.tensors["shift_low"], case.tensors["shift_high"]
    prover = with_tensors(case, shift_low=changed(low, 0, size), shift_high=changed(high, 0, -1))
    assert shifts(prover) == shifts(case)
    assert reason_of_rejection(prover) == NOT_IN_TABLE


def test_a_high_limb_right_only_modulo_p() -> None:
    """The low limb is in range, and the shift right modulo p."""
    case, size = honest(), 1 << honest().value_bits
    low, high = case.tensors["shift_low"], case.tensors["shift_high"]
    row = next(r for r, limb in enumerate(low) if limb)
    centred = pow(size, -1, FIELD.modulus) - FIELD.modulus
    high_limbs = changed(high, row, centred if centred > -(2**62) else centred + FIELD.modulus)
    prover = with_tensors(case, shift_low=changed(low, row, -1), shift_high=high_limbs)
    pairs = zip(shifts(prover), shifts(case), strict=True)
    assert all((a - b) % FIELD.modulus == 0 for a, b in pairs)
    assert prover != case
    assert reason_of_rejection(prover) == NOT_IN_TABLE


# The mask.


def first_masked(case: ZkAttnCase) -> int:
    return is_masked(case.shape).index(True)


def leaking() -> ZkAttnCase:
    """A masked score so high above its row's shift that the mask does not reach zero weights.

    Everything follows from these queries and keys by the equations; only the weight is not allowed.
    """
    shape = AttentionShape(layers=1, blocks=1, log_block=1, heads=1, kv_heads=1, head_dim=1)
    case = ZkAttnCase(shape=shape, **PARAMETERS)
    keys = (0, 2 * STEEP.mask - 2)
    tensors = {"queries": (1, 1), "keys": keys, "values": (1, 2)}
    case = replace(case, tensors={**tensors, "shift_low": (), "shift_high": ()})
    return reweighted(rescored(with_shifts(case, (1, keys[1] // 2))))


def test_a_masked_position_given_weight() -> None:
    prover = leaking()
    assert weights(prover) == [10, 6, 0, 16]
    assert reason_of_rejection(prover) == MASKED_WEIGHT


def index_changed(case: ZkAttnCase, place: int, index: int) -> ZkAttnCase:
    """Another index, with the remainder that makes up for it, and all that follows."""
    by = index - case.tensors["indices"][place]
    remainders = changed(case.tensors["score_remainders"], place, by * (1 << case.score_shift))
    indices = changed(case.tensors["indices"], place, by)
    return reweighted(with_tensors(case, indices=indices, score_remainders=remainders))


def in_range(case: ZkAttnCase) -> ZkAttnCase:
    """Range-checks remainders that are in range, not those that follow."""
    remainders = [r % (1 << case.score_shift) for r in case.tensors["score_remainders"]]
    return faked_row_sums(with_tensors(case, score_remainders=remainders))


def test_a_masked_score_without_its_mask() -> None:
    case = honest()
    prover = index_changed(case, first_masked(case), 3)
    assert weights(prover)[first_masked(case)] == 4
    assert reason_of_rejection(prover) == NOT_IN_TABLE
    assert reason_of_rejection(in_range(prover)) == WRONG_SCORE


def test_a_mask_where_none_is() -> None:
    """A score that counts is treated as masked: its weight is lost."""
    case = honest()
    place = next(
        p
        for p, (m, w) in enumerate(zip(is_masked(case.shape), weights(case), strict=True))
        if w and not m
    )
    prover = index_changed(case, place, case.tensors["indices"][place] + case.table.mask)
    assert reason_of_rejection(prover) == NOT_IN_TABLE
    assert reason_of_rejection(in_range(prover)) == WRONG_SCORE


# Scores and indices.


@pytest.mark.parametrize("by", [1, -1])
@pytest.mark.parametrize("is_above", [False, True])
def test_a_score_rounded_the_wrong_way(by: int, is_above: bool) -> None:
    """Masked ones too: their weights are zero either way, but their indices are as bound."""
    case = honest()
    places = [
        p
        for p, (m, t) in enumerate(zip(is_masked(case.shape), case.tensors["indices"], strict=True))
        if m == is_above and 0 <= t + by < len(case.table.values)
    ]
    prover = index_changed(case, places[-1], case.tensors["indices"][places[-1]] + by)
    assert reason_of_rejection(faked_row_sums(prover)) == NOT_IN_TABLE
    assert reason_of_rejection(in_range(prover)) == WRONG_SCORE


class ClippedPush(LogupStar):
    """An index outside counts as entry 0 in the pushed-forward vector."""

    def _push(self, target: Target, indices: Any, weights: Any) -> Array:
        size = self.table_size
        inside = [np.where((i >= 0) & (i < size), i, size - 1) for i in indices]
        return super()._push(target, inside, weights)


@dataclass(frozen=True)
class LyingZkAttn(ZkAttn):
    """P from other indices than the committed ones; lookups that take any index."""

    other: tuple[int, ...] | None = None

    def tiles(self, target: Target, indices: Array) -> Tiles:
        if self.other is not None:
            indices = target.to_device(np.array(self.other, dtype=np.uint16))
        return super().tiles(target, indices)

    @property
    def exponentials(self) -> LogupStar:
        return ClippedPush(self.field, self.table, (self.shape.scores,))


@dataclass(frozen=True)
class Lying(ZkAttnCase):
    """Proves with a protocol of its own."""

    other: tuple[int, ...] | None = None

    @property
    def proving(self) -> ZkAttn:
        honest = self.protocol
        return LyingZkAttn(**vars(honest), other=self.other)


@pytest.mark.parametrize("index", [64, 65, 1000, -1])
def test_an_index_outside_the_table(index: int) -> None:
    """The masked score of row 0, which counts nothing: here the equations hold, by its key.

    The verifier's table has no such entry; the prover's weight for it is zero.
    """
    shape = AttentionShape(layers=1, blocks=1, log_block=1, heads=1, kv_heads=1, head_dim=1)
    keys = (0, 2 * (STEEP.mask - index))
    tensors = {"queries": (1, 1), "keys": keys, "values": (1, 2)}
    case = Lying(shape=shape, value_bits=12, log_tolerance=3, tensors=tensors)
    # the second row's own key lies far below or above its first one
    case = with_shifts(case, (0, max(0, keys[1] // 2)))
    case = rescored(case)
    assert case.tensors["indices"][1] == index
    inside = [t if 0 <= t < 64 else 63 for t in case.tensors["indices"]]
    case = replace(case, other=tuple(inside))
    case = with_tensors(reweighted(case), row_sums=rows_of(shape, weights(case)))
    verifier = ZkAttnCase(shape=shape, value_bits=12, log_tolerance=3)
    assert reason_of_rejection(faked_row_sums(case), verifier) == INDEX_OUTSIDE


def test_weights_that_are_not_the_tables() -> None:
    """P of other indices, in row sums and outputs alike; the committed indices are right."""
    case = honest()
    place = next(p for p, w in enumerate(weights(case)) if w == 10)
    other = changed(case.tensors["indices"], place, -1)
    moved = reweighted(with_tensors(case, indices=other))
    taken = ("outputs", "output_remainders")
    tensors = {**case.tensors, **{name: moved.tensors[name] for name in taken}}
    sums = {"row_sums": tuple(rows_of(case.shape, weights(moved)))}
    prover = Lying(**{**vars(case), "tensors": {**tensors, **sums}}, other=other)
    assert reason_of_rejection(faked_row_sums(prover), case) == NOT_THE_TABLES
