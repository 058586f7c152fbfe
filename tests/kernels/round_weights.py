"""The eq factor of a round, as kernels take it, with random tables instead of eq's."""

from __future__ import annotations

from random import Random
from typing import Any

from definitions import random_elements
from targets import Machine

from zkbench.fields import GOLDILOCKS as FIELD

SUM_SHIFT = 62  # of an axis that is summed plainly: one weight a row


class RoundWeights:
    """weight(row, j) = outer[row, j >> shift] * suffix[base + j mod base], all of them random."""

    def __init__(self, rng: Random, rows: int, num_pairs: int, shift: int) -> None:
        self.shift, self.base = shift, 1 if shift == SUM_SHIFT else 1 << shift
        self.num_high = ((num_pairs - 1) >> shift) + 1
        self.outer = random_elements(FIELD, rng, rows * self.num_high)
        self.suffix = random_elements(FIELD, rng, 2 * self.base)

    def at(self, row: int, j: int) -> Any:
        high = self.outer[row * self.num_high + (j >> self.shift)]
        return high * self.suffix[self.base + j % self.base]

    def arguments(self, machine: Machine) -> tuple[Any, ...]:
        outer, suffix = machine.put(self.outer), machine.put(self.suffix)
        return outer, self.num_high, suffix, self.base, self.shift
