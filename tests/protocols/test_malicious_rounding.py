"""Provers that are honest but for one stated lie: rescale and arg-max."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np
import pytest
from cases.case import FIELD, changed, prove, reason_of_rejection, verify
from cases.rounding import ArgMaxCase, RescaleCase
from definitions import mle, random_points

from zkbench.kernels.launch import Target, cpu_target
from zkbench.proof import Proof, ProofRejected
from zkbench.protocols.argmax import ArgMax
from zkbench.protocols.rescale import Rescale
from zkbench.protocols.tlookup import Value
from zkbench.transcript import VerifierTranscript

NOT_IN_TABLE = "a looked-up value is not in its table"
NOT_LARGEST = "the labels are not the largest outputs"
SHAPE, SHIFT, BITS = (2, 3), 3, 4


def honest_rescale() -> RescaleCase:
    """Accumulators from the middle of the range, so that a quotient off by one is in range too."""
    quotients = (0, 1, -2, 3, -4, 2)
    accumulators = tuple((y << SHIFT) + k - 3 for k, y in enumerate(quotients))
    return RescaleCase(
        shape=SHAPE, shift=SHIFT, bits=BITS, accumulators=accumulators, quotients=quotients
    )


def test_the_honest_rescale_is_accepted() -> None:
    case = honest_rescale()
    assert [0 <= r < 8 for r in case.remainders] == [True] * 6
    assert verify(case, prove(case, cpu_target())[0])


@pytest.mark.parametrize("by", [1, -1])
@pytest.mark.parametrize("index", [0, 4])
def test_a_quotient_off_by_one(by: int, index: int) -> None:
    """The remainder makes up for it, and lies outside its range."""
    case = honest_rescale()
    prover = replace(case, quotients=changed(case.quotients, index, by))
    assert not all(0 <= r < 8 for r in prover.remainders)
    assert reason_of_rejection(prover) == NOT_IN_TABLE


@dataclass(frozen=True)
class RemaindersInRange(RescaleCase):
    """Range-checks remainders that are in range, not those that belong to the quotients."""

    @property
    def remainders(self) -> tuple[int, ...]:
        return tuple(r % (1 << self.shift) for r in super().remainders)


@pytest.mark.parametrize("by", [1, -1])
def test_a_quotient_off_by_one_with_an_unrelated_remainder(by: int) -> None:
    case = honest_rescale()
    wrong = replace(case, quotients=changed(case.quotients, 0, by))
    assert (
        reason_of_rejection(RemaindersInRange(**vars(wrong)))
        == "the claim on the accumulators is false"
    )


@dataclass(frozen=True)
class RightModuloP(RescaleCase):
    """Remainders of the prover's choice, and the quotients that are right for them modulo p."""

    chosen: tuple[int, ...] = ()

    @property
    def remainders(self) -> tuple[int, ...]:
        return self.chosen

    def prove_quotient(self, transcript: Any, target: Target, remainder: Value) -> Any:
        """The protocol's prover takes small integers only."""
        quotients = [FIELD.element(y) for y in self.quotients]
        value = mle(quotients, self.shape, remainder.point)
        transcript.send("quotient", [value])
        return Rescale(FIELD, self.shape, self.shift)._claims(remainder, value)


def right_modulo_p(checks_quotients: bool) -> RightModuloP:
    """One remainder is 5 too large (modulo 8), so its quotient is -5 / 8 modulo p off."""
    case = honest_rescale()
    chosen = ((case.remainders[0] + 5) % 8, *case.remainders[1:])
    difference = case.accumulators[0] + (1 << (SHIFT - 1)) - chosen[0]
    quotient = difference * pow(1 << SHIFT, -1, FIELD.modulus) % FIELD.modulus
    centred = quotient if quotient < FIELD.modulus // 2 else quotient - FIELD.modulus
    quotients = (centred, *case.quotients[1:])
    fields = {**vars(case), "quotients": quotients, "checks_quotients": checks_quotients}
    return RightModuloP(**fields, chosen=chosen)


def test_a_quotient_right_only_modulo_p_without_the_range_check_of_quotients() -> None:
    """The gap itself: everything but the quotients' range check is satisfied by this lie."""
    prover = right_modulo_p(checks_quotients=False)
    honest = honest_rescale()
    assert prover.accumulators == honest.accumulators
    assert prover.quotients != honest.quotients
    verify(as_verified(prover), prove(prover, cpu_target())[0])


def test_a_quotient_right_only_modulo_p() -> None:
    prover = right_modulo_p(checks_quotients=True)
    assert reason_of_rejection(prover, as_verified(prover)) == NOT_IN_TABLE


