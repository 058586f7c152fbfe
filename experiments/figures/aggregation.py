"""What stacking steps buys: time and bytes of a step, and verification, against their number."""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from style import PAGE, arguments, require, save
from training import Line, count_axis, describe, draw_published, legend_below, lines_of

from zkbench.bench.records import read_records
from zkbench.bench.training_records import training_records

KB, MS = 1e3, 1e-3


def draw_time(axes: Axes, line: Line, rows: pd.DataFrame) -> None:
    reach = [rows["step_s"] - rows["step_s_min"], rows["step_s_max"] - rows["step_s"]]
    axes.errorbar(rows["param_steps"], rows["step_s"], yerr=reach, **line.look)


def draw_bytes(axes: Axes, line: Line, rows: pd.DataFrame) -> None:
    axes.plot(rows["param_steps"], rows["step_bytes"] / KB, **line.look)


def draw_verification(axes: Axes, line: Line, rows: pd.DataFrame) -> None:
    median = rows["verify_s_median"]
    reach = [(median - rows["verify_s_min"]) / MS, (rows["verify_s_max"] - median) / MS]
    axes.errorbar(rows["param_steps"], median / MS, yerr=reach, **line.look)


PANELS = {
    "time to prove a step (s)": draw_time,
    "proof, a step (kB)": draw_bytes,
    "verification, one core (ms)": draw_verification,
}


def finish(panels: list[Axes], rows: pd.DataFrame, published: pd.DataFrame) -> None:
    """Axes: zkDL's points are on the first two, whose quantities are those of a step."""
    measured = set(rows["param_steps"])
    for axes in panels[:2]:
        axes.set_yscale("log")
        count_axis(axes, measured | set(published["steps"].dropna()))
    panels[2].set_ylim(bottom=0)
    count_axis(panels[2], measured)


def main(given: list[str] | None = None) -> None:
    options = arguments(__doc__, "records", "published", given=given)
    rows = require(training_records(read_records([options.records])), "training")
    published = pd.read_csv(options.published)
    published = published.assign(step_kb=published["proof_bytes"] / KB)
    published = published[published["system"].str.startswith("zkDL")]
    lines = list(lines_of(rows))
    figure, panels = plt.subplots(1, 3, figsize=(PAGE, 3.3))
    for axes, (label, draw) in zip(panels, PANELS.items(), strict=True):
        for line in lines:
            draw(axes, line, line.sweep("steps"))
        axes.set_title(label, loc="left")
        axes.set_xlabel("steps of a run")
    draw_published(panels[0], published, "steps", "prove_s")
    draw_published(panels[1], published, "steps", "step_kb")
    finish(list(panels), rows, published)
    describe(panels[0], lines, published, steps=False)
    legend_below(list(panels), ncols=2)
    save(figure, options.out)


if __name__ == "__main__":
    main()
