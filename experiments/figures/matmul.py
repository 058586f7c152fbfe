"""Proving a matrix product: time and throughput against multiply-accumulates."""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from style import (
    CYCLE,
    MARKERS,
    PAGE,
    arguments,
    by_machine,
    powers_of_two,
    rate_interval,
    require,
    save,
    time_interval,
)

from zkbench.bench.records import read_records

SHAPE = ("num_layers", "batch", "d_in", "d_out")


def with_products(records: pd.DataFrame) -> pd.DataFrame:
    """The records of matrix products with `products`, their multiply-accumulates."""
    rows = require(records[records["benchmark"] == "matmul"], "matrix products")
    products = rows[[f"param_{name}" for name in SHAPE]].prod(axis=1)
    return rows.assign(products=products).sort_values("products")


def draw(time: Axes, rate: Axes, rows: pd.DataFrame) -> None:
    """Draw the two panels, a line a machine."""
    for index, (machine, mine) in enumerate(by_machine(rows)):
        look = {"color": CYCLE[index], "marker": MARKERS[index], "label": machine}
        seconds, products = mine["prove_s_median"], mine["products"]
        time.errorbar(products, seconds, yerr=time_interval(mine), **look)
        rate.errorbar(products, products / seconds, yerr=rate_interval(mine, products), **look)
    for axes in (time, rate):
        powers_of_two(axes)
        axes.set_yscale("log")
        axes.set_xlabel("multiply-accumulates of the product")
    time.set_ylabel("proving time (s)")
    rate.set_ylabel("multiply-accumulates / s")


def main(given: list[str] | None = None) -> None:
    options = arguments(__doc__, "records", given=given)
    figure, (time, rate) = plt.subplots(1, 2, figsize=(PAGE, 2.5))
    draw(time, rate, with_products(read_records([options.records])))
    time.legend(loc="upper left")
    save(figure, options.out)


if __name__ == "__main__":
    main()
