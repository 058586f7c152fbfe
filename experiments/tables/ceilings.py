"""The measured ceilings of each device: bytes and basic operations a second."""

import argparse
from pathlib import Path

import pandas as pd
from formats import Column, significant, write_table

from zkbench.bench.ceilings import rates, read_ceilings

BILLION = 1e9
COLUMNS = [
    Column("machine", "machine"),
    Column("target", "target"),
    Column("copy", "copy (GB/s)", significant(3, BILLION)),
    Column("read", "read (GB/s)", significant(3, BILLION)),
    Column("multiply", "F multiply (billion/s)", significant(3, BILLION)),
    Column("butterfly", "F butterfly", significant(3, BILLION)),
    Column("e_multiply", "E multiply", significant(3, BILLION)),
    Column("e_multiply_add", "E x int16 multiply-add", significant(3, BILLION)),
    Column("compression", "BLAKE3 compression", significant(3, BILLION)),
]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ceilings", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix")
    options = parser.parse_args(arguments)
    records = [read_ceilings(path) for path in options.ceilings]
    rows = [{key: one[key] for key in ("machine", "target")} | rates(one) for one in records]
    write_table(pd.DataFrame(rows).sort_values(["target", "machine"]), COLUMNS, options.out)


if __name__ == "__main__":
    main()
