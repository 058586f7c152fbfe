"""Two proven runs, which no test changes."""

from __future__ import annotations

import pytest
from training_run import RunCase, begin


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory) -> RunCase:
    return RunCase.of(begin(tmp_path_factory.mktemp("run") / "run"))


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> RunCase:
    """The same rule, data and order of batches, from other weights."""
    return RunCase.of(begin(tmp_path_factory.mktemp("other") / "run", state_seed=11))
