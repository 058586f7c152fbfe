"""Encoding against its definition: evaluation of a polynomial at every root of unity."""

from __future__ import annotations

import numpy as np
import pytest

from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels.launch import CpuTarget
from zkbench.kernels.ntt import bit_reverse, encode

P = FIELD.modulus


def _evaluations(coefficients: list, log_size: int) -> list:
    """Values at all roots of order 2^log_size, in bit-reversed order."""
    root, values = FIELD.root_of_unity(log_size), []
    for i in range(1 << log_size):
        x, value = pow(root, bit_reverse(i, log_size), P), coefficients[0] * 0
        for coefficient in reversed(coefficients):
            value = value * x + coefficient
        values.append(value if isinstance(value, FIELD.element) else value % P)
    return values


def _columns(values: list, count: int, size: int) -> list[list]:
    padded = values + [values[0] * 0] * (count * size - len(values))
    return [padded[c * size : (c + 1) * size] for c in range(count)]


@pytest.fixture(params=["whole", "passes"])
def strategy(request) -> CpuTarget:
    """A CPU that has enough columns for its threads, and one that never has."""
    target = CpuTarget(2)
    target.parallel_items = 1 if request.param == "whole" else 1 << 40
    return target


@pytest.mark.parametrize("log_rows", range(8))
@pytest.mark.parametrize("log_inv_rate", [0, 1, 2])
def test_encode_integers_vs_python_int(strategy, log_rows, log_inv_rate):
    rng = np.random.default_rng(log_rows)
    size, log_size = 1 << log_rows, log_rows + log_inv_rate
    source = rng.integers(-(2**15), 2**15, 3 * size - size // 3).astype(np.int16)
    stride = (1 << log_size) + 8
    shape = (source.size, 3, log_rows, log_inv_rate)
    codeword = encode(strategy, FIELD, source, *shape, stride=stride)
    for c, column in enumerate(_columns([int(v) for v in source], 3, size)):
        got = codeword[c * stride : c * stride + (1 << log_size)].tolist()
        assert got == _evaluations(column, log_size)


@pytest.mark.parametrize("log_rows", [1, 2, 3, 5, 6, 7])
def test_encode_any_representative_vs_python_int(strategy, log_rows):
    edges = [0, 1, P - 1, P, P + 1, 2**32 - 1, 2**32, 2**64 - 1, 2**64 - 2**32, 2**63]
    words = [edges[(3 * i + i // 7) % len(edges)] for i in range(2 << log_rows)]
    codeword = encode(strategy, FIELD, np.array(words, np.uint64), len(words), 2, log_rows, 1)
    expected = [v for c in _columns(words, 2, 1 << log_rows) for v in _evaluations(c, log_rows + 1)]
    assert codeword.tolist() == expected


@pytest.mark.parametrize("log_rows", [0, 2, 4, 6])
def test_encode_extension_vs_python_int(strategy, log_rows):
    rng = np.random.default_rng(7)
    words = rng.integers(0, 2**63, 2 << log_rows, dtype=np.uint64)
    codeword = encode(strategy, FIELD, words, 1 << log_rows, 1, log_rows, 1, extension=True)
    assert FIELD.unpack(codeword) == _evaluations(FIELD.unpack(words), log_rows + 1)


def test_encode_vs_galois(strategy):
    galois = pytest.importorskip("galois", reason="galois is the independent oracle of this test")
    rng = np.random.default_rng(5)
    log_rows = 9
    words = rng.integers(0, P, 1 << log_rows, dtype=np.uint64)
    codeword = encode(strategy, FIELD, words, words.size, 1, log_rows, 1)
    prime_field = galois.GF(P, primitive_element=FIELD.generator, verify=False)
    polynomial = galois.Poly(prime_field([int(w) for w in words[::-1]]))
    root = FIELD.root_of_unity(log_rows + 1)
    points = [pow(root, bit_reverse(i, log_rows + 1), P) for i in range(0, 2 << log_rows, 37)]
    assert [int(v) for v in polynomial(prime_field(points))] == codeword[::37].tolist()
