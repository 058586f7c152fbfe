"""Committed tiny language models and proofs of their inferences, under a weak and fast scheme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from cases.checkpoints import KINDS, integer_model, some_tokens

from zkbench.commitments.whir import Whir
from zkbench.kernels.launch import cpu_target
from zkbench.language import (
    CommittedLanguageModel,
    commit_language_model,
    prove_language_inference,
    verify_language_inference,
)
from zkbench.language_statement import LanguageCommitment, LanguageStatement
from zkbench.models.language.config import LanguageModelConfig

SMALL = Whir(security_bits=30, grinding_bits=3)
FEW_BITS = 25.0  # what SMALL gives; a verifier must ask for that little by name


@dataclass
class LanguageCase:
    """A committed model and a proof about some tokens."""

    committed: CommittedLanguageModel
    proof: bytes
    statement: LanguageStatement

    @classmethod
    def of(
        cls,
        committed: CommittedLanguageModel,
        tokens: np.ndarray,
        positions: Sequence[int] | None = None,
    ) -> LanguageCase:
        asked = None if positions is None else np.array(positions)
        proof, statement = prove_language_inference(
            committed, tokens, cpu_target(), asked, minimum_bits=FEW_BITS
        )
        return cls(committed, proof, statement)

    @property
    def public(self) -> LanguageCommitment:
        return self.committed.public

    def verify(
        self,
        proof: bytes | None = None,
        statement: LanguageStatement | None = None,
        public: LanguageCommitment | None = None,
    ) -> float:
        return verify_language_inference(
            self.proof if proof is None else proof,
            statement or self.statement,
            public or self.public,
            FEW_BITS,
        )


def commit_tiny(config: LanguageModelConfig, seed: int = 1) -> CommittedLanguageModel:
    return commit_language_model(integer_model(config, seed), cpu_target(), SMALL)


def tiny_case(kind: str) -> LanguageCase:
    committed = commit_tiny(KINDS[kind])
    return LanguageCase.of(committed, some_tokens(KINDS[kind], 11, seed=3), (3, 10))
