"""WHIR on one vector against its definition in Python integers, message by message."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import whir_reference as reference
from brute_force import E, eq_at, random_elements

from zkbench.commitments.proximity import Radius
from zkbench.commitments.whir_rounds import WhirRounds
from zkbench.commitments.whir_schedule import Round, Schedule
from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels.launch import CpuTarget, cpu_target
from zkbench.proof import Proof, ProofRejected
from zkbench.transcript import ProverTranscript, VerifierTranscript

BITS = 3


class Codeword:
    """A source whose rows are the vector's own codeword, sent in clear."""

    def __init__(self, vector: list[Any], log_inv_rate: int) -> None:
        self.values = [row[0] for row in reference.Oracle(vector, 0, log_inv_rate).rows]

    def open(self, transcript: Any, indices: list[int]) -> None:
        transcript.send("source", [self.values[i] for i in indices])

    def receive(self, transcript: Any, indices: list[int]) -> list[Any]:
        got = transcript.receive("source", len(indices))
        if got != [self.values[i] for i in indices]:
            raise ProofRejected("another source")
        return got


def _schedule(
    log_size: int, folds: list[int], samples: int, work: int, queries: int = 5
) -> Schedule:
    rounds, size, rate = [], log_size, 2
    for log_fold in folds:
        rounds.append(Round(size, log_fold, Radius(rate), queries, samples, work))
        size, rate = size - log_fold, rate + 1
    return Schedule(log_size, Radius(1), queries, tuple(rounds))


CASES = [
    *[(0, []), (3, []), (1, [1]), (2, [1, 1]), (3, [3]), (4, [2]), (5, [2, 2]), (6, [3, 1, 2])],
    *[(6, [4]), (7, [1, 2, 3])],
]


def _vector(log_size: int) -> tuple[list[Any], list[Any], Any]:
    """(L, z, <L, eq(z)>)."""
    rng = np.random.default_rng(log_size)
    vector, point = list(random_elements(rng, 1 << log_size)), list(random_elements(rng, log_size))
    value = sum((c * eq_at(point, b) for b, c in enumerate(vector)), E(0))
    return vector, point, value


def _prove(schedule: Schedule, vector: list, point: list, source: Any, target: Any) -> bytes:
    transcript = ProverTranscript(FIELD)
    rounds = WhirRounds(FIELD, schedule, BITS)
    rounds.prove(transcript, target, target.to_device(FIELD.pack(vector)), point, source)
    return transcript.finish()


def _verify(schedule: Schedule, proof: bytes, point: list, value: Any, source: Any) -> None:
    transcript = VerifierTranscript(FIELD, Proof.from_bytes(proof))
    WhirRounds(FIELD, schedule, BITS).verify(transcript, point, value, source)
    transcript.finish()


@pytest.mark.parametrize(("samples", "work"), [(0, 0), (1, 0), (2, 3)])
@pytest.mark.parametrize(("log_size", "folds"), CASES)
def test_proofs_vs_python_int(log_size, folds, samples, work):
    vector, point, value = _vector(log_size)
    schedule, source = _schedule(log_size, folds, samples, work), Codeword(vector, 1)
    transcript = ProverTranscript(FIELD)
    reference.prove(transcript, schedule, BITS, vector, point, source)
    expected = transcript.finish()
    for target in (cpu_target(), CpuTarget(1), CpuTarget(3)):
        assert _prove(schedule, vector, point, source, target) == expected
    _verify(schedule, expected, point, value, source)


@pytest.mark.parametrize(("log_size", "folds"), CASES)
def test_a_false_value_is_rejected(log_size, folds):
    vector, point, value = _vector(log_size)
    schedule, source = _schedule(log_size, folds, 1, 0), Codeword(vector, 1)
    proof = _prove(schedule, vector, point, source, cpu_target())
    for false in (value + 1, value * 2, E(0)):
        with pytest.raises(ProofRejected, match="final vector contradicts the claims"):
            _verify(schedule, proof, point, false, source)


@pytest.mark.parametrize(("log_size", "folds"), [case for case in CASES if case[0] > 1])
def test_a_vector_other_than_the_source_is_rejected(log_size, folds):
    """All claims on L are true; the rows are of another word."""
    vector, point, value = _vector(log_size)
    schedule = _schedule(log_size, folds, 0, 0, queries=20)
    source = Codeword([vector[0] + 1, *vector[1:]], 1)
    proof = _prove(schedule, vector, point, source, cpu_target())
    with pytest.raises(ProofRejected, match="final vector"):
        _verify(schedule, proof, point, value, source)
