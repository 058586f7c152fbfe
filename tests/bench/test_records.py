"""Records: what is written is what is read, and nothing else is written."""

import json
from pathlib import Path

import numpy as np
import pytest
from synthetic_records import make_record

from zkbench.bench.records import (
    RecordError,
    flatten,
    iterate_records,
    latest_of_each_run,
    read_records,
    record_id,
    write_record,
    write_records,
)


def test_a_record_comes_back_as_it_was_written(tmp_path: Path, record) -> None:
    write_record(tmp_path / "a" / "b.jsonl", record)
    assert list(iterate_records([tmp_path])) == [record]
    assert len((tmp_path / "a" / "b.jsonl").read_text().splitlines()) == 1


def test_another_run_is_added_and_the_same_run_replaced(tmp_path: Path, record) -> None:
    file = tmp_path / "records.jsonl"
    write_record(file, record)
    write_record(file, make_record(params={"log_values": 21, "log_table": 16}))
    write_record(file, record | {"proof_bytes": 1})
    assert [r["proof_bytes"] for r in iterate_records([file])] == [40_000, 1]


def test_the_table_has_medians_and_quartiles_of_the_raw_samples(tmp_path: Path, record) -> None:
    write_record(tmp_path / "r.jsonl", record)
    row = read_records([tmp_path]).iloc[0]
    samples = record["samples"]["prove_s"]
    assert row["prove_s_median"] == np.median(samples)
    assert row["prove_s_min"], row["prove_s_max"] == (min(samples), max(samples))
    assert row["prove_s_q1"] == np.quantile(samples, 0.25)
    assert row["prove_s_q3"] == np.quantile(samples, 0.75)
    assert row["values_per_s"] == record["values"] / np.median(samples)
    assert row["param_log_values"] == 20
    assert row["git_commit"] == record["provenance"]["git"]["commit"]


def test_phases_add_up_to_the_median_proving_time(record) -> None:
    row = flatten(record)
    phases = [value for key, value in row.items() if key.startswith("phase_")]
    assert sum(phases) == pytest.approx(row["prove_s_median"])
    assert row["phase_lookups_s"] == pytest.approx(0.5 * row["prove_s_median"])
    assert row["phase_witness_s"] == 0


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("surprise", "unknown key surprise in top level"),
        ("samples.prove_ms", "unknown key prove_ms in samples"),
        ("phases.proving", "unknown key proving in phases"),
        ("provenance.cpu.colour", "unknown key colour in provenance.cpu"),
    ],
)
def test_an_unknown_key_is_refused_and_named(tmp_path: Path, altered, path, where) -> None:
    with pytest.raises(RecordError, match=where):
        write_record(tmp_path / "r.jsonl", altered(path, 1))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("verified", False, "verified: True was expected"),
        ("schema", 2, "schema: 1 was expected"),
        ("target", "tpu", "target: 'tpu' is not one of"),
        ("samples.prove_s", [], "samples.prove_s: "),
        ("soundness_bits", float("nan"), "Out of range float values"),
        ("params.log_values", 21, "the id is not the hash of what was run"),
        ("phases.commit", [0.1], "phase commit has 1 samples, prove_s has 3"),
    ],
)
def test_a_bad_record_is_not_written(tmp_path: Path, altered, path, value, reason) -> None:
    with pytest.raises(RecordError, match=reason):
        write_record(tmp_path / "r.jsonl", altered(path, value))
    assert not list(tmp_path.iterdir())


def test_a_record_without_a_verdict_is_not_written(tmp_path: Path, record) -> None:
    del record["verified"]
    with pytest.raises(RecordError, match="'verified' is a required property"):
        write_record(tmp_path / "r.jsonl", record)


def test_a_bad_line_is_named_by_file_and_line(tmp_path: Path, record) -> None:
    file = tmp_path / "r.jsonl"
    file.write_text(json.dumps(record) + "\n{half a rec")
    with pytest.raises(RecordError, match=r"r\.jsonl:2: "):
        list(iterate_records([tmp_path]))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"none\.jsonl: no such file"):
        read_records([tmp_path / "none.jsonl"])


def test_a_file_may_hold_no_records(tmp_path: Path) -> None:
    write_records(tmp_path / "r.jsonl", [])
    assert read_records([tmp_path]).empty


def test_the_id_depends_on_what_was_run_and_not_on_the_order_of_keys() -> None:
    one = record_id("tlookup", {"a": 1, "b": 2}, "cpu", "goldilocks")
    assert one == record_id("tlookup", {"b": 2, "a": 1}, "cpu", "goldilocks")
    others = [
        record_id("hadamard", {"a": 1, "b": 2}, "cpu", "goldilocks"),
        record_id("tlookup", {"a": 1, "b": 3}, "cpu", "goldilocks"),
        record_id("tlookup", {"a": 1, "b": 2}, "cuda", "goldilocks"),
        record_id("tlookup", {"a": 1, "b": 2}, "cpu", "babybear"),
    ]
    assert len({one, *others}) == 5


def test_the_newest_record_of_a_run_counts(altered) -> None:
    old = altered("provenance.time", "2026-11-20T00:00:00+00:00")
    new = altered("provenance.time", "2026-11-21T00:00:00+00:00")
    elsewhere = altered("machine", "h100-80gb")
    assert latest_of_each_run([new, old, elsewhere]) == [new, elsewhere]
