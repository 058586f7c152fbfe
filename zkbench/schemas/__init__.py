"""JSON schemas of the public files, and their check."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema
from referencing import Registry, Resource

from zkbench.errors import UnusableInput


@cache
def _validator(name: str) -> Any:
    text = files(__name__).joinpath(f"{name}.schema.json").read_text("utf-8")
    checker = _Base.TYPE_CHECKER.redefine("integer", _is_integer)
    validator = jsonschema.validators.extend(_Base, type_checker=checker)
    registry: Any = Registry(retrieve=_schema)  # type: ignore[call-arg]
    return validator(json.loads(text), registry=registry)


def _schema(name: str) -> Any:
    """Another schema that one refers to."""
    return Resource.from_contents(json.loads(files(__name__).joinpath(name).read_text("utf-8")))


_Base = jsonschema.Draft202012Validator


def _is_integer(_: Any, value: Any) -> bool:
    """JSON Schema takes 8.0 for an integer; what computes with it does not."""
    return type(value) is int


def check(name: str, value: Any, what: str) -> None:
    """Raise UnusableInput, naming ``what`` and the place, unless the value fits the schema."""
    expected = _validator(name).schema["properties"]["format"]["const"]
    if not isinstance(value, dict) or value.get("format") != expected:
        raise UnusableInput(f"{what} is not a {expected}")
    error = jsonschema.exceptions.best_match(_validator(name).iter_errors(value))
    if error is not None:
        place = "".join(f"[{part!r}]" for part in error.absolute_path)
        reason = error.message if len(error.message) < 200 else error.message[:200] + " ..."
        raise UnusableInput(f"{what} is malformed{' at ' + place if place else ''}: {reason}")
