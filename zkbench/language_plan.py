"""How the proof of a language model's inference is cut into segments of layers, and what joins them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from zkbench import segments
from zkbench.commitments.interleaved import Commitment
from zkbench.commitments.schemes import Scheme, with_codes_of
from zkbench.errors import UnusableInput
from zkbench.language_statement import LanguageCommitment, LanguageStatement
from zkbench.proof import Proof, ProofRejected
from zkbench.protocols.language_inference import LanguageInference
from zkbench.security import Term
from zkbench.segments import Cut


@dataclass(frozen=True)
class LanguagePlan:
    """The proof of a statement in segments of ``segment`` layers, the last one with the rest.

    All layers in one segment, which is the default, are one proof without anything around it. Raises
    UnusableInput for segments of more layers than there are.
    """

    public: LanguageCommitment
    statement: LanguageStatement
    segment: int

    def __post_init__(self) -> None:
        layers = self.public.config.layers
        if not 1 <= self.segment <= layers:
            raise UnusableInput(f"segments have 1 to {layers} layers, not {self.segment}")

    @classmethod
    def of(
        cls, public: LanguageCommitment, statement: LanguageStatement, segment: int | None = None
    ) -> LanguagePlan:
        """``segment``: all layers if None."""
        return cls(public, statement, public.config.layers if segment is None else segment)

    @classmethod
    def of_sizes(
        cls, public: LanguageCommitment, tokens: int, positions: int, segment: int | None = None
    ) -> LanguagePlan:
        """The same for some statement of these sizes, to know costs and soundness."""
        return cls.of(public, LanguageStatement.of_sizes(tokens, positions), segment)

    @property
    def cut(self) -> Cut:
        return Cut(self.public.config.layers, self.segment)

    @property
    def is_whole(self) -> bool:
        return self.cut.count == 1

    @property
    def scheme(self) -> Scheme:
        """The model's, as strong as all segments together need it; it opens codes of the model's."""
        committed = self.public.scheme
        if self.is_whole:
            return committed
        return with_codes_of(self.cut.strengthened(committed), committed)

    def layers(self, index: int) -> range:
        """Those of one segment."""
        first, count = self.cut.bounds_of(index)
        return range(first, first + count)

    def inference(self, index: int) -> LanguageInference:
        """The proof of one segment."""
        layers = self.layers(index)
        return replace(
            self.public.inference(self.statement),
            scheme=self.scheme,
            layers=(layers.start, layers.stop),
            security_bits=self.cut.security_bits,
        )

    def given(self, index: int, roots: tuple[bytes, ...]) -> list[Commitment]:
        """What a segment's proof opens beside its own: the model, and what ``roots`` join it to."""
        boundaries = self.inference(index).boundaries.values()
        return [
            self.public.commitment,
            *(
                self.scheme.commitment(root, one.shapes)
                for root, one in zip(roots, boundaries, strict=True)
            ),
        ]

    def soundness_terms(self) -> list[Term]:
        """Every way in which a false statement may pass, with its bits."""
        terms = self.cut.terms(lambda index: self.inference(index).program.soundness_terms())
        return terms if self.is_whole else terms + self._opening_terms()

    def _opening_terms(self) -> list[Term]:
        """Those of the opening of the weights, on which every segment leaves claims."""
        most = self.inference(0).program.most_claims * self.cut.count
        sizes = {"weights": (self.public.commitment.layout.num_values, most)}
        return [Term(*term) for term in self.scheme.opening_terms(sizes)]

    def protocol(self) -> dict[str, Any]:
        """Canonical parameters of a proof: its domain separator."""
        found = self.public.protocol(*self.statement.sizes)
        if self.is_whole:
            return found
        return {**found, "commitment": self.scheme.to_json(), "segment": self.segment}

    def segment_protocol(self, index: int) -> dict[str, Any]:
        """The same of one segment."""
        if self.is_whole:
            return self.protocol()
        layers = self.layers(index)
        return {**self.protocol(), "first_layer": layers.start, "number_of_layers": len(layers)}

    def opening_protocol(self) -> dict[str, Any]:
        """The same of the opening of the weights."""
        return {**self.protocol(), "opened": "weights"}


def claimed_plan(
    proof: bytes, statement: LanguageStatement, public: LanguageCommitment
) -> LanguagePlan:
    """How a proof says that it is cut; raises ProofRejected for what cannot be."""
    length = segments.claimed_length(Proof.from_bytes(proof))
    try:
        return LanguagePlan.of(public, statement, length)
    except UnusableInput as error:
        raise ProofRejected(str(error)) from error
