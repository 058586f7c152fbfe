"""The numbers behind the soundness terms: against codes decoded by brute force, and published ones.

Not tested here: Johnson's radius by brute force, whose bounds say nothing for codes this small.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_code import SmallCode

from zkbench.commitments.joining import _shortened
from zkbench.commitments.proximity import Radius
from zkbench.commitments.whir import Whir
from zkbench.commitments.whir_rounds import WhirRounds
from zkbench.commitments.whir_schedule import Security, inner_bytes, opening_bytes, schedule
from zkbench.fields import GOLDILOCKS as FIELD

LONG, SHORT = SmallCode(17, 8, 4), SmallCode(17, 4, 2)


def _stretched(words: np.ndarray, times: int) -> np.ndarray:
    """u(x^times) over a domain that is ``times`` as long, points in natural order."""
    return np.tile(words, times)


def test_a_stretched_word_is_near_exactly_if_the_short_one_is():
    """All words of the short code's length (the argument of ``joining``)."""
    words = np.stack(np.meshgrid(*[np.arange(17)] * 4), axis=-1).reshape(-1, 4)
    assert [LONG.points[2 * i] for i in range(4)] == SHORT.points
    near = SHORT.near(words)
    assert (LONG.near(_stretched(words, 2)) == near).all()
    assert 17**2 < near.sum() < len(words)


def test_codewords_of_a_short_code_stretched():
    """L(X^2) has the coefficients of L at even places, and stands for twice as many leaves."""
    coefficients = np.random.default_rng(1).integers(0, 17, (50, 2))
    spread = np.zeros((50, 4), dtype=np.int64)
    spread[:, ::2] = coefficients
    assert (LONG.encode(spread) == _stretched(SHORT.encode(coefficients), 2)).all()


BIG = SmallCode(41, 8, 4)
BIG_SHORT = SmallCode(41, 4, 2)


def _line(u0: np.ndarray, u1: np.ndarray) -> np.ndarray:
    return (u0 + np.arange(BIG.prime)[:, None] * u1) % BIG.prime


def _random_word(rng: np.random.Generator, code: SmallCode, errors: int) -> np.ndarray:
    word = code.encode(rng.integers(0, code.prime, code.size))
    places = rng.permutation(code.length)[:errors]
    word[places] = rng.integers(0, code.prime, errors)
    return word


