"""The same statement gives the same proof bytes on a CUDA GPU as on a CPU, for every protocol.

Kernels alone are compared with Python integers on both targets in tests/fields and tests/kernels.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from cases.case import Case, prove, verify
from cases.everything import LARGE, SMALL
from cases.openings import prove_openings
from targets import get_target

from zkbench.kernels.launch import Kernel, Scatter, cpu_target
from zkbench.protocols import statements
from zkbench.protocols.tlookup import Lookup, multiplicities

pytestmark = pytest.mark.gpu
FAMILIES = ("eq.", "sumcheck.", "gkr.", "contract.", "scatter.", "attention.", "rotary.")
FAMILIES += ("integer_products.",)


class Launches:
    """A CUDA target that counts what it launches."""

    def __init__(self) -> None:
        self.target = get_target("cuda")
        self.counts: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.target, name)
        if name not in ("map", "reduce", "scatter", "launch"):
            return attribute

        def counted(kernel: Any, *args: Any, **options: Any) -> Any:
            self.counts[kernel.name] += 1
            result = attribute(kernel, *args, **options)
            assert kernel.cuda.overloads, f"{kernel.name} was not compiled for CUDA"
            return result

        return counted


def assert_same_proof(case: Case, least_launches: int) -> None:
    target = Launches()
    on_gpu, claims = prove(case, target)
    assert target.counts.total() >= least_launches, "the proof was made elsewhere"
    assert on_gpu == prove(case, cpu_target())[0]
    assert verify(case, on_gpu) == claims


@pytest.mark.parametrize("name", LARGE)
def test_same_proof_on_both_targets(name: str) -> None:
    assert_same_proof(LARGE[name](), least_launches=3)


@pytest.mark.parametrize("name", SMALL)
def test_same_proof_when_everything_stays_on_the_gpu(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Odd and tiny launches, which otherwise run on the host."""
    monkeypatch.setattr(statements, "_TAIL_VARIABLES", -1)
    assert_same_proof(SMALL[name], least_launches=3)


def test_every_kernel_ran_on_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the families that these protocols use: none is left that only a CPU has run."""
    monkeypatch.setattr(statements, "_TAIL_VARIABLES", -1)
    target = Launches()
    monkeypatch.setattr(target.target, "map", target.map)  # what a scatter launches counts, too
    for case in SMALL.values():
        prove(case, target)
    prove_openings(target)
    values = target.to_device(np.tile(np.arange(8, dtype=np.int32), 16))
    assert multiplicities(target, Lookup(8, ((128,),)), [values]).tolist() == [16] * 8
    names = {*Kernel.registry, *Scatter.registry}
    assert {name for name in names if name.startswith(FAMILIES)} <= set(target.counts)


def test_same_openings_on_both_targets() -> None:
    target = Launches()
    assert prove_openings(target) == prove_openings(cpu_target())
    launched = {name.split(".")[0] for name in target.counts}
    families = "whir ntt ntt_rows blake3 row_hashes interleaved functional contract"
    assert launched >= set(families.split())
