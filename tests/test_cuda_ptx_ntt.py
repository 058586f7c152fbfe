"""The encoder's passes compile to PTX without a GPU, keep to their registers, and stay short.

Not tested here: what the PTX computes (test_cuda_sim_ntt.py, tests/gpu).
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from numba import types
from test_cuda_ptx import CAPABILITIES, WORDS, assert_aligned, find_ptxas, pytestmark

from zkbench.fields import GOLDILOCKS
from zkbench.kernels.launch import BlockKernel
from zkbench.kernels.ntt_cuda import pass_kernel
from zkbench.kernels.ntt_passes import Pass, make_pass

__all__ = ["pytestmark"]

SOURCES = {
    "int16": (types.Array(types.int16, 1, "C"), True, True),
    "words": (WORDS, False, True),
    "in place": (WORDS, False, False),
}
# The passes of columns of 2^22 to 2^25 values, and of short columns.
PASSES = {
    "int16": [make_pass(8, 17), make_pass(7, 15), make_pass(3, 0)],
    "words": [make_pass(7, 14)],
    "in place": [make_pass(8, 9), make_pass(8, 0), make_pass(9, 0)],
}
CASES = [(source, shape) for source, shapes in PASSES.items() for shape in shapes]
MAX_SPILLED_BYTES = 64  # once a thread, beside 16 values of 8 bytes


def compile_pass(source: str, shape: Pass, capability: tuple[int, int]) -> tuple[BlockKernel, str]:
    """Its PTX, as a launch compiles it."""
    from numba import cuda

    array, integers, is_first = SOURCES[source]
    kernel = pass_kernel(GOLDILOCKS, integers, shape, is_first)
    signature = (array, *[types.int64] * 7, WORDS, WORDS, types.int64, WORDS)
    getter = mock.Mock(return_value=SimpleNamespace(compute_capability=capability))
    with mock.patch("numba.cuda.dispatcher.get_current_device", getter):
        bounds = (kernel.threads, kernel.blocks)
        ptx, _ = cuda.compile_ptx(
            kernel.cuda_source, signature, cc=capability, launch_bounds=bounds
        )
    return kernel, ptx


@pytest.mark.parametrize("capability", CAPABILITIES, ids=str)
@pytest.mark.parametrize(
    ("source", "shape"), CASES, ids=lambda value: getattr(value, "name", value)
)
def test_pass_compiles(
    source: str, shape: Pass, capability: tuple[int, int], tmp_path: Path
) -> None:
    kernel, ptx = compile_pass(source, shape, capability)
    assert f".target sm_{capability[0]}{capability[1]}" in ptx
    assert not re.search(r"\bcall\b|\.extern \.func", ptx), "a function was not inlined"
    assert ".local" not in ptx, "values are kept in local memory, which is slow"
    assert f".maxntid {kernel.threads}" in ptx
    assert_aligned(ptx)
    if find_ptxas():
        assert_resources(kernel, ptx, capability, tmp_path)


def assert_resources(
    kernel: BlockKernel, ptx: str, capability: tuple[int, int], folder: Path
) -> None:
    """Registers for as many blocks as the pass asks for, and next to no spills."""
    source, machine = folder / "pass.ptx", f"-arch=sm_{capability[0]}{capability[1]}"
    source.write_text(ptx)
    command = [str(find_ptxas()), "-v", machine, str(source), "-o", str(folder / "pass.cubin")]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    (registers,) = re.findall(r"Used (\d+) registers", report)
    (spilled,) = re.findall(r"(\d+) bytes spill stores", report)
    assert int(registers) * kernel.threads * kernel.blocks <= 65536
    assert int(spilled) <= MAX_SPILLED_BYTES


@pytest.mark.parametrize("shape", [make_pass(8, 9), make_pass(9, 0), Pass((4, 4, 3), 2)])
def test_shared_memory_fits(shape: Pass) -> None:
    """On every device of capability 8.0 and 9.0, with powers for as many blocks as there are lanes."""
    assert shape.shared_bytes(shape.log_lanes if shape.contiguous else 0) <= 163 * 1024
