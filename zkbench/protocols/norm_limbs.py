"""The numbers of a norm's rows, in limbs: what is committed of sq, r, d, e, m, f (protocols/rmsnorm.py).

``limbs`` stacks limbs of b = ``value_bits`` bits as its first axis, in the order of ``LIMBS``; the high
limbs of sq and r, of fewer bits, are tensors of their own. A number is low + 2^b high.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from zkbench.commitments.claims import AxisWeights, Claim, EqAxis, VectorAxis
from zkbench.fields import Field
from zkbench.kernels.contract import contract, kernels
from zkbench.kernels.launch import Array, Target
from zkbench.protocols.gkr import Shape
from zkbench.protocols.matmul import weights_at

Element = Any
Point = tuple[tuple[Element, ...], ...]

LIMBS = (
    *("sq_low", "r_low", "d_low", "d_high", "e_low", "e_high"),
    *("m_low", "m_high", "f_low", "f_high"),
)
HIGHS = ("sq_high", "r_high")


@dataclass(frozen=True)
class RMSNormWitness:
    """What the prover works with, flat on the target; shapes as in ``RMSNorm``.

    inputs: int32 or int64; outputs: int16; remainders, limbs, sq_high, r_high: uint16; sums: ss, int64.
    """

    inputs: Array
    outputs: Array
    remainders: Array
    limbs: Array
    sq_high: Array
    r_high: Array
    sums: Array


@dataclass(frozen=True)
class NormLimbs:
    """Of rows of this shape. A number goes by its letters, a limb of it by these and _low or _high."""

    field: Field
    row_shape: Shape
    value_bits: int

    def joined(self, low: Element, high: Element) -> Element:
        return low + high * (1 << self.value_bits)

    def claim(self, at: Point, name: str, value: Element) -> Claim:
        """A limb, or a number all of whose limbs are in ``limbs``, has this value at a point."""
        if name in HIGHS:
            return Claim(name, AxisWeights.at(at), value)
        selection = VectorAxis(tuple(self._selection({name: 1})))
        return Claim("limbs", AxisWeights((selection, *map(EqAxis, at))), value)

    def _selection(self, coefficients: Mapping[str, Element]) -> list[Element]:
        """Weights of the limbs in ``limbs``, for the sum of these, each times its coefficient."""
        weights: list[Element] = [self.field.element(0)] * len(LIMBS)
        for name, coefficient in coefficients.items():
            scales = {name: 1, f"{name}_low": 1, f"{name}_high": 1 << self.value_bits}
            for limb in scales.keys() & set(LIMBS):
                weights[LIMBS.index(limb)] += coefficient * scales[limb]
        return weights

    def table(
        self, target: Target, witness: RMSNormWitness, coefficients: Mapping[str, Element]
    ) -> Array:
        """Of every row, the sum of its sq and r, each times its coefficient, as E words."""
        field, rows = self.field, prod(self.row_shape)
        table = self._sum_rows(target, witness.limbs, self._selection(coefficients))
        for name, coefficient in coefficients.items():
            high = self._sum_rows(target, getattr(witness, f"{name}_high"), [1])
            scale = field.scalar(self.joined(field.element(0), coefficient))
            target.map(kernels(field).add_scaled, rows, table, high, scale)
        return table

    def _sum_rows(self, target: Target, tensor: Array, weights: list[Element]) -> Array:
        field, words = self.field, target.to_device(self.field.pack(weights))
        rows = prod(self.row_shape)
        return contract(target, field, tensor, 1, len(weights), rows, words, _kind(tensor))

    def at(self, target: Target, witness: RMSNormWitness, point: Point) -> dict[str, Element]:
        """The values of each limb, and of ``sums``, at a point of the rows."""
        field, rows = self.field, prod(self.row_shape)
        weights = weights_at(target, field, point, self.row_shape)
        found: dict[str, Element] = {}
        for names in (LIMBS, ("sq_high",), ("r_high",), ("sums",)):
            tensor = witness.limbs if names is LIMBS else getattr(witness, names[0])
            totals = contract(target, field, tensor, len(names), rows, 1, weights, _kind(tensor))
            found |= dict(zip(names, field.unpack(target.to_host(totals)), strict=True))
        return found


def _kind(tensor: Array) -> str:
    """For kernels/contract.py: sums of squares are wide."""
    return "small" if np.dtype(tensor.dtype).itemsize <= 2 else "integers"
