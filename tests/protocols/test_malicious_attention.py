"""Provers that are honest but for one stated lie: zkAttn.

A lie about what is committed leaves a remainder out of its range, or, where the prover range-checks
other remainders than follow, a product that does not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any

import numpy as np
import pytest
from cases.attention import (
    STEEP,
    ZkAttnCase,
    along_rows,
    is_masked,
    key_at,
    outputs_of,
    query_at,
    rows_of,
    scores_of,
)
from cases.case import FIELD, changed, prove, reason_of_rejection, verify

from zkbench.kernels.attention import Tiles
from zkbench.kernels.launch import Array, Target, cpu_target
from zkbench.protocols.causal_tiles import AttentionShape
from zkbench.protocols.logup_star import LogupStar
from zkbench.protocols.zkattn import ZkAttn

NOT_IN_TABLE = "a looked-up value is not in its table"
WRONG_SCORE, WRONG_OUTPUT = "an attention score is wrong", "an attention output is wrong"
NOT_THE_TABLES = "a looked-up output is not the table's"
INDEX_OUTSIDE = "an index does not point into its table"
MASKED_WEIGHT = "a masked position has a weight"
TWO_OF_ALL = AttentionShape(layers=2, blocks=2, log_block=1, heads=4, kv_heads=2, head_dim=3)
PARAMETERS: dict[str, Any] = {"value_bits": 5, "log_tolerance": 3}


@cache
def honest() -> ZkAttnCase:
    return ZkAttnCase.random(Random(5), TWO_OF_ALL, **PARAMETERS)


def test_the_honest_prover_is_accepted() -> None:
    assert verify(honest(), prove(honest(), cpu_target())[0])


# What follows from a choice of tensors, by the definition: lies change some of it.


def shifts(case: ZkAttnCase) -> list[int]:
    low, high = case.tensors["shift_low"], case.tensors["shift_high"]
    offset = 1 << (2 * case.value_bits - 1)
    return [a + (b << case.value_bits) - offset for a, b in zip(low, high, strict=True)]


def weights(case: ZkAttnCase) -> list[int]:
    table = case.table.values
    return [int(table[t]) if 0 <= t < len(table) else 0 for t in case.tensors["indices"]]


def with_shifts(case: ZkAttnCase, values: Sequence[int]) -> ZkAttnCase:
    offset, low = 1 << (2 * case.value_bits - 1), (1 << case.value_bits) - 1
    limbs = [s + offset for s in values]
    low_limbs, high_limbs = (
        tuple(s & low for s in limbs),
        tuple(s >> case.value_bits for s in limbs),
    )
    return with_tensors(case, shift_low=low_limbs, shift_high=high_limbs)


def with_tensors(case: ZkAttnCase, **tensors: Sequence[int]) -> ZkAttnCase:
    changes = {name: tuple(values) for name, values in tensors.items()}
    return replace(case, tensors={**case.tensors, **changes})


def rescored(
    case: ZkAttnCase, q: Sequence[int] | None = None, k: Sequence[int] | None = None
) -> ZkAttnCase:
    """Indices and remainders that follow from these queries and keys and the shifts."""
    products = scores_of(case.shape, q or case.tensors["queries"], k or case.tensors["keys"])
    s, rows = case.score_shift, along_rows(case.shape, shifts(case))
    scaled = [z + (1 << (s - 1)) for z in products]
    masks = [case.table.mask * m for m in is_masked(case.shape)]
    indices = [r + m - (z >> s) for r, m, z in zip(rows, masks, scaled, strict=True)]
    remainders = [z % (1 << s) for z in scaled]
    return with_tensors(case, indices=indices, score_remainders=remainders)


def reweighted(case: ZkAttnCase, v: Sequence[int] | None = None) -> ZkAttnCase:
    """Outputs that follow from the indices and these values."""
    sums = outputs_of(case.shape, weights(case), v or case.tensors["values"])
    theta = case.table.log_scale
    shifted = [a + (1 << (theta - 1)) for a in sums]
    outputs, remainders = [a >> theta for a in shifted], [a % (1 << theta) for a in shifted]
    return with_tensors(case, outputs=outputs, output_remainders=remainders)


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


def faked_row_sums(case: ZkAttnCase) -> ZkAttnCase:
    """Row sums in range, not those of the weights."""
    tolerance, scale = 1 << case.log_tolerance, 1 << case.table.log_scale
    sums = rows_of(case.shape, weights(case))
    return with_tensors(
        case, row_sums=np.clip(sums, scale - tolerance, scale + tolerance - 1).tolist()
    )


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


# Tensors in the wrong place: everything follows from them as it should.


def moved(
    shape: AttentionShape,
    tensor: Sequence[int],
    place: Callable[..., slice],
    source: Callable[..., tuple[int, int, int, int]],
) -> tuple[int, ...]:
    """Each position's entries are those of another one."""
    out = list(tensor)
    for layer in range(shape.layers):
        for b in range(shape.blocks):
            for i in range(shape.block):
                for h in range(shape.heads):
                    at = source(layer, b, i, h)
                    out[place(shape, layer, b, i, h)] = tensor[place(shape, *at)]
    return tuple(out)


