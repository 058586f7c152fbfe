"""Honest proofs are accepted, whatever the shape, and what is left to be checked is true.

``cases.case.verify`` compares the claims that a protocol returns with the definition.
"""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from cases.case import Case, Shape, prove, verify
from cases.everything import LARGE, RANDOM, SHAPES, SMALL, random_lookup
from cases.lookups import GkrCase, LogupStarCase, TLookupCase
from cases.products import HadamardCase, LinearCase, SumcheckCase
from cases.rounding import ArgMaxCase, RescaleCase

from zkbench.kernels import contract
from zkbench.kernels.launch import CpuTarget, cpu_target
from zkbench.protocols import statements
from zkbench.protocols.tables import FunctionTable, Relu
from zkbench.protocols.tlookup import Lookup, multiplicities

EACH_SHAPE = pytest.mark.parametrize("shape", SHAPES, ids=str)
NUM_SEEDS = 25


def assert_complete(case: Case) -> None:
    data, claims = prove(case, cpu_target())
    assert verify(case, data) == claims


@pytest.mark.parametrize("seed", range(NUM_SEEDS))
@pytest.mark.parametrize("protocol", RANDOM)
def test_random_statements(protocol: str, seed: int) -> None:
    assert_complete(RANDOM[protocol](Random(f"{protocol} {seed}")))


@EACH_SHAPE
@pytest.mark.parametrize("degree", [2, 3])
def test_sumcheck(shape: Shape, degree: int) -> None:
    """All axes weighted, all summed, and every second one."""
    for summed in ({0, 1, 2}, set(), {1}):
        axes = tuple(k in summed for k in range(len(shape)))
        assert_complete(SumcheckCase.random(Random(str(shape)), shape, degree, axes))


@EACH_SHAPE
@pytest.mark.parametrize("factors", [2, 3])
def test_hadamard(shape: Shape, factors: int) -> None:
    assert_complete(HadamardCase.random(Random(str(shape)), shape, factors))


@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize(
    "sizes",
    [
        (1, 1, 1, 1),
        (1, 3, 5, 2),
        (3, 1, 8, 1),
        (2, 4, 1, 7),
        (2, (3, 2), 5, (3, 4)),  # rows in blocks, outputs in heads
        (2, (2, 2), (3, 5), 3),
    ],
    ids=str,
)
def test_linear(sizes: tuple[int, Any, Any, Any], has_bias: bool) -> None:
    assert_complete(LinearCase.random(Random(str(sizes)), sizes, has_bias))


@EACH_SHAPE
def test_gkr(shape: Shape) -> None:
    """Alone, and beside trees that are shallower and deeper."""
    for shapes in ((shape,), ((1,), shape, (2, 9))):
        assert_complete(GkrCase.random(Random(str(shape)), shapes))


@EACH_SHAPE
@pytest.mark.parametrize("size", [1, 2, 16])
def test_tlookup(shape: Shape, size: int) -> None:
    lookup = Lookup(size, (shape, (3,)), (size // 2, 0))
    assert_complete(TLookupCase.random(Random(str(shape)), (lookup, Lookup(4, (shape,)))))


@EACH_SHAPE
@pytest.mark.parametrize("table", [Relu(4), FunctionTable("odd", (7, -1, 65535, 0), -2)])
def test_logup_star(shape: Shape, table: Relu | FunctionTable) -> None:
    assert_complete(LogupStarCase.random(Random(str(shape)), table, (shape, (1,))))


@EACH_SHAPE
@pytest.mark.parametrize(("shift", "bits"), [(1, 1), (4, 3)])
def test_rescale(shape: Shape, shift: int, bits: int) -> None:
    assert_complete(RescaleCase.random(Random(str(shape)), shape, shift, bits))


@pytest.mark.parametrize(
    "logits",
    [[[0]], [[1, 1, 1]], [[0, 1], [1, 0], [1, 1]], [[-4, 3, -4, 3]], [[3, -4, -4]], [[-4, -4, 3]]],
    ids=str,
)
def test_argmax(logits: list[list[int]]) -> None:
    assert_complete(ArgMaxCase.of(logits))


@pytest.mark.parametrize("name", SMALL)
def test_large_axes_have_their_eq_tables_split(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An axis is weighted by one table or by two; the proof is the same."""
    case = SMALL[name]
    expected = prove(case, cpu_target())
    monkeypatch.setattr(statements, "_WHOLE_TABLE_BITS", 1)
    assert prove(case, cpu_target()) == expected


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("tail_variables", [-1, 0, 1, 2, 3])
def test_the_last_rounds_in_one_call(
    name: str, tail_variables: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many rounds the tail kernel runs, none included, the proof is the same."""
    case = SMALL[name]
    expected = prove(case, cpu_target())
    monkeypatch.setattr(statements, "_TAIL_VARIABLES", tail_variables)
    assert prove(case, CpuTarget(1)) == expected


@pytest.mark.parametrize("name", SMALL)
def test_contractions_in_chunks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However sums are cut into chunks, the proof is the same."""
    case = SMALL[name]
    expected = prove(case, cpu_target())
    monkeypatch.setattr(contract, "_MAX_TERMS", 2)
    assert prove(case, cpu_target()) == expected


@pytest.mark.parametrize("name", LARGE)
def test_two_threads_prove_the_same(name: str) -> None:
    """Tensors large enough to be split; the odd one out falls to either thread."""
    case = LARGE[name]()
    data, claims = prove(case, CpuTarget(1))
    assert prove(case, CpuTarget(2))[0] == data
    assert verify(case, data) == claims


@pytest.mark.parametrize("seed", range(5))
def test_multiplicities_vs_counter(seed: int) -> None:
    lookup = random_lookup(Random(seed))
    case = TLookupCase.random(Random(seed), (lookup,))
    arrays = [np.array(values, dtype=np.int32) for values in case.lookers[0]]
    assert multiplicities(cpu_target(), lookup, arrays).tolist() == list(case.counts[0])
