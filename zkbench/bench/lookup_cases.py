"""Microbenchmarks of lookups: tlookup in both forms, rescale, relu."""

from __future__ import annotations

from typing import Any

import numpy as np

from zkbench.bench.inputs import FIELD, Input, MaskedBlocks, extension
from zkbench.bench.protocol_case import LOG_VALUES, MAX, MIN, InputClaim, ProtocolCase
from zkbench.bench.registry import register
from zkbench.bench.timers import PhaseTimer
from zkbench.commitments.claims import AxisWeights, Claim
from zkbench.commitments.interleaved import Commitment, ProverData
from zkbench.kernels.inverses import split_columns
from zkbench.kernels.launch import Array
from zkbench.protocols.gkr import Shape
from zkbench.protocols.logup_star import LogupStar, LogupStarClaims, OutputClaim
from zkbench.protocols.rescale import Rescale
from zkbench.protocols.tables import Relu
from zkbench.protocols.tlookup import Lookup, TLookup, multiplicities
from zkbench.protocols.tlookup_inverses import TLookupInverses
from zkbench.security import Term
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any


def _counts(values: np.ndarray, size: int) -> np.ndarray:
    return np.bincount(values, minlength=size)


class _LookupCase(ProtocolCase):
    """2^log_values values below 2^log_table (`MaskedBlocks`), found in the table of all of these."""

    limits = {"log_values": (0, 32), "log_table": (1, 16)}

    def __init__(self, params: dict[str, Any], target: str, seed: int) -> None:
        super().__init__(params, target, seed)
        self.values, self.size = 1 << self.params["log_values"], 1 << self.params["log_table"]
        self.lookup = Lookup(self.size, ((self.values,),))

    def draw(self, rng: np.random.Generator) -> dict[str, Input]:
        self.blocks = MaskedBlocks.draw(rng, self.params["log_values"], self.params["log_table"])
        return {"values": self.blocks, "multiplicities": self.blocks.counts()}

    def prepare(self) -> None:
        self.lookers = self.where.to_device(self.blocks.array())

    def count(self, timer: PhaseTimer) -> np.ndarray:
        with timer.phase("witness"):
            return multiplicities(self.where, self.lookup, [self.lookers])


@register("tlookup")
class TLookupCase(_LookupCase):
    """tlookup as LogUp-GKR; the multiplicities are counted in the phase "witness"."""

    benchmark = "tlookup"

    @property
    def protocol(self) -> TLookup:
        return TLookup(FIELD, (self.lookup,))

    def run_prover(self, transcript: ProverTranscript, timer: PhaseTimer) -> None:
        counts = self.count(timer)
        with timer.phase("lookups"):
            self.protocol.prove(transcript, self.where, [[self.lookers]], [counts])

    def run_verifier(self, transcript: VerifierTranscript) -> list[InputClaim]:
        (claims,) = self.protocol.verify(transcript)
        return [
            InputClaim("values", claims.lookers[0]),
            InputClaim("multiplicities", claims.multiplicities),
        ]

    def soundness_terms(self) -> list[Term]:
        return self.protocol.soundness_terms()


@register("tlookup_inverses")
class TLookupInversesCase(_LookupCase):
    """tlookup with committed inverses; their commitment and opening are part of it."""

    benchmark = "tlookup_inverses"

    @property
    def protocol(self) -> TLookupInverses:
        return TLookupInverses(FIELD, (self.values,), self.size)

    def run_prover(self, transcript: ProverTranscript, timer: PhaseTimer) -> None:
        committed: list[ProverData] = []

        def commit(columns: dict[str, Array]) -> None:
            with timer.phase("commit"):
                committed.append(self.commit(transcript, columns, self.protocol.committed_shapes))

        counts = self.count(timer)
        with timer.phase("lookups"):
            claims = self.protocol.prove(transcript, self.where, self.lookers, counts, commit)
        with timer.phase("opening"):
            self.scheme.prove(transcript, self.where, [(committed[0], claims.columns)])

    def run_verifier(self, transcript: VerifierTranscript) -> list[InputClaim]:
        committed: list[Commitment] = []
        shapes = self.protocol.committed_shapes

        def receive() -> None:
            committed.append(self.receive_commitment(transcript, shapes))

        claims = self.protocol.verify(transcript, receive)
        self.scheme.verify(transcript, [(committed[0], claims.columns)])
        return [
            InputClaim("values", claims.looker),
            InputClaim("multiplicities", claims.multiplicities),
        ]

    def soundness_terms(self) -> list[Term]:
        shapes = self.protocol.committed_shapes
        return self.protocol.soundness_terms() + self.opening_terms(shapes, 4 * FIELD.degree)


