"""Microbenchmark of zkReLU in both versions: by tables, and by bits as in zkDL (arXiv 2307.16273).

Both show the same: accumulators divided by 2^shift and rounded, the ReLU of that and its derivative,
from one claim on each of these two at a random point; what is left is a claim on the accumulators.
Whatever either version commits to, it commits to and opens here, and points are drawn after that. Set-up
works out what a training step's forward pass has anyway (quotients, remainders, outputs, derivatives),
untimed; multiplicities and bits are only for the proof, and are made in the phase "witness".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zkbench.bench.inputs import FIELD
from zkbench.bench.protocol_case import MAX, MIN, InputClaim, ProtocolCase
from zkbench.bench.registry import register
from zkbench.bench.timers import PhaseTimer
from zkbench.commitments.claims import AxisWeights, Claim, Value
from zkbench.commitments.interleaved import Commitment, ProverData
from zkbench.commitments.layout import Layout
from zkbench.kernels.inverses import split_columns
from zkbench.kernels.launch import Array
from zkbench.placement import place_on
from zkbench.protocols.causal_tiles import Weighted
from zkbench.protocols.evaluate import extension_of_integers
from zkbench.protocols.gkr import Shape
from zkbench.protocols.logup_star import LogupStar, LogupStarClaims, OutputClaim
from zkbench.protocols.rescale import Rescale
from zkbench.protocols.tables import Relu, Sign
from zkbench.protocols.tlookup import Lookup, LookupClaims, TLookup, multiplicities
from zkbench.protocols.zkrelu_bits import BitClaims, ReluClaims, ZkReluBits, relu_bits
from zkbench.security import Term
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any


class _ZkReluCase(ProtocolCase):
    """2^log_values accumulators, as a batch of about as many rows as columns."""

    benchmark = "zkrelu"
    limits = {"log_values": (0, 26), "shift": (1, 16), "variant": ("table", "bits")}

    def __init__(self, params: dict[str, Any], target: str, seed: int) -> None:
        super().__init__(params, target, seed)
        log_values, self.shift = self.params["log_values"], self.params["shift"]
        self.values = 1 << log_values
        self.shape: Shape = (1 << (log_values // 2), 1 << (log_values - log_values // 2))

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Every quotient and every remainder is as likely as any other."""
        half, size = 1 << (self.shift - 1), 1 << self.shift
        low, high = (MIN << self.shift) - half, ((MAX + 1) << self.shift) - half
        assert high - low == size << 16
        return {"accumulators": rng.integers(low, high, self.shape, dtype=np.int64)}

    def prepare(self) -> None:
        shifted = self.inputs["accumulators"] + (1 << (self.shift - 1))
        quotients = (shifted >> self.shift).astype(np.int16)
        self.outputs = [
            self.where.to_device(tensor)
            for tensor in (np.maximum(quotients, 0), (quotients >= 0).astype(np.int8))
        ]

    def tell(self, transcript: ProverTranscript) -> list[Weighted]:
        """The claims on outputs and derivatives, which the prover makes."""
        points = [self.draw_point(transcript, self.shape) for _ in self.outputs]
        values = [
            extension_of_integers(self.where, FIELD, tensor, self.shape, point)
            for tensor, point in zip(self.outputs, points, strict=True)
        ]
        transcript.send("claims", values)
        return _weighted(points, values)

    def listen(self, transcript: VerifierTranscript) -> list[Weighted]:
        """The same claims on the verifier's side."""
        points = [self.draw_point(transcript, self.shape) for _ in range(2)]
        return _weighted(points, transcript.receive("claims", 2))

    def joint_opening_terms(
        self, sizes: Mapping[str, tuple[Mapping[str, Shape], int]]
    ) -> list[Term]:
        """Of commitments to tensors of these shapes with so many claims, opened together."""
        opened = {name: (Layout.of(shapes).num_values, n) for name, (shapes, n) in sizes.items()}
        return [Term(*term) for term in self.scheme.opening_terms(opened)]


