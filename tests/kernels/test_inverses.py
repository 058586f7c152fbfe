"""Batch inversion and base-field columns, against Python integers."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels.inverses import invert, shifted, split_columns, sum_columns
from zkbench.kernels.launch import CpuTarget, cpu_target, target

P = FIELD.modulus
TARGETS = pytest.mark.parametrize("name", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])


class StridedCpu(CpuTarget):
    """A CPU that is asked for the access pattern of a GPU."""

    name = "cuda"

    def __init__(self, parallel_items: int) -> None:
        super().__init__(1)
        self.parallel_items = parallel_items


def inverses_of(elements: list[Any]) -> list[Any]:
    return [e if e == 0 else e.inverse() for e in elements]


@TARGETS
@pytest.mark.parametrize("count", [1, 2, 3, 1023, 1024, 1025, 3000])
def test_batch_inversion_vs_python_int(name: str, count: int) -> None:
    check_batch(target(name), count)


@pytest.mark.parametrize(("count", "items"), [(1, 4), (4, 4), (5, 4), (64, 8), (67, 8), (71, 7)])
def test_strided_batch_inversion_vs_python_int(count: int, items: int) -> None:
    check_batch(StridedCpu(items), count)


def check_batch(where: Any, count: int) -> None:
    rng = np.random.default_rng(count)
    values = rng.integers(-(2**15), 2**15, count).astype(np.int16)
    beta = FIELD.element(*rng.integers(0, P, 2, dtype=np.uint64).tolist())
    table = shifted(where, FIELD, where.to_device(values), count, beta)
    expected = [beta + v for v in values.tolist()]
    assert FIELD.unpack(where.to_host(table)) == expected
    words = invert(where, FIELD, table, count)
    assert FIELD.unpack(where.to_host(words)) == inverses_of(expected)


@TARGETS
def test_columns_and_their_sums_vs_python_int(name: str) -> None:
    where, rng = target(name), Random(3)
    elements = [FIELD.element(rng.randrange(P), rng.randrange(P)) for _ in range(2500)]
    table = where.to_device(FIELD.pack(elements))
    columns = [where.to_host(c).tolist() for c in split_columns(where, FIELD, table, 2500)]
    assert columns == [[e.c0 for e in elements], [e.c1 for e in elements]]
    expected = [FIELD.element(sum(column)) for column in columns]
    assert sum_columns(where, FIELD, table, 2500) == expected


def test_a_zero_among_others_spoils_its_block_alone() -> None:
    values = np.ones(2048, dtype=np.int16)
    values[5] = -1
    table = shifted(cpu_target(), FIELD, values, 2048, FIELD.element(1))
    words = FIELD.unpack(invert(cpu_target(), FIELD, table, 2048))
    assert words[:1024] == [FIELD.element(0)] * 1024
    assert words[1024:] == [FIELD.element(2).inverse()] * 1024
