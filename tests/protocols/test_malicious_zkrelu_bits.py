"""Provers that are honest but for one stated lie: zkReLU by bits.

Lies in the committed tensor are told twice: with entries that are no bits, so that everything else
follows from them, and with bits alone. Not tested here: that no value makes the last check pass by
chance, which is the soundness of the sumcheck.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from cases.case import changed, pack_all, prove, reason_of_rejection, verify
from cases.relu_bits import VALUE_BITS, ReluBitsCase, lifted, tensors_of
from definitions import Element, Point
from relu_bits_liars import (
    FIVE,
    LARGE,
    LEAST,
    LOW,
    MINUS_ONE,
    MINUS_THREE,
    QUOTIENTS,
    SHIFT,
    SIGN,
    TOP_OF_LOW,
    ZERO,
    Liar,
    SumsOfSquares,
    followed,
    honest,
    lying,
    place,
    with_bits,
)

from zkbench.kernels.launch import Target, cpu_target

NO_BIT, NO_PRODUCT = "a committed bit is not 0 or 1", "a ReLU's output is not active times low"
BITS, ACCUMULATORS = "a claim on the bits is false", "the claim on the accumulators is false"


def test_the_honest_prover_is_accepted() -> None:
    case = honest()
    assert case["quotients"] == QUOTIENTS
    assert followed(case) == case
    assert verify(case, prove(case, cpu_target())[0])


# Entries that are no bits. The accumulators stay what they are.

NO_BITS: dict[str, tuple[int, dict[int, int]]] = {
    "a 2 in place of the next bit": (LARGE, {SHIFT + 4: 2, SHIFT + 5: -1}),
    "a 2 among the remainder's bits": (ZERO, {1: 2, 2: -1}),
    "the derivative flipped where y = 0": (ZERO, {SIGN: -1, TOP_OF_LOW: 2}),
    "the derivative flipped where y > 0": (FIVE, {SIGN: -1, TOP_OF_LOW: 2}),
    "a negative output": (MINUS_THREE, {SIGN: 1, TOP_OF_LOW: -2}),
    "the least value as an output": (LEAST, {SIGN: 1, TOP_OF_LOW: -2}),
    "a quotient too large, its remainder too small": (ZERO, {SHIFT: 1, SHIFT - 1: -2}),
    "a quotient too small, its remainder too large": (FIVE, {SHIFT: -1, SHIFT - 1: 2}),
    "a derivative of 2": (LARGE, {SIGN: 1, TOP_OF_LOW: -2}),
}
EACH_LIE = pytest.mark.parametrize("lie", NO_BITS)


def with_no_bits(lie: str) -> ReluBitsCase:
    """Accumulators, outputs, derivatives and quotients all fit the entries."""
    case = followed(with_bits(honest(), *NO_BITS[lie]))
    assert case["accumulators"] == honest()["accumulators"]
    numbers = [
        sum(case["bits"][place(k, i)] << k for k in range(SHIFT + VALUE_BITS)) for i in range(6)
    ]
    offset = (1 << (SHIFT - 1)) + (1 << (SHIFT + LOW))
    assert tuple(number - offset for number in numbers) == case["accumulators"]
    return case


@EACH_LIE
def test_entries_that_are_no_bits(lie: str) -> None:
    assert reason_of_rejection(with_no_bits(lie)) == NO_BIT


def test_what_entries_that_are_no_bits_are_good_for() -> None:
    """The lies above are about the outputs, not about B alone."""
    expected = honest()
    flipped = with_no_bits("the derivative flipped where y = 0")
    assert flipped["active"] == changed(expected["active"], ZERO, -1)
    assert flipped["outputs"] == expected["outputs"]
    negative = with_no_bits("a negative output")
    assert negative["outputs"][MINUS_THREE] == -3
    assert with_no_bits("the derivative flipped where y > 0")["outputs"][FIVE] == 0
    rounded = with_no_bits("a quotient too large, its remainder too small")
    assert rounded["quotients"][ZERO] == 1


def test_the_liars_other_steps_are_the_protocols() -> None:
    assert prove(lying(honest(), Liar), cpu_target()) == prove(honest(), cpu_target())


class OthersSquared(Liar):
    """Runs the sumcheck on bits, which B's entries are not."""

    def squared(self, bits: Any) -> Any:
        return bits & 1


class OthersThroughout(OthersSquared):
    """And says that those are the values of B."""

    def first_value(self, target: Target, bits: Any, r: Point) -> Element:
        return self._at(target, bits & 1, r)

    def plane_values(self, target: Target, bits: Any, point: Point) -> list[Element]:
        return [self._at(target, bits & 1, point), self.sums_at(bits, point)]


class SumsLeftOut(Liar):
    """Sends no round polynomials but those of zeros."""

    def squared(self, bits: Any) -> Any:
        return 0 * bits


@EACH_LIE
@pytest.mark.parametrize(
    ("liar", "reason"),
    [
        (SumsOfSquares, BITS),
        (OthersSquared, NO_BIT),
        (OthersThroughout, BITS),
        (SumsLeftOut, NO_BIT),
    ],
)
def test_the_test_of_bits_evaded(lie: str, liar: type[Liar], reason: str) -> None:
    assert reason_of_rejection(lying(with_no_bits(lie), liar), honest()) == reason


