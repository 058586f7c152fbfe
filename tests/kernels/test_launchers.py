"""The CPU launcher: the same words from one thread as from two; and what ``target`` refuses."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from definitions import random_elements

from zkbench.errors import UnusableInput
from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels import contract, eq, launch, scatter
from zkbench.kernels.launch import CpuTarget, cpu_target
from zkbench.kernels.numerators import Numerators

COUNT = 10_001  # odd, and enough for every launcher to split


@pytest.fixture(scope="module")
def words() -> np.ndarray:
    return FIELD.pack(random_elements(FIELD, Random(1), COUNT))


@pytest.fixture(scope="module")
def integers() -> np.ndarray:
    return np.random.default_rng(1).integers(-500, 500, COUNT, dtype=np.int16)


def on_threads(threads: int, run: Any) -> Any:
    """The result, and how many ranges each launch was split into."""
    target, splits = CpuTarget(threads), []
    original = target._run
    target._run = lambda jobs: (splits.append(len(jobs)), original(jobs))  # type: ignore[method-assign]
    return np.asarray(run(target)).tolist(), splits


def assert_threads_agree(run: Any) -> None:
    alone, one = on_threads(1, run)
    together, two = on_threads(2, run)
    assert (max(one), max(two)) == (1, 2)
    assert alone == together


def test_map_is_the_same_on_two_threads(words: np.ndarray) -> None:
    low = FIELD.pack(random_elements(FIELD, Random(2), 3))
    assert_threads_agree(lambda t: eq.outer_product(t, FIELD, words, COUNT, low, 3))


def test_reduction_is_the_same_on_two_threads(words: np.ndarray) -> None:
    kernel = contract.kernels(FIELD).dot
    assert_threads_agree(lambda t: t.reduce(kernel, COUNT, words, words))


def test_wide_reduction_is_the_same_on_two_threads(words: np.ndarray) -> None:
    kernel = contract.kernels(FIELD).dot_columns
    assert_threads_agree(lambda t: t.reduce(kernel, COUNT, words, words))


def test_contraction_is_the_same_on_two_threads(words: np.ndarray, integers: np.ndarray) -> None:
    assert_threads_agree(lambda t: contract.contract(t, FIELD, integers, 1, 100, 100, words))


def test_histogram_is_the_same_on_two_threads(integers: np.ndarray) -> None:
    assert_threads_agree(lambda t: scatter.histogram(t, integers, COUNT, 500, 1000))


def test_push_forward_is_the_same_on_two_threads(words: np.ndarray, integers: np.ndarray) -> None:
    weights = Numerators.dense(cpu_target(), FIELD, words, COUNT)
    run = lambda t: scatter.push_forward(t, FIELD, integers, COUNT, 500, weights, 1000)  # noqa: E731
    assert_threads_agree(run)


def test_few_items_stay_on_one_thread(words: np.ndarray) -> None:
    kernel = contract.kernels(FIELD).dot
    _, splits = on_threads(2, lambda t: t.reduce(kernel, 10, words, words))
    assert splits == [1]


def test_an_empty_map_writes_nothing(words: np.ndarray) -> None:
    out = np.full(2, 7, dtype=np.uint64)
    CpuTarget(2).map(eq.kernels(FIELD).outer, 0, words, words, 1, out)
    assert out.tolist() == [7, 7]


def test_an_empty_reduction_is_zero(words: np.ndarray) -> None:
    assert CpuTarget(2).reduce(contract.kernels(FIELD).dot, 0, words, words).tolist() == [0, 0]


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(UnusableInput, match="unknown target 'tpu': choose cpu, cuda or auto"):
        launch.target("tpu")


def test_cuda_without_a_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "cuda_available", lambda: False)
    launch.target.cache_clear()
    try:
        with pytest.raises(UnusableInput, match=r"needs an NVIDIA GPU .* use --target cpu"):
            launch.target("cuda")
        assert launch.target("auto").name == "cpu"
    finally:
        launch.target.cache_clear()
