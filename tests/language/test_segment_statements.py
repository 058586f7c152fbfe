"""Proofs in segments: what is bound before the first challenge, what all errors add up to, and codes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
from bold_provers import BoldProgram
from cases.checkpoints import KINDS, integer_model, some_tokens
from counted import Counted, CountingTranscript, require_terms
from language_inference_case import SMALL
from segment_case import ASKED, LAYERS, TARGET, SegmentCase, case_of, of_opening, prove, split

from zkbench import binding
from zkbench.commitments.ligero import Ligero
from zkbench.commitments.schemes import Scheme, strengthened
from zkbench.language import commit_language_model, verify_language_inference
from zkbench.language_plan import LanguagePlan
from zkbench.language_segments import verify_segment
from zkbench.language_statement import LanguageCommitment
from zkbench.proof import Proof, ProofRejected
from zkbench.protocols.language_tensors import is_stacked
from zkbench.protocols.program import Program
from zkbench.security import total_bits
from zkbench.transcript import VerifierTranscript

Roots = tuple[bytes, ...]
FIRST, LAST = bytes(32), bytes([1] * 32)


@pytest.fixture(params=list(KINDS))
def case(request: pytest.FixtureRequest) -> SegmentCase:
    return case_of(request.param)


# What is bound.


class FirstChallenge(Exception):
    """It was drawn, and this is all that was asked for."""


def first_challenge(
    case: SegmentCase, plan: LanguagePlan, index: int, roots: Roots, patched: pytest.MonkeyPatch
) -> str:
    """Of the verification of a segment's proof, in a header that fits."""
    draw = VerifierTranscript.challenges

    def drawn(transcript: Any, label: str, count: int) -> Any:
        raise FirstChallenge(repr(draw(transcript, label, count)))

    part = next(m.payload for m in case.messages if m.label == "segment")
    header = binding.header(plan.segment_protocol(index), plan.statement)
    proof = Proof(header, Proof.from_bytes(part).messages)
    with patched.context() as within:
        within.setattr(VerifierTranscript, "challenges", drawn)
        with pytest.raises(FirstChallenge) as raised:
            verify_segment(plan, index, roots, proof.to_bytes())
    return str(raised.value)


def other_plans(case: SegmentCase) -> list[LanguagePlan]:
    """Of the same sizes, but of another model or statement."""
    plan, statement = case.plan, case.statement
    tokens, chosen = statement.tokens.copy(), statement.chosen.copy()
    tokens[0] ^= 1
    chosen[-1] ^= 1
    changes: list[dict[str, Any]] = [{"tokens": tokens}, {"chosen": chosen}]
    changes += [{"positions": ASKED - 1}, {"model": "0" * 64}]
    other = replace(case.committed.public, root=bytes(32))
    plans = [replace(plan, statement=replace(statement, **one)) for one in changes]
    return [*plans, replace(plan, public=other)]


