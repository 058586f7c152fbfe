"""Achieved throughput of protocol phases against what the device's ceilings allow.

A list of operations (CSV) says how many of each basic operation a phase needs at least for a value,
and how many bytes it must move. With the measured rates (`ceilings`), arithmetic alone would take
sum over operations of count / rate, and traffic alone bytes / copy rate: the larger is the floor.

All arithmetic is expressed in multiplications in E that would take as long, so that every phase has
one intensity (multiplications a byte) and fits under one roof.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zkbench.bench.ceilings import rates

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Phase:
    """A phase of a benchmark's prover; ``params``: which records of it count."""

    benchmark: str
    timer: str
    params: tuple[tuple[str, Any], ...] = ()


_DEFAULT_SCHEME = (("scheme", "whir"), ("johnson", 0))
PHASES = {
    "commit": Phase("commitment", "commit", _DEFAULT_SCHEME),
    "open": Phase("commitment", "opening", _DEFAULT_SCHEME),
    "lookup": Phase("tlookup", "lookups"),
    "matmul": Phase("matmul", "sumchecks"),
    "hadamard": Phase("hadamard", "sumchecks"),
}


def roofline(
    records: pandas.DataFrame, operations: pandas.DataFrame, ceilings: Iterable[Mapping[str, Any]]
) -> pandas.DataFrame:
    """One row a machine and phase, at the largest size of which there is a record.

    ``records``: of `read_records`; ``operations``: the CSV; ``ceilings``: of `read_ceilings`.
    Columns: machine, target, gpu_name, cpu_model, cpu_threads, phase, values, values_per_s,
    arithmetic_values_per_s and memory_values_per_s (the two ceilings), share (of the lower one),
    intensity (multiplications in E a byte), multiplications_per_s (achieved), e_multiply and copy
    (the roof).
    """
    import pandas

    rows = [
        _row(found, name, operations[operations["phase"] == name], rates(record))
        for record in ceilings
        for name, phase in PHASES.items()
        if (found := _largest(records, phase, record)) is not None
    ]
    return pandas.DataFrame(rows)


def _largest(records: pandas.DataFrame, phase: Phase, ceilings: Mapping[str, Any]) -> Any:
    """The record of the largest size on the machine of the ceilings, or None."""
    wanted = {"benchmark": phase.benchmark} | {key: ceilings[key] for key in ("machine", "target")}
    wanted |= {f"param_{key}": value for key, value in phase.params}
    rows = records[records[f"phase_{phase.timer}_s"] > 0]
    for key, value in wanted.items():
        rows = rows[rows[key] == value] if key in rows else rows[:0]
    return None if rows.empty else rows.sort_values("values").iloc[-1]


def _row(
    record: Any, name: str, operations: pandas.DataFrame, rate: Mapping[str, float]
) -> dict[str, Any]:
    origin = ("machine", "target", "gpu_name", "cpu_model", "cpu_threads")
    values = num_values(record)
    achieved = values / record[f"phase_{PHASES[name].timer}_s"]
    arithmetic = sum(_count(part, record) / rate[part["operation"]] for part in _parts(operations))
    moved = float(operations["bytes"].sum())
    ceiling = {"arithmetic": 1 / arithmetic, "memory": rate["copy"] / moved}
    multiplications = arithmetic * rate["e_multiply"]
    return {key: record[key] for key in origin} | {
        "phase": name,
        "values": values,
        "values_per_s": achieved,
        "arithmetic_values_per_s": ceiling["arithmetic"],
        "memory_values_per_s": ceiling["memory"],
        "share": achieved / min(ceiling.values()),
        "intensity": multiplications / moved,
        "multiplications_per_s": multiplications * achieved,
        "e_multiply": rate["e_multiply"],
        "copy": rate["copy"],
    }


def _parts(operations: pandas.DataFrame) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = operations.to_dict("records")
    return parts


def _count(part: Mapping[str, Any], record: Any) -> float:
    per_level = part["count_per_log_rows"]
    return float(part["count"] + (per_level * record["extra_log_rows"] if per_level else 0))


def num_values(record: Any) -> int:
    """Values that the phases handle: of a matrix product the entries of both operands."""
    if record["benchmark"] != "matmul":
        return int(record["values"])
    layers, batch, d_in, d_out = (
        int(record[f"param_{key}"]) for key in ("num_layers", "batch", "d_in", "d_out")
    )
    return layers * d_in * (batch + d_out)
