"""A process that finds a filled kernel cache compiles nothing and starts at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

MAX_SECONDS = 3.0  # from the start of the process to the end of its first kernel
TESTS = Path(__file__).parent.parent

# Runs every protocol; prints what was compiled, when the first kernel ended, and the proofs' hash.
SCRIPT = """
import json, sys, time
started = float(sys.argv[1])
from zkbench.fields import GOLDILOCKS
from zkbench.kernels import eq
from zkbench.kernels.launch import Kernel, Scatter, cpu_target
eq.eq_table(cpu_target(), GOLDILOCKS, [GOLDILOCKS.element(3, 4)], 2)
first_kernel = time.time() - started

from numba.core import event
compiled = event.RecordingListener()
event.register("numba:compile", compiled)
import blake3
from cases.everything import SMALL
from cases.case import prove
digest = blake3.blake3()
for name in sorted(SMALL):
    digest.update(prove(SMALL[name], cpu_target())[0])
used = [k for r in (Kernel.registry, Scatter.registry) for k in r.values() if k.cpu.signatures]
misses = [k.name for k in used if k.cpu.stats.cache_misses]
hits = [k.name for k in used if k.cpu.stats.cache_hits]
events = sorted({str(e.data["dispatcher"]) for _, e in compiled.buffer})
print(json.dumps([first_kernel, misses, hits, events, digest.hexdigest()]))
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[list]:
    """Three processes, one after the other, with one cache directory of their own.

    The third is a second sample of a start's time: the second may meet other work on the machine.
    """
    cache = tmp_path_factory.mktemp("kernels")
    paths = [str(TESTS.parent), str(TESTS)]
    environment = {
        **os.environ,
        "ZKBENCH_CACHE_DIR": str(cache),
        "PYTHONPATH": os.pathsep.join(paths),
    }
    results = []
    for _ in range(3):
        command = [sys.executable, "-c", SCRIPT, str(time.time())]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        results.append(json.loads(done.stdout))
    return results


def test_the_first_process_compiles(runs: list[list]) -> None:
    """Or else the cache was not empty and the other tests show nothing."""
    _, misses, hits, events, _ = runs[0]
    assert len(misses) > 10
    assert not hits
    assert events


def test_the_second_process_compiles_nothing(runs: list[list]) -> None:
    _, misses, hits, events, _ = runs[1]
    assert (misses, events) == ([], [])
    assert set(hits) == set(runs[0][1])


def test_later_processes_start_their_first_kernel_at_once(runs: list[list]) -> None:
    assert min(run[0] for run in runs[1:]) < MAX_SECONDS


def test_cached_kernels_give_the_same_proofs(runs: list[list]) -> None:
    assert runs[0][4] == runs[1][4]
