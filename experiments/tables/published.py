"""Throughput of other systems' protocols, where the source gives the number of values."""

import argparse
from pathlib import Path

import pandas as pd
from formats import Column, significant, write_table

COLUMNS = [
    Column("benchmark", "benchmark"),
    Column("system", "system"),
    Column("model", "what was run"),
    Column("hardware", "hardware"),
    Column("values", "values", lambda value: f"{value:,}"),
    Column("prove_s", "time (s)", significant(3)),
    Column("values_per_s", "million values/s", significant(3, 1e6)),
    Column("source", "source"),
]


def with_throughput(published: pd.DataFrame) -> pd.DataFrame:
    """The rows that give a number of values, with `values_per_s`."""
    rows = published.dropna(subset=["values"]).astype({"values": int})
    return rows.assign(values_per_s=rows["values"] / rows["prove_s"])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--published", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix")
    options = parser.parse_args(arguments)
    write_table(with_throughput(pd.read_csv(options.published)), COLUMNS, options.out)


if __name__ == "__main__":
    main()
