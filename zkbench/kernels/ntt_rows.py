"""A few entries of codewords that are not kept: a pruned transform.

The first two passes of the encoding (see ``ntt``) leave 64 blocks a coset; an entry lies in one of
them, and is the value of the polynomial with the block's entries as coefficients at one root of
unity. So the rest is a dot product of length n / 64 for each entry: at 200 entries a codeword half
of what the passes cost, which read 2 bytes a value and write and read 16 twice.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from zkbench.fields import Field
from zkbench.kernels import ntt
from zkbench.kernels.launch import Array, Target, kernel
from zkbench.kernels.ntt import bit_reverse, holds_integers, root_powers
from zkbench.kernels.powers import power_function

_PASSES = 2
_MOST_LANES = 1 << 10


@cache
def kernels(field: Field) -> SimpleNamespace:
    base = field.base
    zero, add, mul, load, store = base.zero, base.add, base.mul, base.load, base.store
    power = power_function(field)

    @kernel(f"ntt_rows.lanes.{field.name}")
    def lanes(i, data, stride, length, num_lanes, num_entries, starts, points, out):
        """out[c, e, lane] = sum over i = lane (mod num_lanes) of data[c, starts[e] + i] y_e^i."""
        which = i // num_lanes
        lane = i - which * num_lanes
        c = which // num_entries
        e = which - c * num_entries
        start = c * stride + starts[e]
        y = load(points, e)
        step = power(y, num_lanes)
        total = zero()
        for k in range(length - num_lanes + lane, -1, -num_lanes):
            total = add(mul(total, step), load(data, start + k))
        store(out, i, mul(total, power(y, lane)))

    @kernel(f"ntt_rows.sum.{field.name}")
    def sum_lanes(i, shares, num_lanes, num_entries, first, num_columns, out):
        """out[e, first + c] = sum over lanes of shares[c, e, lane]."""
        c = i // num_entries
        total = zero()
        for lane in range(num_lanes):
            total = add(total, load(shares, i * num_lanes + lane))
        store(out, (i - c * num_entries) * num_columns + first + c, total)

    return SimpleNamespace(lanes=lanes, sum_lanes=sum_lanes)


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
    passes = min(_PASSES, log_rows // 3)
    data, stride = _first_passes(target, field, source, length, num_columns, log_rows, log_inv_rate)
    log_block = log_rows - 3 * passes
    low = (1 << log_block) - 1
    root, p = field.root_of_unity(log_block), field.modulus
    points = [pow(root, bit_reverse(index & low, log_block), p) for index in indices]
    num_lanes, entries = 1, len(indices)
    while num_lanes < min(_MOST_LANES, low + 1) and num_lanes * entries < target.parallel_items:
        num_lanes *= 2
    shares = target.empty(num_columns * entries * num_lanes * field.base.limbs)
    target.map(
        kernels(field).lanes,
        num_columns * entries * num_lanes,
        data,
        stride,
        1 << log_block,
        num_lanes,
        entries,
        target.to_device(np.array([index & ~low for index in indices], dtype=np.int64)),
        target.to_device(np.array(points, dtype=np.uint64)),
        shares,
        grain=8,
    )
    arguments = (shares, num_lanes, entries, first, row_words, out)
    target.map(kernels(field).sum_lanes, num_columns * entries, *arguments)


def _first_passes(
    target: Target,
    field: Field,
    source: Array,
    length: int,
    num_columns: int,
    log_rows: int,
    log_inv_rate: int,
) -> tuple[Array, int]:
    """(the codewords after the first passes, entries from one to the next)."""
    family = ntt.kernels(field, False, holds_integers(source))
    log_size = log_rows + log_inv_rate
    twiddles = root_powers(target, field, log_size)
    stride = 1 << log_size
    data = target.empty(num_columns * stride * field.base.limbs)
    w = field.root_of_unity(3)
    roots = tuple(np.uint64(pow(w, power, field.modulus)) for power in (1, 2, 3))
    shape: tuple[Any, ...] = (log_rows, log_inv_rate, stride)
    blocks = num_columns << log_inv_rate
    if log_rows < 3:
        target.map(family.spread, blocks << log_rows, source, length, *shape, twiddles, data)
        return data, stride
    groups = blocks << (log_rows - 3)
    target.map(family.first, groups, source, length, *shape, twiddles, *roots, data)
    if log_rows >= 6:
        target.map(family.middle, groups, log_rows - 3, *shape, twiddles, *roots, data)
    return data, stride
