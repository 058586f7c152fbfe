"""Every soundness term against its formula, written down once more (P 3.4)."""

from __future__ import annotations

from math import ceil, log2, sqrt

import pytest

from zkbench.commitments.ligero import Ligero
from zkbench.commitments.proximity import johnson
from zkbench.commitments.whir import Whir
from zkbench.commitments.whir_schedule import Round
from zkbench.fields import GOLDILOCKS as FIELD

BITS = 2 * log2(FIELD.modulus)  # of |E|
SIZES = {"weights": (3 << 24, 50), "witness": (3 << 12, 21), "pushed": (1 << 17, 4)}
# 104 bits need no work beyond the unique decoding radius; 118 and 120 need some everywhere.
SCHEMES = [
    Whir(),
    Whir(johnson=True),
    Whir(security_bits=118, johnson=True, log_fold=3),
    Whir(security_bits=120, log_inv_rate=2),
]


def _work(scheme: Whir, bits: float) -> int:
    return max(0, ceil(scheme.security_bits - bits))


def _listed(entry: Round) -> tuple[float, float, float]:
    """(agreement of words outside the radius, list size, bad challenges of one folding step)."""
    rate, length = 2.0**-entry.radius.log_inv_rate, 2.0**entry.log_length
    if entry.radius.multiplicity is None:
        return (1 + rate) / 2, 1, length
    m = entry.radius.multiplicity
    agreement, size = sqrt(rate) * (1 + 1 / (2 * m)), (m + 0.5) / sqrt(rate)
    powers = 2 * (m + 0.5) ** 5 + 3 * (m + 0.5) * (1 - agreement) * rate
    return agreement, size, powers / (3 * rate**1.5) * length + size


def _rounds(scheme: Whir, log_size: int) -> dict[str, float]:
    run, terms = scheme.schedule(log_size), {}
    rate, work = 2.0**-scheme.log_inv_rate, scheme.grinding_bits
    terms["queries"] = -run.queries * log2((1 + rate) / 2) + work
    asked = run.queries
    for k, entry in enumerate(run.rounds):
        agreement, size, bad = _listed(entry)
        terms[f"constraint combination {k}"] = BITS - log2((asked + entry.out_of_domain) * size)
        folding = BITS - log2(entry.log_fold * (bad + 2 * size))
        assert entry.folding_work == _work(scheme, folding)
        terms[f"folding {k}"] = folding + entry.folding_work
        terms[f"queries {k}"] = -entry.queries * log2(agreement) + work
        if entry.radius.multiplicity is not None:
            collisions = log2(size * (size - 1) / 2)
            samples = entry.out_of_domain * (BITS - entry.log_size)
            terms[f"out-of-domain samples {k}"] = samples - collisions
        asked = entry.queries
    return terms


def _variables(count: int) -> int:
    return ceil(log2(count))


def _reduction(scheme: Whir | Ligero, columns: int, values: int, claims: int) -> dict[str, float]:
    length = 2.0 ** scheme.code(values).log_length
    proximity = BITS - log2(_variables(columns) * length)
    if isinstance(scheme, Whir):
        proximity += _work(scheme, proximity)
    return {
        "claim combination": BITS - log2(claims - 1),
        "unification sumcheck": BITS - log2(2 * _variables(values)),
        "column proximity": proximity,
        "column values": BITS - log2(_variables(columns)),
    }


@pytest.mark.parametrize("scheme", SCHEMES)
def test_terms_of_an_opening_vs_formulas(scheme):
    codes = {name: scheme.code(values) for name, (values, _) in SIZES.items()}
    log_size = max(code.log_rows for code in codes.values())
    expected = {f"opening: {k}": v for k, v in _rounds(scheme, log_size).items()}
    proximity = BITS - log2(2 * 2.0 ** (log_size + scheme.log_inv_rate))  # tau: two challenges
    expected |= {
        "opening: claim joining": BITS - log2(2),
        "opening: joining sumcheck": BITS - log2(2 * log_size),
        "opening: commitment proximity": proximity + _work(scheme, proximity),
        "opening: joined values": BITS - log2(2),
    }
    for name, (values, claims) in SIZES.items():
        columns = -(-values >> codes[name].log_rows)
        terms = _reduction(scheme, columns, values, claims)
        expected |= {f"{name} opening: {term}": bits for term, bits in terms.items()}
    terms = scheme.opening_terms(SIZES)
    assert dict(terms) == pytest.approx(expected, abs=1e-6)
    assert len(terms) == len(expected)
    assert len(scheme.schedule(log_size).rounds) > 1


@pytest.mark.parametrize("scheme", SCHEMES)
def test_terms_of_one_commitment_vs_formulas(scheme):
    """There is nothing to join; one column has nothing to be combined with."""
    for values in (1 << 26, 3 << 12, 1):
        code = scheme.code(values)
        columns = -(-values >> code.log_rows)
        expected = _rounds(scheme, code.log_rows)
        if columns > 1:
            expected |= _reduction(scheme, columns, values, 7)
            assert dict(scheme.soundness_terms(values, 7)) == pytest.approx(expected, abs=1e-6)
        else:
            names = {"claim combination", "unification sumcheck"}
            assert set(dict(scheme.soundness_terms(values, 7))) == {*expected, *names}


def test_terms_of_ligero_vs_formulas():
    scheme = Ligero()
    for name, (values, claims) in SIZES.items():
        columns = -(-values >> scheme.code(values).log_rows)
        expected = _reduction(scheme, columns, values, claims)
        expected["queries"] = -scheme.queries * log2(3 / 4) + 20
        got = dict(scheme.soundness_terms(values, claims))
        assert got == pytest.approx(expected, abs=1e-6)
        opened = dict(scheme.opening_terms(SIZES))
        assert {k: opened[f"{name} opening: {k}"] for k in got} == got


@pytest.mark.parametrize("bits", [1, 10, 40, 84, 100])
@pytest.mark.parametrize("log_inv_rate", [1, 2, 4, 8])
def test_multiplicities_are_those_that_the_theorem_allows(bits, log_inv_rate):
    radius = johnson(log_inv_rate, bits)
    assert radius.multiplicity is not None
    assert radius.multiplicity >= 3
    assert radius.queries(bits) * radius.bits_a_query >= bits
