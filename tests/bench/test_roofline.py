"""The roofline: counts times rates, against definitions worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from synthetic_records import make_ceilings, make_commitments, make_matmuls, make_record, make_sweep

from zkbench.bench.ceilings import rates
from zkbench.bench.records import flatten
from zkbench.bench.roofline import PHASES, roofline

OPERATIONS = Path(__file__).parents[2] / "experiments" / "operations.csv"


def table(records: list) -> pd.DataFrame:
    return pd.DataFrame([flatten(record) for record in records])


@pytest.fixture(scope="module")
def operations() -> pd.DataFrame:
    return pd.read_csv(OPERATIONS)


def test_every_phase_has_operations_that_are_measured(operations: pd.DataFrame) -> None:
    assert set(operations["phase"]) == set(PHASES)
    assert set(operations["operation"]) < set(rates(make_ceilings("cpu")))
    assert operations["source"].notna().all()


def test_the_largest_size_is_set_against_its_own_device(operations: pd.DataFrame) -> None:
    records = make_sweep("tlookup", "cpu", 1e6) + make_sweep("tlookup", "cuda", 1e9)
    rows = roofline(table(records), operations, [make_ceilings("cuda", 200)])
    (row,) = rows.to_dict("records")
    assert (row["machine"], row["phase"], row["values"]) == ("h100-80gb", "lookup", 1 << 20)
    lookups = 0.5 * (1e-3 + 2**20 / 1e9)  # half of the median proving time
    assert row["values_per_s"] == pytest.approx(2**20 / lookups)
    assert row["arithmetic_values_per_s"] == pytest.approx(200 * 0.4e9 / 15)
    assert row["memory_values_per_s"] == pytest.approx(200 * 12e9 / 116)
    assert row["share"] == pytest.approx(row["values_per_s"] / (200 * 0.4e9 / 15))
    assert row["intensity"] == pytest.approx(15 / 116)
    assert row["multiplications_per_s"] == pytest.approx(15 * row["values_per_s"])


def test_committing_counts_the_levels_of_its_columns(operations: pd.DataFrame) -> None:
    rows = roofline(table(make_commitments("cpu", 1e6)), operations, [make_ceilings("cpu")])
    row = rows.set_index("phase").loc["commit"]
    seconds = 8 / 1.6e9 + 0.25 / 0.02e9  # columns of 2^16 values, half a multiplication a level
    assert row["arithmetic_values_per_s"] == pytest.approx(1 / seconds)
    assert row["values_per_s"] == pytest.approx(2**20 / 0.25)
    assert list(rows["phase"]) == ["commit", "open"]


def test_values_of_a_matrix_product_are_its_operands_entries(operations: pd.DataFrame) -> None:
    records = [one | {"phases": {"sumchecks": [0.5] * 3}} for one in make_matmuls("cpu", 1e9)]
    (row,) = roofline(table(records), operations, [make_ceilings("cpu")]).to_dict("records")
    assert row["values"] == 2 * 1024**2
    assert row["values_per_s"] == 4 * 1024**2


def test_a_machine_without_ceilings_and_other_schemes_are_left_out(
    operations: pd.DataFrame,
) -> None:
    ligero = [one for one in make_commitments("cpu", 1e6) if one["params"]["scheme"] == "ligero"]
    assert roofline(table(ligero), operations, [make_ceilings("cpu")]).empty
    assert roofline(table([make_record()]), operations, [make_ceilings("cuda")]).empty
