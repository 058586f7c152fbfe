"""Sums divided by powers of two and rounded half up: what is left of them, for all layers at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkbench.models.training.layers import Layers, Which


def half(shift: int) -> int:
    """What is added to a sum before ``shift`` of its bits are dropped."""
    return 1 << (shift - 1)


def add_to_integers(product: Any, more: Any, out: NDArray[np.int64]) -> None:
    """out = product + more, in int64: of the two, only the product is exact in float64."""
    np.add(product, more, out=out, dtype=np.int64, casting="unsafe")


def remainders(sums: Mapping[Which, NDArray[np.int64]], shifts: Sequence[int]) -> Layers:
    """sums - 2^shift floor(sums / 2^shift): the low bits, which are all that a narrower type keeps.

    uint16 for shifts up to 16, else int32. shifts: of every layer, the same throughout a group.
    """
    found = {}
    for which, array in sums.items():
        shift = shifts[which[0]]
        dtype = np.uint16 if shift <= 16 else np.int32
        low: NDArray[Any] = array.astype(dtype)
        if shift != 16:
            low &= dtype((1 << shift) - 1)
        found[which] = low
    return Layers.of(found)
