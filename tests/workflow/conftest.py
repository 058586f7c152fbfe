"""Scripts of the experiments, run as the workflow runs them."""

import importlib
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from synthetic_records import (
    make_attentions,
    make_ceilings,
    make_commitments,
    make_inferences,
    make_languages,
    make_matmuls,
    make_record,
    make_sweep,
    make_trainings,
    make_zkrelus,
)

from zkbench.bench.ceilings import write_ceilings
from zkbench.bench.records import Record, write_records

ROOT = Path(__file__).parents[2]
Script = Callable[..., None]
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def script() -> Script:
    """Run a script of experiments/ in this process, which saves the imports; it must succeed."""

    def run_script(name: str, *arguments: object) -> None:
        path = ROOT / "experiments" / name
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(ROOT)
            patch.syspath_prepend(path.parent)
            patch.setattr(sys, "argv", [str(path), *map(str, arguments)])
            try:
                runpy.run_path(str(path), run_name="__main__")
            except SystemExit as end:
                if end.code:
                    pytest.fail(f"{name} ended with {end.code}")

    return run_script


@pytest.fixture(scope="session")
def command() -> Command:
    """Run Python in a process of its own; the test looks at how it ends."""

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        return subprocess.run(
            [sys.executable, *map(str, words)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def records() -> list[Record]:
    """Records of a CPU and of a GPU, of every benchmark that is drawn."""
    made = [make_record("hadamard", {"log_values": 20})]
    for target, speed in (("cpu", 1), ("cuda", 200)):
        made += make_sweep("tlookup", target, 5e6 * speed)
        made += make_sweep("tlookup_inverses", target, 3e6 * speed)
        made += make_commitments(target, 8e6 * speed)
        made += make_sweep("relu", target, 2e6 * speed)
        made += make_matmuls(target, 5e9 * speed)
        made += make_inferences(target)
        made += make_attentions(target, 1e6 * speed)
        made += make_zkrelus(target, 1e6 * speed)
        made += make_languages(target)
        made += make_trainings(target)
    return made


@pytest.fixture(scope="session")
def records_file(records: list[Record], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("records") / "records.jsonl"
    write_records(path, records)
    return path


@pytest.fixture(scope="session")
def ceilings_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("ceilings")
    files = [folder / "ceilings-cpu.json", folder / "ceilings-cuda.json"]
    for path, target, speed in zip(files, ("cpu", "cuda"), (1, 200), strict=True):
        write_ceilings(path, make_ceilings(target, speed))
    return files


@pytest.fixture(scope="session")
def digits(script: Script, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that train_digits.py writes, after few epochs."""
    folder = tmp_path_factory.mktemp("digits")
    script("train_digits.py", "--out", folder, "--epochs", 20)
    return folder


@pytest.fixture
def formats(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module experiments/tables/formats.py."""
    monkeypatch.syspath_prepend(ROOT / "experiments/tables")
    return importlib.import_module("formats")


@pytest.fixture
def style(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module experiments/figures/style.py."""
    monkeypatch.syspath_prepend(ROOT / "experiments/figures")
    return importlib.import_module("style")
