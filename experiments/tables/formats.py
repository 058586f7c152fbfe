"""A table in three forms: CSV with all digits, Markdown and LaTeX for reading."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from zkbench.files import write_atomically


@dataclass(frozen=True)
class Column:
    """A column of the CSV, its heading, and how its values are printed."""

    key: str
    heading: str
    show: Callable[[Any], str] = str


def significant(digits: int, unit: float = 1.0) -> Callable[[Any], str]:
    """Return a formatter of value / unit to that many significant digits, without exponents."""

    def show(value: Any) -> str:
        number = float(value) / unit
        rounded = float(f"{number:.{digits}g}")
        integer_digits = len(str(int(abs(rounded)))) if abs(rounded) >= 1 else _leading(rounded)
        return f"{rounded:,.{max(0, digits - integer_digits)}f}"

    return show


def _leading(number: float) -> int:
    """Minus the number of zeros between the decimal point and the first digit."""
    return int(f"{number:e}".split("e")[1]) + 1 if number else 1


def percent(value: Any) -> str:
    return f"{100 * float(value):.2f}"


def bits(value: Any) -> str:
    """Round down: a soundness is never overstated."""
    return f"{math.floor(10 * float(value)) / 10:.1f}"


def yes_no(value: Any) -> str:
    return "yes" if value else "no"


def write_table(table: pd.DataFrame, columns: list[Column], out: Path) -> None:
    """Write `out`.csv, .md and .tex with these columns of the table."""
    shown = pd.DataFrame({c.heading: _show(table[c.key], c.show) for c in columns})
    numeric = [pd.api.types.is_numeric_dtype(table[c.key]) for c in columns]
    out.parent.mkdir(parents=True, exist_ok=True)
    forms = {
        ".csv": table[[c.key for c in columns]].to_csv(index=False),
        ".md": _markdown(shown, numeric),
        ".tex": shown.to_latex(
            index=False, escape=True, column_format="".join("lr"[n] for n in numeric)
        ),
    }
    for suffix, text in forms.items():
        write_atomically(out.with_name(out.name + suffix), text.encode())


def _show(values: pd.Series, show: Callable[[Any], str]) -> list[str]:
    return ["-" if pd.isna(value) else show(value) for value in values]


def _markdown(shown: pd.DataFrame, numeric: list[bool]) -> str:
    align = ["right" if n else "left" for n in numeric]
    return shown.to_markdown(index=False, colalign=align, disable_numparse=True) + "\n"
