"""Passes over the columns of a vector: fill, evaluate, combine them, and pick rows.

Column c of a vector is its entries c 2^log_rows and following; entries past its length are zero and
not stored. A dense vector holds signed integers or words of F.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from zkbench.fields import Field
from zkbench.kernels.launch import Array, Target, kernel
from zkbench.kernels.ntt import holds_integers, reader
from zkbench.kernels.row_hashes import row_word

_COLUMNS_A_TURN = 8  # columns lie a power of two apart: more at once would evict one another


@cache
def kernels(field: Field, integers: bool) -> SimpleNamespace:
    """Kernels that read integers, or words of F."""
    base, ring = field.base, field.ext
    read, store_base = reader(base, integers), base.store
    add, mul_base, load, store = ring.add, ring.mul_base, ring.load, ring.store
    name = f"{field.name}.{'integers' if integers else 'words'}"

    @kernel(f"interleaved.place.{name}")
    def place(i, source, offset, dense):
        store_base(dense, offset + i, read(source, i))

    @kernel(f"interleaved.combine.{name}")
    def combine(i, values, length, log_rows, num_columns, weights, span, out):
        """out[row] += sum over c of weights[c] column_c[row], for ``span`` rows from i span on."""
        for start in range(0, num_columns, _COLUMNS_A_TURN):
            stop = min(start + _COLUMNS_A_TURN, num_columns)
            for row in range(i * span, (i + 1) * span):
                total = load(out, row)
                for c in range(start, stop):
                    position = (c << log_rows) + row
                    if position < length:
                        total = add(total, mul_base(load(weights, c), read(values, position)))
                store(out, row, total)

    return SimpleNamespace(place=place, combine=combine)


@cache
def row_kernels(field: Field) -> SimpleNamespace:
    base, ring = field.base, field.ext
    zero, add, mul, mul_base = ring.zero, ring.add, ring.mul, ring.mul_base
    load, load_base, store = ring.load, base.load, ring.store

    @kernel("interleaved.copy")
    def copy(i, source, offset, dense):
        dense[offset + i] = source[i]

    @kernel(f"interleaved.evaluate.{field.name}")
    def evaluate(i, values, length, log_rows, lanes, weights, out):
        """out[column * lanes + lane] = this lane's share of <column, weights>."""
        column = i // lanes
        first = column << log_rows
        stop = min(1 << log_rows, length - first)
        total = zero()
        for row in range(i - column * lanes, stop, lanes):
            total = add(total, mul(load(weights, row), load(values, first + row)))
        store(out, i, total)

    @kernel(f"interleaved.sum_lanes.{field.name}")
    def sum_lanes(column, shares, lanes, out):
        total = zero()
        for lane in range(lanes):
            total = add(total, load(shares, column * lanes + lane))
        store(out, column, total)

    @kernel(f"interleaved.combine_rows.{field.name}")
    def combine_rows(q, rows, weights, num_columns, out):
        """out[q] = sum over c of weights[c] rows[q, c], rows of F."""
        total = zero()
        for c in range(num_columns):
            total = add(total, mul_base(load(weights, c), load_base(rows, q * num_columns + c)))
        store(out, q, total)

    return SimpleNamespace(
        copy=copy, evaluate=evaluate, sum_lanes=sum_lanes, combine_rows=combine_rows
    )


@kernel("interleaved.centre")
def _centre(i, source, out):
    out[i] = np.int32(source[i]) - np.int32(1 << 15)


@kernel("interleaved.pick_rows")
def _pick_rows(i, matrix, stride, num_words, log_limbs, rows, out):
    """out[q, word] = that word of row rows[q]."""
    q = i // num_words
    out[i] = row_word(matrix, rows[q], i - q * num_words, stride, log_limbs)


def fill(
    target: Target, field: Field, dense: Array, offset: int, source: Array, length: int
) -> None:
    """Write one tensor's entries into the dense vector, converted if that one holds words."""
    if holds_integers(dense):
        family: Any = row_kernels(field).copy
    else:
        family = kernels(field, holds_integers(source)).place
    target.map(family, length, source, offset, dense)


def centred(target: Target, source: Array) -> Array:
    """Unsigned 16-bit integers less 2^15, as int16."""
    out = target.empty(source.size, np.int16)
    target.map(_centre, source.size, source, out)
    return out


def column_values(
    target: Target, field: Field, values: Array, length: int, log_rows: int, weights: Array
) -> np.ndarray:
    """<column, weights> for every column of a vector of E, as E words on the host."""
    num_columns = -(-length >> log_rows)
    lanes = 1
    while num_columns * lanes < target.parallel_items and 8 * lanes < 1 << log_rows:
        lanes *= 2
    family = row_kernels(field)
    shares = target.empty(num_columns * lanes * field.ext.limbs)
    arguments = (values, length, log_rows, lanes, weights, shares)
    target.map(family.evaluate, num_columns * lanes, *arguments, grain=1)
    out = target.empty(num_columns * field.ext.limbs)
    target.map(family.sum_lanes, num_columns, shares, lanes, out)
    return target.to_host(out)


def add_columns(
    target: Target, field: Field, values: Array, log_rows: int, weights: Array, out: Array
) -> None:
    """out += sum over columns c of weights[c] column_c, in E words."""
    num_columns = -(-values.size >> log_rows)
    span = 1  # neighbouring rows are a GPU's neighbouring threads, and one CPU thread's turn
    while target.name != "cuda" and 2 * span * target.parallel_items <= 1 << log_rows and span < 64:
        span *= 2
    family = kernels(field, holds_integers(values))
    arguments = (values, values.size, log_rows, num_columns, weights, span, out)
    target.map(family.combine, (1 << log_rows) // span, *arguments, grain=1)


def pick_rows(
    target: Target, matrix: Array, stride: int, num_words: int, log_limbs: int, rows: list[int]
) -> np.ndarray:
    """The words of some rows of a column-major matrix, row by row, on the host.

    Columns are ``stride`` entries of 2^log_limbs words apart.
    """
    where = target.to_device(np.array(rows, dtype=np.int64))
    out = target.empty(len(rows) * num_words)
    arguments = (matrix, stride, num_words, log_limbs, where, out)
    target.map(_pick_rows, len(rows) * num_words, *arguments)
    return target.to_host(out)
