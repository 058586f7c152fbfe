"""The layout of tensors in the dense vector."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkbench.commitments.layout import Layout, log_tile

SHAPES = st.dictionaries(
    st.text("abc", min_size=1, max_size=3),
    st.lists(st.integers(1, 24), max_size=4).map(tuple),
    min_size=1,
    max_size=6,
)


@pytest.mark.parametrize(
    ("shape", "bits"),
    [
        *[((), 0), ((1,), 0), ((8,), 3), ((5120, 13824), 9), ((13824, 5120), 10), ((40, 4096), 15)],
        *[((32, 32), 10), ((359, 127), 0), ((3, 1, 2), 1), ((6, 1), 1), ((1, 6, 4), 3)],
    ],
)
def test_log_tile(shape, bits):
    assert log_tile(shape) == bits


@settings(max_examples=100, deadline=None)
@given(SHAPES)
def test_tensors_are_aligned_disjoint_and_dense(shapes):
    layout = Layout.of(shapes)
    end = 0
    for slot in layout.slots:
        assert slot.offset == end
        assert slot.offset % (1 << log_tile(slot.shape)) == 0
        end += math.prod(slot.shape)
    assert layout.num_values == end
    assert layout.shapes == shapes
    assert Layout.of(dict(reversed(shapes.items()))) == layout


@settings(max_examples=50, deadline=None)
@given(SHAPES)
def test_json_round_trip(shapes):
    layout = Layout.of(shapes)
    assert Layout.from_json(json.loads(json.dumps(layout.to_json())), ValueError) == layout


@pytest.mark.parametrize(
    "data",
    [
        *[None, {}, [], "a", [[]], [["a"]], [["a", 3]], [["a", [0]]], [["a", [-1]]]],
        *[[["a", [True]]], [["a", [2.0]]], [[1, [2]]], [["a", [2], 0]], [["a", ["2"]]]],
        *[[["a", [2]], ["a", [2]]], [["b", [2]], ["a", [2]]], [["a", [3]], ["b", [4]]]],
        *[[["a", [1 << 40, 1 << 40]]], [["a", [1] * 9]]],
    ],
)
def test_malformed_json_is_refused(data):
    with pytest.raises(LookupError, match="layout"):
        Layout.from_json(data, LookupError)


def test_empty_layouts_and_axes_are_refused():
    for shapes in ({}, {"a": (3, 0)}):
        with pytest.raises(ValueError, match="at least one tensor"):
            Layout.of(shapes)


def test_columns_and_lookup():
    layout = Layout.of({"a": (5,), "b": (4,)})
    assert [layout.num_columns(k) for k in range(5)] == [9, 5, 3, 2, 1]
    assert layout.slot("a").offset == 4
    with pytest.raises(KeyError):
        layout.slot("c")
