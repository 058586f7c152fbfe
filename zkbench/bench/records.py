"""Records: one JSON line for each verified run, with its raw samples and provenance."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zkbench.bench.timers import PHASES
from zkbench.bench.validation import first_error, packaged_validator
from zkbench.errors import UnusableInput
from zkbench.files import write_atomically

if TYPE_CHECKING:
    import pandas

Record = dict[str, Any]

SCHEMA_VERSION = 1
SCHEMA = "record.schema.json"
IDENTITY = ("benchmark", "params", "target", "field")
SAME_RUN = ("id", "seed", "machine")
INTERVAL = ("min", "q1", "median", "q3", "max")


class RecordError(UnusableInput):
    """A record that does not fit the schema, or a file that holds no records."""


def record_id(benchmark: str, params: dict[str, Any], target: str, field: str) -> str:
    """Return the identity of a run: 64 bits of SHA-256 over its canonical JSON, in hex."""
    identity = dict(zip(IDENTITY, (benchmark, params, target, field), strict=True))
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_record(record: Record) -> None:
    """Raise `RecordError` unless the record fits the schema and agrees with itself."""
    if error := first_error(packaged_validator(SCHEMA), record):
        raise RecordError(f"not a record: {error}")
    _to_line(record)
    if record["id"] != record_id(*(record[key] for key in IDENTITY)):
        raise RecordError("not a record: the id is not the hash of what was run")
    repeats = len(record["samples"]["prove_s"])
    for name, samples in record["phases"].items():
        if len(samples) != repeats:
            raise RecordError(
                f"not a record: phase {name} has {len(samples)} samples, prove_s has {repeats}"
            )


def write_record(path: str | Path, record: Record) -> None:
    """Put the record into a JSON Lines file, in place of an earlier one of the same run.

    The file is replaced as a whole, so a kill or a full disk leaves the old one. Runs are
    the same if benchmark, parameters, target, field, seed and machine are. Raises
    `RecordError` for anything that is not the record of a verified run.
    """
    check_record(record)
    path = Path(path)
    others = [old for old in _read_file(path) if not _same_run(old, record)]
    write_records(path, [*others, record])


def write_records(path: str | Path, records: Iterable[Record]) -> None:
    """Write a JSON Lines file of these records alone; an empty one if there are none."""
    records = list(records)
    for record in records:
        check_record(record)
    lines = "".join(map(_to_line, records))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lines.encode())


def _to_line(record: Record) -> str:
    try:
        return json.dumps(record, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise RecordError(f"not a record: {error}") from None


def _same_run(one: Record, other: Record) -> bool:
    return all(one[key] == other[key] for key in SAME_RUN)


def iterate_records(paths: Iterable[str | Path]) -> Iterator[Record]:
    """Yield the records of the files, and of all .jsonl files under the directories."""
    for path in map(Path, paths):
        for file in sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]:
            if not file.exists():
                raise RecordError(f"{file}: no such file")
            yield from _read_file(file)


def _read_file(path: Path) -> list[Record]:
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [_parse(line, f"{path}:{n}") for n, line in enumerate(lines, 1) if line.strip()]


def _parse(line: str, where: str) -> Record:
    try:
        record: Record = json.loads(line)
        check_record(record)
    except (json.JSONDecodeError, RecordError) as error:
        raise RecordError(f"{where}: {error}") from None
    return record


def read_records(paths: Iterable[str | Path]) -> pandas.DataFrame:
    """Return the records as a table, one row a record, `flatten`ed; see there for columns."""
    import pandas

    return pandas.DataFrame([flatten(record) for record in iterate_records(paths)])


def latest_of_each_run(records: Iterable[Record]) -> list[Record]:
    """Return the newest record of each run (same id, seed and machine), oldest run first."""
    newest: dict[tuple[Any, ...], Record] = {}
    for record in sorted(records, key=lambda record: record["provenance"]["time"]):
        newest[tuple(record[key] for key in SAME_RUN)] = record
    return list(newest.values())


def flatten(record: Record) -> dict[str, Any]:
    """Return one row of plain values.

    `prove_s_*` and `verify_s_*` with min, q1, median, q3 and max of the warm samples in
    seconds; `values_per_s` (values / median); `cold_prove_s`, `cold_verify_s`;
    `phase_<name>_s` (medians) and `phase_other_s`, what they leave of the median proving
    time; `verify_cores` (None if unknown); `param_<name>`, `extra_<name>`; `host_peak_bytes`,
    `device_peak_bytes`; provenance as `git_commit`, `git_dirty`, `cpu_model`, `cpu_threads`,
    `gpu_name`, `time` and so on.
    """
    plain = (*SAME_RUN, "benchmark", "target", "field", "values", "proof_bytes")
    row: dict[str, Any] = {key: record[key] for key in plain}
    row |= {key: record[key] for key in ("soundness_bits", "zero_knowledge", "verified")}
    row |= {f"param_{key}": value for key, value in record["params"].items()}
    row |= _times(record)
    row |= _phases(record, row["prove_s_median"]) | record["memory"]
    row["verify_cores"] = record.get("verifier", {}).get("cores")
    row |= {f"extra_{key}": value for key, value in record["extra"].items()}
    return row | _origin(record["provenance"])


def interval(samples: list[float], name: str) -> dict[str, float]:
    """Return min, quartiles, median and max of the samples under `<name>_<statistic>`."""
    points = np.quantile(samples, [0, 0.25, 0.5, 0.75, 1])
    return {f"{name}_{key}": float(x) for key, x in zip(INTERVAL, points, strict=True)}


def _times(record: Record) -> dict[str, float]:
    samples, cold = record["samples"], record["cold_s"]
    row = interval(samples["prove_s"], "prove_s") | interval(samples["verify_s"], "verify_s")
    row["repeats"] = len(samples["prove_s"])
    row["values_per_s"] = record["values"] / row["prove_s_median"]
    return row | {"cold_prove_s": cold["prove"], "cold_verify_s": cold["verify"]}


def _phases(record: Record, prove_s: float) -> dict[str, float]:
    medians = {name: float(np.median(record["phases"].get(name, [0.0]))) for name in PHASES}
    medians["other"] = max(0.0, prove_s - sum(medians.values()))
    return {f"phase_{name}_s": median for name, median in medians.items()}


def _origin(provenance: dict[str, Any]) -> dict[str, Any]:
    git = provenance["git"] or {"commit": None, "dirty": None}
    gpu = provenance["gpu"] or {}
    cpu = provenance["cpu"]
    row = {"git_commit": git["commit"], "git_dirty": git["dirty"]}
    row |= {f"cpu_{key}": value for key, value in cpu.items()}
    row |= {f"gpu_{key}": gpu.get(key) for key in ("name", "driver", "cuda", "runtime")}
    row |= {f"version_{key}": value for key, value in provenance["versions"].items()}
    return row | {"ram_bytes": provenance["ram_bytes"], "time": provenance["time"]}
