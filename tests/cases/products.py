"""Cases of sumcheck, Hadamard products, matrix products and linear layers."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from random import Random
from typing import Any

import numpy as np
from definitions import Element, matrix_products, mle, random_elements, split

from cases.case import (
    FIELD,
    Case,
    Shape,
    draw_points,
    entrywise_product,
    pack_all,
    receive_integers,
    require_claim,
    send_integers,
    weighted,
)
from zkbench.kernels.launch import Target
from zkbench.proof import ProofRejected
from zkbench.protocols.hadamard import Hadamard
from zkbench.protocols.linear import Linear
from zkbench.protocols.matmul import MatMul, axes_of
from zkbench.protocols.sumcheck import Axis, ProductStatement, Statement, Sumcheck
from zkbench.protocols.tlookup import Value
from zkbench.transcript import ProverTranscript, VerifierTranscript

INT16 = (-(2**15), 2**15 - 1)


def random_int16(rng: Random, count: int) -> tuple[int, ...]:
    """Uniform ones, and both ends of the range."""
    return tuple(rng.choice([*INT16, rng.randint(*INT16)]) for _ in range(count))


@dataclass(frozen=True)
class SumcheckCase(Case):
    """sum over entries of eq(w, .) times the product of the tables; some axes summed plainly."""

    name = "sumcheck"
    shape: Shape = (1,)
    summed: tuple[bool, ...] = (False,)
    tables: tuple[tuple[Element, ...], ...] = ()

    @classmethod
    def random(
        cls, rng: Random, shape: Shape, degree: int = 2, summed: tuple[bool, ...] | None = None
    ) -> SumcheckCase:
        tables = tuple(tuple(random_elements(FIELD, rng, prod(shape))) for _ in range(degree))
        return cls(shape=shape, summed=summed or (False,) * len(shape), tables=tables)

    def _points(self, transcript: Any) -> list[Any]:
        points = draw_points(transcript, self.shape)
        return [None if s else p for s, p in zip(self.summed, points, strict=True)]

    def _axes(self, points: list[Any]) -> list[Axis]:
        return [Axis(n, p) for n, p in zip(self.shape, points, strict=True)]

    def statement(self, target: Target, points: list[Any]) -> Statement:
        return ProductStatement(target, FIELD, pack_all(target, self.tables), self._axes(points))

    def prove(self, transcript: ProverTranscript, target: Target) -> Any:
        for table in self.tables:
            transcript.send("table", table)
        statement = self.statement(target, self._points(transcript))
        point, values = Sumcheck(FIELD, len(self.tables)).prove(transcript, statement)
        return point, prod(values, start=FIELD.element(1))

    def verify(self, transcript: VerifierTranscript) -> Any:
        tables = [transcript.receive("table", prod(self.shape)) for _ in self.tables]
        points = self._points(transcript)
        claim = weighted(entrywise_product(tables), self.shape, points) + self.lie
        sumcheck = Sumcheck(FIELD, len(tables))
        point, final = sumcheck.verify(transcript, claim, self._axes(points))
        at = split(point, self.shape)
        if prod([mle(t, self.shape, at) for t in tables], start=FIELD.element(1)) != final:
            raise ProofRejected("the tables' values are not the sumcheck's")
        return point, final


@dataclass(frozen=True)
class HadamardCase(Case):
    """C is the entrywise product of its factors."""

    name = "hadamard"
    shape: Shape = (1,)
    tables: tuple[tuple[Element, ...], ...] = ()
    result: tuple[Element, ...] = ()

    @classmethod
    def random(cls, rng: Random, shape: Shape, factors: int = 2) -> HadamardCase:
        tables = tuple(tuple(random_elements(FIELD, rng, prod(shape))) for _ in range(factors))
        return cls(shape=shape, tables=tables, result=tuple(entrywise_product(tables)))

    def prove(self, transcript: ProverTranscript, target: Target) -> Any:
        for table in (*self.tables, self.result):
            transcript.send("table", table)
        points = draw_points(transcript, self.shape)
        claim = Value(points, mle(self.result, self.shape, points))
        protocol = Hadamard(FIELD, self.shape, len(self.tables))
        return protocol.prove(transcript, target, pack_all(target, self.tables), claim)

    def verify(self, transcript: VerifierTranscript) -> Any:
        tables = [transcript.receive("table", prod(self.shape)) for _ in (*self.tables, None)]
        *factors, result = tables
        points = draw_points(transcript, self.shape)
        claim = Value(points, mle(result, self.shape, points) + self.lie)
        claims = Hadamard(FIELD, self.shape, len(factors)).verify(transcript, claim)
        for value, factor in zip(claims, factors, strict=True):
            require_claim(value, factor, self.shape, "a factor")
        return claims


@dataclass(frozen=True)
class LinearCase(Case):
    """acc = X W + b over a stack; without a bias, the matrix product alone."""

    name = "linear"
    sizes: tuple[int, Any, Any, Any] = (1, 1, 1, 1)  # layers; rows, d_in, d_out: also several axes
    x: tuple[int, ...] = ()
    w: tuple[int, ...] = ()
    bias: tuple[int, ...] | None = None
    result: tuple[int, ...] = ()

    @classmethod
    def random(
        cls, rng: Random, sizes: tuple[int, Any, Any, Any], has_bias: bool = True
    ) -> LinearCase:
        layers, rows, d_in, d_out = sizes[0], *(prod(axes_of(n)) for n in sizes[1:])
        x = random_int16(rng, layers * rows * d_in)
        w = random_int16(rng, layers * d_in * d_out)
        bias = [rng.randrange(-(2**40), 2**40) for _ in range(layers * d_out)]
        bias = bias if has_bias else [0] * len(bias)
        products = matrix_products(x, w, layers, rows, d_in, d_out)
        rows_of = [i // d_out // rows * d_out + i % d_out for i in range(len(products))]
        result = tuple(a + bias[k] for a, k in zip(products, rows_of, strict=True))
        return cls(sizes=sizes, x=x, w=w, bias=tuple(bias) if has_bias else None, result=result)

    @property
    def shapes(self) -> dict[str, Shape]:
        layers, (rows, d_in, d_out) = self.sizes[0], map(axes_of, self.sizes[1:])
        shapes = {"x": (layers, *rows, *d_in), "w": (layers, *d_in, *d_out)}
        bias = {} if self.bias is None else {"bias": (layers, *d_out)}
        return {**shapes, **bias, "result": (layers, *rows, *d_out)}

    def bias_elements(self) -> list[Element]:
        """What is added; malicious provers add another bias than the one they sent."""
        return [FIELD.element(b) for b in self.bias or ()]

    def prove(self, transcript: ProverTranscript, target: Target) -> Any:
        for label in self.shapes:
            send_integers(transcript, label, getattr(self, label))
        points = draw_points(transcript, self.shapes["result"])
        result = [FIELD.element(a) for a in self.result]
        claim = Value(points, mle(result, self.shapes["result"], points))
        x, w = (target.to_device(np.array(t, dtype=np.int16)) for t in (self.x, self.w))
        if self.bias is None:
            return MatMul(FIELD, *self.sizes).prove(transcript, target, x, w, claim)
        protocol = Linear(FIELD, *self.sizes)
        bias = target.to_device(FIELD.pack(self.bias_elements()))
        return protocol.prove(transcript, target, x, w, bias, claim)

    def verify(self, transcript: VerifierTranscript) -> Any:
        tensors = {
            label: receive_integers(transcript, label, prod(shape))
            for label, shape in self.shapes.items()
        }
        points = draw_points(transcript, self.shapes["result"])
        claim = Value(points, mle(tensors["result"], self.shapes["result"], points) + self.lie)
        if self.bias is None:
            claims = MatMul(FIELD, *self.sizes).verify(transcript, claim)
            on = dict(zip(("x", "w"), claims, strict=True))
        else:
            claims = Linear(FIELD, *self.sizes).verify(transcript, claim)
            on = {"x": claims.inputs, "w": claims.weights, "bias": claims.bias}
        for label, value in on.items():
            require_claim(value, tensors[label], self.shapes[label], label)
        return claims
