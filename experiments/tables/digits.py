"""The headline table: proving and verifying the digit classifier, by batch and machine."""

import argparse
from pathlib import Path

import pandas as pd
from formats import Column, bits, significant, write_table, yes_no

from zkbench.bench.records import read_records

MB = 1e6
COLUMNS = [
    Column("machine", "machine"),
    Column("target", "target"),
    Column("param_batch", "images", lambda value: str(int(value))),
    Column("prove_s_median", "prove (s)", significant(3)),
    Column("prove_s_min", "least", significant(3)),
    Column("prove_s_max", "most", significant(3)),
    Column("cold_prove_s", "first proof (s)", significant(3)),
    Column("verify_s_median", "verify (ms)", significant(3, 1e-3)),
    Column("proof_bytes", "proof (kB)", significant(4, 1e3)),
    Column("soundness_bits", "soundness (bits)", bits),
    Column("zero_knowledge", "zero-knowledge", yes_no),
    Column("host_peak_bytes", "host memory (MB)", significant(3, MB)),
    Column("device_peak_bytes", "GPU memory (MB)", significant(3, MB)),
]


def select(records: pd.DataFrame) -> pd.DataFrame:
    """The records of inferences, by machine and batch."""
    rows = records[records["benchmark"] == "inference"]
    return rows.sort_values(["machine", "target", "param_batch"])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix")
    options = parser.parse_args(arguments)
    write_table(select(read_records([options.records])), COLUMNS, options.out)


if __name__ == "__main__":
    main()
