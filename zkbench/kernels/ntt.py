"""Reed-Solomon encoding by number-theoretic transforms, many columns at once, no bit reversal.

A column of n = 2^k values, zero-padded to N = n 2^r, is evaluated at all powers of a primitive root
w of order N, and the result stands in bit-reversed order: entry i is the value at w^bitrev(i).
Padding makes the first r levels trivial: entry block b (of 2^r) is the size-n transform of the
column scaled by the powers of w^bitrev(b). So no zero is ever multiplied.

Levels are taken three at a time (decimation in frequency, radix 8), each pass reading and writing
every value once; the first pass also converts, pads and scales. Where there are columns enough to
occupy the target, one item runs all passes of one block, which then stay in cache; else each pass
is a launch over (block, group). On a CPU the butterflies bound it (one multiplication and two
additions each). A GPU, where the k / 3 passes over device memory would, has ``ntt_cuda``.
"""

from __future__ import annotations

from functools import cache, lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from zkbench.fields import Field
from zkbench.fields.field import Arithmetic
from zkbench.jit import device
from zkbench.kernels.launch import Array, Target, kernel


@cache
def reader(ring: Arithmetic, integers: bool) -> Any:
    """(array, index) -> element: an integer array is converted, an array of words is loaded."""
    from_int, load = ring.from_int, ring.load
    if integers:

        @device(f"read.{ring.name}.integers")
        def read(array, index):
            return from_int(np.int64(array[index]))

        return read
    return load


def holds_integers(array: Array) -> bool:
    """Whether an array holds signed integers rather than field words."""
    return np.dtype(array.dtype).kind == "i"


@cache
def butterflies(ring: Arithmetic) -> SimpleNamespace:
    """Transforms of 4 and 8 values, natural order in, bit-reversed order out."""
    add, sub, scale = ring.add, ring.sub, ring.mul_base

    @device(f"ntt.dft4.{ring.name}")
    def dft4(x0, x1, x2, x3, w4):
        a0, a1 = add(x0, x2), add(x1, x3)
        b0, b1 = sub(x0, x2), scale(sub(x1, x3), w4)
        return add(a0, a1), sub(a0, a1), add(b0, b1), sub(b0, b1)

    @device(f"ntt.dft8.{ring.name}")
    def dft8(x0, x1, x2, x3, x4, x5, x6, x7, w1, w2, w3):
        even = dft4(add(x0, x4), add(x1, x5), add(x2, x6), add(x3, x7), w2)
        y0, y1 = sub(x0, x4), scale(sub(x1, x5), w1)
        y2, y3 = scale(sub(x2, x6), w2), scale(sub(x3, x7), w3)
        odd = dft4(y0, y1, y2, y3, w2)
        return even[0], even[1], even[2], even[3], odd[0], odd[1], odd[2], odd[3]

    return SimpleNamespace(dft4=dft4, dft8=dft8)


