"""Writes the report: every table and figure, what was not run, and where the records come from."""

from __future__ import annotations

import argparse
import math
import os
from collections import Counter
from pathlib import Path

import pandas as pd

from zkbench.bench.records import Record, iterate_records, read_records
from zkbench.bench.sheet import SheetRow, read_sheet, why_not_here
from zkbench.files import write_atomically

SECTIONS = {
    "The digit classifier": ("digits", "proving_time", "proven_labels"),
    "Float and integer model": ("accuracy",),
    "Language models": ("language", "language_phases", "zkllm", "model_sizes", "perplexity"),
    "Training": ("trained_digits", "training_curves", "training", "training_cost", "aggregation"),
    "Protocols": ("protocols", "tlookup", "matmul", "commitment", "zkattn", "zkrelu", "published"),
    "Sizes, time and memory": ("proof_size", "verifier_time", "memory", "phases"),
    "Against the device": ("ceilings", "roofline"),
    "Small sizes": ("benchmarks",),
}
CAPTIONS = {
    "digits": "Proving and verifying one inference over a batch of test images (medians; least "
    "and most of the samples; the first proof includes loading or compiling kernels).",
    "proving_time": "Proving time by batch and phase.",
    "proven_labels": "Labels in the verified statements against the true labels.",
    "accuracy": "The integer model, which the proofs are about, against the float model.",
    "language": "Whole language models, from the prompt to the token behind it. `llama-bytes` and "
    "`opt-bytes` are trained models that come with the suite; the others have published shapes and "
    "random weights. GPU memory is that of the prover; the plain forward pass was timed in the same "
    "run, on the same device.",
    "language_phases": "Shares of the phases in the time of proving a language model.",
    "zkllm": "zkLLM's Table 1 and the same models here. zkLLM proves the transformer layers alone, "
    "interactively; here embedding, output layer and arg-max are proven as well. A model without "
    "figures here has no record.",
    "model_sizes": "Proving time by size of the model, with zkLLM's Figure 4.",
    "perplexity": "Perplexity in floating point and in integers. The text of ours comes with Python; "
    "zkLLM's figures are on C4.",
    "zkattn": "zkAttn of one layer against the length of the sequence, with zkLLM's Figure 5.",
    "zkrelu": "Rescaling, ReLU and its derivative by tables and by bits, as zkDL has them.",
    "trained_digits": "A perceptron trained on digits in integers, every step of it proven, and the "
    "same training in floating point.",
    "training_curves": "Training in integers, which is proven, and in floating point.",
    "training": "Steps of training on random data: FAC4DNN, which proves all layers and steps as one "
    "stack a shape, and its baseline, which proves every layer and step on its own. Proving includes "
    "the training in integers and all commitments but those to the data and the first weights. "
    "Published figures, hardware and setting as given, are of one step, verification included; "
    "proofs that are not zero-knowledge stand beside some that are.",
    "training_cost": "Time to prove a step of training, with what zkDL publishes.",
    "aggregation": "What stacking steps buys: time, proof and verification by number of steps.",
    "protocols": "Single protocols: medians and quartiles.",
    "tlookup": "Throughput of tlookup into a table of 2^16 entries.",
    "matmul": "Proving a matrix product.",
    "commitment": "Throughput of committing and of opening.",
    "proof_size": "Size of an opening: expected (lines) and proven (points).",
    "verifier_time": "Time to verify on one core.",
    "memory": "Peak memory of the prover beyond the values.",
    "phases": "Shares of the phases in the proving time.",
    "ceilings": "What each device can do at most, measured.",
    "roofline": "Phases of provers against the ceilings of their device. Values of a matrix product "
    "are its operands' entries; experiments/operations.csv has what each value needs.",
    "published": "Throughput of other systems' protocols; hardware and setting differ.",
    "benchmarks": "Single calls at small sizes on this machine (pytest-benchmark).",
}
ORIGIN = ["machine", "cpu_model", "cpu_threads", "gpu_name", "gpu_driver", "gpu_runtime"]
SOFTWARE = ["version_zkbench", "version_python", "version_numba", "version_numba_cuda"]
SOFTWARE += ["version_numpy", "git_commit", "git_dirty"]


def write_report(options: argparse.Namespace) -> None:
    """Join the parts and write them as a whole."""
    tables = {path.stem: path for path in options.tables}
    figures = {path.stem: path for path in options.figures}
    records = read_records([options.records])
    parts = [_introduction(records)]
    for title, names in SECTIONS.items():
        parts.append(f"## {title}")
        for name in names:
            parts += _item(name, tables, figures, options.out.parent)
    parts += [_not_run(options.sheet, options.records), _provenance(records)]
    write_atomically(options.out, ("\n\n".join(parts) + "\n").encode())


def _introduction(records: pd.DataFrame) -> str:
    secrecy = "All proofs are zero-knowledge."
    if not records["zero_knowledge"].all():
        secrecy = "The proofs are sound but **not zero-knowledge**."
    bits = math.floor(10 * records["soundness_bits"].min()) / 10
    return (
        "# zkbench: report\n\n"
        f"{len(records)} records, each of a run whose proof was accepted by a verifier in a "
        f"separate process on the CPU. {secrecy} The least soundness among them is "
        f"{bits:.1f} bits. All raw samples are in the records; times here are of warm runs "
        "unless it is said otherwise."
    )


def _item(name: str, tables: dict[str, Path], figures: dict[str, Path], base: Path) -> list[str]:
    parts = [CAPTIONS[name]]
    if name in figures:
        parts.append(f"![{CAPTIONS[name]}]({os.path.relpath(figures[name], base)})")
    if name in tables:
        parts.append(tables[name].read_text().strip())
    return parts


def _not_run(sheet: Path, records: Path) -> str:
    """Count the rows of the sheet without a record, by benchmark and reason."""
    have = list(iterate_records([records]))
    missing = Counter(
        (row.benchmark, row.target, why_not_here(row.machine) or "see the log of its rule")
        for row in read_sheet(sheet)
        if not any(_is_of(record, row) for record in have)
    )
    head = "## Not run\n\nRows of the run sheet of which there is no record, here or committed"
    lines = [f"* {name} on {on}, {n} rows: {why}" for (name, on, why), n in missing.items()]
    return f"{head}:\n\n" + "\n".join(lines) if lines else f"{head}: none."


def _is_of(record: Record, row: SheetRow) -> bool:
    """A case may add parameters to those of its row."""
    same = (record["benchmark"], record["target"]) == (row.benchmark, row.target)
    return same and row.params.items() <= record["params"].items()


def _provenance(records: pd.DataFrame) -> str:
    keys = [*ORIGIN, *SOFTWARE]
    groups = records.fillna(dict.fromkeys(keys, "-")).groupby(keys, sort=True)
    rows = groups.agg(records=("id", "size"), first=("time", "min"), last=("time", "max"))
    table = rows.reset_index().rename(columns=lambda key: key.removeprefix("version_"))
    turned = table.T.to_markdown(headers=["", *(f"origin {n + 1}" for n in range(len(table)))])
    return f"## Where the records come from\n\n{turned}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--sheet", type=Path, required=True)
    parser.add_argument("--tables", type=Path, nargs="+", required=True)
    parser.add_argument("--figures", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    write_report(parser.parse_args(arguments))


if __name__ == "__main__":
    main()