def _weighted(points: Sequence[Any], values: Sequence[Element]) -> list[Weighted]:
    return [(AxisWeights.at(p), value) for p, value in zip(points, values, strict=True)]


def _at(name: str, value: Value) -> Claim:
    return Claim(name, AxisWeights.at(value.point), value.value)


class ReluByBits(_ZkReluCase):
    """One commitment, to 16 + shift bits a value, and two sumchecks."""

    @property
    def protocol(self) -> ZkReluBits:
        return ZkReluBits(FIELD, self.shape, self.shift)

    @property
    def _committed(self) -> dict[str, Shape]:
        return {"bits": self.protocol.bits_shape}

    def prepare(self) -> None:
        super().prepare()
        self.accumulators = place_on(self.where)(self.inputs["accumulators"])

    def run_prover(self, transcript: ProverTranscript, timer: PhaseTimer) -> None:
        with timer.phase("witness"):
            bits = self.where.to_device(relu_bits(self.accumulators, self.shift))
        with timer.phase("commit"):
            data = self.commit(transcript, {"bits": bits}, self._committed)
        with timer.phase("sumchecks"):
            claims = self._claims(self.tell(transcript))
            found = self.protocol.prove(transcript, self.where, bits, claims)
        with timer.phase("opening"):
            self.scheme.prove(transcript, self.where, [(data, self._on_bits(found))])

    def run_verifier(self, transcript: VerifierTranscript) -> list[InputClaim]:
        commitment = self.receive_commitment(transcript, self._committed)
        found = self.protocol.verify(transcript, self._claims(self.listen(transcript)))
        self.scheme.verify(transcript, [(commitment, self._on_bits(found))])
        return [InputClaim("accumulators", found.accumulators)]

    def _claims(self, told: Sequence[Weighted]) -> ReluClaims:
        return ReluClaims(told[:1], told[1:])

    def _on_bits(self, found: BitClaims) -> list[Claim]:
        return [Claim("bits", *weighted) for weighted in found.bits]

    def soundness_terms(self) -> list[Term]:
        return self.protocol.soundness_terms(1) + self.joint_opening_terms(
            {"bits": (self._committed, 4)}
        )


