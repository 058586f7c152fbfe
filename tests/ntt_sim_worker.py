"""Encodes on Numba's CUDA simulator; a process of its own, started by test_cuda_sim_ntt.py."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from cuda_sim_worker import SimulatedTarget, simulate  # before anything imports numba.cuda

from zkbench.fields import GOLDILOCKS
from zkbench.kernels import ntt_cuda
from zkbench.kernels.ntt import encode
from zkbench.kernels.ntt_passes import Pass


def main(folder: Path) -> None:
    """For each case NAME.npz of the folder, write the codewords to NAME.out.npy."""
    simulate()
    for path in sorted(folder.glob("*.npz")):
        case = np.load(path)
        passes = tuple(
            Pass(tuple(int(radix) for radix in row[2:] if radix), int(row[0]), bool(row[1]))
            for row in case["passes"]
        )
        if passes:
            ntt_cuda.plan = lambda log_rows, passes=passes: passes
        length, columns, log_rows, log_inv_rate, stride, extension = map(int, case["shape"])
        shape = (length, columns, log_rows, log_inv_rate)
        target = SimulatedTarget()
        data = encode(
            target, GOLDILOCKS, case["source"], *shape, stride=stride, extension=bool(extension)
        )
        assert {name.split(".")[1] for name in target.launched} <= {"first", "later"}
        assert len(target.launched) == len(passes), "a pass did not run"
        np.save(path.with_suffix(".out.npy"), data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
