"""Where the time of a prover goes: shares of its phases by size, benchmark and machine."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from proving_time import COLOURS, phases_of
from schemes import WHIR, commitments
from style import PAGE, arguments, by_machine, require, save

from zkbench.bench.records import read_records

BENCHMARKS = {
    "commitment": "commit and open",
    "tlookup": "tlookup",
    "relu": "ReLU by logUp*",
}


def drawn(records: pd.DataFrame) -> pd.DataFrame:
    """The records that are drawn."""
    others = records[records["benchmark"].isin(set(BENCHMARKS) - {"commitment"})]
    return pd.concat([WHIR.of(commitments(records)), others])


def draw(axes: Axes, rows: pd.DataFrame, phases: list[str]) -> None:
    """Draw a bar of 100 % a size, and above it how long a proof took."""
    rows = rows.sort_values("values")
    places, bottom = np.arange(len(rows)), np.zeros(len(rows))
    whole = rows[[f"phase_{phase}_s" for phase in phases]].sum(axis=1)
    for phase in phases:
        share = (100 * rows[f"phase_{phase}_s"] / whole).to_numpy()
        axes.bar(places, share, 0.7, bottom, color=COLOURS[phase], label=phase, linewidth=0)
        bottom += share
    for place, seconds in zip(places, rows["prove_s_median"], strict=True):
        axes.annotate(
            in_words(seconds), (place, 100), (0, 2), textcoords="offset points", ha="center", size=5
        )
    logs = [f"$2^{{{int(values).bit_length() - 1}}}$" for values in rows["values"]]
    axes.set_xticks(places, logs)
    axes.set_xlim(-0.6, max(len(rows), 4) - 0.4)
    axes.set_ylim(0, 112)
    axes.set_yticks([0, 50, 100])
    axes.grid(axis="x", visible=False)


def in_words(seconds: float) -> str:
    """Three digits of seconds or milliseconds."""
    text = f"{seconds:#.3g} s" if seconds >= 1 else f"{1e3 * seconds:#.3g} ms"
    return text.replace(". ", " ")


def main(given: list[str] | None = None) -> None:
    options = arguments(__doc__, "records", given=given)
    rows = require(drawn(read_records([options.records])), "commitments or lookups")
    groups, phases = by_machine(rows), phases_of(rows)
    figure, panels = plt.subplots(
        len(BENCHMARKS), len(groups), figsize=(PAGE, 4.6), sharey=True, squeeze=False
    )
    for column, (machine, mine) in enumerate(groups):
        for line, (benchmark, name) in enumerate(BENCHMARKS.items()):
            axes, bars = panels[line][column], mine[mine["benchmark"] == benchmark]
            if bars.empty:
                axes.set_axis_off()
                continue
            draw(axes, bars, phases)
            axes.set_title(f"{machine}: {name}")
        panels[-1][column].set_xlabel("values")
    for axes in panels[:, 0]:
        axes.set_ylabel("share of time (%)")
    bars = [Patch(color=COLOURS[phase], label=phase) for phase in phases]
    figure.legend(handles=bars, loc="outside lower center", ncols=len(COLOURS))
    save(figure, options.out)


if __name__ == "__main__":
    main()
