"""Cases of attention: scores, weighted values, the mask, and zkAttn as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod
from random import Random
from typing import Any

import numpy as np
from definitions import Element, axis_weights, mle, outer, total

from cases.attention_entries import entries, is_masked, outputs_of, scores_of
from cases.case import (
    FIELD,
    Case,
    Shape,
    draw_points,
    receive_integers,
    send_integers,
)
from cases.lookups import true_counts
from cases.products import random_int16
from zkbench.commitments.claims import AxisWeights, EqAxis, VectorAxis
from zkbench.kernels.attention import Tiles
from zkbench.kernels.launch import Target
from zkbench.proof import ProofRejected
from zkbench.protocols.attention_scores import AttentionScores
from zkbench.protocols.attention_values import AttentionValues
from zkbench.protocols.causal_mask import CausalMask
from zkbench.protocols.causal_tiles import AttentionShape
from zkbench.protocols.range_checks import RangeChecks
from zkbench.protocols.tables import Exp
from zkbench.protocols.tlookup import Value
from zkbench.protocols.zkattn import AttentionWitness, ZkAttn
from zkbench.quant.attention import IntegerAttention
from zkbench.quant.formats import QuantisationError
from zkbench.transcript import ProverTranscript, VerifierTranscript

TINY = AttentionShape(layers=1, blocks=2, log_block=1, heads=2, kv_heads=1, head_dim=1)
MOST_TRIES = 200  # at inputs whose values stay in range
STEEP = Exp(log_delta=1, log_scale=4, bits=6)  # 16 10 6 4 2 1 1 0 ...; masked scores from 32 on


def functional_sum(weights: AxisWeights, tensor: Sequence[Any], shape: Shape) -> Element:
    """sum over entries of weights(entry) tensor(entry)."""
    weights.check(shape)
    tables = []
    for axis, length in zip(weights.axes, shape, strict=True):
        if isinstance(axis, VectorAxis):
            tables.append(list(axis.values))
        else:
            point = axis.point if isinstance(axis, EqAxis) else None
            tables.append(axis_weights((length,), [point]))
    pairs = zip(outer(tables), tensor, strict=True)
    return total([w * v for w, v in pairs]) + FIELD.element(0)


def require(weighted: Any, tensor: Sequence[Any], shape: Shape, name: str) -> None:
    weights, value = weighted
    if functional_sum(weights, tensor, shape) != value:
        raise ProofRejected(f"the claim on {name} is false")


def table_of(target: Target, values: Sequence[int], shape: AttentionShape) -> Tiles:
    """Tiles of any values below 2^16: each is its own index."""
    identity = target.to_device(np.arange(1 << 16, dtype=np.int32))
    array = target.to_device(np.array(values, dtype=np.uint16))
    return Tiles(target, array, identity, shape.layers * shape.heads, shape.blocks, shape.block)


# Cases.


@dataclass(frozen=True)
class ScoresCase(Case):
    """z = q k^T; the claim on z is computed from what was received."""

    name = "attention-scores"
    shape: AttentionShape = TINY
    q: tuple[int, ...] = ()
    k: tuple[int, ...] = ()

    @classmethod
    def random(cls, rng: Random, shape: AttentionShape) -> ScoresCase:
        q, k = (random_int16(rng, prod(s)) for s in (shape.queries, shape.keys))
        return cls(shape=shape, q=q, k=k)

    def prove(self, transcript: ProverTranscript, target: Target) -> Any:
        send_integers(transcript, "q", self.q)
        send_integers(transcript, "k", self.k)
        points = draw_points(transcript, self.shape.scores)
        value = mle(scores_of(self.shape, self.q, self.k), self.shape.scores, points)
        q, k = (target.to_device(np.array(x, dtype=np.int16)) for x in (self.q, self.k))
        return AttentionScores(FIELD, self.shape).prove(
            transcript, target, q, k, Value(points, value)
        )

    def verify(self, transcript: VerifierTranscript) -> Any:
        shape = self.shape
        q = receive_integers(transcript, "q", prod(shape.queries))
        k = receive_integers(transcript, "k", prod(shape.keys))
        points = draw_points(transcript, shape.scores)
        value = mle(scores_of(shape, q, k), shape.scores, points) + self.lie
        claims = AttentionScores(FIELD, shape).verify(transcript, Value(points, value))
        require(claims[0], q, shape.queries, "the queries")
        require(claims[1], k, shape.keys, "the keys")
        return claims


@dataclass(frozen=True)
class ValuesCase(Case):
    """acc = P v."""

    name = "attention-values"
    shape: AttentionShape = TINY
    p: tuple[int, ...] = ()
    v: tuple[int, ...] = ()

    @classmethod
    def random(cls, rng: Random, shape: AttentionShape) -> ValuesCase:
        p = tuple(rng.choice([0, 2**15, 2**16 - 1, rng.randrange(2**16)]) for _ in entries(shape))
        return cls(shape=shape, p=p, v=random_int16(rng, prod(shape.keys)))

    def prove(self, transcript: ProverTranscript, target: Target) -> Any:
        send_integers(transcript, "p", self.p)
        send_integers(transcript, "v", self.v)
        points = draw_points(transcript, self.shape.queries)
        value = mle(outputs_of(self.shape, self.p, self.v), self.shape.queries, points)
        tiles = table_of(target, self.p, self.shape)
        v = target.to_device(np.array(self.v, dtype=np.int16))
        return AttentionValues(FIELD, self.shape).prove(
            transcript, target, tiles, v, Value(points, value)
        )

    def verify(self, transcript: VerifierTranscript) -> Any:
        shape = self.shape
        p = receive_integers(transcript, "p", prod(shape.scores))
        v = receive_integers(transcript, "v", prod(shape.keys))
        points = draw_points(transcript, shape.queries)
        value = mle(outputs_of(shape, p, v), shape.queries, points) + self.lie
        claims = AttentionValues(FIELD, shape).verify(transcript, Value(points, value))
        require(claims[0], p, shape.scores, "the weights")
        require(claims[1], v, shape.keys, "the values")
        return claims


@dataclass(frozen=True)
class MaskCase(Case):
    """Masked weights are zero; the verifier is not told which they are."""

    name = "causal-mask"
    shape: AttentionShape = TINY
    p: tuple[int, ...] = ()
    statement: AttentionShape | None = None  # what is verified, if it is not ``shape``

    @classmethod
    def random(cls, rng: Random, shape: AttentionShape) -> MaskCase:
        p = tuple(0 if m else rng.randrange(1, 2**16) for m in is_masked(shape))
        return cls(shape=shape, p=p)

    def false_statements(self) -> list[Case]:
        """The same entries in smaller blocks, and more of them."""
        shape = self.shape
        halves = replace(shape, layers=shape.layers * 4, log_block=shape.log_block - 1)
        return [replace(self, statement=halves)] if shape.log_block else []

    def prove(self, transcript: ProverTranscript, target: Target) -> Any:
        send_integers(transcript, "p", self.p)
        tiles = table_of(target, self.p, self.shape)
        return CausalMask(FIELD, self.shape).prove(transcript, target, tiles)

    def verify(self, transcript: VerifierTranscript) -> Any:
        shape = self.statement or self.shape
        p = receive_integers(transcript, "p", prod(shape.scores))
        claim = CausalMask(FIELD, shape).verify(transcript)
        require(claim, p, shape.scores, "the weights")
        return claim


@dataclass(frozen=True)
class ZkAttnCase(Case):
    """zkAttn alone, with its lookups. ``tensors``: what is committed, and the remainders, by name.

    Row sums are those of the indices' weights unless ``tensors`` has others.
    """

    name = "zkattn"
    shape: AttentionShape = TINY
    score_shift: int = 1
    table: Exp = STEEP
    log_tolerance: int = 3
    value_bits: int = 4
    tensors: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @classmethod
    def random(cls, rng: Random, shape: AttentionShape, **parameters: Any) -> ZkAttnCase:
        """Small queries, keys and values, until all that follows from them is in range."""
        for _ in range(MOST_TRIES):
            names = {"queries": shape.queries, "keys": shape.keys, "values": shape.keys}
            small = {
                name: tuple(rng.randint(-3, 3) for _ in range(prod(s))) for name, s in names.items()
            }
            try:
                return cls(shape=shape, **parameters).forward(small)
            except QuantisationError as error:
                last = error
        raise last

    def forward(self, inputs: dict[str, tuple[int, ...]]) -> Any:
        """The honest case of these inputs; raises QuantisationError."""
        shape = self.shape
        model = IntegerAttention(
            shape, self.score_shift, self.table, self.log_tolerance, self.value_bits
        )
        arrays = [
            np.array(inputs[name], dtype=np.int16).reshape(s)
            for name, s in [
                ("queries", shape.queries),
                ("keys", shape.keys),
                ("values", shape.keys),
            ]
        ]
        trace = model.forward(*arrays)
        shifts = [s + (1 << (2 * self.value_bits - 1)) for s in flat(trace.shifts)]
        low = (1 << self.value_bits) - 1
        return replace(
            self,
            tensors={
                **inputs,
                "indices": flat(trace.indices),
                "shift_low": tuple(s & low for s in shifts),
                "shift_high": tuple(s >> self.value_bits for s in shifts),
                "outputs": flat(trace.outputs),
                "score_remainders": flat(trace.score_remainders),
                "output_remainders": flat(trace.output_remainders),
            },
        )

    def false_statements(self) -> list[Case]:
        """Another tolerance, another table, another rounding."""
        return [
            replace(self, log_tolerance=self.log_tolerance + 1),
            replace(self, table=replace(self.table, log_delta=self.table.log_delta - 1)),
            replace(self, score_shift=self.score_shift + 1),
        ]

    @property
    def protocol(self) -> ZkAttn:
        return ZkAttn(
            FIELD, self.shape, self.score_shift, self.table, self.log_tolerance, self.value_bits
        )

    @property
    def proving(self) -> ZkAttn:
        """The prover's own protocol; malicious ones replace it."""
        return self.protocol

    @property
    def committed(self) -> dict[str, Shape]:
        return self.protocol.committed_shapes

    def counts(self, lookers: dict[str, Any]) -> dict[str, tuple[int, ...]]:
        """How often each entry is looked up; what is outside is left out."""
        checks = RangeChecks(self.proving.range_checks)
        pairs = zip(checks.lookups, checks.lookers(lookers), strict=True)
        found = [true_counts(lookup, values) for lookup, values in pairs]
        return dict(zip(checks.counts, found, strict=True))

    def witness(self, target: Target) -> AttentionWitness:
        """Of wide types, since lies may be out of range."""
        arrays = {
            name: target.to_device(np.array(values, dtype=dtype_of(name, values)))
            for name, values in self.tensors.items()
        }
        if "row_sums" not in arrays:
            tiles = self.proving.tiles(target, arrays["indices"])
            arrays["row_sums"] = tiles.sum_rows()
        return AttentionWitness(**arrays)

    def prove(self, transcript: ProverTranscript, target: Target) -> Any:
        witness = self.witness(target)
        lookers = {name: flat(target.to_host(array)) for name, array in vars(witness).items()}
        counts = self.counts(lookers)
        for name in self.committed:
            send_integers(transcript, name, self.tensors[name])
        for name, values in counts.items():
            send_integers(transcript, name, values)
        return self.proving.prove(
            transcript,
            target,
            witness,
            {name: np.array(values, dtype=np.uint64) for name, values in counts.items()},
            lambda y: transcript.send("pushed", FIELD.unpack(target.to_host(y))),
        )

    def verify(self, transcript: VerifierTranscript) -> Any:
        protocol = self.protocol
        shapes = {**protocol.committed_shapes, **protocol.counts}
        tensors: dict[str, Any] = {
            name: receive_integers(transcript, name, prod(shape)) for name, shape in shapes.items()
        }
        pushed: list[Element] = []
        size = protocol.exponentials.table_size
        claims = protocol.verify(
            transcript, lambda: pushed.extend(transcript.receive("pushed", size))
        )
        for d, name in enumerate(protocol.pushed_shapes):
            tensors[name] = [y.coefficients[d] for y in pushed]
        shapes |= protocol.pushed_shapes
        for claim in claims:
            weighted = (claim.functional, claim.value)
            require(weighted, tensors[claim.tensor], shapes[claim.tensor], claim.tensor)
        return claims


def flat(array: Any) -> tuple[int, ...]:
    return tuple(np.asarray(array).reshape(-1).tolist())


def dtype_of(name: str, values: Sequence[int]) -> Any:
    """The type that an honest prover has, or a wide one."""
    own = np.int16 if name in ("queries", "keys", "values", "outputs") else np.uint16
    limits = np.iinfo(own)
    return own if limits.min <= min(values) and max(values) <= limits.max else np.int64


def random_shape(rng: Random) -> AttentionShape:
    """Any numbers of layers, blocks, heads and entries a head; groups of heads of any size."""
    kv_heads, group = rng.choice([1, 1, 2, 3]), rng.choice([1, 2, 3])
    return AttentionShape(
        layers=rng.choice([1, 2, 3]),
        blocks=rng.choice([1, 2, 3]),
        log_block=rng.choice([0, 1, 2]),
        heads=kv_heads * group,
        kv_heads=kv_heads,
        head_dim=rng.choice([1, 2, 3, 6]),
    )
