"""The integer RMSNorm against Python integers and against floats, and what it refuses."""

from __future__ import annotations

from math import isqrt
from random import Random

import numpy as np
import pytest

from zkbench.protocols.norm_limbs import LIMBS
from zkbench.quant.formats import QuantisationError
from zkbench.quant.rms_norm import IntegerRMSNorm, RMSNormTrace


def numbers(trace: RMSNormTrace, bits: int = 16) -> dict[str, list[int]]:
    """sq, r, d, e, m, f of every row, from their limbs."""
    limbs = dict(zip(LIMBS, trace.limbs.astype(object), strict=True))
    limbs |= {"sq_high": trace.sq_high.astype(object), "r_high": trace.r_high.astype(object)}
    return {
        name: list((limbs[f"{name}_low"] + limbs[f"{name}_high"] * 2**bits).reshape(-1))
        for name in ("sq", "r", "d", "e", "m", "f")
    }


def assert_is_norm(x: np.ndarray, trace: RMSNormTrace, epsilon: int, bits: int = 16) -> None:
    rows = x.reshape(-1, x.shape[-1]).tolist()
    found, sums = numbers(trace, bits), trace.sums.reshape(-1).tolist()
    outputs, remainders = trace.outputs.reshape(-1).tolist(), trace.remainders.reshape(-1).tolist()
    for k, row in enumerate(rows):
        ss = epsilon + sum(v * v for v in row)
        sq = isqrt(ss)
        r = 2 ** (2 * bits - 1) // sq
        m = 2 ** (2 * bits - 1) - r * sq
        expected = [sq, r, ss - sq * sq, 2 * sq - (ss - sq * sq), m, sq - 1 - m]
        assert [found[name][k] for name in ("sq", "r", "d", "e", "m", "f")] == expected
        assert sums[k] == ss
        for j, v in enumerate(row):
            acc = v * r + 2 ** (bits - 1)
            assert outputs[k * len(row) + j] == acc >> bits
            assert remainders[k * len(row) + j] == acc % 2**bits


@pytest.mark.parametrize("log_size", [0, 3, 11, 19])
@pytest.mark.parametrize("width", [3, 8, 77])
def test_norm_vs_python_int(log_size: int, width: int) -> None:
    rng = Random(f"{log_size} {width}")
    x = [rng.randint(-(1 << log_size), 1 << log_size) for _ in range(2 * 3 * width)]
    array = np.array(x, dtype=np.int64).reshape(2, 3, 1, width)
    epsilon = 1 << 18  # large, so that no small entry is all of its row's norm
    trace = IntegerRMSNorm(epsilon).forward(array)
    assert_is_norm(array, trace, epsilon)
    assert trace.limbs.shape == (10, 2, 3, 1)


@pytest.mark.parametrize("root", [2, 3, 2**12, 2**16 - 1, 2**16, 2**23 + 1, 2**24 - 1])
def test_roots_at_squares_vs_isqrt(root: int) -> None:
    """Sums right below, at and above a square, made by epsilon."""
    for ss in (root * root, root * root + 1, (root + 1) ** 2 - 1):
        zeros = np.zeros((1, 1, 2), dtype=np.int32)
        assert_is_norm(zeros, IntegerRMSNorm(ss).forward(zeros), ss)


def test_a_norm_is_near_that_of_floats() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, 4, 512)) * 2**14
    integers = np.rint(x).astype(np.int32)
    trace = IntegerRMSNorm(2**20).forward(integers)
    expected = x / np.sqrt((x**2).sum(-1, keepdims=True) + 2**20)
    # r has 2^31 / sq, about 2^12.5, so a relative error of 2^-12.5; y rounds to 2^-16
    assert np.abs(trace.outputs / 2**15 - expected).max() < np.abs(expected).max() * 2**-12 + 2**-16


def test_rows_that_are_all_zero() -> None:
    trace = IntegerRMSNorm(4).forward(np.zeros((1, 3, 5), dtype=np.int32))
    assert numbers(trace)["r"] == [2**30] * 3
    assert not trace.outputs.any()


@pytest.mark.parametrize(
    ("x", "reason"),
    [
        ([2**24 - 1, 5793], "norm of layer 1: a root is 16777216, outside [2, 16777215]"),
        ([2**24, 0], "norm of layer 1: an input is 16777216, outside [-16777215, 16777215]"),
        ([-(2**24), 0], "norm of layer 1: an input is -16777216, outside [-16777215, 16777215]"),
        ([2**10, 0], "norm of layer 1: an output is 32768, outside [-32768, 32767]"),
    ],
)
def test_what_does_not_fit_is_refused(x: list[int], reason: str) -> None:
    array = np.array([[[1, 1]], [x]], dtype=np.int64)
    with pytest.raises(QuantisationError) as error:
        IntegerRMSNorm(8).forward(array)
    assert str(error.value) == f"{reason}; recalibrate or widen"
