"""Proofs of training on random data, and what is published about training of other systems."""

import argparse
from pathlib import Path

import pandas as pd
from formats import Column, bits, significant, write_table

from zkbench.bench.records import read_records
from zkbench.bench.training_records import training_records

GB = 1e9
NAMES = {"stacked": "FAC4DNN, here", "sequential": "a proof a step, here"}


def count(value: float) -> str:
    return f"{int(value):,}"


COLUMNS = [
    Column("system", "system"),
    Column("hardware", "hardware"),
    Column("model", "model"),
    Column("extra_parameters", "parameters (million)", significant(3, 1e6)),
    Column("param_loss", "loss"),
    Column("relu", "ReLU by", str),
    Column("param_batch", "samples a step", count),
    Column("param_steps", "steps", count),
    Column("step_s", "prove a step (s)", significant(3)),
    Column("prove_s_median", "prove all (s)", significant(3)),
    Column("phase_witness_s", "of it training and witness (s)", significant(3)),
    Column("step_bytes", "proof a step (kB)", significant(3, 1e3)),
    Column("proof_bytes", "proof (kB)", significant(4, 1e3)),
    Column("verify_s_median", "verify (s)", significant(3)),
    Column("extra_commit_s", "commit before (s)", significant(3)),
    Column("host_peak_bytes", "host memory (GB)", significant(3, GB)),
    Column("device_peak_bytes", "GPU memory (GB)", significant(3, GB)),
    Column("soundness_bits", "soundness (bits)", bits),
]


def measured(records: pd.DataFrame) -> pd.DataFrame:
    """This suite's records."""
    rows = training_records(records, with_bits=True)
    return rows.assign(system=rows["param_variant"].map(NAMES), hardware=rows["machine"])


def others(published: pd.DataFrame) -> pd.DataFrame:
    """Published figures, all of them of one step, by the names of our columns."""
    names = {"batch": "param_batch", "steps": "param_steps", "prove_s": "step_s"}
    rows = published.rename(columns=names | {"proof_bytes": "step_bytes"})
    rows = rows.assign(verify_s_median=rows["verify_s"], system=rows["system"] + " (published)")
    return rows.reindex(columns=[column.key for column in COLUMNS])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--published", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix")
    options = parser.parse_args(arguments)
    ours, theirs = measured(read_records([options.records])), others(pd.read_csv(options.published))
    table = pd.concat([ours, theirs.astype(object)], ignore_index=True)
    numeric = [column.key for column in COLUMNS if column.show is not str]
    table[numeric] = table[numeric].astype(float)
    write_table(table, COLUMNS, options.out)


if __name__ == "__main__":
    main()
