"""The commitment schemes by the names under which they are written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zkbench.commitments.ligero import Ligero, ligero_from_json
from zkbench.commitments.whir import Whir, whir_from_json

Scheme = Ligero | Whir
DEFAULT = Whir()

_READERS: dict[str, Callable[[Any, type[Exception]], Scheme]] = {
    "ligero": ligero_from_json,
    "whir": whir_from_json,
}


def scheme_from_json(data: Any, error: type[Exception]) -> Scheme:
    """Read the ``to_json`` of any scheme; raises ``error`` for anything else."""
    name = data.get("scheme") if isinstance(data, dict) else None
    if not isinstance(name, str) or name not in _READERS:
        raise error("unknown commitment scheme")
    return _READERS[name](data, error)
