"""Entrywise products of integers: byte for byte the proofs that tables of E give."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from cases.case import FIELD, Shape, changed, draw_points, prove, reason_of_rejection, verify
from cases.entrywise import EntrywiseCase
from cases.everything import SHAPES, random_shape

from zkbench.kernels.launch import CpuTarget, cpu_target
from zkbench.protocols import integer_products, statements
from zkbench.protocols.integer_products import IntegerProductStatement, product_statement
from zkbench.protocols.statements import ProductStatement
from zkbench.protocols.sumcheck import Axis
from zkbench.transcript import ProverTranscript

# Last axes that end before tables are stored, at that very round, and later; odd ones.
LONGER: list[Shape] = [
    (9,),
    (3, 8),
    (5, 7),
    (2, 16),
    (2, 17),
    (1, 33),
    (3, 100),
    (2, 3, 21),
    (7, 1),
]
EACH_SHAPE = pytest.mark.parametrize("shape", [*SHAPES, *LONGER], ids=str)
INT16 = ("int16", "int16")


def assert_same_proof(case: EntrywiseCase) -> None:
    proof, claims = prove(case, cpu_target())
    assert proof == prove(case.lifted, cpu_target())[0]
    assert verify(case, proof) == claims


@pytest.mark.parametrize("tail_variables", [-1, 0, 2, 10])
@EACH_SHAPE
def test_the_proof_is_that_of_lifted_tables(
    shape: Shape, tail_variables: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "_TAIL_VARIABLES", tail_variables)
    assert_same_proof(EntrywiseCase.of(Random(str(shape)), shape))


@pytest.mark.parametrize("unstored", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("shape", LONGER, ids=str)
def test_the_proof_does_not_depend_on_when_tables_are_stored(
    shape: Shape, unstored: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "_TAIL_VARIABLES", -1)
    monkeypatch.setattr(integer_products, "_UNSTORED", unstored)
    assert_same_proof(EntrywiseCase.of(Random(str(shape)), shape))


@pytest.mark.parametrize(
    "dtypes",
    [
        ("uint16", "uint16"),
        ("int16", "uint16"),
        ("int8", "int32"),
        ("int32", "int32"),
        ("int16", "uint16", "int32"),
    ],
    ids=str,
)
def test_integers_of_any_type(dtypes: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Three factors too, which are lifted."""
    monkeypatch.setattr(statements, "_TAIL_VARIABLES", -1)
    assert_same_proof(EntrywiseCase.of(Random(str(dtypes)), (3, 37), dtypes))


@pytest.mark.parametrize("seed", range(20))
def test_random_shapes(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = Random(seed)
    monkeypatch.setattr(statements, "_TAIL_VARIABLES", rng.choice([-1, 1, 10]))
    assert_same_proof(EntrywiseCase.of(rng, random_shape(rng)))


def test_two_threads_prove_the_same() -> None:
    case = EntrywiseCase.of(Random(1), (3, 7001))
    data = prove(case.lifted, CpuTarget(1))[0]
    assert prove(case, CpuTarget(1))[0] == prove(case, CpuTarget(2))[0] == data


class Allocations(CpuTarget):
    """Notes the longest array of words that it is asked for."""

    longest = 0

    def empty(self, length: int, dtype: Any = np.uint64) -> Any:
        self.longest = max(self.longest, length)
        return super().empty(length, dtype)


def test_no_table_of_their_length_is_stored() -> None:
    shape, target = (50, 4096), Allocations()
    points = draw_points(ProverTranscript(FIELD, {}), shape)
    axes = [Axis(n, point) for n, point in zip(shape, points, strict=True)]
    tables = [np.ones(50 * 4096, dtype=np.int16)] * 2
    statement = IntegerProductStatement(target, FIELD, tables, axes)
    for challenge in (None, *map(FIELD.element, range(2, 6))):
        statement.round(challenge)
    assert target.longest == 2 * 50 * 4096 // 8


def test_only_integers_are_taken_for_integers() -> None:
    axes = [Axis(3, (FIELD.element(5), FIELD.element(6)))]
    integers = np.ones(3, dtype=np.int16)
    words = FIELD.lift(integers)
    target = cpu_target()
    assert type(product_statement(target, FIELD, [integers] * 2, axes)) is IntegerProductStatement
    for tables in ([words, words], [words, integers], [integers] * 3):
        statement = product_statement(target, FIELD, tables, axes)
        assert type(statement) is ProductStatement
        assert all((table == words).all() for table in statement.tables)


# Provers that are honest but for one stated lie.


@pytest.mark.parametrize("index", [0, 50, 110])
@pytest.mark.parametrize("by", [1, -1, 1 << 32])
def test_a_wrong_product(index: int, by: int) -> None:
    case = EntrywiseCase.of(Random(8), (3, 37))
    prover = EntrywiseCase(**{**vars(case), "result": changed(case.result, index, by)})
    assert reason_of_rejection(prover) == "an entrywise product is wrong"


@pytest.mark.parametrize("factor", [0, 1])
@pytest.mark.parametrize("index", [0, 36, 110])
def test_a_factor_that_is_not_the_committed_one(factor: int, index: int) -> None:
    """The product is right of the committed factors, or of the ones that were multiplied."""
    case = EntrywiseCase.of(Random(9), (3, 37))
    other = (case.integers[factor][index] + 1) % 1000
    prover = case.with_integer(factor, index, other)
    assert reason_of_rejection(prover) == "an entrywise product is wrong"
    product = other * case.integers[1 - factor][index]
    result = list(case.result)
    result[index] = FIELD.element(product)
    fitted = EntrywiseCase(**{**vars(prover), "result": tuple(result)})
    assert reason_of_rejection(fitted) == "the claim on a factor is false"
