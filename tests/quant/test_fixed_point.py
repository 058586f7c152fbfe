"""Number formats against rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkbench.errors import UnusableInput
from zkbench.quant.formats import FixedPoint, QuantisationError, largest_fraction_bits

formats = st.builds(FixedPoint, st.integers(2, 53), st.integers(-60, 60), st.booleans())


def scaled(number: float, frac_bits: int) -> Fraction:
    return Fraction(number) * Fraction(2) ** frac_bits


@given(formats)
def test_bounds_vs_two_complement(number_format):
    bits = number_format.bits
    low, high = (
        (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if number_format.signed else (0, 2**bits - 1)
    )
    assert (number_format.min, number_format.max) == (low, high)


@given(formats, st.data())
def test_dequantise_then_quantise_is_identity(number_format, data):
    q = data.draw(st.integers(number_format.min, number_format.max))
    assert number_format.quantise(number_format.dequantise([q])) == [q]


@given(formats, st.floats(allow_nan=False, allow_infinity=False))
def test_quantise_vs_fractions(number_format, number):
    expected = round(scaled(number, number_format.frac_bits))  # Python rounds halves to even
    if number_format.min <= expected <= number_format.max:
        q = number_format.quantise(number)
        assert q.dtype == np.int64
        assert int(q) == expected
    else:
        with pytest.raises(QuantisationError, match="outside"):
            number_format.quantise(number)


def test_halves_go_to_the_even_neighbour():
    halves = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
    assert FixedPoint(16, 0).quantise(halves).tolist() == [-2, -2, 0, 0, 2, 2]


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_not_finite_is_refused(number):
    with pytest.raises(QuantisationError, match="weight holds NaN or infinite values"):
        FixedPoint(16, 8).quantise([0.0, number], "weight")


def test_out_of_range_names_place_value_and_range():
    message = r"input at \[1, 0\] is 3\.5, outside \[-2, 1\.99994\] \(16 bits, 14 of them fraction"
    with pytest.raises(QuantisationError, match=message):
        FixedPoint(16, 14).quantise([[1.0, -2.0], [3.5, 9.0]], "input")


def test_quantisation_error_is_unusable_input():
    assert issubclass(QuantisationError, UnusableInput)


@pytest.mark.parametrize(
    "arguments", [(0, 0), (54, 0), (16.0, 0), (16, 1.5), (True, 0), (16, 0, "yes"), ("16", 0)]
)
def test_unusable_formats_are_refused(arguments):
    with pytest.raises(QuantisationError, match="FixedPoint"):
        FixedPoint(*arguments)


@given(st.floats(min_value=5e-324, max_value=1e308), st.integers(1, 2**47))
def test_largest_fraction_bits_vs_fractions(maximum, limit):
    frac_bits = largest_fraction_bits(maximum, limit)
    assert round(scaled(maximum, frac_bits)) <= limit < round(scaled(maximum, frac_bits + 1))


def test_zero_has_no_largest_fraction_bits():
    assert largest_fraction_bits(0.0, 1) is None
