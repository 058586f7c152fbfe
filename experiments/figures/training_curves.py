"""Loss and test accuracy against steps: training in integers, which is proven, and in floating point."""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from style import BLUE, ORANGE, PAGE, arguments, require, save

RUNS = {
    "float": {"color": ORANGE, "linestyle": "-", "linewidth": 2.4, "label": "floating point"},
    "integer": {"color": BLUE, "linestyle": "--", "label": "integers (proven)"},
}


def draw(axes: Axes, curves: pd.DataFrame, column: str, unit: float = 1.0) -> None:
    """Draw one quantity of both runs."""
    for run, look in RUNS.items():
        mine = curves[curves["run"] == run].sort_values("step")
        axes.plot(mine["step"], mine[column] / unit, **look)
    axes.set_xlabel("steps")
    axes.set_xlim(left=0)


def main(given: list[str] | None = None) -> None:
    options = arguments(__doc__, "curves", given=given)
    curves = require(pd.read_csv(options.curves), "training curves")
    figure, (left, right) = plt.subplots(1, 2, figsize=(PAGE, 2.5))
    draw(left, curves, "train_loss")
    left.set_yscale("log")
    left.set_ylabel("training loss")
    left.legend(loc="upper right")
    draw(right, curves, "test_accuracy", 0.01)
    right.set_ylim(0, 103)
    right.set_ylabel("test accuracy (%)")
    save(figure, options.out)


if __name__ == "__main__":
    main()
