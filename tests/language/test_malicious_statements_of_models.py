"""Statements about language models that stand for nothing, or for something else than they say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from language_proof import CONFIGS, TOKENS, Case, case_of, prove, witness

from zkbench.errors import UnusableInput
from zkbench.models.language.formats import LanguageFormats
from zkbench.proof import ProofRejected
from zkbench.protocols.program import Program
from zkbench.protocols.range_checks import RangeCheck


def numbers(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def tokens_with(token: int, count: int = 12) -> np.ndarray:
    return numbers(*range(count - 1), token)


MEANINGLESS = [
    # Python counts negative numbers from the end: they would be another name for a token.
    ({"tokens": tokens_with(-1)}, "token -1"),
    ({"tokens": tokens_with(19)}, "token 19"),
    ({"tokens": tokens_with(11).astype(np.float64)}, "no list of integers"),
    ({"tokens": tokens_with(11)[None]}, "divides 1"),
    ({"positions": numbers(3, -1)}, "position -1"),
    ({"positions": numbers(3, 12)}, "position 12"),
    ({"positions": numbers(3)}, "2 tokens behind 1 positions"),
    ({"positions": numbers(), "chosen": numbers()}, "no list of integers"),
    ({"chosen": numbers(1)}, "1 tokens behind 2 positions"),
    ({"chosen": numbers(1, 2, 3)}, "3 tokens behind 2 positions"),
    ({"chosen": numbers(1, 19)}, "chosen token 19"),
    ({"chosen": numbers(-1, 1)}, "chosen token -1"),
    ({"block": 3}, "the block is 3"),
    ({"block": 8}, "the block is 8"),
    ({"block": 0}, "the block is 0"),
    ({"block": -4}, "the block is -4"),
    ({"block": 4.0}, "the block is 4.0"),
    # 14 positions have as many variables as 3 blocks of 4: nothing else would tell them apart.
    ({"tokens": tokens_with(1, 14)}, "divides 14"),
]


@pytest.mark.parametrize(("parts", "reason"), MEANINGLESS)
def test_a_statement_that_stands_for_nothing(parts: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnusableInput, match=reason):
        replace(case_of("llama").inference, **parts)


def test_more_tokens_than_positions() -> None:
    with pytest.raises(UnusableInput, match="36 tokens, but 32 positions"):
        replace(case_of("opt").inference, tokens=np.zeros(36, dtype=np.int64))


FORMATS = [
    ({"row_bits": 16}, "shift of the attention's outputs|do not fit together"),
    ({"epsilon": 1 << 48}, "an epsilon below"),
    ({"residual": 36}, "the residual stream could reach"),
]


@pytest.mark.parametrize(("parts", "reason"), FORMATS)
def test_formats_beyond_what_a_proof_means(parts: dict[str, Any], reason: str) -> None:
    inference = case_of("llama").inference
    formats: LanguageFormats = replace(inference.formats, **parts)
    with pytest.raises(UnusableInput, match=reason):
        replace(inference, formats=formats)


OTHERS = {
    "another token": lambda i: {"tokens": np.roll(i.tokens, 1)},
    "another position": lambda i: {"positions": i.positions - 1},
    "positions exchanged": lambda i: {"positions": i.positions[::-1].copy()},
    "another choice": lambda i: {"chosen": (i.chosen + 1) % i.config.vocab},
    "another block": lambda i: {"block": 2},
    "one position fewer": lambda i: {"positions": i.positions[1:], "chosen": i.chosen[1:]},
    "another block of padding": lambda i: {"tokens": np.append(i.tokens, [0] * 4)},
}


@pytest.mark.parametrize("family", CONFIGS)
@pytest.mark.parametrize("name", OTHERS)
def test_the_proof_of_another_statement(family: str, name: str) -> None:
    """The transcript is bound to the statement, so its challenges are others."""
    case = case_of(family)
    other = replace(case.inference, **OTHERS[name](case.inference))
    case.rejection(honest_proof(case), other)


def honest_proof(case: Case) -> bytes:
    return prove(case.inference, case.data, witness(case))


def test_a_position_asked_for_twice() -> None:
    """Its choice is proven twice; two different ones are not accepted."""
    case = case_of("llama")
    twice = Case.of(case.model, case.tokens, (10, 3, 10))
    proof = prove(twice.inference, twice.data, witness(twice))
    twice.verify(proof)
    chosen = twice.inference.chosen.copy()
    chosen[2] = (chosen[2] + 1) % case.model.config.vocab
    assert len(case.tokens) == TOKENS
    with pytest.raises(ProofRejected):
        twice.verify(proof, replace(twice.inference, chosen=chosen))


# Programs that would leave something unproven are errors, on both sides.


def test_two_range_checks_of_one_name() -> None:
    """One of the two claims would be lost."""

    class Doubled:
        range_checks = (RangeCheck("t", 2, (4,)), RangeCheck("t", 4, (4,)))

    program = case_of("llama").inference.program
    with pytest.raises(ValueError, match="t is checked twice"):
        replace(program, operators=(*program.operators, Doubled()))


@pytest.mark.parametrize("which", [0, 1])
def test_a_program_that_leaves_claims_on_a_virtual_tensor(which: int) -> None:
    """Without the stream, or without what looks up the weights."""
    case = case_of("llama")
    whole = case.inference.program
    parts: dict[str, Any] = [
        {"operators": whole.operators[1:]},
        {"lookups": whole.lookups[1:]},
    ][which]
    program: Program = replace(whole, **parts)
    with pytest.raises(RuntimeError, match="left on virtual tensors: .*(x1|weights)"):
        prove(case.inference, case.data, witness(case), program)


def test_more_claims_than_the_soundness_terms_count() -> None:
    case = case_of("llama")
    program = replace(case.inference.program, most_claims=10)
    with pytest.raises(RuntimeError, match="more than 10 claims"):
        prove(case.inference, case.data, witness(case), program)
