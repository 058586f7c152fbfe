"""What malicious WHIR provers share: the cases, and ways to lie."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from opening_case import Case

from zkbench.commitments.whir import Whir
from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.proof import Proof, ProofRejected

SCHEME = Whir(grinding_bits=2, security_bits=20, log_fold=2, num_rounds=2, log_rows=6)
JOHNSON = replace(SCHEME, johnson=True)
ONE = Case.random(4, [{"a": (16, 18), "b": (9,)}], scheme=SCHEME)
TWO = Case.random(4, [{"a": (16, 18), "b": (9,)}, {"c": (13,)}], scheme=SCHEME)
IN_CLEAR = replace(ONE, scheme=replace(SCHEME, num_rounds=0))
ALL = [ONE, TWO, IN_CLEAR, replace(ONE, scheme=JOHNSON), replace(TWO, scheme=JOHNSON)]
CLAIMS = "final vector contradicts the claims"
ROW = "row contradicts the final vector"


def rejected(match: str | None, proof: Proof, case: Case) -> None:
    with pytest.raises(ProofRejected, match=match):
        case.verify(proof)


def lie(monkeypatch, owner: Any, name: str, wrap: Any) -> None:
    """Replace owner.name by wrap(the honest one) until ``undo``."""
    monkeypatch.setattr(owner, name, wrap(getattr(owner, name)))


def proof(monkeypatch, case: Case, data: Any = None) -> Proof:
    """The liar's proof; afterwards everybody is honest again."""
    proof = case.prove(data)
    monkeypatch.undo()
    return proof


def raised(words: np.ndarray) -> np.ndarray:
    """The first word plus one."""
    first = (int(words[0]) + 1) % FIELD.modulus
    return np.concatenate([np.array([first], dtype=np.uint64), words[1:]])


def bumped(words: np.ndarray, element: int = 0, by: Any = 1) -> np.ndarray:
    """One element of E plus something."""
    elements = FIELD.unpack(words.copy())
    elements[element] = elements[element] + by
    return FIELD.pack(elements)


def lying_words(monkeypatch, label: str, change: Any) -> None:
    """Change the words of every message of this label, before they are sent."""
    from zkbench.transcript import ProverTranscript

    def wrap(honest):
        def send_bytes(self, name, payload):
            if name == label:
                words = np.frombuffer(payload, dtype="<u8").astype(np.uint64)
                payload = change(words).astype("<u8").tobytes()
            honest(self, name, payload)

        return send_bytes

    lie(monkeypatch, ProverTranscript, "send_bytes", wrap)
