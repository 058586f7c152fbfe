"""The encoder's passes on Numba's CUDA simulator against the CPU's, with tiny tiles.

Every feature of a pass with few values: several steps, several passes, lanes that do not exist,
blocks of several lanes, columns that end early, gaps between codewords, elements of E.
Not tested here: the sizes that a GPU gets (tests/gpu), and races within a warp.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zkbench.fields import GOLDILOCKS
from zkbench.kernels.launch import CpuTarget
from zkbench.kernels.ntt import encode

TESTS = Path(__file__).parent
GAP = 8


@dataclass(frozen=True)
class Case:
    """Columns to encode; ``passes`` as (radices, log2 of the lanes), the last one contiguous."""

    log_rows: int
    log_inv_rate: int
    columns: int
    dtype: Any
    passes: tuple[tuple[tuple[int, ...], int], ...]
    extension: bool = False

    @property
    def stride(self) -> int:
        return (1 << (self.log_rows + self.log_inv_rate)) + GAP

    @property
    def limbs(self) -> int:
        return 2 if self.extension else 1

    @property
    def length(self) -> int:
        """Ends inside the last column."""
        return (self.columns << self.log_rows) - (1 << self.log_rows) // 3

    def source(self) -> np.ndarray:
        rng, info = np.random.default_rng(self.log_rows), np.iinfo(self.dtype)
        size = self.length * self.limbs
        low = max(info.min, -(2**62))
        return rng.integers(low, min(info.max, 2**64 - 1), size, self.dtype, endpoint=True)

    def expected(self, source: np.ndarray) -> np.ndarray:
        shape = (self.length, self.columns, self.log_rows, self.log_inv_rate)
        options: dict[str, Any] = {"stride": self.stride, "extension": self.extension}
        return encode(CpuTarget(1), GOLDILOCKS, source, *shape, **options)

    def save(self, path: Path) -> None:
        rows = [
            [lanes, index == len(self.passes) - 1, *radices, *[0] * (4 - len(radices))]
            for index, (radices, lanes) in enumerate(self.passes)
        ]
        shape = [self.length, self.columns, self.log_rows, self.log_inv_rate]
        np.savez(
            path,
            source=self.source(),
            passes=np.array(rows),
            shape=np.array([*shape, self.stride, self.extension]),
        )


CASES = {
    "one level": Case(1, 0, 1, np.int16, (((1,), 2),)),
    "one step": Case(4, 1, 3, np.int32, (((4,), 2),)),
    "two steps, several blocks a tile": Case(5, 2, 1, np.int16, (((3, 2), 3),)),
    "three steps": Case(5, 1, 5, np.int64, (((2, 2, 1), 2),)),
    "two passes": Case(6, 1, 3, np.int16, (((2, 1), 2), ((2, 1), 2))),
    "two passes over words": Case(7, 0, 2, np.uint64, (((2,), 3), ((3, 2), 1))),
    "three passes": Case(7, 2, 3, np.int16, (((1,), 2), ((2, 1), 2), ((3,), 3))),
    "radix 16": Case(8, 1, 1, np.uint64, (((4,), 4), ((4,), 2))),
    "elements, one pass": Case(4, 1, 3, np.uint64, (((2, 2), 2),), extension=True),
    "elements, two passes": Case(6, 2, 2, np.uint64, (((2, 1), 3), ((2, 1), 3)), extension=True),
}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> dict[str, np.ndarray]:
    """For each case, the codewords that the simulator made."""
    folder = tmp_path_factory.mktemp("encode")
    for name, case in CASES.items():
        case.save(folder / f"{name}.npz")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])}
    command = [sys.executable, str(TESTS / "ntt_sim_worker.py"), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {name: np.load(folder / f"{name}.out.npy") for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_simulated_codewords_vs_cpu(name: str, simulated: dict[str, np.ndarray]) -> None:
    case = CASES[name]
    got, expected = (
        words.reshape(case.columns, -1)[:, : -GAP * case.limbs]
        for words in (simulated[name], case.expected(case.source()))
    )
    assert np.array_equal(got, expected)
