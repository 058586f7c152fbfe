"""What is said before which challenge of an opening: an order that a verdict alone does not show.

Were rho drawn before the column values, or rows before the next oracle, prover and verifier would
agree as before, and a cheating prover could fit one to the other.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from opening_case import Case

from zkbench.commitments.ligero import Ligero
from zkbench.commitments.whir import Whir
from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.proof import Proof
from zkbench.transcript import VerifierTranscript

TENSORS = [{"a": np.arange(90, dtype=np.int16)}, {"b": np.arange(40, dtype=np.int16)}]
# So many bits that there is work wherever there can be.
WHIR = Whir(FIELD, 3, 5, 120, 2, johnson=True, log_rows=5, num_rounds=2)

# A word is a message; in brackets, a challenge.
WORK = ["[grinding]", "nonce"]
ROUND = ["round", "[round]"]
COLUMNS = [
    *["[claim combination]", *ROUND * 7, "column values", *WORK, "[column combination]"],
    *["[claim combination]", *ROUND * 6, "column values", *WORK, "[column combination]"],
]
JOINING = ["[claim joining]", *ROUND * 5, "joined values", *WORK, "[commitment combination]"]
ORACLE = ["oracle", "[out of domain]", "out-of-domain values"]
ROWS = ["rows", "paths"]
FOLDING = ["[constraint combination]", *["round", *WORK, "[round]"] * 2]
QUERIES = [*WORK, "[queries]"]


class Recorder(VerifierTranscript):
    """Notes all that is absorbed and squeezed, after the header."""

    def _absorb(self, kind, label, data):
        script = self.__dict__.setdefault("script", [])
        if kind == b"M":
            script.append(label)
        super()._absorb(kind, label, data)

    def _squeeze(self, label, size):
        self.script.append(f"[{label}]")
        return super()._squeeze(label, size)


def _script(scheme, count: int = 2) -> list[str]:
    case = Case(TENSORS[:count], [[]] * count, scheme)
    transcript = Recorder(FIELD, Proof.from_bytes(case.prove().to_bytes()))
    openings = []
    for one in case.tensors:
        shapes = {name: tensor.shape for name, tensor in one.items()}
        openings.append((scheme.commitment(transcript.receive_bytes("root", 32), shapes), []))
    transcript.script.clear()
    scheme.verify(transcript, openings)
    transcript.finish()
    return transcript.script


def test_whir():
    assert _script(WHIR) == [
        *[*COLUMNS, *JOINING],
        *[*ORACLE, *QUERIES, *ROWS * 2, *FOLDING],
        *[*ORACLE, *QUERIES, *ROWS, *FOLDING],
        *["final vector", *QUERIES, *ROWS],
    ]


def test_whir_in_clear():
    expected = [*COLUMNS, *JOINING, "final vector", *QUERIES, *ROWS * 2]
    assert _script(replace(WHIR, num_rounds=0)) == expected


def test_whir_of_one_commitment_in_the_unique_decoding_radius():
    """Nothing to join, no samples; few bits ask for no work but before queries."""
    scheme = replace(WHIR, johnson=False, security_bits=50, num_rounds=1)
    assert _script(scheme, 1) == [
        *["[claim combination]", *ROUND * 7, "column values", "[column combination]"],
        *["oracle", *QUERIES, *ROWS, "[constraint combination]", *ROUND * 2],
        *["final vector", *QUERIES, *ROWS],
    ]


@pytest.mark.parametrize("count", [1, 2])
def test_ligero(count):
    columns = [
        *["[claim combination]", *ROUND * 7, "column values", "[column combination]"],
        "combined column",
        *["[claim combination]", *ROUND * 6, "column values", "[column combination]"],
        "combined column",
    ]
    columns = columns[: columns.index("combined column") + 1] if count == 1 else columns
    scheme = Ligero(queries=9, grinding_bits=5, log_rows=4)
    assert _script(scheme, count) == [*columns, *WORK, *["[queries]", *ROWS] * count]
