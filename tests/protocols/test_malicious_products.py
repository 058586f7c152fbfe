"""Provers that are honest but for one stated lie: sumcheck, products, linear layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from random import Random
from typing import Any

import numpy as np
import pytest
from cases.case import FIELD, changed, draw_points, prove, reason_of_rejection, verify
from cases.products import HadamardCase, LinearCase, SumcheckCase
from definitions import Element, mle

from zkbench.kernels.launch import Target, cpu_target
from zkbench.proof import Message, Proof, ProofRejected
from zkbench.protocols import statements
from zkbench.protocols.sumcheck import Axis, Statement, Sumcheck
from zkbench.transcript import VerifierTranscript

SIZES = (2, 3, 5, 4)


@dataclass(frozen=True)
class OneRoundWrong(SumcheckCase):
    """One value of one round polynomial is another one, everything after it honest."""

    round: int = 0
    value: int = 0

    def statement(self, target: Target, points: list[Any]) -> Statement:
        honest = super().statement(target, points)
        rounds, original = iter(range(honest.num_rounds)), honest.round

        def lying_round(challenge: Element | None) -> list[Element]:
            values = tuple(original(challenge))
            return list(changed(values, self.value) if next(rounds) == self.round else values)

        honest.round = lying_round  # type: ignore[method-assign]
        return honest


@pytest.mark.parametrize("summed", [(False, False), (True, True), (False, True)], ids=str)
@pytest.mark.parametrize("degree", [2, 3])
@pytest.mark.parametrize("round", range(5))
def test_a_wrong_round_polynomial(
    summed: tuple[bool, bool], degree: int, round: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "_TAIL_VARIABLES", -1)  # every round is the statement's
    case = SumcheckCase.random(Random(1), (3, 5), degree, summed)
    for value in range(degree):
        prover = OneRoundWrong(
            shape=case.shape, summed=summed, tables=case.tables, round=round, value=value
        )
        assert reason_of_rejection(prover) == "the tables' values are not the sumcheck's"


@pytest.mark.parametrize("index", [0, 7, 23])
@pytest.mark.parametrize("by", [1, -(2**32), FIELD.modulus // 2])
@pytest.mark.parametrize("has_bias", [False, True])
def test_a_wrong_matrix_product(index: int, by: int, has_bias: bool) -> None:
    case = LinearCase.random(Random(2), SIZES, has_bias)
    prover = replace(case, result=changed(case.result, index, by))
    assert reason_of_rejection(prover) == "a matrix product is wrong"


def test_a_product_with_other_weights() -> None:
    """The weights that are committed are not the ones that were multiplied with."""
    case = LinearCase.random(Random(3), SIZES, has_bias=False)
    other = LinearCase.random(Random(4), SIZES, has_bias=False)
    assert reason_of_rejection(replace(case, w=other.w)) == "a matrix product is wrong"


def test_layers_of_the_stack_exchanged() -> None:
    """Layer 0's input times layer 1's weights is not layer 0's product."""
    case = LinearCase.random(Random(5), SIZES, has_bias=False)
    half = len(case.w) // 2
    prover = replace(case, w=case.w[half:] + case.w[:half])
    assert reason_of_rejection(prover) == "a matrix product is wrong"


def test_a_bias_in_a_row_too_many() -> None:
    """A product that has the bias twice in one row."""
    case = LinearCase.random(Random(6), SIZES)
    assert case.bias is not None
    prover = replace(case, result=changed(case.result, 0, case.bias[0]))
    assert reason_of_rejection(prover) == "a matrix product is wrong"


@dataclass(frozen=True)
class OtherBias(LinearCase):
    """Commits to one bias and adds another: the result fits the one that was added."""

    added: tuple[int, ...] = ()

    def bias_elements(self) -> list[Element]:
        return [FIELD.element(b) for b in self.added]


def test_another_bias_than_the_committed_one() -> None:
    case = LinearCase.random(Random(7), (1, 3, 5, 4))
    assert case.bias is not None
    added = changed(case.bias, 0, 5)
    result = tuple(a + 5 * (i % 4 == 0) for i, a in enumerate(case.result))
    honest = replace(case, bias=added, result=result)
    assert verify(honest, prove(honest, cpu_target())[0])
    prover = OtherBias(**{**vars(honest), "bias": case.bias}, added=added)
    assert reason_of_rejection(prover) == "the claim on bias is false"


@pytest.mark.parametrize("factors", [2, 3])
@pytest.mark.parametrize("index", [0, 14])
def test_a_wrong_entrywise_product(factors: int, index: int) -> None:
    case = HadamardCase.random(Random(8), (3, 5), factors)
    prover = replace(case, result=changed(case.result, index))
    assert reason_of_rejection(prover) == "an entrywise product is wrong"


@pytest.mark.parametrize("factors", [2, 3])
def test_factors_made_to_fit_a_wrong_product(factors: int) -> None:
    """The last message is chosen so that the protocol's own check passes: a claim is then false."""
    case = HadamardCase.random(Random(9), (3, 5), factors)
    wrong = replace(case, result=changed(case.result, 3))
    proof = Proof.from_bytes(prove(wrong, cpu_target())[0])
    values = FIELD.unpack(np.frombuffer(proof.messages[-1].payload, dtype="<u8"))
    values[0] = required_product(wrong, proof) / prod(values[1:], start=FIELD.element(1))
    proof.messages[-1] = Message("factors", FIELD.encode(values))
    with pytest.raises(ProofRejected, match="the claim on a factor is false"):
        verify(wrong, proof.to_bytes())


def required_product(case: HadamardCase, proof: Proof) -> Element:
    """What the factors' values must multiply to for the sumcheck's last check to pass."""
    transcript = VerifierTranscript(FIELD, proof)
    tables = [transcript.receive("table", prod(case.shape)) for _ in (*case.tables, None)]
    points = draw_points(transcript, case.shape)
    axes = [Axis(n, p) for n, p in zip(case.shape, points, strict=True)]
    claim = mle(tables[-1], case.shape, points)
    return Sumcheck(FIELD, len(case.tables)).verify(transcript, claim, axes)[1]
