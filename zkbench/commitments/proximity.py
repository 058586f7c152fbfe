"""What a Reed-Solomon code promises about words near it: the numbers behind every soundness term.

Either the unique decoding radius, or Johnson's less a margin that the multiplicity m sets:
eta = sqrt(rate) / (2 m). Nothing here is conjectured (P 3.4, 3.5).

Folding combines u_0 + r u_1, words of a code or of an interleaved code. If more challenges r than
``bad_challenges`` give a word inside the radius, then u_0 and u_1 agree with codewords wherever the
combination does. For interleaved words of E this is the statement for single words over a field K
above E: symbols are vectors over E, thus elements of K, and the points stay in E. The number of bad
challenges does not grow with K, so the length that counts is the code's, not the folded vector's.
Coefficients eq(r_1 ... r_s, c) fold 2^s words in s such steps, pair by pair: s times as many bad
challenges, whatever the number of words; words that are not there are zero words.

Queries are drawn with repetitions, and those that differ are opened: that all rows drawn look right
and that all opened ones do is the same event. Words at a distance of exactly the radius count as
near; a far one, or a second codeword beside a near one, differs in more than radius * length places.

Sources: Ben-Sasson, Carmon, Ishai, Kopparty, Saraf (JACM 2023) and Diamond and Gruen (ePrint
2024/1351) for unique decoding; BCHKS (ePrint 2025/2055, theorem 1.5) and Bordage et al. (ePrint
2025/2051) up to Johnson's radius.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_MOST_MULTIPLICITY = 10
_LEAST_MULTIPLICITY = 3


@dataclass(frozen=True)
class Radius:
    """A code's rate 2^-log_inv_rate, and m; None for the unique decoding radius."""

    log_inv_rate: int
    multiplicity: int | None = None

    @property
    def _root_rate(self) -> float:
        return 2.0 ** (-self.log_inv_rate / 2)

    @property
    def bits_a_query(self) -> float:
        """-log2 of the chance 1 - radius that one position of a word outside it looks right."""
        if self.multiplicity is None:
            return 1 - math.log2(1 + 2.0**-self.log_inv_rate)
        return self.log_inv_rate / 2 - math.log2(1 + 1 / (2 * self.multiplicity))

    @property
    def list_size(self) -> float:
        """Codewords inside the radius around any word: at most so many."""
        if self.multiplicity is None:
            return 1.0
        return (self.multiplicity + 0.5) / self._root_rate

    def bad_challenges(self, log_length: int) -> float:
        """Challenges of one folding step that may bring a far word of this length near."""
        if self.multiplicity is None:
            return 2.0**log_length
        shifted, rate = self.multiplicity + 0.5, self._root_rate**2
        radius = 1 - 2.0**-self.bits_a_query
        power = 2 * shifted**5 + 3 * shifted * radius * rate
        return power / (3 * rate * self._root_rate) * 2.0**log_length + self.list_size

    def queries(self, bits: float) -> int:
        """Positions to ask for so that a word outside the radius passes with 2^-bits."""
        return max(1, math.ceil(bits / self.bits_a_query))


def johnson(log_inv_rate: int, bits: float) -> Radius:
    """Johnson's radius with the smallest m that needs as few queries as m = 10 does.

    A smaller m means a smaller radius, which folding leaves with a smaller error.
    """
    fewest = Radius(log_inv_rate, _MOST_MULTIPLICITY).queries(bits)
    radii = (Radius(log_inv_rate, m) for m in range(_LEAST_MULTIPLICITY, _MOST_MULTIPLICITY + 1))
    return next(radius for radius in radii if radius.queries(bits) == fewest)
