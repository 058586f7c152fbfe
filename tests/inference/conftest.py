"""Cases that several files of malicious provers share."""

from __future__ import annotations

import pytest
from inference_case import Case


@pytest.fixture(scope="module", params=["three rows", "one row, one table"])
def case(request) -> Case:
    """Layer 0 is a stack of its own, layers 1 and 2 are one, the output is the third."""
    if request.param == "three rows":
        return Case.random(1)
    return Case.random(2, shift=16, batch=1)


@pytest.fixture(scope="module")
def wide_case() -> Case:
    return Case.random(1)
