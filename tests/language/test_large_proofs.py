"""Proofs of 13 billion parameters on a GPU of 80 GB: what they take of it, and what lies where.

Not tested here: values, which the dry target does not compute (tests/gpu, test_segments.py, ...).
"""

from __future__ import annotations

import importlib
import pkgutil
from math import prod
from typing import Any

import numpy as np
import pytest
from dry_target import DryArray, DryTarget

import zkbench.protocols
from zkbench.bench.language_case import LanguageCase, Told, prompt
from zkbench.bench.timers import PhaseTimer
from zkbench.language_memory import _bytes_of, witness_bytes
from zkbench.models.language.random_model import random_integer_model
from zkbench.placement import _WORKSPACE_SHARE
from zkbench.protocols.language_inference import LanguageInference
from zkbench.protocols.language_tensors import model_shapes
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


def inference_of(case: LanguageCase, positions: int) -> LanguageInference:
    case.tokens = prompt(case.name, positions, 0)
    formats = random_integer_model(case.config).formats
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


@pytest.mark.parametrize("model", ["llama-2-13b", "opt-13b"])
def test_weights_on_the_host_and_a_witness_beside_them(model: str) -> None:
    """All layers at once at 2048 positions."""
    case = LanguageCase(
        {"model": model, "positions": 2048, "scheme": "whir", "johnson": 0}, "cpu", 0
    )
    inference, target = inference_of(case, 2048), DryTarget(MEMORY)
    shapes = model_shapes(case.config)
    sizes = {name: prod(shape) for name, shape in shapes.items()}
    zeros = np.zeros(max(sizes.values()), dtype=np.int16)  # never read, so it takes no memory
    weights = {name: zeros[:size] for name, size in sizes.items()}
    data = case.scheme.commit(target, weights, shapes)
    others = witness_bytes(inference) + FORWARD
    target.workspace_bytes = int(_WORKSPACE_SHARE * (MEMORY - others - target.in_use))
    tensors = Everything(target, inference)
    tensors.update(weights)
    target.peak = target.in_use
    transcript = ProverTranscript(case.scheme.field)
    inference.program.prove(transcript, target, [data], tensors, PhaseTimer())
    assert target.peak + others < MEMORY
