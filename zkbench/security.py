"""Proven soundness: what each part of a proof may err by, and the sum."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

MINIMUM_BITS = 100.0


@dataclass(frozen=True)
class Term:
    """A false statement passes this part with probability at most 2^-bits."""

    name: str
    bits: float


def total_bits(terms: Iterable[Term]) -> float:
    """-log2 of the sum of all errors (union bound)."""
    return -math.log2(sum(2.0**-term.bits for term in terms))


def error_bits(field_bits: float, numerator: float) -> float:
    """Bits of an error of numerator / |E|."""
    return field_bits - math.log2(max(1.0, numerator))
