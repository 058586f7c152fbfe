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

from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate
from types import SimpleNamespace
from typing import Any

import numpy as np
from numba import cuda, uint64

from zkbench.fields import Field
from zkbench.jit import device
from zkbench.kernels.launch import Array, BlockKernel, Target
from zkbench.kernels.ntt import holds_integers, reader, root_tables

_WORD_BYTES = 8
_32 = np.uint64(32)
_RADICES = {1: (1,), 2: (2,), 3: (3,), 4: (4,), 5: (3, 2), 6: (3, 3), 7: (4, 3), 8: (4, 4)}
_RADICES |= {9: (3, 3, 3), 10: (4, 3, 3), 11: (4, 4, 3), 12: (4, 4, 4)}


@dataclass(frozen=True)
class Pass:
    """A pass over device memory, as logarithms: the radix of each step (largest first), lanes.

    ``blocks`` is how many thread blocks a multiprocessor should hold: it bounds the registers.
    """

    radices: tuple[int, ...]
    log_lanes: int
    contiguous: bool = False
    blocks: int = 1

    @property
    def levels(self) -> int:
        return sum(self.radices)

    @property
    def log_tile(self) -> int:
        return self.levels + self.log_lanes

    @property
    def log_threads(self) -> int:
        """A thread has one item of the first step, and as many values in the later ones."""
        return self.log_tile - self.radices[0]

    @property
    def done(self) -> tuple[int, ...]:
        """Levels of this pass before each step."""
        return (0, *accumulate(self.radices))[:-1]

    @property
    def name(self) -> str:
        kind = "contiguous" if self.contiguous else "strided"
        steps = "".join(map(str, self.radices))
        return f"{kind}.{steps}.{self.log_lanes}.{self.blocks}"

    def log_step(self, index: int) -> int:
        """log2 of the rows from one value of an item of step ``index`` to the next."""
        return self.levels - self.done[index] - self.radices[index]

    def padded(self, rows: int) -> int:
        """Where a row starts in shared memory: a gap every few rows spreads them over the banks."""
        return rows + (rows >> self.radices[-1])

    @property
    def pitch(self) -> int:
        """Words from one lane to the next, in a contiguous pass; 8 for the halves of an element."""
        return self.padded(1 << self.levels) + (8 if self.levels > 6 else 1)

    @property
    def tile_words(self) -> int:
        if self.contiguous:
            return self.pitch << self.log_lanes
        return self.padded(1 << self.levels) << self.log_lanes

    @property
    def table_words(self) -> int:
        """The powers that one block of the transform needs."""
        return self.table_offset(len(self.radices)) - self.tile_words

    def table_offset(self, index: int) -> int:
        """Where the powers of step ``index`` are in shared memory, after the tile."""
        return self.tile_words + sum(1 << n for n in accumulate(self.radices[:index]))

    def shared_bytes(self, log_blocks: int) -> int:
        """For a tile with lanes from 2^log_blocks blocks of the transform."""
        return _WORD_BYTES * (self.tile_words + (self.table_words << log_blocks))


def make_pass(levels: int, levels_left: int, log_tile: int = 12) -> Pass:
    """A pass with tiles of 2^log_tile words or fewer, before ``levels_left`` others."""
    radices, is_last = _RADICES[levels], levels_left == 0
    lanes = min(max(0, log_tile - levels), 5 if is_last else levels_left)
    return with_occupancy(Pass(radices, lanes, is_last))


