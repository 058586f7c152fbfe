"""The accuracy that follows from the proofs: labels in verified statements against the truth."""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from formats import Column, percent, write_table

COLUMNS = [
    Column("images", "images"),
    Column("verdict", "verdict"),
    Column("correct", "correct labels"),
    Column("accuracy", "proven accuracy (%)", percent),
]


def proven_accuracy(statement: Path, verdict: Path, truth: np.ndarray) -> dict[str, object]:
    """One row; the statement's `labels` belong to the first images."""
    labels = np.array(json.loads(statement.read_text())["labels"])
    if not json.loads(verdict.read_text())["accepted"]:
        raise SystemExit(f"{verdict}: the proof was not accepted")
    correct = int(np.sum(labels == truth[: len(labels)]))
    row = {"images": len(labels), "verdict": "accepted", "correct": correct}
    return row | {"accuracy": correct / len(labels)}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=Path, required=True, help="the true labels, .npy")
    parser.add_argument("--statements", type=Path, nargs="+", required=True)
    parser.add_argument("--verdicts", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix")
    options = parser.parse_args(arguments)
    truth = np.load(options.labels)
    pairs = zip(options.statements, options.verdicts, strict=True)
    rows = [proven_accuracy(statement, verdict, truth) for statement, verdict in pairs]
    write_table(pd.DataFrame(rows).sort_values("images"), COLUMNS, options.out)


if __name__ == "__main__":
    main()
