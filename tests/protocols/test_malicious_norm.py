"""Provers that are honest but for one stated lie: RMSNorm.

A lie leaves a limb or a remainder out of its range; where the prover puts one in range instead, one of
the protocol's equations fails, or a claim that is left is false.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from random import Random
from typing import Any

import numpy as np
import pytest
from cases.case import FIELD, changed, prove, reason_of_rejection, verify
from cases.norms import RMSNormCase

from zkbench.kernels.launch import cpu_target
from zkbench.protocols.rmsnorm import LIMBS, RMSNorm

NOT_IN_TABLE = "a looked-up value is not in its table"
WRONG_OUTPUT = "a norm's output is not its input times r"
ROOT_TOO_SMALL, INVERSE_TOO_SMALL = "a norm's root is too small", "a norm's inverse is too small"
WRONG_ROOT = "a norm's root or its inverse is wrong"
WRONG_SUM = "a norm's sum of squares is wrong"
INPUTS = "the claim on inputs is false"
BITS, WIDTH, EPSILON = 4, 5, 9
NUMBERS = ("sq", "r", "d", "e", "m", "f")
Rows = dict[str, list[int]]  # ss, sq, r, d, e, m, f of every row


@cache
def honest() -> RMSNormCase:
    """Rows of similar norms, and one of zeros."""
    case = RMSNormCase(layers=2, rows=(2, 3), width=WIDTH, epsilon=EPSILON, value_bits=BITS)
    rng = Random(8)
    return case.forward([rng.randint(-7, 7) for _ in range(11 * WIDTH)] + [0] * WIDTH)


def num_rows(case: RMSNormCase) -> int:
    return prod(case.protocol.row_shape)


def rows_of(case: RMSNormCase) -> Rows:
    """The numbers that are committed, by the definition of limbs."""
    n, limbs = num_rows(case), case.tensors["limbs"]
    parts = {name: limbs[k * n : (k + 1) * n] for k, name in enumerate(LIMBS)}
    parts |= {name: case.tensors[name] for name in ("sq_high", "r_high")}
    numbers = {
        name: [
            low + (high << BITS)
            for low, high in zip(parts[f"{name}_low"], parts[f"{name}_high"], strict=True)
        ]
        for name in NUMBERS
    }
    return {"ss": list(case.tensors["sums"]), **numbers}


def with_tensors(case: RMSNormCase, **tensors: Sequence[int]) -> RMSNormCase:
    return replace(case, tensors={**case.tensors, **{k: tuple(v) for k, v in tensors.items()}})


def with_limbs(case: RMSNormCase, name: str, row: int, low: int, high: int) -> RMSNormCase:
    """One number of one row has these limbs, in range or not."""
    n, tensors = num_rows(case), dict(case.tensors)
    for limb, value in ((f"{name}_low", low), (f"{name}_high", high)):
        tensor, place = ("limbs", LIMBS.index(limb) * n + row) if limb in LIMBS else (limb, row)
        old = tensors[tensor]
        tensors[tensor] = (*old[:place], value, *old[place + 1 :])
    return replace(case, tensors=tensors)


def with_rows(case: RMSNormCase, rows: Rows) -> RMSNormCase:
    """These numbers, with limbs as they come: a negative number's high limb is negative."""
    for name in NUMBERS:
        for row, value in enumerate(rows[name]):
            case = with_limbs(case, name, row, value % (1 << BITS), value >> BITS)
    return with_tensors(case, sums=rows["ss"])


def with_row(case: RMSNormCase, row: int, **numbers: int) -> RMSNormCase:
    rows = rows_of(case)
    for name, value in numbers.items():
        rows[name][row] = value
    return with_rows(case, rows)


