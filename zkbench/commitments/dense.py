"""The committed vector: tensors side by side (see ``layout``), read in pieces wherever they lie.

Tensors may be arrays of the target, of the host, or memory-mapped files. A short vector is put
together once and stays on the target; of a long one each pass brings piece after piece there, so a
commitment may be larger than the target's memory. A single tensor of the target is never copied. An
opening passes over the data several times, and brings what there is room for only once (``held``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from zkbench.commitments.layout import Layout, Slot
from zkbench.fields import Field
from zkbench.kernels.interleaved import centred, fill
from zkbench.kernels.launch import Array, Target
from zkbench.kernels.ntt import holds_integers

_RESIDENT_SHARE = 8  # a vector within this part of the workspace is put together once
_SHORT = np.dtype(np.int16)
_HELD_SHARE = 0.75  # of the workspace, for tensors of the host while they are opened


@dataclass(frozen=True, eq=False)
class Centred:
    """A tensor of unsigned 16-bit integers, of which it is committed to each less 2^15.

    Those are made for a piece at a time: another copy of a large tensor would stay until it is opened.
    """

    array: Array
    dtype: ClassVar[np.dtype] = np.dtype(np.int16)

    @property
    def size(self) -> int:
        return int(self.array.size)


class DenseVector:
    """``length`` values of type ``dtype``: signed integers, or words of F (uint64).

    Where some tensors are wider than the others, ``dtype`` is words of F; pieces that are 16-bit
    integers throughout come as such all the same, a quarter of the bytes. The tensors are kept, not
    copied: they must stay as they are until the last opening.
    """

    def __init__(
        self, target: Target, field: Field, layout: Layout, tensors: Mapping[str, Any]
    ) -> None:
        """Arrays, flat or shaped, or ``Centred``; ValueError if names or sizes are not the layout's."""
        if set(tensors) != set(layout.shapes):
            raise ValueError("the tensors to commit to and their shapes have different names")
        for slot in layout.slots:
            if tensors[slot.name].size != slot.size:
                raise ValueError(f"tensor {slot.name!r} does not have the shape {slot.shape}")
        self.target, self.field, self.layout = target, field, layout
        self.length = layout.num_values
        self._tensors = {name: _flat(array) for name, array in tensors.items()}
        self.dtype = _common_type(self._tensors)
        self._whole = self._compose(0, self.length) if self._is_resident() else None

    def _is_resident(self) -> bool:
        """Whether the vector is on the target already, or is short enough to stay there."""
        only = next(iter(self._tensors.values())) if len(self._tensors) == 1 else None
        if (
            only is not None
            and not isinstance(only, np.ndarray | Centred)
            and only.dtype == self.dtype
        ):
            return True
        num_bytes = self.length * self.dtype.itemsize
        return num_bytes * _RESIDENT_SHARE <= self.target.workspace_bytes

    @property
    def holds_integers(self) -> bool:
        return self.dtype.kind == "i"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within it, tensors of the host are on a GPU, as far as there is room in the workspace."""
        tensors, workspace = self._tensors, self.target.workspace_bytes
        if self._whole is None and self.target.name == "cuda":
            self._tensors = self._brought(tensors, int(workspace * _HELD_SHARE))
        try:
            yield
        finally:
            self._tensors, self.target.workspace_bytes = tensors, workspace

    def _brought(self, tensors: Mapping[str, Any], room: int) -> dict[str, Any]:
        brought = dict(tensors)
        for name, array in tensors.items():
            if isinstance(array, np.ndarray) and array.nbytes <= room:
                brought[name] = self.target.to_device(array)
                self.target.workspace_bytes -= array.nbytes
                room -= array.nbytes
        return brought

    def piece(self, start: int, stop: int) -> Array:
        """Values start to stop (or to the end) on the target; not to be written to.

        16-bit integers if all of them are, else of type ``dtype``.
        """
        stop = min(stop, self.length)
        if self._whole is not None:
            return self.target.view(self._whole, start, stop)
        return self._compose(start, stop)

    def _compose(self, start: int, stop: int) -> Array:
        parts = [part for slot in self.layout.slots if (part := _overlap(slot, start, stop))]
        types = {self._tensors[slot.name].dtype for slot, _, _ in parts}
        dtype = _SHORT if types == {_SHORT} else self.dtype
        if len(parts) == 1:
            source = self._source(*parts[0])
            if source.dtype == dtype:
                return source
        out = self.target.empty(stop - start, dtype)
        for slot, first, last in parts:
            source = self._source(slot, first, last)
            offset = slot.offset + first - start
            fill(self.target, self.field, out, offset, source, last - first)
        return out

    def _source(self, slot: Slot, first: int, last: int) -> Array:
        """Entries first to last of a tensor on the target."""
        array = self._tensors[slot.name]
        if isinstance(array, Centred):
            return centred(self.target, self._part(_flat(array.array), first, last))
        return self._part(array, first, last)

    def _part(self, array: Any, first: int, last: int) -> Array:
        if isinstance(array, np.ndarray):
            return self.target.to_device(array[first:last])
        return self.target.view(array, first, last)


def _flat(array: Any) -> Any:
    return array.reshape(-1) if isinstance(array, np.ndarray) else array


def _common_type(tensors: Mapping[str, Any]) -> np.dtype:
    """One integer type if all have it, else words of F."""
    types = {np.dtype(array.dtype) for array in tensors.values()}
    uniform = len(types) == 1 and all(map(holds_integers, tensors.values()))
    return types.pop() if uniform else np.dtype(np.uint64)


def _overlap(slot: Slot, start: int, stop: int) -> tuple[Slot, int, int] | None:
    """(slot, its first and last entry between start and stop)."""
    first, last = max(start, slot.offset), min(stop, slot.offset + slot.size)
    return (slot, first - slot.offset, last - slot.offset) if first < last else None
