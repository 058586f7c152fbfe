"""Histograms and push-forwards, against counting and adding in Python."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pytest
from cases.lookups import expand
from definitions import random_elements
from targets import EACH_TARGET, Machine

from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels import scatter
from zkbench.kernels.numerators import Numerators
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
    array = machine.put_integers(values, dtype)
    numerators = Numerators.dense(machine.target, FIELD, machine.put(weights), count)
    pushed = push_forward(machine.target, FIELD, array, count, offset, numerators, size)
    assert machine.get(pushed) == pushed_in_python(values, weights, size, offset)


def pushed_in_python(values: list[int], weights: list[Any], size: int, offset: int) -> list[Any]:
    expected = [FIELD.element(0)] * size
    for value, weight in zip(values, weights, strict=True):
        expected[value + offset] = expected[value + offset] + weight
    return expected


@EACH_TARGET
@pytest.mark.parametrize("shift", [0, 1, 4])
def test_push_forward_of_factored_weights_vs_python_int(target_name: str, shift: int) -> None:
    """Three claims, on rows of 13 entries."""
    machine, rng, cols, count = Machine(target_name), Random(shift), 13, 65
    values, high = random_indices(count, 16, 8), -(-cols >> shift)
    tables = [random_elements(FIELD, rng, 3 * n) for n in (5 * high, 1 << shift)]
    sizes = 3, 5 * high, 1 << shift, high, shift
    weights = expand(Numerators(cols, *map(FIELD.pack, tables), *sizes), count)
    factored = Numerators(cols, *map(machine.put, tables), *sizes)
    array = machine.put_integers(values, np.int16)
    pushed = push_forward(machine.target, FIELD, array, count, 8, factored, 16)
    assert machine.get(pushed) == pushed_in_python(values, weights, 16, 8)


@EACH_TARGET
def test_a_long_push_forward_is_made_of_several(
    target_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sums of 32-bit pieces would overflow a word after 2^32 additions."""
    monkeypatch.setattr(scatter, "_MAX_ADDITIONS", 100)
    machine, values = Machine(target_name), random_indices(1001, 16, 8)
    weights = random_elements(FIELD, Random(1), 1001)
    numerators = Numerators.dense(machine.target, FIELD, machine.put(weights), 1001)
    array = machine.put_integers(values, np.int16)
    pushed = push_forward(machine.target, FIELD, array, 1001, 8, numerators, 16)
    assert machine.get(pushed) == pushed_in_python(values, weights, 16, 8)
