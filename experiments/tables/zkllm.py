"""zkLLM's Table 1 with this suite's records beside it: the same models, at as many tokens."""

import argparse
from pathlib import Path

import pandas as pd
from formats import Column, bits, significant, write_table

from zkbench.bench.language_records import language_records
from zkbench.bench.records import read_records

GB = 1e9
SYSTEM = "zkLLM"
OURS = {
    "machine": "machine",
    "commit_s": "commit_s",
    "prove_s": "prove_s_median",
    "proof_bytes": "proof_bytes",
    "verify_s": "verify_s_median",
    "memory_bytes": "device_peak_bytes",
    "soundness_bits": "soundness_bits",
    "overhead": "overhead",
}
COLUMNS = [
    Column("model", "model"),
    Column("commit_s", "commit (s), zkLLM", significant(3)),
    Column("ours_commit_s", "commit (s), here", significant(3)),
    Column("prove_s", "prove (s), zkLLM", significant(3)),
    Column("ours_prove_s", "prove (s), here", significant(3)),
    Column("speedup", "times as fast", significant(3)),
    Column("proof_bytes", "proof (kB), zkLLM", significant(4, 1e3)),
    Column("ours_proof_bytes", "proof (kB), here", significant(4, 1e3)),
    Column("verify_s", "verify (s), zkLLM", significant(3)),
    Column("ours_verify_s", "verify (s), here", significant(3)),
    Column("memory_bytes", "GPU memory (GB), zkLLM", significant(3, GB)),
    Column("ours_memory_bytes", "GPU memory (GB), here", significant(3, GB)),
    Column("ours_soundness_bits", "soundness (bits), here", bits),
    Column("ours_overhead", "proof / fp16 forward pass, here", significant(3)),
    Column("hardware", "hardware, zkLLM"),
    Column("ours_machine", "hardware, here"),
]


def beside(published: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
    """A row a model and machine of ours, or one of zkLLM alone where there is no record."""
    theirs = published[published["system"] == SYSTEM]
    theirs = theirs.assign(memory_bytes=GB * theirs["memory_gb"], order=range(len(theirs)))
    ours = language_records(records)
    ours = ours[ours["target"] == "cuda"]
    named = {f"ours_{key}": ours[column] for key, column in OURS.items()}
    mine = pd.DataFrame({"model": ours["model"], "tokens": ours["param_positions"], **named})
    mine = mine.astype({"model": object, "tokens": float})
    joined = theirs.astype({"tokens": float}).merge(mine, "left", ["model", "tokens"])
    return joined.assign(speedup=joined["prove_s"] / joined["ours_prove_s"]).sort_values(
        ["order", "ours_machine"]
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--published", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix")
    options = parser.parse_args(arguments)
    published = pd.read_csv(options.published)
    table = beside(published, read_records([options.records]))
    write_table(table, COLUMNS, options.out)


if __name__ == "__main__":
    main()
