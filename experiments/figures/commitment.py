"""Throughput of committing and of opening against size, by scheme; published point."""

import pandas as pd
from matplotlib import pyplot as plt
from schemes import LIGERO, WHIR, commitments
from style import COLUMN, arguments, require, save
from throughput import Variant, draw_published, draw_throughput, legend_below

from zkbench.bench.records import read_records

VARIANTS = [
    Variant("commitment", "commit (WHIR)", "-", "phase_commit_s", WHIR.columns),
    Variant("commitment", "open (WHIR)", "--", "phase_opening_s", WHIR.columns),
    Variant("commitment", "open (Ligero)", ":", "phase_opening_s", LIGERO.columns),
]


def main(given: list[str] | None = None) -> None:
    options = arguments(__doc__, "records", "published", given=given)
    rows = require(commitments(read_records([options.records])), "commitments")
    figure, axes = plt.subplots(figsize=(COLUMN, 3.6))
    draw_throughput(axes, rows, VARIANTS)
    draw_published(axes, pd.read_csv(options.published), "commitment", "Pedersen commit")
    legend_below(axes)
    save(figure, options.out)


if __name__ == "__main__":
    main()
