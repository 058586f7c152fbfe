"""JSON Schema validation with errors of one clear sentence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from zkbench.errors import UnusableInput

HERE = Path(__file__).parent


@cache
def packaged_validator(name: str) -> Draft202012Validator:
    """Return the validator of a schema that ships with this package."""
    return Draft202012Validator(json.loads((HERE / name).read_text()))


def check_against(schema: Path, instance: Any, name: str) -> None:
    """Raise `UnusableInput` with one sentence unless `instance` fits the schema in that file."""
    if error := first_error(Draft202012Validator(json.loads(schema.read_text())), instance):
        raise UnusableInput(f"{name}: {error}")


def first_error(validator: Draft202012Validator, instance: Any) -> str | None:
    """Return what is wrong with `instance`, unknown keys first; None if nothing is."""
    errors = list(validator.iter_errors(instance))
    unknown = [sentence for error in errors if (sentence := _unknown_keys(error))]
    if unknown:
        return unknown[0]
    worst = best_match(errors)
    return None if worst is None else f"{_place(worst.absolute_path)}: {worst.message}"


def _unknown_keys(error: ValidationError) -> str | None:
    if error.validator != "additionalProperties" or error.validator_value is not False:
        return None
    schema: Any = error.schema  # an object's own schema, since it limits its properties
    instance: Any = error.instance
    known = sorted(schema.get("properties", {}))
    unknown = ", ".join(sorted(set(instance) - set(known)))
    return f"unknown key {unknown} in {_place(error.absolute_path)}; known: {', '.join(known)}"


def _place(path: Sequence[str | int]) -> str:
    return ".".join(str(step) for step in path) or "top level"
