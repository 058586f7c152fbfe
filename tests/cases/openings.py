"""Openings that run every kernel of the commitments."""

from __future__ import annotations

import numpy as np

from zkbench.commitments.claims import AxisWeights, Claim, EqAxis, OnesAxis, Sparse, VectorAxis
from zkbench.commitments.whir import Whir
from zkbench.fields import GOLDILOCKS
from zkbench.kernels.launch import Target
from zkbench.transcript import ProverTranscript

E = GOLDILOCKS.element
# Rounds with every kind of message; columns long and short enough for every pass of a transform.
SCHEMES = [
    Whir(security_bits=20, grinding_bits=2, johnson=True, log_fold=2, num_rounds=2, log_rows=k)
    for k in (7, 9, 4)
]


def prove_openings(target: Target) -> bytes:
    """With codewords that are kept, and with as little workspace as there can be."""
    kept = _prove_openings(target)
    before, target.workspace_bytes = target.workspace_bytes, 1
    assert _prove_openings(target) == kept
    target.workspace_bytes = before
    return kept


def _prove_openings(target: Target) -> bytes:
    """Integers and words in three commitments, one of rows longer than a chunk of BLAKE3.

    The claims are false: a prover does not mind.
    """
    rng = np.random.default_rng(1)
    small = rng.integers(-99, 99, (150, 130)).astype(np.int16)
    axes = AxisWeights((VectorAxis((E(2),) * 150), EqAxis((E(3),) * 8)))
    words = rng.integers(0, 2**63, 1200).astype(np.uint64)
    summed, sparse = AxisWeights((OnesAxis(),)), Sparse((3, 5), (E(1), E(2)))
    tensors = [{"a": small}, {"b": words}, {"c": small[0], "d": words}]
    claims = [
        [Claim("a", axes, E(0)), Claim("a", sparse, E(1))],
        [Claim("b", summed, E(2))],
        [Claim("c", summed, E(0)), Claim("d", sparse, E(0))],
    ]
    transcript = ProverTranscript(GOLDILOCKS)
    for scheme in SCHEMES:
        data = [scheme.commit(target, one) for one in tensors]
        for one in data:
            transcript.send_bytes("root", one.commitment.root)
        scheme.prove(transcript, target, list(zip(data, claims, strict=True)))
    for log_rows in (1, 2, 4, 5, 6):  # transforms of every kind of last pass
        data = [Whir(log_rows=log_rows).commit(target, one) for one in tensors]
        transcript.send_bytes("root", data[0].commitment.root)
    return transcript.finish()