class ReluByTables(_ZkReluCase):
    """Quotients and multiplicities are committed, and the vector that each of two logUp* pushes forward.

    Remainders have a range check, quotients are in range because they are indices.
    """

    def __init__(self, params: dict[str, Any], target: str, seed: int) -> None:
        super().__init__(params, target, seed)
        self.rescale = Rescale(FIELD, self.shape, self.shift)
        self.check = TLookup(FIELD, (Lookup(1 << self.shift, (self.shape,)),))
        self.tables = [LogupStar(FIELD, table, (self.shape,)) for table in (Relu(), Sign())]

    @property
    def _committed(self) -> dict[str, dict[str, Shape]]:
        """By commitment, in the order in which they are made."""
        shapes: dict[str, dict[str, Shape]] = {
            "quotients": {"quotients": self.shape},
            "counts": {"counts": (1 << self.shift,)},
        }
        for lookup in self.tables:
            name, size = lookup.table.name, lookup.table_size
            shapes[name] = {f"{name}.pushed{d}": (size,) for d in range(FIELD.degree)}
        return shapes

    def prepare(self) -> None:
        super().prepare()
        shifted = self.inputs["accumulators"] + (1 << (self.shift - 1))
        remainders = (shifted & ((1 << self.shift) - 1)).astype(np.uint16)
        self.remainders = self.where.to_device(remainders)
        self.quotients = self.where.to_device((shifted >> self.shift).astype(np.int16))

    def run_prover(self, transcript: ProverTranscript, timer: PhaseTimer) -> None:
        with timer.phase("witness"):
            (lookup,) = self.check.lookups
            counts = multiplicities(self.where, lookup, [self.remainders])
        with timer.phase("commit"):
            tensors = {"quotients": self.quotients, "counts": self.where.to_device(counts)}
            opened = [
                self.commit(transcript, {name: tensor}, self._committed[name])
                for name, tensor in tensors.items()
            ]
        with timer.phase("lookups"):
            (ranged,) = self.check.prove(transcript, self.where, [[self.remainders]], [counts])
        with timer.phase("sumchecks"):
            both = self.rescale.prove(transcript, self.where, self.quotients, ranged.lookers[0])
            told = self.tell(transcript)
        found = []
        for lookup_star, claim in zip(self.tables, told, strict=True):
            found.append(self._look_up(transcript, lookup_star, claim, opened, timer))
        with timer.phase("opening"):
            claims = self._claims(ranged, both[1], found)
            self.scheme.prove(transcript, self.where, list(zip(opened, claims, strict=True)))

    def _look_up(
        self,
        transcript: ProverTranscript,
        lookup: LogupStar,
        claim: Weighted,
        opened: list[ProverData],
        timer: PhaseTimer,
    ) -> LogupStarClaims:
        shapes = self._committed[lookup.table.name]

        def commit(pushed: Array) -> None:
            with timer.phase("commit"):
                columns = split_columns(self.where, FIELD, pushed, lookup.table_size)
                tensors = dict(zip(shapes, columns, strict=True))
                opened.append(self.commit(transcript, tensors, shapes))

        with timer.phase("lookups"):
            indices, outputs = [self.quotients], [OutputClaim(0, *claim)]
            return lookup.prove(transcript, self.where, indices, outputs, commit)

    def run_verifier(self, transcript: VerifierTranscript) -> list[InputClaim]:
        shapes = self._committed
        opened = [self.receive_commitment(transcript, shapes[n]) for n in ("quotients", "counts")]
        (ranged,) = self.check.verify(transcript)
        accumulators, quotients = self.rescale.verify(transcript, ranged.lookers[0])
        told, found = self.listen(transcript), []
        for lookup, claim in zip(self.tables, told, strict=True):
            found.append(self._verify_look_up(transcript, lookup, claim, opened))
        claims = self._claims(ranged, quotients, found)
        self.scheme.verify(transcript, list(zip(opened, claims, strict=True)))
        return [InputClaim("accumulators", accumulators)]

    def _verify_look_up(
        self,
        transcript: VerifierTranscript,
        lookup: LogupStar,
        claim: Weighted,
        opened: list[Commitment],
    ) -> LogupStarClaims:
        shapes = self._committed[lookup.table.name]

        def receive() -> None:
            opened.append(self.receive_commitment(transcript, shapes))

        return lookup.verify(transcript, [OutputClaim(0, *claim)], receive)

    def _claims(
        self, ranged: LookupClaims, quotients: Value, found: Sequence[LogupStarClaims]
    ) -> list[list[Claim]]:
        """On each commitment."""
        indices = [one.indices[0] for one in found]
        on_quotients = [_at("quotients", value) for value in (quotients, *indices)]
        on_pushed = [
            [_at(*pair) for columns in one.pushed for pair in zip(shapes, columns, strict=True)]
            for one, shapes in zip(found, list(self._committed.values())[2:], strict=True)
        ]
        return [on_quotients, [_at("counts", ranged.multiplicities)], *on_pushed]

    def soundness_terms(self) -> list[Term]:
        terms = self.check.soundness_terms()
        for lookup in self.tables:
            terms += lookup.soundness_terms(1)
        numbers = (3, 1, 2 * FIELD.degree, 2 * FIELD.degree)
        shapes = self._committed
        pairs = zip(shapes.items(), numbers, strict=True)
        return terms + self.joint_opening_terms({name: (s, n) for (name, s), n in pairs})


VARIANTS: dict[Any, type[_ZkReluCase]] = {"table": ReluByTables, "bits": ReluByBits}


@register("zkrelu")
def make_zkrelu(params: dict[str, Any], target: str, seed: int) -> _ZkReluCase:
    """Of the ``variant`` that the parameters name; a case checks these."""
    variant = params.get("variant") if isinstance(params, dict) else None
    return VARIANTS.get(variant, ReluByBits)(params, target, seed)
