"""Device functions that say where a tile of the CUDA encoder's values lies, and move tuples of them.

``geometry`` of a pass: log2 of the codeword's length, of the blocks before the pass, of the words
of an element; the columns' distance in entries and their number; log2 of the columns of a tile; the
number of words that the source holds. ``frame`` of a tile: its first block; where it starts in the
source and in the codewords (strided) or its first column (contiguous).
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from zkbench.fields import Field
from zkbench.jit import device
from zkbench.kernels.ntt import reader
from zkbench.kernels.ntt_passes import Pass


@cache
def gatherer(log_size: int, name: str, read: Any) -> Any:
    """(array, index, step, limit) -> tuple of the 2^log_size values read at index + e step."""
    if log_size == 0:

        @device(f"ntt.gather.{name}.0")
        def gather_one(array, index, step, limit):
            return (read(array, index, limit),)

        return gather_one
    half, size = gatherer(log_size - 1, name, read), 1 << (log_size - 1)

    @device(f"ntt.gather.{name}.{log_size}")
    def gather(array, index, step, limit):
        middle = index + size * step
        return half(array, index, step, limit) + half(array, middle, step, limit)

    return gather


@device("ntt.gather.word")
def read_word(array, index, limit):
    return array[np.uint64(index)]  # unsigned: Numba then sees that it is not counted from the end


@cache
def scatterer(log_size: int) -> Any:
    """(array, index, step, values): the words' places are index + e step."""
    if log_size == 0:

        @device("ntt.scatter.0")
        def scatter_one(array, index, step, values):
            array[np.uint64(index)] = values[0]

        return scatter_one
    half, size = scatterer(log_size - 1), 1 << (log_size - 1)

    @device(f"ntt.scatter.{log_size}")
    def scatter(array, index, step, values):
        half(array, index, step, values[:size])
        half(array, index + size * step, step, values[size:])

    return scatter


@cache
def source_reader(field: Field, integers: bool) -> Any:
    """A value of the columns, zero from ``limit`` on."""
    read, zero = reader(field.base, integers), field.base.zero

    @device(f"ntt.gather.source.{field.base.name}.{integers}")
    def padded(array, index, limit):
        return read(array, np.uint64(index)) if index < limit else zero()

    return padded


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
def slots_of(shape: Pass) -> SimpleNamespace:
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


def tiling(shape: Pass, is_first: bool) -> SimpleNamespace:
    """``frame``, ``lane_at`` and ``split`` of a pass; ``is_first``: it reads the source."""
    return (_contiguous if shape.contiguous else _strided)(shape, is_first)


@cache
def item_place(shape: Pass, index: int, is_first: bool) -> Any:
    """Device function of an item of step ``index``: lane, row of its first value, its power."""
    split = tiling(shape, is_first).split
    radix, log_step = shape.radices[index], shape.log_step(index)
    log_groups = shape.levels - radix

    @device(f"ntt.place.{shape.name}.{index}.{is_first}")
    def place(item, geometry):
        lane, group = split(item, log_groups, geometry)
        position = group >> log_step
        row = (position << (log_step + radix)) + (group & ((1 << log_step) - 1))
        return lane, row, position

    return place
