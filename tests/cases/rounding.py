"""Cases of rescale and arg-max, with the lookups that check their ranges."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from random import Random
from typing import Any

import numpy as np

from cases.case import (
    FIELD,
    Case,
    Shape,
    receive_integers,
    require_claim,
    send_integers,
)
from cases.lookups import functional_value, true_counts
from zkbench.kernels.launch import Target
from zkbench.proof import ProofRejected
from zkbench.protocols.argmax import ArgMax
from zkbench.protocols.rescale import Rescale
from zkbench.protocols.tlookup import Lookup, TLookup
from zkbench.transcript import ProverTranscript, VerifierTranscript


@dataclass(frozen=True)
class RescaleCase(Case):
    """acc + 2^(s-1) = 2^s y + rem, with the range checks of rem and, unless left out, of y."""

    name = "rescale"
    shape: Shape = (1,)
    shift: int = 2
    bits: int = 3
    accumulators: tuple[int, ...] = ()
    quotients: tuple[int, ...] = ()
    checks_quotients: bool = True

    @classmethod
    def random(cls, rng: Random, shape: Shape, shift: int = 2, bits: int = 3) -> RescaleCase:
        half = 1 << (shift - 1)
        low, high = -(1 << (bits - 1 + shift)) - half, (1 << (bits - 1 + shift)) - half
        accumulators = tuple(
            rng.choice([low, high - 1, rng.randrange(low, high)]) for _ in range(prod(shape))
        )
        quotients = tuple((a + half) >> shift for a in accumulators)
        return cls(
            shape=shape, shift=shift, bits=bits, accumulators=accumulators, quotients=quotients
        )

    @property
    def remainders(self) -> tuple[int, ...]:
        half, pairs = 1 << (self.shift - 1), zip(self.accumulators, self.quotients, strict=True)
        return tuple(a + half - (y << self.shift) for a, y in pairs)

    @property
    def lookups(self) -> tuple[Lookup, ...]:
        size = 1 << self.bits
        remainders = Lookup(1 << self.shift, (self.shape,))
        quotients = Lookup(size, (self.shape,), (size // 2,))
        return (remainders, quotients) if self.checks_quotients else (remainders,)

    @property
    def lookers(self) -> list[tuple[int, ...]]:
        return [self.remainders, self.quotients][: len(self.lookups)]

    def prove_quotient(
        self, transcript: ProverTranscript, target: Target, remainder: Any
    ) -> tuple[Any, Any]:
        """The protocol's own prover; malicious ones replace it."""
        quotients = target.to_device(np.array(self.quotients, dtype=np.int16))
        return Rescale(FIELD, self.shape, self.shift).prove(
            transcript, target, quotients, remainder
        )

    def prove(self, transcript: ProverTranscript, target: Target) -> Any:
        send_integers(transcript, "accumulators", self.accumulators)
        send_integers(transcript, "quotients", self.quotients)
        counts = [
            true_counts(lookup, [values])
            for lookup, values in zip(self.lookups, self.lookers, strict=True)
        ]
        for row in counts:
            send_integers(transcript, "counts", row)
        arrays = [[target.to_device(np.array(v, dtype=np.int64))] for v in self.lookers]
        claims = TLookup(FIELD, self.lookups).prove(
            transcript, target, arrays, [np.array(c, dtype=np.uint64) for c in counts]
        )
        return claims, self.prove_quotient(transcript, target, claims[0].lookers[0])

    def verify(self, transcript: VerifierTranscript) -> Any:
        count = prod(self.shape)
        accumulators = receive_integers(transcript, "accumulators", count)
        quotients = receive_integers(transcript, "quotients", count)
        counts = [receive_integers(transcript, "counts", lookup.size) for lookup in self.lookups]
        claims = TLookup(FIELD, self.lookups).verify(transcript)
        remainder = claims[0].lookers[0]
        remainder = replace(remainder, value=remainder.value + self.lie)
        scaled = Rescale(FIELD, self.shape, self.shift).verify(transcript, remainder)
        require_claim(scaled[0], accumulators, self.shape, "the accumulators")
        require_claim(scaled[1], quotients, self.shape, "the quotients")
        for lookup, claim, row in zip(self.lookups, claims, counts, strict=True):
            require_claim(claim.multiplicities, row, (lookup.size,), "the multiplicities")
        if self.checks_quotients:
            require_claim(claims[1].lookers[0], quotients, self.shape, "the quotients")
        return claims, scaled


