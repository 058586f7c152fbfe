"""Rotary embedding: honest proofs, the integer model, and the tables against other arithmetic."""

from __future__ import annotations

from hashlib import sha256
from math import cos, sin
from random import Random

import numpy as np
import pytest
from cases.case import FIELD, Shape, prove, verify
from cases.rotary import RotaryCase, random_rotary_shape, rotated, true_angles

from zkbench.kernels.launch import cpu_target
from zkbench.protocols.rotary import Rotary
from zkbench.protocols.rotary_tables import RotaryTables
from zkbench.quant.rotary import rotate

# layers, blocks, B, heads, W
SHAPES: list[Shape] = [
    (1, 1, 1, 1, 2),
    (3, 1, 1, 1, 2),
    (1, 5, 1, 1, 4),
    (1, 1, 3, 1, 6),
    (1, 1, 1, 7, 10),
    (2, 3, 4, 5, 6),
    (3, 2, 8, 1, 12),
]
TABLES_OF_LLAMA = "e053d958009e507bb9284f44058d946fb716ba67053f1f6102d147d242da3eed"
EACH_SHAPE = pytest.mark.parametrize("shape", SHAPES, ids=str)


@EACH_SHAPE
def test_rotations_of_any_shape_are_proven(shape: Shape) -> None:
    rng = Random(str(shape))
    for case in (RotaryCase.random(rng, shape), RotaryCase.with_random_tables(rng, shape)):
        data, claim = prove(case, cpu_target())
        assert verify(case, data) == claim


@pytest.mark.parametrize("seed", range(10))
def test_the_integer_model_vs_python_int(seed: int) -> None:
    rng = Random(seed)
    shape = random_rotary_shape(rng)
    case = RotaryCase.random(rng, shape)
    found = rotate(np.array(case.x, dtype=np.int16).reshape(shape), case.tables(case.angles))
    assert found.shape == shape
    assert found.dtype == np.int32
    assert found.reshape(-1).tolist() == list(rotated(case.x, case.angles, shape))


def test_a_rotation_by_no_angle_changes_nothing() -> None:
    """Position 0, whose cosines are 2^14 and whose sines are zero."""
    shape = (2, 1, 1, 3, 6)
    case = RotaryCase.random(Random(1), shape)
    assert case.result == tuple(v << 14 for v in case.x)


@pytest.mark.parametrize("theta", [1.0, 10000.0, 500000.0, 1e6])
@pytest.mark.parametrize(("positions", "half"), [(1, 1), (2, 5), (300, 3), (1000, 16)])
def test_tables_vs_the_library(positions: int, half: int, theta: float) -> None:
    """No further from it than half a unit and what a float may err."""
    tables = RotaryTables.of(positions, half, theta)
    for table, function in ((tables.cos, cos), (tables.sin, sin)):
        assert (table.shape, table.dtype) == ((positions, half), np.int16)
        for (i, j), entry in np.ndenumerate(table):
            assert abs(int(entry) - 2**14 * function(i * theta ** (-j / half))) < 0.5 + 1e-7


def test_tables_are_the_same_everywhere() -> None:
    """Every bit of a model's, whatever machine this runs on: a verifier makes them anew."""
    tables = RotaryTables.of(2048, 64)
    words = b"".join(t.astype("<i2").tobytes() for t in (tables.cos, tables.sin))
    assert sha256(words).hexdigest() == TABLES_OF_LLAMA


def test_tables_do_not_depend_on_how_many_positions_there_are() -> None:
    few, many = RotaryTables.of(5, 8), RotaryTables.of(100, 8)
    assert (many.cos[:5] == few.cos).all()
    assert (many.sin[:5] == few.sin).all()


@pytest.mark.parametrize("theta", [0.0, -1.0, 0.5, float("nan"), float("inf")])
def test_a_base_below_one_is_refused(theta: float) -> None:
    with pytest.raises(ValueError, match="the base of rotary angles must be a number from 1 on"):
        RotaryTables.of(4, 2, theta)


def test_a_head_of_odd_width_is_refused() -> None:
    with pytest.raises(ValueError, match="a head of odd width 3 has no pairs to rotate"):
        Rotary(FIELD, (1, 1, 1, 1, 3))


def test_tables_of_another_size_are_refused() -> None:
    case = RotaryCase.random(Random(2), (1, 2, 2, 1, 4))
    longer = RotaryCase(**{**vars(case), "shape": (1, 2, 1, 1, 4)})
    with pytest.raises(ValueError, match=r"tables of shape \(4, 2\) where \(2, 2\) is needed"):
        Rotary(FIELD, longer.shape)._checked(case.tables(true_angles(case.shape)))
