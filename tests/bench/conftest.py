"""A record as the runner makes it."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from synthetic_records import make_record


@pytest.fixture
def record() -> dict[str, Any]:
    return make_record()


@pytest.fixture
def altered(record: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    def alter(path: str, value: Any) -> dict[str, Any]:
        changed = copy.deepcopy(record)
        *outer, last = path.split(".")
        inner = changed
        for key in outer:
            inner = inner[key]
        inner[last] = value
        return changed

    return alter
