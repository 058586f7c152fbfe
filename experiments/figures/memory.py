"""Peak memory of the prover beyond the values themselves, against their number."""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from schemes import WHIR, commitments
from style import (
    BLUE,
    COLUMN,
    GREY,
    PAGE,
    VERMILION,
    arguments,
    by_machine,
    powers_of_two,
    require,
    save,
)

from zkbench.bench.records import read_records

GB, VALUE_BYTES = 1e9, 2
PEAKS = {"cpu": "host_peak_bytes", "cuda": "device_peak_bytes"}


def draw(axes: Axes, machine: str, rows: pd.DataFrame) -> None:
    """Draw one machine: what is beyond the values, and these for comparison."""
    target = rows["target"].iloc[0]
    lookups = rows[rows["benchmark"] == "tlookup"].sort_values("values")
    kinds = [("commit and open", BLUE, "o", WHIR.of(commitments(rows)))]
    kinds += [("tlookup", VERMILION, "s", lookups)]
    for label, colour, marker, mine in kinds:
        beyond = mine[PEAKS[target]] - VALUE_BYTES * mine["values"]
        axes.plot(mine["values"], beyond / GB, color=colour, marker=marker, label=label)
    sizes = rows["values"].sort_values()
    axes.plot(
        sizes, VALUE_BYTES * sizes / GB, color=GREY, linestyle=":", label="the values themselves"
    )
    powers_of_two(axes)
    axes.set_yscale("log")
    axes.set_xlabel("values")
    axes.set_title(f"{machine}: {'GPU' if target == 'cuda' else 'process'}")


def main(given: list[str] | None = None) -> None:
    options = arguments(__doc__, "records", given=given)
    records = read_records([options.records])
    rows = records[records["benchmark"] == "tlookup"]
    rows = require(pd.concat([commitments(records), rows]), "commitments or lookups")
    groups = by_machine(rows)
    width = COLUMN if len(groups) == 1 else PAGE
    figure, panels = plt.subplots(1, len(groups), figsize=(width, 2.8), squeeze=False)
    for axes, (machine, mine) in zip(panels[0], groups, strict=True):
        draw(axes, machine, mine)
    panels[0][0].set_ylabel("beyond the values (GB)")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    save(figure, options.out)


if __name__ == "__main__":
    main()
