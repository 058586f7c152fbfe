"""Accuracy of the integer model against the float model, and their differences, by shift."""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from style import BLUE, COLUMN, GREY, ORANGE, VERMILION, arguments, require, save


def draw_accuracy(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw both accuracies in percent."""
    axes.axhline(
        100 * rows["accuracy_float"].iloc[0], color=GREY, linestyle="--", label="float model"
    )
    axes.plot(
        rows["shift"], 100 * rows["accuracy_integer"], color=BLUE, marker="o", label="integer model"
    )
    axes.set_ylim(0, 105)
    axes.set_ylabel("test accuracy (%)")
    axes.legend(loc="lower right")


def draw_differences(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw the largest and the root mean square difference of the outputs."""
    axes.plot(
        rows["shift"], rows["largest_difference"], color=VERMILION, marker="s", label="largest"
    )
    axes.plot(
        rows["shift"], rows["rms_difference"], color=ORANGE, marker="^", label="root mean square"
    )
    axes.set_yscale("log")
    axes.set_xlabel("rescaling shift (bits)")
    axes.set_ylabel("difference of outputs")
    axes.legend(loc="upper right")


def main(given: list[str] | None = None) -> None:
    options = arguments(__doc__, "accuracy", given=given)
    rows = require(pd.read_csv(options.accuracy), "accuracy").sort_values("shift")
    figure, (above, below) = plt.subplots(2, 1, figsize=(COLUMN, 3.6), sharex=True)
    draw_accuracy(above, rows)
    draw_differences(below, rows)
    below.set_xticks(rows["shift"])
    save(figure, options.out)


if __name__ == "__main__":
    main()