@cache
def _passes(ring: Arithmetic, integers: bool) -> SimpleNamespace:
    """``first``, ``middle``, ``last`` passes as device functions of an item and the whole geometry.

    Items count groups over all blocks; block t is coset t mod 2^r of column t >> r, and starts at
    (t >> r) * stride + (t mod 2^r) * n. ``twiddles`` holds w^j for j < N.
    """
    dft4, dft8 = butterflies(ring).dft4, butterflies(ring).dft8
    add, sub, scale, zero = ring.add, ring.sub, ring.mul_base, ring.zero
    load, store, read = ring.load, ring.store, reader(ring, integers)
    name = f"{ring.name}.{'integers' if integers else 'words'}"

    @device(f"ntt.start.{ring.name}")
    def block_start(t, log_n, log_rate, stride):
        return (t >> log_rate) * stride + ((t & ((1 << log_rate) - 1)) << log_n)

    @device(f"ntt.coset.{ring.name}")
    def coset_exponent(t, log_rate):
        """The low ``log_rate`` bits of t, reversed."""
        exponent = 0
        for bit in range(log_rate):
            exponent = (exponent << 1) | ((t >> bit) & 1)
        return exponent

    @device(f"ntt.input.{name}")
    def padded(source, length, column, j, log_n, twiddles, exponent):
        """Value j of a column, zero past the end, scaled for its coset."""
        position = (column << log_n) + j
        if position >= length:
            return zero()
        value = read(source, position)
        return scale(value, twiddles[j * exponent]) if exponent else value

    @device(f"ntt.write8.{ring.name}")
    def write8(y, data, base, eighth, twiddles, step):
        """Store a group's outputs, each scaled by w_m^(j q), q the frequency at its position."""
        store(data, base, y[0])
        store(data, base + eighth, scale(y[1], twiddles[4 * step]))
        store(data, base + 2 * eighth, scale(y[2], twiddles[2 * step]))
        store(data, base + 3 * eighth, scale(y[3], twiddles[6 * step]))
        store(data, base + 4 * eighth, scale(y[4], twiddles[step]))
        store(data, base + 5 * eighth, scale(y[5], twiddles[5 * step]))
        store(data, base + 6 * eighth, scale(y[6], twiddles[3 * step]))
        store(data, base + 7 * eighth, scale(y[7], twiddles[7 * step]))

    @device(f"ntt.first.{name}")
    def first(i, source, length, log_n, log_rate, stride, twiddles, w1, w2, w3, data):
        t = i >> (log_n - 3)
        e = 1 << (log_n - 3)
        j = i & (e - 1)
        c, s = t >> log_rate, coset_exponent(t, log_rate)
        y = dft8(
            padded(source, length, c, j, log_n, twiddles, s),
            padded(source, length, c, j + e, log_n, twiddles, s),
            padded(source, length, c, j + 2 * e, log_n, twiddles, s),
            padded(source, length, c, j + 3 * e, log_n, twiddles, s),
            padded(source, length, c, j + 4 * e, log_n, twiddles, s),
            padded(source, length, c, j + 5 * e, log_n, twiddles, s),
            padded(source, length, c, j + 6 * e, log_n, twiddles, s),
            padded(source, length, c, j + 7 * e, log_n, twiddles, s),
            w1,
            w2,
            w3,
        )
        write8(y, data, block_start(t, log_n, log_rate, stride) + j, e, twiddles, j << log_rate)

    @device(f"ntt.middle.{ring.name}")
    def middle(i, log_m, log_n, log_rate, stride, twiddles, w1, w2, w3, data):
        """One radix-8 step inside sub-blocks of 2^log_m values."""
        t = i >> (log_n - 3)
        e = 1 << (log_m - 3)
        j = i & (e - 1)
        group = (i & ((1 << (log_n - 3)) - 1)) >> (log_m - 3)
        a = block_start(t, log_n, log_rate, stride) + (group << log_m) + j
        y = dft8(
            load(data, a),
            load(data, a + e),
            load(data, a + 2 * e),
            load(data, a + 3 * e),
            load(data, a + 4 * e),
            load(data, a + 5 * e),
            load(data, a + 6 * e),
            load(data, a + 7 * e),
            w1,
            w2,
            w3,
        )
        write8(y, data, a, e, twiddles, j << (log_n + log_rate - log_m))

    @device(f"ntt.last.{ring.name}")
    def last(i, log_m, log_n, log_rate, stride, w2, data):
        """The remaining one or two levels: plain transforms of 2 or 4 neighbours."""
        t = i >> (log_n - log_m)
        group = i & ((1 << (log_n - log_m)) - 1)
        a = block_start(t, log_n, log_rate, stride) + (group << log_m)
        if log_m == 1:
            x, y = load(data, a), load(data, a + 1)
            store(data, a, add(x, y))
            store(data, a + 1, sub(x, y))
        else:
            y4 = dft4(load(data, a), load(data, a + 1), load(data, a + 2), load(data, a + 3), w2)
            store(data, a, y4[0])
            store(data, a + 1, y4[1])
            store(data, a + 2, y4[2])
            store(data, a + 3, y4[3])

    return SimpleNamespace(
        first=first,
        middle=middle,
        last=last,
        block_start=block_start,
        coset_exponent=coset_exponent,
        padded=padded,
    )


@cache
def kernels(field: Field, extension: bool, integers: bool) -> SimpleNamespace:
    """The passes, ``spread`` (the first of tiny blocks), and ``whole`` (a block an item)."""
    ring = field.ext if extension else field.base
    passes = _passes(ring, integers)
    first_pass, middle_pass, last_pass = passes.first, passes.middle, passes.last
    block_start, coset_exponent, padded = passes.block_start, passes.coset_exponent, passes.padded
    store = ring.store
    name = f"{ring.name}.{'integers' if integers else 'words'}"

    @kernel(f"ntt.spread.{name}")
    def spread(i, source, length, log_n, log_rate, stride, twiddles, data):
        t, j = i >> log_n, i & ((1 << log_n) - 1)
        s = coset_exponent(t, log_rate)
        value = padded(source, length, t >> log_rate, j, log_n, twiddles, s)
        store(data, block_start(t, log_n, log_rate, stride) + j, value)

    @kernel(f"ntt.first.{name}")
    def first(i, source, length, log_n, log_rate, stride, twiddles, w1, w2, w3, data):
        first_pass(i, source, length, log_n, log_rate, stride, twiddles, w1, w2, w3, data)

    @kernel(f"ntt.middle.{ring.name}")
    def middle(i, log_m, log_n, log_rate, stride, twiddles, w1, w2, w3, data):
        middle_pass(i, log_m, log_n, log_rate, stride, twiddles, w1, w2, w3, data)

    @kernel(f"ntt.last.{ring.name}")
    def last(i, log_m, log_n, log_rate, stride, w2, data):
        last_pass(i, log_m, log_n, log_rate, stride, w2, data)

    @kernel(f"ntt.whole.{name}")
    def whole(t, source, length, log_n, log_rate, stride, twiddles, w1, w2, w3, data):
        start, stop = t << (log_n - 3), (t + 1) << (log_n - 3)
        for i in range(start, stop):
            first_pass(i, source, length, log_n, log_rate, stride, twiddles, w1, w2, w3, data)
        log_m = log_n - 3
        while log_m >= 3:
            for i in range(start, stop):
                middle_pass(i, log_m, log_n, log_rate, stride, twiddles, w1, w2, w3, data)
            log_m -= 3
        if log_m > 0:
            for i in range(t << (log_n - log_m), (t + 1) << (log_n - log_m)):
                last_pass(i, log_m, log_n, log_rate, stride, w2, data)

    return SimpleNamespace(spread=spread, first=first, middle=middle, last=last, whole=whole)


