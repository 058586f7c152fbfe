"""The command `zkbench ceilings`: what this device can do at most, for the roofline figure."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from zkbench.bench.ceilings import ceilings_record, rates, write_ceilings
from zkbench.errors import UnusableInput
from zkbench.kernels.launch import target

UNITS = {"copy": (1e9, "GB/s"), "read": (1e9, "GB/s")}
OPERATIONS = (1e9, "billion/s")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `zkbench ceilings` to its parser."""
    choices = ("auto", "cpu", "cuda")
    parser.add_argument("--target", choices=choices, default="auto", help="auto: a GPU if any")
    parser.add_argument("--repeats", type=int, default=7, help="timed launches of each kernel")
    parser.add_argument("--out", type=Path, help="FILE.json; its name should say the target")
    parser.add_argument("--json", action="store_true", help="print the record")


def run(args: argparse.Namespace) -> int:
    """Run the command; 0 if all went well. Raises UnusableInput."""
    if args.repeats < 1:
        raise UnusableInput(f"at least one repeat is needed, not {args.repeats}")
    record = ceilings_record(target(args.target), repeats=args.repeats)
    if args.out:
        write_ceilings(args.out, record)
    if args.json:
        print(json.dumps(record))
        return 0
    print(f"{record['machine']}, {record['target']}")
    for name, rate in rates(record).items():
        unit, word = UNITS.get(name, OPERATIONS)
        print(f"{name:>16} {rate / unit:10.4g} {word}")
    return 0
