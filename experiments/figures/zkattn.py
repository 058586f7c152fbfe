"""zkAttn alone against the length of the sequence, with zkLLM's Figure 5 beside it."""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from style import COLUMN, CYCLE, GREY, MARKERS, arguments, by_machine, require, save, time_interval

from zkbench.bench.records import read_records

SHAPE = ["param_heads", "param_kv_heads", "param_head_dim"]
LINES = ("-", "--", ":", "-.")


def one_layer(records: pd.DataFrame) -> pd.DataFrame:
    """The records of attention in one layer."""
    rows = records[records["benchmark"] == "zkattn"]
    return rows[rows["param_num_layers"] == 1] if len(rows) else rows


def draw_records(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw a line for each machine and shape of the heads."""
    for index, (machine, mine) in enumerate(by_machine(rows)):
        look = {"color": CYCLE[index % len(CYCLE)], "marker": MARKERS[index % len(MARKERS)]}
        for line, (shape, same) in zip(LINES, mine.groupby(SHAPE), strict=False):
            heads, _, width = (int(size) for size in shape)
            same = same.sort_values("param_positions")
            axes.errorbar(
                same["param_positions"],
                same["prove_s_median"],
                yerr=time_interval(same),
                linestyle=line,
                label=f"{machine}: {heads} heads of {width}",
                **look,
            )


def draw_published(axes: Axes, published: pd.DataFrame) -> None:
    """Draw zkLLM's models, whose lines lie on one another, with one entry of the legend."""
    rows = published[(published["benchmark"] == "zkattn") & (published["system"] == "zkLLM")]
    models = list(rows.groupby("model", sort=False))
    for index, (_, mine) in enumerate(models):
        first, last = models[0][0], models[-1][0]
        hardware = mine["hardware"].iloc[0].split(" SXM")[0]
        axes.plot(
            mine["tokens"],
            mine["prove_s"],
            color=GREY,
            marker="*",
            linewidth=0.8,
            label=None if index else f"{hardware}: zkLLM, {first} to {last}",
        )


def main(given: list[str] | None = None) -> None:
    options = arguments(__doc__, "records", "published", given=given)
    rows = require(one_layer(read_records([options.records])), "zkattn in one layer")
    figure, axes = plt.subplots(figsize=(COLUMN, 3.0))
    draw_records(axes, rows)
    draw_published(axes, pd.read_csv(options.published))
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    ticks = [2**k for k in range(7, 13)]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xlabel("tokens")
    axes.set_ylabel("time to prove zkAttn of one layer (s)")
    figure.legend(loc="outside lower left", ncols=1)
    save(figure, options.out)


if __name__ == "__main__":
    main()
