"""What all figures share: style, colours, names of machines, saving."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Inches; the widths of one and of two columns of a two-column paper.
COLUMN, PAGE = 3.4, 7.0

# Okabe and Ito's colours, distinguishable with any colour vision.
BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
VERMILION, PURPLE, SKY = "#D55E00", "#CC79A7", "#56B4E9"
GREY, BLACK = "#999999", "#000000"
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")

plt.style.use(Path(__file__).with_name("zkbench.mplstyle"))


def arguments(
    description: str | None, *inputs: str, given: list[str] | None, several: str | None = None
) -> argparse.Namespace:
    """Parse `--<input> FILE` for each input (`several`: one that is a list), and `--out PATH`."""
    parser = argparse.ArgumentParser(description=description)
    for name in inputs:
        nargs = "+" if name == several else None
        parser.add_argument(f"--{name}", type=Path, required=True, nargs=nargs)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix")
    return parser.parse_args(given)


def save(figure: Figure, out: Path) -> None:
    """Write `out`.pdf and `out`.png; no dates in them, so the same data give the same file."""
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out.with_suffix(".pdf"), metadata={"CreationDate": None})
    figure.savefig(out.with_suffix(".png"))
    plt.close(figure)


def require(rows: pd.DataFrame, what: str) -> pd.DataFrame:
    """Return the rows, or stop: a figure without data is not drawn."""
    if rows.empty:
        raise SystemExit(f"there are no records of {what} to draw")
    return rows


def machine_name(row: pd.Series) -> str:
    """Return what a reader calls the machine of a record: "H100 80GB", "Xeon, 2 threads"."""
    if row["target"] == "cuda":
        return " ".join(re.sub(r"NVIDIA|Tesla|HBM\w*|SXM\w*|-", " ", row["gpu_name"]).split())
    noise = r"\((R|TM)\)|\bCPU\b|Processor|\d+-Core|@.*$|Intel|AMD"
    model = " ".join(re.sub(noise, " ", row["cpu_model"]).split())
    threads = int(row["cpu_threads"])
    return f"{model}, {threads} thread{'s' if threads > 1 else ''}"


def by_machine(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Group by machine and target, CPUs first; names that coincide get the machine's id."""
    groups = [group for _, group in rows.groupby(["target", "machine"], sort=True)]
    names = [machine_name(group.iloc[0]) for group in groups]
    ids = [group.iloc[0]["machine"] for group in groups]
    unique = [
        name if names.count(name) == 1 else f"{name} ({machine})"
        for name, machine in zip(names, ids, strict=True)
    ]
    return list(zip(unique, groups, strict=True))


def rate_interval(rows: pd.DataFrame, amount: pd.Series) -> list[pd.Series]:
    """Return how far amount / time reaches below and above its median, from all samples."""
    median = amount / rows["prove_s_median"]
    return [median - amount / rows["prove_s_max"], amount / rows["prove_s_min"] - median]


def time_interval(rows: pd.DataFrame) -> list[pd.Series]:
    """Return how far the proving times reach below and above their median."""
    median = rows["prove_s_median"]
    return [median - rows["prove_s_min"], rows["prove_s_max"] - median]


def powers_of_two(axes: Axes) -> None:
    """Give the horizontal axis a logarithmic scale with labels 2^k, few enough to be read."""
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(mpl.ticker.LogLocator(base=2, numticks=8))
    axes.xaxis.set_minor_locator(mpl.ticker.NullLocator())
