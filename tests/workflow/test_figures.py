"""Figures are drawn from records, in both formats, and never without data."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import image
from synthetic_records import make_record

from zkbench.bench.records import write_records

PUBLISHED = Path("results/published/protocols.csv")
DRAWN_FROM = {
    "proving_time": ("records",),
    "tlookup": ("records", "published"),
    "matmul": ("records",),
    "commitment": ("records", "published"),
    "accuracy": ("accuracy",),
}


@pytest.fixture(scope="module")
def inputs(script, records_file, digits, tmp_path_factory) -> dict[str, Path]:
    accuracy = tmp_path_factory.mktemp("accuracy") / "accuracy.csv"
    script("accuracy.py", "--digits", digits, "--shifts", 4, 8, 14, "--out", accuracy)
    return {"records": records_file, "published": PUBLISHED, "accuracy": accuracy}


@pytest.mark.parametrize("name", DRAWN_FROM)
def test_a_figure_is_drawn_as_pdf_and_png(script, inputs, tmp_path, name) -> None:
    arguments = [word for key in DRAWN_FROM[name] for word in (f"--{key}", inputs[key])]
    script(f"figures/{name}.py", *arguments, "--out", tmp_path / name)
    assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    pixels = image.imread(tmp_path / f"{name}.png")
    assert pixels.shape[1] >= 1000
    assert np.mean(pixels[..., :3].min(axis=-1) < 0.9) > 0.01, "the figure is blank"


def test_a_figure_without_data_is_not_drawn(command, tmp_path) -> None:
    records = tmp_path / "records.jsonl"
    write_records(records, [make_record("hadamard", {"log_values": 20})])
    arguments = ("--records", records, "--out", tmp_path / "matmul")
    done = command("experiments/figures/matmul.py", *arguments)
    assert done.returncode == 1
    assert "there are no records of matrix products to draw" in done.stderr
    assert not (tmp_path / "matmul.pdf").exists()


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
