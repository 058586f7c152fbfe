"""The public side of a training run: what was committed to, and the statement."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from zkbench import schemas
from zkbench.binding import digest_of
from zkbench.commitments.interleaved import Commitment
from zkbench.commitments.schemes import Scheme, scheme_from_json
from zkbench.errors import UnusableInput, malformed
from zkbench.models.training.batches import batch_rows
from zkbench.models.training.rule import MAX_STEPS, TrainingRule
from zkbench.protocols.training import RELUS, TrainingSegment, data_shapes, state_shapes
from zkbench.security import Term
from zkbench.segments import Cut

MAX_SAMPLES = 1 << 28
MAX_RUN = 1 << 24  # steps of a run


@dataclass(frozen=True)
class Roots:
    """Merkle roots, in hexadecimal: of the data, of the state before the run, and of that behind it."""

    data: str
    first: str
    last: str


@dataclass(frozen=True)
class TrainingCommitment:
    """A training run as everybody may know it: its rule, the size of its data, and three roots.

    stacked: False for a run whose proofs take every layer alone. relu: by what it is proven, "table" or
    "bits". Raises UnusableInput for fewer samples than a batch has.
    """

    scheme: Scheme
    rule: TrainingRule
    samples: int
    stacked: bool
    roots: Roots
    relu: str = RELUS[0]

    def __post_init__(self) -> None:
        if self.samples < self.rule.batch:
            raise UnusableInput(
                f"a batch of {self.rule.batch} from {self.samples} samples; use smaller batches"
            )

    @property
    def digest(self) -> str:
        """Identity of the run: a hash of everything in ``to_json``."""
        return digest_of(self.to_json())

    def data(self) -> Commitment:
        """What is behind the data's root."""
        return self.scheme.commitment(
            bytes.fromhex(self.roots.data), data_shapes(self.rule, self.samples)
        )

    def state(self, root: bytes, when: str) -> Commitment:
        """What is behind the root of a state that is a segment's "first" or "last"."""
        return self.scheme.commitment(root, state_shapes(self.rule, self.stacked, when))

    def to_json(self) -> dict[str, Any]:
        return {
            "format": "zkbench model commitment",
            "version": 1,
            "kind": "mlp-training",
            "scheme": self.scheme.to_json(),
            "rule": self.rule.to_json(),
            "samples": self.samples,
            "stacked": self.stacked,
            "relu": self.relu,
            "roots": asdict(self.roots),
        }

    @classmethod
    def from_json(cls, data: Any, what: str = "the training commitment") -> TrainingCommitment:
        """Read ``to_json``'s result; raises UnusableInput for anything else."""
        schemas.check("training_commitment", data, what)
        try:
            return cls(
                scheme_from_json(data["scheme"], UnusableInput),
                TrainingRule.from_json(data["rule"]),
                data["samples"],
                data["stacked"],
                Roots(**data["roots"]),
                data["relu"],
            )
        except UnusableInput as error:
            raise malformed(what)(str(error)) from error


@dataclass(frozen=True)
class TrainingStatement:
    """These steps of this rule, on batches of the committed data in this order, lead from the first
    state to the last. Rule and roots are the commitment's, repeated for whoever reads a statement."""

    model: str
    rule: TrainingRule
    samples: int
    roots: Roots
    seed: int
    steps: int

    @classmethod
    def of(cls, public: TrainingCommitment, seed: int, steps: int) -> TrainingStatement:
        return cls(public.digest, public.rule, public.samples, public.roots, seed, steps)

    @property
    def digest(self) -> str:
        return digest_of(self.to_json())

    def to_json(self) -> dict[str, Any]:
        return {
            "format": "zkbench statement",
            "version": 1,
            "kind": "mlp-training",
            "model": self.model,
            "rule": self.rule.to_json(),
            "samples": self.samples,
            "roots": asdict(self.roots),
            "seed": self.seed,
            "steps": self.steps,
        }

    @classmethod
    def from_json(cls, data: Any, what: str = "the statement") -> TrainingStatement:
        """Read ``to_json``'s result; raises UnusableInput for anything else."""
        schemas.check("training_statement", data, what)
        try:
            rule = TrainingRule.from_json(data["rule"])
        except UnusableInput as error:
            raise malformed(what)(str(error)) from error
        numbers = (data["seed"], data["steps"])
        return cls(data["model"], rule, data["samples"], Roots(**data["roots"]), *numbers)


@dataclass(frozen=True)
class Plan:
    """How the proof of a statement is cut: segments of ``segment`` steps, the last one with the rest.

    Raises UnusableInput for segments that weights might leave their range in.
    """

    public: TrainingCommitment
    statement: TrainingStatement
    segment: int

    def __post_init__(self) -> None:
        if not 1 <= self.segment <= MAX_STEPS:
            raise UnusableInput(f"segments have 1 to {MAX_STEPS} steps, not {self.segment}")

    @property
    def cut(self) -> Cut:
        return Cut(self.statement.steps, self.segment)

    def program(self, index: int) -> TrainingSegment:
        """The proof of one segment."""
        return self._segment(index, self._rows(*self.cut.bounds_of(index)))

    def _rows(self, first: int, count: int) -> np.ndarray:
        public = self.public
        return batch_rows(self.statement.seed, public.samples, public.rule.batch, first, count)

    def _segment(self, index: int, rows: np.ndarray) -> TrainingSegment:
        public, cut = self.public, self.cut
        parameters = public.scheme, public.rule, public.samples, rows, public.stacked
        ends = index == 0, index == cut.count - 1
        return TrainingSegment(*parameters, cut.security_bits, *ends, public.relu)

    def soundness_terms(self) -> list[Term]:
        """Every way in which a false statement may pass, with its bits."""
        return self.cut.terms(self._terms_of)

    def _terms_of(self, index: int) -> list[Term]:
        _, steps = self.cut.bounds_of(index)
        rows = np.zeros((steps, self.public.rule.batch), dtype=np.int64)
        return self._segment(index, rows).program.soundness_terms()

    def protocol(self) -> dict[str, Any]:
        """Canonical parameters of a proof: its domain separator."""
        public = self.public
        return {
            "protocol": "mlp-training",
            "version": 1,
            "field": public.scheme.field.name,
            "commitment": public.scheme.to_json(),
            "rule": public.rule.to_json(),
            "samples": public.samples,
            "stacked": public.stacked,
            "relu": public.relu,
            "steps": self.statement.steps,
            "segment": self.segment,
            "zero_knowledge": False,
        }

    def segment_protocol(self, index: int) -> dict[str, Any]:
        """The same of one segment."""
        first, count = self.cut.bounds_of(index)
        return {**self.protocol(), "first_step": first, "number_of_steps": count}
