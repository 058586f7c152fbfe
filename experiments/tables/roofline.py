"""What phases of provers achieve against the ceilings of their device, in values a second."""

import argparse
from pathlib import Path

import pandas as pd
from formats import Column, percent, significant, write_table

from zkbench.bench.ceilings import read_ceilings
from zkbench.bench.records import read_records
from zkbench.bench.roofline import roofline

COLUMNS = [
    Column("machine", "machine"),
    Column("phase", "phase"),
    Column("values", "values", lambda value: f"{value:,}"),
    Column("values_per_s", "million values/s", significant(3, 1e6)),
    Column("arithmetic_values_per_s", "arithmetic ceiling", significant(3, 1e6)),
    Column("memory_values_per_s", "memory ceiling", significant(3, 1e6)),
    Column("share", "of the lower one (%)", percent),
]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--operations", type=Path, required=True)
    parser.add_argument("--ceilings", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix")
    options = parser.parse_args(arguments)
    ceilings = [read_ceilings(path) for path in options.ceilings]
    found = roofline(read_records([options.records]), pd.read_csv(options.operations), ceilings)
    write_table(found, COLUMNS, options.out)


if __name__ == "__main__":
    main()
