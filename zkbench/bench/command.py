"""The command `zkbench bench`: one microbenchmark, or a whole run sheet in one process."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zkbench.bench.gpu import find_gpu
from zkbench.bench.records import Record, flatten, write_record, write_records
from zkbench.bench.runner import BenchError, run_case
from zkbench.bench.sheet import SheetRow, read_sheet, why_not_here
from zkbench.errors import UnusableInput

ACCEPTED, REJECTED, UNUSABLE = 0, 1, 2


@dataclass
class Outcome:
    """What became of a run sheet's rows."""

    done: int = 0
    skipped: int = 0
    failed: int = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `zkbench bench` to its parser."""
    add = parser.add_argument
    add("name", nargs="?", help="a benchmark, such as tlookup; or use --sheet")
    add("--param", action="append", default=[], metavar="KEY=VALUE", help="repeatable")
    add("--sheet", type=Path, help="CSV: benchmark, params (JSON), target, repeats, machine")
    add("--only", action="append", metavar="NAME", help="rows of this benchmark; repeatable")
    add("--target", choices=("cpu", "cuda"), help="default: the GPU if there is one")
    add("--seed", type=int, default=0, help="of the inputs and the prover")
    add("--repeats", type=int, help="timed proofs at least; default 5, or the sheet's")
    add("--min-seconds", type=float, default=0.0, help="go on until this much is sampled")
    add("--out", type=Path, help="FILE.jsonl, or a folder that gets one file a record")
    add("--json", action="store_true", help="print the records as JSON lines")


def run(args: argparse.Namespace) -> int:
    """Run the command; 0 if all went well, 1 if a proof or run failed, 2 for bad input."""
    try:
        _check(args)
        return _run_sheet(args) if args.sheet else _run_one(args)
    except BenchError as error:
        return _stop(error, REJECTED)
    except UnusableInput as error:
        return _stop(error, UNUSABLE)


def _stop(error: Exception, code: int) -> int:
    print(f"zkbench bench: {error}", file=sys.stderr)
    return code


def _check(args: argparse.Namespace) -> None:
    if bool(args.sheet) == bool(args.name):
        raise UnusableInput("give either the name of a benchmark or --sheet")
    if args.sheet and args.param:
        raise UnusableInput("--param does not go with --sheet: the sheet has the parameters")
    if args.target == "cuda" and not _cuda_is_here():
        raise UnusableInput("--target cuda: there is no CUDA GPU here; use --target cpu")


def _cuda_is_here() -> bool:
    return find_gpu() is not None or os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"


def _run_one(args: argparse.Namespace) -> int:
    target = args.target or _best_target()
    params = parse_params(args.param)
    record = run_case(
        args.name,
        params,
        target,
        args.seed,
        5 if args.repeats is None else args.repeats,
        args.min_seconds,
    )
    if args.out:
        write_record(record_path(args.out, record), record)
    _print_record(record, args.json)
    return ACCEPTED


def _best_target() -> str:
    gpu = find_gpu()
    if gpu is not None:
        print(f"zkbench bench: using {gpu.name}", file=sys.stderr)
    return "cpu" if gpu is None else "cuda"


def parse_params(pairs: list[str]) -> dict[str, Any]:
    """Parse KEY=VALUE pairs; a value is JSON if it can be read as JSON, else text."""
    params: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UnusableInput(f"--param {pair}: write KEY=VALUE")
        params[key] = _json_or_text(value)
    return params


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def record_path(out: Path, record: Record) -> Path:
    """Return `out` if it names a .jsonl file, else the record's own file in that folder."""
    if out.suffix == ".jsonl":
        return out
    return out / f"{record['benchmark']}-{record['target']}-{record['id']}.jsonl"


def _run_sheet(args: argparse.Namespace) -> int:
    rows = [row for row in read_sheet(args.sheet) if _is_wanted(row, args)]
    if args.out and args.out.suffix == ".jsonl" and not args.out.exists():
        write_records(args.out, [])
    outcome = Outcome()
    for row in rows:
        _run_row(row, args, outcome)
    counts = f"{outcome.done} done, {outcome.skipped} skipped, {outcome.failed} failed"
    print(f"zkbench bench: {len(rows)} rows: {counts}", file=sys.stderr)
    return REJECTED if outcome.failed else ACCEPTED


def _is_wanted(row: SheetRow, args: argparse.Namespace) -> bool:
    return (args.target in (None, row.target)) and (not args.only or row.benchmark in args.only)


def _run_row(row: SheetRow, args: argparse.Namespace, outcome: Outcome) -> None:
    if reason := why_not_here(row.machine):
        outcome.skipped += 1
        print(f"zkbench bench: skipped {row}: {reason}", file=sys.stderr)
        return
    repeats = row.repeats if args.repeats is None else args.repeats
    try:
        record = run_case(
            row.benchmark, row.params, row.target, args.seed, repeats, args.min_seconds
        )
    except MemoryError:
        outcome.skipped += 1
        print(f"zkbench bench: skipped {row}: it does not fit into memory", file=sys.stderr)
        return
    except (BenchError, UnusableInput) as error:
        outcome.failed += 1
        print(f"zkbench bench: failed {row}: {error}", file=sys.stderr)
        return
    if args.out:
        write_record(record_path(args.out, record), record)
    outcome.done += 1
    _print_record(record, args.json)


def _print_record(record: Record, as_json: bool) -> None:
    print(json.dumps(record) if as_json else describe(record), flush=True)


def describe(record: Record) -> str:
    """Return one line for people."""
    row = flatten(record)
    params = " ".join(f"{key}={value}" for key, value in record["params"].items())
    secrecy = "zero-knowledge" if record["zero_knowledge"] else "not zero-knowledge"
    return (
        f"{record['benchmark']} {params} on {record['target']}: "
        f"prove {row['prove_s_median']:.4g} s "
        f"({row['prove_s_min']:.4g} to {row['prove_s_max']:.4g}, n={row['repeats']}), "
        f"{row['values_per_s']:.3g} values/s, proof {record['proof_bytes']} bytes, "
        f"verified in {row['verify_s_median']:.3g} s, "
        f"{record['soundness_bits']:.1f} bits, {secrecy}"
    )
