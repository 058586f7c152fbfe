"""The integer model of RMSNorm: rows divided by their norm. Its semantics are protocols/rmsnorm.py's."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkbench.quant.formats import QuantisationError
from zkbench.quant.linear import rescale


@dataclass(frozen=True)
class RMSNormTrace:
    """One forward pass; x has the shape (layers, *rows, width).

    outputs, remainders: as x; sums, sq_high, r_high: layers x *rows; limbs: 10 of these, in the order of
    ``LIMBS`` of protocols/norm_limbs.py.
    """

    outputs: NDArray[np.int16]
    remainders: NDArray[np.uint16]
    limbs: NDArray[np.uint16]
    sq_high: NDArray[np.uint16]
    r_high: NDArray[np.uint16]
    sums: NDArray[np.int64]


@dataclass(frozen=True)
class IntegerRMSNorm:
    """Norms with this epsilon, in the scale of x^2, at least 4."""

    epsilon: int
    value_bits: int = 16

    def forward(self, x: NDArray[Any]) -> RMSNormTrace:
        """``x``: int32 or int64, layers x *rows x width, a width of at most 2^14.

        Raises QuantisationError, naming the layer, where a root or an output leaves its range.
        """
        layers = [self._layer(k, part.astype(np.int64)) for k, part in enumerate(x)]
        stacked = {
            one.name: np.stack(
                [getattr(layer, one.name) for layer in layers], axis=int(one.name == "limbs")
            )
            for one in fields(RMSNormTrace)
        }
        return RMSNormTrace(**stacked)

    def _layer(self, layer: int, x: NDArray[np.int64]) -> RMSNormTrace:
        bits, most = self.value_bits, 1 << (3 * self.value_bits // 2)
        where = f"norm of layer {layer}"
        _require(where, "an input", x, (1 - most, most - 1))  # so that no sum leaves 63 bits
        sums = self.epsilon + np.einsum("...j,...j->...", x, x)
        roots = np.sqrt(sums.astype(np.float64)).astype(np.int64)  # exact below 2^52
        _require(where, "a root", roots, (2, most - 1))
        inverses = (1 << (2 * bits - 1)) // roots
        outputs, remainders = rescale(x * inverses[..., None], bits)
        half = 1 << (bits - 1)
        _require(where, "an output", outputs, (-half, half - 1))
        limbs = norm_limbs(sums, roots, inverses, bits)
        return RMSNormTrace(outputs.astype(np.int16), remainders, *limbs, sums)


def norm_limbs(
    sums: NDArray[np.int64],
    roots: NDArray[np.int64],
    inverses: NDArray[np.int64],
    value_bits: int = 16,
) -> tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint16]]:
    """(limbs, sq_high, r_high) of rows whose ss, sq and r these are, all of one shape."""
    d = sums - roots * roots
    m = (1 << (2 * value_bits - 1)) - inverses * roots
    low = (1 << value_bits) - 1
    parts = [roots & low, inverses & low]
    for number in (d, 2 * roots - d, m, roots - 1 - m):
        parts += [number & low, number >> value_bits]
    high = (roots >> value_bits).astype(np.uint16), (inverses >> value_bits).astype(np.uint16)
    return np.stack(parts).astype(np.uint16), *high


def _require(where: str, what: str, values: NDArray[Any], limits: tuple[int, int]) -> None:
    low, high = limits
    if values.size and (values.min() < low or values.max() > high):
        worst = values.min() if values.min() < low else values.max()
        raise QuantisationError(
            f"{where}: {what} is {worst}, outside [{low}, {high}]; recalibrate or widen"
        )
