"""Size of a commitment's opening proof against the number of values: formula and proofs."""

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from schemes import REGIMES, commitments
from style import BLACK, COLUMN, MARKERS, arguments, by_machine, powers_of_two, require, save

from zkbench.bench.commitment_case import estimated_opening_bytes
from zkbench.bench.records import read_records

LOG_VALUES = range(14, 33)
KB = 1e3


def draw_formula(axes: Axes) -> None:
    """Draw what the schemes expect of their parameters, a line a regime."""
    for regime in REGIMES:
        sizes = [1 << log_values for log_values in LOG_VALUES]
        expected = [estimated_opening_bytes(regime.make(), size) / KB for size in sizes]
        axes.plot(sizes, expected, color=regime.colour, linestyle=regime.line, label=regime.label)


def draw_proofs(axes: Axes, rows) -> None:
    """Draw the proofs that were made: the colour is the regime's, a marker a machine."""
    for index, (machine, mine) in enumerate(by_machine(rows)):
        look = {"marker": MARKERS[index], "linestyle": "none", "markerfacecolor": "none"}
        for regime in REGIMES:
            proofs = regime.of(mine)
            sizes = (3.5 + 2.5 * index) if len(proofs) else 0
            axes.plot(
                proofs["values"],
                proofs["proof_bytes"] / KB,
                color=regime.colour,
                markersize=sizes,
                **look,
            )
        axes.plot([], [], color=BLACK, label=f"proofs made on {machine}", **look)


def main(given: list[str] | None = None) -> None:
    options = arguments(__doc__, "records", given=given)
    rows = require(commitments(read_records([options.records])), "commitments")
    figure, axes = plt.subplots(figsize=(COLUMN, 3.2))
    draw_formula(axes)
    draw_proofs(axes, rows)
    powers_of_two(axes)
    axes.set_yscale("log")
    axes.set_xlabel("values")
    axes.set_ylabel("proof (kB)")
    figure.legend(loc="outside lower left", ncols=1)
    save(figure, options.out)


if __name__ == "__main__":
    main()
