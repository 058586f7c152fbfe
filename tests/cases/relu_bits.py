"""Cases of zkReLU by bits: its tensors in the clear, and claims on what follows from the bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from random import Random
from typing import Any

import numpy as np
from definitions import Element, eq_weights, outer, total

from cases.case import FIELD, Case, Shape, receive_integers, require_claim, send_integers
from zkbench.commitments.claims import AxisWeights, EqAxis, OnesAxis, VectorAxis
from zkbench.kernels.launch import Target
from zkbench.proof import ProofRejected
from zkbench.protocols.zkrelu_bits import ReluClaims, ZkReluBits
from zkbench.transcript import ProverTranscript, VerifierTranscript

TENSORS = ("accumulators", "bits", "outputs", "active", "quotients")
LIES = TENSORS[2:]
VALUE_BITS = 16
Weighted = tuple[AxisWeights, Element]


def tensors_of(accumulators: Sequence[int], shift: int) -> dict[str, tuple[int, ...]]:
    """By the definition, in Python integers; bits plane after plane."""
    half, length = 1 << (shift - 1), VALUE_BITS + shift
    quotients = [(acc + half) >> shift for acc in accumulators]
    numbers = [acc + half + (1 << (shift + VALUE_BITS - 1)) for acc in accumulators]
    return {
        "accumulators": tuple(accumulators),
        "bits": tuple((number >> k) & 1 for k in range(length) for number in numbers),
        "outputs": tuple(max(y, 0) for y in quotients),
        "active": tuple(int(y >= 0) for y in quotients),
        "quotients": tuple(quotients),
    }


def weights_of(weights: AxisWeights, shape: Shape) -> list[Element]:
    """The weight of every entry."""
    tables: list[Sequence[Element]] = []
    for axis, length in zip(weights.axes, shape, strict=True):
        if isinstance(axis, EqAxis):
            tables.append(eq_weights(axis.point)[:length])
        elif isinstance(axis, VectorAxis):
            assert len(axis.values) == length
            tables.append(axis.values)
        else:
            assert isinstance(axis, OnesAxis)
            tables.append([1] * length)
    return outer(tables)


def weighted_sum(weights: AxisWeights, tensor: Sequence[Element], shape: Shape) -> Element:
    pairs = zip(weights_of(weights, shape), tensor, strict=True)
    return total([w * v for w, v in pairs]) + FIELD.element(0)


@dataclass(frozen=True)
class ReluBitsCase(Case):
    """Two claims on outputs, two on derivatives, one on quotients, with weights of every kind.

    false: the tensor whose first claim is off by ``lie``.
    """

    name = "zkrelu_bits"
    shape: Shape = (1,)
    shift: int = 1
    tensors: tuple[tuple[str, tuple[int, ...]], ...] = ()
    false: str = "outputs"

    @classmethod
    def of(cls, accumulators: Sequence[int], shape: Shape, shift: int) -> ReluBitsCase:
        tensors = tensors_of(accumulators, shift)
        return cls(shape=shape, shift=shift, tensors=tuple(tensors.items()))

    @classmethod
    def random(cls, rng: Random, shape: Shape, shift: int = 1) -> ReluBitsCase:
        """Quotients and remainders of any size, among them those at the ends and around zero."""
        edge = 1 << (VALUE_BITS - 1)
        accumulators = []
        for _ in range(prod(shape)):
            y = rng.choice([-edge, edge - 1, -1, 0, 1, rng.randrange(-edge, edge)])
            remainder = rng.choice([0, (1 << shift) - 1, rng.randrange(1 << shift)])
            accumulators.append((y << shift) + remainder - (1 << (shift - 1)))
        return cls.of(accumulators, shape, shift)

    def __getitem__(self, name: str) -> tuple[int, ...]:
        return dict(self.tensors)[name]

    def with_tensors(self, **changes: Sequence[int]) -> Any:
        tensors = {**dict(self.tensors), **{k: tuple(v) for k, v in changes.items()}}
        return replace(self, tensors=tuple(tensors.items()))

    def false_statements(self) -> list[Case]:
        return [replace(self, lie=1, false=name) for name in LIES]

    @property
    def protocol(self) -> ZkReluBits:
        """Malicious provers have another."""
        return ZkReluBits(FIELD, self.shape, self.shift)

    def _shape_of(self, name: str) -> Shape:
        return self.protocol.bits_shape if name == "bits" else self.shape

    def _draw_weights(self, transcript: Any) -> tuple[AxisWeights, AxisWeights]:
        """A point, and explicit weights on the first axis with the last one summed."""
        points = [transcript.challenges("point", (n - 1).bit_length()) for n in self.shape]
        vector = VectorAxis(tuple(transcript.challenges("vector", self.shape[0])))
        mixed: list[Any] = [vector, *(EqAxis(tuple(point)) for point in points[1:])]
        if len(mixed) > 1:
            mixed[-1] = OnesAxis()
        return AxisWeights.at(points), AxisWeights(tuple(mixed))

    def _claims(self, transcript: Any, tensors: dict[str, list[Element]]) -> ReluClaims:
        """As the tensors that were sent have it, but for the lie."""
        claims: dict[str, list[Weighted]] = {}
        for name in LIES:
            weights = self._draw_weights(transcript)
            values = [weighted_sum(w, tensors[name], self.shape) for w in weights]
            values[0] = values[0] + self.lie * (name == self.false)
            claims[name] = list(zip(weights, values, strict=True))
        return ReluClaims(claims["outputs"], claims["active"], claims["quotients"][:1])

    def prove(self, transcript: ProverTranscript, target: Target) -> Any:
        for name, values in self.tensors:
            send_integers(transcript, name, values)
        claims = self._claims(transcript, {n: lifted(values) for n, values in self.tensors})
        bits = target.to_device(np.array(self["bits"], dtype=np.int8))
        return self.protocol.prove(transcript, target, bits, claims)

    def verify(self, transcript: VerifierTranscript) -> Any:
        tensors = {
            name: receive_integers(transcript, name, prod(self._shape_of(name))) for name in TENSORS
        }
        found = self.protocol.verify(transcript, self._claims(transcript, tensors))
        require_claim(found.accumulators, tensors["accumulators"], self.shape, "the accumulators")
        for weights, value in found.bits:
            if weighted_sum(weights, tensors["bits"], self._shape_of("bits")) != value:
                raise ProofRejected("a claim on the bits is false")
        return found


def lifted(values: Sequence[int]) -> list[Element]:
    return [FIELD.element(value % FIELD.modulus) for value in values]
