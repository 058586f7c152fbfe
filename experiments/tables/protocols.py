"""Microbenchmarks of single protocols: times, throughput, proof sizes."""

import argparse
from pathlib import Path

import pandas as pd
from formats import Column, bits, significant, write_table

from zkbench.bench.records import flatten, iterate_records

WHOLE_MODELS = ("inference", "language", "training")
COLUMNS = [
    Column("benchmark", "benchmark"),
    Column("parameters", "parameters"),
    Column("machine", "machine"),
    Column("values", "values", lambda value: f"{value:,}"),
    Column("prove_s_median", "prove (s)", significant(3)),
    Column("prove_s_q1", "lower quartile", significant(3)),
    Column("prove_s_q3", "upper quartile", significant(3)),
    Column("values_per_s", "million values/s", significant(3, 1e6)),
    Column("verify_s_median", "verify (ms)", significant(3, 1e-3)),
    Column("proof_bytes", "proof (kB)", significant(4, 1e3)),
    Column("host_peak_bytes", "host memory (MB)", significant(3, 1e6)),
    Column("device_peak_bytes", "GPU memory (MB)", significant(3, 1e6)),
    Column("soundness_bits", "soundness (bits)", bits),
]


def rows_of(paths: list[Path]) -> pd.DataFrame:
    """One row for each record that is not of a whole model; `parameters` in words."""
    rows = [
        flatten(record)
        | {"parameters": " ".join(f"{key}={value}" for key, value in record["params"].items())}
        for record in iterate_records(paths)
        if record["benchmark"] not in WHOLE_MODELS
    ]
    keys = ["benchmark", "target", "machine", "values"]
    return pd.DataFrame(
        rows, columns=None if rows else [*keys, *(c.key for c in COLUMNS)]
    ).sort_values(keys)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix")
    options = parser.parse_args(arguments)
    write_table(rows_of([options.records]), COLUMNS, options.out)


if __name__ == "__main__":
    main()
