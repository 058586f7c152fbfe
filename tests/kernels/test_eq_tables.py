"""Tables of eq and sums over them, against the product formula in Python integers."""

from random import Random

import pytest
from definitions import eq_weights, outer, random_elements, total
from targets import EACH_TARGET, Machine

from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels import eq
from zkbench.kernels.launch import CpuTarget

# (variables, length): whole and truncated tables; the last two are outer products of two tables.
SIZES = [(0, 1), (1, 1), (1, 2), (3, 5), (4, 16), (12, 4096), (13, 4097)]


@EACH_TARGET
@pytest.mark.parametrize(("variables", "length"), SIZES)
def test_eq_table_vs_python_int(target_name: str, variables: int, length: int) -> None:
    machine = Machine(target_name)
    point = random_elements(FIELD, Random(length), variables)
    table = machine.get(eq.eq_table(machine.target, FIELD, point, length))
    assert table == eq_weights(point)[:length]


@EACH_TARGET
def test_eq_table_at_corners_vs_python_int(target_name: str) -> None:
    """At a point of the cube the table is an indicator."""
    machine = Machine(target_name)
    point = [FIELD.element(bit) for bit in (1, 0, 1)]
    table = machine.get(eq.eq_table(machine.target, FIELD, point, 8))
    assert table == [int(i == 0b101) for i in range(8)]


@EACH_TARGET
@pytest.mark.parametrize("variables", [0, 1, 5])
def test_suffix_tables_vs_python_int(target_name: str, variables: int) -> None:
    machine = Machine(target_name)
    point = random_elements(FIELD, Random(variables), variables)
    tables = machine.get(eq.suffix_tables(machine.target, FIELD, tuple(point)))
    for t in range(variables):
        assert tables[1 << t : 2 << t] == eq_weights(point[variables - t :])


@EACH_TARGET
@pytest.mark.parametrize("length", [1, 7, 15])
def test_outer_product_vs_python_int(target_name: str, length: int) -> None:
    machine, rng = Machine(target_name), Random(length)
    high, low = random_elements(FIELD, rng, 3), random_elements(FIELD, rng, 5)
    table = eq.outer_product(
        machine.target, FIELD, machine.put(high), 3, machine.put(low), 5, length
    )
    assert machine.get(table) == outer([high, low])[:length]


@pytest.mark.parametrize("variables", [0, 1, 2, 4])
def test_eq_at_vs_python_int(variables: int) -> None:
    point = random_elements(FIELD, Random(variables), variables)
    assert [eq.eq_at(point, i) for i in range(1 << variables)] == eq_weights(point)


@pytest.mark.parametrize("variables", [0, 1, 2, 4])
def test_truncated_eq_vs_python_int(variables: int) -> None:
    """Every length, 0 and the whole cube included; with one point and with two."""
    rng = Random(variables)
    a, b = random_elements(FIELD, rng, variables), random_elements(FIELD, rng, variables)
    products = [x * y for x, y in zip(eq_weights(a), eq_weights(b), strict=True)]
    for length in range((1 << variables) + 1):
        assert eq.truncated_eq(a, None, length) == total(eq_weights(a)[:length])
        assert eq.truncated_eq(a, b, length) == total(products[:length])


@pytest.mark.parametrize("variables", [0, 1, 2, 4])
def test_suffix_masses_vs_python_int(variables: int) -> None:
    """Every length: the table whose lowest variables are bound, one after the other."""
    point = random_elements(FIELD, Random(variables), variables)
    for length in range(1, (1 << variables) + 1):
        masses = eq.suffix_masses(point, length)
        assert len(masses) == variables + 1
        for bound in range(variables + 1):
            left = eq_weights(point[bound:])[: -(-length >> bound)]
            assert masses[variables - bound] == total(left)


@pytest.mark.parametrize(("variables", "length"), SIZES)
def test_shared_table_vs_python_int(variables: int, length: int) -> None:
    """Short ones are made once for each target, point and length."""
    first, second = CpuTarget(1), CpuTarget(1)
    points = [tuple(random_elements(FIELD, Random(seed), variables)) for seed in (1, 2)]
    for target in (first, second, first):
        for point in points:
            table = eq.shared_table(target, FIELD, point, length)
            assert FIELD.unpack(table) == eq_weights(point)[:length]
    again = eq.shared_table(first, FIELD, points[0], length)
    assert (again is eq.shared_table(first, FIELD, points[0], length)) == (variables <= 11)
    assert again is not eq.shared_table(second, FIELD, points[0], length)
