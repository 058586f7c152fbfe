"""Provers that any program's proof can be tried with: they do not mind values out of range."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from zkbench.protocols.logup_star import LogupStar
from zkbench.protocols.program import Program, TableLookup
from zkbench.protocols.range_checks import RangeChecks
from zkbench.protocols.tlookup import Lookup


class Relay:
    """A prover's transcript that lets ``lie`` change, in place, what is sent under ``label``."""

    def __init__(self, transcript: Any, label: str, lie: Callable[[list[Any]], None]) -> None:
        self._transcript, self._label, self._lie = transcript, label, lie

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transcript, name)

    def send(self, label: str, elements: list[Any]) -> None:
        if label == self._label:
            self._lie(elements)
        self._transcript.send(label, elements)


class BoldLogupStar(LogupStar):
    """An index that points nowhere is pushed to the table's last entry; the honest one would crash."""

    def _push(self, target: Any, indices: Sequence[Any], weights: Sequence[Any]) -> Any:
        last, offset = self.table_size - 1, self.table.offset
        inside = [
            np.where((i >= -offset) & (i <= last - offset), i, last - offset) for i in indices
        ]
        return super()._push(target, inside, weights)


class BoldLookup(TableLookup):
    def protocol(self, field: Any, *bits: float) -> LogupStar:
        return BoldLogupStar(**vars(super().protocol(field, *bits)))


class ShownChecks(RangeChecks):
    """A tensor "shown.name" is looked up in place of "name", which the prover works with."""

    def lookers(self, tensors: Mapping[str, Any]) -> list[list[Any]]:
        shown = {c.name: tensors.get(f"shown.{c.name}", tensors[c.name]) for c in self.checks}
        return super().lookers(shown)


class BoldProgram(Program):
    """Counts what is in range, and commits to the rest in wider integers. See ``ShownChecks``."""

    @classmethod
    def of(cls, honest: Program, **changes: Any) -> BoldProgram:
        parts = {one.name: getattr(honest, one.name) for one in fields(Program)}
        bold = tuple(BoldLookup(**vars(lookup)) for lookup in honest.lookups)
        return cls(**{**parts, "lookups": bold, **changes})

    @property
    def checks(self) -> RangeChecks:
        return ShownChecks(super().checks.checks)

    def _counts(self, target: Any, lookers: Sequence[Sequence[Any]]) -> list[np.ndarray]:
        pairs = zip(self.checks.lookups, lookers, strict=True)
        return [counts_in_range(*pair) for pair in pairs]

    def _signed(self, array: Any) -> Any:
        signed = array.astype(np.int64) - (1 << 15)
        return signed.astype(np.int16) if array.dtype == np.uint16 else signed


class ClippedChecks(RangeChecks):
    def lookers(self, tensors: Mapping[str, Any]) -> list[list[Any]]:
        return [
            [np.clip(tensors[c.name], -c.offset, size - 1 - c.offset) for c in self._of_size(size)]
            for size in self.sizes
        ]


class Clipping(BoldProgram):
    """Looks up what is nearest in its range in place of what is not, and works with the latter."""

    @property
    def checks(self) -> RangeChecks:
        return ClippedChecks(super().checks.checks)


def miscounted(which: int) -> type[BoldProgram]:
    """One multiplicity of this lookup is off by one."""

    class Miscounts(BoldProgram):
        def _counts(self, target: Any, lookers: Any) -> list[np.ndarray]:
            counts = super()._counts(target, lookers)
            counts[which][int(np.argmax(counts[which]))] += np.uint64(1)
            return counts

    return Miscounts


def committing(label: str, name: str) -> type[BoldProgram]:
    """A prover that commits to something else, in one entry of one tensor, than it works with."""

    class Commits(BoldProgram):
        def _commit(self, transcript, target, at, tensors, shapes):
            if at == label:
                other = tensors[name].copy().reshape(-1)
                other[len(other) // 2] ^= np.array(1, dtype=other.dtype)
                tensors = {**tensors, name: other}
            return super()._commit(transcript, target, at, tensors, shapes)

    return Commits


class Unflipped(BoldProgram):
    """Commits to the bits of unsigned integers as they are."""

    def _signed(self, array: Any) -> Any:
        return array.view(np.int16)


def counts_in_range(lookup: Lookup, lookers: Sequence[np.ndarray]) -> np.ndarray:
    shifted = [
        values.reshape(-1).astype(np.int64) + lookup.offset(k) for k, values in enumerate(lookers)
    ]
    values = np.concatenate(shifted)
    inside = values[(values >= 0) & (values < lookup.size)]
    return np.bincount(inside, minlength=lookup.size).astype(np.uint64)