def as_verified(case: RescaleCase) -> RescaleCase:
    return RescaleCase(
        shape=case.shape, shift=case.shift, bits=case.bits, checks_quotients=case.checks_quotients
    )


LOGITS = [[1, -4, 3, 2, 3], [0, 0, 0, 0, 0], [-4, -4, 3, -3, -4]]
LABELS = (2, 0, 2)


def labelled(row: int, label: int) -> ArgMaxCase:
    case = ArgMaxCase.of(LOGITS)
    assert case.labels == LABELS
    return replace(case, labels=(*LABELS[:row], label, *LABELS[row + 1 :]))


@dataclass(frozen=True)
class DifferencesInRange(ArgMaxCase):
    """Range-checks differences that are in range, not those of the labels."""

    def differences(self) -> tuple[int, ...]:
        return tuple(np.clip(super().differences(), 0, (1 << self.bits) - 1).tolist())


WRONG = [(0, 0), (0, 1), (0, 3), (2, 0), (2, 4)]
TIES = [(0, 4), (1, 1), (1, 4)]


@pytest.mark.parametrize(("row", "label"), WRONG + TIES)
def test_a_wrong_label(row: int, label: int) -> None:
    """A smaller output, or an equal one that is not the first: a difference is negative."""
    assert reason_of_rejection(labelled(row, label)) == NOT_IN_TABLE


@pytest.mark.parametrize(("row", "label"), WRONG + TIES)
def test_a_wrong_label_with_unrelated_differences(row: int, label: int) -> None:
    prover = DifferencesInRange(**vars(labelled(row, label)))
    assert reason_of_rejection(prover) == NOT_LARGEST


def test_labels_of_two_rows_exchanged() -> None:
    case = ArgMaxCase.of([[0, 3], [3, 0]])
    prover = DifferencesInRange(**{**vars(case), "labels": case.labels[::-1]})
    assert reason_of_rejection(prover) == NOT_LARGEST


def reject_labels(labels: Sequence[Any]) -> str:
    """Why labels are rejected before any message is read."""
    transcript = VerifierTranscript(FIELD, Proof())
    claim = Value(tuple(random_points(FIELD, Random(1), (3, 5))), FIELD.element(0))
    with pytest.raises(ProofRejected) as rejection:
        ArgMax(FIELD, 3, 5).verify(transcript, np.array(labels), claim)
    return str(rejection.value)


@pytest.mark.parametrize("label", [5, 7, 8, 100, -1, 2**40, 2**70])
def test_a_label_that_is_no_class(label: Any) -> None:
    assert reject_labels([0, label, 0]) == f"label {label} of row 1 is not one of the 5 classes"


def test_labels_that_are_no_integers() -> None:
    assert reject_labels([0.0, 1.0, 2.0]) == "label 0.0 of row 0 is not one of the 5 classes"


@pytest.mark.parametrize("labels", [(), (2, 0), (2, 0, 2, 0), ((2, 0, 2),)], ids=str)
def test_another_number_of_labels(labels: tuple[Any, ...]) -> None:
    assert reject_labels(labels) == f"{np.size(labels)} labels for 3 rows"


def test_the_next_rows_entry_as_a_label() -> None:
    """What a label outside its row would prove: every difference is in range."""
    case = ArgMaxCase.of([[0, -1], [3, 2]])
    prover = replace(case, labels=(2, 0))
    reason = reason_of_rejection(NextRow(**vars(prover)))
    assert reason == "label 2 of row 0 is not one of the 2 classes"


@dataclass(frozen=True)
class NextRow(ArgMaxCase):
    """Takes label k of row i as entry k of the flat tensor from row i on."""

    def differences(self) -> tuple[int, ...]:
        logits, labels = self.logits, self.labels
        return tuple(
            logits[i * self.classes + labels[i]] - logits[i * self.classes + j] - (j < labels[i])
            for i in range(self.rows)
            for j in range(self.classes)
        )


def test_differences_at_both_ends_of_the_range() -> None:
    """The largest difference that 3-bit outputs have is the last entry of the table."""
    case = ArgMaxCase.of([[3, -4], [-4, 3]])
    assert max(case.differences()) == 7
    assert verify(case, prove(case, cpu_target())[0])


def test_a_shift_of_one_rounds_half_up() -> None:
    case = RescaleCase.random(Random(1), (4,), shift=1)
    assert all(y == (a + 1) // 2 for a, y in zip(case.accumulators, case.quotients, strict=True))
    assert verify(case, prove(case, cpu_target())[0])
