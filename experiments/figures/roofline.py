"""Roofline: what phases of provers achieve under the measured ceilings of their device."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter
from style import BLACK, COLUMN, CYCLE, GREY, MARKERS, PAGE, arguments, by_machine, require, save

from zkbench.bench.ceilings import read_ceilings
from zkbench.bench.records import read_records
from zkbench.bench.roofline import PHASES, roofline

LOOKS = {name: (CYCLE[k], MARKERS[k]) for k, name in enumerate(PHASES)}


def draw_roof(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw the slope of the memory's rate and the level of the arithmetic's."""
    peak, rate = rows["e_multiply"].iloc[0], rows["copy"].iloc[0]
    places = [*rows["intensity"], peak / rate]
    intensity = np.geomspace(min(places) / 4, max(places) * 4, 400)
    axes.plot(intensity, np.minimum(peak, rate * intensity), color=BLACK)
    axes.set_ylim(min(*rows["multiplications_per_s"], peak / 10) / 3, 2 * peak)


def draw(axes: Axes, machine: str, rows: pd.DataFrame) -> None:
    """Draw one machine: a marker a phase, and the way up to its roof with what it reaches."""
    draw_roof(axes, rows)
    for _, row in rows.iterrows():
        colour, marker = LOOKS[row["phase"]]
        place, height = row["intensity"], row["multiplications_per_s"]
        axes.plot([place, place], [height, height / row["share"]], color=GREY, linewidth=0.6)
        look = {"markersize": 6, "markerfacecolor": "none", "markeredgewidth": 1.4}
        axes.plot(place, height, marker, color=colour, label=in_words(row), **look)
    peak, rate = rows["e_multiply"].iloc[0], rows["copy"].iloc[0]
    axes.set_title(f"{machine}\n{shown(rate)} GB/s, {shown(peak)} billion multiplications/s")
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("multiplications in E a byte")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=1)


def in_words(row: pd.Series) -> str:
    """The phase, the size, and the share of the ceiling above it."""
    log_values = np.log2(row["values"])
    size = f"$2^{{{log_values:.0f}}}$" if log_values % 1 == 0 else f"{row['values'] / 1e6:.1f} M"
    share = 100 * row["share"]
    return f"{row['phase']}, {size} values: {share:{'.2g' if share < 10 else '.0f'}} %"


def shown(rate: float) -> str:
    """Billions, to three digits."""
    return f"{rate / 1e9:#,.3g}".rstrip(".") if rate < 1e12 else f"{rate / 1e9:,.0f}"


def main(given: list[str] | None = None) -> None:
    inputs = ("records", "operations", "ceilings")
    options = arguments(__doc__, *inputs, given=given, several="ceilings")
    records, operations = read_records([options.records]), pd.read_csv(options.operations)
    ceilings = [read_ceilings(path) for path in options.ceilings]
    groups = by_machine(
        require(roofline(records, operations, ceilings), "phases on a device with ceilings")
    )
    size = (COLUMN if len(groups) == 1 else PAGE, 3.4)
    figure, panels = plt.subplots(1, len(groups), figsize=size, squeeze=False)
    for axes, (machine, rows) in zip(panels[0], groups, strict=True):
        draw(axes, machine, rows)
    panels[0][0].set_ylabel("multiplications in E / s")
    save(figure, options.out)


if __name__ == "__main__":
    main()