def test_everything_public_is_bound_before_the_first_challenge(
    case: SegmentCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the roots of the boundaries, which the outer proof says, and the segment's place."""

    def seen_by(plan: LanguagePlan, index: int, *roots: bytes) -> str:
        return first_challenge(case, plan, index, roots, monkeypatch)

    plan, both = case.plan, (FIRST, LAST)
    seen = [seen_by(plan, 0, one) for one in both]
    seen += [seen_by(plan, 2, one) for one in both]
    seen += [seen_by(plan, 1, *two) for two in (both, (FIRST, FIRST), (LAST, LAST), both[::-1])]
    seen += [seen_by(replace(plan, segment=2), index, FIRST) for index in (0, 1)]
    seen += [seen_by(one, 0, FIRST) for one in other_plans(case)]
    assert len(set(seen)) == len(seen) == 2 + 2 + 4 + 2 + 5


def test_segments_name_their_layers(case: SegmentCase) -> None:
    """Segments in the middle of a model have the same script: names alone tell them apart."""
    plan = replace(case.plan, segment=2)
    said = [plan.segment_protocol(index) for index in range(2)]
    assert [(one["first_layer"], one["number_of_layers"]) for one in said] == [(0, 2), (2, 1)]
    assert all(one["segment"] == 2 for one in said)


# Errors.


def unproven(layers: int) -> LanguageCommitment:
    """Of a model that nobody committed to."""
    model = integer_model(replace(KINDS["llama"], layers=layers))
    return LanguageCommitment(SMALL, bytes(32), model.config, model.formats)


def test_errors_of_all_segments_between_the_first_and_the_last_are_added() -> None:
    public = unproven(7)
    for segment in (1, 2, 3, 4):
        plan = LanguagePlan.of_sizes(public, 11, 2, segment)
        each = [plan.inference(k).program.soundness_terms() for k in range(plan.cut.count)]
        each.append(of_opening(plan))
        assert total_bits(plan.soundness_terms()) == pytest.approx(total_bits(chain(*each)))


def test_segments_leave_the_weights_to_one_opening(case: SegmentCase) -> None:
    whole = LanguagePlan.of(case.plan.public, case.plan.statement).inference(0).program
    names = [term.name for term in whole.soundness_terms()]
    assert any("weights" in name for name in names)
    for index in range(LAYERS):
        program = case.plan.inference(index).program
        assert (program.deferred, whole.deferred) == ({"weights"}, set())
        assert not any("weights" in term.name for term in program.soundness_terms())


def test_proofs_have_as_many_bits_as_their_segments_leave(case: SegmentCase) -> None:
    bits = total_bits(case.plan.soundness_terms())
    assert case.verify(case.proof) == bits
    public = case.committed.public
    with pytest.raises(ProofRejected, match="its parameters give only"):
        verify_language_inference(case.proof, case.statement, public, bits + 0.01)


def test_each_segment_is_proven_with_the_stronger_scheme(case: SegmentCase) -> None:
    for index in range(LAYERS):
        assert case.plan.inference(index).scheme == case.plan.scheme
    stronger = SMALL.security_bits + 2
    assert case.plan.protocol()["commitment"] == {**SMALL.to_json(), "security_bits": stronger}


def verify_with(plan: LanguagePlan, index: int, proof: bytes, changed: Any) -> None:
    """A segment's proof, by the program that ``changed`` makes of the verifier's."""
    states, parts = split(proof)
    roots, inference = tuple(states[max(index - 1, 0) : index + 1]), plan.inference(index)
    transcript = CountingTranscript(inference.field, Proof.from_bytes(parts[index]))
    binding.bind(transcript, plan.public, plan.statement)
    transcript.bind("states", [root.hex() for root in roots])
    changed(inference.program).verify(transcript, plan.given(index, roots))
    transcript.finish()


@pytest.mark.parametrize("index", range(LAYERS))
def test_the_terms_of_every_operator_cover_its_challenges(case: SegmentCase, index: int) -> None:
    noted: list[tuple[Any, int]] = []

    def counted(program: Program) -> Program:
        found = tuple(Counted(one, noted) for one in program.operators)
        return replace(program, operators=found)

    verify_with(case.plan, index, case.proof, counted)
    assert len(noted) == len(case.plan.inference(index).program.operators)
    require_terms(SMALL.field, noted)


# Claims.


class Recorded(BoldProgram):
    """Notes the claims that are opened."""

    def _claims(self, ledger: Any, names: Any) -> Any:
        found = super()._claims(ledger, names)
        self.__dict__["claims"] = Counter(claim.tensor for one in found for claim in one)
        return found


def test_every_use_of_a_given_tensor_is_claimed(case: SegmentCase) -> None:
    """Of the layer in the middle: each of its matrices and biases, and both boundaries."""
    programs: list[BoldProgram] = []

    def recorded(honest: Program) -> BoldProgram:
        programs.append(Recorded.of(honest))
        return programs[0]

    verify_with(case.plan, 1, case.proof, recorded)
    inference = case.plan.inference(1)
    given = [name for shapes in inference.given_shapes.values() for name in shapes]
    claims = programs[0].__dict__["claims"]
    expected = {name: 1 for name in given if name.startswith("last.") or is_stacked(name)}
    uses = 5 if inference.config.norm_first else 4
    expected |= {name: uses for name in given if name.startswith("first.")}
    assert {name: claims[name] for name in given if claims[name]} == expected


# Codes.

WEAK_LIGERO = Ligero(queries=60, grinding_bits=3)


@pytest.mark.parametrize(("scheme", "vocab"), [(SMALL, 548), (WEAK_LIGERO, 676)])
def test_the_best_code_may_be_another_for_a_stronger_scheme(scheme: Scheme, vocab: int) -> None:
    """The model was committed with its own scheme's, and is opened with that."""
    model = integer_model(replace(KINDS["llama"], layers=LAYERS, vocab=vocab))
    committed = commit_language_model(model, TARGET, scheme)
    values = committed.public.commitment.layout.num_values
    assert strengthened(scheme, 2).code(values) != scheme.code(values)
    tokens = some_tokens(model.config, 11)
    proof, statement = prove(committed, tokens, 1)
    assert verify_language_inference(proof, statement, committed.public, 15.0) >= 15.0
