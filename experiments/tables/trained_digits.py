"""The digits run: accuracy of training in integers and in floating point, and what its proof cost."""

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd
from formats import Column, bits, percent, significant, write_table

COLUMNS = [
    Column("widths", "widths"),
    Column("batch", "samples a step"),
    Column("steps", "steps"),
    Column("float_accuracy", "test accuracy, float (%)", percent),
    Column("integer_accuracy", "test accuracy, integers (%)", percent),
    Column("float_loss", "training loss, float", significant(3)),
    Column("integer_loss", "training loss, integers", significant(3)),
    Column("target", "target"),
    Column("train_s", "train in integers (s)", significant(3)),
    Column("prove_s", "prove (s)", significant(3)),
    Column("verify_s", "verify (s)", significant(3)),
    Column("proof_bytes", "proof (kB)", significant(4, 1e3)),
    Column("soundness_bits", "soundness (bits)", bits),
]


def row_of(trained: dict[str, Any], proven: dict[str, Any], verified: dict[str, Any]) -> dict:
    """What the three commands said, in one row; stops where the proof was not accepted."""
    if not verified["accepted"]:
        raise SystemExit("the proof of the digits run was not accepted")
    rule, curves = trained["rule"], trained["curves"]
    return {
        "widths": "-".join(map(str, rule["dims"])),
        "batch": rule["batch"],
        "steps": verified["steps"],
        **{f"{run}_accuracy": curves[run]["test_accuracy"] for run in ("float", "integer")},
        **{f"{run}_loss": curves[run]["train_loss"] for run in ("float", "integer")},
        "target": proven["target"],
        "train_s": trained["train_seconds"],
        "prove_s": proven["prove_seconds"],
        "verify_s": verified["verify_seconds"],
        "proof_bytes": verified["proof_bytes"],
        "soundness_bits": verified["soundness_bits"],
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    names = ("trained", "proven", "verified")
    for name in names:
        parser.add_argument(f"--{name}", type=Path, required=True, help="of the command's --json")
    parser.add_argument("--out", type=Path, required=True, help="path without suffix")
    options = parser.parse_args(arguments)
    found = (json.loads(getattr(options, name).read_text()) for name in names)
    write_table(pd.DataFrame([row_of(*found)]), COLUMNS, options.out)


if __name__ == "__main__":
    main()
