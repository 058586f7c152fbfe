"""A few entries of codewords that are not kept: a pruned transform.

A column is 2^6 rows of m values, j = h m + l, and its polynomial at a root of unity x is

    F(x) = sum over l of x^l sum over h of F[h m + l] (x^m)^h.

x^m takes as many values as there are blocks of m entries in the codeword, so the inner sums are short
transforms, the same for all l, whose twiddle factors fit in a cache; what is left is a dot product of
length m for each entry. At 200 entries that is 3 multiplications a value and 6 levels of butterflies,
over 2 bytes a value read, and 16 written, read, written, and read again.
"""

from __future__ import annotations

from functools import cache, lru_cache
from types import SimpleNamespace

import numpy as np

from zkbench.fields import Field
from zkbench.jit import device
from zkbench.kernels.launch import Array, Target, kernel
from zkbench.kernels.ntt import bit_reverse, butterflies, holds_integers, reader
from zkbench.kernels.powers import power_function

_LOG_BLOCKS = 6  # of a coset: two levels of radix 8
_MOST_LANES = 1 << 10


@cache
def kernels(field: Field, integers: bool) -> SimpleNamespace:
    base = field.base
    zero, add, mul, load, store = base.zero, base.add, base.mul, base.load, base.store
    read, power, dft8 = reader(base, integers), power_function(field), butterflies(base).dft8
    name = f"{field.name}.{'integers' if integers else 'words'}"

    @device(f"ntt_rows.value.{name}")
    def value(source, position, length, scales, scale):
        return mul(read(source, position), scales[scale]) if position < length else zero()

    @kernel(f"ntt_rows.first.{name}")
    def first(i, source, length, log_rows, log_rate, scales, twiddles, w1, w2, w3, data):
        """Radix 8 over the highest three bits of h, scaled for the coset and the next level."""
        log_m = log_rows - _LOG_BLOCKS
        block = i >> (log_rows - 3)
        k = i & ((1 << (log_rows - 3)) - 1)
        h, column = k >> log_m, block >> log_rate
        scale = (block & ((1 << log_rate) - 1)) << _LOG_BLOCKS
        start = (column << log_rows) + k
        x = (
            value(source, start, length, scales, scale + h),
            value(source, start + (8 << log_m), length, scales, scale + h + 8),
            value(source, start + (16 << log_m), length, scales, scale + h + 16),
            value(source, start + (24 << log_m), length, scales, scale + h + 24),
            value(source, start + (32 << log_m), length, scales, scale + h + 32),
            value(source, start + (40 << log_m), length, scales, scale + h + 40),
            value(source, start + (48 << log_m), length, scales, scale + h + 48),
            value(source, start + (56 << log_m), length, scales, scale + h + 56),
        )
        y = dft8(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], w1, w2, w3)
        out = (block << log_rows) + k
        store(data, out, y[0])
        store(data, out + (8 << log_m), mul(y[1], twiddles[4 * h]))
        store(data, out + (16 << log_m), mul(y[2], twiddles[2 * h]))
        store(data, out + (24 << log_m), mul(y[3], twiddles[6 * h]))
        store(data, out + (32 << log_m), mul(y[4], twiddles[h]))
        store(data, out + (40 << log_m), mul(y[5], twiddles[5 * h]))
        store(data, out + (48 << log_m), mul(y[6], twiddles[3 * h]))
        store(data, out + (56 << log_m), mul(y[7], twiddles[7 * h]))

    @kernel(f"ntt_rows.lanes.{name}")
    def lanes(i, data, length, stride, size, num_lanes, num_entries, starts, points, out):
        """out[c, e, lane] = sum over l = lane (mod num_lanes) of data[c, starts[e] + l] y_e^l."""
        which = i // num_lanes
        lane = i - which * num_lanes
        c = which // num_entries
        e = which - c * num_entries
        start = c * stride + starts[e]
        y = load(points, e)
        step, total = power(y, num_lanes), zero()
        for l in range(size - num_lanes + lane, -1, -num_lanes):
            total = mul(total, step)
            if start + l < length:
                total = add(total, read(data, start + l))
        store(out, i, mul(total, power(y, lane)))

    return SimpleNamespace(first=first, lanes=lanes)


