"""What the microbenchmarks of protocols share: parameters, inputs, statement and verification.

The inputs are public and follow from the parameters and the seed (NumPy's PCG64), which stand in
the proof's header. A transcript absorbs that first, so no challenge comes before what it must depend
on.

A protocol ends in claims about its inputs. In a model these are claims on commitments; here the
verifier compares them with the inputs. That is no part of the protocol, so it is done once for each
proof that a case is given: in the runner it falls into the cold verification, and warm ones time
the protocol's verifier alone. It costs as much as reading the inputs, or less (`inputs`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from zkbench.bench.inputs import FIELD, Input, extension
from zkbench.bench.timers import PhaseTimer
from zkbench.commitments.claims import Value
from zkbench.commitments.interleaved import Commitment, ProverData
from zkbench.commitments.layout import Layout
from zkbench.commitments.schemes import DEFAULT, Scheme
from zkbench.errors import UnusableInput
from zkbench.kernels.launch import Array
from zkbench.kernels.launch import target as find_target
from zkbench.proof import Proof, ProofRejected
from zkbench.protocols.gkr import Shape, depth
from zkbench.protocols.sumcheck import split_point
from zkbench.security import Term, total_bits
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any
LOG_VALUES = (0, 30)  # limits of the parameter log_values
MIN, MAX = -(1 << 15), (1 << 15) - 1  # of signed inputs
# Of each parameter the least and the largest integer, or the words it may be.
Limits = Mapping[str, tuple[int, int] | tuple[str, ...]]


def read_params(
    benchmark: str, params: Any, limits: Limits, optional: Limits | None = None
) -> dict[str, Any]:
    """The parameters, all of them within their limits; raises UnusableInput.

    optional: limits of those that may be left out.
    """
    optional = optional or {}
    known = ", ".join({**limits, **optional})
    if not isinstance(params, dict):
        raise UnusableInput(f"{benchmark}: the parameters must be an object with {known}")
    for key in params:
        if key not in limits and key not in optional:
            raise UnusableInput(f"{benchmark}: unknown parameter {key}; known: {known}")
    present = {key: limit for key, limit in optional.items() if key in params}
    for key, limit in {**limits, **present}.items():
        if key not in params:
            raise UnusableInput(f"{benchmark}: the parameter {key} is missing")
        if not _is_within(params[key], limit):
            raise UnusableInput(
                f"{benchmark}: {key} must be {_in_words(limit)}, not {params[key]!r}"
            )
    return dict(params)


def _is_within(value: Any, limit: tuple[Any, ...]) -> bool:
    if isinstance(limit[0], str):
        return value in limit
    return type(value) is int and limit[0] <= value <= limit[1]


def _in_words(limit: tuple[Any, ...]) -> str:
    if isinstance(limit[0], str):
        return " or ".join(limit)
    return f"an integer from {limit[0]} to {limit[1]}"


@dataclass(frozen=True)
class InputClaim:
    """The multilinear extension of the input called ``name`` takes this value."""

    name: str
    claim: Value


class ProtocolCase:
    """One protocol on seeded inputs; a `Case` once the methods that raise are written.

    Class attributes: ``benchmark``, and ``limits``, what each parameter may be. ``scheme`` is the
    commitment scheme of what a protocol commits to.
    """

    benchmark: str
    limits: ClassVar[Limits]
    params: dict[str, Any]
    values: int
    inputs: dict[str, Any]  # of `Input`s
    scheme: Scheme = DEFAULT

    def __init__(self, params: dict[str, Any], target: str, seed: int) -> None:
        self.params = read_params(self.benchmark, params, self.limits)
        self.target, self.seed, self.field = target, seed, FIELD.name
        self._compared: set[bytes] = set()

    def draw(self, rng: np.random.Generator) -> Mapping[str, Input]:
        """The public inputs by name, in their shapes."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Bring to the target what the prover starts from."""
        raise NotImplementedError

    def run_prover(self, transcript: ProverTranscript, timer: PhaseTimer) -> None:
        raise NotImplementedError

    def run_verifier(self, transcript: VerifierTranscript) -> list[InputClaim]:
        """Run the protocol; the claims that it leaves on the inputs."""
        raise NotImplementedError

    def soundness_terms(self) -> list[Term]:
        raise NotImplementedError

    @property
    def header(self) -> dict[str, Any]:
        """The statement: it names the inputs, by parameters and seed, and the protocol."""
        return {
            "benchmark": self.benchmark,
            "commitment": self.scheme.to_json(),
            "field": self.field,
            "params": self.params,
            "seed": self.seed,
            "version": 2,
        }

    def setup_verifier(self) -> None:
        """Make the public inputs."""
        self.inputs = dict(self.draw(np.random.Generator(np.random.PCG64(self.seed))))

    def setup(self) -> None:
        self.where = find_target(self.target)
        self.setup_verifier()
        self.prepare()
        self.where.synchronise()
        self.where.reset_memory_peak()

    def prove(self, timer: PhaseTimer) -> bytes:
        transcript = ProverTranscript(FIELD, self.header)
        self.run_prover(transcript, timer)
        return transcript.finish()

    def verify(self, proof: bytes) -> None:
        """Accept or raise ProofRejected; the first time, a proof's claims meet the inputs."""
        parsed = Proof.from_bytes(proof)
        if parsed.header != self.header:
            raise ProofRejected("the proof is of another statement")
        transcript = VerifierTranscript(FIELD, parsed)
        claims = self.run_verifier(transcript)
        transcript.finish()
        if proof not in self._compared:
            self._compare(claims)
            self._compared.add(proof)

    def _compare(self, claims: Sequence[InputClaim]) -> None:
        for one in claims:
            if extension(self.inputs[one.name], one.claim.point) != one.claim.value:
                raise ProofRejected(f"the proof is not about the {one.name} of this case")

    def soundness_bits(self) -> float:
        return total_bits(self.soundness_terms())

    def synchronise(self) -> None:
        self.where.synchronise()

    def device_memory_peak(self) -> int | None:
        peak: int | None = self.where.memory_peak()
        return peak

    # What some protocols need besides.

    def draw_point(self, transcript: Any, shape: Shape) -> tuple[tuple[Element, ...], ...]:
        """A random point for a claim on a tensor of this shape, one an axis."""
        return tuple(split_point(transcript.challenges("point", depth(shape)), shape))

    def first_point(self, shape: Shape) -> tuple[tuple[Element, ...], ...]:
        """The point that is drawn first: no message precedes it, so set-up knows it."""
        return self.draw_point(ProverTranscript(FIELD, self.header), shape)

    def commit(
        self, transcript: ProverTranscript, tensors: dict[str, Array], shapes: Mapping[str, Shape]
    ) -> ProverData:
        data = self.scheme.commit(self.where, tensors, shapes)
        transcript.send_bytes("root", data.commitment.root)
        return data

    def receive_commitment(
        self, transcript: VerifierTranscript, shapes: Mapping[str, Shape]
    ) -> Commitment:
        return self.scheme.commitment(transcript.receive_bytes("root", 32), shapes)

    def opening_terms(self, shapes: Mapping[str, Shape], num_claims: int) -> list[Term]:
        num_values = Layout.of(shapes).num_values
        terms = self.scheme.opening_terms({"committed": (num_values, num_claims)})
        return [Term(name, bits) for name, bits in terms]
