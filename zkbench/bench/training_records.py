"""Records of training as tables and figures show them: costs of a step, sweeps of one parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

SWEPT = ("depth", "width", "batch", "steps")
_PARAMS = (*SWEPT, "inputs", "outputs", "samples", "segment", "loss", "momentum", "variant")
# Not every table of records has them: those of other benchmarks do not.
_COLUMNS = (*(f"param_{name}" for name in (*_PARAMS, "relu")), "extra_parameters", "extra_commit_s")


def training_records(records: pandas.DataFrame, with_bits: bool = False) -> pandas.DataFrame:
    """The records of training by machine, variant and size, with costs of one step.

    with_bits: those too whose ReLU is proven by bits; `relu` says by what it is.
    ``model``: the widths in short, 64-32x2-10. ``step_s`` with ``step_s_min`` and ``step_s_max``,
    ``step_bytes``: time and proof over the number of steps.
    """
    rows = records[records["benchmark"] == "training"]
    rows = rows.reindex(columns=[*rows.columns, *(c for c in _COLUMNS if c not in rows)])
    rows = rows.assign(relu=rows["param_relu"].where(rows["param_relu"].notna(), "table"))
    rows = rows if with_bits else rows[rows["relu"] == "table"]
    integers = {
        f"param_{name}": int for name in (*SWEPT, "inputs", "outputs", "samples", "segment")
    }
    rows = rows.astype(integers)
    steps = rows["param_steps"]
    rows = rows.assign(
        model=[model_name(*sizes) for sizes in zip(*_sizes(rows), strict=True)],
        step_s=rows["prove_s_median"] / steps,
        step_s_min=rows["prove_s_min"] / steps,
        step_s_max=rows["prove_s_max"] / steps,
        step_bytes=rows["proof_bytes"] / steps,
    )
    order = [f"param_{name}" for name in ("variant", "inputs", "width", "depth", "batch", "steps")]
    rows = rows.assign(by_bits=rows["relu"] == "bits")
    return rows.sort_values(["target", "machine", *order, "by_bits"]).drop(columns="by_bits")


def _sizes(rows: pandas.DataFrame) -> list[pandas.Series]:
    return [rows[f"param_{name}"] for name in ("inputs", "width", "depth", "outputs")]


def model_name(inputs: int, width: int, depth: int, outputs: int) -> str:
    """Widths from input to output, those of the hidden layers once: 3072-1024x8-10."""
    hidden = f"{width}x{depth}" if depth > 1 else str(width)
    return f"{inputs}-{hidden}-{outputs}"


def aggregated(rows: pandas.DataFrame) -> pandas.DataFrame:
    """Records whose steps are all in one stack, and of sequential proofs all."""
    whole = rows["param_segment"] == rows["param_steps"]
    return rows[whole | (rows["param_variant"] == "sequential")]


def sweep(rows: pandas.DataFrame, name: str) -> pandas.DataFrame:
    """The records of one machine and variant that differ in this parameter alone, in its order.

    Those that the others of the sweep have most often decide what they have in common.
    """
    others = [f"param_{key}" for key in _PARAMS if key not in (name, "segment", "variant")]
    common = base(rows)
    for key in others:
        rows = rows[rows[key] == common[key]]
    return rows.sort_values(f"param_{name}")


def base(rows: pandas.DataFrame) -> pandas.Series:
    """Of each parameter the value that most of the records have; the largest of several."""
    return rows[[f"param_{key}" for key in _PARAMS]].mode().ffill().iloc[-1]
