"""Powers of an element of F."""

from __future__ import annotations

from functools import cache
from typing import Any

from zkbench.fields import Field
from zkbench.jit import device


@cache
def power_function(field: Field) -> Any:
    """(x, exponent) -> x^exponent, by squaring."""
    one, mul = field.base.one, field.base.mul

    @device(f"powers.power.{field.name}")
    def power(x, exponent):
        result = one()
        while exponent > 0:
            if exponent & 1:
                result = mul(result, x)
            x = mul(x, x)
            exponent >>= 1
        return result

    return power
