"""The variants of the commitment that figures tell apart."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from style import BLUE, GREEN, VERMILION

from zkbench.bench.commitment_case import make_scheme
from zkbench.commitments.schemes import Scheme


@dataclass(frozen=True)
class Regime:
    """A scheme and the radius in which it decodes."""

    scheme: str
    johnson: int
    label: str
    line: str
    colour: str

    @property
    def columns(self) -> dict[str, object]:
        """What its records have in the columns of their parameters."""
        return {"param_scheme": self.scheme, "param_johnson": self.johnson}

    def of(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Its records, by size."""
        mine = (rows["param_scheme"] == self.scheme) & (rows["param_johnson"] == self.johnson)
        return rows[mine].sort_values("values")

    def make(self) -> Scheme:
        """The scheme itself, with the parameters that the benchmark uses."""
        return make_scheme(self.scheme, self.johnson)


WHIR = Regime("whir", 0, "WHIR, unique decoding", "-", BLUE)
JOHNSON = Regime("whir", 1, "WHIR, Johnson bound", "--", GREEN)
LIGERO = Regime("ligero", 0, "Ligero", ":", VERMILION)
REGIMES = (WHIR, JOHNSON, LIGERO)


def commitments(records: pd.DataFrame) -> pd.DataFrame:
    """The records of commitments that name their scheme (older ones do not)."""
    if "param_scheme" not in records:
        return records[:0].assign(param_scheme=None, param_johnson=None)
    return records[(records["benchmark"] == "commitment") & records["param_scheme"].notna()]