@register("rescale")
class RescaleCase(ProtocolCase):
    """Accumulators divided by 2^shift: range checks of remainders and quotients, the identity."""

    benchmark = "rescale"
    limits = {"log_values": LOG_VALUES, "shift": (1, 16)}

    def __init__(self, params: dict[str, Any], target: str, seed: int) -> None:
        super().__init__(params, target, seed)
        self.values, self.shift = 1 << self.params["log_values"], self.params["shift"]
        self.protocol = Rescale(FIELD, (self.values,), self.shift)
        self.lookups = self.protocol.range_checks

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        quotients = rng.integers(MIN, MAX + 1, self.values, dtype=np.int16)
        remainders = rng.integers(0, 1 << self.shift, self.values, dtype=np.uint16)
        accumulators = (quotients.astype(np.int64) << self.shift) + remainders
        accumulators -= 1 << (self.shift - 1)
        inputs = {"quotients": quotients, "remainders": remainders, "accumulators": accumulators}
        return inputs | self._multiplicities(remainders, quotients.astype(np.int32) - MIN)

    def _multiplicities(self, *values: np.ndarray) -> dict[str, np.ndarray]:
        """By number of the lookup; a table for both counts both."""
        groups = [values] if len(self.lookups) == 1 else [values[:1], values[1:]]
        return {
            f"multiplicities {k}": _counts(np.concatenate(group), self.lookups[k].size)
            for k, group in enumerate(groups)
        }

    def prepare(self) -> None:
        remainders, self.quotients = (
            self.where.to_device(self.inputs[name]) for name in ("remainders", "quotients")
        )
        both = [remainders, self.quotients]
        self.lookers = [both] if len(self.lookups) == 1 else [both[:1], both[1:]]

    def run_prover(self, transcript: ProverTranscript, timer: PhaseTimer) -> None:
        with timer.phase("witness"):
            pairs = zip(self.lookups, self.lookers, strict=True)
            counts = [multiplicities(self.where, *pair) for pair in pairs]
        with timer.phase("lookups"):
            lookup = TLookup(FIELD, self.lookups)
            claims = lookup.prove(transcript, self.where, self.lookers, counts)
        with timer.phase("sumchecks"):
            remainder = claims[0].lookers[0]
            self.protocol.prove(transcript, self.where, self.quotients, remainder)

    def run_verifier(self, transcript: VerifierTranscript) -> list[InputClaim]:
        claims = TLookup(FIELD, self.lookups).verify(transcript)
        remainder, ranged = (value for claim in claims for value in claim.lookers)
        accumulator, quotient = self.protocol.verify(transcript, remainder)
        named = {"accumulators": accumulator, "remainders": remainder}
        named |= {f"multiplicities {k}": c.multiplicities for k, c in enumerate(claims)}
        on_quotients = [InputClaim("quotients", value) for value in (ranged, quotient)]
        return on_quotients + [InputClaim(*pair) for pair in named.items()]

    def soundness_terms(self) -> list[Term]:
        return self.protocol.soundness_terms()


@register("relu")
class ReluCase(ProtocolCase):
    """ReLU of 16-bit values by logUp*, from a claim on its output at a random point.

    The prover sends that claim's value; set-up works it out, untimed. The pushed-forward vector is
    committed and opened: that is part of logUp*.
    """

    benchmark = "relu"
    limits = {"log_values": LOG_VALUES}

    def __init__(self, params: dict[str, Any], target: str, seed: int) -> None:
        super().__init__(params, target, seed)
        self.values = 1 << self.params["log_values"]
        self.shape: Shape = (self.values,)
        self.protocol = LogupStar(FIELD, Relu(16), (self.shape,))
        size = self.protocol.table_size
        self.pushed_shapes: dict[str, Shape] = {f"pushed{d}": (size,) for d in range(FIELD.degree)}

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"values": rng.integers(MIN, MAX + 1, self.values, dtype=np.int16)}

    def prepare(self) -> None:
        values = self.inputs["values"]
        self.indices = self.where.to_device(values)
        self.claimed = extension(np.maximum(values, 0), self.first_point(self.shape))

    def _claim(self, point: tuple[tuple[Element, ...], ...], value: Element) -> list[OutputClaim]:
        return [OutputClaim(0, AxisWeights.at(point), value)]

    def _on_pushed(self, claims: LogupStarClaims) -> list[Claim]:
        return [
            Claim(name, AxisWeights.at(column.point), column.value)
            for columns in claims.pushed
            for name, column in zip(self.pushed_shapes, columns, strict=True)
        ]

    def run_prover(self, transcript: ProverTranscript, timer: PhaseTimer) -> None:
        committed: list[ProverData] = []

        def commit(pushed: Array) -> None:
            with timer.phase("commit"):
                columns = split_columns(self.where, FIELD, pushed, self.protocol.table_size)
                tensors = dict(zip(self.pushed_shapes, columns, strict=True))
                committed.append(self.commit(transcript, tensors, self.pushed_shapes))

        claim = self._claim(self.draw_point(transcript, self.shape), self.claimed)
        transcript.send("claim", [self.claimed])
        with timer.phase("lookups"):
            claims = self.protocol.prove(transcript, self.where, [self.indices], claim, commit)
        with timer.phase("opening"):
            self.scheme.prove(transcript, self.where, [(committed[0], self._on_pushed(claims))])

    def run_verifier(self, transcript: VerifierTranscript) -> list[InputClaim]:
        committed: list[Commitment] = []

        def receive() -> None:
            committed.append(self.receive_commitment(transcript, self.pushed_shapes))

        point = self.draw_point(transcript, self.shape)
        (value,) = transcript.receive("claim", 1)
        claims = self.protocol.verify(transcript, self._claim(point, value), receive)
        self.scheme.verify(transcript, [(committed[0], self._on_pushed(claims))])
        return [InputClaim("values", claims.indices[0])]

    def soundness_terms(self) -> list[Term]:
        opening = self.opening_terms(self.pushed_shapes, 2 * FIELD.degree)
        return self.protocol.soundness_terms(1) + opening
