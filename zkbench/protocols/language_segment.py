"""Some of a language model's layers, proven alone, and what joins them to those before and behind.

Between two segments stands a committed tensor, what the next layer reads, S x D. With norms first it is
the residual stream, a 32-bit integer in two halves, high * 2^16 + low; with norms behind the sums it is
what the last norm put out, 16 bits. The segment before shows, at a random point, that the committed
tensor is what its layers lead to; the segment behind begins with it. So it is this very sum, as an
element of F_p, whatever its halves are, and nobody need check their range.
"""

from __future__ import annotations

from dataclasses import dataclass

from zkbench.commitments.claims import AxisWeight, AxisWeights, VectorAxis
from zkbench.fields import Field
from zkbench.protocols.gkr import Shape
from zkbench.protocols.program import Element, Run
from zkbench.protocols.residual import Weighted
from zkbench.protocols.scripted import (
    Part,
    Scripted,
    entries,
    random_point,
    random_point_term,
    told,
)
from zkbench.security import Term

BEHIND = "behind"  # the virtual tensor that a segment leads to, 1 x S x D


@dataclass(frozen=True)
class Segment:
    """Layers ``first`` to ``stop`` - 1 of ``depth``."""

    first: int
    stop: int
    depth: int

    def __post_init__(self) -> None:
        if not 0 <= self.first < self.stop <= self.depth:
            raise ValueError(f"layers {self.first} to {self.stop} of {self.depth}")

    @property
    def layers(self) -> range:
        return range(self.first, self.stop)

    @property
    def size(self) -> int:
        return self.stop - self.first

    @property
    def begins(self) -> bool:
        """Whether the model begins here."""
        return self.first == 0

    @property
    def ends(self) -> bool:
        return self.stop == self.depth

    @property
    def is_whole(self) -> bool:
        return self.begins and self.ends

    def weights(self, stack: str) -> str:
        """The name of these layers' part of a committed stack, which is virtual unless it is all."""
        return stack if self.is_whole else f"segment.{stack}"


@dataclass(frozen=True)
class Boundary:
    """The committed tensor before ("first") or behind ("last") a segment: its halves, or itself."""

    when: str
    positions: int
    width: int
    in_halves: bool

    @property
    def limbs(self) -> dict[str, int]:
        """Names, and the powers of two that they are multiplied with."""
        if not self.in_halves:
            return {f"{self.when}.stream": 0}
        return {f"{self.when}.high": 16, f"{self.when}.low": 0}

    @property
    def shape(self) -> Shape:
        return (self.positions, self.width)

    @property
    def shapes(self) -> dict[str, Shape]:
        """Names and shapes of what is committed."""
        return dict.fromkeys(self.limbs, self.shape)

    @property
    def unsigned(self) -> list[str]:
        """Those of them that are unsigned 16-bit integers."""
        return [name for name in self.limbs if name.endswith(".low")]

    # As what a stream begins with (residual.py).

    @property
    def shifts(self) -> list[int]:
        return list(self.limbs.values())

    def parts(
        self, field: Field, total: Element, rows: AxisWeight, at_width: AxisWeight
    ) -> list[Weighted]:
        """The limbs, with the weights ``total`` x rows x width of the tensor."""
        scaled = [total * w for w in entries(field, rows, self.positions)]
        return [
            (name, AxisWeights((VectorAxis(tuple(w * (1 << shift) for w in scaled)), at_width)))
            for name, shift in self.limbs.items()
        ]


@dataclass(frozen=True)
class Leads(Scripted):
    """The committed ``boundary`` is the virtual tensor ``BEHIND``: shown at a random point."""

    boundary: Boundary

    def script(self, run: Run) -> None:
        shape, limbs = self.boundary.shape, self.boundary.limbs
        point = random_point(run, (1, *shape))
        inner = AxisWeights(point.axes[1:])
        values = told(run, "boundary", [Part(name, shape, inner) for name in limbs])
        total = run.field.element(0)
        for (name, shift), value in zip(limbs.items(), values, strict=True):
            run.ledger.add(name, inner, value)
            total = total + value * (1 << shift)
        run.ledger.add(BEHIND, point, total)

    def soundness_terms(self, field: Field) -> list[Term]:
        return [random_point_term(field, "boundary of segments", self.boundary.shape)]
