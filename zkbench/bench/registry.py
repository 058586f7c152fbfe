"""Where microbenchmarks register. `zkbench.bench.cases` is the registry once it is filled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from zkbench.bench.case import CaseFactory

CASES: dict[str, CaseFactory] = {}

Factory = TypeVar("Factory", bound=CaseFactory)


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
