"""What lies about zkReLU by bits start from: an honest case, and the protocol's prover in steps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from cases.case import FIELD, changed
from cases.relu_bits import VALUE_BITS, ReluBitsCase, lifted
from definitions import Element, Point, mle

from zkbench.commitments.claims import Value
from zkbench.kernels.launch import Target
from zkbench.protocols.gkr import depth
from zkbench.protocols.square_sums import SquareStatement
from zkbench.protocols.sumcheck import Sumcheck, axes_at, split_point
from zkbench.protocols.zkrelu_bits import BitClaims, ZkReluBits

SHAPE, SHIFT = (2, 3), 3
LOW = VALUE_BITS - 1
SIGN, TOP_OF_LOW = SHIFT + LOW, SHIFT + LOW - 1  # planes of active, and of the highest bit of low
QUOTIENTS = (0, -3, 5, -1, 20_000, -(2**15))
REMAINDERS = (4, 0, 7, 1, 2, 3)
ZERO, MINUS_THREE, FIVE, MINUS_ONE, LARGE, LEAST = range(6)


@cache
def honest() -> ReluBitsCase:
    pairs = zip(QUOTIENTS, REMAINDERS, strict=True)
    accumulators = [(y << SHIFT) + rem - (1 << (SHIFT - 1)) for y, rem in pairs]
    return ReluBitsCase.of(accumulators, SHAPE, SHIFT)


def place(plane: int, entry: int) -> int:
    return plane * len(QUOTIENTS) + entry


def with_bits(case: ReluBitsCase, entry: int, changes: dict[int, int]) -> ReluBitsCase:
    """Some planes' values at an entry are larger by so much."""
    bits = case["bits"]
    for plane, by in changes.items():
        bits = changed(bits, place(plane, entry), by)
    return case.with_tensors(bits=bits)


def followed(case: ReluBitsCase) -> ReluBitsCase:
    """With the outputs, derivatives and quotients that follow from the entries of B, bits or not."""
    count = len(QUOTIENTS)
    planes = [case["bits"][k : k + count] for k in range(0, len(case["bits"]), count)]
    low = [sum(v << k for k, v in enumerate(row)) for row in zip(*planes[SHIFT:SIGN], strict=True)]
    active = planes[SIGN]
    return case.with_tensors(
        active=active,
        outputs=[a * b for a, b in zip(active, low, strict=True)],
        quotients=[b + (a << LOW) - (1 << LOW) for a, b in zip(active, low, strict=True)],
    )


@dataclass(frozen=True)
class Liar(ZkReluBits):
    """The protocol's prover in steps of which lies replace some."""

    def prove_bits(self, transcript: Any, target: Target, bits: Any) -> BitClaims:
        r = transcript.challenges("bits", depth(self.bits_shape))
        start = Value(tuple(split_point(r, self.bits_shape)), self.first_value(target, bits, r))
        transcript.send("bits", [start.value])
        table, axes = self.squared(bits), axes_at(self.bits_shape, r)
        point, _ = Sumcheck(FIELD).prove(transcript, SquareStatement(target, FIELD, table, axes))
        values = self.plane_values(target, bits, point)
        transcript.send("planes", values)
        return self._bit_claims(transcript, start, point, values)

    def first_value(self, target: Target, bits: Any, r: Point) -> Element:
        return self._at(target, bits, r)

    def squared(self, bits: Any) -> Any:
        return bits

    def plane_values(self, target: Target, bits: Any, point: Point) -> list[Element]:
        return [self._at(target, bits, point), self.sums_at(bits, point)]

    def sums_at(self, bits: Any, point: Point) -> Element:
        """T's extension, by the definition."""
        planes = bits.reshape(self.bits_shape[0], -1).tolist()
        numbers = [sum(v << k for k, v in enumerate(row)) for row in zip(*planes, strict=True)]
        return mle(lifted(numbers), self.shape, split_point(point, self.bits_shape)[1:])


def lying(case: ReluBitsCase, liar: type[ZkReluBits]) -> ReluBitsCase:
    """The case, whose prover runs another protocol."""

    class Lying(ReluBitsCase):
        @property
        def protocol(self) -> ZkReluBits:
            return liar(FIELD, self.shape, self.shift)

    return Lying(**vars(case))


class SumsOfSquares(Liar):
    """Says that B(r) is the sum that the squares of its entries have, so that the sumcheck is true."""

    def first_value(self, target: Target, bits: Any, r: Point) -> Element:
        return self._at(target, bits * bits, r)
