"""Time to prove the digit classifier by number of images and phase of the prover."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from style import (
    BLUE,
    COLUMN,
    GREEN,
    GREY,
    ORANGE,
    PAGE,
    SKY,
    VERMILION,
    arguments,
    by_machine,
    require,
    save,
)

from zkbench.bench.records import read_records
from zkbench.bench.timers import PHASES

COLOURS = dict(zip((*PHASES, "other"), (SKY, BLUE, ORANGE, GREEN, VERMILION, GREY), strict=True))


def phases_of(rows: pd.DataFrame) -> list[str]:
    """The phases that took any time."""
    return [phase for phase in COLOURS if (rows[f"phase_{phase}_s"] > 0).any()]


def draw(axes: Axes, machine: str, rows: pd.DataFrame, phases: list[str]) -> None:
    """Draw one machine: a stacked bar a batch, its total above it."""
    rows = rows.sort_values("param_batch")
    places = np.arange(len(rows))
    bottom = np.zeros(len(rows))
    for phase in phases:
        seconds = rows[f"phase_{phase}_s"].to_numpy()
        axes.bar(places, seconds, 0.65, bottom, color=COLOURS[phase], label=phase, linewidth=0)
        bottom += seconds
    for place, top in zip(places, bottom, strict=True):
        axes.annotate(
            f"{top:#.3g} s", (place, top), (0, 2), textcoords="offset points", ha="center", size=7
        )
    axes.set_xticks(places, [str(int(batch)) for batch in rows["param_batch"]])
    axes.set_ylim(0, 1.12 * bottom.max())
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("images proven at once")
    axes.set_title(machine)


def main(given: list[str] | None = None) -> None:
    options = arguments(__doc__, "records", given=given)
    records = read_records([options.records])
    inferences = require(records[records["benchmark"] == "inference"], "inferences")
    groups = by_machine(inferences)
    width = COLUMN if len(groups) == 1 else PAGE
    figure, panels = plt.subplots(1, len(groups), figsize=(width, 2.6), squeeze=False)
    for axes, (machine, rows) in zip(panels[0], groups, strict=True):
        draw(axes, machine, rows, phases_of(inferences))
    panels[0][0].set_ylabel("proving time (s)")
    handles, labels = panels[0][0].get_legend_handles_labels()
    columns = 3 if len(groups) == 1 else len(COLOURS)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    save(figure, options.out)


if __name__ == "__main__":
    main()
