"""Microbenchmark of RMSNorm: all rows of a stack of layers, with all its lookups.

Inputs are random, of the size of a residual stream whose norms have 20 bits. What is committed in a
model follows from them by the integer model; all are public inputs, made in set-up, untimed.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import Any

import numpy as np

from zkbench.bench.attention_cases import WeightedInput
from zkbench.bench.inputs import FIELD
from zkbench.bench.protocol_case import InputClaim, ProtocolCase
from zkbench.bench.registry import register
from zkbench.bench.timers import PhaseTimer
from zkbench.commitments.claims import Claim
from zkbench.proof import ProofRejected
from zkbench.protocols.norm_limbs import RMSNormWitness
from zkbench.protocols.range_checks import RangeChecks
from zkbench.protocols.rmsnorm import MAX_WIDTH, RMSNorm
from zkbench.protocols.tlookup import TLookup
from zkbench.quant.rms_norm import IntegerRMSNorm
from zkbench.security import Term
from zkbench.transcript import ProverTranscript, VerifierTranscript

LOG_NORM = 20
EPSILON = 1 << 27  # more than 2^-15 of any entry's square: no output leaves 16 bits


@register("rmsnorm")
class RMSNormCase(ProtocolCase):
    """num_layers times so many rows of this width; a value is an entry of a row.

    Two range checks an entry: of its quotient and of its remainder.
    """

    benchmark = "rmsnorm"
    limits = {"num_layers": (1, 256), "rows": (1, 1 << 16), "width": (1, MAX_WIDTH)}

    def __init__(self, params: dict[str, Any], target: str, seed: int) -> None:
        super().__init__(params, target, seed)
        self.sizes = layers, rows, width = tuple(self.params[key] for key in self.limits)
        self.protocol = RMSNorm(FIELD, layers, rows, width, EPSILON)
        self.values = layers * rows * width

    @property
    def checks(self) -> RangeChecks:
        return RangeChecks(self.protocol.range_checks)

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """The residual stream, what is committed in a model, and the lookups' multiplicities."""
        most = isqrt(3 * (1 << (2 * LOG_NORM)) // self.sizes[-1])
        x = rng.integers(-most, most + 1, self.sizes, dtype=np.int32)
        self.trace = IntegerRMSNorm(EPSILON).forward(x)
        tensors = {"inputs": x, **vars(self.trace)}
        names = ("inputs", *self.protocol.committed_shapes)
        return {name: tensors[name] for name in names} | self._counts(tensors)

    def _counts(self, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """By counting, not by the protocol's own kernel."""
        checks, counts = self.checks, {}
        for name, lookup, lookers in zip(
            checks.counts, checks.lookups, checks.lookers(tensors), strict=True
        ):
            counts[name] = np.zeros(lookup.size, dtype=np.int64)
            for k, values in enumerate(lookers):
                flat = values.reshape(-1) + np.int32(lookup.offset(k))
                counts[name] += np.bincount(flat, minlength=lookup.size)
        return counts

    def prepare(self) -> None:
        tensors = {"inputs": self.inputs["inputs"], **vars(self.trace)}
        arrays = {
            name: self.where.to_device(np.ascontiguousarray(values).reshape(-1))
            for name, values in tensors.items()
        }
        self.witness = RMSNormWitness(**arrays)

    def run_prover(self, transcript: ProverTranscript, timer: PhaseTimer) -> None:
        protocol, checks = self.protocol, self.checks
        with timer.phase("witness"):
            counts = list(protocol.count(self.where, self.witness).values())
        with timer.phase("lookups"):
            lookup, lookers = TLookup(FIELD, checks.lookups), checks.lookers(vars(self.witness))
            ranged = lookup.prove(transcript, self.where, lookers, counts)
        with timer.phase("sumchecks"):
            values = checks.values(ranged)
            protocol.prove_claims(transcript, self.where, self.witness, values)

    def run_verifier(self, transcript: VerifierTranscript) -> list[InputClaim]:
        claims = self.protocol.verify(transcript)
        on_inputs = [Claim("inputs", *weighted) for weighted in claims.inputs]
        return [WeightedInput.of(claim) for claim in (*claims.committed, *on_inputs)]

    def _compare(self, claims: Sequence[InputClaim]) -> None:
        for one in claims:
            assert isinstance(one, WeightedInput)
            if not one.is_true_of(self.inputs[one.name]):
                raise ProofRejected(f"the proof is not about the {one.name} of this case")

    def soundness_terms(self) -> list[Term]:
        return self.protocol.all_soundness_terms()
