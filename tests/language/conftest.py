"""One proof for each kind of model, which no test changes."""

from __future__ import annotations

from functools import cache

import pytest
from cases.checkpoints import KINDS
from language_inference_case import LanguageCase, tiny_case

_made = cache(tiny_case)


@pytest.fixture(params=list(KINDS))
def case(request) -> LanguageCase:
    return _made(request.param)


@pytest.fixture
def llama() -> LanguageCase:
    return _made("llama")


@pytest.fixture
def opt() -> LanguageCase:
    return _made("opt")