@dataclass(frozen=True)
class ArgMaxCase(Case):
    """Labels are the first largest entries of rows of ``bits``-bit integers, range-checked here."""

    name = "argmax"
    rows: int = 1
    classes: int = 1
    bits: int = 3
    logits: tuple[int, ...] = ()
    labels: tuple[int, ...] = ()

    @classmethod
    def of(cls, logits: Any, bits: int = 3) -> ArgMaxCase:
        array = np.array(logits, dtype=np.int16)
        return cls(
            rows=array.shape[0],
            classes=array.shape[1],
            bits=bits,
            logits=tuple(array.reshape(-1).tolist()),
            labels=tuple(array.argmax(axis=1).tolist()),
        )

    @classmethod
    def random(cls, rng: Random, rows: int, classes: int, bits: int = 3) -> ArgMaxCase:
        """Few values, so many ties, and both ends of the range."""
        half = 1 << (bits - 1)
        choices = [-half, half - 1, rng.randrange(-half, half)]
        return cls.of([[rng.choice(choices) for _ in range(classes)] for _ in range(rows)], bits)

    def false_statements(self) -> list[Case]:
        """Every other label of the first row."""
        others = [k for k in range(self.classes) if k != self.labels[0]]
        return [replace(self, labels=(k, *self.labels[1:])) for k in others]

    @property
    def protocol(self) -> ArgMax:
        return ArgMax(FIELD, self.rows, self.classes)

    @property
    def lookups(self) -> tuple[Lookup, ...]:
        """Outputs and differences share one table."""
        size, outputs = 1 << self.bits, (1, self.rows, self.classes)
        return (Lookup(size, (outputs, (self.rows, self.classes)), (size // 2, 0)),)

    def differences(self) -> tuple[int, ...]:
        """As the protocol defines them; malicious provers range-check others."""
        logits = np.array(self.logits, dtype=np.int16).reshape(self.rows, self.classes)
        found = self.protocol.differences(logits, np.array(self.labels))
        return tuple(found.reshape(-1).tolist())

    def prove(self, transcript: ProverTranscript, target: Target) -> Any:
        transcript.bind("labels", list(self.labels))
        send_integers(transcript, "logits", self.logits)
        lookers = [self.logits, self.differences()]
        counts = true_counts(self.lookups[0], lookers)
        send_integers(transcript, "counts", counts)
        arrays = [target.to_device(np.array(v, dtype=np.int32)) for v in lookers]
        (claims,) = TLookup(FIELD, self.lookups).prove(
            transcript, target, [arrays], [np.array(counts, dtype=np.uint64)]
        )
        logits = np.array(self.logits, dtype=np.int16).reshape(self.rows, self.classes)
        labels = np.array(self.labels)
        return claims, self.protocol.prove(transcript, logits, labels, claims.lookers[1])

    def verify(self, transcript: VerifierTranscript) -> Any:
        transcript.bind("labels", list(self.labels))
        logits = receive_integers(transcript, "logits", self.rows * self.classes)
        counts = receive_integers(transcript, "counts", 1 << self.bits)
        (claims,) = TLookup(FIELD, self.lookups).verify(transcript)
        split_claims = self.protocol.verify(transcript, np.array(self.labels), claims.lookers[1])
        shape = (1, self.rows, self.classes)
        require_claim(claims.lookers[0], logits, shape, "the outputs")
        require_claim(claims.multiplicities, counts, (1 << self.bits,), "the multiplicities")
        for functional, value in split_claims:
            if functional_value(functional, logits, shape) != value:
                raise ProofRejected("a claim on the outputs is false")
        return claims, split_claims
