"""The Python-integer definition of each field, against galois and against the laws of a ring."""

import galois
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkbench.fields import FIELDS, GOLDILOCKS, Field

EACH_FIELD = pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
EDGES = [0, 1, 2, 2**32 - 1, 2**32, 2**63, GOLDILOCKS.modulus - 1]
words = st.one_of(st.sampled_from(EDGES), st.integers(0, GOLDILOCKS.modulus - 1))
elements = st.builds(GOLDILOCKS.element, words, words)


@pytest.fixture(scope="module")
def galois_field():
    return galois.GF(GOLDILOCKS.modulus, primitive_element=GOLDILOCKS.generator, verify=False)


def polynomial(galois_field, element):
    c0, c1 = element.coefficients
    return galois.Poly([c1, c0], field=galois_field)


def from_polynomial(polynomial):
    """c0 + c1 X; a shorter polynomial has no c1."""
    coefficients = [int(c) for c in polynomial.coefficients(order="asc")]
    return GOLDILOCKS.element(*coefficients)


@EACH_FIELD
def test_the_modulus_is_prime_vs_galois(field: Field) -> None:
    assert galois.is_prime(field.modulus)


@EACH_FIELD
def test_roots_of_unity_have_their_order(field: Field) -> None:
    for log_order in range(field.two_adicity + 1):
        root = field.root_of_unity(log_order)
        assert pow(root, 1 << log_order, field.modulus) == 1
        assert log_order == 0 or pow(root, 1 << (log_order - 1), field.modulus) == field.modulus - 1
    with pytest.raises(ValueError, match="no root of unity of order 2\\^33"):
        field.root_of_unity(field.two_adicity + 1)


@EACH_FIELD
def test_the_generator_generates_vs_galois(field: Field) -> None:
    """x^((p-1)/q) != 1 for each prime q that divides p - 1."""
    primes, _ = galois.factors(field.modulus - 1)
    assert all(pow(field.generator, (field.modulus - 1) // q, field.modulus) != 1 for q in primes)


@EACH_FIELD
def test_the_extension_is_a_field(field: Field) -> None:
    """X^2 - nonresidue is irreducible: Euler's criterion."""
    p, nonresidue = field.modulus, field.element.nonresidue
    assert pow(nonresidue, (p - 1) // 2, p) == p - 1


@pytest.mark.parametrize("a", EDGES)
@pytest.mark.parametrize("b", EDGES)
def test_base_field_vs_galois(galois_field, a: int, b: int) -> None:
    x, y = GOLDILOCKS.element(a), GOLDILOCKS.element(b)
    gx, gy = galois_field(a), galois_field(b)
    assert (x + y, x - y, x * y, -x) == (int(gx + gy), int(gx - gy), int(gx * gy), int(-gx))
    if b:
        assert x / y == int(gx / gy)


@given(elements, elements)
def test_extension_mul_vs_galois(galois_field, a, b) -> None:
    modulus = galois.Poly([1, 0, -GOLDILOCKS.element.nonresidue % GOLDILOCKS.modulus], galois_field)
    expected = (polynomial(galois_field, a) * polynomial(galois_field, b)) % modulus
    assert a * b == from_polynomial(expected)


@given(elements, elements)
def test_extension_add_and_sub_vs_galois(galois_field, a, b) -> None:
    x, y = polynomial(galois_field, a), polynomial(galois_field, b)
    assert (a + b, a - b) == (from_polynomial(x + y), from_polynomial(x - y))


@given(elements, elements, elements)
def test_ring_laws(a, b, c) -> None:
    assert (a + b) + c == a + (b + c)
    assert (a * b) * c == a * (b * c)
    assert (a + b, a * b) == (b + a, b * a)
    assert a * (b + c) == a * b + a * c
    assert (a + 0, a * 1, a * 0, a - a, -a) == (a, a, 0, 0, 0 - a)


@given(elements)
def test_inverses(a) -> None:
    if a == 0:
        with pytest.raises(ZeroDivisionError):
            a.inverse()
    else:
        assert a * a.inverse() == 1
        assert a / a == 1


@given(elements, st.integers(0, 40), st.integers(0, 40))
def test_powers(a, m: int, n: int) -> None:
    assert a**m * a**n == a ** (m + n)
    assert a**0 == 1


@given(elements, st.integers(-(2**70), 2**70))
def test_integers_act_as_base_field_elements(a, n: int) -> None:
    lifted = GOLDILOCKS.element(n)
    assert (a + n, n + a) == (a + lifted, a + lifted)
    assert (a - n, n - a) == (a - lifted, lifted - a)
    assert (a * n, n * a) == (a * lifted, a * lifted)
    assert (lifted == n, lifted == n + GOLDILOCKS.modulus, lifted == n + 1) == (True, True, False)


@given(elements, elements)
def test_equal_elements_have_equal_hashes(a, b) -> None:
    assert hash(a) == hash(GOLDILOCKS.element(*a.coefficients))
    assert (a == b) == (a.coefficients == b.coefficients)


@given(st.lists(elements, max_size=5))
def test_pack_and_unpack_round_trip(values) -> None:
    words = GOLDILOCKS.pack(values)
    assert words.dtype == np.uint64
    assert GOLDILOCKS.unpack(words) == values
    assert GOLDILOCKS.encode(values) == b"".join(
        c.to_bytes(8, "little") for value in values for c in value.coefficients
    )