SOURCES: dict[str, Callable[..., tuple[int, int, int, int]]] = {
    "another group of heads": lambda l, b, i, h: (l, b, i, (h + 2) % 4),
    "another layer": lambda l, b, i, h: (1 - l, b, i, h),
    "another block": lambda l, b, i, h: (l, 1 - b, i, h),
    "another position": lambda l, b, i, h: (l, b, 1 - i, h),
}
EACH_SOURCE = pytest.mark.parametrize("source", SOURCES)


def fitting(case: ZkAttnCase) -> ZkAttnCase:
    """Tolerances so wide that any indices and sums pass: only the products can show the lie."""
    return replace(case, table=replace(case.table, bits=8), log_tolerance=8, value_bits=8)


@cache
def lenient() -> ZkAttnCase:
    case = fitting(honest())
    inputs = {name: case.tensors[name] for name in ("queries", "keys", "values")}
    return case.forward(inputs)


@EACH_SOURCE
def test_a_key_of(source: str) -> None:
    case = lenient()
    keys = moved(case.shape, case.tensors["keys"], key_at, SOURCES[source])
    assert_only_the_product_shows(reweighted(with_centred(rescored, case, k=keys)), WRONG_SCORE)


@EACH_SOURCE
def test_a_query_of(source: str) -> None:
    case = lenient()
    queries = moved(case.shape, case.tensors["queries"], query_at, SOURCES[source])
    assert_only_the_product_shows(reweighted(with_centred(rescored, case, q=queries)), WRONG_SCORE)


@EACH_SOURCE
def test_a_value_of(source: str) -> None:
    case = lenient()
    values = moved(case.shape, case.tensors["values"], key_at, SOURCES[source])
    assert_only_the_product_shows(reweighted(case, values), WRONG_OUTPUT)


@EACH_SOURCE
def test_an_output_of(source: str) -> None:
    assert_exchange_shows(SOURCES[source])


def test_outputs_of_two_heads_of_one_group() -> None:
    assert_exchange_shows(lambda l, b, i, h: (l, b, i, h ^ 1))


def assert_exchange_shows(source: Callable[..., tuple[int, int, int, int]]) -> None:
    case = lenient()
    names = ("outputs", "output_remainders")
    prover = with_tensors(
        case,
        **{name: moved(case.shape, case.tensors[name], query_at, source) for name in names},
    )
    assert_only_the_product_shows(prover, WRONG_OUTPUT)


def with_centred(follow: Callable[..., ZkAttnCase], case: ZkAttnCase, **tensors: Any) -> ZkAttnCase:
    """Shifts raised, so that no index is negative whatever the scores."""
    raised = with_shifts(case, [s + 20 for s in shifts(case)])
    return follow(raised, **tensors)


def assert_only_the_product_shows(prover: ZkAttnCase, reason: str) -> None:
    assert prover != lenient()
    assert all(0 <= t < 256 for t in prover.tensors["indices"])
    verify(lenient(), prove(lenient(), cpu_target())[0])
    assert reason_of_rejection(faked_row_sums(prover)) == reason
