"""One battery over fields x kinds of element x targets: scalar functions against Python integers.

Inputs are raw words, so every representative of an element is tried, not only the reduced one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import product
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from targets import EACH_TARGET, assert_ran_on, get_target, make_kernel

from zkbench.fields import FIELDS, Field
from zkbench.fields.field import Arithmetic

WORD = 2**64
INT64_EDGES = [0, 1, -1, 2, -2, 2**31, -(2**31), 2**32, -(2**32), 2**63 - 1, -(2**63)]
INT32_EDGES = [0, 1, -1, 2, -2, 2**15, -(2**15), 2**16, 2**31 - 1, -(2**31)]
NUM_RANDOM = 2000

KINDS = [(field, kind) for field in FIELDS.values() for kind in ("base", "ext")]
EACH_KIND = pytest.mark.parametrize(
    ("field", "kind"), KINDS, ids=[f"{field.name}-{kind}" for field, kind in KINDS]
)


def word_edges(modulus: int) -> list[int]:
    """Words around which carries and reductions happen."""
    centres = [0, 2**32 - 1, 2**32, 2**63, modulus, WORD - 1]
    return sorted({c + d for c in centres for d in (-2, -1, 0, 1, 2) if 0 <= c + d < WORD})


def redundant_words(modulus: int) -> list[int]:
    """The second representative of small numbers, and of the largest that have one."""
    last = WORD - 1 - modulus
    return [modulus + k for k in (*range(20), *range(last - 4, last + 1))]


class Kind:
    """One kind of element: raw words <-> Python elements, and pairs of operands to try."""

    def __init__(self, field: Field, kind: str) -> None:
        self.field, self.ring = field, getattr(field, kind)
        self.limbs = self.ring.limbs
        self.rng = Random(f"{field.name} {kind}")

    def elements(self, words: np.ndarray) -> list[Any]:
        rows = words.reshape(-1, self.limbs).tolist()
        return [self.field.element(*row) for row in rows]

    def random_words(self, count: int) -> np.ndarray:
        return np.array(
            [self.rng.randrange(WORD) for _ in range(count * self.limbs)], dtype=np.uint64
        )

    def operands(self) -> np.ndarray:
        """Single elements: every limb takes every edge."""
        edges = word_edges(self.field.modulus) + redundant_words(self.field.modulus)
        columns = product(edges, repeat=self.limbs)
        rows = np.array(list(columns), dtype=np.uint64).reshape(-1)
        return np.concatenate([rows, self.random_words(NUM_RANDOM)])

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """All pairs of edges of a base element; of the sharpest edges in each limb of others."""
        p = self.field.modulus
        edges = word_edges(p) + redundant_words(p)
        if self.limbs > 1:
            edges = [0, 1, p - 1, p, p + 1, 2**32 - 1, 2**32, WORD - 1]
        rows = np.array(list(product(edges, repeat=2 * self.limbs)), dtype=np.uint64)
        a, b = rows[:, : self.limbs].reshape(-1), rows[:, self.limbs :].reshape(-1)
        return tuple(np.concatenate([x, self.random_words(NUM_RANDOM)]) for x in (a, b))


@cache
def kind_of(field: Field, kind: str) -> Kind:
    return Kind(field, kind)


@cache
def kernels(field: Field, kind: str) -> SimpleNamespace:
    """A map kernel for every function of the ring."""
    ring: Arithmetic = getattr(field, kind)
    bodies = {**_binary(ring), **_unary(ring), **_with_integers(ring)}
    return SimpleNamespace(
        **{
            name: make_kernel(__file__, f"{name}.{ring.name}", body)
            for name, body in bodies.items()
        }
    )


def _binary(ring: Arithmetic) -> dict[str, Callable]:
    load, store, one = ring.load, ring.store, ring.one
    ring_add, ring_sub, ring_mul, ring_mul_base = ring.add, ring.sub, ring.mul, ring.mul_base

    def add(i, a, b, out):
        store(out, i, ring_add(load(a, i), load(b, i)))

    def sub(i, a, b, out):
        store(out, i, ring_sub(load(a, i), load(b, i)))

    def mul(i, a, b, out):
        store(out, i, ring_mul(load(a, i), load(b, i)))

    def mul_base(i, a, b, out):
        store(out, i, ring_mul_base(load(a, i), b[i]))

    def expression(i, a, b, out):
        """(a + b) (a - b) - (a b - 1): operands that are results, in whatever form these come."""
        x, y = load(a, i), load(b, i)
        left = ring_mul(ring_add(x, y), ring_sub(x, y))
        store(out, i, ring_sub(left, ring_sub(ring_mul(x, y), one())))

    return {"add": add, "sub": sub, "mul": mul, "mul_base": mul_base, "expression": expression}


def _unary(ring: Arithmetic) -> dict[str, Callable]:
    load, store, ring_canonical, limbs = ring.load, ring.store, ring.canonical, ring.limbs
    ring_zero, ring_one, ring_inverse = ring.zero, ring.one, ring.inverse

    def copy(i, a, out):
        store(out, i, load(a, i))

    def inverse(i, a, out):
        store(out, i, ring_inverse(load(a, i)))

    def constants(i, out):
        store(out, i, ring_one() if i % 2 else ring_zero())

    def canonical_of_one(i, a, out):
        out[i] = ring_canonical(load(a, i))

    def canonical_of_two(i, a, out):
        value = ring_canonical(load(a, i))
        out[2 * i], out[2 * i + 1] = value[0], value[1]

    canonical = canonical_of_one if limbs == 1 else canonical_of_two
    return {"copy": copy, "inverse": inverse, "constants": constants, "canonical": canonical}


def _with_integers(ring: Arithmetic) -> dict[str, Callable]:
    load, store, ring_from_int, ring_mul_int = ring.load, ring.store, ring.from_int, ring.mul_int
    mac_zero, mac, mac_reduce = ring.mac_zero, ring.mac, ring.mac_reduce

    def from_int(i, values, out):
        store(out, i, ring_from_int(np.int64(values[i])))

    def mul_int(i, a, values, out):
        store(out, i, ring_mul_int(load(a, i), values[i]))

    def mac_sum(i, a, values, length, out):
        """out[i] = sum over k < length of a[i] values[i, k]."""
        total = mac_zero()
        for k in range(length):
            total = mac(total, load(a, i), values[i * length + k])
        store(out, i, mac_reduce(total))

    return {"from_int": from_int, "mul_int": mul_int, "mac_sum": mac_sum}


def run_map(kind: Kind, kernel: Any, target_name: str, count: int, *args: Any) -> np.ndarray:
    """Run body(i, *args, out) for i < count; returns ``out``, raw words."""
    target = get_target(target_name)
    moved = [target.to_device(a) if isinstance(a, np.ndarray) else a for a in args]
    out = target.empty(count * kind.limbs)
    target.map(kernel, count, *moved, out)
    assert_ran_on(target_name, kernel)
    return target.to_host(out)


def check(
    field: Field,
    kind: str,
    name: str,
    target_name: str,
    args: list[np.ndarray],
    expected: list[Any],
) -> None:
    """The kernel called ``name`` gives the canonical words of ``expected``."""
    kernel = getattr(kernels(field, kind), name)
    words = run_map(kind_of(field, kind), kernel, target_name, len(expected), *args)
    limbs = getattr(field, kind).limbs
    rows = [element.coefficients[:limbs] for element in expected]
    wrong = [i for i, row in enumerate(words.reshape(-1, limbs).tolist()) if tuple(row) != rows[i]]
    assert not wrong, [[a.reshape(len(expected), -1)[i].tolist() for a in args] for i in wrong[:3]]


@EACH_TARGET
@EACH_KIND
def test_add_vs_python_int(field: Field, kind: str, target_name: str) -> None:
    a, b = kind_of(field, kind).pairs()
    x, y = kind_of(field, kind).elements(a), kind_of(field, kind).elements(b)
    check(field, kind, "add", target_name, [a, b], [s + t for s, t in zip(x, y, strict=True)])


@EACH_TARGET
@EACH_KIND
def test_sub_vs_python_int(field: Field, kind: str, target_name: str) -> None:
    a, b = kind_of(field, kind).pairs()
    x, y = kind_of(field, kind).elements(a), kind_of(field, kind).elements(b)
    check(field, kind, "sub", target_name, [a, b], [s - t for s, t in zip(x, y, strict=True)])


@EACH_TARGET
@EACH_KIND
def test_mul_vs_python_int(field: Field, kind: str, target_name: str) -> None:
    a, b = kind_of(field, kind).pairs()
    x, y = kind_of(field, kind).elements(a), kind_of(field, kind).elements(b)
    check(field, kind, "mul", target_name, [a, b], [s * t for s, t in zip(x, y, strict=True)])


@EACH_TARGET
@EACH_KIND
def test_expressions_vs_python_int(field: Field, kind: str, target_name: str) -> None:
    a, b = kind_of(field, kind).pairs()
    x, y = kind_of(field, kind).elements(a), kind_of(field, kind).elements(b)
    expected = [(s + t) * (s - t) - (s * t - 1) for s, t in zip(x, y, strict=True)]
    check(field, kind, "expression", target_name, [a, b], expected)


@EACH_TARGET
@EACH_KIND
def test_mul_base_vs_python_int(field: Field, kind: str, target_name: str) -> None:
    a, b = kind_of(field, kind).pairs()
    factors = np.ascontiguousarray(b.reshape(-1, kind_of(field, kind).limbs)[:, 0])
    x = kind_of(field, kind).elements(a)
    expected = [s * t for s, t in zip(x, factors.tolist(), strict=True)]
    check(field, kind, "mul_base", target_name, [a, factors], expected)


@EACH_TARGET
@EACH_KIND
def test_load_and_store_vs_python_int(field: Field, kind: str, target_name: str) -> None:
    a = kind_of(field, kind).operands()
    check(field, kind, "copy", target_name, [a], kind_of(field, kind).elements(a))


@EACH_TARGET
@EACH_KIND
def test_canonical_vs_python_int(field: Field, kind: str, target_name: str) -> None:
    a = kind_of(field, kind).operands()
    check(field, kind, "canonical", target_name, [a], kind_of(field, kind).elements(a))


@EACH_TARGET
@EACH_KIND
def test_inverse_vs_python_int(field: Field, kind: str, target_name: str) -> None:
    """And 0 for 0, in any of its forms."""
    a = kind_of(field, kind).operands()
    elements = kind_of(field, kind).elements(a)
    expected = [e.inverse() if e != 0 else e for e in elements]
    check(field, kind, "inverse", target_name, [a], expected)


@EACH_TARGET
@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_from_wide_vs_python_int(field: Field, target_name: str) -> None:
    """A challenge's words, as the transcript reduces them: every word takes every edge."""
    sharp = [0, 1, 2**32 - 1, WORD - 1]
    num_words = field.degree * (field.base_bytes + 16) // 8
    rng, rows = Random(1), list(product(sharp, repeat=num_words))
    rows += [tuple(rng.randrange(WORD) for _ in range(num_words)) for _ in range(NUM_RANDOM)]
    words = np.array(rows, dtype=np.uint64).reshape(-1)
    expected = [field.element(*as_numbers(row, field.degree)) for row in rows]
    found = run_map(kind_of(field, "ext"), wide_kernel(field), target_name, len(rows), words)
    assert field.unpack(found) == expected


