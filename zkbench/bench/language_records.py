"""Records of language models as tables and figures show them: names, sizes, overhead."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

_NAMES = {"opt": "OPT", "llama": "LLaMA", "bytes": "bytes", "gpt": "GPT"}
_UNITS = {"M": 1e6, "B": 1e9}
# Not every record has them: of what was measured beside a proof, or only on one kind of machine.
_COLUMNS = (
    *("extra_weights", "extra_commit_s", "extra_cold_commit_s"),
    *("extra_forward_s", "extra_forward_with"),
    *("extra_committed_values", "extra_range_checks", "extra_table_lookups"),
    *("param_model", "param_positions", "param_segment", "device_peak_bytes"),
)


def language_records(records: pandas.DataFrame, in_segments: bool = False) -> pandas.DataFrame:
    """The records of language models, by size, with `model` and `parameters` as they are printed.

    in_segments: those too whose layers were not proven together; `segment` is the number that was.
    `commit_s`: none where a commitment was made but once, which may be the time of compiling kernels.
    `overhead`: proving time over that of a plain forward pass; `lookups`: values that are looked up.
    """
    rows = records[records["benchmark"] == "language"]
    rows = rows.reindex(columns=[*rows.columns, *(c for c in _COLUMNS if c not in rows)])
    rows = rows if in_segments else rows[rows["param_segment"].isna()]
    models = rows["param_model"].astype(str)
    rows = rows.assign(
        model=models.map(printed_name),
        parameters=models.map(nominal_parameters).fillna(rows["extra_weights"]).astype(float),
        segment=[_all_or(count) for count in rows["param_segment"]],
        lookups=rows["extra_range_checks"] + rows["extra_table_lookups"],
        overhead=rows["prove_s_median"] / rows["extra_forward_s"].astype(float),
    )
    by = ["target", "machine", "parameters", "model", "param_segment"]
    once = rows["extra_commit_s"] == rows["extra_cold_commit_s"]
    rows = rows.assign(commit_s=rows["extra_commit_s"].where(~once).astype(float))
    return rows.sort_values(by, na_position="first")


def _all_or(count: float) -> str:
    return "all" if math.isnan(count) else str(int(count))


def printed_name(model: str) -> str:
    """llama-2-13b is printed LLaMA-2-13B."""
    return "-".join(
        _NAMES.get(part, part.upper() if part[:1].isdigit() else part) for part in model.split("-")
    )


def nominal_parameters(model: str) -> float | None:
    """The number of parameters that a model's name ends in: 1.3e9 for "OPT-1.3B"."""
    found = re.search(r"(\d+(?:\.\d+)?)([MB])$", model.upper())
    return float(found[1]) * _UNITS[found[2]] if found else None
