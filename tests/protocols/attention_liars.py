"""What follows, by the definition, from a choice of zkAttn's tensors: lies change some of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

import numpy as np
from cases.attention import (
    ZkAttnCase,
)
from cases.attention_entries import (
    along_rows,
    is_masked,
    outputs_of,
    rows_of,
    scores_of,
)

from zkbench.protocols.causal_tiles import AttentionShape

NOT_IN_TABLE = "a looked-up value is not in its table"
WRONG_SCORE, WRONG_OUTPUT = "an attention score is wrong", "an attention output is wrong"
NOT_THE_TABLES = "a looked-up output is not the table's"
TWO_OF_ALL = AttentionShape(layers=2, blocks=2, log_block=1, heads=4, kv_heads=2, head_dim=3)
PARAMETERS: dict[str, Any] = {"value_bits": 5, "log_tolerance": 3}


@cache
def honest() -> ZkAttnCase:
    return ZkAttnCase.random(Random(5), TWO_OF_ALL, **PARAMETERS)


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


def faked_row_sums(case: ZkAttnCase) -> ZkAttnCase:
    """Row sums in range, not those of the weights."""
    tolerance, scale = 1 << case.log_tolerance, 1 << case.table.log_scale
    sums = rows_of(case.shape, weights(case))
    return with_tensors(
        case, row_sums=np.clip(sums, scale - tolerance, scale + tolerance - 1).tolist()
    )
