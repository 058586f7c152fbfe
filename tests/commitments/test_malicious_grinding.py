"""Provers who skip one proof of work, everything else honest: every place is checked by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from blake3 import blake3
from opening_case import Case
from whir_liars import rejected

from zkbench.commitments.ligero import Ligero
from zkbench.commitments.whir import Whir
from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels.blake3 import is_good_nonce
from zkbench.kernels.launch import cpu_target
from zkbench.proof import Proof, ProofRejected
from zkbench.protocols import grinding
from zkbench.transcript import ProverTranscript, VerifierTranscript

# 120 bits a term are more than any combination or fold has without work.
WHIR = Whir(
    *(FIELD, 3, 5, 120, 2, True),
    log_rows=5,
    num_rounds=2,
)
TENSORS = [{"a": np.arange(90, dtype=np.int16)}, {"b": np.arange(40, dtype=np.int16)}]
CASES = {
    "whir": Case(TENSORS, [[], []], WHIR),
    "whir in clear": Case(TENSORS, [[], []], replace(WHIR, num_rounds=0)),
    "ligero": Case(TENSORS, [[], []], Ligero(queries=9, grinding_bits=5, log_rows=4)),
}
FIND = "zkbench.protocols.grinding.find_nonce"


def _places(proof: Proof) -> list[str]:
    """What stands before each nonce."""
    labels = [message.label for message in proof.messages]
    return [labels[i - 1] for i, label in enumerate(labels) if label == "nonce"]


def _nonce(seed: bytes, is_wanted: Callable[[bytes], bool]) -> int:
    """The first nonce whose digest is wanted."""
    nonce = 0
    while not is_wanted(blake3(seed + nonce.to_bytes(8, "little")).digest()):
        nonce += 1
    return nonce


HONEST = {name: case.prove() for name, case in CASES.items()}


def test_there_is_work_at_every_place():
    columns, joined, queries = ["column values"] * 2, ["joined values"], ["final vector"]
    one_round = ["out-of-domain values", "round", "round"]
    assert _places(HONEST["whir"]) == columns + joined + 2 * one_round + queries
    assert _places(HONEST["whir in clear"]) == columns + joined + queries
    assert _places(HONEST["ligero"]) == ["combined column"]
    for name, case in CASES.items():
        case.verify(HONEST[name])


@pytest.mark.parametrize(
    ("name", "place"), [(name, k) for name in CASES for k in range(len(_places(HONEST[name])))]
)
def test_one_skipped_proof_of_work(monkeypatch, name, place):
    """The prover goes on with the transcript that a nonce with one zero bit too few gives."""
    honest, asked = grinding.find_nonce, []

    def find_nonce(target, seed, bits):
        asked.append(bits)
        if len(asked) != place + 1:
            return honest(target, seed, bits)
        return _nonce(seed, lambda d: is_good_nonce(d, bits - 1) and not is_good_nonce(d, bits))

    monkeypatch.setattr(FIND, find_nonce)
    proof = CASES[name].prove()
    monkeypatch.undo()
    assert min(asked) > 0
    rejected("proof of work is missing", proof, CASES[name])


@pytest.mark.parametrize("bits", [0, 1, 7, 11])
def test_work_is_as_much_as_asked_for(bits):
    """The nonce found is good for the bits; one that is good for a bit less is not."""
    transcript = ProverTranscript(FIELD)
    grinding.prove_work(transcript, cpu_target(), bits)
    good = Proof.from_bytes(transcript.finish())
    grinding.verify_work(VerifierTranscript(FIELD, good), bits)
    seed = ProverTranscript(FIELD).grinding_seed("grinding")
    for fewer in range(bits):
        nonce = _nonce(
            seed, lambda d, few=fewer: int.from_bytes(d[:8], "little") >> (63 - few) == 1
        )
        lazy = ProverTranscript(FIELD)
        lazy.send_bytes("nonce", nonce.to_bytes(8, "little"))
        with pytest.raises(ProofRejected, match="proof of work"):
            grinding.verify_work(VerifierTranscript(FIELD, Proof.from_bytes(lazy.finish())), bits)
