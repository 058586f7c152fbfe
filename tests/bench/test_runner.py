"""Running cases: cold and warm apart, verified in a process of its own, or no record."""

import argparse
import json
from pathlib import Path

import fake_cases  # noqa: F401 - registers the benchmark "hash"
import pytest

from zkbench.bench import command, runner, sheet
from zkbench.bench.cases import CASES, UnknownCase, make_case, register
from zkbench.bench.gpu import Gpu
from zkbench.bench.records import check_record, iterate_records
from zkbench.bench.runner import BenchError, NotVerified, run_case
from zkbench.errors import UnusableInput

HEAD = "benchmark,params,target,repeats,machine\n"


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "find_gpu", lambda: None)
    monkeypatch.setattr(command, "find_gpu", lambda: None)


def bench(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(argument) for argument in arguments]))


def test_a_run_gives_a_checked_record_with_all_samples() -> None:
    record = run_case("hash", {"num_values": 8}, "cpu", seed=3, repeats=4)
    check_record(record)
    assert (record["benchmark"], record["values"], record["seed"]) == ("hash", 8, 3)
    assert len(record["samples"]["prove_s"]) == 4
    assert len(record["samples"]["verify_s"]) == 4
    assert all(0.002 <= seconds < 2 for seconds in record["phases"]["commit"])
    assert record["verified"] is True
    assert record["verifier"] == {"cores": 1}
    assert record["zero_knowledge"] is False
    assert record["proof_bytes"] == 32
    assert record["extra"] == {"accuracy": 0.5}
    assert record["memory"]["device_peak_bytes"] is None
    assert record["memory"]["host_peak_bytes"] > 10_000_000


def test_sampling_goes_on_for_the_time_asked() -> None:
    record = run_case("hash", {"num_values": 8}, repeats=1, min_seconds=0.05)
    assert sum(record["samples"]["prove_s"]) >= 0.05
    assert len(record["samples"]["prove_s"]) > 1


def test_the_verifying_process_sees_no_gpu() -> None:
    environment = runner._verifier_environment()
    assert environment["CUDA_VISIBLE_DEVICES"] == ""


def test_a_rejected_proof_gives_no_record() -> None:
    with pytest.raises(NotVerified, match="rejected the proof: the hash is another"):
        run_case("hash", {"num_values": 8, "behaviour": "lying"}, repeats=1)


def test_proofs_that_differ_give_no_record() -> None:
    with pytest.raises(BenchError, match="two proofs of the same statement and seed differ"):
        run_case("hash", {"num_values": 8, "behaviour": "random"}, repeats=1)


def test_a_crash_of_the_verifier_is_told_from_a_rejection() -> None:
    with pytest.raises(BenchError, match=r"process failed .*ZeroDivisionError: verifier bug") as e:
        run_case("hash", {"num_values": 8, "behaviour": "crashing"}, repeats=1)
    assert not isinstance(e.value, NotVerified)


def test_no_repeats_are_refused() -> None:
    with pytest.raises(UnusableInput, match="at least one repeat"):
        run_case("hash", {"num_values": 8}, repeats=0)


def test_an_unknown_benchmark_is_refused_naming_the_known_ones() -> None:
    with pytest.raises(UnknownCase, match=r"no benchmark 'hush'; registered: .*hash"):
        make_case("hush", {}, "cpu", 0)


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="hash is registered twice"):
        register("hash")(CASES["hash"])


def test_the_command_writes_a_record_and_prints_it(tmp_path: Path, capsys, no_gpu) -> None:
    out = tmp_path / "r.jsonl"
    arguments = ["hash", "--param", "num_values=8", "--param", "note=a b", "--repeats", "2"]
    assert bench(*arguments, "--target", "cpu", "--out", out, "--json") == 0
    (written,) = iterate_records([out])
    assert json.loads(capsys.readouterr().out) == written
    assert written["params"] == {"num_values": 8, "note": "a b"}
    assert len(written["samples"]["prove_s"]) == 2


def test_the_command_says_that_a_proof_is_not_zero_knowledge(capsys, no_gpu) -> None:
    assert bench("hash", "--param", "num_values=8", "--repeats", "1") == 0
    line = capsys.readouterr().out
    assert "hash num_values=8 on cpu: prove 0.00" in line
    assert "128.0 bits, not zero-knowledge" in line


