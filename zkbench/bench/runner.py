"""Runs a case: prove here, verify in a process of its own, and make the record."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zkbench.bench.case import Case, optional_hook
from zkbench.bench.cases import CASES, make_case
from zkbench.bench.memory import HostMemoryPeak
from zkbench.bench.progress import progress_bar
from zkbench.bench.provenance import collect_provenance, machine_id
from zkbench.bench.records import SCHEMA_VERSION, Record, check_record, record_id
from zkbench.bench.sampling import PartDone, sample, timed
from zkbench.bench.timers import PhaseTimer
from zkbench.errors import UnusableInput


class BenchError(RuntimeError):
    """A run that gave no record; the message says why."""


class NotVerified(BenchError):
    """The separate verifier rejected the proof."""


_LONG_PROOF_S = 20.0


@dataclass(frozen=True)
class Proven:
    """Proofs of one case: `samples` are seconds, `phases` the totals of each sample."""

    proof: bytes
    cold_s: float
    samples: list[float]
    phases: list[dict[str, float]]
    host_peak_bytes: int
    device_peak_bytes: int | None


def run_case(
    name: str,
    params: dict[str, Any],
    target: str = "cpu",
    seed: int = 0,
    repeats: int = 5,
    min_seconds: float = 0.0,
) -> Record:
    """Prove the case, verify its proof in a separate process on the CPU, return the record.

    One cold proof (compilation or loading of kernels included), one to warm up, then at least
    `repeats` timed ones and at least `min_seconds` of them, whose bytes must all be the same.
    Raises `NotVerified` if the verifier rejects, `BenchError` if proofs differ or the
    verifier fails, `UnknownCase` if no such benchmark is registered.
    """
    if repeats < 1:
        raise UnusableInput(f"at least one repeat is needed, not {repeats}")
    case = make_case(name, params, target, seed)
    case.setup()
    with progress_bar(f"{name}: proving") as part_done:
        proven = prove_repeatedly(case, repeats, min_seconds, part_done)
    job = {"module": CASES[name].__module__, "name": name, "params": params, "seed": seed}
    job |= {"repeats": repeats, "min_seconds": min_seconds}
    with progress_bar(f"{name}: verifying"):
        verdict = verify_elsewhere(job, proven.proof)
    return make_record(case, proven, verdict)


def prove_repeatedly(
    case: Case, repeats: int, min_seconds: float, part_done: PartDone = lambda part: None
) -> Proven:
    """Prove cold, warm up, and take the samples; the case is set up already.

    A proof that takes long has warmed up all there is once it is made.
    """
    cold_s, (proof, _) = timed(lambda: _prove(case))
    phases: list[dict[str, float]] = []

    def prove_seconds() -> float:
        seconds, (again, totals) = timed(lambda: _prove(case))
        _require_same(again, proof)
        phases.append(totals)
        return seconds

    if cold_s < _LONG_PROOF_S:
        prove_seconds()
    phases.clear()
    gc.collect()
    with HostMemoryPeak() as peak:
        samples = sample(prove_seconds, repeats, min_seconds, part_done)
    device_peak = optional_hook(case, "device_memory_peak")
    device_bytes = device_peak() if device_peak else None
    return Proven(proof, cold_s, samples, phases, peak.bytes, device_bytes)


def _prove(case: Case) -> tuple[bytes, dict[str, float]]:
    timer = PhaseTimer(optional_hook(case, "synchronise"))
    proof = case.prove(timer)
    return proof, timer.totals()


def _require_same(proof: bytes, first: bytes) -> None:
    if proof != first:
        raise BenchError("two proofs of the same statement and seed differ; no record is made")


def verify_elsewhere(job: dict[str, Any], proof: bytes) -> dict[str, Any]:
    """Verify in a fresh Python process on one core, which sees no GPU; return its samples."""
    with tempfile.TemporaryDirectory(prefix="zkbench-") as folder:
        job_file, proof_file = Path(folder, "job.json"), Path(folder, "proof")
        job_file.write_text(json.dumps(job))
        proof_file.write_bytes(proof)
        done = _run_verifier(job_file, proof_file)
    return _verdict(done)


def _run_verifier(job_file: Path, proof_file: Path) -> subprocess.CompletedProcess[str]:
    files = [str(job_file), str(proof_file)]
    return subprocess.run(
        [sys.executable, "-m", "zkbench.bench.verify_case", *files],
        capture_output=True,
        text=True,
        check=False,
        env=_verifier_environment(),
    )


def _verifier_environment() -> dict[str, str]:
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    one_thread = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return os.environ | {"PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""} | one_thread


def _verdict(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    try:
        verdict: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, json.JSONDecodeError):
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise BenchError(f"the verifying process failed ({done.returncode}): {last}") from None
    if not verdict["verified"]:
        raise NotVerified(f"the verifier rejected the proof: {verdict['reason']}")
    return verdict


def make_record(case: Case, proven: Proven, verdict: dict[str, Any]) -> Record:
    """Return the checked record of a verified run."""
    extra = optional_hook(case, "extra")
    record: Record = {
        "schema": SCHEMA_VERSION,
        "id": record_id(case.benchmark, case.params, case.target, case.field),
        "benchmark": case.benchmark,
        "params": case.params,
        "values": case.values,
        "target": case.target,
        "field": case.field,
        "seed": case.seed,
        "samples": {"prove_s": proven.samples, "verify_s": verdict["verify_s"]},
        "cold_s": {"prove": proven.cold_s, "verify": verdict["cold_s"]},
        "phases": _phase_samples(proven.phases),
        "proof_bytes": _proof_bytes(case, proven.proof),
        "memory": {
            "host_peak_bytes": proven.host_peak_bytes,
            "device_peak_bytes": proven.device_peak_bytes,
        },
        "soundness_bits": case.soundness_bits(),
        "zero_knowledge": False,
        "verified": verdict["verified"],
        "verifier": {"cores": verdict["cores"]},
        "machine": machine_id(case.target),
        "provenance": collect_provenance(),
        "extra": extra() if extra else {},
    }
    check_record(record)
    return record


def _phase_samples(totals: list[dict[str, float]]) -> dict[str, list[float]]:
    names = {name: None for sample_totals in totals for name in sample_totals}
    return {name: [phases.get(name, 0.0) for phases in totals] for name in names}


def _proof_bytes(case: Case, returned: bytes) -> int:
    """Size of the proof; a case whose `prove` returns more than it says how much."""
    hook = getattr(case, "proof_bytes", None)
    return hook(returned) if callable(hook) else len(returned)