def as_numbers(words: Sequence[int], count: int) -> list[int]:
    """Little-endian words as ``count`` integers."""
    size = len(words) // count
    return [
        sum(w << 64 * k for k, w in enumerate(words[start : start + size]))
        for start in range(0, len(words), size)
    ]


@cache
def wide_kernel(field: Field) -> Any:
    from_wide, store = field.ext.from_wide, field.ext.store

    def convert(i, words, out):
        k = 6 * i
        six = words[k], words[k + 1], words[k + 2], words[k + 3], words[k + 4], words[k + 5]
        store(out, i, from_wide(six))

    return make_kernel(__file__, f"from_wide.{field.name}", convert)


@EACH_TARGET
@EACH_KIND
def test_zero_and_one_vs_python_int(field: Field, kind: str, target_name: str) -> None:
    check(field, kind, "constants", target_name, [], [field.element(i % 2) for i in range(4)])


@EACH_TARGET
@EACH_KIND
def test_from_int_vs_python_int(field: Field, kind: str, target_name: str) -> None:
    rng = Random(1)
    values = INT64_EDGES + [rng.randrange(-(2**63), 2**63) for _ in range(NUM_RANDOM)]
    expected = [field.element(v) for v in values]
    check(field, kind, "from_int", target_name, [np.array(values, dtype=np.int64)], expected)


