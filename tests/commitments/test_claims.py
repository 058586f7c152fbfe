"""Functionals against the definition, entry by entry."""

from __future__ import annotations

import time

import numpy as np
import pytest
from brute_force import E, all_weights, eq_at, random_elements, random_functional
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from zkbench.commitments.claims import (
    AxisWeights,
    EqAxis,
    OnesAxis,
    Sparse,
    VectorAxis,
    joined_axes,
)
from zkbench.commitments.dense_weights import PointTables, accumulate, evaluate
from zkbench.commitments.layout import Layout, Slot, log_tile
from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels.launch import cpu_target

SHAPES = st.lists(st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8, 12, 16]), max_size=4).map(tuple)


@settings(max_examples=80, deadline=None)
@given(SHAPES, st.lists(SHAPES, max_size=3), st.integers(0, 2**32))
def test_functionals_vs_python_int(shape, others, seed):
    """The prover's dense weights and the verifier's evaluation, both against the definition."""
    rng = np.random.default_rng(seed)
    layout = Layout.of({"t": shape, **{f"u{i}": other for i, other in enumerate(others)}})
    slot, size = layout.slot("t"), layout.num_values
    functional = random_functional(rng, shape)
    functional.check(shape)
    expected = all_weights(functional, shape)
    before, (scale,) = random_elements(rng, size), random_elements(rng, 1)
    dense = FIELD.pack(before)
    accumulate(cpu_target(), FIELD, slot, functional, scale, dense)
    wanted = list(before)
    for i, weight in enumerate(expected):
        wanted[slot.offset + i] = wanted[slot.offset + i] + scale * weight
    assert FIELD.unpack(dense) == wanted
    z = random_elements(rng, (size - 1).bit_length())
    value = sum((w * eq_at(z, slot.offset + i) for i, w in enumerate(expected)), E(0))
    assert evaluate(PointTables(FIELD, z), slot, functional) == value


@settings(max_examples=80, deadline=None)
@given(SHAPES, st.integers(0, 2**32))
def test_tables_of_joined_axes_vs_python_int(shape, seed):
    functional = random_functional(np.random.default_rng(seed), shape)
    assume(isinstance(functional, AxisWeights))
    table = functional.table(cpu_target(), FIELD, shape)
    assert FIELD.unpack(table) == all_weights(functional, shape)


def test_axes_are_joined_where_they_are_one():
    """Full axes of an eq table, and summed ones; those of length 1 go, if their weight is 1."""
    points = [tuple(E(9 * n + k) for k in range((n - 1).bit_length())) for n in (5, 4, 8, 1, 3)]
    five, four, eight, single, three = map(EqAxis, points)
    scalar, ones = VectorAxis((E(7),)), OnesAxis()
    assert joined_axes((single, five, ones, four), (1, 5, 1, 4)) == [
        (EqAxis(four.point + five.point), 20)
    ]
    assert joined_axes((ones, ones, scalar), (3, 5, 1)) == [(ones, 15), (scalar, 1)]
    assert joined_axes((eight, three), (8, 3)) == [(eight, 8), (three, 3)]
    assert joined_axes((ones, eight), (4, 8)) == [(ones, 4), (eight, 8)]
    assert joined_axes((ones, ones), (512, 5)) == [(ones, 512), (ones, 5)]
    long = EqAxis(tuple(E(k) for k in range(9)))
    assert joined_axes((long, eight), (512, 8)) == [(long, 512), (eight, 8)]  # 12 variables


@pytest.mark.parametrize(
    "shape", [(3, 40, 24, 10), (2, 6, 8, 4, 27, 2), (7, 32, 2, 3), (1 << 12, 5)]
)
@pytest.mark.parametrize("offset", [0, 1, 12345])
def test_carried_bits_vs_python_int(shape, offset):
    """Axes above an odd one, from any place on: bits are added with a carry."""
    rng = np.random.default_rng(offset)
    axes = tuple(EqAxis(random_elements(rng, (n - 1).bit_length())) for n in shape)
    functional = AxisWeights((axes[0], OnesAxis(), *axes[2:]))
    tile = 1 << log_tile(shape)
    slot = Slot("t", shape, offset * tile)
    z = random_elements(rng, (slot.offset + slot.size - 1).bit_length())
    weights = all_weights(functional, shape)
    value = sum((w * eq_at(z, slot.offset + i) for i, w in enumerate(weights)), E(0))
    assert evaluate(PointTables(FIELD, z), slot, functional) == value


@pytest.mark.parametrize("shape", [(5000,), (4097, 3), (4096, 5)])
@pytest.mark.parametrize("summed", [False, True])
def test_long_leading_axis_vs_python_int(shape, summed):
    """A leading axis long enough to be split in two tables."""
    rng = np.random.default_rng(1)
    axes = tuple(EqAxis(random_elements(rng, (n - 1).bit_length())) for n in shape)
    if summed:
        axes = (OnesAxis(), *axes[1:])
    slot = Layout.of({"t": shape}).slot("t")
    dense = FIELD.pack([0] * slot.size)
    accumulate(cpu_target(), FIELD, slot, AxisWeights(axes), E(1), dense)
    weights = FIELD.unpack(dense)
    for index in [0, 1, slot.size // 2, slot.size - 2, slot.size - 1, *range(2, slot.size, 997)]:
        place = np.unravel_index(index, shape)
        expected = E(1)
        for axis, i in zip(axes, place, strict=True):
            expected = expected if axis == OnesAxis() else expected * eq_at(axis.point, int(i))
        assert weights[index] == expected


@pytest.mark.parametrize(
    ("functional", "shape"),
    [
        (AxisWeights((OnesAxis(),)), (2, 2)),
        (AxisWeights((EqAxis((E(1),)),)), (3,)),
        (AxisWeights((EqAxis((E(1),)),)), (1,)),
        (AxisWeights((VectorAxis((E(1), E(2))),)), (3,)),
        (Sparse((0, 0), (E(1), E(1))), (3,)),
        (Sparse((3,), (E(1),)), (3,)),
        (Sparse((-1,), (E(1),)), (3,)),
        (Sparse((0,), ()), (3,)),
    ],
)
def test_weights_of_another_shape_are_refused(functional, shape):
    with pytest.raises(ValueError, match=r"axis|axes|index|indices|tensor"):
        functional.check(shape)


def test_odd_shapes_are_evaluated_fast():
    """A tensor whose tiles are single entries costs the verifier milliseconds."""
    rng = np.random.default_rng(2)
    slot = Layout.of({"t": (359, 127)}).slot("t")
    z = random_elements(rng, 16)
    functional = AxisWeights((EqAxis(random_elements(rng, 9)), EqAxis(random_elements(rng, 7))))
    evaluate(PointTables(FIELD, z), slot, functional)
    samples = []
    for _ in range(5):
        start = time.thread_time()
        evaluate(PointTables(FIELD, z), slot, functional)
        samples.append(time.thread_time() - start)
    assert min(samples) < 0.05
