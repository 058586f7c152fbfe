"""Corners of Goldilocks' extension that neither edges of words nor random words reach."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from targets import EACH_TARGET, Machine, make_kernel

from zkbench.fields import GOLDILOCKS

WORD = 2**64


def factors_of_product_with_high_word(high: int, low_bits: int, rng: Random) -> tuple[int, int]:
    """Words whose product has this high word, and these as the three top bits of its low word."""
    start = high * WORD + (low_bits << 61)
    while True:
        a = rng.randrange(high + 1, WORD)
        b = -(-start // a)
        if b < WORD and a * b < start + (1 << 61):
            return a, b


def fixed_by_times_eight() -> list[tuple[int, int]]:
    """Products low + 2^64 high with 8 (low + 2^64 high) = high in the second word.

    7 times the product is 8 times less once; there only the borrow of the low words tells whether
    the high words borrow too.
    """
    rng, inverse_of_seven = Random(1), pow(7, -1, WORD)
    cases = [(-top * inverse_of_seven % WORD, top) for top in range(1, 7)]
    pairs = [factors_of_product_with_high_word(*case, rng) for case in cases for _ in range(10)]
    products = [a * b for a, b in pairs]
    assert all((8 * p // WORD) % WORD == p // WORD for p in products)
    assert {8 * p % WORD < p % WORD for p in products} == {False, True}
    return pairs


@EACH_TARGET
@pytest.mark.parametrize("low_coefficient", [0, 1])
def test_mul_where_sevenfold_borrows_vs_python_int(target_name: str, low_coefficient: int) -> None:
    """(s + a X) (s + b X), so that 7 a b is the part that is summed and reduced."""
    load, store, ring_mul = (getattr(GOLDILOCKS.ext, name) for name in ("load", "store", "mul"))

    def mul(i, a, b, out):
        store(out, i, ring_mul(load(a, i), load(b, i)))

    machine, pairs = Machine(target_name), fixed_by_times_eight()
    kernel = make_kernel(__file__, "sevenfold", mul)
    words = [[w for pair in pairs for w in (low_coefficient, pair[k])] for k in (0, 1)]
    arrays = [machine.target.to_device(np.array(w, dtype=np.uint64)) for w in words]
    out = machine.empty(len(pairs))
    machine.map(kernel, len(pairs), *arrays, out)
    element = GOLDILOCKS.element
    expected = [element(low_coefficient, a) * element(low_coefficient, b) for a, b in pairs]
    assert machine.get(out) == expected
