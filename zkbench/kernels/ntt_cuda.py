"""Reed-Solomon encoding on CUDA: two or three passes over device memory, tiles in shared memory.

The codeword's N = 2^K positions are reached level by level. After l levels, block i of 2^l is the
column modulo x^(N / 2^l) - w_(2^l)^bitrev(i); a column of n = N / 2^r values is its own remainder
in each of the 2^r blocks of level r, so padding costs nothing. A step of radix R takes block i to
blocks i R ... i R + R - 1: the transform of x_e c^e, e < R, with c = w_(2^l R)^bitrev(i). So the
powers c^e depend on the block alone, and no factors are needed between passes.

A pass takes 7 to 11 levels: a tile of 2^levels rows by some lanes is read, a few radix-8 or
radix-16 steps follow, exchanging values through shared memory, and it is written back. *Strided*
passes have rows far apart and neighbouring words as lanes; in the last, *contiguous* pass rows are
neighbours and the columns of the matrix are lanes. Either way all lanes share their powers, which a
block of threads computes once, from two short tables of roots. An element of E is two words side by
side, each transformed by itself.

Predicted for 2^28 int16 values, r = 1, on an H100 (2.5 TB/s; 1.4e13 to 2e13 integer instructions/s;
10 instructions a value and level, 15 for each step, 10 for each pass): k = 25 in three passes, 82 B
and 700 instructions a value: 9 ms of memory beside 9 to 13 ms of arithmetic; k = 22 in two passes,
50 B and 600 instructions, or three: 5 or 9 ms beside 8 to 11. Any number of columns from 8 on.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import cuda, uint64

from zkbench.fields import Field
from zkbench.jit import device
from zkbench.kernels.launch import Array, BlockKernel, Target
from zkbench.kernels.ntt import holds_integers, root_tables
from zkbench.kernels.ntt_passes import Pass, log_tile_columns, num_tiles, plan
from zkbench.kernels.ntt_tiles import (
    gatherer,
    item_place,
    read_word,
    scatterer,
    slots_of,
    source_reader,
    tiling,
)


@cache
def _fill(field: Field, shape: Pass, index: int) -> Any:
    """Device function: the powers c^e of step ``index`` for all blocks of a tile, e slowest."""
    radix, done = shape.radices[index], shape.done[index]
    offset, table_words = shape.table_offset(index), shape.table_words
    threads, mul = 1 << shape.log_threads, field.base.mul

    @device(f"ntt.fill.{field.name}.{shape.name}.{index}")
    def fill(first_block, log_blocks, geometry, low, high, log_low, shared):
        log_size, before = geometry[0], geometry[1] + done
        j = np.int64(cuda.threadIdx.x)
        while j < 1 << (log_blocks + done + radix):
            own, place = j >> (done + radix), j & ((1 << (done + radix)) - 1)
            block = ((first_block + own) << done) + (place & ((1 << done) - 1))
            reverse = np.int64(np.uint64(cuda.brev(np.uint32(block))) >> np.uint64(32 - before))
            exponent = (reverse * (place >> done)) << (log_size - before - radix)
            exponent &= (1 << log_size) - 1  # a block past the last one gets some power
            power = mul(
                low[np.uint64(exponent & ((1 << log_low) - 1))],
                high[np.uint64(exponent >> log_low)],
            )
            shared[np.uint64(own * table_words + offset + place)] = power
            j += threads

    return fill


@cache
def _fetch(field: Field, integers: bool, shape: Pass, is_first: bool) -> Any:
    """Device function: the values of a thread's item of the first step, from device memory.

    Every thread has one item of that step: its radix is the largest. A lane that does not exist
    reads the first one's values.
    """
    lane_at = tiling(shape, is_first).lane_at
    place, log_step, levels = item_place(shape, 0, is_first), shape.log_step(0), shape.levels
    kind = f"source.{field.base.name}.{integers}" if is_first else "word"
    read = source_reader(field, integers) if is_first else read_word
    gather = gatherer(shape.radices[0], kind, read)

    @device(f"ntt.fetch.{field.name}.{integers}.{shape.name}.{is_first}")
    def fetch(frame, geometry, source):
        log_row = geometry[0] - geometry[1] - levels + geometry[2]
        lane, row, _ = place(np.int64(cuda.threadIdx.x), geometry)
        exists, start, _, _ = lane_at(frame, geometry, lane)
        first = (start if exists else 0) + (row << log_row)
        return gather(source, first, 1 << (log_row + log_step), geometry[6])

    return fetch


@cache
def _transform(field: Field, shape: Pass, index: int, is_first: bool) -> Any:
    """Device function: an item's values through step ``index``, to shared or to device memory."""
    assert field.coset_dft is not None
    radix, done, log_step = shape.radices[index], shape.done[index], shape.log_step(index)
    lane_at = tiling(shape, is_first).lane_at
    slot, slot_step = slots_of(shape).slot, slots_of(shape).step(log_step)
    gather, scatter, dft = (
        gatherer(radix, "word", read_word),
        scatterer(radix),
        field.coset_dft(radix),
    )
    to_memory = index == len(shape.radices) - 1 and not shape.contiguous
    table_words, offset, levels = shape.table_words, shape.table_offset(index), shape.levels

    @device(f"ntt.transform.{field.name}.{shape.name}.{index}.{is_first}")
    def transform(x, lane, row, position, frame, geometry, data, shared):
        _, _, end, own = lane_at(frame, geometry, lane)
        power = own * table_words + offset + position
        y = dft(x, gather(shared, power, 1 << done, 0)[1:])
        if to_memory:
            log_row = geometry[0] - geometry[1] - levels + geometry[2]
            scatter(data, end + (row << log_row), 1 << (log_row + log_step), y)
        else:
            scatter(shared, slot(row, lane), slot_step, y)

    return transform


