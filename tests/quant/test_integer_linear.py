"""The integer linear layer against Python integers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from zkbench.quant import linear

INT16 = st.integers(-(2**15), 2**15 - 1)
EDGES = st.one_of(INT16, st.sampled_from([-(2**15), 2**15 - 1, 0, 1, -1]))


def product_in_python(x, weight):
    return [
        [
            sum(a * b for a, b in zip(row, column, strict=True))
            for column in zip(*weight, strict=True)
        ]
        for row in x
    ]


@pytest.mark.parametrize("float_limit", [2**53, 0], ids=["float64", "int64"])
@settings(max_examples=60, deadline=None)
@given(shape=st.tuples(*[st.integers(1, 7)] * 3), data=st.data())
def test_exact_product_vs_python_int(float_limit, shape, data):
    batch, d_in, d_out = shape
    x = data.draw(hnp.arrays(np.int16, (batch, d_in), elements=EDGES))
    weight = data.draw(hnp.arrays(np.int16, (d_in, d_out), elements=EDGES))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear, "FLOAT64_EXACT", float_limit)
        product = linear.exact_product(x, weight)
    assert product.dtype == np.int64
    assert product.tolist() == product_in_python(x.tolist(), weight.tolist())


@pytest.mark.parametrize("d_in", [2**16 + 1, 2**23 + 1])
def test_extreme_products_are_exact_on_both_sides_of_the_float64_limit(d_in):
    x = np.full((1, d_in), -(2**15), np.int16)
    weight = np.full((d_in, 1), -(2**15), np.int16)
    x[0, 0] = weight[0, 0] = 1  # an odd sum: rounding to 53 bits would lose the last bit
    assert linear.exact_product(x, weight).tolist() == [[2**30 * (d_in - 1) + 1]]


@given(st.integers(1, 16), st.lists(st.integers(-(2**47), 2**47), min_size=1))
def test_rescale_vs_python_int(shift, accumulators):
    quotients, remainders = linear.rescale(np.array(accumulators, np.int64), shift)
    assert quotients.dtype == np.int64
    assert remainders.dtype == np.uint16
    expected = [divmod(acc + 2 ** (shift - 1), 2**shift) for acc in accumulators]
    assert list(zip(quotients.tolist(), remainders.tolist(), strict=True)) == expected