@cache
def _power_kernel(field: Field) -> Any:
    load, store, mul = field.base.load, field.base.store, field.base.mul

    @kernel(f"ntt.powers.{field.base.name}")
    def powers(i, low, high, log_low, out):
        store(out, i, mul(load(low, i & ((1 << log_low) - 1)), load(high, i >> log_low)))

    return powers


@lru_cache(maxsize=32)
def root_tables(target: Target, field: Field, log_order: int) -> tuple[Array, Array, int]:
    """w^j for j < 2^h, w^(j 2^h) for j < 2^(log_order - h), and h; w the root of that order."""
    root, p = field.root_of_unity(log_order), field.modulus
    log_low = (log_order + 1) // 2
    low = [pow(root, j, p) for j in range(1 << log_low)]
    high = [pow(root, j << log_low, p) for j in range(1 << (log_order - log_low))]
    tables = [target.to_device(np.array(table, dtype=np.uint64)) for table in (low, high)]
    return tables[0], tables[1], log_low


@lru_cache(maxsize=4)
def root_powers(target: Target, field: Field, log_order: int) -> Array:
    """w^j for j < 2^log_order, w the field's primitive root of unity of that order."""
    low, high, log_low = root_tables(target, field, log_order)
    out = target.empty(1 << log_order)
    target.map(_power_kernel(field), 1 << log_order, low, high, log_low, out)
    return out


def bit_reverse(index: int, bits: int) -> int:
    """The ``bits`` lowest bits of ``index`` in reverse order."""
    return int(format(index, f"0{bits}b")[::-1], 2) if bits else 0


def encode(
    target: Target,
    field: Field,
    source: Array,
    length: int,
    num_columns: int,
    log_rows: int,
    log_inv_rate: int,
    *,
    stride: int | None = None,
    extension: bool = False,
    out: Array | None = None,
) -> Array:
    """Reed-Solomon codewords of ``num_columns`` columns of 2^log_rows values each.

    Column c is source[c 2^log_rows ...], zero from ``length`` on; its codeword, of
    2^(log_rows + log_inv_rate) entries in bit-reversed order, starts at entry c * stride of the
    result (default: no gaps). ``source`` holds signed integers or words; E words if ``extension``.
    ``out``: where to write instead of a new array.
    """
    log_size = log_rows + log_inv_rate
    stride = stride or 1 << log_size
    ring = field.ext if extension else field.base
    data = target.empty(num_columns * stride * ring.limbs) if out is None else out
    if _runs_in_blocks(target, field, source, log_rows, extension):
        from zkbench.kernels import ntt_cuda

        code = (length, num_columns, log_rows, log_inv_rate, stride, extension)
        ntt_cuda.encode(target, field, source, *code, data)
        return data
    family = kernels(field, extension, holds_integers(source))
    twiddles = root_powers(target, field, log_size)
    w = field.root_of_unity(3)
    roots = tuple(np.uint64(pow(w, power, field.modulus)) for power in (1, 2, 3))
    shape = (log_rows, log_inv_rate, stride)
    blocks = num_columns << log_inv_rate
    if log_rows < 3:
        target.map(family.spread, blocks << log_rows, source, length, *shape, twiddles, data)
    elif blocks >= target.parallel_items:
        target.map(family.whole, blocks, source, length, *shape, twiddles, *roots, data, grain=1)
        return data
    else:
        groups = blocks << (log_rows - 3)
        target.map(family.first, groups, source, length, *shape, twiddles, *roots, data)
    _later_passes(target, family, blocks, shape, twiddles, roots, data)
    return data


def _runs_in_blocks(
    target: Target, field: Field, source: Array, log_rows: int, extension: bool
) -> bool:
    """Whether ``ntt_cuda`` does it: not integers as elements of E, nor columns of one value."""
    reads_words = not (extension and holds_integers(source))
    return target.runs_blocks and field.coset_dft is not None and log_rows > 0 and reads_words


def _later_passes(
    target: Target,
    family: SimpleNamespace,
    blocks: int,
    shape: tuple[int, int, int],
    twiddles: Array,
    roots: tuple[np.uint64, ...],
    data: Array,
) -> None:
    log_rows = shape[0]
    log_m = log_rows if log_rows < 3 else log_rows - 3
    while log_m >= 3:
        groups = blocks << (log_rows - 3)
        target.map(family.middle, groups, log_m, *shape, twiddles, *roots, data)
        log_m -= 3
    if log_m > 0:
        target.map(family.last, blocks << (log_rows - log_m), log_m, *shape, roots[1], data)
