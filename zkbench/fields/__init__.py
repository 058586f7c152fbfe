"""Finite fields: constants and a handful of scalar functions, once for both targets."""

from zkbench.fields.field import Arithmetic, Field
from zkbench.fields.goldilocks import GOLDILOCKS

FIELDS: dict[str, Field] = {GOLDILOCKS.name: GOLDILOCKS}

__all__ = ["FIELDS", "GOLDILOCKS", "Arithmetic", "Field"]
