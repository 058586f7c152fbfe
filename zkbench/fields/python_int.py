"""The definition of a field in Python integers: slow, obvious, and what every kernel is tested against.

Verifiers compute with these elements too: they are exact, and they run anywhere.
"""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar


class QuadraticElement:
    """An element ``c0 + c1 X`` of F_p[X]/(X^2 - nonresidue), in canonical form, immutable.

    Integers take part in ``+ - *`` and ``==`` as elements of the base field.
    """

    __slots__ = ("c0", "c1")
    modulus: ClassVar[int]
    nonresidue: ClassVar[int]
    degree: ClassVar[int] = 2

    def __init__(self, c0: int = 0, c1: int = 0) -> None:
        self.c0 = c0 % self.modulus
        self.c1 = c1 % self.modulus

    @property
    def coefficients(self) -> tuple[int, int]:
        return self.c0, self.c1

    def __add__(self, other: Any) -> QuadraticElement:
        if isinstance(other, QuadraticElement):
            return type(self)(self.c0 + other.c0, self.c1 + other.c1)
        return type(self)(self.c0 + other, self.c1)

    __radd__ = __add__

    def __neg__(self) -> QuadraticElement:
        return type(self)(-self.c0, -self.c1)

    def __sub__(self, other: Any) -> QuadraticElement:
        if isinstance(other, QuadraticElement):
            return type(self)(self.c0 - other.c0, self.c1 - other.c1)
        return type(self)(self.c0 - other, self.c1)

    def __rsub__(self, other: int) -> QuadraticElement:
        return type(self)(other - self.c0, -self.c1)

    def __mul__(self, other: Any) -> QuadraticElement:
        if not isinstance(other, QuadraticElement):
            return type(self)(self.c0 * other, self.c1 * other)
        a0, a1, b0, b1 = self.c0, self.c1, other.c0, other.c1
        return type(self)(a0 * b0 + self.nonresidue * a1 * b1, a0 * b1 + a1 * b0)

    __rmul__ = __mul__

    def inverse(self) -> QuadraticElement:
        """1 / self; raises ZeroDivisionError for zero."""
        norm = (self.c0 * self.c0 - self.nonresidue * self.c1 * self.c1) % self.modulus
        if norm == 0:
            raise ZeroDivisionError("zero has no inverse")
        scale = pow(norm, -1, self.modulus)
        return type(self)(self.c0 * scale, -self.c1 * scale)

    def __truediv__(self, other: Any) -> QuadraticElement:
        divisor = other if isinstance(other, QuadraticElement) else type(self)(other)
        return self * divisor.inverse()

    def __pow__(self, exponent: int) -> QuadraticElement:
        result, base = type(self)(1), self
        while exponent:
            if exponent & 1:
                result = result * base
            base, exponent = base * base, exponent >> 1
        return result

    def __eq__(self, other: object) -> bool:
        if isinstance(other, int):
            return self.c1 == 0 and self.c0 == other % self.modulus
        if not isinstance(other, QuadraticElement):
            return NotImplemented
        return self.c0 == other.c0 and self.c1 == other.c1

    def __hash__(self) -> int:
        return hash((self.c0, self.c1))

    def __repr__(self) -> str:
        return f"({self.c0} + {self.c1} X)"


@cache
def quadratic_extension(modulus: int, nonresidue: int) -> type[QuadraticElement]:
    """The class of elements of F_p[X]/(X^2 - nonresidue)."""
    constants = {"__slots__": (), "modulus": modulus, "nonresidue": nonresidue}
    return type("QuadraticElement", (QuadraticElement,), constants)
