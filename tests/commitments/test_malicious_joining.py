"""Malicious provers of the joining of commitments: honest but for one lie."""

from __future__ import annotations

from typing import Any

from whir_liars import (
    CLAIMS,
    TWO,
    lie,
    proof,
    rejected,
)

from zkbench.commitments import joining
from zkbench.commitments.joining import Joining


def test_a_small_commitment_that_is_not_stretched(monkeypatch):
    """Put into the low part of the vector, where its rows cannot answer for it."""

    def wrap(honest):
        def prove(self, transcript, target, parts):
            class Unstretched:
                """Maps the kernel with no stretch at all."""

                @staticmethod
                def map(kernel, length, column, scale, delay, vector):
                    target.map(kernel, length, column, scale, 0, vector)

                zeros = target.zeros

            honest_statement = self._statement
            object.__setattr__(
                self, "_statement", lambda t, _, parts: honest_statement(t, target, parts)
            )
            return honest(self, transcript, Unstretched, parts)

        return prove

    lie(monkeypatch, Joining, "prove", wrap)
    rejected(CLAIMS, proof(monkeypatch, TWO), TWO)


def test_joined_values_that_keep_the_sumcheck(monkeypatch):
    """Two values changed so that the sumcheck's last value stays."""
    seen: dict[str, Any] = {}

    def wrap_statement(honest):
        def statement(self, transcript, target, parts):
            seen["claims"] = [claim for claim, _ in parts]
            result = honest(self, transcript, target, parts)
            seen["betas"] = [scale for scale, _ in result.terms]
            return result

        return statement

    def wrap_sumcheck(honest):
        def prove(self, transcript, statement):
            point, values = honest(self, transcript, statement)
            if isinstance(statement, joining.WeightedSum):
                factors = []
                for claim, beta in zip(seen["claims"], seen["betas"], strict=True):
                    delay = len(point) - len(claim.point)
                    own = joining.eq.truncated_eq(claim.point, point[delay:], 1 << len(claim.point))
                    for r in point[:delay]:
                        own = own * (1 - r)
                    factors.append(beta * own)
                values[0] = values[0] + 1
                values[2] = values[2] - factors[0] / factors[1]
            return point, values

        return prove

    lie(monkeypatch, Joining, "_statement", wrap_statement)
    lie(monkeypatch, joining.Sumcheck, "prove", wrap_sumcheck)
    rejected(CLAIMS, proof(monkeypatch, TWO), TWO)