@EACH_TARGET
@EACH_KIND
@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.uint16])
def test_mul_int_vs_python_int(field: Field, kind: str, target_name: str, dtype: Any) -> None:
    a = kind_of(field, kind).operands()
    x = kind_of(field, kind).elements(a)
    info = np.iinfo(dtype)
    edges = [info.min, info.max, *(v for v in INT32_EDGES if info.min <= v <= info.max)]
    values = np.resize(np.array(edges, dtype=dtype), len(x))
    expected = [s * v for s, v in zip(x, values.tolist(), strict=True)]
    check(field, kind, "mul_int", target_name, [a, values], expected)


@EACH_TARGET
@EACH_KIND
@pytest.mark.parametrize("num_terms", [0, 1, 7, 2**15], ids="{}_terms".format)
def test_mac_vs_python_int(field: Field, kind: str, target_name: str, num_terms: int) -> None:
    """As many terms as the lazily reduced sum promises, all of them extreme."""
    sharp = [WORD - 1, 2**32 - 1, field.modulus - 1, field.modulus, 1]
    sums = [(-(2**15), -(2**15)), (2**15 - 1, 2**15 - 1), (-1, 7)]
    a = np.repeat(np.array(sharp * len(sums), dtype=np.uint64), kind_of(field, kind).limbs)
    x = kind_of(field, kind).elements(a)
    values = np.empty((len(x), num_terms), dtype=np.int16)
    for row, (even, odd) in enumerate(sums * len(sharp)):
        values[row, ::2], values[row, 1::2] = even, odd
    expected = [s * int(v.sum(dtype=np.int64)) for s, v in zip(x, values, strict=True)]
    kernel = kernels(field, kind).mac_sum
    args = a, values.reshape(-1), num_terms
    words = run_map(kind_of(field, kind), kernel, target_name, len(x), *args)
    assert kind_of(field, kind).elements(words) == expected
    assert int(words.max(initial=0)) < field.modulus
