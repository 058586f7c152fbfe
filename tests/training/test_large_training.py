"""Proofs of training in zkDL's setting on a dry GPU: what they take of it, and what lies where."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from dry_proof import GIB, MEMORY, Filled, without_proofs_of_work
from dry_target import DryTarget

from zkbench.bench.timers import PhaseTimer
from zkbench.bench.training_case import TrainingCase
from zkbench.commitments.dense import Centred
from zkbench.transcript import ProverTranscript

SETTING = {"depth": 8, "width": 1024, "inputs": 3072, "outputs": 10, "batch": 64, "samples": 50000}
PLAIN = {"loss": "square", "momentum": 0, "variant": "stacked"}


@pytest.mark.parametrize(
    ("steps", "changes"),
    [
        (128, {}),
        (16, {"relu": "bits"}),
        (16, {"loss": "cross-entropy", "momentum": 3686}),
        (1, {"variant": "sequential"}),
    ],
    ids=str,
)
def test_a_segment_fits_beside_its_witness(
    steps: int, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    without_proofs_of_work(monkeypatch)
    sizes = {"steps": steps, "segment": steps}
    case = TrainingCase({**SETTING, **PLAIN, **sizes, **changes}, "cpu", 0)
    segment, target = case._cut.program(0), DryTarget(MEMORY)
    program = segment.program
    shapes = {check.name: check.shape for check in program.checks.checks} | dict(program.witness)
    for given in segment.given_shapes.values():
        shapes |= given
    tensors = Filled(target, shapes, dict.fromkeys(program.unsigned, np.uint16))
    weights = 4 * steps * sum(a * b for a, b in pairwise(case.plan.rule.dims))
    target.use(weights + GIB)
    target.fit_workspace()
    committed = [
        case.plan.scheme.commit(target, {name: signed(program, tensors, name) for name in of}, of)
        for of in segment.given_shapes.values()
    ]
    program.prove(ProverTranscript(program.field), target, committed, tensors, PhaseTimer())
    assert GIB < target.peak < MEMORY


def signed(program: Any, tensors: Any, name: str) -> Any:
    return Centred(tensors[name]) if name in program.unsigned else tensors[name]