def rescaled(case: RMSNormCase) -> RMSNormCase:
    """Outputs and remainders that follow from the inputs and r."""
    r = rows_of(case)["r"]
    x = case.tensors["inputs"]
    shifted = [v * r[k // WIDTH] + (1 << (BITS - 1)) for k, v in enumerate(x)]
    return with_tensors(
        case,
        outputs=[a >> BITS for a in shifted],
        remainders=[a % (1 << BITS) for a in shifted],
    )


def from_root(case: RMSNormCase, row: int, sq: int, ss: int | None = None) -> RMSNormCase:
    """All that follows from this root of a row, but for ranges."""
    ss = rows_of(case)["ss"][row] if ss is None else ss
    d, r = ss - sq * sq, (1 << (2 * BITS - 1)) // sq
    m = (1 << (2 * BITS - 1)) - r * sq
    numbers = {"ss": ss, "sq": sq, "r": r, "d": d, "e": 2 * sq - d, "m": m, "f": sq - 1 - m}
    return rescaled(with_row(case, row, **numbers))


def from_inverse(case: RMSNormCase, row: int, r: int) -> RMSNormCase:
    """All that follows from this inverse of a row, but for ranges."""
    sq = rows_of(case)["sq"][row]
    m = (1 << (2 * BITS - 1)) - r * sq
    return rescaled(with_row(case, row, r=r, m=m, f=sq - 1 - m))


def middling(case: RMSNormCase) -> int:
    """A row, not of zeros, whose outputs stay in range when its inverse is moved by one."""
    rows = rows_of(case)
    return next(
        k
        for k in range(num_rows(case))
        if rows["sq"][k] > 4
        and all(
            -8 <= y < 8
            for by in (-1, 1)
            for y in from_inverse(case, k, rows["r"][k] + by).tensors["outputs"]
        )
    )


def test_the_honest_prover_is_accepted() -> None:
    assert verify(honest(), prove(honest(), cpu_target())[0])


def test_what_follows_is_what_the_honest_prover_has() -> None:
    case = honest()
    for row in range(num_rows(case)):
        assert from_root(case, row, rows_of(case)["sq"][row]) == case
        assert from_inverse(case, row, rows_of(case)["r"][row]) == case


# Roots.


def test_a_root_one_too_large() -> None:
    """d is negative; put in range, one equation or the other fails."""
    case, row = honest(), middling(honest())
    sq = rows_of(case)["sq"][row] + 1
    prover = from_root(case, row, sq)
    assert rows_of(prover)["d"][row] < 0
    assert reason_of_rejection(prover) == NOT_IN_TABLE
    assert reason_of_rejection(with_row(prover, row, d=0, e=2 * sq)) == WRONG_ROOT
    wrapped = rows_of(prover)["d"][row] % (1 << (2 * BITS))
    assert reason_of_rejection(with_row(prover, row, d=wrapped, e=0)) == ROOT_TOO_SMALL


def test_a_root_one_too_small() -> None:
    """e is negative."""
    case, row = honest(), middling(honest())
    sq = rows_of(case)["sq"][row] - 1
    prover = from_root(case, row, sq)
    assert rows_of(prover)["e"][row] < 0
    assert reason_of_rejection(prover) == NOT_IN_TABLE
    assert reason_of_rejection(with_row(prover, row, e=0)) == ROOT_TOO_SMALL
    assert reason_of_rejection(with_row(prover, row, d=2 * sq, e=0)) == WRONG_ROOT


@pytest.mark.parametrize("by", [1, -1])
def test_a_root_off_by_one_with_the_sum_that_it_is_the_root_of(by: int) -> None:
    case, row = honest(), middling(honest())
    sq = rows_of(case)["sq"][row] + by
    assert reason_of_rejection(from_root(case, row, sq, ss=sq * sq)) == WRONG_SUM


def test_the_sum_of_another_row() -> None:
    """Everything follows from it."""
    case, row = honest(), middling(honest())
    rows = rows_of(case)
    other = next(k for k, sq in enumerate(rows["sq"]) if 0 < abs(sq - rows["sq"][row]) <= 2)
    prover = from_root(case, row, rows["sq"][other], rows["ss"][other])
    assert reason_of_rejection(prover) == WRONG_SUM


@pytest.mark.parametrize("by", [1, -1])
def test_a_sum_that_is_not_the_roots(by: int) -> None:
    case = honest()
    prover = with_tensors(case, sums=changed(case.tensors["sums"], 3, by))
    assert reason_of_rejection(prover) == WRONG_ROOT


@dataclass(frozen=True)
class OtherEpsilon(RMSNormCase):
    """Proves with another epsilon than the statement's."""

    proven: int = 0

    @property
    def proving(self) -> RMSNorm:
        return replace(self.protocol, epsilon=self.proven)


@pytest.mark.parametrize("by", [1, -1, 1000])
def test_another_epsilon(by: int) -> None:
    """All that follows from it is proven."""
    case = honest()
    moved = replace(case, epsilon=EPSILON + by).forward(case.tensors["inputs"])
    assert moved.tensors["sums"] != case.tensors["sums"]
    prover = OtherEpsilon(**{**vars(moved), "epsilon": EPSILON}, proven=EPSILON + by)
    assert reason_of_rejection(prover, case) == WRONG_SUM


# Inverses.


def test_an_inverse_one_too_large() -> None:
    """m is negative."""
    case, row = honest(), middling(honest())
    sq = rows_of(case)["sq"][row]
    prover = from_inverse(case, row, rows_of(case)["r"][row] + 1)
    assert rows_of(prover)["m"][row] < 0
    assert reason_of_rejection(prover) == NOT_IN_TABLE
    assert reason_of_rejection(with_row(prover, row, m=0, f=sq - 1)) == WRONG_ROOT
    assert reason_of_rejection(with_row(prover, row, m=sq, f=0)) == INVERSE_TOO_SMALL


def test_an_inverse_one_too_small() -> None:
    """f is negative."""
    case, row = honest(), middling(honest())
    sq = rows_of(case)["sq"][row]
    prover = from_inverse(case, row, rows_of(case)["r"][row] - 1)
    assert rows_of(prover)["f"][row] < 0
    assert reason_of_rejection(prover) == NOT_IN_TABLE
    assert reason_of_rejection(with_row(prover, row, f=0)) == INVERSE_TOO_SMALL
    assert reason_of_rejection(with_row(prover, row, m=sq - 1, f=0)) == WRONG_ROOT


def test_the_inverse_of_another_row() -> None:
    """With its m and f as well, or with those that follow."""
    case, row = honest(), middling(honest())
    rows = rows_of(case)
    other = next(k for k, r in enumerate(rows["r"]) if 0 < abs(r - rows["r"][row]) <= 2)
    taken = {name: rows[name][other] for name in ("r", "m", "f")}
    prover = rescaled(with_row(case, row, **taken))
    assert reason_of_rejection(prover) == INVERSE_TOO_SMALL
    assert reason_of_rejection(from_inverse(case, row, taken["r"])) == NOT_IN_TABLE
    kept = rescaled(with_row(case, row, r=taken["r"]))
    assert reason_of_rejection(kept) == WRONG_ROOT


def test_a_root_of_zero() -> None:
    """It has no inverse; any r would do for r sq + m, but m + f = -1."""
    zeros = replace(honest(), epsilon=4).forward([0] * WIDTH * num_rows(honest()))
    prover = with_row(zeros, 2, ss=0, sq=0, r=100, d=0, e=0, m=1 << (2 * BITS - 1), f=0)
    assert reason_of_rejection(rescaled(prover), zeros) == INVERSE_TOO_SMALL
    negative = with_row(prover, 2, m=0, f=-1)
    assert reason_of_rejection(rescaled(negative), zeros) == NOT_IN_TABLE


def test_outputs_of_another_inverse_than_the_committed() -> None:
    case, row = honest(), middling(honest())
    for by in (1, -1):
        moved = from_inverse(case, row, rows_of(case)["r"][row] + by)
        taken = {name: moved.tensors[name] for name in ("outputs", "remainders")}
        assert taken["remainders"] != case.tensors["remainders"]
        assert reason_of_rejection(with_tensors(case, **taken)) == WRONG_OUTPUT


# Limbs.


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("by", [1, -1])
def test_a_carry_moved_between_limbs(name: str, by: int) -> None:
    """The number is right; a limb is not in range."""
    case = honest()
    value = rows_of(case)[name][1]
    low, high = value % (1 << BITS) + by * (1 << BITS), (value >> BITS) - by
    prover = with_limbs(case, name, 1, low, high)
    assert rows_of(prover) == rows_of(case)
    assert reason_of_rejection(prover, case) == NOT_IN_TABLE


@pytest.mark.parametrize("name", NUMBERS)
def test_limbs_of_a_number_plus_p(name: str) -> None:
    """The low limb is in range and another one; the number is right modulo p."""
    case = honest()
    value = rows_of(case)[name][1]
    low = (value + 1) % (1 << BITS)
    high = (value - low) * pow(1 << BITS, -1, FIELD.modulus) % FIELD.modulus
    prover = with_limbs(case, name, 1, low, centred(high))
    assert (low + (centred(high) << BITS) - value) % FIELD.modulus == 0
    assert reason_of_rejection(prover, case) == NOT_IN_TABLE


def centred(residue: int) -> int:
    """The representative that int64 holds."""
    return residue if residue < 1 << 63 else residue - FIELD.modulus


@pytest.mark.parametrize("name", NUMBERS)
def test_a_limb_off_by_one(name: str) -> None:
    """In range, and nothing else is changed."""
    case = honest()
    value = rows_of(case)[name][1]
    prover = with_row(case, 1, **{name: value + (1 if value % (1 << BITS) < 15 else -1)})
    expected = dict.fromkeys(("sq", "d", "e"), ROOT_TOO_SMALL) | {"r": WRONG_OUTPUT}
    expected |= dict.fromkeys(("m", "f"), INVERSE_TOO_SMALL)
    assert reason_of_rejection(prover) == expected[name]


# Inputs and outputs.


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


# Parameters.


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"epsilon": 3}, "epsilon is 3, outside [4, 2^48)"),
        ({"epsilon": 1 << 48}, f"epsilon is {1 << 48}, outside [4, 2^48)"),
        ({"width": (1 << 14) + 1}, "a norm of width 16385, outside [1, 16384]"),
        ({"width": 0}, "a norm of width 0, outside [1, 16384]"),
        ({"value_bits": 5}, "value_bits must be even, from 2 to 16, not 5"),
        ({"value_bits": 18}, "value_bits must be even, from 2 to 16, not 18"),
    ],
)
def test_parameters_for_which_equations_could_wrap(change: dict[str, int], reason: str) -> None:
    parameters = {"layers": 1, "rows": 1, "width": 3, "epsilon": 4, **change}
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        RMSNorm(FIELD, **parameters)
