"""Ceilings: what is timed is what is counted, and a record keeps all samples."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from targets import EACH_TARGET, get_target

from zkbench.bench import ceilings, ceilings_command
from zkbench.bench.ceilings import (
    Sizes,
    ceilings_record,
    measure_ceilings,
    rates,
    read_ceilings,
    write_ceilings,
)
from zkbench.bench.records import RecordError
from zkbench.errors import UnusableInput
from zkbench.kernels.launch import CpuTarget, cpu_target

SMALL = Sizes(elements=40, items=3, times=64)
AMOUNTS = {
    "copy": 40 * 32,  # bytes
    "read": 40 * 16,
    "multiply": 3 * 4 * 64,
    "butterfly": 3 * 4 * 64,
    "e_multiply": 3 * 4 * 16,
    "e_multiply_add": 3 * 32,
    "compression": 3 * 2,
}


@EACH_TARGET
def test_every_kernel_does_what_it_is_measured_for_vs_python_int(target_name: str) -> None:
    """``measure_ceilings`` compares what the kernels leave."""
    measured = measure_ceilings(get_target(target_name), SMALL, repeats=3)
    assert {name: one["amount"] for name, one in measured.items()} == AMOUNTS
    assert all(len(one["seconds"]) == 3 for one in measured.values())


class Idle(CpuTarget):
    """Runs nothing."""

    def map(self, kernel, n, *args, grain=0) -> None:  # type: ignore[no-untyped-def]
        """Leave the output as it is."""

    def reduce(self, kernel, n, *args):  # type: ignore[no-untyped-def]
        return np.zeros(kernel.width * kernel.ring.limbs, dtype=np.uint64)


@pytest.mark.parametrize("name", AMOUNTS)
def test_a_kernel_that_does_nothing_is_not_measured(name: str) -> None:
    measurement = ceilings._Bench(Idle(1), SMALL).measurements[name]()
    measurement.launch()
    with pytest.raises(RuntimeError, match="computed something else than it was measured for"):
        measurement.check()


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    record = ceilings_record(cpu_target(), SMALL, repeats=3)
    write_ceilings(tmp_path / "new" / "c.json", record)
    assert read_ceilings(tmp_path / "new" / "c.json") == record
    seconds = record["ceilings"]["copy"]["seconds"]
    assert rates(record)["copy"] == 40 * 32 / np.median(seconds)


def test_anything_else_is_refused_naming_the_file(tmp_path: Path) -> None:
    record = ceilings_record(cpu_target(), SMALL, repeats=1)
    record["ceilings"]["copy"]["seconds"] = []
    (tmp_path / "c.json").write_text(json.dumps(record))
    with pytest.raises(RecordError, match=r"c\.json: ceilings\.copy\.seconds"):
        read_ceilings(tmp_path / "c.json")


def test_no_repeats_are_refused() -> None:
    parser = argparse.ArgumentParser()
    ceilings_command.add_arguments(parser)
    with pytest.raises(UnusableInput, match="at least one repeat is needed, not 0"):
        ceilings_command.run(parser.parse_args(["--target", "cpu", "--repeats", "0"]))


def test_the_command_writes_and_prints(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(ceilings.SIZES, "cpu", SMALL)
    parser = argparse.ArgumentParser()
    ceilings_command.add_arguments(parser)
    out = tmp_path / "c.json"
    words = ["--target", "cpu", "--repeats", "2", "--out", str(out)]
    assert ceilings_command.run(parser.parse_args(words)) == 0
    text = capsys.readouterr().out
    assert [line.split()[0] for line in text.splitlines()[1:]] == list(AMOUNTS)
    assert read_ceilings(out)["target"] == "cpu"
