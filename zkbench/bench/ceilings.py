"""Ceilings of a device: how many bytes it moves, and basic operations it does, in a second.

They are measured with this package's own arithmetic, in loops that do nothing else. What a kernel
leaves is compared with Python integers (or another BLAKE3) at a few places before its times count.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3

from zkbench.bench.provenance import collect_provenance, machine_id
from zkbench.bench.records import RecordError
from zkbench.bench.sampling import sample, timed
from zkbench.bench.validation import first_error, packaged_validator
from zkbench.fields import GOLDILOCKS
from zkbench.files import read_json, write_atomically
from zkbench.kernels.ceilings import CHAINS, MATRIX_WIDTH, kernels
from zkbench.kernels.launch import Kernel, Target

SCHEMA, SCHEMA_VERSION = "ceilings.schema.json", 1
FIELD = GOLDILOCKS
SEED = 1


@dataclass(frozen=True)
class Sizes:
    """Elements of E that are moved; items that compute, and how often each does."""

    elements: int
    items: int
    times: int


# Arrays larger than any cache; work for some ten milliseconds.
SIZES = {"cpu": Sizes(1 << 24, 1 << 13, 1024), "cuda": Sizes(1 << 27, 1 << 21, 1024)}


@dataclass(frozen=True)
class Measurement:
    """``launch`` does ``amount`` of something; ``check`` raises RuntimeError if it did not."""

    amount: int
    launch: Callable[[], Any]
    check: Callable[[], None]


def measure_ceilings(
    where: Target, sizes: Sizes | None = None, repeats: int = 7
) -> dict[str, dict[str, Any]]:
    """name -> amount of a launch, seconds of each: of bytes, or of operations."""
    bench = _Bench(where, sizes or SIZES[where.name])
    return {name: _sampled(where, make(), repeats) for name, make in bench.measurements.items()}


def _sampled(where: Target, measurement: Measurement, repeats: int) -> dict[str, Any]:
    def launch() -> None:
        measurement.launch()
        where.synchronise()

    launch()
    measurement.check()
    return {
        "amount": measurement.amount,
        "seconds": sample(lambda: timed(launch)[0], repeats),
    }


class _Bench:
    def __init__(self, where: Target, sizes: Sizes) -> None:
        self.where, self.sizes = where, sizes
        self.rng = np.random.Generator(np.random.PCG64(SEED))
        self.family = kernels(FIELD)
        self.measurements: dict[str, Callable[[], Measurement]] = {
            "copy": self.copy,
            "read": self.read,
            "multiply": lambda: self.chains(self.family.multiply, 1, sizes.times, _power),
            "butterfly": lambda: self.chains(
                self.family.butterfly, 1, sizes.times, _butterflies, inputs=2
            ),
            "e_multiply": lambda: self.chains(
                self.family.multiply_ext, 2, sizes.times // 4, _power
            ),
            "e_multiply_add": self.multiply_add,
            "compression": self.compress,
        }

    def copy(self) -> Measurement:
        n = self.sizes.elements
        words = np.arange(2 * n, dtype=np.uint64)
        source, out = self.where.to_device(words), self.where.zeros(2 * n)

        def check() -> None:
            _require(np.array_equal(self.where.to_host(out), words), "copy")

        return Measurement(32 * n, lambda: self.where.map(self.family.copy, n, source, out), check)

    def read(self) -> Measurement:
        n = self.sizes.elements
        source = self.where.to_device(np.arange(2 * n, dtype=np.uint64))
        sums: list[Any] = []

        def launch() -> None:
            sums[:] = FIELD.unpack(self.where.reduce(self.family.read, n, source))

        def check() -> None:
            _require(sums[0] == FIELD.element(n * (n - 1), n * n), "read")

        return Measurement(16 * n, launch, check)

    def chains(
        self, kernel: Kernel, limbs: int, times: int, expected: Any, inputs: int = 1
    ) -> Measurement:
        """Independent chains of ``times`` steps, each from so many ``inputs``."""
        items, an_item = self.sizes.items, CHAINS * inputs
        words = self.rng.integers(0, FIELD.modulus, (items * an_item + 1) * limbs, dtype=np.uint64)
        values, factor = words[:-limbs], words[-limbs:]
        arrays = [self.where.to_device(part) for part in (values, factor)]
        out = self.where.zeros(items * limbs)

        def check() -> None:
            found, w = self.where.to_host(out), _elements(factor, limbs, 0, 1)[0]
            for i in (0, items - 1):
                (sums,) = _elements(found, limbs, i, 1)
                starts = _elements(values, limbs, an_item * i, an_item)
                _require(sums == expected(starts, w, times), kernel.name)

        amount = items * times * CHAINS
        return Measurement(
            amount, lambda: self.where.map(kernel, items, *arrays, times, out), check
        )

    def multiply_add(self) -> Measurement:
        items, terms = self.sizes.items, self.sizes.times // 2
        weights = self.rng.integers(0, FIELD.modulus, 2 * terms, dtype=np.uint64)
        shape = (terms, MATRIX_WIDTH)
        matrix = self.rng.integers(-(1 << 15), 1 << 15, shape, dtype=np.int16)
        arrays = [self.where.to_device(part) for part in (weights, matrix)]
        out = self.where.zeros(2 * items)

        def check() -> None:
            found = FIELD.unpack(self.where.to_host(out, 2))[0]
            pairs = zip(FIELD.unpack(weights), matrix[:, 0].tolist(), strict=True)
            _require(found == sum((w * m for w, m in pairs), FIELD.element(0)), "multiply_add")

        kernel = self.family.multiply_add
        return Measurement(
            items * terms, lambda: self.where.map(kernel, items, *arrays, terms, out), check
        )

    def compress(self) -> Measurement:
        items, times = self.sizes.items, max(1, self.sizes.times // 32)
        seeds = self.rng.integers(0, 1 << 64, 4 * items, dtype=np.uint64)
        source, out = self.where.to_device(seeds), self.where.zeros(4 * items)

        def check() -> None:
            digest = seeds[:4].tobytes()
            for _ in range(times):
                digest = blake3(digest + bytes(32)).digest()
            _require(self.where.to_host(out, 4).tobytes() == digest, "compress")

        kernel = self.family.compress
        return Measurement(
            items * times, lambda: self.where.map(kernel, items, source, times, out), check
        )


def _require(right: Any, name: str) -> None:
    if not right:
        raise RuntimeError(f"the kernel {name} computed something else than it was measured for")


def _elements(words: np.ndarray, limbs: int, start: int, count: int) -> list[Any]:
    """Some elements of F (as elements of E, too) or of E."""
    some = words[limbs * start : limbs * (start + count)]
    return [FIELD.element(word) for word in some.tolist()] if limbs == 1 else FIELD.unpack(some)


def _power(starts: Sequence[Any], factor: Any, times: int) -> Any:
    return sum(starts, FIELD.element(0)) * factor**times


def _butterflies(starts: Sequence[Any], factor: Any, times: int) -> Any:
    total = FIELD.element(0)
    for a, b in zip(starts[::2], starts[1::2], strict=True):
        for _ in range(times):
            wb = factor * b
            a, b = a + wb, a - wb
        total = total + a + b
    return total


def ceilings_record(where: Target, sizes: Sizes | None = None, repeats: int = 7) -> dict[str, Any]:
    """The measurements with what they were made on, checked against their schema."""
    record = {
        "schema": SCHEMA_VERSION,
        "target": where.name,
        "field": FIELD.name,
        "machine": machine_id(where.name),
        "ceilings": measure_ceilings(where, sizes, repeats),
        "provenance": collect_provenance(),
    }
    _check(record, "ceilings")
    return record


def _check(record: Any, name: str) -> None:
    if error := first_error(packaged_validator(SCHEMA), record):
        raise RecordError(f"{name}: {error}")


def write_ceilings(path: Path, record: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(record, indent=1) + "\n").encode())


def read_ceilings(path: Path) -> dict[str, Any]:
    """A record that ``write_ceilings`` wrote; raises RecordError for anything else."""
    record: dict[str, Any] = read_json(path)
    _check(record, str(path))
    return record


def rates(record: Mapping[str, Any]) -> dict[str, float]:
    """name -> amount a second, by the median time."""
    return {
        name: one["amount"] / float(np.median(one["seconds"]))
        for name, one in record["ceilings"].items()
    }
