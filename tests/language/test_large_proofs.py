"""Proofs of 7 and 13 billion parameters on a GPU of 80 GB: what they take of it, what lies where.

Not tested here: values, which the dry target does not compute (tests/gpu, test_segments.py, ...).
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace
from functools import cache
from math import prod
from typing import Any

import numpy as np
import pytest
from dry_target import DryArray, DryTarget

import zkbench.protocols
from zkbench.bench.language_case import LanguageCase, Told, prompt
from zkbench.bench.language_models import integer_model
from zkbench.bench.timers import PhaseTimer
from zkbench.language_memory import _bytes_of, witness_bytes
from zkbench.models.language.formats import LanguageFormats
from zkbench.placed_model import WEIGHT_BYTES
from zkbench.placement import _HOST_SHARE, _WORKSPACE_SHARE
from zkbench.protocols.language_inference import LanguageInference
from zkbench.protocols.language_tensors import committed_integers, model_shapes
from zkbench.transcript import ProverTranscript

GIB = 1 << 30
MEMORY = 77 * GIB  # of a GPU of "80 GB", less what the driver and pools of two libraries keep
FORWARD = 2 * GIB  # tables, norms' inputs and what a forward pass leaves in a pool


@pytest.fixture(autouse=True)
def without_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proof of work needs a true hash."""
    for info in pkgutil.iter_modules(zkbench.protocols.__path__, "zkbench.protocols."):
        module = importlib.import_module(info.name)
        if hasattr(module, "prove_work"):
            monkeypatch.setattr(module, "prove_work", lambda *_: None)
    monkeypatch.setattr("zkbench.commitments.whir_rounds.prove_work", lambda *_: None)


@cache
def shipped_formats(name: str) -> LanguageFormats:
    return integer_model(name, 0).formats


def inference_of(case: LanguageCase, positions: int) -> LanguageInference:
    """With the formats of a shipped model's first layer, on which memory does not depend."""
    case.tokens = prompt(case.name, positions, 0)
    formats = shipped_formats("llama-bytes" if case.config.is_llama else "opt-bytes")
    formats = replace(formats, layers=[formats.layers[0]] * case.config.layers)
    return case._plan(Told(bytes(32), formats, 0)).inference(0)


class Everything(dict[str, Any]):
    """All tensors by name; those of a forward pass are counted elsewhere, by ``witness_bytes``."""

    def __init__(self, target: DryTarget, inference: LanguageInference) -> None:
        super().__init__()
        self._owner = self._target = target
        program = inference.program
        shapes = {check.name: check.shape for check in program.checks.checks}
        for name, shape in (shapes | dict(program.witness) | inference.virtual_shapes).items():
            self[name] = self._array(prod(shape), {2: np.int16, 4: np.int32}[_bytes_of(name)])

    def _array(self, size: int, dtype: Any) -> DryArray:
        return DryArray(self._target, size, dtype, self._owner)

    def __missing__(self, name: str) -> DryArray:
        """What norms read, and their sums: their sizes do not matter to kernels that do not run."""
        self[name] = self._array(0, np.int32)
        return self[name]


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
    inference, target = inference_of(case, 2048), DryTarget(MEMORY)
    weights = weights_of(case, target, on_host)
    data = case.scheme.commit(target, weights, model_shapes(case.config))
    others = witness_bytes(inference) + FORWARD
    target.workspace_bytes = int(_WORKSPACE_SHARE * (MEMORY - others - target.in_use))
    tensors = Everything(target, inference)
    tensors.update(weights)
    target.peak = target.in_use
    transcript = ProverTranscript(case.scheme.field)
    inference.program.prove(transcript, target, [data], tensors, PhaseTimer())
    assert target.peak + others < MEMORY
