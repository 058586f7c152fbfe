"""Benchmarks for the tests of the runner: the "proof" is a hash that the verifier recomputes."""

import hashlib
import itertools
import time

from zkbench.bench.case import Case
from zkbench.bench.cases import register
from zkbench.bench.timers import PhaseTimer
from zkbench.proof import ProofRejected


class HashCase:
    """Proves the number of its values; `behaviour` says in what it misbehaves."""

    field = "goldilocks"

    def __init__(self, params: dict, target: str, seed: int) -> None:
        self.benchmark = "hash"
        self.params, self.target, self.seed = params, target, seed
        self.values = params["num_values"]
        self.behaviour = params.get("behaviour", "honest")
        self.calls = itertools.count()

    def setup(self) -> None:
        self.public = self._digest()

    setup_verifier = setup

    def _digest(self) -> bytes:
        return hashlib.sha256(f"{self.values} {self.seed}".encode()).digest()

    def prove(self, timer: PhaseTimer) -> bytes:
        with timer.phase("commit"):
            time.sleep(0.002)
        if self.behaviour == "out of memory":
            raise MemoryError
        if self.behaviour == "lying":
            return bytes(32)
        if self.behaviour == "random":
            return next(self.calls).to_bytes(32, "big")
        return self.public

    def verify(self, proof: bytes) -> None:
        if self.behaviour == "crashing":
            raise ZeroDivisionError("verifier bug")
        if proof != self.public:
            raise ProofRejected("the hash is another")

    def soundness_bits(self) -> float:
        return 128.0

    def device_memory_peak(self) -> int | None:
        return 4096 if self.target == "cuda" else None

    def extra(self) -> dict:
        return {"accuracy": 0.5}


@register("hash")
def make_hash(params: dict, target: str, seed: int) -> Case:
    return HashCase(params, target, seed)