def _correlated(u0: np.ndarray, u1: np.ndarray) -> bool:
    """Whether codewords agree with both on the same length - radius places: by all of their lines.

    If so, every combination is near; if not, at most ``bad_challenges`` are.
    """
    return bool(BIG.near(_line(u0, u1)).all())


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 8), st.integers(0, 8), st.booleans())
def test_few_challenges_bring_far_words_near(seed, errors, others, stretched):
    """One folding step; with ``stretched``, of a long and a short word, as commitments are joined."""
    rng = np.random.default_rng(seed)
    u0 = _random_word(rng, BIG, errors)
    u1 = _random_word(rng, BIG, others)
    if stretched:
        u1 = _stretched(_random_word(rng, BIG_SHORT, others // 2), 2)
    count = int(BIG.near(_line(u0, u1)).sum())
    assert _correlated(u0, u1) or count <= Radius(1).bad_challenges(3)


def test_some_challenges_do_bring_far_words_near():
    """Three errors, one of which each of three challenges takes away: the error term is real."""
    u0, u1 = np.zeros(8, dtype=np.int64), np.zeros(8, dtype=np.int64)
    u1[:3], u0[:3] = 1, [-5, -6, -7]
    near = BIG.near(_line(u0, u1))
    assert not _correlated(u0, u1)
    assert sorted(np.flatnonzero(near)) == [5, 6, 7]


def test_unique_decoding_leaves_one_codeword():
    """1 - radius is the most that any two codewords, or a far word and a codeword, can share."""
    words = np.random.default_rng(2).integers(0, 17, (200, 8))
    codewords = LONG.encode(np.stack(np.meshgrid(*[np.arange(17)] * 4), axis=-1).reshape(-1, 4))
    agreement = 2.0 ** -Radius(1).bits_a_query * LONG.length
    for word, near in zip(words, LONG.near(words), strict=True):
        shared = (codewords == word).sum(axis=1)
        assert (shared >= agreement).sum() == int(near)


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_leaves_of_the_short_tree_answer_for_those_of_the_long_one(delay):
    """A leaf's point to the power 2^delay is that of the leaf that answers; all are drawn alike."""
    log_length = 6
    rounds = WhirRounds(FIELD, schedule(Security(FIELD, 20, 0, False), 4, 2, 2), 0)
    indices = list(range(1 << log_length))
    long = rounds._domain_points(indices, log_length)
    own = [_shortened([index], delay)[0] for index in indices]
    short = rounds._domain_points(own, log_length - delay)
    assert [pow(x, 1 << delay, FIELD.modulus) for x in long] == short
    assert set(np.bincount(own)) == {1 << delay}


# Published figures (P 3.4, 3.6; 128-bit E, 100 bits a term, 20 of them by work).


@pytest.mark.parametrize(
    ("log_inv_rate", "unique", "listed"),
    [
        *[(1, 0.415, 0.430), (2, 0.678, 0.930), (3, 0.830, 1.430), (4, 0.913, 1.930)],
        *[(5, 0.956, 2.430), (6, 0.978, 2.930), (8, 0.994, 3.930)],
    ],
)
def test_bits_a_query_vs_published_table(log_inv_rate, unique, listed):
    assert Radius(log_inv_rate).bits_a_query == pytest.approx(unique, abs=6e-4)
    assert Radius(log_inv_rate, 10).bits_a_query == pytest.approx(listed, abs=6e-4)


@pytest.mark.parametrize(
    ("log_inv_rate", "multiplicity", "log_length", "published"), [(2, 10, 26, 82.6), (4, 8, 24, 83)]
)
def test_folding_bits_vs_published_ones(log_inv_rate, multiplicity, log_length, published):
    bad = Radius(log_inv_rate, multiplicity).bad_challenges(log_length)
    assert 128 - np.log2(bad) == pytest.approx(published, abs=0.3)


@pytest.mark.parametrize(("log_rows", "published"), [(24, 99.7), (26, 98)])
def test_column_proximity_vs_published_bits(log_rows, published):
    """2^34 values: log2(M) challenges, each with a codeword's length of bad values."""
    bad = (34 - log_rows) * Radius(1).bad_challenges(log_rows + 1)
    assert 128 - np.log2(bad) == pytest.approx(published, abs=0.05)


@pytest.mark.parametrize(("is_johnson", "kibibytes"), [(False, 256), (True, 135)])
def test_bytes_of_the_rounds_vs_published_table(is_johnson, kibibytes):
    run = schedule(Security(FIELD, 100, 20, is_johnson), 24, 1, 4)
    assert inner_bytes(run) / 1024 == pytest.approx(kibibytes, rel=0.06)


@pytest.mark.parametrize(
    ("log_values", "published"),
    [
        (30, {22: 719, 24: 464, 25: 474, 26: 471}),
        (32, {22: 1889, 24: 757, 25: 621, 26: 544}),
        (34, {24: 1927, 25: 1206, 26: 836}),
    ],
)
def test_bytes_of_a_proof_vs_published_table(log_values, published):
    """The table takes one round more where k is not 24, which costs it up to 45 KiB."""
    for log_rows, kibibytes in published.items():
        scheme = Whir(security_bits=100, log_rows=log_rows)
        size = scheme._opening_bytes(1 << log_values, log_rows) / 1024
        least = kibibytes - (10 if log_rows == 24 else 46)
        assert least <= size <= kibibytes, log_rows
    assert opening_bytes(193, 25, 8) == 193 * (8 + 32 * (25 + 1 - 8))
