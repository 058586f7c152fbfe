"""Claims on an entrywise product become one claim on each factor.

Claims: for a = 0, 1, ..., sum over entries of w_a[entry] prod_k F_k[entry] = e_a, the weights w_a
products over the axes. With gamma to join them and W = sum of gamma^a w_a, a sumcheck of the product of
W, the first factor and the product of the others leaves W's value, which the verifier knows, and claims
at one point on the two; entrywise products (hadamard.py) split the last one further. With one factor
the sumcheck has two tables; with two, three, and nothing is left to split.

The caller must check the claims on the factors. Rounds: log2 of the number of entries, for every two
factors or fewer. Soundness error: claims / |E| for gamma, at most 4 / |E| a round. Prover: a table of
16 bytes an entry for W and for every factor, and about 10 multiplications in E an entry and factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod
from typing import Any

from zkbench.commitments.claims import Value
from zkbench.fields import Field
from zkbench.kernels.attention import multiply
from zkbench.kernels.contract import kernels as contract_kernels
from zkbench.kernels.launch import Array, Target
from zkbench.protocols.causal_tiles import Weighted
from zkbench.protocols.gkr import Shape, depth
from zkbench.protocols.hadamard import Hadamard
from zkbench.protocols.sumcheck import Axis, ProductStatement, Sumcheck, split_point
from zkbench.security import Term, error_bits
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any
_MOST = 3  # tables of one sumcheck


@dataclass(frozen=True)
class ClaimsOnProducts:
    """Products of ``factors`` tensors of this shape; ``reason``: why a false claim is rejected."""

    field: Field
    shape: Shape
    factors: int
    reason: str = "a product of looked-up values is wrong"

    @property
    def _first(self) -> int:
        """Tables of the first sumcheck: the weights, and at most two."""
        return min(self.factors + 1, _MOST)

    @property
    def _splits(self) -> list[int]:
        """Factors of the entrywise products that follow, each on the last factor of the one before."""
        left, splits = self.factors - self._first + 2, []
        while left > 1:
            splits.append(min(left, _MOST))
            left -= splits[-1] - 1
        return splits

    def _axes(self) -> list[Axis]:
        return [Axis(length) for length in self.shape]

    def prove(
        self,
        transcript: ProverTranscript,
        target: Target,
        tables: Sequence[Array],
        claims: Sequence[Weighted],
    ) -> list[Value]:
        """``tables``: flat E words of each factor, which are kept. Returns one claim a factor."""
        gammas = self._powers(transcript.challenge("gamma"), len(claims))
        weights = self._weights(target, gammas, claims)
        factors = self._group(target, tables, self._first - 1)
        statement = ProductStatement(target, self.field, [weights, *factors], self._axes())
        point, values = Sumcheck(self.field, self._first).prove(transcript, statement)
        transcript.send("factors", values[1:])
        found = self._values(point, values[1:])
        for number in self._splits:
            rest = list(tables[len(found) - 1 :])
            split = Hadamard(self.field, self.shape, number)
            factors = self._group(target, rest, number)
            found = [*found[:-1], *split.prove(transcript, target, factors, found[-1])]
        return found

    def verify(self, transcript: VerifierTranscript, claims: Sequence[Weighted]) -> list[Value]:
        """Returns one claim a factor that the caller must check."""
        gammas = self._powers(transcript.challenge("gamma"), len(claims))
        total = _combined(gammas, [value for _, value in claims])
        sumcheck = Sumcheck(self.field, self._first)
        point, final = sumcheck.verify(transcript, total, self._axes())
        values = transcript.receive("factors", self._first - 1)
        at = split_point(point, self.shape)
        weights = _combined(gammas, [w.extension(at, self.shape) for w, _ in claims])
        product = reduce(lambda a, b: a * b, values)
        transcript.require_zero(final - weights * product, self.reason)
        found = self._values(point, values)
        for number in self._splits:
            split = Hadamard(self.field, self.shape, number)
            found = [*found[:-1], *split.verify(transcript, found[-1])]
        return found

    def soundness_terms(self, num_claims: int) -> list[Term]:
        """Each source of error, with its bits, for so many claims."""
        rounds = Sumcheck(self.field, self._first).soundness_bits(depth(self.shape))
        terms = [
            Term("claims on products", rounds),
            Term("claims on products, combined", error_bits(self.field.bits, num_claims)),
        ]
        for number in self._splits:
            terms += Hadamard(self.field, self.shape, number).soundness_terms()
        return terms

    def _weights(
        self, target: Target, gammas: Sequence[Element], claims: Sequence[Weighted]
    ) -> Array:
        count, kernel = prod(self.shape), contract_kernels(self.field).add_scaled
        total = target.zeros(count * self.field.ext.limbs)
        for gamma, (weights, _) in zip(gammas, claims, strict=True):
            table = weights.table(target, self.field, self.shape)
            target.map(kernel, count, total, table, self.field.scalar(gamma))
        return total

    def _group(self, target: Target, tables: Sequence[Array], number: int) -> list[Array]:
        """``number`` tables: the last one is the product of all that are left."""
        last = reduce(lambda a, b: multiply(target, self.field, a, b), tables[number - 1 :])
        return [*tables[: number - 1], last]

    def _values(self, point: Sequence[Element], values: Sequence[Element]) -> list[Value]:
        at = tuple(split_point(point, self.shape))
        return [Value(at, value) for value in values]

    def _powers(self, base: Element, number: int) -> list[Element]:
        powers = [self.field.element(1)]
        while len(powers) < number:
            powers.append(powers[-1] * base)
        return powers


def _combined(gammas: Sequence[Element], values: Sequence[Element]) -> Element:
    total: Any = 0
    for gamma, value in zip(gammas, values, strict=True):
        total = total + gamma * value
    return total
