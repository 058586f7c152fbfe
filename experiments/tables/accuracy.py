"""The integer model against the float model, by rescaling shift."""

import argparse
from pathlib import Path

import pandas as pd
from formats import Column, percent, significant, write_table

COLUMNS = [
    Column("shift", "shift (bits)"),
    Column("weight_bits", "weights (bits)"),
    Column("batch", "images"),
    Column("accuracy_float", "float accuracy (%)", percent),
    Column("accuracy_integer", "integer accuracy (%)", percent),
    Column("agreement", "same label (%)", percent),
    Column("largest_difference", "largest difference", significant(3)),
    Column("rms_difference", "rms difference", significant(3)),
]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accuracy", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix")
    options = parser.parse_args(arguments)
    write_table(pd.read_csv(options.accuracy), COLUMNS, options.out)


if __name__ == "__main__":
    main()
