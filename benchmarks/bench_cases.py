"""Proving and verifying of every registered benchmark at a small size: `pytest benchmarks`.

These watch for regressions of single calls. The measurements that are published come from
`zkbench bench`, which verifies in a separate process and keeps provenance.
"""

from typing import Any

import pytest

from zkbench.bench.case import Case, optional_hook
from zkbench.bench.cases import CASES, make_case
from zkbench.bench.gpu import find_gpu
from zkbench.bench.timers import PhaseTimer

SIZES: dict[str, dict[str, Any]] = {
    "tlookup": {"log_values": 14, "log_table": 16},
    "tlookup_inverses": {"log_values": 14, "log_table": 16},
    "matmul": {"num_layers": 1, "batch": 64, "d_in": 128, "d_out": 128},
    "hadamard": {"log_values": 14},
    "rescale": {"log_values": 14, "shift": 16},
    "relu": {"log_values": 14},
    "commitment": {"log_values": 14, "scheme": "whir", "johnson": 0},
    "zkrelu": {"log_values": 14, "shift": 16, "variant": "bits"},
    "zkattn": {"num_layers": 1, "heads": 2, "kv_heads": 2, "positions": 64, "head_dim": 32},
    "rotary": {"num_layers": 1, "heads": 4, "positions": 64, "head_dim": 64},
    "rmsnorm": {"num_layers": 1, "rows": 64, "width": 256},
    "language": {"model": "opt-bytes", "positions": 32, "scheme": "whir", "johnson": 0},
    "training": {
        "depth": 2,
        "width": 32,
        "inputs": 32,
        "outputs": 10,
        "batch": 8,
        "samples": 64,
        "steps": 4,
        "segment": 4,
        "loss": "square",
        "momentum": 0,
        "variant": "stacked",
    },
}
# An inference needs a model and images, which the workflow makes.
BENCHMARKS = sorted(set(CASES) - {"inference"})
TARGETS = ["cpu", "cuda"] if find_gpu() else ["cpu"]


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=BENCHMARKS)
def case(request: pytest.FixtureRequest, target: str) -> Case:
    if request.param not in SIZES:
        pytest.fail(f"{request.param} has no small size in {__file__}")
    made = make_case(request.param, SIZES[request.param], target, 0)
    made.setup()
    return made


def test_prove(benchmark: Any, case: Case) -> None:
    wait = optional_hook(case, "synchronise")
    case.prove(PhaseTimer(wait))
    proof = benchmark(lambda: case.prove(PhaseTimer(wait)))
    case.verify(proof)


def test_verify(benchmark: Any, case: Case) -> None:
    proof = case.prove(PhaseTimer())
    case.verify(proof)
    benchmark(case.verify, proof)
