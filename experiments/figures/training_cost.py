"""Time to prove a step of training against depth, width, batch and number of steps in a proof."""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from style import PAGE, arguments, require, save
from training import Line, count_axis, describe, draw_published, legend_below, lines_of

from zkbench.bench.records import read_records
from zkbench.bench.training_records import SWEPT, training_records

NAMES = {
    "depth": "hidden layers",
    "width": "width of hidden layers",
    "batch": "samples a step",
    "steps": "steps of a run",
}


def draw(axes: Axes, name: str, lines: list[Line], published: pd.DataFrame) -> None:
    """Draw the sweep of one parameter: medians with the least and the most."""
    sizes = set(published[name].dropna())
    for line in lines:
        rows = line.sweep(name)
        reach = [rows["step_s"] - rows["step_s_min"], rows["step_s_max"] - rows["step_s"]]
        axes.errorbar(rows[f"param_{name}"], rows["step_s"], yerr=reach, **line.look)
        sizes |= set(rows[f"param_{name}"])
    draw_published(axes, published, name, "prove_s")
    axes.set_yscale("log")
    count_axis(axes, sizes)
    axes.set_xlabel(NAMES[name])


def main(given: list[str] | None = None) -> None:
    options = arguments(__doc__, "records", "published", given=given)
    rows = require(training_records(read_records([options.records])), "training")
    published = pd.read_csv(options.published)
    published = published[published["system"].str.startswith("zkDL")]
    lines = list(lines_of(rows))
    figure, grid = plt.subplots(2, 2, figsize=(PAGE, 5.2), sharey=True)
    for axes, name in zip(grid.flat, SWEPT, strict=True):
        draw(axes, name, lines, published)
    for axes in grid[:, 0]:
        axes.set_ylabel("time to prove a step (s)")
    describe(grid[0, 0], lines, published, steps=True)
    legend_below(list(grid.flat), ncols=2)
    save(figure, options.out)


if __name__ == "__main__":
    main()
