"""The integer model of rotary embedding: its semantics are those that protocols/rotary.py proves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zkbench.protocols.rotary_tables import RotaryTables


def rotate(x: NDArray[np.int16], tables: RotaryTables) -> NDArray[np.int32]:
    """Accumulators with 14 more fraction bits than ``x``: layers x blocks x B x heads x W.

    Halves of a head are paired. No sum leaves 31 bits, as cosines and sines are at most 2^14.
    """
    _, blocks, block, _, width = x.shape
    size = (blocks, block, 1, width // 2)
    cos, sin = (t.astype(np.int32).reshape(size) for t in (tables.cos, tables.sin))
    left, right = np.split(x.astype(np.int32), 2, axis=-1)
    return np.concatenate((cos * left - sin * right, cos * right + sin * left), axis=-1)
