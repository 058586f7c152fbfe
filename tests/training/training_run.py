"""Small runs in folders, trained, proven and verified as a user does it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lying_training import Values
from training_proof import BATCH, SAMPLES, SCHEME, SEED, TARGET, random_data, random_first, rule_of

from zkbench import training as zkbench_training
from zkbench.models.training.rule import TrainingRule
from zkbench.models.training.training_state import TrainingState
from zkbench.proof import Proof, ProofRejected
from zkbench.training import prove_training, verify_training
from zkbench.training_run import TrainingRun, finish_run, load_run, start_run
from zkbench.training_statement import TrainingCommitment, TrainingStatement

OTHER_PARAMETERS = "the proof was made with other parameters"
OTHER_STATEMENT = "the proof is of another statement"
OTHER_SEGMENTS = "the proof does not have the statement's segments"

FEW_BITS = 20.0  # what SCHEME gives; a verifier must ask for that little by name
STEPS, SEGMENT = 5, 2  # segments of 2, 2 and 1 steps, over three epochs of two steps each


def state_from(values: Values) -> TrainingState:
    kinds = {"w": np.int32, "b": np.int32, "u": np.int16, "v": np.int16}
    return TrainingState(*(tuple(a.astype(k) for a in values[n]) for n, k in kinds.items()))


def small_run_rule(momentum: int = 3600) -> TrainingRule:
    """Its rate is large enough for updates of all layers."""
    return replace(rule_of("cross-entropy", momentum, (4, 4, 4, 2), BATCH), rate=(20, 8))


def begin(folder: Path, rule: TrainingRule | None = None, **options: Any) -> TrainingRun:
    """Start a run, or go on; ``options``: ``start_run``'s, and the data's and the first state's seed."""
    rule = rule or small_run_rule()
    inputs, targets = random_data(rule, SAMPLES, options.pop("data_seed", 3))
    first = state_from(random_first(rule, options.pop("state_seed", 6)))
    asked = {"seed": SEED, "steps": STEPS, "segment": SEGMENT, "scheme": SCHEME, "target": TARGET}
    return start_run(folder, rule, first, inputs, targets, **{**asked, **options})


@dataclass(frozen=True, eq=False)
class RunCase:
    """A finished run and its proof."""

    run: TrainingRun
    public: TrainingCommitment
    proof: bytes
    statement: TrainingStatement

    @classmethod
    def of(cls, run: TrainingRun) -> RunCase:
        public = finish_run(run)
        return cls(run, public, *prove_training(run, public, minimum_bits=FEW_BITS))

    def verify(
        self,
        proof: bytes | None = None,
        statement: TrainingStatement | None = None,
        public: TrainingCommitment | None = None,
    ) -> float:
        proof = self.proof if proof is None else proof
        return verify_training(proof, statement or self.statement, public or self.public, FEW_BITS)

    def rejection(self, *changed: Any, **options: Any) -> str:
        with pytest.raises(ProofRejected) as rejected:
            self.verify(*changed, **options)
        return str(rejected.value)

    def copied(self, folder: Path) -> TrainingRun:
        """The run in another folder, to be damaged there."""
        shutil.copytree(self.run.folder, folder)
        return load_run(folder, TARGET)


def outer(case: RunCase) -> Proof:
    """The file that holds the proofs of all segments."""
    return Proof.from_bytes(case.proof)


def proven_segments(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The segments that are proven from now on, and not taken from a run's folder."""
    found: list[int] = []
    honest = zkbench_training.prove_segment

    def counting(run: Any, plan: Any, index: int, *rest: Any) -> Any:
        found.append(index)
        return honest(run, plan, index, *rest)

    monkeypatch.setattr(zkbench_training, "prove_segment", counting)
    return found
