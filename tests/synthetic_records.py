"""Records with invented times, as the runner would write them."""

from __future__ import annotations

from typing import Any

from zkbench.bench.records import Record, record_id

CPU = {"model": "Intel(R) Xeon(R) Processor", "cores": 2, "logical_cores": 2, "threads": 2}
GPU = {
    "name": "NVIDIA H100 80GB HBM3",
    "memory_bytes": 85_000_000_000,
    "driver": "580.1",
    "cuda": "13.0",
    "count": 1,
    "runtime": "13.0.96",
}
VERSIONS = {
    "python": "3.11.7",
    "zkbench": "0.1.0",
    "numba": "0.68.1",
    "numba_cuda": "0.30.4",
    "llvmlite": "0.50.0",
    "numpy": "2.4.6",
}


def make_record(
    benchmark: str = "tlookup",
    params: dict[str, Any] | None = None,
    values: int = 1 << 20,
    prove_s: float = 0.2,
    target: str = "cpu",
    **changes: Any,
) -> Record:
    """A record whose three samples are 0.9, 1 and 1.2 times `prove_s`."""
    params = {"log_values": 20, "log_table": 16} if params is None else params
    samples = [0.9 * prove_s, prove_s, 1.2 * prove_s]
    on_gpu = target == "cuda"
    record = {
        "schema": 1,
        "id": record_id(benchmark, params, target, "goldilocks"),
        "benchmark": benchmark,
        "params": params,
        "values": values,
        "target": target,
        "field": "goldilocks",
        "seed": 0,
        "samples": {"prove_s": samples, "verify_s": [0.01, 0.012, 0.011]},
        "cold_s": {"prove": 3 * prove_s, "verify": 0.5},
        "phases": {
            "commit": [0.25 * s for s in samples],
            "lookups": [0.5 * s for s in samples],
        },
        "proof_bytes": 40_000,
        "memory": {
            "host_peak_bytes": 300_000_000,
            "device_peak_bytes": 1_000_000_000 if on_gpu else None,
        },
        "soundness_bits": 104.25,
        "zero_knowledge": False,
        "verified": True,
        "verifier": {"cores": 1},
        "machine": "h100-80gb" if on_gpu else "cpu-intel-xeon-2c",
        "provenance": {
            "git": {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": False},
            "cpu": CPU,
            "ram_bytes": 25_000_000_000,
            "gpu": GPU if on_gpu else None,
            "versions": VERSIONS,
            "platform": "Linux-x86_64",
            "time": "2026-11-22T16:44:35+00:00",
        },
        "extra": {},
    }
    return record | changes


def make_sweep(benchmark: str, target: str, values_per_s: float) -> list[Record]:
    """Records of 2^12 .. 2^20 values at nearly the given throughput."""
    return [
        make_record(
            benchmark,
            {"log_values": log_values, "log_table": 16},
            1 << log_values,
            1e-3 + (1 << log_values) / values_per_s,
            target,
        )
        for log_values in (12, 14, 16, 18, 20)
    ]


def make_commitments(target: str, values_per_s: float) -> list[Record]:
    """Records of both schemes and both radii at 2^12 .. 2^20 values."""
    return [
        make_record(
            "commitment",
            {"log_values": n, "scheme": scheme, "johnson": johnson},
            1 << n,
            1e-3 + (1 << n) / values_per_s,
            target,
            phases={"commit": [0.2, 0.25, 0.3], "opening": [0.5, 0.75, 0.8]},
            extra={"log_rows": n - 4},
        )
        for n in (12, 16, 20)
        for scheme, johnson in (("whir", 0), ("whir", 1), ("ligero", 0))
    ]


def make_zkrelus(target: str, values_per_s: float) -> list[Record]:
    """Records of both versions of zkReLU at 2^12 .. 2^20 values."""
    return [
        make_record(
            "zkrelu",
            {"log_values": n, "shift": 16, "variant": variant},
            1 << n,
            fixed + cost * (1 << n) / values_per_s,
            target,
        )
        for n in (12, 16, 20)
        for variant, fixed, cost in (("table", 0.1, 1), ("bits", 0.02, 8))
    ]


def make_ceilings(target: str, speed: float = 1.0) -> dict[str, Any]:
    """Round ceilings; `speed` times as many."""
    of = make_record(target=target)
    amounts = {"copy": 12e9, "read": 12e9, "multiply": 1.6e9, "butterfly": 0.8e9}
    amounts |= {"e_multiply": 0.4e9, "e_multiply_add": 1e9, "compression": 0.02e9}
    return {
        "schema": 1,
        "target": target,
        "field": "goldilocks",
        "machine": of["machine"],
        "ceilings": {
            name: {"amount": int(speed * amount), "seconds": [0.9, 1.0, 1.5]}
            for name, amount in amounts.items()
        },
        "provenance": of["provenance"],
    }


def make_matmuls(target: str, products_per_s: float) -> list[Record]:
    """Records of square matrix products of 64 .. 1024 rows."""
    return [
        make_record(
            "matmul",
            {"num_layers": 1, "batch": n, "d_in": n, "d_out": n},
            n * n,
            1e-3 + n**3 / products_per_s,
            target,
        )
        for n in (64, 256, 1024)
    ]


def make_inferences(target: str = "cpu") -> list[Record]:
    """Records of the digit classifier on its four batch sizes."""
    return [
        make_record(
            "inference", {"dims": [64, 128, 128, 10], "batch": n}, n, 0.2 + 0.005 * n, target
        )
        for n in (1, 16, 64, 360)
    ]


def make_attentions(target: str, scores_per_s: float) -> list[Record]:
    """Records of zkAttn in one layer at 128 .. 1024 tokens."""
    shape = {"num_layers": 1, "heads": 4, "kv_heads": 4, "head_dim": 64}
    return [
        make_record(
            "zkattn", shape | {"positions": n}, 2 * n * n, 0.05 + 2 * n * n / scores_per_s, target
        )
        for n in (128, 256, 512, 1024)
    ]


def make_languages(target: str) -> list[Record]:
    """Records of language models: shipped ones on the CPU, published sizes on a GPU."""
    sizes = {"opt-bytes": 1.3e6, "llama-bytes": 1.6e6}
    if target == "cuda":
        sizes = {"opt-125m": 163e6, "opt-13b": 13.1e9, "llama-2-7b": 6.7e9, "llama-2-13b": 13e9}
    return [make_language(model, int(size), target) for model, size in sizes.items()]


def make_language(model: str, weights: int, target: str, **more: int) -> Record:
    tokens = 2048 if target == "cuda" else 128
    params = {"model": model, "positions": tokens, "scheme": "whir", "johnson": 0, **more}
    prove_s = 1 + weights / 4e8
    extra = {"weights": weights, "commit_s": 0.1 * prove_s, "forward_s": 1e-3 * prove_s}
    extra |= {"forward_with": "PyTorch, fp16" if target == "cuda" else "NumPy, float32"}
    extra |= {"committed_values": 2_000_000, "range_checks": 3_000_000, "table_lookups": 500_000}
    return make_record("language", params, tokens, prove_s, target, extra=extra)


def make_trainings(target: str) -> list[Record]:
    """Records of training: sweeps of stacked and sequential proofs around one shape."""
    shape = {"depth": 2, "width": 64, "inputs": 64, "outputs": 10, "batch": 16, "samples": 1024}
    if target == "cuda":
        shape |= {"depth": 8, "width": 1024, "inputs": 3072, "batch": 64, "samples": 50_000}
    shape |= {"steps": 16, "loss": "square", "momentum": 0, "variant": "stacked"}
    changes = [{}, *({key: shape[key] * 2} for key in ("depth", "width", "batch", "steps"))]
    stacked = [shape | change for change in (*changes, {"steps": 1})]
    sequential = [one | {"variant": "sequential", "steps": 1} for one in stacked[:-2]]
    return [make_training(params, target) for params in (*stacked, *sequential)]


def make_training(params: dict[str, Any], target: str) -> Record:
    """A step takes as long as its products; a proof takes 0.2 s besides, as often as there are any."""
    stacked, steps = params["variant"] == "stacked", params["steps"]
    params = params | {"segment": steps if stacked else 1}
    weights = params["width"] ** 2 * params["depth"] + params["width"] * params["inputs"]
    proofs = 1 if stacked else steps
    prove_s = 0.2 * proofs + weights * params["batch"] * steps / (1e10 if target == "cuda" else 2e7)
    extra = {"parameters": weights, "commit_s": 0.05, "cold_commit_s": 0.06}
    return make_record(
        "training", params, steps, prove_s, target, extra=extra, proof_bytes=500_000 * proofs
    )
