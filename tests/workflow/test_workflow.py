"""The workflow builds its graph, and refuses a bad config in one sentence."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from synthetic_records import make_record

from zkbench.bench import provenance
from zkbench.bench.records import iterate_records, write_records
from zkbench.bench.sheet import read_sheet

ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "experiments/config.yaml").read_text())
RULES = ["train", "slices", "commit", "prove", "verify", "soundness", "accuracy", "inference"]
RULES += ["train_in_integers", "prove_training", "verify_training"]
RULES += ["perplexity", "microbench", "pytest_benchmarks", "collect", "report"]


@pytest.fixture
def snakemake(command, tmp_path):
    """Dry runs; the config is an edited copy."""

    def dry_run(*arguments: str, **changes: object):
        config = tmp_path / "config.yaml"
        config.write_text(yaml.safe_dump(CONFIG | {"target": "cpu"} | changes))
        options = ("--configfile", config, "-n", "--forceall", "--nolock")
        return command("-m", "snakemake", *options, *arguments)

    return dry_run


def test_the_graph_leads_from_training_to_the_report(snakemake) -> None:
    done = snakemake("all")
    assert done.returncode == 0, done.stdout + done.stderr
    counts = dict(line.split() for line in done.stdout.splitlines() if len(line.split()) == 2)
    assert [rule for rule in RULES if rule not in counts] == []
    assert counts["prove"] == counts["verify"] == counts["inference"] == str(len(CONFIG["batches"]))
    figures = [rule for rule in counts if rule.startswith("figure_")]
    assert len(figures) == 17
    assert counts["ceilings"] == "1"


def test_what_was_measured_elsewhere_is_collected(snakemake) -> None:
    committed = sorted(
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "results/raw").rglob("*.jsonl")
        if "local" not in path.parts
    )
    done = snakemake("--printshellcmds", "collect")
    (command,) = [line for line in done.stdout.splitlines() if "collect.py --records" in line]
    assert [path for path in committed if path not in command] == []
    assert "results/raw/local/tlookup-cpu.jsonl" in command


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"colour": 1},
            "config: unknown key colour in top level; known: batches, perplexity_tokens",
        ),
        ({"target": "tpu"}, "config: target: 'tpu' is not one of"),
        ({"perplexity_tokens": 0}, "config: perplexity_tokens: 0 is less than the minimum of 128"),
        ({"batches": [361]}, "config: batches.0: 361 is greater than the maximum of 360"),
        (
            {"training": CONFIG["training"] | {"lr": 0}},
            "config: training.lr: 0 is less than or equal",
        ),
        (
            {"training": CONFIG["training"] | {"epochs": 1}},
            "config: unknown key epochs in training; known: batch, lr, momentum, steps, widths",
        ),
        ({"sheet": "none.csv"}, "cannot read the run sheet"),
    ],
)
def test_a_bad_config_is_refused_in_one_sentence(snakemake, changes, sentence) -> None:
    done = snakemake("all", **changes)
    assert done.returncode != 0
    assert sentence in done.stdout + done.stderr


@pytest.mark.skipif(provenance.find_gpu() is not None, reason="a CUDA GPU is here")
def test_cuda_without_a_gpu_is_refused(snakemake) -> None:
    done = snakemake("all", target="cuda")
    assert done.returncode != 0
    assert "target is cuda, but there is no CUDA GPU here" in done.stdout + done.stderr


def test_the_run_sheet_can_be_read_and_names_no_run_twice() -> None:
    rows = read_sheet(ROOT / CONFIG["sheet"])
    keys = [(row.benchmark, json.dumps(row.params, sort_keys=True), row.target) for row in rows]
    assert len(set(keys)) == len(keys)
    assert {row.target for row in rows} == {"cpu", "cuda"}


def test_a_batch_is_the_first_images(script, command, digits, tmp_path) -> None:
    images, out = digits / "test_x.npy", tmp_path / "batch.npy"
    script("slice_batch.py", "--input", images, "--batch", 16, "--out", out)
    np.testing.assert_array_equal(np.load(out), np.load(images)[:16])
    arguments = ("--input", images, "--batch", 361, "--out", tmp_path / "none.npy")
    done = command("experiments/slice_batch.py", *arguments)
    assert done.returncode == 2
    assert "has 360 images, so no batch of 361" in done.stderr
    assert not (tmp_path / "none.npy").exists()


def test_the_newest_record_of_each_run_is_collected(script, tmp_path) -> None:
    old = make_record()
    new = make_record(prove_s=0.1)
    new["provenance"] = old["provenance"] | {"time": "2026-12-01T00:00:00+00:00"}
    gpu = make_record(target="cuda")
    write_records(tmp_path / "a.jsonl", [new, gpu])
    write_records(tmp_path / "b.jsonl", [old])
    out, table = tmp_path / "all.jsonl", tmp_path / "all.csv"
    files = (tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    script("collect.py", "--records", *files, "--out", out, "--table", table)
    assert list(iterate_records([out])) == [new, gpu]
    assert list(pd.read_csv(table)["prove_s_median"]) == [0.1, 0.2]


def test_the_report_has_tables_figures_origin_and_what_was_not_run(
    script, records_file, tmp_path
) -> None:
    script("tables/digits.py", "--records", records_file, "--out", tmp_path / "digits")
    figure = ("figures/proving_time.py", "--records", records_file)
    script(*figure, "--out", tmp_path / "figures" / "proving_time")
    inputs = ("--records", records_file, "--sheet", ROOT / CONFIG["sheet"])
    drawn = ("--tables", tmp_path / "digits.md")
    drawn += ("--figures", tmp_path / "figures" / "proving_time.png")
    script("report.py", *inputs, *drawn, "--out", tmp_path / "report.md")
    text = (tmp_path / "report.md").read_text()
    assert "**not zero-knowledge**" in text
    assert (tmp_path / "digits.md").read_text().strip() in text
    assert "](figures/proving_time.png)" in text
    assert "* rescale on cpu, 3 rows: " in text
    assert "tlookup_inverses on cpu" not in text
    assert "NVIDIA H100 80GB HBM3" in text
    assert "0123456789abcdef" in text
