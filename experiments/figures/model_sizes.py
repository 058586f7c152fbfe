"""Time to prove an inference against the size of the model, with zkLLM's Figure 4 beside it."""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from style import (
    BLACK,
    COLUMN,
    CYCLE,
    GREY,
    MARKERS,
    arguments,
    by_machine,
    require,
    save,
    time_interval,
)

from zkbench.bench.language_records import language_records, nominal_parameters
from zkbench.bench.records import read_records

ZKML = "ZKML (in zkLLM Fig. 4)"
EXTRAPOLATED = ("7B", "13B")


def draw_records(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw a line for each machine and number of tokens."""
    for index, (machine, mine) in enumerate(by_machine(rows)):
        lengths = mine.groupby("param_positions")
        for line, (tokens, same) in zip(("-", "--", ":", "-."), lengths, strict=False):
            same = same.sort_values("parameters")
            axes.errorbar(
                same["parameters"],
                same["prove_s_median"],
                yerr=time_interval(same),
                color=CYCLE[index % len(CYCLE)],
                marker=MARKERS[index % len(MARKERS)],
                linestyle=line,
                label=f"{machine}: zkbench, {int(tokens)} tokens",
            )


def draw_published(axes: Axes, published: pd.DataFrame) -> None:
    """Draw zkLLM, ZKML, and what zkLLM's authors extrapolate of ZKML with hollow markers."""
    rows = published.assign(parameters=published["model"].map(nominal_parameters))
    rows = rows.sort_values("parameters")
    theirs, zkml = rows[rows["system"] == "zkLLM"], rows[rows["system"] == ZKML]
    guessed = zkml["model"].isin(EXTRAPOLATED)
    groups = [
        (theirs, BLACK, BLACK, "A100: zkLLM, 2048 tokens"),
        (zkml[~guessed], GREY, GREY, "as zkLLM: ZKML, GPT-2"),
        (zkml[guessed], GREY, "white", "as zkLLM: ZKML, extrapolated"),
    ]
    for mine, colour, face, label in groups:
        axes.plot(
            mine["parameters"],
            mine["prove_s"],
            color=colour,
            marker="*",
            markersize=7,
            markerfacecolor=face,
            linestyle="none",
            label=label,
        )


def main(given: list[str] | None = None) -> None:
    options = arguments(__doc__, "records", "published", given=given)
    rows = require(language_records(read_records([options.records])), "language models")
    figure, axes = plt.subplots(figsize=(COLUMN, 3.2))
    draw_records(axes, rows)
    draw_published(axes, pd.read_csv(options.published))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("parameters")
    axes.set_ylabel("proving time (s)")
    figure.legend(loc="outside lower left", ncols=1)
    save(figure, options.out)


if __name__ == "__main__":
    main()
