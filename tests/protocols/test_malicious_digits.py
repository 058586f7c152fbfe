"""Provers that are honest but for one stated lie: attention with scores in digits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any

import numpy as np
import pytest
from cases.attention_entries import (
    along_rows,
    is_masked,
    outputs_of,
    rows_of,
    scores_of,
)
from cases.case import changed, prove, reason_of_rejection, verify
from cases.digit_attention import (
    FOUR_WEIGHTS,
    ONE_WEIGHT,
    TWO_WEIGHTS,
    DigitAttentionCase,
    ProductsCase,
)

from zkbench.kernels.launch import cpu_target
from zkbench.protocols.causal_tiles import AttentionShape
from zkbench.protocols.digit_attention import LIMBS

NOT_IN_TABLE = "a looked-up value is not in its table"
WRONG_SCORE, WRONG_OUTPUT = "an attention score is wrong", "an attention output is wrong"
WRONG_PRODUCT = "a product of looked-up values is wrong"
MASKED_WEIGHT = "a masked position has a weight"
SHAPE = AttentionShape(layers=2, blocks=2, log_block=1, heads=2, kv_heads=1, head_dim=2)
DIGITS = {"one": ONE_WEIGHT, "two": TWO_WEIGHTS, "four": FOUR_WEIGHTS}
EACH = pytest.mark.parametrize("name", DIGITS)


@cache
def honest(name: str = "one") -> DigitAttentionCase:
    return DigitAttentionCase.random(Random(3), SHAPE, DIGITS[name])


def with_tensors(case: DigitAttentionCase, **tensors: Sequence[int]) -> DigitAttentionCase:
    changes = {name: tuple(values) for name, values in tensors.items()}
    return replace(case, tensors={**case.tensors, **changes})


def followed(case: DigitAttentionCase) -> DigitAttentionCase:
    """With the weights, sums and outputs that follow from the digits."""
    digits = case.digits
    columns = [np.array(case.tensors[f"digit{k}"]) for k in range(len(digits.log_bases))]
    weights = digits.weights(columns).tolist()
    theta = digits.log_scale
    sums = outputs_of(case.shape, weights, case.tensors["values"])
    shifted = [a + (1 << (theta - 1)) for a in sums]
    return with_tensors(
        case,
        weights=weights,
        row_sums=rows_of(case.shape, weights),
        outputs=[a >> theta for a in shifted],
        output_remainders=[a % (1 << theta) for a in shifted],
    )


@EACH
def test_the_honest_prover_is_accepted(name: str) -> None:
    case = honest(name)
    assert followed(case) == case
    assert verify(case, prove(case, cpu_target())[0])


@EACH
def test_the_digits_add_up_vs_python_int(name: str) -> None:
    case, digits = honest(name), DIGITS[name]
    offset = 1 << (3 * case.value_bits - 1)
    limbs = zip(*(case.tensors[limb] for limb in LIMBS), strict=True)
    shifts = [sum(v << (case.value_bits * k) for k, v in enumerate(row)) - offset for row in limbs]
    scores = scores_of(case.shape, case.tensors["queries"], case.tensors["keys"])
    moved = [
        s + digits.mask * m - z
        for s, m, z in zip(
            along_rows(case.shape, shifts), is_masked(case.shape), scores, strict=True
        )
    ]
    place = 0
    for k, base in enumerate(digits.log_bases):
        assert case.tensors[f"digit{k}"] == tuple((x >> place) % (1 << base) for x in moved)
        place += base


@EACH
def test_a_digit_off_by_one(name: str) -> None:
    """In range, and everything after it follows from it."""
    case = honest(name)
    last = f"digit{len(case.digits.log_bases) - 1}"
    for digit in ("digit0", last):
        values = case.tensors[digit]
        place = values.index(0)
        prover = followed(with_tensors(case, **{digit: changed(values, place)}))
        assert reason_of_rejection(prover) == WRONG_SCORE


def test_a_carry_between_digits() -> None:
    """The digits add up, but one of them, without weight, is not below its base."""
    case = honest()
    base = 1 << case.digits.log_bases[0]
    low, high = case.tensors["digit0"], case.tensors["digit1"]
    place = next(p for p, digit in enumerate(high) if digit)
    prover = with_tensors(case, digit0=changed(low, place, base), digit1=changed(high, place, -1))
    assert reason_of_rejection(followed(prover)) == NOT_IN_TABLE


def other_digits(case: DigitAttentionCase) -> Iterator[tuple[str, DigitAttentionCase]]:
    """Each digit of a score that counts raised by one, and what follows."""
    for k in range(case.digits.least, len(case.digits.log_bases)):
        name = f"digit{k}"
        for place, digit in enumerate(case.tensors[name]):
            if case.tensors["weights"][place] and digit + 1 < 1 << case.digits.log_bases[k]:
                values = changed(case.tensors[name], place)
                yield name, followed(with_tensors(case, **{name: values}))


@EACH
def test_weights_that_are_not_the_digits(name: str) -> None:
    """P of other digits, in row sums and outputs alike; the committed digits are right."""
    case = honest(name)
    digit, moved = next(
        (digit, moved)
        for digit, moved in other_digits(case)
        if moved.tensors["weights"] != case.tensors["weights"]
    )
    prover = with_tensors(moved, **{digit: case.tensors[digit]})
    tolerance, scale = 1 << case.log_tolerance, 1 << case.digits.log_scale
    sums = np.clip(prover.tensors["row_sums"], scale - tolerance, scale + tolerance - 1)
    prover = with_tensors(prover, row_sums=sums.tolist())
    assert reason_of_rejection(prover) == WRONG_PRODUCT


def test_a_faked_row_sum() -> None:
    case = honest("two")
    row = next(r for r, s in enumerate(case.tensors["row_sums"]) if s)
    sums = changed(case.tensors["row_sums"], row, -1)
    assert reason_of_rejection(with_tensors(case, row_sums=sums)) == WRONG_PRODUCT


def test_a_row_scaled_beyond_the_tolerance() -> None:
    """A row of one score; its shift is one unit of the digit with a weight too high."""
    shape = AttentionShape(layers=1, blocks=1, log_block=0, heads=1, kv_heads=1, head_dim=1)
    inputs = {
        "queries": np.zeros(shape.queries, np.int16),
        "keys": np.zeros(shape.keys, np.int16),
        "values": np.ones(shape.keys, np.int16),
    }
    case = DigitAttentionCase(shape=shape, log_tolerance=2).forward(inputs)
    assert verify(case, prove(case, cpu_target())[0])
    (limb,) = case.tensors["shift0"]
    prover = followed(with_tensors(case, shift0=(limb + 4,), digit1=(1,)))
    assert prover.tensors["row_sums"] == (6,)
    assert reason_of_rejection(prover) == NOT_IN_TABLE
    assert reason_of_rejection(with_tensors(prover, row_sums=(12,))) == WRONG_PRODUCT


def test_a_masked_position_given_weight() -> None:
    """Its key lies so far above that x, mask included, is small."""
    shape = AttentionShape(layers=1, blocks=1, log_block=1, heads=1, kv_heads=1, head_dim=1)
    case = DigitAttentionCase(shape=shape, log_tolerance=4)
    keys, shifts = (0, ONE_WEIGHT.mask), (0, ONE_WEIGHT.mask)
    x = (0, 0, ONE_WEIGHT.mask, 0)
    digits = {f"digit{k}": d.tolist() for k, d in enumerate(ONE_WEIGHT.split(np.array(x)))}
    limbs = [s + (1 << (3 * case.value_bits - 1)) for s in shifts]
    shift_limbs = {
        name: [(s >> (case.value_bits * k)) % (1 << case.value_bits) for s in limbs]
        for k, name in enumerate(LIMBS)
    }
    inputs = {"queries": (1, 1), "keys": keys, "values": (1, 2)}
    case = replace(case, tensors={**inputs, **{n: tuple(v) for n, v in shift_limbs.items()}})
    prover = followed(with_tensors(case, **digits))
    assert prover.tensors["weights"] == (16, 16, 0, 16)
    tolerance = replace(prover, log_tolerance=5)
    assert reason_of_rejection(tolerance) == MASKED_WEIGHT


def test_values_of_another_position() -> None:
    case = honest()
    moved = case.tensors["values"][4:] + case.tensors["values"][:4]
    prover = followed(with_tensors(case, values=moved))
    prover = with_tensors(prover, values=case.tensors["values"])
    assert prover.tensors["outputs"] != case.tensors["outputs"]
    assert reason_of_rejection(prover) == WRONG_OUTPUT


@dataclass(frozen=True)
class OtherFactors(ProductsCase):
    """Sends other factors than those whose product the claims are on."""

    sent: int = 0

    def _claims(self, transcript: Any, tables: Any) -> list[Any]:
        return super()._claims(transcript, self.tables)


@pytest.mark.parametrize("factors", [1, 2, 3, 4, 5])
def test_a_factor_changed(factors: int) -> None:
    """The claims are those of the factors before one entry of one was changed."""
    case = ProductsCase.random(Random(factors), (2, 3), factors)
    for k in range(factors):
        tables = list(case.tables)
        tables[k] = changed(tables[k], 1)
        lying = replace(case, tables=tuple(tables))
        reason = reason_of_rejection(lying, OtherFactors(**vars(case)))
        assert reason == WRONG_PRODUCT


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"log_scales": (4, 1)}, "2 scales for 3 digits, of which 1 have no weight and 1 must"),
        ({"least": 3, "most": 0, "log_scales": ()}, "no digit has a weight"),
        ({"log_scales": (16,)}, "weights up to 2^16: at most 48 bits and 2^15 are proven"),
        ({"log_bases": (16, 17, 16)}, "digits of 49 bits with weights up to 2^4"),
    ],
)
def test_digits_that_do_not_fit(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        replace(ONE_WEIGHT, **change)
