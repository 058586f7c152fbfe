"""Matrix products over a stack: A_l = X_l W_l for all layers l of equal shape, by one sumcheck.

Rows, inner and outer dimension may each consist of several axes (positions in blocks, heads and their
width): a product sums over all axes of the inner one. X or W may lie transposed, as the products of a
backward pass take them: gradients are X^T E and E W^T of the tensors that are there. Claim: the
extension of A, of shape (layers, *rows, *outer), at (z_l, z_r, z_o) equals

    sum over l, k of eq(z_l, l) X(l, z_r, k) W(l, k, z_o)

X and W are first evaluated in their rows' and columns' variables (a pass over the small integers,
kernels/contract.py), then a product sumcheck runs over log2 d_in + log2 layers variables. It leaves a
claim on X at (rho_l, z_r, rho_k) and one on W at (rho_l, rho_k, z_o), both for the caller to check:
this is zkLLM's and zkDL's matrix product, with the layers as further variables (FAC4DNN).

All entries are integers; A is their product over the integers as long as no sum reaches p / 2, which
the caller guarantees by range checks. Soundness error: 3 / |E| a round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from zkbench.commitments.claims import AxisWeights, Value
from zkbench.fields import Field
from zkbench.kernels import eq
from zkbench.kernels.contract import contract, contract_rows, dot
from zkbench.kernels.launch import Array, Target
from zkbench.protocols.sumcheck import (
    Axis,
    ProductStatement,
    Sumcheck,
    num_variables,
    split_point,
)
from zkbench.security import Term
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any
Shape = tuple[int, ...]
Point = tuple[tuple[Element, ...], ...]


def axes_of(lengths: int | Sequence[int]) -> Shape:
    """The axes of one side of a matrix."""
    return (lengths,) if isinstance(lengths, int) else tuple(lengths)


def weights_at(
    target: Target, field: Field, points: Sequence[Sequence[Element]], shape: Shape
) -> Array:
    """eq at one point an axis, for all entries of a tensor of this shape."""
    return AxisWeights.at(points).table(target, field, shape)


@dataclass(frozen=True)
class MatMul:
    """Stacks X: layers x rows x d_in and W: layers x d_in x d_out of integers up to 2^16.

    rows, d_in and d_out: a length, or the lengths of several axes. x_transposed: X lies as layers x d_in
    x rows; w_transposed: W as layers x d_out x d_in. The claims are then on the tensors as they lie.
    wide_weights: the integers of W have up to 32 bits.
    """

    field: Field
    layers: int
    rows: int | Shape
    d_in: int | Shape
    d_out: int | Shape
    x_transposed: bool = False
    w_transposed: bool = False
    wide_weights: bool = False

    @property
    def _inner(self) -> Shape:
        return (self.layers, *axes_of(self.d_in))

    def _axes(self, claim: Value) -> list[Axis]:
        return [Axis(self.layers, claim.point[0]), *map(Axis, axes_of(self.d_in))]

    def split(self, point: Point) -> tuple[Point, Point, Point]:
        """A claim's points: of the layers, of the rows' axes, of the outer axes."""
        rows = 1 + len(axes_of(self.rows))
        return point[:1], point[1:rows], point[rows:]

    def prove(
        self, transcript: ProverTranscript, target: Target, x: Array, w: Array, claim: Value
    ) -> tuple[Value, Value]:
        """Returns the claims on X and on W; ``claim`` is on A, one point an axis.

        W may lie on the host, unless it is transposed.
        """
        tables = self._contracted(target, x, w, claim.point)
        return self._prove_contracted(transcript, target, tables, claim)

    def prove_value(
        self, transcript: ProverTranscript, target: Target, x: Array, w: Array, point: Point
    ) -> tuple[Value, Value, Value]:
        """The same where nothing claims A's value at the point yet: sends it, and returns it first."""
        tables = self._contracted(target, x, w, point)
        claim = Value(point, self._sum(target, tables, point[0]))
        transcript.send("product", [claim.value])
        return claim, *self._prove_contracted(transcript, target, tables, claim)

    def _contracted(self, target: Target, x: Array, w: Array, point: Point) -> list[Array]:
        """X and W in their rows' and columns' variables: layers x d_in elements each."""
        _, at_rows, at_out = self.split(point)
        rows, outer = axes_of(self.rows), axes_of(self.d_out)
        kind = "integers" if self.wide_weights else "small"
        left = self._side(target, x, at_rows, rows, self.x_transposed)
        return [left, self._side(target, w, at_out, outer, not self.w_transposed, kind)]

    def _sum(self, target: Target, tables: list[Array], at_layer: Sequence[Element]) -> Element:
        """sum over l, k of eq(z_l, l) X(l, z_r, k) W(l, k, z_o)."""
        inner, limbs = prod(axes_of(self.d_in)), self.field.ext.limbs
        total: Any = self.field.element(0)
        for layer in range(self.layers):
            bounds = layer * inner * limbs, (layer + 1) * inner * limbs
            left, right = (target.view(table, *bounds) for table in tables)
            product: Any = dot(target, self.field, left, right, inner)
            total = total + eq.eq_at(at_layer, layer) * product
        return total

    def _prove_contracted(
        self, transcript: ProverTranscript, target: Target, tables: list[Array], claim: Value
    ) -> tuple[Value, Value]:
        statement = ProductStatement(target, self.field, tables, self._axes(claim))
        point, values = Sumcheck(self.field).prove(transcript, statement)
        transcript.send("factors", values)
        return self._claims(claim, point, values)

    def _side(
        self,
        target: Target,
        values: Array,
        point: Point,
        outer: Shape,
        is_last: bool,
        kind: str = "small",
    ) -> Array:
        """Layers x d_in elements of E: the extension in the variables of the outer axes.

        is_last: these are the last axes of the tensor, and not those before the inner ones.
        """
        weights = weights_at(target, self.field, point, outer)
        inner, length = prod(axes_of(self.d_in)), prod(outer)
        if is_last:
            rows = self.layers * inner
            return contract_rows(target, self.field, values, rows, length, weights, kind)
        return contract(target, self.field, values, self.layers, length, inner, weights, kind)

    def verify_value(
        self, transcript: VerifierTranscript, point: Point
    ) -> tuple[Value, Value, Value]:
        """Returns what A's value is to be, and the claims on X and on W that the caller must check."""
        (value,) = transcript.receive("product", 1)
        claim = Value(point, value)
        return claim, *self.verify(transcript, claim)

    def verify(self, transcript: VerifierTranscript, claim: Value) -> tuple[Value, Value]:
        """Returns the claims on X and on W that the caller must check."""
        point, final = Sumcheck(self.field).verify(transcript, claim.value, self._axes(claim))
        values = transcript.receive("factors", 2)
        transcript.require_zero(final - values[0] * values[1], "a matrix product is wrong")
        return self._claims(claim, point, values)

    def soundness_terms(self) -> list[Term]:
        """Each source of error, with its bits."""
        rounds = sum(map(num_variables, self._inner))
        return [Term("matrix product", Sumcheck(self.field).soundness_bits(rounds))]

    def _claims(
        self, claim: Value, point: list[Element], values: list[Element]
    ) -> tuple[Value, Value]:
        at_layer, *at_inner = split_point(point, self._inner)
        _, at_rows, at_out = self.split(claim.point)
        x = (*at_inner, *at_rows) if self.x_transposed else (*at_rows, *at_inner)
        w = (*at_out, *at_inner) if self.w_transposed else (*at_inner, *at_out)
        return Value((at_layer, *x), values[0]), Value((at_layer, *w), values[1])
