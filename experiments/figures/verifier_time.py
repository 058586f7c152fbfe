"""Time to verify on one core against the number of values: openings and lookups."""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from schemes import REGIMES, commitments
from style import COLUMN, CYCLE, MARKERS, arguments, by_machine, powers_of_two, require, save

from zkbench.bench.records import read_records

MS = 1e-3
LOOKUP = ("tlookup", (0, (4, 1, 1, 1, 1, 1)))


def lines_of(rows: pd.DataFrame) -> list[tuple[str, object, pd.DataFrame]]:
    """(label, line style, records) of everything that is drawn of one machine."""
    openings = commitments(rows)
    lines = [(f"opening, {one.label}", one.line, one.of(openings)) for one in REGIMES]
    lookups = rows[rows["benchmark"] == "tlookup"].sort_values("values")
    return [line for line in [*lines, (*LOOKUP, lookups)] if not line[2].empty]


def verifying(machine: str, rows: pd.DataFrame) -> str:
    """What verified: always a CPU."""
    return f"host of the {machine}" if rows["target"].iloc[0] == "cuda" else machine


def draw(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw medians with the least and the most; a colour a machine."""
    for index, (machine, mine) in enumerate(by_machine(rows)):
        for label, line, records in lines_of(mine):
            median = records["verify_s_median"]
            reach = [median - records["verify_s_min"], records["verify_s_max"] - median]
            axes.errorbar(
                records["values"],
                median / MS,
                yerr=[one / MS for one in reach],
                color=CYCLE[index],
                marker=MARKERS[index],
                linestyle=line,
                label=f"{verifying(machine, mine)}: {label}",
            )


def main(given: list[str] | None = None) -> None:
    options = arguments(__doc__, "records", given=given)
    records = read_records([options.records])
    wanted = records["benchmark"].isin(["commitment", "tlookup"]) & (records["verify_cores"] == 1)
    rows = require(records[wanted], "verification on one core")
    figure, axes = plt.subplots(figsize=(COLUMN, 3.6))
    draw(axes, rows)
    powers_of_two(axes)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("values")
    axes.set_ylabel("verification on one core (ms)")
    figure.legend(loc="outside lower left", ncols=1)
    save(figure, options.out)


if __name__ == "__main__":
    main()
