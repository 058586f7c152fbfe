"""The command line, called as a user calls it, without a new process."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zkbench.cli import main
from zkbench.models.mlp import FloatMLP

DIMS = (4, 6, 6, 3)
BATCH = 5
COMMITMENT = "model/commitment.json"


@dataclass
class Outcome:
    """What a user sees."""

    code: int
    out: str
    err: str


def write_model(path: Path, seed: int = 0, dims: tuple[int, ...] = DIMS) -> FloatMLP:
    """A random model as PyTorch would write it."""
    rng = np.random.default_rng(seed)
    shapes = list(zip(dims[1:], dims, strict=False))
    model = FloatMLP([rng.normal(size=s) for s in shapes], [rng.normal(size=s[0]) for s in shapes])
    model.to_safetensors(path, np.float32)
    return model


def zkbench(*arguments: object) -> Outcome:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse's
            code = int(stop.code or 0)
    return Outcome(code, out.getvalue(), err.getvalue())


def commit(out: object = "new", **options: object) -> Outcome:
    return zkbench("commit", *_flags({"weights": "weights.safetensors", "out": out}, options))


def prove(**options: object) -> Outcome:
    defaults = {"model": "model", "input": "inputs.npy", "out": "p", "statement": "s"}
    return zkbench("prove", *_flags(defaults, options))


def verify(proof: object = "proof", **options: object) -> Outcome:
    defaults = {"statement": "statement.json", "commitment": COMMITMENT}
    return zkbench("verify", proof, *_flags(defaults, options))


def _flags(defaults: dict[str, object], options: dict[str, object]) -> list[object]:
    if "weights" in defaults:
        defaults = {**defaults, "calibration": "calibration.npy"}
    flags: list[object] = []
    for name, value in {**defaults, **options}.items():
        flag = f"--{name.replace('_', '-')}"
        flags += [flag] if value is True else [flag, value]
    return flags


def assign(*path: object):
    """An edit that sets the entry at ``path[:-1]`` to ``path[-1]``."""

    def edit(value):
        for key in path[:-2]:
            value = value[key]
        value[path[-2]] = path[-1]

    return edit


def places(value: object, path: tuple = ()):
    """The paths of all values inside a JSON value, at any depth."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


WRONG_VALUES = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    8.0,
    10**30,
    10**400,
    "",
    "x",
    "0" * 64,
    [],
    {},
    [[]],
]


def every_wrong_value(path: Path, verify) -> set[int]:
    """Exit codes of ``verify()`` with every value of a JSON file replaced by every wrong one.

    All are refusals or rejections, in one line.
    """
    original, codes = json.loads(path.read_text()), set()
    for place in places(original):
        for wrong in WRONG_VALUES:
            value = copy.deepcopy(original)
            assign(*place, wrong)(value)
            if json.dumps(value) == json.dumps(original):
                continue
            path.write_text(json.dumps(value))
            done = verify()
            codes.add(done.code)
            assert done.code in (1, 2), (place, wrong, done)
            if done.code == 2:
                refused(done, path.name)
            else:
                assert done.out.startswith("rejected: "), (place, wrong, done)
    path.write_text(json.dumps(original))
    return codes


def refused(outcome: Outcome, *words: str) -> None:
    """Exit code 2, one clear sentence on standard error and nothing on standard output."""
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    lines = outcome.err.splitlines()
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("zkbench "), lines
    assert "Traceback" not in outcome.err
    assert len(lines[0]) < 500, lines
    for word in words:
        assert word in lines[0], (word, lines[0])


def refused_by_argparse(outcome: Outcome, *words: str) -> None:
    """The same, below the usage."""
    assert outcome.code == 2, outcome
    assert outcome.err.startswith("usage: zkbench")
    for word in words:
        assert word in outcome.err.splitlines()[-1], outcome.err
