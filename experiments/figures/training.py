"""What figures of training share: lines of a machine and variant, and zkDL's published points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator
from style import BLACK, CYCLE, MARKERS, by_machine

from zkbench.bench.training_records import aggregated, base, model_name, sweep

# What a reader calls the variants, and their lines.
VARIANTS = {"stacked": ("FAC4DNN", "-"), "sequential": ("a proof a step", "--")}
PUBLISHED = {
    "zkDL": ("zkDL, published", BLACK),
    "zkDL sequential": ("zkDL sequential, published", "white"),
}


@dataclass(frozen=True)
class Line:
    """The records of one machine and variant; ``index``: of the machine."""

    machine: str
    index: int
    variant: str
    rows: pd.DataFrame

    @property
    def look(self) -> dict[str, object]:
        colour = CYCLE[self.index % len(CYCLE)]
        name, line = VARIANTS[self.variant]
        face = colour if self.variant == "stacked" else "white"
        return {
            "color": colour,
            "marker": MARKERS[self.index % len(MARKERS)],
            "markerfacecolor": face,
            "linestyle": line,
            "label": f"{self.machine}: {name}",
        }

    @property
    def base(self) -> pd.Series:
        """What most of the records have in common."""
        return base(self.rows)

    def sweep(self, name: str) -> pd.DataFrame:
        """Its records that differ in this parameter alone."""
        return sweep(self.rows, name)


def lines_of(rows: pd.DataFrame) -> Iterator[Line]:
    """Machine by machine, the stacked variant first."""
    for index, (machine, mine) in enumerate(by_machine(aggregated(rows))):
        for variant in VARIANTS:
            same = mine[mine["param_variant"] == variant]
            if len(same):
                yield Line(machine, index, variant, same)


def draw_published(axes: Axes, published: pd.DataFrame, x: str, y: str) -> None:
    """Draw zkDL's points: stars, that of its sequential proofs hollow."""
    for system, (name, face) in PUBLISHED.items():
        points = published[published["system"] == system].dropna(subset=[x, y])
        for _, point in points.iterrows():
            axes.plot(
                point[x],
                point[y],
                marker="*",
                markersize=8,
                zorder=3,
                color=BLACK,
                markerfacecolor=face,
                linestyle="none",
                label=f"{point['hardware'].split(',')[0]}: {name}",
            )


def count_axis(axes: Axes, sizes: Iterable[float]) -> None:
    """A logarithmic axis of small counts, with at most seven powers of two written out."""
    sizes = [int(size) for size in sizes]
    least, most = min(sizes).bit_length() - 1, max(sizes).bit_length() - 1
    ticks = [1 << k for k in range(least, most + 1, 1 + (most - least) // 7)]
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())


def describe(axes: Axes, lines: list[Line], published: pd.DataFrame, steps: bool) -> None:
    """Write above the panels what was trained: what the sweeps have in common, with steps or without."""
    found = {}
    for line in lines:
        common = line.base
        shape = common[["param_inputs", "param_width", "param_depth", "param_outputs"]]
        sizes = (common["param_batch"], common["param_steps"] if steps else None)
        found.setdefault(line.machine, (model_name(*map(int, shape)), *sizes))
    for _, row in published[published["system"] == "zkDL"].iterrows():
        shape = f"{row['depth']:.0f} layers of {row['width']:.0f}"
        found["zkDL"] = (shape, row["batch"], row["steps"] if steps else None)
    axes.figure.suptitle("\n".join(_in_words(*entry) for entry in found.items()), fontsize=7)


def _in_words(name: str, sizes: tuple[str, float, float | None]) -> str:
    model, batch, steps = sizes
    text = f"{name}: {model}, {batch:.0f} samples a step"
    return text if steps is None else f"{text}, {steps:.0f} steps"


def legend_below(panels: list[Axes], ncols: int) -> None:
    """One legend for all panels, with every label once, published points last."""
    entries: dict[str, object] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    labels = sorted(entries, key=lambda label: "published" in label)
    handles = [entries[label] for label in labels]
    panels[0].figure.legend(handles, labels, loc="outside lower center", ncols=ncols)
