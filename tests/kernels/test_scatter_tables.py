"""Histograms and push-forwards, against counting and adding in Python."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pytest
from definitions import random_elements
from targets import EACH_TARGET, Machine

from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels.scatter import histogram, push_forward

# (values, table size, offset): fewer values than entries, more, and all in one entry.
SIZES = [(1, 1, 0), (5, 64, 0), (3000, 16, 8), (700, 1, 0)]
EACH_SIZE = pytest.mark.parametrize(("count", "size", "offset"), SIZES)
EACH_DTYPE = pytest.mark.parametrize("dtype", [np.int16, np.int32])


def random_indices(count: int, size: int, offset: int) -> list[int]:
    """Values that with the offset are indices below ``size``, both ends among them."""
    rng = Random(f"{count} {size}")
    ends = [-offset, size - 1 - offset]
    return [rng.choice([*ends, rng.randrange(size) - offset]) for _ in range(count)]


@EACH_TARGET
@EACH_SIZE
@EACH_DTYPE
def test_histogram_vs_counter(
    target_name: str, count: int, size: int, offset: int, dtype: Any
) -> None:
    machine, values = Machine(target_name), random_indices(count, size, offset)
    array = machine.put_integers(values, dtype)
    counts = machine.target.to_host(histogram(machine.target, array, count, offset, size))
    expected = Counter(v + offset for v in values)
    assert counts.tolist() == [expected[j] for j in range(size)]


@EACH_TARGET
@EACH_SIZE
@EACH_DTYPE
@pytest.mark.parametrize("extreme", [False, True])
def test_push_forward_vs_python_int(
    target_name: str, count: int, size: int, offset: int, dtype: Any, extreme: bool
) -> None:
    machine, values = Machine(target_name), random_indices(count, size, offset)
    largest = FIELD.element(FIELD.modulus - 1, FIELD.modulus - 1)
    weights = [largest] * count if extreme else random_elements(FIELD, Random(count), count)
    arrays = machine.put_integers(values, dtype), machine.put(weights)
    pushed = push_forward(machine.target, FIELD, arrays[0], count, offset, arrays[1], size)
    expected = [FIELD.element(0)] * size
    for value, weight in zip(values, weights, strict=True):
        expected[value + offset] = expected[value + offset] + weight
    assert machine.get(pushed) == expected
