"""CUDA kernels on Numba's simulator: shared memory, barriers, strides and atomics, without a GPU.

Whole proofs run on it, with the kernels' real bodies as plain Python, and must be the CPU's.
Not tested here: races between threads of a warp, which the simulator runs one after the other.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cases.case import prove
from cases.everything import SIMULATED

from zkbench.kernels.launch import Kernel, Scatter, cpu_target

TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def simulated() -> dict[str, tuple[bytes, list[str]]]:
    """For each case, its proof and the kernels that the simulator ran for it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])}
    command = [sys.executable, str(TESTS / "cuda_sim_worker.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    return {name: (bytes.fromhex(proof), kernels) for name, (proof, kernels) in results.items()}


@pytest.mark.parametrize("name", SIMULATED)
def test_simulated_proofs_vs_cpu(name: str, simulated: dict[str, tuple[bytes, list[str]]]) -> None:
    assert simulated[name][0] == prove(SIMULATED[name], cpu_target())[0]


def test_every_shell_ran(simulated: dict[str, tuple[bytes, list[str]]]) -> None:
    """Maps, reductions of each width, and scatters."""
    launched = {kernel for _, kernels in simulated.values() for kernel in kernels}
    widths = {Kernel.registry[name].width for name in launched if name in Kernel.registry}
    assert widths == {0, 1, 2, 3}
    assert launched & set(Scatter.registry)
