"""What does not fit a GPU's memory is refused in one sentence, before weights and tokens are read."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from language_inference_case import FEW_BITS, SMALL, LanguageCase
from targets import ChunkingCpu

from zkbench import language_memory, placement
from zkbench.bench import language_case
from zkbench.bench.cases import make_case
from zkbench.errors import UnusableInput
from zkbench.kernels.launch import CpuTarget, cpu_target, target
from zkbench.language import commit_language_model, prove_language_inference
from zkbench.language_memory import (
    require_commit_memory,
    require_memory,
    require_proof_memory,
    witness_bytes,
)
from zkbench.language_plan import LanguagePlan
from zkbench.placed_model import PlacedModel
from zkbench.protocols.language_inference import LanguageInference
from zkbench.protocols.language_tensors import committed_integers, model_shapes

GIB = 1 << 30


class FakeGpu(ChunkingCpu):
    """A CPU that says to be a GPU with so much memory left."""

    def __init__(self, free: int) -> None:
        super().__init__()
        self.free = free

    def free_memory(self) -> int | None:
        return self.free


class Counting(CpuTarget):
    """Adds up what is asked for."""

    allocated = 0

    def empty(self, length: int, dtype: Any = np.uint64) -> Any:
        self.allocated += length * np.dtype(dtype).itemsize
        return super().empty(length, dtype)


@pytest.fixture(autouse=True)
def without_cupy(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """The fake is no device that CuPy could use."""
    if request.node.get_closest_marker("gpu") is None:
        for module in (placement, language_memory):
            monkeypatch.setattr(module, "cupy_for", lambda _: None)


def assert_needs(free: int, check: Callable[..., None], *subject: Any) -> None:
    """So many bytes, and not one less, are enough."""
    check(*subject, FakeGpu(free))
    with pytest.raises(UnusableInput, match="of the GPU's memory at least"):
        check(*subject, FakeGpu(free - 1))


# The bounds are those of what is held.


def test_a_witness_is_as_large_as_is_said(case: LanguageCase) -> None:
    inference, placed = case.public.inference(case.statement), case.committed.placed
    trace = placed.stacked.forward(case.statement.tokens, case.statement.positions)
    tensors = placed.witness(inference, trace, cpu_target())
    assert sum(array.nbytes for array in tensors.values()) == witness_bytes(inference)


def test_a_commitment_takes_at_least_what_is_said(llama: LanguageCase) -> None:
    shapes, counting = model_shapes(llama.public.config), Counting(workspace_bytes=1)
    arrays = {name: llama.committed.placed.arrays[name] for name in shapes}
    commitment = SMALL.commit(counting, arrays, shapes).commitment
    assert commitment.least_bytes <= counting.allocated
    assert commitment.least_bytes > 2 * committed_integers(llama.public.config)


def test_a_commitment_needs_its_weights_and_its_tree(llama: LanguageCase) -> None:
    config = llama.public.config
    needed = llama.public.commitment.least_bytes + 2 * committed_integers(config)
    assert_needs(needed, require_commit_memory, config, SMALL)


def test_weights_that_stay_on_the_host_are_not_counted(
    llama: LanguageCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(language_memory, "stays_on_host", lambda *_: True)
    needed = llama.public.commitment.least_bytes
    assert_needs(needed, require_commit_memory, llama.public.config, SMALL)


def test_a_proof_needs_its_witness_and_the_tree_over_it(case: LanguageCase) -> None:
    inference = case.public.inference(case.statement)
    assert_needs(needed_for(inference), require_proof_memory, inference)
    assert needed_for(case.public.inference_of(32, 1)) > needed_for(inference)


def needed_for(inference: LanguageInference) -> int:
    witness = SMALL.commitment(bytes(32), inference.program.witness)
    return witness_bytes(inference) + witness.least_bytes


# Refusals.


def test_a_commitment_is_refused_before_weights_are_read(
    llama: LanguageCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PlacedModel, "of", None)
    with pytest.raises(UnusableInput) as refused:
        commit_language_model(llama.committed.model, FakeGpu(1000), SMALL)
    parameters = f"{committed_integers(llama.public.config):,}"
    assert re.fullmatch(
        rf"a commitment to {parameters} parameters takes \d+\.\d GiB of the GPU's memory at least,"
        r" and 0\.0 GiB are free; commit to a smaller model or on a GPU with more",
        str(refused.value),
    )


def test_a_proof_is_refused_before_tokens_run(
    case: LanguageCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte too few, and just enough."""
    inference, tokens = case.public.inference(case.statement), case.statement.tokens
    given = (case.statement.positions, None, FEW_BITS)
    gpu = FakeGpu(needed_for(inference))
    committed = commit_language_model(case.committed.model, FakeGpu(GIB), SMALL)
    proof, statement = prove_language_inference(committed, tokens, gpu, *given)
    assert case.verify(proof, statement) >= FEW_BITS
    gpu.free -= 1
    monkeypatch.setattr(type(committed.placed.stacked), "forward", None)
    with pytest.raises(UnusableInput) as refused:
        prove_language_inference(committed, tokens, gpu, *given)
    assert str(refused.value).startswith("a proof about 16 positions takes ")
    assert str(refused.value).endswith("use fewer tokens or a GPU with more")
    assert "\n" not in str(refused.value)


def test_weights_on_the_host_need_its_memory(
    llama: LanguageCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, available = llama.public.config, 2 * committed_integers(llama.public.config)
    memory = SimpleNamespace(available=available)
    monkeypatch.setattr(language_memory.psutil, "virtual_memory", lambda: memory)
    require_commit_memory(config, SMALL, cpu_target())
    memory.available -= 1
    with pytest.raises(
        UnusableInput, match=r"of memory at least, and 0\.0 GiB are free; commit to"
    ):
        require_commit_memory(config, SMALL, cpu_target())


def test_segments_are_the_remedy_of_several_layers(
    llama: LanguageCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = LanguagePlan.of(llama.public, llama.statement)
    needed = needed_for(plan.inference(0))
    with pytest.raises(
        UnusableInput, match=r"prove fewer than 2 layers at once \(--segment\), use"
    ):
        require_memory(plan, FakeGpu(needed - 1))
    require_memory(LanguagePlan.of(llama.public, llama.statement, 1), FakeGpu(needed - 1))


def test_the_benchmark_is_refused_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    params = {"model": "llama-bytes", "positions": 128, "scheme": "whir", "johnson": 0}
    monkeypatch.setattr(language_case, "find_target", lambda _: FakeGpu(GIB >> 10))
    monkeypatch.setattr(PlacedModel, "of", None)
    with pytest.raises(UnusableInput, match="a commitment to 1,.* of the GPU's memory at least"):
        make_case("language", params, "cuda", 0).setup()


def test_a_cpu_has_no_memory_of_its_own(llama: LanguageCase) -> None:
    assert cpu_target().free_memory() is None
    require_commit_memory(llama.public.config, SMALL, cpu_target())
    require_proof_memory(llama.public.inference(llama.statement), cpu_target())


@pytest.mark.gpu
def test_what_a_gpu_has_left() -> None:
    gpu = target("cuda")
    before = gpu.free_memory()
    assert 0 < before < 1 << 42
    held = gpu.zeros(1 << 25)
    assert gpu.free_memory() <= before - held.nbytes
    del held
    assert gpu.free_memory() >= before - (1 << 22)
