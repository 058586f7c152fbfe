"""Throughput of the commitment against size, with and without an opening; published point."""

import pandas as pd
from matplotlib import pyplot as plt
from style import COLUMN, arguments, require, save
from throughput import Variant, draw_published, draw_throughput, legend_below

from zkbench.bench.records import read_records

VARIANTS = [
    Variant("commitment", "commit", seconds="phase_commit_s"),
    Variant("commitment", "commit and open", "--"),
]


def main(given: list[str] | None = None) -> None:
    options = arguments(__doc__, "records", "published", given=given)
    records = read_records([options.records])
    require(records[records["benchmark"] == "commitment"], "commitments")
    figure, axes = plt.subplots(figsize=(COLUMN, 3.2))
    draw_throughput(axes, records, VARIANTS)
    draw_published(axes, pd.read_csv(options.published), "commitment", "Pedersen commit")
    legend_below(axes)
    save(figure, options.out)


if __name__ == "__main__":
    main()
