"""What verifiers draw, counted: to be compared with what their soundness terms say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zkbench.fields import Field
from zkbench.transcript import VerifierTranscript


class CountingTranscript(VerifierTranscript):
    """``errors``: numerator over |E| of what the challenges of sumchecks and points may err by."""

    errors = 0
    received = 0

    def receive(self, label: str, count: int) -> list[Any]:
        self.received = count
        return super().receive(label, count)

    def challenges(self, label: str, count: int) -> list[Any]:
        """A round's polynomial has as many coefficients as were sent, and one that was not."""
        self.errors += self.received + 1 if label == "round" else count
        return super().challenges(label, count)


class Counted:
    """An operator that notes what its verification drew, beside what its terms say."""

    def __init__(self, operator: Any, noted: list[tuple[Any, int]]) -> None:
        self.operator, self.noted = operator, noted
        self.range_checks = operator.range_checks

    def verify(self, run: Any) -> None:
        before = run.transcript.errors
        self.operator.verify(run)
        self.noted.append((self.operator, run.transcript.errors - before))


def require_terms(field: Field, noted: Sequence[tuple[Any, int]]) -> None:
    """That the terms of every operator cover what was noted of it, and hardly more."""
    for operator, drawn in noted:
        terms = operator.soundness_terms(field)
        stated = sum(2 ** (field.bits - term.bits) for term in terms)
        assert drawn - 1e-6 <= stated <= drawn + len(terms) + 1e-6, operator