@cache
def _later_steps(field: Field, shape: Pass, is_first: bool, index: int = 1) -> Any:
    """Device function: the steps from ``index`` on, each after a barrier."""
    name = f"{field.name}.{shape.name}.{index}.{is_first}"
    if index == len(shape.radices):

        @device(f"ntt.steps.{name}")
        def no_steps(frame, geometry, data, shared):
            pass

        return no_steps
    rest = _later_steps(field, shape, is_first, index + 1)
    place, transform = item_place(shape, index, is_first), _transform(field, shape, index, is_first)
    slot, slot_step = slots_of(shape).slot, slots_of(shape).step(shape.log_step(index))
    radix, threads = shape.radices[index], 1 << shape.log_threads
    num_items, gather = 1 << (shape.log_tile - radix), gatherer(radix, "word", read_word)

    @device(f"ntt.steps.{name}")
    def steps(frame, geometry, data, shared):
        cuda.syncthreads()
        item = np.int64(cuda.threadIdx.x)
        while item < num_items:
            lane, row, position = place(item, geometry)
            x = gather(shared, slot(row, lane), slot_step, 0)
            transform(x, lane, row, position, frame, geometry, data, shared)
            item += threads
        rest(frame, geometry, data, shared)

    return steps


@device("ntt.store.nothing")
def _stored_already(frame, geometry, data, shared):
    """The last step of a strided pass has written its values."""


@cache
def _store(field: Field, shape: Pass, is_first: bool) -> Any:
    """Device function: canonical values from shared memory to their rows, neighbours together."""
    if not shape.contiguous:
        return _stored_already
    places, slot = tiling(shape, is_first), slots_of(shape).slot
    split, lane_at, write = places.split, places.lane_at, field.base.store
    levels, num_items, threads = shape.levels, 1 << shape.log_tile, 1 << shape.log_threads

    @device(f"ntt.store.{field.name}.{shape.name}.{is_first}")
    def store(frame, geometry, data, shared):
        item = np.int64(cuda.threadIdx.x)
        while item < num_items:
            lane, row = split(item, levels, geometry)
            exists, _, end, _ = lane_at(frame, geometry, lane)
            if exists:
                place = np.uint64(end + (row << geometry[2]))
                write(data, place, shared[np.uint64(slot(row, lane))])
            item += threads

    return store