@cache
def word_kernels(field: Field) -> SimpleNamespace:
    base = field.base
    zero, add, load, store = base.zero, base.add, base.load, base.store
    dft8 = butterflies(base).dft8

    @kernel(f"ntt_rows.second.{field.name}")
    def second(i, log_rows, w1, w2, w3, data):
        """Radix 8 over the lowest three bits of h, in place."""
        log_m = log_rows - _LOG_BLOCKS
        a = ((i >> log_m) << (log_m + 3)) + (i & ((1 << log_m) - 1))
        m = 1 << log_m
        y = dft8(
            load(data, a),
            load(data, a + m),
            load(data, a + 2 * m),
            load(data, a + 3 * m),
            load(data, a + 4 * m),
            load(data, a + 5 * m),
            load(data, a + 6 * m),
            load(data, a + 7 * m),
            w1,
            w2,
            w3,
        )
        store(data, a, y[0])
        store(data, a + m, y[1])
        store(data, a + 2 * m, y[2])
        store(data, a + 3 * m, y[3])
        store(data, a + 4 * m, y[4])
        store(data, a + 5 * m, y[5])
        store(data, a + 6 * m, y[6])
        store(data, a + 7 * m, y[7])

    @kernel(f"ntt_rows.sum.{field.name}")
    def sum_lanes(i, shares, num_lanes, num_entries, first, num_columns, out):
        """out[e, first + c] = sum over lanes of shares[c, e, lane]."""
        c = i // num_entries
        total = zero()
        for lane in range(num_lanes):
            total = add(total, load(shares, i * num_lanes + lane))
        store(out, (i - c * num_entries) * num_columns + first + c, total)

    return SimpleNamespace(second=second, sum_lanes=sum_lanes)


def encoded_rows(
    target: Target,
    field: Field,
    source: Array,
    length: int,
    num_columns: int,
    log_rows: int,
    log_inv_rate: int,
    indices: list[int],
    first: int,
    out: Array,
    row_words: int,
) -> None:
    """Entries ``indices`` of the codewords of columns, see ``ntt.encode``, words of F.

    They become words first, first + 1, ... of the rows of ``out``, of ``row_words`` words each.
    """
    log_size, entries = log_rows + log_inv_rate, len(indices)
    data, log_block, stride, mask = source, log_rows, 1 << log_rows, 0
    if log_rows >= _LOG_BLOCKS:
        data = _short_transforms(target, field, source, length, num_columns, log_rows, log_inv_rate)
        log_block, stride, length = log_rows - _LOG_BLOCKS, 1 << log_size, data.size
        mask = (1 << log_size) - (1 << log_block)
    num_lanes, size = 1, 1 << log_block
    while num_lanes < min(_MOST_LANES, size) and num_lanes * entries < target.parallel_items:
        num_lanes *= 2
    shares = target.empty(num_columns * entries * num_lanes * field.base.limbs)
    target.map(
        kernels(field, holds_integers(data)).lanes,
        num_columns * entries * num_lanes,
        data,
        length,
        stride,
        size,
        num_lanes,
        entries,
        target.to_device(np.array([index & mask for index in indices], dtype=np.int64)),
        _points(target, field, log_size, tuple(indices)),
        shares,
        grain=8,
    )
    arguments = (shares, num_lanes, entries, first, row_words, out)
    target.map(word_kernels(field).sum_lanes, num_columns * entries, *arguments)


@lru_cache(maxsize=4)
def _points(target: Target, field: Field, log_size: int, indices: tuple[int, ...]) -> Array:
    """Where codewords have these entries: kept, as columns come in several turns."""
    root, p = field.root_of_unity(log_size), field.modulus
    points = [pow(root, bit_reverse(index, log_size), p) for index in indices]
    return target.to_device(np.array(points, dtype=np.uint64))


@lru_cache(maxsize=8)
def _short_tables(target: Target, field: Field, log_inv_rate: int) -> tuple[Array, Array]:
    """The powers h < 2^6 of every coset's shift at the top level, and of the root of order 2^6."""
    p, cosets = field.modulus, range(1 << log_inv_rate)
    root = field.root_of_unity(_LOG_BLOCKS + log_inv_rate)
    steps = [pow(root, bit_reverse(coset, log_inv_rate), p) for coset in cosets]
    scales = [pow(step, h, p) for step in steps for h in range(1 << _LOG_BLOCKS)]
    inner = field.root_of_unity(_LOG_BLOCKS)
    twiddles = [pow(inner, h, p) for h in range(1 << _LOG_BLOCKS)]
    tables = [target.to_device(np.array(t, dtype=np.uint64)) for t in (scales, twiddles)]
    return tables[0], tables[1]


def _short_transforms(
    target: Target,
    field: Field,
    source: Array,
    length: int,
    num_columns: int,
    log_rows: int,
    log_inv_rate: int,
) -> Array:
    """The inner sums: for every column, 2^6 blocks a coset, in the order of the codeword."""
    tables = _short_tables(target, field, log_inv_rate)
    w = field.root_of_unity(3)
    roots = tuple(np.uint64(pow(w, power, field.modulus)) for power in (1, 2, 3))
    data = target.empty((num_columns << (log_rows + log_inv_rate)) * field.base.limbs)
    groups = num_columns << (log_inv_rate + log_rows - 3)
    shape = (length, log_rows, log_inv_rate)
    family = kernels(field, holds_integers(source))
    target.map(family.first, groups, source, *shape, *tables, *roots, data)
    target.map(word_kernels(field).second, groups, log_rows, *roots, data)
    return data
