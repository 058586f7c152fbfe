"""Every protocol alone, made whole: commitments are replaced by the tensors themselves.

A case sends its tensors in the clear, draws the points of its claims from the transcript, runs the
protocol, and its verifier compares the claims that are left over with the definition on the tensors
it received. So a proof of a case is accepted if and only if both pass, and a malicious prover may
send whatever tensors it likes. Claims that callers take from elsewhere (the product of a matrix
product, say) are computed from the received tensors plus ``lie``, which is not 0 in a false one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, ClassVar

import numpy as np
import pytest
from definitions import Element, axis_weights, mle, split, total

from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels.launch import Target, cpu_target
from zkbench.proof import Proof, ProofRejected
from zkbench.protocols.tlookup import Value
from zkbench.transcript import ProverTranscript, VerifierTranscript

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """``prove`` and ``verify`` return the claims that the protocol leaves over."""

    name: ClassVar[str]
    lie: int = 0

    def prove(self, transcript: ProverTranscript, target: Target) -> Any:
        raise NotImplementedError

    def verify(self, transcript: VerifierTranscript) -> Any:
        """Raises ProofRejected if the protocol rejects or a claim is false."""
        raise NotImplementedError

    def false_statements(self) -> list[Case]:
        """Statements that are false of the same tensors; no proof may convince of them."""
        return [replace(self, lie=1)]


def prove(case: Case, target: Target) -> tuple[bytes, Any]:
    """The proof file and the prover's claims."""
    transcript = ProverTranscript(FIELD, {"case": case.name})
    claims = case.prove(transcript, target)
    return transcript.finish(), claims


def verify(case: Case, data: bytes) -> Any:
    """The verifier's claims; raises ProofRejected."""
    transcript = VerifierTranscript(FIELD, Proof.from_bytes(data))
    claims = case.verify(transcript)
    transcript.finish()
    return claims


def reason_of_rejection(prover: Case, verifier: Case | None = None) -> str:
    """Why the honest verifier rejects what the prover sends."""
    data, _ = prove(prover, cpu_target())
    with pytest.raises(ProofRejected) as rejection:
        verify(verifier or prover, data)
    return str(rejection.value)


def changed(values: tuple[Any, ...], index: int, by: Any = 1) -> tuple[Any, ...]:
    """One entry is another one."""
    return (*values[:index], values[index] + by, *values[index + 1 :])


def send_integers(transcript: ProverTranscript, label: str, values: Sequence[int]) -> None:
    """Send a tensor over the base field."""
    words = [int(v) % FIELD.modulus for v in values]
    transcript.send_words(label, np.array(words, dtype=np.uint64))


def receive_integers(transcript: VerifierTranscript, label: str, count: int) -> list[Element]:
    return [FIELD.element(w) for w in transcript.receive_words(label, count).tolist()]


def draw_points(transcript: Any, shape: Shape) -> tuple[Any, ...]:
    """A random point for every axis."""
    variables = sum((n - 1).bit_length() for n in shape)
    return tuple(split(transcript.challenges("point", variables), shape))


def require_claim(claim: Value, tensor: Sequence[Element], shape: Shape, name: str) -> None:
    if mle(tensor, shape, claim.point) != claim.value:
        raise ProofRejected(f"the claim on {name} is false")


def weighted(tensor: Sequence[Element], shape: Shape, points: Sequence[Any]) -> Element:
    """Sum over entries of eq at the points; an axis whose point is None is summed plainly."""
    weights = axis_weights(shape, points)
    return total([w * v for w, v in zip(weights, tensor, strict=True)]) + FIELD.element(0)


def entrywise_product(tables: Sequence[Sequence[Element]]) -> list[Element]:
    return [prod(row, start=FIELD.element(1)) for row in zip(*tables, strict=True)]


def pack_all(target: Target, tables: Sequence[Sequence[Element]]) -> list[Any]:
    return [target.to_device(FIELD.pack(table)) for table in tables]
