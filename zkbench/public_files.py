"""Public commitments and statements of every kind of model, read from files."""

from __future__ import annotations

import os
from typing import Any

from zkbench.errors import UnusableInput, malformed
from zkbench.files import PathLike, read_json
from zkbench.language_statement import LanguageCommitment, LanguageStatement
from zkbench.statement import ModelCommitment, Statement
from zkbench.training_statement import TrainingCommitment, TrainingStatement

AnyCommitment = ModelCommitment | LanguageCommitment | TrainingCommitment
AnyStatement = Statement | LanguageStatement | TrainingStatement

_COMMITMENTS: dict[str, type[AnyCommitment]] = {
    "mlp": ModelCommitment,
    "language": LanguageCommitment,
    "mlp-training": TrainingCommitment,
}
_STATEMENTS: dict[str, type[AnyStatement]] = {
    "mlp-inference": Statement,
    "language-inference": LanguageStatement,
    "mlp-training": TrainingStatement,
}


def read_any_commitment(path: PathLike) -> AnyCommitment:
    """The public commitment to a model of any kind; raises UnusableInput for anything else."""
    return _read(path, "zkbench model commitment", _COMMITMENTS)


def read_any_statement(path: PathLike) -> AnyStatement:
    """A statement about a model of any kind; raises UnusableInput for anything else."""
    return _read(path, "zkbench statement", _STATEMENTS)


def _read(path: PathLike, expected: str, kinds: dict[str, Any]) -> Any:
    data, what = read_json(path), os.fspath(path)
    if not isinstance(data, dict) or data.get("format") != expected:
        raise UnusableInput(f"{what} is not a {expected}")
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        raise malformed(what)(f"its kind is none of {', '.join(kinds)}")
    return kinds[kind].from_json(data, what)
