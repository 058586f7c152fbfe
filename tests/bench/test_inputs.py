"""Inputs: blocks under masks are what they say, and their shortcuts agree with the definition."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from definitions import mle, random_points

from zkbench.bench import inputs
from zkbench.bench.cases import make_case
from zkbench.bench.inputs import FIELD, MaskedBlocks, evaluate, extension
from zkbench.bench.timers import PhaseTimer
from zkbench.kernels.launch import cpu_target

KINDS = [(16, False), (16, True), (5, False), (1, False)]
NO_INPUTS = {
    "tlookup": {"log_values": 8, "log_table": 4},
    "tlookup_inverses": {"log_values": 8, "log_table": 4},
    "commitment": {"log_values": 8, "scheme": "whir", "johnson": 0},
}


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "_LOG_BLOCK", 3)


def draw(log_values: int, bits: int = 16, signed: bool = False, seed: int = 0) -> MaskedBlocks:
    return MaskedBlocks.draw(np.random.Generator(np.random.PCG64(seed)), log_values, bits, signed)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("log_values", [0, 2, 3, 4, 7])
@pytest.mark.parametrize(("bits", "signed"), KINDS)
def test_the_extension_of_masked_blocks_vs_python_int(
    log_values: int, bits: int, signed: bool
) -> None:
    blocks = draw(log_values, bits, signed)
    shape = (1 << log_values,)
    point = random_points(FIELD, Random(log_values), shape)
    assert extension(blocks, point) == mle(blocks.array().tolist(), shape, point)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(("bits", "signed"), KINDS)
def test_values_are_entries_of_the_block_under_the_masks(bits: int, signed: bool) -> None:
    blocks = draw(7, bits, signed)
    values = blocks.array()
    assert values.dtype == (np.int16 if signed else np.uint16)
    patterns = values.view(np.uint16).tolist()
    x, m = blocks.block.tolist(), blocks.masks.tolist()
    assert (len(x), len(m)) == (8, 16)
    assert patterns == [m[i >> 3] ^ x[i & 7] for i in range(128)]
    assert max(patterns) < 1 << bits


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("log_values", [0, 2, 7])
@pytest.mark.parametrize(("bits", "signed"), KINDS)
def test_counts_of_masked_blocks_vs_counting(log_values: int, bits: int, signed: bool) -> None:
    blocks = draw(log_values, bits, signed)
    expected = np.bincount(blocks.array().view(np.uint16), minlength=1 << bits)
    np.testing.assert_array_equal(blocks.counts(), expected)


def test_the_extension_of_several_whole_blocks_vs_all_values() -> None:
    blocks, shape = draw(22, 16, signed=True), (1 << 22,)
    assert len(blocks.masks) == 4
    point = random_points(FIELD, Random(1), shape)
    assert extension(blocks, point) == evaluate(cpu_target(), blocks.array(), shape, point)


def test_values_look_random() -> None:
    """No table entry is missing, and none is looked up much more often than others."""
    counts = draw(24).counts()
    assert counts.sum() == 1 << 24
    assert 128 < counts.min() <= 256 <= counts.max() < 512


def test_other_seeds_draw_other_values() -> None:
    np.testing.assert_array_equal(draw(6).array(), draw(6).array())
    assert (draw(6).array() != draw(6, seed=1).array()).any()


def test_inputs_of_2_to_the_32_values_are_described_not_made() -> None:
    for name, params in NO_INPUTS.items():
        case = make_case(name, params | {"log_values": 32}, "cpu", 0)
        case.setup_verifier()  # type: ignore[attr-defined]
        held = [case.blocks.block, case.blocks.masks]  # type: ignore[attr-defined]
        assert [len(array) for array in held] == [1 << 20, 1 << 12]


@pytest.mark.parametrize("name", NO_INPUTS)
def test_a_verifier_does_without_the_values(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    prover, verifier = (make_case(name, NO_INPUTS[name], "cpu", 0) for _ in range(2))
    prover.setup()
    proof = prover.prove(PhaseTimer())
    monkeypatch.delattr(MaskedBlocks, "array")
    verifier.setup_verifier()  # type: ignore[attr-defined]
    verifier.verify(proof)
