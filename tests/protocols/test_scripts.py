"""What is said before which challenge: an order that a proof's verdict alone does not show.

A prover that knew a challenge before it commits to what the challenge tests could fit the one to
the other; prover and verifier would still agree if both drew too early.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from cases.case import FIELD
from cases.everything import SMALL

from zkbench.kernels.launch import cpu_target
from zkbench.proof import Proof
from zkbench.transcript import ProverTranscript, VerifierTranscript, _Sponge

Event = tuple[str, str]  # M (message) or C (challenge), and its label


class Recorder(_Sponge):
    """Notes the kind and label of all that is absorbed and squeezed."""

    def _note(self, kind: str, label: str) -> None:
        self.__dict__.setdefault("events", []).append((kind, label))

    def _absorb(self, kind: bytes, label: str, data: bytes) -> None:
        self._note(kind.decode(), label)
        super()._absorb(kind, label, data)

    def _squeeze(self, label: str, size: int) -> bytes:
        self._note("C", label)
        return super()._squeeze(label, size)


class RecordedProver(Recorder, ProverTranscript):
    pass


class RecordedVerifier(Recorder, VerifierTranscript):
    pass


@cache
def scripts(name: str) -> tuple[list[Event], list[Event]]:
    """The prover's script and the verifier's."""
    prover: Any = RecordedProver(FIELD, {})
    SMALL[name].prove(prover, cpu_target())
    verifier: Any = RecordedVerifier(FIELD, Proof.from_bytes(prover.finish()))
    SMALL[name].verify(verifier)
    return prover.events, verifier.events


def positions(script: list[Event], event: Event) -> list[int]:
    found = [i for i, other in enumerate(script) if other == event]
    assert found, f"{event} is not in the script"
    return found


@pytest.mark.parametrize("name", SMALL)
def test_both_sides_follow_one_script(name: str) -> None:
    prover, verifier = scripts(name)
    assert prover == verifier


@pytest.mark.parametrize("name", SMALL)
def test_every_round_polynomial_is_sent_before_its_challenge(name: str) -> None:
    script, _ = scripts(name)
    for i in positions(script, ("M", "round")):
        assert script[i + 1] == ("C", "round")


@pytest.mark.parametrize("name", ["gkr", "tlookup", "logup_star", "rescale", "argmax"])
def test_children_are_sent_before_they_are_joined(name: str) -> None:
    """And the roots before the first layer's challenges."""
    script, _ = scripts(name)
    for i in positions(script, ("M", "children")):
        assert script[i + 1] == ("C", "mu")
    assert positions(script, ("M", "top"))[-1] < positions(script, ("C", "mu"))[0]


def test_the_pushed_vector_is_committed_before_it_is_tested() -> None:
    """After gamma, on which it depends; before c, which tests it."""
    script, _ = scripts("logup_star")
    (gamma,), (c,) = positions(script, ("C", "gamma")), positions(script, ("C", "c"))
    (pushed,) = positions(script, ("M", "pushed"))
    assert gamma < pushed < c < positions(script, ("M", "top"))[0]


@pytest.mark.parametrize("name", ["tlookup", "rescale", "argmax"])
def test_the_lookup_challenge_comes_before_the_tree(name: str) -> None:
    script, _ = scripts(name)
    (alpha,) = positions(script, ("C", "alpha"))
    assert alpha < positions(script, ("M", "top"))[0]


def test_a_norm_is_tested_at_a_point_drawn_after_its_lookups() -> None:
    """The rows' values there are sent before gamma, which joins two equations on them."""
    script, _ = scripts("rmsnorm")
    (alpha,), (rho,) = positions(script, ("C", "alpha")), positions(script, ("C", "rho"))
    (norms,), (gamma,) = positions(script, ("M", "norms")), positions(script, ("C", "gamma"))
    assert max(positions(script, ("M", "limbs"))) < alpha < rho < norms < gamma


def test_bits_are_tested_at_a_point_drawn_after_they_were_sent() -> None:
    """Values of the planes are sent before delta, which joins claims on them."""
    script, _ = scripts("zkrelu_bits")
    sent, drawn = positions(script, ("M", "bits")), positions(script, ("C", "bits"))
    assert len(sent) == 2  # the tensor, and its value at the point
    assert sent[0] < drawn[0] < sent[1] < positions(script, ("M", "round"))[0]
    (planes,), deltas = positions(script, ("M", "planes")), positions(script, ("C", "delta"))
    (gamma,), (factors,) = positions(script, ("C", "gamma")), positions(script, ("M", "factors"))
    assert planes < deltas[0] < gamma < factors < deltas[1]
    assert max(positions(script, ("C", "vector"))) < gamma
