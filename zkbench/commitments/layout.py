"""Where tensors lie in the dense vector that is committed.

A tensor is cut into tiles of 2^b entries: its trailing axes of power-of-two length, times the power
of two in the next one. It starts at a multiple of its tile, so the low b bits of a dense index are
the index inside a tile, and the verifier handles tiles instead of entries. Tensors stand in order
of falling tile size: every one is then aligned, and nothing is padded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, ...]


def log_tile(shape: Sequence[int]) -> int:
    """log2 of the largest aligned power-of-two block at the end of a tensor of this shape."""
    bits = 0
    for length in reversed(shape):
        power = (length & -length).bit_length() - 1
        bits += power
        if length != 1 << power:
            break
    return bits


@dataclass(frozen=True)
class Slot:
    """One tensor's place."""

    name: str
    shape: Shape
    offset: int

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Layout:
    """Tensors, in the order in which they stand. Build one with ``of`` or ``from_json``."""

    slots: tuple[Slot, ...]

    @classmethod
    def of(cls, shapes: Mapping[str, Sequence[int]]) -> Layout:
        """The layout of tensors with these names and shapes; raises ValueError for empty ones."""
        if not shapes or any(length < 1 for shape in shapes.values() for length in shape):
            raise ValueError("a layout needs at least one tensor, and tensors without empty axes")
        order = sorted(shapes, key=lambda name: (-log_tile(shapes[name]), name))
        slots, offset = [], 0
        for name in order:
            slot = Slot(name, tuple(int(n) for n in shapes[name]), offset)
            slots.append(slot)
            offset += slot.size
        return cls(tuple(slots))

    @property
    def num_values(self) -> int:
        last = self.slots[-1]
        return last.offset + last.size

    def num_columns(self, log_rows: int) -> int:
        """Columns of 2^log_rows values that hold the dense vector."""
        return -(-self.num_values >> log_rows)

    def slot(self, name: str) -> Slot:
        """The tensor of this name; raises KeyError."""
        for slot in self.slots:
            if slot.name == name:
                return slot
        raise KeyError(name)

    @property
    def shapes(self) -> dict[str, Shape]:
        return {slot.name: slot.shape for slot in self.slots}

    def to_json(self) -> list[list[Any]]:
        return [[slot.name, list(slot.shape)] for slot in self.slots]

    @classmethod
    def from_json(cls, data: Any, error: type[Exception]) -> Layout:
        """Read ``to_json``'s result; raises ``error`` for anything else."""
        if not isinstance(data, list) or not all(_is_entry(entry) for entry in data) or not data:
            raise error("the tensor layout is malformed")
        shapes = dict(data)
        layout = cls.of(shapes)
        if layout.to_json() != data or layout.num_values > _MOST_VALUES:
            raise error("the tensor layout is not in its canonical order, or too large")
        return layout


_MOST_VALUES = 1 << 48
_MOST_AXES = 8


def _is_entry(entry: Any) -> bool:
    """Whether JSON is [name, [lengths]]."""
    return (
        isinstance(entry, list)
        and len(entry) == 2
        and isinstance(entry[0], str)
        and isinstance(entry[1], list)
        and len(entry[1]) <= _MOST_AXES
        and all(type(n) is int and 1 <= n <= _MOST_VALUES for n in entry[1])
    )