# Bits, but of other numbers.

OTHER_BITS: dict[str, tuple[int, dict[int, int]]] = {
    "the derivative flipped where y = 0": (ZERO, {SIGN: -1}),
    "the derivative flipped where y = -1": (MINUS_ONE, {SIGN: 1}),
    "the derivative flipped where y > 0": (LARGE, {SIGN: -1}),
    "a remainder off by one": (MINUS_THREE, {0: 1}),
    "a quotient off by one, the remainder as it was": (FIVE, {SHIFT: -1, SHIFT + 1: 1}),
    "a quotient larger, its remainder smaller": (ZERO, {SHIFT: 1, SHIFT - 1: -1}),
}


def with_other_bits(lie: str) -> ReluBitsCase:
    case = followed(with_bits(honest(), *OTHER_BITS[lie]))
    assert set(case["bits"]) == {0, 1}
    return case


@pytest.mark.parametrize("lie", OTHER_BITS)
def test_bits_of_another_number(lie: str) -> None:
    assert reason_of_rejection(with_other_bits(lie)) == ACCUMULATORS


def exchanged(values: Sequence[int], i: int, j: int) -> tuple[int, ...]:
    result = list(values)
    result[i], result[j] = result[j], result[i]
    return tuple(result)


def test_bits_of_two_entries_exchanged() -> None:
    """All of them: outputs, derivatives and quotients are exchanged too."""
    case, bits = honest(), honest()["bits"]
    for plane in range(SHIFT + VALUE_BITS):
        bits = exchanged(bits, place(plane, ZERO), place(plane, FIVE))
    prover = followed(case.with_tensors(bits=bits))
    assert prover["outputs"] == exchanged(case["outputs"], ZERO, FIVE)
    assert reason_of_rejection(prover) == ACCUMULATORS


def test_two_planes_exchanged() -> None:
    case, bits = honest(), honest()["bits"]
    for entry in range(len(QUOTIENTS)):
        bits = exchanged(bits, place(SHIFT, entry), place(SHIFT + 1, entry))
    assert reason_of_rejection(followed(case.with_tensors(bits=bits))) == ACCUMULATORS


def test_an_accumulator_whose_quotient_exceeds_16_bits() -> None:
    """Its number's bits without the one too many: 2^15 becomes -2^15."""
    case = honest()
    accumulators = changed(case["accumulators"], LEAST, 1 << (SHIFT + VALUE_BITS))
    prover = case.with_tensors(accumulators=accumulators)
    assert tensors_of(accumulators, SHIFT)["bits"] == prover["bits"]
    assert reason_of_rejection(prover) == ACCUMULATORS


class SumsOfAccumulators(Liar):
    """Says of T what fits the accumulators, whatever B is."""

    def sums_at(self, bits: Any, point: Point) -> Element:
        return super().sums_at(np.array(honest()["bits"]), point)


@pytest.mark.parametrize("lie", OTHER_BITS)
def test_bits_of_another_number_and_sums_of_the_right_one(lie: str) -> None:
    prover = lying(with_other_bits(lie), SumsOfAccumulators)
    assert reason_of_rejection(prover, honest()) == BITS


# Honest bits, and lies about what follows from them.


@pytest.mark.parametrize("entry", range(len(QUOTIENTS)))
def test_a_derivative_flipped(entry: int) -> None:
    """Also where y = 0."""
    case = honest()
    by = 1 - 2 * case["active"][entry]
    prover = case.with_tensors(active=changed(case["active"], entry, by))
    assert reason_of_rejection(prover) == BITS


@pytest.mark.parametrize(
    ("entry", "by"), [(MINUS_THREE, -3), (LEAST, -(2**15)), (FIVE, -5), (ZERO, 1), (LARGE, 1)]
)
def test_a_wrong_output(entry: int, by: int) -> None:
    """Negative values as they are, a positive one suppressed, outputs off by one."""
    case = honest()
    prover = case.with_tensors(outputs=changed(case["outputs"], entry, by))
    assert reason_of_rejection(prover) == NO_PRODUCT


def test_outputs_exchanged() -> None:
    case = honest()
    prover = case.with_tensors(outputs=exchanged(case["outputs"], FIVE, LARGE))
    assert reason_of_rejection(prover) == NO_PRODUCT


@pytest.mark.parametrize("by", [1, -(2**16)])
def test_a_wrong_quotient(by: int) -> None:
    case = honest()
    prover = case.with_tensors(quotients=changed(case["quotients"], LARGE, by))
    assert reason_of_rejection(prover) == BITS


class OtherFactors(Liar):
    """Multiplies the outputs' own factors: 1 and y, so that y is an output where it is negative."""

    def _factors(self, target: Target, bits: Any) -> list[Any]:
        return pack_all(target, [lifted([1] * len(QUOTIENTS)), lifted(QUOTIENTS)])


def test_factors_that_are_not_those_of_the_bits() -> None:
    case = honest().with_tensors(outputs=QUOTIENTS)
    assert reason_of_rejection(lying(case, OtherFactors), honest()) == BITS
