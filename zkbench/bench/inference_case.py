"""Benchmark of a whole inference: a committed model on a batch of inputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from zkbench.bench.registry import register
from zkbench.bench.timers import PhaseTimer
from zkbench.errors import UnusableInput
from zkbench.inference import (
    COMMITMENT_FILE,
    load_committed,
    prove_inference,
    read_commitment,
    verify_inference,
)
from zkbench.kernels.launch import target as find_target
from zkbench.models.tensor_files import load_inputs
from zkbench.proof import ProofRejected, canonical_json
from zkbench.security import total_bits
from zkbench.statement import Statement

_LENGTH_BYTES = 4


@register("inference")
class InferenceCase:
    """``model``: a folder that ``zkbench commit`` wrote; ``input``: .npy, batch x features.

    The labels are part of the statement, which the verifying process must be told: what ``prove``
    returns is the labels and then the proof, and ``proof_bytes`` counts the proof alone.
    """

    benchmark = "inference"

    def __init__(self, params: dict[str, Any], target: str, seed: int) -> None:
        if not isinstance(params, dict) or set(params) != {"model", "input"}:
            raise UnusableInput("inference needs exactly the parameters model and input")
        self.folder = Path(str(params["model"]))
        self.public = read_commitment(self.folder / COMMITMENT_FILE)
        self.seed, self.target, self.field = seed, target, self.public.scheme.field.name
        raw = load_inputs(str(params["input"]), self.public.dims[0])
        self.inputs = self.public.input_format.quantise(raw, "input").astype(np.int16)
        self.values = len(self.inputs)
        self.params = {
            "model": self.public.digest,
            "dims": list(self.public.dims),
            "shift": self.public.shift,
            "batch": self.values,
            "scheme": self.public.scheme.to_json()["scheme"],
        }

    def setup(self) -> None:
        self.where = find_target(self.target)
        self.committed = load_committed(self.folder, self.where)
        self.where.synchronise()
        self.where.reset_memory_peak()

    def prove(self, timer: PhaseTimer) -> bytes:
        proof, statement = prove_inference(self.committed, self.inputs, self.where, timer)
        labels = canonical_json(statement.labels.tolist())
        return len(labels).to_bytes(_LENGTH_BYTES, "little") + labels + proof

    def _split(self, returned: bytes) -> tuple[bytes, bytes]:
        """(labels, proof)."""
        start = _LENGTH_BYTES + int.from_bytes(returned[:_LENGTH_BYTES], "little")
        return returned[_LENGTH_BYTES:start], returned[start:]

    def proof_bytes(self, returned: bytes) -> int:
        """Size of the proof itself."""
        return len(self._split(returned)[1])

    def verify(self, returned: bytes) -> None:
        labels, proof = self._split(returned)
        try:
            found = np.array(json.loads(labels), dtype=np.int64)
        except (ValueError, TypeError, OverflowError) as error:
            raise ProofRejected("the labels are malformed") from error
        if found.shape != (self.values,) or found.min() < 0:
            raise ProofRejected("the labels do not fit the batch")
        verify_inference(proof, Statement(self.public.digest, self.inputs, found), self.public)

    def soundness_bits(self) -> float:
        return total_bits(self.public.protocol(self.values).soundness_terms())

    def synchronise(self) -> None:
        self.where.synchronise()

    def device_memory_peak(self) -> int | None:
        return self.where.memory_peak()
