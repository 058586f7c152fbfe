"""Proofs of 7 and 13 billion parameters on a GPU of 80 GB: what they take of it, what lies where.

Not tested here: values, which the dry target does not compute (tests/gpu, test_segments.py, ...).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from math import prod
from typing import Any

import numpy as np
import pytest
from dry_proof import GIB, MEMORY, Filled, without_proofs_of_work
from dry_target import DryTarget

from zkbench.bench.language_case import LanguageCase, Told, prompt
from zkbench.bench.language_models import integer_model
from zkbench.bench.timers import PhaseTimer
from zkbench.commitments.dense import Centred
from zkbench.commitments.interleaved import ProverData
from zkbench.language_memory import _bytes_of, witness_bytes
from zkbench.language_plan import LanguagePlan
from zkbench.models.language.formats import LanguageFormats
from zkbench.placed_model import WEIGHT_BYTES
from zkbench.placement import _HOST_SHARE
from zkbench.protocols.language_inference import LanguageInference
from zkbench.protocols.language_segment import Boundary
from zkbench.protocols.language_tensors import committed_integers, is_stacked, model_shapes
from zkbench.transcript import ProverTranscript

_TYPES = {2: np.int16, 4: np.int32}
FORWARD = 2 * GIB  # tables, norms' inputs and what a forward pass leaves in a pool


@pytest.fixture(autouse=True)
def without_work(monkeypatch: pytest.MonkeyPatch) -> None:
    without_proofs_of_work(monkeypatch)


@cache
def shipped_formats(name: str) -> LanguageFormats:
    return integer_model(name, 0).formats


def plan_of(case: LanguageCase, positions: int) -> LanguagePlan:
    """With the formats of a shipped model's first layer, on which memory does not depend."""
    case.tokens = prompt(case.name, positions, 0)
    formats = shipped_formats("llama-bytes" if case.config.is_llama else "opt-bytes")
    formats = replace(formats, layers=[formats.layers[0]] * case.config.layers)
    return case._plan(Told(bytes(32), formats, 0))


def everything(target: DryTarget, inference: LanguageInference) -> Filled:
    """The tensors of a forward pass; what ``witness_bytes`` counts besides is in use as well."""
    program = inference.program
    shapes = {check.name: check.shape for check in program.checks.checks}
    shapes |= dict(program.witness) | inference.virtual_shapes
    tensors = Filled(target, shapes, {name: _TYPES[_bytes_of(name)] for name in shapes})
    target.use(witness_bytes(inference) - tensors.nbytes + FORWARD)
    target.fit_workspace()
    return tensors


def weights_of(case: LanguageCase, target: DryTarget, on_host: bool) -> dict[str, Any]:
    sizes = {name: prod(shape) for name, shape in model_shapes(case.config).items()}
    if not on_host:
        return {name: target.empty(size, np.int16) for name, size in sizes.items()}
    zeros = np.zeros(max(sizes.values()), dtype=np.int16)  # never read, so it takes no memory
    return {name: zeros[:size] for name, size in sizes.items()}


@pytest.mark.parametrize(
    ("model", "on_host"),
    [("llama-2-13b", True), ("opt-13b", True), ("llama-2-7b", False), ("opt-6.7b", False)],
)
def test_weights_and_a_witness_fit_beside_the_work(model: str, on_host: bool) -> None:
    """All layers at once at 2048 positions; weights on the host where `placement.py` leaves them."""
    case = LanguageCase(
        {"model": model, "positions": 2048, "scheme": "whir", "johnson": 0}, "cpu", 0
    )
    assert on_host == (WEIGHT_BYTES * committed_integers(case.config) * _HOST_SHARE > MEMORY)
    inference, target = plan_of(case, 2048).inference(0), DryTarget(MEMORY)
    weights = weights_of(case, target, on_host)
    data = case.scheme.commit(target, weights, model_shapes(case.config))
    tensors = everything(target, inference)
    tensors.update(weights)
    target.peak = target.in_use
    transcript = ProverTranscript(case.scheme.field)
    before = target.in_use
    inference.program.prove(transcript, target, [data], tensors, PhaseTimer())
    assert target.peak < MEMORY
    assert set(tensors) == {
        index for one in inference.program.lookups for _, index, _ in one.outputs
    }
    remainders = sum(2 * prod(c.shape) for c in inference.program.checks.checks if c.is_last)
    assert target.in_use < before - remainders


@pytest.mark.parametrize("model", ["llama-2-13b", "opt-13b"])
def test_segments_fit_a_gpu_of_40_gb(model: str) -> None:
    """Ten layers at a time: the first, one between and the last, and the opening of all weights."""
    params = {"model": model, "positions": 2048, "scheme": "whir", "johnson": 0, "segment": 10}
    case = LanguageCase(params, "cpu", 0)
    memory = MEMORY // 2
    plan, target = plan_of(case, 2048), DryTarget(memory)
    weights = weights_of(case, target, on_host=True)
    data = case.scheme.commit(target, weights, model_shapes(case.config))
    claims = []
    for index in (0, 1, plan.cut.count - 1):
        inference = plan.inference(index)
        before = target.in_use
        tensors = everything(target, inference)
        segment = inference.segment
        tensors.update(weights)
        tensors.update(
            {
                segment.weights(name): array[: array.size // case.config.layers * segment.size]
                for name, array in weights.items()
                if is_stacked(name)
            }
        )
        joints = [joint(plan, target, one) for one in inference.boundaries.values()]
        transcript = ProverTranscript(case.scheme.field)
        claims += inference.program.prove(
            transcript, target, [data, *joints], tensors, PhaseTimer()
        )
        assert target.peak < memory
        target.in_use = before
    plan.scheme.prove(ProverTranscript(case.scheme.field), target, [(data, claims)])
    assert target.peak < memory


def joint(plan: LanguagePlan, target: DryTarget, boundary: Boundary) -> ProverData:
    tensors = Filled(target, boundary.shapes, {})
    signed = {n: Centred(tensors[n]) if n in boundary.unsigned else tensors[n] for n in tensors}
    return plan.scheme.commit(target, signed, boundary.shapes)
