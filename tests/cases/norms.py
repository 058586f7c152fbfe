"""Cases of RMSNorm, with its lookups; the inputs are sent in the clear as well."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from random import Random
from typing import Any

import numpy as np

from cases.attention import require
from cases.case import FIELD, Case, Shape, receive_integers, send_integers
from cases.lookups import true_counts
from zkbench.kernels.launch import Target
from zkbench.protocols.norm_limbs import RMSNormWitness
from zkbench.protocols.range_checks import RangeChecks
from zkbench.protocols.rmsnorm import RMSNorm
from zkbench.quant.formats import QuantisationError
from zkbench.quant.rms_norm import IntegerRMSNorm
from zkbench.transcript import ProverTranscript, VerifierTranscript


@dataclass(frozen=True)
class RMSNormCase(Case):
    """RMSNorm alone. ``tensors``: the witness by name, of any integers.

    ``stated``: what is sent in place of a tensor that the prover works with.
    """

    name = "rmsnorm"
    layers: int = 1
    rows: int | Shape = 1
    width: int = 1
    epsilon: int = 4
    value_bits: int = 4
    tensors: dict[str, tuple[int, ...]] = field(default_factory=dict)
    stated: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @classmethod
    def random(cls, rng: Random, **parameters: Any) -> RMSNormCase:
        """Rows of any size that have a proof, zeros among them."""
        case = cls(**parameters)
        shape = case.protocol.shape
        most = int((1 << (3 * case.value_bits)) ** 0.5 / case.width**0.5)
        scales = [0, 1, 3, most]
        while True:
            rows = [rng.choice(scales) for _ in range(prod(shape[:-1]))]
            x = [rng.randint(-scale, scale) for scale in rows for _ in range(case.width)]
            try:
                return case.forward(x)
            except QuantisationError:
                scales.append(rng.choice(scales) // 2)

    def forward(self, x: list[int] | tuple[int, ...]) -> RMSNormCase:
        """The honest case of these inputs; raises QuantisationError."""
        array = np.array(x, dtype=np.int32).reshape(self.protocol.shape)
        trace = IntegerRMSNorm(self.epsilon, self.value_bits).forward(array)
        tensors = {"inputs": array, **vars(trace)}
        flat = {name: tuple(values.reshape(-1).tolist()) for name, values in tensors.items()}
        return replace(self, tensors=flat)

    def false_statements(self) -> list[Case]:
        """Another epsilon, another width, other ranges."""
        return [
            replace(self, epsilon=self.epsilon + 1),
            replace(self, width=self.width + 1),
            replace(self, value_bits=self.value_bits + 2),
        ]

    @property
    def protocol(self) -> RMSNorm:
        return RMSNorm(FIELD, self.layers, self.rows, self.width, self.epsilon, self.value_bits)

    @property
    def proving(self) -> RMSNorm:
        """The prover's own protocol; malicious ones replace it."""
        return self.protocol

    def witness(self, target: Target) -> RMSNormWitness:
        """Of wide types where lies are out of range."""
        arrays = {
            name: target.to_device(np.array(values, dtype=dtype_of(name, values)))
            for name, values in self.tensors.items()
        }
        return RMSNormWitness(**arrays)

    def counts(self) -> dict[str, tuple[int, ...]]:
        """How often each entry is looked up; what is outside is left out."""
        checks = RangeChecks(self.proving.range_checks)
        pairs = zip(checks.lookups, checks.lookers(self.tensors), strict=True)
        found = [true_counts(lookup, values) for lookup, values in pairs]
        return dict(zip(checks.counts, found, strict=True))

    @property
    def sent(self) -> dict[str, Shape]:
        protocol = self.protocol
        return {"inputs": protocol.shape, **protocol.committed_shapes}

    def prove(self, transcript: ProverTranscript, target: Target) -> Any:
        counts = self.counts()
        for name in self.sent:
            send_integers(transcript, name, self.stated.get(name, self.tensors[name]))
        for name, values in counts.items():
            send_integers(transcript, name, values)
        arrays = {name: np.array(values, dtype=np.uint64) for name, values in counts.items()}
        return self.proving.prove(transcript, target, self.witness(target), arrays)

    def verify(self, transcript: VerifierTranscript) -> Any:
        protocol = self.protocol
        shapes = {**self.sent, **protocol.counts}
        tensors: dict[str, Any] = {
            name: receive_integers(transcript, name, prod(shape)) for name, shape in shapes.items()
        }
        claims = protocol.verify(transcript)
        for claim in claims.committed:
            weighted = (claim.functional, claim.value)
            require(weighted, tensors[claim.tensor], shapes[claim.tensor], claim.tensor)
        for weighted in claims.inputs:
            require(weighted, tensors["inputs"], protocol.shape, "inputs")
        return claims


def dtype_of(name: str, values: tuple[int, ...]) -> Any:
    """The type that an honest prover has, or a wide one."""
    own = {"inputs": np.int32, "outputs": np.int16, "sums": np.int64}.get(name, np.uint16)
    limits = np.iinfo(own)
    return own if limits.min <= min(values) and max(values) <= limits.max else np.int64


def random_norm(rng: Random) -> RMSNormCase:
    """Any numbers of layers and rows, rows in blocks or not, and widths."""
    bits = rng.choice([2, 4, 6])
    return RMSNormCase.random(
        rng,
        layers=rng.choice([1, 2, 3]),
        rows=rng.choice([1, 2, 5, (3, 2), (1, 3), (2, 1, 3)]),
        width=rng.choice([1, 2, 3, 7, 8, 9, 17]),
        epsilon=rng.randint(4, 1 << bits),
        value_bits=bits,
    )
