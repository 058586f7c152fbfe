"""Run sheets: a CSV of microbenchmarks, and which of its rows this machine can carry."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from zkbench.bench.gpu import find_gpu
from zkbench.bench.validation import first_error, packaged_validator
from zkbench.errors import UnusableInput

SCHEMA = "sheet.schema.json"
GIB = 2**30


class SheetError(UnusableInput):
    """A run sheet that cannot be used; the message names the row or the column."""


@dataclass(frozen=True)
class SheetRow:
    """One line of a run sheet: a benchmark, its parameters, where it runs, how often."""

    benchmark: str
    params: dict[str, Any]
    target: str
    repeats: int
    machine: str

    def __str__(self) -> str:
        params = " ".join(f"{key}={value}" for key, value in self.params.items())
        return f"{self.benchmark} {params} on {self.target}"


@dataclass(frozen=True)
class MachineClass:
    """The least that a machine must have to carry a row of this class."""

    cores: int = 1
    host_gib: float = 0.0
    device_gib: float = 0.0


# The sizes stay below the nominal ones: systems report less than the label says.
MACHINE_CLASSES = {
    "small": MachineClass(host_gib=3),
    "large": MachineClass(cores=16, host_gib=60),
    "gpu-24gb": MachineClass(device_gib=22),
    "gpu-80gb": MachineClass(device_gib=74),
}


def read_sheet(path: str | Path) -> list[SheetRow]:
    """Read a CSV with the columns benchmark, params (JSON), target, repeats, machine."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            return [_row(cells, f"{path}:{reader.line_num}") for cells in reader]
    except (OSError, UnicodeDecodeError) as error:
        raise SheetError(f"cannot read the run sheet {path}: {error}") from None


def _row(cells: dict[str | None, Any], where: str) -> SheetRow:
    if None in cells or None in cells.values():
        raise SheetError(f"{where}: the row has not as many cells as the head of the sheet")
    values = {str(key): value for key, value in cells.items()}
    for key, read in (("params", json.loads), ("repeats", int)):
        try:
            values[key] = read(values[key])
        except (KeyError, ValueError):
            raise SheetError(f"{where}: {key} is missing or malformed") from None
    if error := first_error(packaged_validator(SCHEMA), values):
        raise SheetError(f"{where}: {error}")
    return SheetRow(**values)


def why_not_here(machine: str) -> str | None:
    """Return why this machine is too small for rows of that class; None if it is not."""
    needs = MACHINE_CLASSES[machine]
    gpu = find_gpu()
    if needs.device_gib and gpu is None:
        return "there is no CUDA GPU here"
    if gpu is not None and gpu.memory_bytes < needs.device_gib * GIB:
        return f"needs {needs.device_gib:g} GiB of GPU memory"
    if (os.cpu_count() or 1) < needs.cores:
        return f"needs {needs.cores} cores"
    if psutil.virtual_memory().total < needs.host_gib * GIB:
        return f"needs {needs.host_gib:g} GiB of memory"
    return None
