"""Throughput of tlookup against size, in both variants, with the published point."""

import pandas as pd
from matplotlib import pyplot as plt
from style import COLUMN, arguments, require, save
from throughput import Variant, draw_published, draw_throughput, legend_below

from zkbench.bench.records import read_records

VARIANTS = [
    Variant("tlookup", "LogUp-GKR"),
    Variant("tlookup_inverses", "committed inverses", "--"),
]


def main(given: list[str] | None = None) -> None:
    options = arguments(__doc__, "records", "published", given=given)
    records = read_records([options.records])
    require(records[records["benchmark"] == "tlookup"], "tlookup")
    figure, axes = plt.subplots(figsize=(COLUMN, 3.2))
    draw_throughput(axes, records, VARIANTS)
    draw_published(axes, pd.read_csv(options.published), "tlookup", "sumcheck")
    legend_below(axes)
    save(figure, options.out)


if __name__ == "__main__":
    main()