def with_occupancy(shape: Pass) -> Pass:
    """As many blocks as the registers allow: about 80 a thread for radix 16, 64 below."""
    threads = 1 << shape.log_threads
    return replace(shape, blocks=min(3, max(1, (768 if shape.radices[0] > 3 else 1024) // threads)))


@cache
def plan(log_rows: int) -> tuple[Pass, ...]:
    """The passes over columns of 2^log_rows values: few, but with 8 neighbouring words or more."""
    num_passes = 1 if log_rows <= 10 else -(-log_rows // 9)
    bounds = [log_rows * k // num_passes for k in range(num_passes + 1)]
    levels = [stop - start for start, stop in zip(bounds[:-1], bounds[1:], strict=True)]
    return tuple(make_pass(n, log_rows - stop) for n, stop in zip(levels, bounds[1:], strict=True))


@cache
def _gather(log_size: int, name: str, read: Any) -> Any:
    """(array, index, step, limit) -> tuple of the 2^log_size values read at index + e step."""
    if log_size == 0:

        @device(f"ntt.gather.{name}.0")
        def gather(array, index, step, limit):
            return (read(array, index, limit),)

        return gather
    half, size = _gather(log_size - 1, name, read), 1 << (log_size - 1)

    @device(f"ntt.gather.{name}.{log_size}")
    def gather(array, index, step, limit):  # noqa: F811
        middle = index + size * step
        return half(array, index, step, limit) + half(array, middle, step, limit)

    return gather


@device("ntt.gather.word")
def _word(array, index, limit):
    return array[np.uint64(index)]  # unsigned: Numba then sees that it is not counted from the end


@cache
def _scatter(log_size: int) -> Any:
    """(array, index, step, values): the words' places are index + e step."""
    if log_size == 0:

        @device("ntt.scatter.0")
        def scatter(array, index, step, values):
            array[np.uint64(index)] = values[0]

        return scatter
    half, size = _scatter(log_size - 1), 1 << (log_size - 1)

    @device(f"ntt.scatter.{log_size}")
    def scatter(array, index, step, values):  # noqa: F811
        half(array, index, step, values[:size])
        half(array, index + size * step, step, values[size:])

    return scatter


@cache
def _source_reader(field: Field, integers: bool) -> Any:
    """A value of the columns, zero from ``limit`` on."""
    read, zero = reader(field.base, integers), field.base.zero

    @device(f"ntt.gather.source.{field.base.name}.{integers}")
    def padded(array, index, limit):
        return read(array, np.uint64(index)) if index < limit else zero()

    return padded


# ``geometry`` of a pass: log2 of the codeword's length K, of the blocks before the pass, of the
# words of an element; the columns' distance in entries and number; log2 of the columns of a tile;
# the number of words that the source holds.
# ``frame`` of a tile: its first block; where it starts in the source and in the codewords (strided)
# or its first column (contiguous).


@cache
def _strided(shape: Pass, is_first: bool) -> SimpleNamespace:
    """Where tiles and lanes are: lanes are neighbouring words of a row."""
    levels, log_lanes = shape.levels, shape.log_lanes
    name = f"{shape.name}.{is_first}"

    @device(f"ntt.frame.{name}")
    def frame(tile, geometry):
        log_size, log_done, log_limbs, stride, _, _, _ = geometry
        log_width = log_size - log_done - levels + log_limbs
        log_tiles = log_width - log_lanes
        if is_first:  # the blocks of a column read the same values, so they come together
            block, rest = tile & ((1 << log_done) - 1), tile >> log_done
            x, column = rest & ((1 << log_tiles) - 1), rest >> log_tiles
        else:
            x, rest = tile & ((1 << log_tiles) - 1), tile >> log_tiles
            block, column = rest & ((1 << log_done) - 1), rest >> log_done
        offset = x << log_lanes
        source = (column << (log_width + levels)) + offset
        target = ((column * stride) << log_limbs) + (block << (log_width + levels)) + offset
        return block, source if is_first else target, target

    @device(f"ntt.lane.{name}")
    def lane_at(frame, geometry, lane):
        """(whether it exists, its first word in the source, in the codewords, its block)"""
        return True, frame[1] + lane, frame[2] + lane, 0

    @device(f"ntt.split.{name}")
    def split(item, log_groups, geometry):
        """(lane, group within the lane) of an item of a step: neighbours in memory come first."""
        return item & ((1 << log_lanes) - 1), item >> log_lanes

    return SimpleNamespace(frame=frame, lane_at=lane_at, split=split)


@cache
def _contiguous(shape: Pass, is_first: bool) -> SimpleNamespace:
    """Where tiles and lanes are: a lane is a limb of some block of some column, in this order."""
    levels, log_lanes = shape.levels, shape.log_lanes
    name = f"{shape.name}.{is_first}"

    @device(f"ntt.frame.{name}")
    def frame(tile, geometry):
        _, _, log_limbs, _, columns, log_columns, _ = geometry
        groups = (columns + (1 << log_columns) - 1) >> log_columns
        blocks = tile // groups
        first_block = blocks << (log_lanes - log_columns - log_limbs)
        return first_block, (tile - blocks * groups) << log_columns, 0

    @device(f"ntt.lane.{name}")
    def lane_at(frame, geometry, lane):
        _, log_done, log_limbs, stride, columns, log_columns, _ = geometry
        limb, rest = lane & ((1 << log_limbs) - 1), lane >> log_limbs
        column = frame[1] + (rest & ((1 << log_columns) - 1))
        own = rest >> log_columns
        block = frame[0] + own
        target = ((column * stride + (block << levels)) << log_limbs) + limb
        source = (column << (levels + log_limbs)) + limb if is_first else target
        return column < columns and block < (1 << log_done), source, target, own

    @device(f"ntt.split.{name}")
    def split(item, log_groups, geometry):
        log_limbs = geometry[2]
        limb, rest = item & ((1 << log_limbs) - 1), item >> log_limbs
        lane = ((rest >> log_groups) << log_limbs) | limb
        return lane, rest & ((1 << log_groups) - 1)

    return SimpleNamespace(frame=frame, lane_at=lane_at, split=split)


@cache
def _slots(shape: Pass) -> SimpleNamespace:
    """Places in shared memory: of (row, lane), and the step between rows 2^log_step apart."""
    gap, log_lanes, pitch, is_contiguous = (
        shape.radices[-1],
        shape.log_lanes,
        shape.pitch,
        shape.contiguous,
    )

    @device(f"ntt.slot.{shape.name}")
    def slot(row, lane):
        padded = row + (row >> gap)
        return lane * pitch + padded if is_contiguous else (padded << log_lanes) + lane

    def step(log_step: int) -> int:
        padded = shape.padded(1 << log_step)
        return padded if shape.contiguous else padded << log_lanes

    return SimpleNamespace(slot=slot, step=step)


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
                low[np.uint64(exponent & ((1 << log_low) - 1))], high[np.uint64(exponent >> log_low)]
            )
            shared[np.uint64(own * table_words + offset + place)] = power
            j += threads

    return fill


@cache
def _place(shape: Pass, index: int, is_first: bool) -> Any:
    """Device function of an item of step ``index``: lane, row of its first value, its power."""
    split = (_contiguous if shape.contiguous else _strided)(shape, is_first).split
    radix, log_step = shape.radices[index], shape.log_step(index)
    log_groups = shape.levels - radix

    @device(f"ntt.place.{shape.name}.{index}.{is_first}")
    def place(item, geometry):
        lane, group = split(item, log_groups, geometry)
        position = group >> log_step
        row = (position << (log_step + radix)) + (group & ((1 << log_step) - 1))
        return lane, row, position

    return place


@cache
def _fetch(field: Field, integers: bool, shape: Pass, is_first: bool) -> Any:
    """Device function: the values of a thread's item of the first step, from device memory.

    Every thread has one item of that step: its radix is the largest. A lane that does not exist
    reads the first one's values.
    """
    lane_at = (_contiguous if shape.contiguous else _strided)(shape, is_first).lane_at
    place, log_step, levels = _place(shape, 0, is_first), shape.log_step(0), shape.levels
    kind = f"source.{field.base.name}.{integers}" if is_first else "word"
    read = _source_reader(field, integers) if is_first else _word
    gather = _gather(shape.radices[0], kind, read)

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
    lane_at = (_contiguous if shape.contiguous else _strided)(shape, is_first).lane_at
    slot, slot_step = _slots(shape).slot, _slots(shape).step(log_step)
    gather, scatter, dft = _gather(radix, "word", _word), _scatter(radix), field.coset_dft(radix)
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
    place, transform = _place(shape, index, is_first), _transform(field, shape, index, is_first)
    slot, slot_step = _slots(shape).slot, _slots(shape).step(shape.log_step(index))
    radix, threads = shape.radices[index], 1 << shape.log_threads
    num_items, gather = 1 << (shape.log_tile - radix), _gather(radix, "word", _word)

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
    places, slot = _contiguous(shape, is_first), _slots(shape).slot
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
    place, transform = _place(shape, 0, is_first), _transform(field, shape, 0, is_first)
    steps, store = _later_steps(field, shape, is_first), _store(field, shape, is_first)
    locate = (_contiguous if shape.contiguous else _strided)(shape, is_first).frame
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


def log_tile_columns(shape: Pass, columns: int, log_limbs: int) -> int:
    """log2 of the columns of a contiguous tile: as many as share their powers without idle lanes."""
    limit = shape.log_lanes - log_limbs

    def cost(log_columns: int) -> float:
        blocks = 1 << (limit - log_columns)
        return (-(-columns >> log_columns) << log_columns) * (1 + blocks / 32)

    return min(range(limit + 1), key=cost)


def num_tiles(shape: Pass, log_size: int, log_done: int, columns: int, lanes: tuple[int, int]) -> int:
    """``lanes``: log2 of the words of an element and of the columns of a contiguous tile."""
    log_limbs, log_columns = lanes
    if not shape.contiguous:
        return columns << (log_size - shape.levels + log_limbs - shape.log_lanes)
    log_blocks = shape.log_lanes - log_limbs - log_columns
    return -(-columns >> log_columns) * -(-(1 << log_done) >> log_blocks)


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