@cache
def _all_fills(field: Field, shape: Pass, index: int = 0) -> Any:
    """Device function: the powers of the steps from ``index`` on."""
    fill = _fill(field, shape, index)
    if index == len(shape.radices) - 1:
        return fill
    rest = _all_fills(field, shape, index + 1)

    @device(f"ntt.fills.{field.name}.{shape.name}.{index}")
    def fills(first_block, log_blocks, geometry, low, high, log_low, shared):
        fill(first_block, log_blocks, geometry, low, high, log_low, shared)
        rest(first_block, log_blocks, geometry, low, high, log_low, shared)

    return fills


@cache
def pass_kernel(field: Field, integers: bool, shape: Pass, is_first: bool) -> BlockKernel:
    """One tile a block; arguments as ``run_pass`` gives them. ``integers``: of the first's source."""
    fetch, fills = _fetch(field, integers, shape, is_first), _all_fills(field, shape)
    place, transform = item_place(shape, 0, is_first), _transform(field, shape, 0, is_first)
    steps, store = _later_steps(field, shape, is_first), _store(field, shape, is_first)
    locate = tiling(shape, is_first).frame
    log_lanes, is_contiguous = shape.log_lanes, shape.contiguous

    def tile(
        source, length, log_size, log_done, log_limbs, stride, columns, log_columns, low, high,
        log_low, data,
    ):  # fmt: skip
        shared = cuda.shared.array(0, uint64)
        geometry = (log_size, log_done, log_limbs, stride, columns, log_columns, length)
        frame = locate(np.int64(cuda.blockIdx.x), geometry)
        log_blocks = log_lanes - log_columns - log_limbs if is_contiguous else 0
        x = fetch(frame, geometry, source)  # before the barrier: their latency hides the powers
        fills(frame[0], log_blocks, geometry, low, high, log_low, shared)
        cuda.syncthreads()
        lane, row, position = place(np.int64(cuda.threadIdx.x), geometry)
        transform(x, lane, row, position, frame, geometry, data, shared)
        steps(frame, geometry, data, shared)
        cuda.syncthreads()
        store(frame, geometry, data, shared)

    kind = "first" if is_first else "later"
    name = f"ntt.{kind}.{field.base.name}.{'integers' if integers else 'words'}.{shape.name}"
    return BlockKernel(name, tile, 1 << shape.log_threads, shape.blocks)


def run_pass(
    target: Target,
    field: Field,
    shape: Pass,
    log_done: int,
    source: Array | None,
    length: int,
    columns: int,
    log_size: int,
    log_limbs: int,
    stride: int,
    data: Array,
) -> None:
    """``shape.levels`` levels of all columns, after ``log_done``; in place unless from a source."""
    integers = source is not None and holds_integers(source)
    kernel = pass_kernel(field, integers, shape, source is not None)
    log_columns = log_tile_columns(shape, columns, log_limbs) if shape.contiguous else 0
    log_blocks = shape.log_lanes - log_limbs - log_columns if shape.contiguous else 0
    tiles = num_tiles(shape, log_size, log_done, columns, (log_limbs, log_columns))
    target.launch(
        kernel, tiles, shape.shared_bytes(log_blocks), data if source is None else source,
        length << log_limbs, log_size, log_done, log_limbs, stride, columns, log_columns,
        *root_tables(target, field, log_size), data,
    )  # fmt: skip


def encode(
    target: Target,
    field: Field,
    source: Array,
    length: int,
    num_columns: int,
    log_rows: int,
    log_inv_rate: int,
    stride: int,
    extension: bool,
    data: Array,
    passes: tuple[Pass, ...] | None = None,
) -> None:
    """``ntt.encode`` into ``data``, for columns of two values or more."""
    log_limbs = (field.ext.limbs if extension else field.base.limbs).bit_length() - 1
    passes = passes or plan(log_rows)
    log_size, log_done = log_rows + log_inv_rate, log_inv_rate
    for k, shape in enumerate(passes):
        run_pass(
            target, field, shape, log_done, source if k == 0 else None, length, num_columns,
            log_size, log_limbs, stride, data,
        )  # fmt: skip
        log_done += shape.levels
