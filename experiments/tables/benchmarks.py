"""What `pytest benchmarks` measured: single calls at small sizes, to watch for regressions."""

import argparse
import json
from pathlib import Path

import pandas as pd
from formats import Column, significant, write_table

COLUMNS = [
    Column("name", "benchmark"),
    Column("rounds", "rounds"),
    Column("median", "median (ms)", significant(3, 1e-3)),
    Column("q1", "lower quartile", significant(3, 1e-3)),
    Column("q3", "upper quartile", significant(3, 1e-3)),
]


def read_results(path: Path) -> pd.DataFrame:
    """One row a benchmark; seconds."""
    found = json.loads(path.read_text())["benchmarks"]
    keys = ("rounds", "median", "q1", "q3")
    rows = [{"name": one["name"]} | {key: one["stats"][key] for key in keys} for one in found]
    return pd.DataFrame(rows).sort_values("name")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="of --benchmark-json")
    parser.add_argument("--out", type=Path, required=True, help="path without suffix")
    options = parser.parse_args(arguments)
    write_table(read_results(options.results), COLUMNS, options.out)


if __name__ == "__main__":
    main()
