"""The commitment schemes by the names under which they are written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import ceil
from typing import Any

from zkbench.commitments.ligero import Ligero, ligero_from_json
from zkbench.commitments.proximity import Radius
from zkbench.commitments.whir import Whir, whir_from_json

Scheme = Ligero | Whir
DEFAULT = Whir()

_READERS: dict[str, Callable[[Any, type[Exception]], Scheme]] = {
    "ligero": ligero_from_json,
    "whir": whir_from_json,
}


def strengthened(scheme: Scheme, bits: int) -> Scheme:
    """The scheme with openings that err with so much smaller a probability: for many in one proof."""
    if isinstance(scheme, Whir):
        return replace(scheme, security_bits=scheme.security_bits + bits)
    more = ceil(bits / Radius(scheme.log_inv_rate).bits_a_query)
    return replace(scheme, queries=scheme.queries + more)


def with_codes_of(scheme: Scheme, committed: Scheme) -> Scheme:
    """The scheme, opening what was committed with another one that differs in its strength alone.

    The code with the smallest proof is not the same for all strengths.
    """
    return replace(scheme, code_of=committed)


def scheme_from_json(data: Any, error: type[Exception]) -> Scheme:
    """Read the ``to_json`` of any scheme; raises ``error`` for anything else."""
    name = data.get("scheme") if isinstance(data, dict) else None
    if not isinstance(name, str) or name not in _READERS:
        raise error("unknown commitment scheme")
    return _READERS[name](data, error)
