"""Provers that are honest but for one stated lie: RMSNorm.

A lie leaves a limb or a remainder out of its range; where the prover puts one in range instead, one of
the protocol's equations fails, or a claim that is left is false.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import pytest
from cases.case import FIELD, changed, prove, reason_of_rejection, verify
from cases.norm_lies import (
    BITS,
    EPSILON,
    INVERSE_TOO_SMALL,
    NOT_IN_TABLE,
    NUMBERS,
    ROOT_TOO_SMALL,
    WIDTH,
    WRONG_OUTPUT,
    WRONG_ROOT,
    WRONG_SUM,
    centred,
    from_inverse,
    from_root,
    honest,
    middling,
    num_rows,
    rescaled,
    rows_of,
    with_limbs,
    with_row,
    with_tensors,
)
from cases.norms import RMSNormCase

from zkbench.kernels.launch import cpu_target
from zkbench.protocols.rmsnorm import RMSNorm


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


@pytest.mark.parametrize("name", NUMBERS)
def test_a_limb_off_by_one(name: str) -> None:
    """In range, and nothing else is changed."""
    case = honest()
    value = rows_of(case)[name][1]
    prover = with_row(case, 1, **{name: value + (1 if value % (1 << BITS) < 15 else -1)})
    expected = dict.fromkeys(("sq", "d", "e"), ROOT_TOO_SMALL) | {"r": WRONG_OUTPUT}
    expected |= dict.fromkeys(("m", "f"), INVERSE_TOO_SMALL)
    assert reason_of_rejection(prover) == expected[name]


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
