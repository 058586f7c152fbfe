"""Where the time of proving a language model goes: shares of the phases, by model and machine."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from phases import in_words
from proving_time import COLOURS, phases_of
from style import PAGE, arguments, by_machine, require, save

from zkbench.bench.language_records import language_records
from zkbench.bench.records import read_records

BAR, MARGIN = 0.26, 0.6  # inches


def draw(axes: Axes, rows: pd.DataFrame, phases: list[str]) -> None:
    """Draw a bar of 100 % a model, and beside it how long its proof took."""
    places, left = np.arange(len(rows)), np.zeros(len(rows))
    whole = rows[[f"phase_{phase}_s" for phase in phases]].sum(axis=1)
    for phase in phases:
        share = (100 * rows[f"phase_{phase}_s"] / whole).to_numpy()
        axes.barh(places, share, 0.7, left, color=COLOURS[phase], linewidth=0)
        left += share
    for place, seconds in zip(places, rows["prove_s_median"], strict=True):
        axes.annotate(
            in_words(seconds), (100, place), (3, 0), textcoords="offset points", va="center", size=7
        )
    tokens = rows["param_positions"].astype(int)
    axes.set_yticks(places, [f"{m}, {n}" for m, n in zip(rows["model"], tokens, strict=True)])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 116)
    axes.set_xticks([0, 25, 50, 75, 100])
    axes.grid(axis="y", visible=False)


def main(given: list[str] | None = None) -> None:
    options = arguments(__doc__, "records", given=given)
    rows = require(language_records(read_records([options.records])), "language models")
    groups, phases = by_machine(rows), phases_of(rows)
    sizes = [len(mine) for _, mine in groups]
    height = BAR * sum(sizes) + MARGIN * (len(groups) + 1)
    figure, panels = plt.subplots(
        len(groups), 1, figsize=(PAGE, height), squeeze=False, height_ratios=sizes, sharex=True
    )
    for axes, (machine, mine) in zip(panels[:, 0], groups, strict=True):
        draw(axes, mine, phases)
        axes.set_title(f"{machine}: model and tokens", loc="left")
    panels[-1][0].set_xlabel("share of the proving time (%)")
    bars = [Patch(color=COLOURS[phase], label=phase) for phase in phases]
    figure.legend(handles=bars, loc="outside lower center", ncols=len(COLOURS))
    save(figure, options.out)


if __name__ == "__main__":
    main()
