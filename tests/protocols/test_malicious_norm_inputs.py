"""Provers that are honest but for one stated lie: inputs and outputs of RMSNorm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from cases.case import FIELD, changed, reason_of_rejection
from cases.norm_lies import (
    BITS,
    INPUTS,
    NOT_IN_TABLE,
    WIDTH,
    WRONG_OUTPUT,
    WRONG_SUM,
    centred,
    honest,
    middling,
    rescaled,
    rows_of,
    with_row,
    with_rows,
    with_tensors,
)
from cases.norms import RMSNormCase

from zkbench.protocols.norm_limbs import LIMBS
from zkbench.protocols.rmsnorm import RMSNorm


def with_inputs(case: RMSNormCase, inputs: Sequence[int]) -> RMSNormCase:
    """All follows from these inputs; the statement has the case's own."""
    moved = case.forward(tuple(inputs))
    return replace(moved, stated={"inputs": case.tensors["inputs"]})


@pytest.mark.parametrize("place", [0, 7, 12, 59])
@pytest.mark.parametrize("by", [1, -1])
def test_an_input_changed_at_one_entry(place: int, by: int) -> None:
    case = honest()
    prover = with_inputs(case, changed(case.tensors["inputs"], place, by))
    assert reason_of_rejection(prover, case) == INPUTS


def test_inputs_of_two_rows_exchanged() -> None:
    """And of two layers."""
    case, x = honest(), honest().tensors["inputs"]
    half = len(x) // 2
    for other in (x[WIDTH : 2 * WIDTH] + x[:WIDTH] + x[2 * WIDTH :], x[half:] + x[:half]):
        assert other != x
        assert reason_of_rejection(with_inputs(case, other), case) == INPUTS


def test_an_input_negated() -> None:
    """Its square is the same, so that only the scaling differs."""
    case, x = honest(), honest().tensors["inputs"]
    place = next(k for k, v in enumerate(x) if abs(v) > 1 and case.tensors["outputs"][k] > -8)
    prover = with_inputs(case, changed(x, place, -2 * x[place]))
    assert prover.tensors["sums"] == case.tensors["sums"]
    assert reason_of_rejection(prover, case) == INPUTS


@dataclass(frozen=True)
class SquaresOfOthers(RMSNorm):
    """The sums of squares are proven of other inputs than the scaling."""

    squared: tuple[int, ...] = ()

    def _prove_squares(self, transcript: Any, target: Any, inputs: Any, rho: Any) -> Any:
        other = target.to_device(np.array(self.squared, dtype=np.int32))
        return super()._prove_squares(transcript, target, other, rho)


@dataclass(frozen=True)
class LyingNorm(RMSNormCase):
    """Proves with a protocol of its own."""

    squared: tuple[int, ...] = ()

    @property
    def proving(self) -> RMSNorm:
        return SquaresOfOthers(**vars(self.protocol), squared=self.squared)


def test_sums_of_squares_of_other_inputs() -> None:
    """Norms are those of a row with one entry more or less; the scaling is of the true inputs."""
    case, x = honest(), honest().tensors["inputs"]
    row = middling(case)
    other = changed(x, row * WIDTH, 1 if x[row * WIDTH] >= 0 else -1)
    numbers = rows_of(case.forward(other))
    prover = rescaled(with_rows(case, numbers))
    liar = LyingNorm(**vars(prover), squared=other)
    assert reason_of_rejection(liar, case) == INPUTS
    assert reason_of_rejection(prover, case) == WRONG_SUM


@pytest.mark.parametrize("by", [1, -1])
def test_an_output_rounded_the_wrong_way(by: int) -> None:
    """The remainder makes up for it, or is in range."""
    case, size = honest(), 1 << BITS
    place = next(k for k, y in enumerate(case.tensors["outputs"]) if -7 < y < 7 and y)
    outputs = changed(case.tensors["outputs"], place, by)
    remainders = changed(case.tensors["remainders"], place, -by * size)
    prover = with_tensors(case, outputs=outputs, remainders=remainders)
    assert reason_of_rejection(prover) == NOT_IN_TABLE
    assert reason_of_rejection(with_tensors(case, outputs=outputs)) == WRONG_OUTPUT


@pytest.mark.parametrize("by", [1, -1])
def test_an_output_wrapped_around(by: int) -> None:
    """2^b away: out of range from inside, or in range from outside."""
    case, size = honest(), 1 << BITS
    outputs = changed(case.tensors["outputs"], 3, by * size)
    assert reason_of_rejection(with_tensors(case, outputs=outputs)) == NOT_IN_TABLE
    # a row that is all of its norm: its output is 8, one more than 4 bits hold
    lone = replace(case, layers=1, rows=1, width=1, epsilon=4)
    ones = {"inputs": (40,), "limbs": (0,) * len(LIMBS), "sq_high": (0,), "r_high": (0,)}
    lone = with_tensors(replace(lone, tensors={}), sums=(0,), outputs=(), remainders=(), **ones)
    sq, ss = 40, 1604
    r = 128 // sq
    m = 128 - r * sq
    numbers = {"ss": ss, "sq": sq, "r": r, "d": 4, "e": 2 * sq - 4, "m": m, "f": sq - 1 - m}
    lone = with_row(lone, 0, **numbers)
    acc = 40 * r + 8
    assert acc >> BITS == 8
    outside = with_tensors(lone, outputs=(8,), remainders=(acc % size,))
    assert reason_of_rejection(outside) == NOT_IN_TABLE
    wrapped = with_tensors(outside, outputs=(-8,))
    assert reason_of_rejection(wrapped) == WRONG_OUTPUT


def test_an_output_right_only_modulo_p() -> None:
    """Another remainder in range, and the quotient that makes up for it."""
    case, size = honest(), 1 << BITS
    remainder = case.tensors["remainders"][0]
    other = (remainder + 5) % size
    by = (remainder - other) * pow(size, -1, FIELD.modulus) % FIELD.modulus
    output = centred((case.tensors["outputs"][0] + by) % FIELD.modulus)
    outputs = (output, *case.tensors["outputs"][1:])
    remainders = (other, *case.tensors["remainders"][1:])
    prover = with_tensors(case, outputs=outputs, remainders=remainders)
    assert reason_of_rejection(prover, case) == NOT_IN_TABLE
