"""The tables of an integer language model: exponentials, activation functions, rotations."""

import numpy as np
from numpy.typing import NDArray

from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.float_model import activation_function, rotary_angles
from zkbench.models.language.formats import ROTARY_BITS, TABLE_SIZE

Int16s = NDArray[np.int16]
Int32s = NDArray[np.int32]


def exponential_table(score_bits: int, row_bits: int) -> Int32s:
    """EXP[t] = round(2^row_bits exp(-t 2^-score_bits)) for t in [0, 2^16)."""
    t = np.arange(TABLE_SIZE)
    values: Int32s = np.rint(np.ldexp(np.exp(-np.ldexp(t, -score_bits)), row_bits)).astype(np.int32)
    return values


def exponential_cutoff(table: Int32s) -> int:
    """The first t from which on all entries are 0."""
    return int(np.flatnonzero(table)[-1]) + 1


def activation_table(name: str, frac_bits: int) -> Int16s:
    """The function on all of int16, with `frac_bits` fraction bits before and after.

    Entry v + 2^15 belongs to the integer v. None of SiLU, ReLU and GELU exceeds its argument.
    """
    integers = np.arange(-(1 << 15), 1 << 15)
    values = activation_function(name)(np.ldexp(integers.astype(np.float64), -frac_bits))
    table: Int16s = np.rint(np.ldexp(values, frac_bits)).astype(np.int16)
    return table


def look_up(table: Int16s, values: Int16s) -> Int16s:
    """The entries of an `activation_table` for the integers `values`."""
    return table[values.astype(np.int32) + (1 << 15)]


def rotary_tables(config: LanguageModelConfig, positions: int) -> tuple[Int16s, Int16s]:
    """Cosines and sines with 14 fraction bits, positions x d/2 each."""
    angles = rotary_angles(positions, config.head_width // 2, config.rope_theta)
    cos, sin = (np.rint(np.ldexp(values, ROTARY_BITS)).astype(np.int16) for values in angles)
    return cos, sin
