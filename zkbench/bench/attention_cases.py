"""Microbenchmark of zkAttn: causal softmax attention of a stack of layers, with all its lookups.

Queries, keys and values are random, of a size that makes scores differ by a few nats. Indices, shifts
and outputs follow from them by the integer model; all are public inputs, made in set-up, untimed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt, prod
from typing import Any

import numpy as np

from zkbench.bench.inputs import FIELD
from zkbench.bench.protocol_case import InputClaim, ProtocolCase
from zkbench.bench.registry import register
from zkbench.bench.timers import PhaseTimer
from zkbench.commitments.claims import AxisWeights, Claim, Value
from zkbench.commitments.interleaved import Commitment, ProverData
from zkbench.errors import UnusableInput
from zkbench.kernels.contract import contract, dot
from zkbench.kernels.inverses import split_columns
from zkbench.kernels.launch import Array, cpu_target
from zkbench.proof import ProofRejected
from zkbench.protocols.causal_tiles import AttentionShape
from zkbench.protocols.range_checks import RangeChecks
from zkbench.protocols.tlookup import TLookup
from zkbench.protocols.zkattn import AttentionWitness, ZkAttn
from zkbench.quant.attention import AttentionTrace, IntegerAttention
from zkbench.security import Term
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any
MAX_LOG_BLOCK = 7
SCORE_SHIFT = 15
_NATS = 2  # about the standard deviation of the scores
_MAX_VALUE = 1 << 14  # so that no output leaves 16 bits where a row's weights sum to a bit too much


@dataclass(frozen=True)
class WeightedInput(InputClaim):
    """sum over entries of weights(entry) times the input's entry is the claim's value."""

    weights: AxisWeights

    @classmethod
    def of(cls, claim: Claim) -> WeightedInput:
        assert isinstance(claim.functional, AxisWeights)
        return cls(claim.tensor, Value((), claim.value), claim.functional)

    def is_true_of(self, tensor: np.ndarray) -> bool:
        """By a pass over the tensor on the host; its entries are below 2^32 in magnitude."""
        rest = tensor.astype(np.int64)
        parts = [(rest & 0xFFFF, 1), (rest >> 16, 1 << 16)]
        return sum((s * self._total(p) for p, s in parts), FIELD.element(0)) == self.claim.value

    def _total(self, tensor: np.ndarray) -> Element:
        target, axes, shape = cpu_target(), self.weights.axes, tensor.shape
        cut = len(shape) // 2
        rows, cols = prod(shape[:cut]), prod(shape[cut:])
        right = AxisWeights(axes[cut:]).table(target, FIELD, shape[cut:])
        values = tensor.astype(np.int32).reshape(-1)
        by_row = contract(target, FIELD, values, rows, cols, 1, right)
        if not cut:
            return FIELD.unpack(by_row)[0]
        left = AxisWeights(axes[:cut]).table(target, FIELD, shape[:cut])
        return dot(target, FIELD, by_row, left, rows)


@register("zkattn")
class ZkAttnCase(ProtocolCase):
    """num_layers layers of attention over so many positions; a value is a score that counts.

    What is looked up twice is counted twice: remainders of scores by range, indices by table. The
    pushed-forward vector is committed and opened, as part of logUp*.
    """

    benchmark = "zkattn"
    limits = {
        "num_layers": (1, 128),
        "heads": (1, 256),
        "kv_heads": (1, 256),
        "positions": (1, 1 << 14),
        "head_dim": (1, 512),
    }

    def __init__(self, params: dict[str, Any], target: str, seed: int) -> None:
        super().__init__(params, target, seed)
        layers, heads, kv_heads, positions, width = (self.params[key] for key in self.limits)
        if heads % kv_heads:
            raise UnusableInput(f"zkattn: kv_heads must divide heads, and {kv_heads} does not")
        log_block = min(MAX_LOG_BLOCK, positions.bit_length() - 1)
        blocks = -(-positions >> log_block)
        self.shape = AttentionShape(layers, blocks, log_block, heads, kv_heads, width)
        self.protocol = ZkAttn(FIELD, self.shape, SCORE_SHIFT)
        self.values = layers * heads * positions * (positions + 1) // 2

    @property
    def checks(self) -> RangeChecks:
        return RangeChecks(self.protocol.range_checks)

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """What is committed in a model, the lookups' multiplicities included."""
        shape, table = self.shape, self.protocol.table
        unit = 1 << (SCORE_SHIFT + table.log_delta)
        most = min(isqrt(3 * _NATS * unit // isqrt(shape.head_dim)), (1 << 15) - 1)
        sizes = {"queries": (shape.queries, most), "keys": (shape.keys, most)}
        sizes["values"] = (shape.keys, _MAX_VALUE)
        inputs = {
            name: rng.integers(-high, high + 1, size, dtype=np.int16)
            for name, (size, high) in sizes.items()
        }
        model = IntegerAttention(shape, SCORE_SHIFT, table, self.protocol.log_tolerance)
        self.trace = model.forward(*inputs.values())
        inputs |= self._committed(self.trace)
        return inputs | self._counts(inputs)

    def _committed(self, trace: AttentionTrace) -> dict[str, np.ndarray]:
        shifts = trace.shifts + self.protocol.shifts.offset
        bits = self.protocol.value_bits
        return {
            "indices": trace.indices,
            "shift_low": (shifts & ((1 << bits) - 1)).astype(np.uint16),
            "shift_high": (shifts >> bits).astype(np.uint16),
            "outputs": trace.outputs,
        }

    def _counts(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """By counting, not by the protocol's own kernel."""
        tensors = {**vars(self.trace), **inputs}
        lookers = self.checks.lookers(tensors)
        counts = {}
        for name, lookup, values in zip(
            self.checks.counts, self.checks.lookups, lookers, strict=True
        ):
            counts[name] = np.zeros(lookup.size, dtype=np.int64)
            for k, tensor in enumerate(values):
                entries = tensor.reshape(-1) + np.int64(lookup.offset(k))
                counts[name] += np.bincount(entries, minlength=lookup.size)
        return counts

    def prepare(self) -> None:
        names = self.protocol.committed_shapes
        tensors = {name: self.where.to_device(self.inputs[name]) for name in names}
        for name in ("score_remainders", "output_remainders"):
            tensors[name] = self.where.to_device(getattr(self.trace, name))
        self.tensors = tensors

    def _witness(self) -> AttentionWitness:
        tiles = self.protocol.tiles(self.where, self.tensors["indices"])
        return AttentionWitness(**self.tensors, row_sums=tiles.sum_rows())

    def run_prover(self, transcript: ProverTranscript, timer: PhaseTimer) -> None:
        protocol, checks = self.protocol, self.checks
        committed: list[ProverData] = []

        def commit(pushed: Array) -> None:
            with timer.phase("commit"):
                columns = split_columns(self.where, FIELD, pushed, 1 << protocol.table.bits)
                tensors = dict(zip(protocol.pushed_shapes, columns, strict=True))
                committed.append(self.commit(transcript, tensors, protocol.pushed_shapes))

        with timer.phase("witness"):
            witness = self._witness()
            counts = list(protocol.count(self.where, witness).values())
        with timer.phase("lookups"):
            lookup, lookers = TLookup(FIELD, checks.lookups), checks.lookers(vars(witness))
            ranged = lookup.prove(transcript, self.where, lookers, counts)
        with timer.phase("sumchecks"):
            values = checks.values(ranged)
            claims = protocol.prove_claims(transcript, self.where, witness, values)
        with timer.phase("lookups"):
            indices, weights = [witness.indices], claims.weights
            outputs = protocol.exponentials.prove(transcript, self.where, indices, weights, commit)
        with timer.phase("opening"):
            on_pushed, _ = self._split(protocol.on_indices(outputs))
            self.scheme.prove(transcript, self.where, [(committed[0], on_pushed)])

    def run_verifier(self, transcript: VerifierTranscript) -> list[InputClaim]:
        committed: list[Commitment] = []

        def receive() -> None:
            shapes = self.protocol.pushed_shapes
            committed.append(self.receive_commitment(transcript, shapes))

        claims = self.protocol.verify(transcript, receive)
        on_pushed, on_inputs = self._split(claims)
        self.scheme.verify(transcript, [(committed[0], on_pushed)])
        return [WeightedInput.of(claim) for claim in on_inputs]

    def _split(self, claims: Sequence[Claim]) -> tuple[list[Claim], list[Claim]]:
        """Claims on the pushed-forward vector, and those on inputs."""
        pushed = self.protocol.pushed_shapes
        on_pushed = [claim for claim in claims if claim.tensor in pushed]
        return on_pushed, [claim for claim in claims if claim.tensor not in pushed]

    def _compare(self, claims: Sequence[InputClaim]) -> None:
        for one in claims:
            assert isinstance(one, WeightedInput)
            if not one.is_true_of(self.inputs[one.name]):
                raise ProofRejected(f"the proof is not about the {one.name} of this case")

    def soundness_terms(self) -> list[Term]:
        opening = self.opening_terms(self.protocol.pushed_shapes, 2 * FIELD.degree)
        return self.protocol.all_soundness_terms() + opening
