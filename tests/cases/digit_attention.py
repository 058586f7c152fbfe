"""Cases of attention with scores in digits, and of claims on entrywise products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod
from random import Random
from typing import Any

import numpy as np
from definitions import Element, random_elements

from cases.attention import (
    MOST_TRIES,
    TINY,
    dtype_of,
    flat,
    functional_sum,
    require,
)
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
)
from cases.lookups import true_counts
from zkbench.commitments.claims import AxisWeights, OnesAxis, VectorAxis
from zkbench.kernels.launch import Target
from zkbench.protocols.causal_tiles import AttentionShape
from zkbench.protocols.claims_on_products import ClaimsOnProducts
from zkbench.protocols.digit_attention import LIMBS, DigitAttention, Digits
from zkbench.quant.digit_attention import DigitAttentionModel
from zkbench.quant.formats import QuantisationError
from zkbench.transcript import ProverTranscript, VerifierTranscript

ONE_WEIGHT = Digits((2, 3, 2), 1, 1, (4,), 2)  # one digit cut off, one looked up, one zero
TWO_WEIGHTS = Digits((3, 4), 0, 0, (2, 2), 2)
FOUR_WEIGHTS = Digits((1, 2, 2, 3), 0, 1, (1, 2, 1), 2)


@dataclass(frozen=True)
class ProductsCase(Case):
    """Claims on the product of some tensors, of several kinds of weights."""

    name = "claims-on-products"
    shape: Shape = (1,)
    tables: tuple[tuple[Element, ...], ...] = ()

    @classmethod
    def random(cls, rng: Random, shape: Shape, factors: int) -> ProductsCase:
        tables = tuple(tuple(random_elements(FIELD, rng, prod(shape))) for _ in range(factors))
        return cls(shape=shape, tables=tables)

    def _claims(self, transcript: Any, tables: Any) -> list[Any]:
        points = draw_points(transcript, self.shape)
        vector = VectorAxis(tuple(transcript.challenges("vector", self.shape[0])))
        rest = (OnesAxis(),) * (len(self.shape) - 1)
        product = entrywise_product(tables)
        return [
            (w, functional_sum(w, product, self.shape) + self.lie)
            for w in (AxisWeights.at(points), AxisWeights((vector, *rest)))
        ]

    @property
    def protocol(self) -> ClaimsOnProducts:
        return ClaimsOnProducts(FIELD, self.shape, len(self.tables))

    def prove(self, transcript: ProverTranscript, target: Target) -> Any:
        for table in self.tables:
            transcript.send("table", table)
        claims = self._claims(transcript, self.tables)
        return self.protocol.prove(transcript, target, pack_all(target, self.tables), claims)

    def verify(self, transcript: VerifierTranscript) -> Any:
        tables = [transcript.receive("table", prod(self.shape)) for _ in self.tables]
        claims = self.protocol.verify(transcript, self._claims(transcript, tables))
        for value, table in zip(claims, tables, strict=True):
            require_claim(value, table, self.shape, "a factor")
        return claims


@dataclass(frozen=True)
class DigitAttentionCase(Case):
    """``tensors``: what is committed, and P, row sums and remainders, by name."""

    name = "digit-attention"
    shape: AttentionShape = TINY
    digits: Digits = ONE_WEIGHT
    log_tolerance: int = 4
    value_bits: int = 4
    tensors: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @classmethod
    def random(
        cls, rng: Random, shape: AttentionShape, digits: Digits = ONE_WEIGHT, **parameters: Any
    ) -> DigitAttentionCase:
        """Small queries, keys and values, until all that follows from them is in range."""
        for _ in range(MOST_TRIES):
            sizes = {"queries": shape.queries, "keys": shape.keys, "values": shape.keys}
            small = {
                name: np.array([rng.randint(-2, 2) for _ in range(prod(s))], np.int16).reshape(s)
                for name, s in sizes.items()
            }
            try:
                return cls(shape=shape, digits=digits, **parameters).forward(small)
            except QuantisationError as error:
                last = error
        raise last

    def forward(self, inputs: dict[str, np.ndarray]) -> DigitAttentionCase:
        model = DigitAttentionModel(self.shape, self.digits, self.log_tolerance, self.value_bits)
        trace = model.forward(*inputs.values())
        shifts = trace.pop("shifts") + self.protocol.shifts.offset
        low = (1 << self.value_bits) - 1
        limbs = {name: (shifts >> (self.value_bits * k)) & low for k, name in enumerate(LIMBS)}
        tensors = {name: flat(array) for name, array in {**inputs, **trace, **limbs}.items()}
        return replace(self, tensors=tensors)

    def false_statements(self) -> list[Case]:
        """Another tolerance, other tables."""
        return [
            replace(self, log_tolerance=self.log_tolerance + 1),
            replace(self, digits=replace(self.digits, log_delta=self.digits.log_delta + 1)),
        ]

    @property
    def protocol(self) -> DigitAttention:
        return DigitAttention(FIELD, self.shape, self.digits, self.log_tolerance, self.value_bits)

    @property
    def counts(self) -> dict[str, tuple[int, ...]]:
        checks = self.protocol.checks
        pairs = zip(checks.lookups, checks.lookers(self.tensors), strict=True)
        return dict(
            zip(checks.counts, (true_counts(lookup, v) for lookup, v in pairs), strict=True)
        )

    def prove(self, transcript: ProverTranscript, target: Target) -> Any:
        for name in self.protocol.committed_shapes:
            send_integers(transcript, name, self.tensors[name])
        for name, values in self.counts.items():
            send_integers(transcript, name, values)
        witness: Mapping[str, Any] = {
            name: target.to_device(np.array(values, dtype=dtype_of(name, values)))
            for name, values in self.tensors.items()
        }
        counts = {name: np.array(v, dtype=np.uint64) for name, v in self.counts.items()}
        return self.protocol.prove(
            transcript,
            target,
            witness,
            counts,
            lambda name, y: transcript.send(f"pushed {name}", FIELD.unpack(target.to_host(y))),
        )

    def verify(self, transcript: VerifierTranscript) -> Any:
        protocol = self.protocol
        shapes = {**protocol.committed_shapes, **protocol.checks.counts}
        tensors: dict[str, Any] = {
            name: receive_integers(transcript, name, prod(shape)) for name, shape in shapes.items()
        }

        def receive(name: str) -> None:
            columns = protocol.pushed_shapes[name]
            size = protocol.exponentials[name].table_size
            pushed = transcript.receive(f"pushed {name}", size)
            for d, column in enumerate(columns):
                tensors[column] = [y.coefficients[d] for y in pushed]
                shapes[column] = (size,)

        claims = protocol.verify(transcript, receive)
        for claim in claims:
            weighted = (claim.functional, claim.value)
            require(weighted, tensors[claim.tensor], shapes[claim.tensor], claim.tensor)
        return claims
