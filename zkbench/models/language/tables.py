"""What the layers of a language model look up: the very tables that a proof is about."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.formats import LanguageFormats
from zkbench.protocols.activation_tables import OFFSET, activation_table
from zkbench.protocols.rotary_tables import RotaryTables
from zkbench.protocols.tables import Exp, Table

Int16s = NDArray[np.int16]
Int32s = NDArray[np.int32]


def exponentials(formats: LanguageFormats) -> Exp:
    """EXP[t] = round(2^row_bits exp(-t 2^-score_bits)) for t in [0, 2^16)."""
    return Exp(formats.score_bits, formats.row_bits)


def activation(config: LanguageModelConfig, formats: LanguageFormats) -> Table:
    """The activation function on all of int16, the same in all layers."""
    return activation_table(config.activation, formats.layers[0]["g" if config.is_llama else "f"])


def rotations(config: LanguageModelConfig, positions: int) -> RotaryTables | None:
    """Cosines and sines of so many positions; None for a model that learned its positions."""
    if not config.is_llama:
        return None
    return RotaryTables.of(positions, config.head_width // 2, config.rope_theta)


@dataclass(frozen=True, eq=False)
class Tables:
    """The tables' entries: EXP, the activation function (None for ReLU), cosines and sines.

    cos, sin: S x d/2, None for OPT. They may lie wherever a model computes.
    """

    exponentials: Int32s
    activation: Int16s | None
    cos: Int16s | None
    sin: Int16s | None

    @classmethod
    def of(cls, config: LanguageModelConfig, formats: LanguageFormats, positions: int) -> "Tables":
        """For that many positions, in the host's memory."""
        entries = None
        if config.activation != "relu":
            entries = activation(config, formats).values.astype(np.int16)
        turns: Any = rotations(config, positions)
        cos, sin = (turns.cos, turns.sin) if turns else (None, None)
        return cls(exponentials(formats).values, entries, cos, sin)


def look_up(table: Int16s, values: Int16s) -> Int16s:
    """The entries of an activation function's table for the integers `values`."""
    return table[values.astype(np.int32) + OFFSET]
