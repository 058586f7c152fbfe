"""Range checks of many operators in one batch of lookups: those of equal size share a table.

Operators name the tensors that they need in a range; a proof collects all of them, makes the lookups,
and hands each operator the claims that it asked for. Nothing is proven here (protocols/tlookup.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zkbench.commitments.claims import AxisWeights, Claim, Value
from zkbench.kernels.launch import Array
from zkbench.protocols.gkr import Shape
from zkbench.protocols.tlookup import Lookup, LookupClaims


@dataclass(frozen=True)
class RangeCheck:
    """Every entry of the tensor ``name``, plus ``offset``, is in [0, size), size a power of two.

    is_last: nothing reads the tensor after its lookup, so that a prover can let go of it.
    """

    name: str
    size: int
    shape: Shape
    offset: int = 0
    is_last: bool = False


@dataclass(frozen=True)
class RangeChecks:
    """Checks with different names, as lookups: one for each size, the smallest first."""

    checks: tuple[RangeCheck, ...]

    @property
    def sizes(self) -> list[int]:
        return sorted({check.size for check in self.checks})

    def _of_size(self, size: int) -> list[RangeCheck]:
        return [check for check in self.checks if check.size == size]

    @property
    def lookups(self) -> tuple[Lookup, ...]:
        return tuple(self._lookup(size) for size in self.sizes)

    def _lookup(self, size: int) -> Lookup:
        checks = self._of_size(size)
        return Lookup(size, tuple(c.shape for c in checks), tuple(c.offset for c in checks))

    @property
    def counts(self) -> dict[str, Shape]:
        """Names and shapes of the lookups' multiplicities, which the prover commits to."""
        return {f"counts{size}": (size,) for size in self.sizes}

    def at(self, lookup: int, looker: int) -> RangeCheck:
        """The check that is a looker of ``lookups``."""
        return self._of_size(self.sizes[lookup])[looker]

    def lookers(self, tensors: Mapping[str, Array]) -> list[list[Array]]:
        """The tensors in the order of the lookups."""
        return [[tensors[check.name] for check in self._of_size(size)] for size in self.sizes]

    def values(self, claims: Sequence[LookupClaims]) -> dict[str, Value]:
        """The claim on each tensor, by its name."""
        return {
            check.name: value
            for size, claim in zip(self.sizes, claims, strict=True)
            for check, value in zip(self._of_size(size), claim.lookers, strict=True)
        }

    def on_counts(self, claims: Sequence[LookupClaims]) -> list[Claim]:
        """The claims on the multiplicities."""
        return [
            Claim(name, AxisWeights.at(claim.multiplicities.point), claim.multiplicities.value)
            for name, claim in zip(self.counts, claims, strict=True)
        ]
