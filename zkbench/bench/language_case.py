"""Benchmark of a language model: from a public prompt to the token behind it, nothing left out.

The statement is about a committed model. The verifying process commits to a shipped model anew, and
accepts no other root and no other number formats. A model with random weights stands for a checkpoint
of its shape; to commit to 13 billion weights anew would cost the verifier more than the prover. So the
root and the formats of random models come with the proof, as a model's owner would have published them
before, and what is shown is: the model behind this root continues this prompt with this token.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from zkbench.bench.commitment_case import make_scheme
from zkbench.bench.language_models import config_of, integer_model, measured_models, prompt
from zkbench.bench.memory import HostMemoryPeak
from zkbench.bench.plain_forward import plain_forward
from zkbench.bench.protocol_case import Limits, read_params
from zkbench.bench.registry import register
from zkbench.bench.sampling import timed
from zkbench.bench.timers import PhaseTimer
from zkbench.errors import UnusableInput
from zkbench.kernels.launch import target as find_target
from zkbench.language_memory import require_commit_memory, require_memory
from zkbench.language_plan import LanguagePlan
from zkbench.language_segments import LanguageProver, verify_segments
from zkbench.language_statement import LanguageCommitment, LanguageStatement
from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.formats import LanguageFormats
from zkbench.models.language.shipped import SHIPPED
from zkbench.placed_model import PlacedModel
from zkbench.progress import silent
from zkbench.proof import ProofRejected, canonical_json
from zkbench.protocols.language_tensors import committed_integers
from zkbench.protocols.program import Program
from zkbench.security import total_bits

_LENGTH_BYTES = 4
_WARM_BELOW_S = 60.0  # of a commitment that takes longer, compiling kernels is a small part


@dataclass(frozen=True)
class Told:
    """What the verifier is told besides the parameters: of the model's commitment, and the answer."""

    root: bytes
    formats: LanguageFormats
    chosen: int

    def to_bytes(self) -> bytes:
        told = {"chosen": self.chosen, "formats": self.formats.to_dict(), "root": self.root.hex()}
        return canonical_json(told)

    @classmethod
    def from_bytes(cls, data: bytes, config: LanguageModelConfig) -> Told:
        """Raises ProofRejected for anything but `to_bytes`'s result for a model of this shape."""
        try:
            told = json.loads(data)
            formats = LanguageFormats.from_dict(told["formats"])
            formats.check(config)
            read = cls(bytes.fromhex(told["root"]), formats, told["chosen"])
            fits = len(read.root) == 32 and type(read.chosen) is int
            fits = fits and 0 <= read.chosen < config.vocab and read.to_bytes() == data
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ProofRejected("the model's commitment or the token is malformed") from error
        if not fits:
            raise ProofRejected("the model's commitment or the token is malformed")
        return read


