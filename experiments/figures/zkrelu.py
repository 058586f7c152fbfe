"""zkReLU by tables and by bits: time and bytes a value, against the number of values."""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from style import (
    COLUMN,
    CYCLE,
    MARKERS,
    arguments,
    by_machine,
    powers_of_two,
    require,
    save,
    time_interval,
)

from zkbench.bench.records import read_records

VARIANTS = {"table": ("by tables", "-"), "bits": ("by bits, as zkDL", "--")}
SHIFT = 16  # as many bits of remainders as of values


def of_shift(records: pd.DataFrame) -> pd.DataFrame:
    """The records of zkReLU with this shift."""
    rows = records[records["benchmark"] == "zkrelu"]
    return rows[rows["param_shift"] == SHIFT].sort_values("values") if len(rows) else rows


def draw_times(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw a colour a machine, a line style a variant."""
    for index, (machine, mine) in enumerate(by_machine(rows)):
        for variant, (label, line) in VARIANTS.items():
            same = mine[mine["param_variant"] == variant]
            below, above = time_interval(same)
            axes.errorbar(
                same["values"],
                1e6 * same["prove_s_median"] / same["values"],
                yerr=[1e6 * below / same["values"], 1e6 * above / same["values"]],
                color=CYCLE[index % len(CYCLE)],
                marker=MARKERS[index % len(MARKERS)],
                markerfacecolor=None if line == "-" else "white",
                linestyle=line,
                label=f"{machine}: {label}",
            )


def draw_bytes(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw sizes of proofs, which are the same on every machine."""
    for variant, (_, line) in VARIANTS.items():
        same = rows[rows["param_variant"] == variant].drop_duplicates("values")
        axes.plot(
            same["values"],
            same["proof_bytes"] / same["values"],
            color="black",
            marker=".",
            linestyle=line,
        )


def main(given: list[str] | None = None) -> None:
    options = arguments(__doc__, "records", given=given)
    rows = require(of_shift(read_records([options.records])), f"zkrelu with a shift of {SHIFT}")
    figure, (times, sizes) = plt.subplots(2, 1, figsize=(COLUMN, 4.4), sharex=True)
    draw_times(times, rows)
    draw_bytes(sizes, rows)
    for axes, unit in ((times, "proving time (us a value)"), (sizes, "proof (bytes a value)")):
        powers_of_two(axes)
        axes.set_yscale("log")
        axes.set_ylabel(unit)
    sizes.set_xlabel("values")
    figure.legend(loc="outside lower left", ncols=1)
    save(figure, options.out)


if __name__ == "__main__":
    main()
