"""Entrywise products: C[i] = product over k of F_k[i] for two or three tensors of one shape.

Claim: the extension of C at z equals sum over i of eq(z, i) prod_k F_k[i]. One sumcheck of degree 2
or 3 (the eq factor split off) leaves the value of every F_k at one random point, for the caller to
check. Rounds: log2 of the number of entries. Soundness error: (factors + 1) / |E| a round.

Factors are tables of E, or integers as they are committed: SwiGLU's silu(g) and u, say. Two of these
take no table of E of their own length (protocols/integer_products.py). The proof is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from zkbench.commitments.claims import Value
from zkbench.fields import Field
from zkbench.kernels.launch import Array, Target
from zkbench.protocols.gkr import Shape, depth
from zkbench.protocols.integer_products import product_statement
from zkbench.protocols.sumcheck import Axis, Sumcheck, split_point
from zkbench.security import Term
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any


@dataclass(frozen=True)
class Hadamard:
    """Products of ``factors`` (2 or 3) tensors of this shape."""

    field: Field
    shape: Shape
    factors: int = 2

    def _axes(self, claim: Value) -> list[Axis]:
        return [Axis(n, point) for n, point in zip(self.shape, claim.point, strict=True)]

    def prove(
        self, transcript: ProverTranscript, target: Target, tables: Sequence[Array], claim: Value
    ) -> list[Value]:
        """``tables``: of each factor, flat E words or integers of magnitude at most 2^16.

        Returns one claim a factor.
        """
        statement = product_statement(target, self.field, tables, self._axes(claim))
        point, values = Sumcheck(self.field, self.factors).prove(transcript, statement)
        transcript.send("factors", values)
        return self._claims(point, values)

    def verify(self, transcript: VerifierTranscript, claim: Value) -> list[Value]:
        """Returns one claim a factor that the caller must check."""
        sumcheck = Sumcheck(self.field, self.factors)
        point, final = sumcheck.verify(transcript, claim.value, self._axes(claim))
        values = transcript.receive("factors", self.factors)
        product = reduce(lambda a, b: a * b, values)
        transcript.require_zero(final - product, "an entrywise product is wrong")
        return self._claims(point, values)

    def soundness_terms(self) -> list[Term]:
        """Each source of error, with its bits."""
        bits = Sumcheck(self.field, self.factors).soundness_bits(depth(self.shape))
        return [Term("entrywise product", bits)]

    def _claims(self, point: list[Element], values: list[Element]) -> list[Value]:
        points = tuple(split_point(point, self.shape))
        return [Value(points, value) for value in values]