@register("language")
class LanguageCase:
    """``model``: a shipped model, or a published shape with random weights (see `language_models`).

    ``positions``: length of the prompt; a value is one of its tokens. ``scheme`` and ``johnson`` are
    those of the benchmark `commitment`. ``segment``, which may be left out: layers that are proven
    together. ``prove`` returns what the verifier is told and then the proof; ``proof_bytes`` counts the
    proof alone.
    """

    benchmark = "language"

    def __init__(self, params: dict[str, Any], target: str, seed: int) -> None:
        limits: Limits = {"model": measured_models(), "positions": (1, 1 << 14)}
        limits = {**limits, "scheme": ("whir", "ligero"), "johnson": (0, 1)}
        optional: Limits = {"segment": (1, max(config_of(one).layers for one in measured_models()))}
        self.params = read_params(self.benchmark, params, limits, optional)
        self.scheme = make_scheme(self.params["scheme"], self.params["johnson"])
        self.name, self.values = self.params["model"], self.params["positions"]
        self.target, self.seed, self.field = target, seed, self.scheme.field.name
        self.config = config_of(self.name)
        if self.values > self.config.max_positions:
            raise UnusableInput(
                f"language: {self.name} has {self.config.max_positions} positions, not {self.values}"
            )
        self.segment = self.params.get("segment", self.config.layers)
        if self.segment > self.config.layers:
            raise UnusableInput(
                f"language: {self.name} has {self.config.layers} layers, not {self.segment}"
            )
        self._expected: tuple[bytes, LanguageFormats] | None = None

    # The prover's side.

    def setup(self) -> None:
        """Make the model and commit to it; what that took goes into ``extra``."""
        self.where = find_target(self.target)
        self.tokens = prompt(self.name, self.values, self.seed)
        require_commit_memory(self.config, self.scheme, self.where)
        self.placed = PlacedModel.of(integer_model(self.name, self.seed), self.where)
        self._commit()
        told = Told(self.data.commitment.root, self.placed.model.formats, 0)
        self.planned = self._plan(told)
        require_memory(self.planned, self.where)
        self.where.reset_memory_peak()

    def _commit(self) -> None:
        """From weights in the host's memory to a root: cold, and, if that is soon done, again."""
        with HostMemoryPeak() as host:
            cold, _ = timed(self._commit_once)
            warm = cold if cold > _WARM_BELOW_S else timed(self._commit_once)[0]
        self.committing = {
            "commit_s": warm,
            "cold_commit_s": cold,
            "commit_host_peak_bytes": host.bytes,
            "commit_device_peak_bytes": self.where.memory_peak(),
        }

    def _commit_once(self) -> None:
        self.data: Any = None  # so that two are never held
        self.data, self.tensors = self.placed.commit(self.where, self.scheme)
        self.where.synchronise()

    def prove(self, timer: PhaseTimer) -> bytes:
        prover = LanguageProver(
            self.placed, self.data, self.tensors, self.where, timer, note=silent
        )
        proof, statement = prover.prove(self.planned)
        public = self.planned.public
        told = Told(public.root, public.formats, statement.chosen.tolist()[0]).to_bytes()
        return len(told).to_bytes(_LENGTH_BYTES, "little") + told + proof

    def proof_bytes(self, returned: bytes) -> int:
        """Size of the proof itself."""
        return len(self._split(returned)[1])

    # Both sides.

    def _plan(self, told: Told) -> LanguagePlan:
        """The statement that the told token is behind the prompt, and how its proof is cut."""
        public = LanguageCommitment(self.scheme, told.root, self.config, told.formats)
        last, chosen = np.array([self.values - 1]), np.array([told.chosen])
        statement = LanguageStatement(public.digest, self.tokens, last, chosen)
        return LanguagePlan(public, statement, self.segment)

    def _split(self, returned: bytes) -> tuple[bytes, bytes]:
        """(what the verifier is told, proof)."""
        start = _LENGTH_BYTES + int.from_bytes(returned[:_LENGTH_BYTES], "little")
        return returned[_LENGTH_BYTES:start], returned[start:]

    # The verifier's side.

    def setup_verifier(self) -> None:
        """Make the prompt; commit to a shipped model."""
        self.tokens = prompt(self.name, self.values, self.seed)
        if self.name not in SHIPPED:
            return
        model, where = integer_model(self.name, self.seed), find_target("cpu")
        data, _ = PlacedModel.of(model, where).commit(where, self.scheme)
        self._expected = data.commitment.root, model.formats

    def verify(self, returned: bytes) -> None:
        data, proof = self._split(returned)
        told = Told.from_bytes(data, self.config)
        if self._expected not in (None, (told.root, told.formats)):
            raise ProofRejected("the proof is about another model")
        try:
            plan = self._plan(told)
        except UnusableInput as error:
            raise ProofRejected(f"the model cannot be proven: {error}") from error
        verify_segments(plan, proof)

    # What the record says besides times and bytes.

    def soundness_bits(self) -> float:
        return total_bits(self.planned.soundness_terms())

    def extra(self) -> dict[str, Any]:
        """The commitment to the weights, the proof's sizes, and a plain forward pass beside it."""
        weights = self.committing | {"weights": committed_integers(self.config)}
        self.where.fit_workspace()
        forward = plain_forward(self.name, self.config, self.tokens, self.target)
        return weights | self._sizes() | forward

    def _sizes(self) -> dict[str, int]:
        """Values that a proof commits to, and values that it looks up in tables of either kind."""
        plan = self.planned
        programs = [plan.inference(index).program for index in range(plan.cut.count)]
        totals = map(Counter, map(_sizes_of, programs))
        return dict(sum(totals, Counter()))

    def synchronise(self) -> None:
        self.where.synchronise()

    def device_memory_peak(self) -> int | None:
        peak: int | None = self.where.memory_peak()
        return peak


def _sizes_of(program: Program) -> dict[str, int]:
    pushed = [lookup.pushed_shapes(program.field) for lookup in program.lookups]
    committed = [program.witness, program.checks.counts, *pushed]
    outputs = [shape for lookup in program.lookups for _, _, shape in lookup.outputs]
    return {
        "committed_values": sum(map(_entries, committed)),
        "range_checks": sum(prod(check.shape) for check in program.checks.checks),
        "table_lookups": sum(map(prod, outputs)),
    }


def _entries(shapes: Any) -> int:
    return sum(map(prod, shapes.values()))
