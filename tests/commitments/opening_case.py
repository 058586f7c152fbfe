"""A commitment and its opening from end to end, as both sides run them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from brute_force import random_functional, true_claim

from zkbench.commitments.claims import Claim
from zkbench.commitments.ligero import Ligero
from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels.launch import cpu_target
from zkbench.proof import Proof
from zkbench.transcript import ProverTranscript, VerifierTranscript

# Small enough for thousands of runs. Every test is deterministic: the transcript is.
SMALL = Ligero(FIELD, queries=24, grinding_bits=4)


@dataclass
class Case:
    """Tensors of one or more commitments, with the claims made on each."""

    tensors: list[dict[str, np.ndarray]]
    claims: list[list[Claim]]
    scheme: Ligero = SMALL

    @classmethod
    def random(
        cls, seed: int, shapes: Sequence[dict[str, tuple[int, ...]]], **options: Any
    ) -> Case:
        """Random entries and true random claims, two a tensor."""
        rng = np.random.default_rng(seed)
        dtype = (np.int16, np.int64, np.int16)[seed % 3]
        bound = 2**15 if dtype == np.int16 else 2**62
        tensors = [
            {name: rng.integers(-bound, bound, shape).astype(dtype) for name, shape in one.items()}
            for one in shapes
        ]
        claims = [
            [
                true_claim(name, tensor, random_functional(rng, tensor.shape))
                for name, tensor in one.items()
                for _ in range(2)
            ]
            for one in tensors
        ]
        return cls(tensors, claims, **options)

    def commit(self) -> list[Any]:
        return [self.scheme.commit(cpu_target(), one) for one in self.tensors]

    def prove(self, data: list[Any] | None = None, prover: Ligero | None = None) -> Proof:
        """The proof; by another prover, or with other prover data, if asked."""
        data = data or self.commit()
        transcript = ProverTranscript(FIELD)
        for one in data:
            transcript.send_bytes("root", one.commitment.root)
        openings = list(zip(data, self.claims, strict=True))
        (prover or self.scheme).prove(transcript, cpu_target(), openings)
        return Proof.from_bytes(transcript.finish())

    def verify(self, proof: Proof, shapes: Any = None, scheme: Ligero | None = None) -> None:
        """As a verifier: from the proof, the shapes and the claims alone."""
        scheme = scheme or self.scheme
        transcript = VerifierTranscript(FIELD, proof)
        shapes = shapes or [{k: v.shape for k, v in one.items()} for one in self.tensors]
        roots = [transcript.receive_bytes("root", 32) for _ in shapes]
        commitments = [scheme.commitment(*pair) for pair in zip(roots, shapes, strict=True)]
        scheme.verify(transcript, list(zip(commitments, self.claims, strict=True)))
        transcript.finish()
