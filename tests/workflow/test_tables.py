"""Tables hold what the records hold."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic_records import make_language, make_record

from zkbench.bench.language_records import language_records
from zkbench.bench.records import read_records, write_records

PUBLISHED = Path("results/published")
WHOLE_MODELS = ("inference", "language", "training")


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
    protocols = [r for r in records if r["benchmark"] not in WHOLE_MODELS]
    expected = sorted(r["values"] / np.median(r["samples"]["prove_s"]) for r in protocols)
    np.testing.assert_allclose(sorted(table["values_per_s"]), expected)
    assert set(table["parameters"]) >= {"log_values=20 log_table=16", "log_values=20"}


def test_the_table_of_language_models_has_the_records_by_size(
    script, records, records_file, tmp_path
) -> None:
    script("tables/language.py", "--records", records_file, "--out", tmp_path / "language")
    table = pd.read_csv(tmp_path / "language.csv")
    names = ["OPT-bytes", "LLaMA-bytes", "OPT-125M", "LLaMA-2-7B", "LLaMA-2-13B", "OPT-13B"]
    assert list(table["model"]) == names
    of = {r["params"]["model"].lower(): r for r in records if r["benchmark"] == "language"}
    for _, row in table.iterrows():
        record = of[row["model"].lower()]
        assert row["prove_s_median"] == np.median(record["samples"]["prove_s"])
        assert row["commit_s"] == record["extra"]["commit_s"]
        assert row["overhead"] == pytest.approx(1000)
    shown = rows_of_markdown(tmp_path / "language.md")
    assert shown[4][:6] == ["LLaMA-2-13B", "h100-80gb", "2,048", "all", "13,000", "3.35"]


def test_proofs_in_segments_are_rows_of_their_own_and_in_no_other_table(script, tmp_path) -> None:
    of = ("opt-1.3b", 1_400_000_000, "cuda")
    records = [make_language(*of, segment=12), make_language(*of)]
    write_records(tmp_path / "records.jsonl", records)
    words = ("--records", tmp_path / "records.jsonl", "--out", tmp_path / "language")
    script("tables/language.py", *words)
    assert [row[3] for row in rows_of_markdown(tmp_path / "language.md")] == ["all", "12"]
    rows = language_records(read_records([tmp_path / "records.jsonl"]))
    assert rows["param_segment"].isna().tolist() == [True]


def test_a_commitment_made_but_once_has_no_time_in_the_table(script, tmp_path) -> None:
    """It may be that of compiling kernels."""
    record = make_language("opt-1.3b", 1_400_000_000, "cuda")
    record["extra"] |= {"commit_s": 11.5, "cold_commit_s": 11.5}
    write_records(tmp_path / "records.jsonl", [record])
    words = ("--records", tmp_path / "records.jsonl", "--out", tmp_path / "language")
    script("tables/language.py", *words)
    (row,) = rows_of_markdown(tmp_path / "language.md")
    assert row[5] == "-"


def test_language_models_without_a_plain_forward_pass_are_in_the_table(script, tmp_path) -> None:
    """A GPU without PyTorch: no time, no overhead, but all the rest."""
    record = make_language("opt-1.3b", 1_400_000_000, "cuda")
    record["extra"] = {k: v for k, v in record["extra"].items() if not k.startswith("forward")}
    write_records(tmp_path / "records.jsonl", [record])
    words = ("--records", tmp_path / "records.jsonl", "--out", tmp_path / "language")
    script("tables/language.py", *words)
    (row,) = rows_of_markdown(tmp_path / "language.md")
    assert row[0] == "OPT-1.3B"
    assert row[-3:] == ["-", "-", "-"]


def test_our_records_stand_beside_the_same_models_of_zkllm(
    script, records, records_file, tmp_path
) -> None:
    words = ("--records", records_file, "--published", PUBLISHED / "inference.csv")
    script("tables/zkllm.py", *words, "--out", tmp_path / "zkllm")
    table = pd.read_csv(tmp_path / "zkllm.csv").set_index("model")
    assert list(table.index) == [
        *("OPT-125M", "OPT-350M", "OPT-1.3B", "OPT-2.7B", "OPT-6.7B", "OPT-13B"),
        *("LLaMA-2-7B", "LLaMA-2-13B"),
    ]
    measured = ["OPT-125M", "OPT-13B", "LLaMA-2-7B", "LLaMA-2-13B"]
    assert list(table.index[table["ours_prove_s"].notna()]) == measured
    row = table.loc["LLaMA-2-13B"]
    assert (row["commit_s"], row["prove_s"], row["proof_bytes"]) == (986, 803, 188_000)
    (mine,) = (r for r in records if r["params"].get("model") == "llama-2-13b")
    assert row["ours_prove_s"] == np.median(mine["samples"]["prove_s"])
    assert row["speedup"] == pytest.approx(803 / row["ours_prove_s"])
    heads = (tmp_path / "zkllm.md").read_text().splitlines()[0].split("|")
    assert len(set(heads[1:-1])) == len(table.columns) + 1


def test_zkllm_is_shown_without_records_of_ours_and_not_beside_another_length(
    script, tmp_path
) -> None:
    short = make_language("opt-125m", 163_000_000, "cuda")
    short = make_record("language", short["params"] | {"positions": 512}, 512, target="cuda")
    for name, records in (("none", [make_record()]), ("short", [short])):
        write_records(tmp_path / f"{name}.jsonl", records)
        words = ("--published", PUBLISHED / "inference.csv", "--out", tmp_path / name)
        script("tables/zkllm.py", "--records", tmp_path / f"{name}.jsonl", *words)
        table = pd.read_csv(tmp_path / f"{name}.csv")
        assert len(table) == 8
        assert table["ours_prove_s"].isna().all()


def test_the_shipped_models_are_as_good_in_integers(script, tmp_path) -> None:
    raw = tmp_path / "raw.csv"
    script("perplexity.py", "--tokens", 1100, "--out", raw)
    words = ("--perplexity", raw, "--published", PUBLISHED / "inference.csv")
    script("tables/perplexity.py", *words, "--out", tmp_path / "perplexity")
    table = pd.read_csv(tmp_path / "perplexity.csv").set_index("model")
    ours = table[table["system"] == "zkbench"]
    assert list(ours.index) == ["llama-bytes", "opt-bytes"]
    assert (ours["tokens"] == 1024).all()
    assert (ours["perplexity_change"].abs() < 0.005).all()
    assert (ours["integer_perplexity"] < 8).all()
    assert table.loc["LLaMA-2-13B", "perplexity_change"] == pytest.approx(6.528 / 6.52 - 1)


def test_the_table_of_training_has_costs_of_a_step_and_what_is_published(
    script, records, records_file, tmp_path
) -> None:
    words = ("--records", records_file, "--published", PUBLISHED / "training.csv")
    script("tables/training.py", *words, "--out", tmp_path / "training")
    table = pd.read_csv(tmp_path / "training.csv")
    ours = [r for r in records if r["benchmark"] == "training"]
    here = table["system"].str.endswith(", here")
    assert here.sum() == len(ours)
    expected = sorted(np.median(r["samples"]["prove_s"]) / r["params"]["steps"] for r in ours)
    np.testing.assert_allclose(sorted(table.loc[here, "step_s"]), expected)
    published = table[~here].set_index("system")
    assert published.loc["zkDL (published)", ["step_s", "step_bytes", "param_steps"]].tolist() == [
        *(0.86, 33, 1024)
    ]
    assert published.loc["zkDL sequential (published)", "step_s"] == 47
    (row,) = (r for r in rows_of_markdown(tmp_path / "training.md") if r[0] == "zkDL (published)")
    assert row[9:11] == ["-", "-"]  # a whole proof's time is not published
    sequential = table[table["system"] == "a proof a step, here"]
    assert (sequential["param_steps"] == 1).all()


@pytest.fixture
def trained(tmp_path: Path) -> list[object]:
    """Arguments for trained_digits.py: what the three commands print."""
    points = {"test_accuracy": 0.95, "train_loss": 0.125}
    curves = {"integer": points, "float": points | {"test_accuracy": 0.96}}
    rule = {"dims": [64, 32, 10], "batch": 64}
    said = {
        "trained": {"rule": rule, "curves": curves, "train_seconds": 0.5},
        "proven": {"prove_seconds": 20.0, "target": "cpu"},
        "verified": {"accepted": True, "steps": 300, "verify_seconds": 0.75},
    }
    said["verified"] |= {"proof_bytes": 850_000, "soundness_bits": 101.85}
    for name, content in said.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return [word for name in said for word in (f"--{name}", tmp_path / f"{name}.json")]


def test_the_digits_run_has_both_accuracies_and_its_costs(script, trained, tmp_path) -> None:
    script("tables/trained_digits.py", *trained, "--out", tmp_path / "table")
    (row,) = rows_of_markdown(tmp_path / "table.md")
    expected = ["64-32-10", "64", "300", "96.00", "95.00", "0.125", "0.125", "cpu"]
    assert row == [*expected, "0.500", "20.0", "0.750", "850.0", "101.8"]


def test_a_rejected_proof_of_training_has_no_table(command, trained, tmp_path) -> None:
    (tmp_path / "verified.json").write_text(json.dumps({"accepted": False}))
    words = (*trained, "--out", tmp_path / "table")
    done = command("experiments/tables/trained_digits.py", *words)
    assert done.returncode == 1
    assert "the proof of the digits run was not accepted" in done.stderr
    assert not (tmp_path / "table.csv").exists()


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
