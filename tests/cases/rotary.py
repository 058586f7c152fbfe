"""Cases of rotary embedding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from math import prod
from random import Random
from typing import Any

import numpy as np
from definitions import mle

from cases.case import (
    FIELD,
    Case,
    Shape,
    draw_points,
    receive_integers,
    require_claim,
    send_integers,
)
from cases.products import random_int16
from zkbench.commitments.claims import Value
from zkbench.kernels.launch import Target
from zkbench.protocols.rotary import Rotary
from zkbench.protocols.rotary_tables import RotaryTables
from zkbench.transcript import ProverTranscript, VerifierTranscript

Angles = tuple[tuple[int, ...], tuple[int, ...]]  # cosines and sines, positions x half


def true_angles(shape: Shape, theta: float = 10000.0) -> Angles:
    """Those of a model."""
    tables = RotaryTables.of(shape[1] * shape[2], shape[4] // 2, theta)
    return tuple(tables.cos.reshape(-1).tolist()), tuple(tables.sin.reshape(-1).tolist())


def rotated(x: tuple[int, ...], angles: Angles, shape: Shape) -> tuple[int, ...]:
    """The definition, entry by entry."""
    width, half = shape[4], shape[4] // 2
    cos, sin = angles
    result = []
    for layer, block, i, head, d in product(*map(range, shape)):
        position = block * shape[2] + i
        start = (((layer * shape[1] + block) * shape[2] + i) * shape[3] + head) * width
        angle = position * half + d % half
        if d < half:
            result.append(cos[angle] * x[start + d] - sin[angle] * x[start + d + half])
        else:
            result.append(cos[angle] * x[start + d] + sin[angle] * x[start + d - half])
    return tuple(result)


def random_rotary_shape(rng: Random) -> Shape:
    """layers, blocks, B, heads, W."""
    while True:
        shape = (*(rng.choice([1, 2, 3, 4, 5]) for _ in range(4)), rng.choice([2, 4, 6, 8, 10]))
        if prod(shape) <= 120:
            return shape


@dataclass(frozen=True)
class RotaryCase(Case):
    """``angles`` are the statement's; malicious provers rotate by ``used``."""

    name = "rotary"
    shape: Shape = (1, 1, 1, 1, 2)
    angles: Angles = ((1,), (0,))
    x: tuple[int, ...] = ()
    result: tuple[int, ...] = ()
    used: Angles | None = None

    @classmethod
    def random(cls, rng: Random, shape: Shape, angles: Angles | None = None) -> RotaryCase:
        """With the angles of a model, or others: any integers of 16 bits do."""
        angles = angles or true_angles(shape)
        x = random_int16(rng, prod(shape))
        return cls(shape=shape, angles=angles, x=x, result=rotated(x, angles, shape))

    @classmethod
    def with_random_tables(cls, rng: Random, shape: Shape) -> RotaryCase:
        count = shape[1] * shape[2] * shape[4] // 2
        return cls.random(rng, shape, (random_int16(rng, count), random_int16(rng, count)))

    def tables(self, angles: Angles) -> RotaryTables:
        size = (self.shape[1] * self.shape[2], self.shape[4] // 2)
        return RotaryTables(*(np.array(t, dtype=np.int16).reshape(size) for t in angles))

    def prove(self, transcript: ProverTranscript, target: Target) -> Any:
        for label in ("x", "result"):
            send_integers(transcript, label, getattr(self, label))
        points = draw_points(transcript, self.shape)
        result = [FIELD.element(a) for a in self.result]
        claim = Value(points, mle(result, self.shape, points))
        x = target.to_device(np.array(self.x, dtype=np.int16))
        tables = self.tables(self.used or self.angles)
        return Rotary(FIELD, self.shape).prove(transcript, target, x, tables, claim)

    def verify(self, transcript: VerifierTranscript) -> Any:
        x, result = (
            receive_integers(transcript, label, prod(self.shape)) for label in ("x", "result")
        )
        points = draw_points(transcript, self.shape)
        claim = Value(points, mle(result, self.shape, points) + self.lie)
        on_x = Rotary(FIELD, self.shape).verify(transcript, self.tables(self.angles), claim)
        require_claim(on_x, x, self.shape, "x")
        return on_x

    def false_statements(self) -> list[Case]:
        """Another value, and every cosine of the tables another one."""
        cos, sin = self.angles
        return [*super().false_statements(), replace(self, angles=(tuple(c - 1 for c in cos), sin))]
