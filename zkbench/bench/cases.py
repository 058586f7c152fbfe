"""The registry of microbenchmarks: `CASES[name](params, target, seed)` makes a `Case`."""

from __future__ import annotations

import importlib
from typing import Any

import zkbench.bench.microbenchmarks  # noqa: F401 - registers the suite's own
from zkbench.bench.case import Case
from zkbench.bench.registry import CASES, register
from zkbench.errors import UnusableInput

__all__ = ["CASES", "UnknownCase", "make_case", "make_case_from", "register"]


class UnknownCase(UnusableInput):
    """The benchmark asked for is not registered."""


def make_case(name: str, params: dict[str, Any], target: str, seed: int) -> Case:
    """Make the case; raises `UnknownCase` naming the registered benchmarks."""
    if name not in CASES:
        known = ", ".join(sorted(CASES)) or "none"
        raise UnknownCase(f"there is no benchmark {name!r}; registered: {known}")
    return CASES[name](params, target, seed)


def make_case_from(module: str, name: str, params: dict[str, Any], target: str, seed: int) -> Case:
    """Make the case after importing `module`, which registers it."""
    importlib.import_module(module)
    return make_case(name, params, target, seed)
