"""Throughput against size: a line a machine, and published points beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from style import BLACK, CYCLE, MARKERS, by_machine, powers_of_two, rate_interval


@dataclass(frozen=True)
class Variant:
    """One kind of line: records of `benchmark`, timed by the column `seconds`.

    `columns`: what the records must have in these.
    """

    benchmark: str
    label: str
    line: str = "-"
    seconds: str = "prove_s_median"
    columns: Mapping[str, object] = field(default_factory=dict)

    def of(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Its records, by size."""
        for key, value in {"benchmark": self.benchmark, **self.columns}.items():
            rows = rows[rows[key] == value]
        return rows[rows[self.seconds] > 0].sort_values("values")


def draw_throughput(axes: Axes, records: pd.DataFrame, variants: list[Variant]) -> None:
    """Draw values / s against values; a colour a machine, a line style a variant."""
    wanted = records[records["benchmark"].isin({variant.benchmark for variant in variants})]
    for index, (machine, rows) in enumerate(by_machine(wanted)):
        for variant in variants:
            _draw_line(axes, variant.of(rows), variant, machine, index)
    powers_of_two(axes)
    axes.set_yscale("log")
    axes.set_xlabel("values")
    axes.set_ylabel("values / s")


def _draw_line(axes: Axes, rows: pd.DataFrame, variant: Variant, machine: str, index: int) -> None:
    if rows.empty:
        return
    whole = variant.seconds == "prove_s_median"
    axes.errorbar(
        rows["values"],
        rows["values"] / rows[variant.seconds],
        yerr=rate_interval(rows, rows["values"]) if whole else None,
        color=CYCLE[index % len(CYCLE)],
        marker=MARKERS[index % len(MARKERS)],
        markerfacecolor=None if variant.line == "-" else "white",
        linestyle=variant.line,
        label=f"{machine}: {variant.label}",
    )


def draw_published(axes: Axes, published: pd.DataFrame, benchmark: str, what: str) -> None:
    """Draw a star for each published point of the benchmark, named in the legend."""
    points = published[published["benchmark"] == benchmark].dropna(subset=["values"])
    for _, point in points.iterrows():
        axes.plot(
            point["values"],
            point["values"] / point["prove_s"],
            marker="*",
            markersize=8,
            color=BLACK,
            linestyle="none",
            label=f"{point['hardware']}: {what} ({point['system']})",
        )


def legend_below(axes: Axes) -> None:
    """Put the legend under the axes, one entry a line, published points last."""
    handles, labels = axes.get_legend_handles_labels()
    entries = sorted(zip(handles, labels, strict=True), key=lambda entry: _is_point(entry[0]))
    axes.figure.legend(*zip(*entries, strict=True), loc="outside lower left", ncols=1)


def _is_point(handle: Artist) -> bool:
    return isinstance(handle, Line2D)
