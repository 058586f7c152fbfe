"""The registry of microbenchmarks: `CASES[name](params, target, seed)` makes a `Case`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, TypeVar

from zkbench.bench.case import Case, CaseFactory
from zkbench.errors import UnusableInput

CASES: dict[str, CaseFactory] = {}

Factory = TypeVar("Factory", bound=CaseFactory)


class UnknownCase(UnusableInput):
    """The benchmark asked for is not registered."""


def register(name: str) -> Callable[[Factory], Factory]:
    """Register the decorated factory (a function or a class) as benchmark `name`.

    The factory must be importable from its module: the verifying process imports it there.
    """

    def add(factory: Factory) -> Factory:
        if name in CASES:
            raise ValueError(f"benchmark {name} is registered twice")
        CASES[name] = factory
        return factory

    return add


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
