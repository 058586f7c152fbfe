"""Tables hold what the records hold."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

PUBLISHED = Path("results/published")


def rows_of_markdown(path: Path) -> list[list[str]]:
    lines = path.read_text().strip().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_headline_table_has_the_medians_of_the_records(
    script, records, records_file, tmp_path
) -> None:
    script("tables/digits.py", "--records", records_file, "--out", tmp_path / "digits")
    table = pd.read_csv(tmp_path / "digits.csv")
    inferences = [r for r in records if r["benchmark"] == "inference"]
    assert len(table) == len(inferences) == 8
    for record in inferences:
        key = (record["machine"], record["params"]["batch"])
        (row,) = table[(table["machine"] == key[0]) & (table["param_batch"] == key[1])].iloc
        assert row["prove_s_median"] == np.median(record["samples"]["prove_s"])
        assert row["verify_s_median"] == np.median(record["samples"]["verify_s"])
        assert row["proof_bytes"] == record["proof_bytes"]
        assert row["soundness_bits"] == record["soundness_bits"]
    shown = rows_of_markdown(tmp_path / "digits.md")
    assert [row[2] for row in shown] == ["1", "16", "64", "360"] * 2
    assert shown[3][3] == "2.00"
    assert (tmp_path / "digits.tex").read_text().count(r"\\") == 9


def test_the_protocol_table_has_every_record_but_inferences(
    script, records, records_file, tmp_path
) -> None:
    script("tables/protocols.py", "--records", records_file, "--out", tmp_path / "protocols")
    table = pd.read_csv(tmp_path / "protocols.csv")
    protocols = [r for r in records if r["benchmark"] != "inference"]
    expected = sorted(r["values"] / np.median(r["samples"]["prove_s"]) for r in protocols)
    np.testing.assert_allclose(sorted(table["values_per_s"]), expected)
    assert set(table["parameters"]) >= {"log_values=20 log_table=16", "log_values=20"}


def test_the_roofline_table_sets_what_is_achieved_against_both_ceilings(
    script, records_file, ceilings_files, tmp_path
) -> None:
    words = ("--records", records_file, "--operations", "experiments/operations.csv")
    words += ("--ceilings", *ceilings_files)
    script("tables/roofline.py", *words, "--out", tmp_path / "roofline")
    table = pd.read_csv(tmp_path / "roofline.csv")
    assert list(table["phase"]) == 2 * ["commit", "open", "lookup"]
    lower = table[["arithmetic_values_per_s", "memory_values_per_s"]].min(axis=1)
    np.testing.assert_allclose(table["share"], table["values_per_s"] / lower)


def test_the_table_of_ceilings_has_medians(script, ceilings_files, tmp_path) -> None:
    script("tables/ceilings.py", "--ceilings", *ceilings_files, "--out", tmp_path / "ceilings")
    table = pd.read_csv(tmp_path / "ceilings.csv").set_index("target")
    assert table.loc["cpu", "copy"] == 12e9
    assert table.loc["cuda", "compression"] == pytest.approx(4e9)


def test_published_throughput_is_that_of_the_sources(script, tmp_path) -> None:
    inputs = ("--published", PUBLISHED / "protocols.csv")
    script("tables/published.py", *inputs, "--out", tmp_path / "published")
    table = pd.read_csv(tmp_path / "published.csv").set_index("benchmark")
    assert table.loc["tlookup", "values_per_s"] == pytest.approx(16 * 2**22 / 0.146)
    assert table.loc["commitment", "values_per_s"] == pytest.approx(4 * 2**22 / 0.768)
    assert table["source"].notna().all()


@pytest.mark.parametrize("name", ["inference", "training", "protocols"])
def test_every_published_row_names_its_source_and_how_it_was_read(name) -> None:
    rows = pd.read_csv(Path(__file__).parents[2] / PUBLISHED / f"{name}.csv")
    assert rows[["system", "prove_s", "source", "reading"]].notna().all(axis=None)


def test_the_accuracy_table_compares_both_models(script, digits, tmp_path) -> None:
    raw = tmp_path / "raw.csv"
    script("accuracy.py", "--digits", digits, "--shifts", 14, 3, "--out", raw)
    script("tables/accuracy.py", "--accuracy", raw, "--out", tmp_path / "accuracy")
    table = pd.read_csv(tmp_path / "accuracy.csv").set_index("shift")
    assert list(table.index) == [3, 14]
    assert table.loc[14, "weight_bits"] > table.loc[3, "weight_bits"]
    assert table.loc[14, "rms_difference"] < table.loc[3, "rms_difference"]
    assert abs(table.loc[14, "accuracy_integer"] - table.loc[14, "accuracy_float"]) <= 0.003
    assert (table["batch"] == 360).all()


@pytest.fixture
def verified(tmp_path: Path) -> list[object]:
    """Arguments for proven_labels.py: one statement of four labels, two of them right."""
    np.save(tmp_path / "truth.npy", np.array([3, 1, 4, 1, 5]))
    (tmp_path / "statement.json").write_text(json.dumps({"labels": [3, 1, 9, 9]}))
    (tmp_path / "verdict.json").write_text(json.dumps({"accepted": True}))
    names = ("labels", "statements", "verdicts")
    files = ("truth.npy", "statement.json", "verdict.json")
    pairs = zip(names, files, strict=True)
    return [word for name, file in pairs for word in (f"--{name}", tmp_path / file)]


def test_proven_accuracy_counts_the_labels_of_the_statement(script, verified, tmp_path) -> None:
    script("tables/proven_labels.py", *verified, "--out", tmp_path / "labels")
    (row,) = pd.read_csv(tmp_path / "labels.csv").to_dict("records")
    assert row == {"images": 4, "verdict": "accepted", "correct": 2, "accuracy": 0.5}


def test_labels_of_a_rejected_proof_are_not_counted(command, verified, tmp_path) -> None:
    (tmp_path / "verdict.json").write_text(json.dumps({"accepted": False}))
    done = command("experiments/tables/proven_labels.py", *verified, "--out", tmp_path / "labels")
    assert done.returncode == 1
    assert "the proof was not accepted" in done.stderr
    assert not (tmp_path / "labels.csv").exists()


@pytest.mark.parametrize(
    ("value", "digits", "unit", "expected"),
    [
        (0.000123456, 3, 1, "0.000123"),
        (0.0999999, 3, 1, "0.100"),
        (1.0, 3, 1, "1.00"),
        (999.6, 3, 1, "1,000"),
        (12345.6, 3, 1, "12,300"),
        (0.0123, 3, 1e-3, "12.3"),
        (0.0, 3, 1, "0.00"),
    ],
)
def test_numbers_are_shown_to_significant_digits(formats, value, digits, unit, expected) -> None:
    assert formats.significant(digits, unit)(value) == expected


def test_soundness_is_never_rounded_up(formats) -> None:
    assert formats.bits(99.99) == "99.9"
    assert formats.bits(100.0) == "100.0"


def test_names_are_escaped_in_latex(formats, tmp_path) -> None:
    table = pd.DataFrame({"name": ["a_b"], "n": [1]})
    columns = [formats.Column("name", "50 %"), formats.Column("n", "count")]
    formats.write_table(table, columns, tmp_path / "t")
    text = (tmp_path / "t.tex").read_text()
    assert r"a\_b" in text
    assert r"50 \%" in text
