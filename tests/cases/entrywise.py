"""Cases of entrywise products of integers: proven without tables of elements of their length."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from random import Random
from typing import Any

import numpy as np
from definitions import mle

from cases.case import FIELD, Shape, draw_points, entrywise_product
from cases.products import HadamardCase
from zkbench.kernels.launch import Target
from zkbench.protocols.hadamard import Hadamard
from zkbench.protocols.tlookup import Value
from zkbench.transcript import ProverTranscript

LARGEST = 1 << 16  # in magnitude, of a factor


def random_integers(rng: Random, count: int, dtype: str) -> list[int]:
    """Uniform ones, and both ends of the range."""
    info = np.iinfo(dtype)
    low, high = max(int(info.min), -LARGEST), min(int(info.max), LARGEST)
    return [rng.choice([low, high, rng.randint(low, high)]) for _ in range(count)]


@dataclass(frozen=True)
class EntrywiseCase(HadamardCase):
    """The case of a Hadamard product, whose prover has its factors as integers of these types."""

    integers: tuple[tuple[int, ...], ...] = ()
    dtypes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, rng: Random, shape: Shape, dtypes: tuple[str, ...] = ("int16", "int16")
    ) -> EntrywiseCase:
        integers = tuple(tuple(random_integers(rng, prod(shape), dtype)) for dtype in dtypes)
        tables = tuple(tuple(FIELD.element(v) for v in values) for values in integers)
        result = tuple(entrywise_product(tables))
        return cls(shape=shape, tables=tables, result=result, integers=integers, dtypes=dtypes)

    @property
    def lifted(self) -> HadamardCase:
        """The same with factors in E."""
        return HadamardCase(shape=self.shape, tables=self.tables, result=self.result)

    def with_integer(self, factor: int, index: int, value: int) -> EntrywiseCase:
        """The prover multiplies with another integer than the one that it sent."""
        values = list(self.integers[factor])
        values[index] = value
        integers = list(self.integers)
        integers[factor] = tuple(values)
        return replace(self, integers=tuple(integers))

    def prove(self, transcript: ProverTranscript, target: Target) -> Any:
        for table in (*self.tables, self.result):
            transcript.send("table", table)
        points = draw_points(transcript, self.shape)
        claim = Value(points, mle(self.result, self.shape, points))
        pairs = zip(self.integers, self.dtypes, strict=True)
        factors = [target.to_device(np.array(values, dtype=dtype)) for values, dtype in pairs]
        protocol = Hadamard(FIELD, self.shape, len(self.tables))
        return protocol.prove(transcript, target, factors, claim)
