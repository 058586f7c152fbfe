"""Models of three layers, and proofs in segments of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from cases.checkpoints import KINDS, integer_model, some_tokens
from language_inference_case import FEW_BITS, SMALL

from zkbench.kernels.launch import cpu_target
from zkbench.language import (
    CommittedLanguageModel,
    commit_language_model,
    prove_language_inference,
    verify_language_inference,
)
from zkbench.language_plan import LanguagePlan
from zkbench.language_segments import verify_segment
from zkbench.language_statement import LanguageStatement
from zkbench.proof import Message, Proof, ProofRejected
from zkbench.security import Term

LAYERS, TOKENS, ASKED = 3, 11, np.array([3, 10])
TARGET = cpu_target()
OTHER_SEGMENTS = "the proof does not have the statement's segments"
OTHER_PARAMETERS = "the proof was made with other parameters"
NOT_OPENED = "the proof does not open what its segments leave"
OTHER_STATEMENT = "the proof is of another statement"


@dataclass(frozen=True, eq=False)
class SegmentCase:
    """A model of three layers, and a proof in one segment for each of them."""

    committed: CommittedLanguageModel
    tokens: np.ndarray
    proof: bytes
    statement: LanguageStatement

    @classmethod
    def of(cls, committed: CommittedLanguageModel, tokens: np.ndarray) -> SegmentCase:
        return cls(committed, tokens, *prove(committed, tokens, 1))

    @property
    def messages(self) -> list[Message]:
        """States and segments."""
        return Proof.from_bytes(self.proof).messages[:-1]

    @property
    def opening(self) -> Message:
        """What shows the claims that segments leave."""
        return Proof.from_bytes(self.proof).messages[-1]

    @property
    def plan(self) -> LanguagePlan:
        return LanguagePlan(self.committed.public, self.statement, 1)

    def verify(self, proof: bytes, statement: LanguageStatement | None = None) -> float:
        statement = statement or self.statement
        return verify_language_inference(proof, statement, self.committed.public, FEW_BITS)

    def rejection(self, proof: bytes, statement: LanguageStatement | None = None) -> str:
        with pytest.raises(ProofRejected) as rejected:
            self.verify(proof, statement)
        return str(rejected.value)

    def with_messages(self, messages: list[Message], *opening: Message) -> bytes:
        """``opening``: the honest one, if none is given."""
        behind = opening or (self.opening,)
        return Proof(Proof.from_bytes(self.proof).header, [*messages, *behind]).to_bytes()


def prove(committed: CommittedLanguageModel, tokens: np.ndarray, segment: int | None) -> Any:
    return prove_language_inference(
        committed, tokens, TARGET, ASKED, minimum_bits=FEW_BITS, segment=segment
    )


@cache
def committed_model(kind: str) -> CommittedLanguageModel:
    model = integer_model(replace(KINDS[kind], layers=LAYERS))
    return commit_language_model(model, TARGET, SMALL)


@cache
def case_of(kind: str, seed: int = 3) -> SegmentCase:
    committed = committed_model(kind)
    return SegmentCase.of(committed, some_tokens(committed.public.config, TOKENS, seed))


def split(proof: bytes) -> tuple[list[bytes], list[bytes]]:
    messages = Proof.from_bytes(proof).messages
    return tuple([m.payload for m in messages if m.label == one] for one in ("state", "segment"))


def reason_of(plan: LanguagePlan, index: int, roots: tuple[bytes, ...], part: bytes) -> str:
    with pytest.raises(ProofRejected) as rejected:
        verify_segment(plan, index, roots, part)
    return str(rejected.value)


def of_opening(plan: LanguagePlan) -> list[Term]:
    """Of the weights, with the claims of all segments."""
    values, most = plan.public.commitment.layout.num_values, 1024 * plan.cut.count
    return [Term(*one) for one in plan.scheme.opening_terms({"weights": (values, most)})]
