"""Figures are drawn from records, in both formats, and never without data."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import image
from synthetic_records import (
    make_attentions,
    make_commitments,
    make_inferences,
    make_languages,
    make_matmuls,
    make_record,
    make_sweep,
    make_trainings,
    make_zkrelus,
)

from zkbench.bench.records import write_records

PUBLISHED = Path("results/published/protocols.csv")
SYSTEMS = Path("results/published/inference.csv")
TRAININGS = Path("results/published/training.csv")
OPERATIONS = Path("experiments/operations.csv")
DRAWN_FROM = {
    "proving_time": ("records",),
    "tlookup": ("records", "published"),
    "matmul": ("records",),
    "commitment": ("records", "published"),
    "proof_size": ("records",),
    "verifier_time": ("records",),
    "memory": ("records",),
    "phases": ("records",),
    "roofline": ("records", "operations", "ceilings"),
    "accuracy": ("accuracy",),
    "zkattn": ("records", "published"),
    "model_sizes": ("records", "systems"),
    "language_phases": ("records",),
    "zkrelu": ("records",),
    "training_cost": ("records", "trainings"),
    "aggregation": ("records", "trainings"),
    "training_curves": ("curves",),
}
RUNS = ("integer", "float")
OPTIONS = {
    "systems": "published",
    "trainings": "published",
}  # where the script's option is called otherwise


@pytest.fixture(scope="module")
def inputs(script, records_file, ceilings_files, digits, tmp_path_factory) -> dict[str, list[Path]]:
    accuracy = tmp_path_factory.mktemp("accuracy") / "accuracy.csv"
    script("accuracy.py", "--digits", digits, "--shifts", 4, 8, 14, "--out", accuracy)
    single = {"records": records_file, "published": PUBLISHED, "operations": OPERATIONS}
    single |= {"accuracy": accuracy, "systems": SYSTEMS, "trainings": TRAININGS}
    single["curves"] = curves_file(tmp_path_factory.mktemp("curves"))
    return {key: [path] for key, path in single.items()} | {"ceilings": ceilings_files}


def curves_file(folder: Path) -> Path:
    """Two curves, as `zkbench train --compare` writes them."""
    points = [(run, 10 * k, 2.0 / (1 + k), 1 - 0.9 / (1 + k)) for run in RUNS for k in range(8)]
    names = ["run", "step", "train_loss", "test_accuracy"]
    pd.DataFrame(points, columns=names).to_csv(folder / "curves.csv", index=False)
    return folder / "curves.csv"


def words_of(name: str, inputs: dict[str, list[Path]]) -> list[object]:
    return [
        word for key in DRAWN_FROM[name] for word in (f"--{OPTIONS.get(key, key)}", *inputs[key])
    ]


@pytest.mark.parametrize("name", DRAWN_FROM)
def test_a_figure_is_drawn_as_pdf_and_png(script, inputs, tmp_path, name) -> None:
    script(f"figures/{name}.py", *words_of(name, inputs), "--out", tmp_path / name)
    assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    pixels = image.imread(tmp_path / f"{name}.png")
    assert pixels.shape[1] >= 1000
    assert np.mean(pixels[..., :3].min(axis=-1) < 0.9) > 0.01, "the figure is blank"


FROM_RECORDS = [name for name, keys in DRAWN_FROM.items() if "records" in keys]


@pytest.mark.parametrize("name", FROM_RECORDS)
def test_a_figure_is_drawn_from_what_one_machine_has(script, inputs, tmp_path, name) -> None:
    """No GPU, one size of each benchmark, one scheme."""
    some = [make_inferences()[0], make_sweep("tlookup", "cpu", 1e6)[0], make_matmuls("cpu", 1e9)[0]]
    some += [make_commitments("cpu", 1e6)[0], make_attentions("cpu", 1e6)[0]]
    some += [make_languages("cpu")[0], make_zkrelus("cpu", 1e6)[0], make_trainings("cpu")[0]]
    write_records(tmp_path / "records.jsonl", some)
    fewer = inputs | {"records": [tmp_path / "records.jsonl"], "ceilings": inputs["ceilings"][:1]}
    script(f"figures/{name}.py", *words_of(name, fewer), "--out", tmp_path / name)
    assert (tmp_path / f"{name}.png").exists()


@pytest.mark.parametrize("name", FROM_RECORDS)
def test_a_figure_without_its_records_says_so(command, inputs, tmp_path, name) -> None:
    write_records(tmp_path / "records.jsonl", [make_record("rescale", {"log_values": 20})])
    without = inputs | {"records": [tmp_path / "records.jsonl"]}
    words = words_of(name, without)
    done = command(f"experiments/figures/{name}.py", *words, "--out", tmp_path / name)
    assert done.returncode == 1
    assert done.stderr.startswith("there are no records of ")
    assert not (tmp_path / f"{name}.pdf").exists()


@pytest.mark.parametrize(
    ("target", "model", "expected"),
    [
        ("cuda", "", "H100 80GB"),
        ("cpu", "Intel(R) Xeon(R) Platinum 8480C", "Xeon Platinum 8480C, 2 threads"),
        ("cpu", "AMD EPYC 7413 24-Core Processor", "EPYC 7413, 2 threads"),
    ],
)
def test_a_machine_is_called_what_readers_call_it(style, target, model, expected) -> None:
    row = pd.Series(
        {
            "target": target,
            "gpu_name": "NVIDIA H100 80GB HBM3",
            "cpu_model": model,
            "cpu_threads": 2,
        }
    )
    assert style.machine_name(row) == expected


def test_machines_of_one_name_are_told_apart(style) -> None:
    columns = {"target": "cpu", "cpu_model": "Xeon", "cpu_threads": 2}
    rows = pd.DataFrame([columns | {"machine": "cpu-a-2c"}, columns | {"machine": "cpu-b-2c"}])
    names = [name for name, _ in style.by_machine(rows)]
    assert names == ["Xeon, 2 threads (cpu-a-2c)", "Xeon, 2 threads (cpu-b-2c)"]


def test_no_curves_are_not_drawn(command, tmp_path) -> None:
    path = tmp_path / "curves.csv"
    path.write_text("run,step,train_loss,test_accuracy\n")
    words = ("--curves", path, "--out", tmp_path / "curves")
    done = command("experiments/figures/training_curves.py", *words)
    assert done.returncode == 1
    assert done.stderr.startswith("there are no records of training curves")
