"""How the CUDA encoder cuts its levels into passes, steps and tiles (``ntt_cuda`` runs them)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate

_WORD_BYTES = 8
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


def log_tile_columns(shape: Pass, columns: int, log_limbs: int) -> int:
    """log2 of the columns of a contiguous tile: as many as share their powers without idle lanes."""
    limit = shape.log_lanes - log_limbs

    def cost(log_columns: int) -> float:
        blocks = 1 << (limit - log_columns)
        return (-(-columns >> log_columns) << log_columns) * (1 + blocks / 32)

    return min(range(limit + 1), key=cost)


def num_tiles(
    shape: Pass, log_size: int, log_done: int, columns: int, lanes: tuple[int, int]
) -> int:
    """``lanes``: log2 of the words of an element and of the columns of a contiguous tile."""
    log_limbs, log_columns = lanes
    if not shape.contiguous:
        return columns << (log_size - shape.levels + log_limbs - shape.log_lanes)
    log_blocks = shape.log_lanes - log_limbs - log_columns
    return -(-columns >> log_columns) * -(-(1 << log_done) >> log_blocks)