def test_a_rejected_proof_leaves_no_file(tmp_path: Path, capsys, no_gpu) -> None:
    lying = ["--param", "num_values=8", "--param", "behaviour=lying"]
    assert bench("hash", *lying, "--repeats", "1", "--out", tmp_path) == 1
    assert "rejected the proof" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["hush"], "no benchmark 'hush'"),
        ([], "either the name of a benchmark or --sheet"),
        (["hash", "--param", "8"], "--param 8: write KEY=VALUE"),
        (["hash", "--target", "cuda"], "--target cuda: there is no CUDA GPU here"),
        (["--sheet", "none.csv"], "cannot read the run sheet none.csv"),
        (["--sheet", "s.csv", "--param", "a=1"], "--param does not go with --sheet"),
        (["hash", "--param", "num_values=8", "--repeats", "0"], "at least one repeat"),
    ],
)
def test_bad_input_gets_a_sentence_and_code_2(arguments, reason, capsys, no_gpu) -> None:
    assert bench(*arguments) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1


def test_a_sheet_runs_what_fits_and_says_what_does_not(tmp_path: Path, capsys, no_gpu) -> None:
    rows = [
        'hash,"{""num_values"": 8}",cpu,1,small',
        'hash,"{""num_values"": 16}",cuda,1,gpu-24gb',
        'hash,"{""num_values"": 8, ""behaviour"": ""out of memory""}",cpu,1,small',
        'hash,"{""num_values"": 8, ""behaviour"": ""lying""}",cpu,1,small',
        'hash,"{""num_values"": 32}",cpu,2,small',
    ]
    file = tmp_path / "sheet.csv"
    file.write_text(HEAD + "\n".join(rows) + "\n")
    assert bench("--sheet", file, "--out", tmp_path / "out") == 1
    assert sorted(r["values"] for r in iterate_records([tmp_path / "out"])) == [8, 32]
    error = capsys.readouterr().err
    assert "skipped hash num_values=16 on cuda: there is no CUDA GPU here" in error
    assert "behaviour=out of memory on cpu: it does not fit into memory" in error
    assert "failed hash num_values=8 behaviour=lying on cpu: the verifier rejected" in error
    assert "5 rows: 2 done, 2 skipped, 1 failed" in error


def test_a_sheet_of_nothing_that_fits_leaves_an_empty_file(tmp_path: Path, no_gpu) -> None:
    file, out = tmp_path / "sheet.csv", tmp_path / "r.jsonl"
    file.write_text(HEAD + 'hash,"{""num_values"": 16}",cuda,1,gpu-24gb\n')
    assert bench("--sheet", file, "--only", "hash", "--out", out) == 0
    assert out.read_text() == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (HEAD + "hash,{},cpu,1\n", ":2: the row has not as many cells"),
        (HEAD + "hash,{,cpu,1,small\n", ":2: params is missing or malformed"),
        (HEAD + "hash,{},cpu,one,small\n", ":2: repeats is missing or malformed"),
        (HEAD + "hash,{},tpu,1,small\n", ":2: target: 'tpu' is not one of"),
        (HEAD + "hash,{},cpu,1,huge\n", ":2: machine: 'huge' is not one of"),
        ("note," + HEAD + "x,hash,{},cpu,1,small\n", ":2: unknown key note in top level"),
    ],
)
def test_a_bad_sheet_is_refused_naming_the_line(tmp_path: Path, text, reason) -> None:
    file = tmp_path / "sheet.csv"
    file.write_text(text)
    with pytest.raises(sheet.SheetError, match=reason):
        sheet.read_sheet(file)


def test_a_row_goes_to_machines_of_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu("NVIDIA A100-SXM4-40GB", 42_400_000_000, None, "13.0", 1)
    monkeypatch.setattr(sheet, "find_gpu", lambda: gpu)
    monkeypatch.setattr(sheet.os, "cpu_count", lambda: 4)
    assert sheet.why_not_here("gpu-24gb") is None
    assert sheet.why_not_here("gpu-80gb") == "needs 74 GiB of GPU memory"
    assert sheet.why_not_here("large") == "needs 16 cores"
