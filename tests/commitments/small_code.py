"""Reed-Solomon codes small enough to decode every word: what the proximity arguments say, tried out.

Words are rows of integers modulo a prime, one column a point of the domain; the points of the
domain are the powers of a root of unity, in natural order.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Words = np.ndarray


@dataclass(frozen=True)
class SmallCode:
    """``length`` evaluations of polynomials with ``size`` coefficients modulo ``prime``."""

    prime: int
    length: int
    size: int

    @cached_property
    def points(self) -> list[int]:
        generator = next(
            g
            for g in range(2, self.prime)
            if len({pow(g, i, self.prime) for i in range(self.prime - 1)}) == self.prime - 1
        )
        root = pow(generator, (self.prime - 1) // self.length, self.prime)
        return [pow(root, i, self.prime) for i in range(self.length)]

    def encode(self, coefficients: Words) -> Words:
        """Codewords of coefficients, ... x size."""
        powers = [[pow(x, b, self.prime) for x in self.points] for b in range(self.size)]
        return coefficients @ np.array(powers) % self.prime

    def near(self, words: Words) -> np.ndarray:
        """Whether a codeword lies within (length - size) / 2 places of each word."""
        return self._near_syndromes[self._syndromes(words)]

    def _syndromes(self, words: Words) -> np.ndarray:
        """High coefficients of the interpolating polynomial, as one number."""
        p, checks = self.prime, range(self.size, self.length)
        rows = [[pow(x, -b, p) for b in checks] for x in self.points]
        place = [p**i for i in range(len(checks))]
        return (words @ np.array(rows) % p) @ np.array(place)

    @cached_property
    def _near_syndromes(self) -> np.ndarray:
        near = np.zeros(self.prime ** (self.length - self.size), dtype=bool)
        most = (self.length - self.size) // 2
        values = np.array(list(itertools.product(range(self.prime), repeat=most)))
        for places in itertools.combinations(range(self.length), most):
            errors = np.zeros((len(values), self.length), dtype=np.int64)
            errors[:, places] = values
            near[self._syndromes(errors)] = True
        return near
