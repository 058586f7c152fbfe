"""Proofs of work inside a transcript: they make every try of a cheating prover 2^bits as dear."""

from __future__ import annotations

import math

from blake3 import blake3

from zkbench.kernels.blake3 import find_nonce, is_good_nonce
from zkbench.kernels.launch import Target
from zkbench.proof import ProofRejected
from zkbench.transcript import ProverTranscript, VerifierTranscript


def prove_work(transcript: ProverTranscript, target: Target, bits: int) -> None:
    """Send a nonce for which a hash that depends on everything so far has ``bits`` zero bits."""
    nonce = find_nonce(target, transcript.grinding_seed("grinding"), bits)
    transcript.send_bytes("nonce", nonce.to_bytes(8, "little"))


def verify_work(transcript: VerifierTranscript, bits: int) -> None:
    """Raise ProofRejected unless the work was done."""
    seed = transcript.grinding_seed("grinding")
    nonce = transcript.receive_bytes("nonce", 8)
    if not is_good_nonce(blake3(seed + nonce).digest(), bits):
        raise ProofRejected("the proof of work is missing")


def missing_bits(wanted: float, there: float) -> int:
    """Bits of work that raise a term to the bits wanted."""
    return max(0, math.ceil(wanted - there))
