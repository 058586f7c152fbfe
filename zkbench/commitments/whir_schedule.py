"""The rounds of WHIR for a vector of 2^k elements of E: rates, queries, work, and what they prove.

Round j commits the vector of 2^n_j elements as 2^log_fold columns at rate 2^-r_j and folds it to
2^n_{j+1}, n_{j+1} = n_j - log_fold. The code's length falls by four a round, r_{j+1} = r_j +
log_fold - 2, which keeps the error of folding small while queries grow cheap (P 3.3, 3.6). The
rounds end where the rest is cheaper to send: their number is the one with the shortest proof, down
to none for small vectors.

Queries, folding and samples are such that no error term of theirs is above 2^-security_bits;
formulas: P 3.4 and ``proximity``. Out-of-domain samples: STIR (ePrint 2024/390), lemma 4.5. Work
before a folding challenge is asked for only where its error would be larger: for the longest vectors,
and beyond the unique decoding radius.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

from zkbench.commitments.proximity import Radius, johnson
from zkbench.fields import Field
from zkbench.protocols.grinding import missing_bits
from zkbench.security import error_bits


@dataclass(frozen=True)
class Round:
    """One oracle: 2^log_fold interleaved columns of 2^(log_size - log_fold) elements of E.

    ``queries`` are those into this oracle, made when the next one stands.
    """

    log_size: int
    log_fold: int
    radius: Radius
    queries: int
    out_of_domain: int
    folding_work: int

    @property
    def log_rows(self) -> int:
        return self.log_size - self.log_fold

    @property
    def log_length(self) -> int:
        """log2 of the number of leaves."""
        return self.log_rows + self.radius.log_inv_rate


@dataclass(frozen=True)
class Security:
    """What the rounds must reach: bits a term, bits of work before queries, and the radius."""

    field: Field
    bits: int
    grinding_bits: int
    johnson: bool

    def radius(self, log_inv_rate: int) -> Radius:
        """The radius in which an oracle of this rate is used."""
        if not self.johnson:
            return Radius(log_inv_rate)
        return johnson(log_inv_rate, self.bits - self.grinding_bits)

    def round(self, log_size: int, log_fold: int, log_inv_rate: int) -> Round:
        """The cheapest parameters of an oracle that reach the bits."""
        radius = self.radius(log_inv_rate)
        queries = radius.queries(self.bits - self.grinding_bits)
        plain = Round(log_size, log_fold, radius, queries, 0, 0)
        work = missing_bits(self.bits, folding_bits(self.field, plain))
        samples = 0
        while out_of_domain_bits(self.field, radius, log_size, samples) < self.bits:
            samples += 1
        return replace(plain, out_of_domain=samples, folding_work=work)


@dataclass(frozen=True)
class Schedule:
    """All parameters of one run: the code that the vector is a word of, and the rounds."""

    log_size: int
    outer: Radius
    queries: int
    rounds: tuple[Round, ...]

    @property
    def log_length(self) -> int:
        """log2 of the number of rows that the first queries are drawn from."""
        return self.log_size + self.outer.log_inv_rate

    @property
    def log_final(self) -> int:
        """log2 of the number of elements that are sent in clear."""
        return self.rounds[-1].log_rows if self.rounds else self.log_size


def out_of_domain_bits(field: Field, radius: Radius, log_size: int, samples: int) -> float:
    """Two vectors of the list agree at so many random points of E with 2^-bits."""
    if radius.multiplicity is None:  # no two are in the list
        return math.inf
    pairs = radius.list_size * (radius.list_size - 1) / 2
    return samples * (field.bits - log_size) - math.log2(max(1.0, pairs))


def folding_bits(field: Field, entry: Round) -> float:
    """All folding steps of a round, each with its sumcheck round, before any work."""
    a_step = entry.radius.bad_challenges(entry.log_length) + 2 * entry.radius.list_size
    return error_bits(field.bits, entry.log_fold * a_step)


def opening_bytes(queries: int, log_length: int, row_bytes: int) -> int:
    """Estimated bytes of opened rows and their paths, in integers so that every machine agrees."""
    rows = min(queries, 1 << log_length)
    return rows * (row_bytes + 32 * max(0, log_length - rows.bit_length() + 1))


@cache
def schedule(
    security: Security,
    log_size: int,
    log_inv_rate: int,
    log_fold: int,
    num_rounds: int | None = None,
) -> Schedule:
    """The run for a vector of 2^log_size under a code of this rate.

    ``num_rounds``: at most so many; None: as many as make the proof shortest.
    """
    outer = Radius(log_inv_rate)
    queries = outer.queries(security.bits - security.grinding_bits)
    runs = [Schedule(log_size, outer, queries, ())]
    rounds: list[Round] = []
    size, log_rate = log_size, log_inv_rate + 1
    while size >= log_fold and size - log_fold + log_rate <= security.field.two_adicity:
        rounds.append(security.round(size, log_fold, log_rate))
        size, log_rate = size - log_fold, log_rate + max(0, log_fold - 2)
        runs.append(Schedule(log_size, outer, queries, tuple(rounds)))
    if num_rounds is not None:
        return runs[min(num_rounds, len(runs) - 1)]
    return min(runs, key=inner_bytes)


def inner_bytes(run: Schedule) -> int:
    """Estimated bytes of everything but the outer rows."""
    total = 16 << run.log_final
    for entry in run.rounds:
        total += opening_bytes(entry.queries, entry.log_length, 16 << entry.log_fold)
        total += 40 * (1 + entry.log_fold) + 16 * entry.out_of_domain
    return total


def soundness_terms(security: Security, run: Schedule) -> list[tuple[str, float]]:
    """(name, bits) of every way in which a false claim on the combined vector may pass."""
    bits, work = security.field.bits, security.grinding_bits
    terms = [("queries", run.queries * run.outer.bits_a_query + work)]
    asked = run.queries
    for k, entry in enumerate(run.rounds):
        radius, size = entry.radius, entry.log_size
        constraints = (asked + entry.out_of_domain) * radius.list_size
        terms += [
            (f"constraint combination {k}", error_bits(bits, constraints)),
            (f"folding {k}", folding_bits(security.field, entry) + entry.folding_work),
            (f"queries {k}", entry.queries * radius.bits_a_query + work),
        ]
        if entry.out_of_domain:
            samples = out_of_domain_bits(security.field, radius, size, entry.out_of_domain)
            terms.append((f"out-of-domain samples {k}", samples))
        asked = entry.queries
    return terms
