"""The verifier's own process: `python -m zkbench.bench.verify_case JOB.json PROOF`.

It makes the case anew from its name, parameters and seed, verifies the proof on one core of the
CPU, and prints one JSON object: {"verified": true, "cores": 1, "cold_s": s, "verify_s": [s, ...]}
with exit code 0, or {"verified": false, "reason": text} with exit code 1.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from zkbench.bench.case import optional_hook
from zkbench.bench.cases import make_case_from
from zkbench.bench.sampling import sample, timed
from zkbench.proof import ProofRejected


def verify_job(job: dict[str, Any], proof: bytes) -> dict[str, Any]:
    """Verify once cold, then several times warm; return the verdict and the samples."""
    case = make_case_from(job["module"], job["name"], job["params"], "cpu", job["seed"])
    if setup := optional_hook(case, "setup_verifier"):
        setup()

    def verify_seconds() -> float:
        return timed(lambda: case.verify(proof))[0]

    try:
        cold_s = verify_seconds()
        samples = sample(verify_seconds, job["repeats"], job["min_seconds"])
    except ProofRejected as rejected:
        return {"verified": False, "reason": str(rejected)}
    cores = len(os.sched_getaffinity(0))
    return {"verified": True, "cores": cores, "cold_s": cold_s, "verify_s": samples}


def stay_on_one_core() -> None:
    """Before anything counts the cores that it may use."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main(arguments: list[str]) -> int:
    stay_on_one_core()
    job, proof = Path(arguments[0]), Path(arguments[1])
    verdict = verify_job(json.loads(job.read_text()), proof.read_bytes())
    print(json.dumps(verdict))
    return 0 if verdict["verified"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
