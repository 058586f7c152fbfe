"""A training proof shows its own statement and no other, also where all headers say otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from training_proof import FORMATS
from training_run import (
    OTHER_PARAMETERS,
    OTHER_SEGMENTS,
    OTHER_STATEMENT,
    SEGMENT,
    STEPS,
    RunCase,
    outer,
)

from zkbench import binding
from zkbench.errors import UnusableInput
from zkbench.proof import Message, Proof, ProofRejected
from zkbench.training import verify_segment, verify_training
from zkbench.training_statement import Plan, TrainingCommitment, TrainingStatement
from zkbench.transcript import VerifierTranscript

OTHER_RUN = "the statement is about another run than the commitment"
OTHER_MODEL = "the statement is about another model"


def about(case: RunCase, **changes: Any) -> tuple[TrainingCommitment, TrainingStatement]:
    """The commitment with these changes, and the statement about it."""
    public = replace(case.public, **changes)
    return public, TrainingStatement.of(public, case.statement.seed, case.statement.steps)


def plan_of(
    statement: TrainingStatement, public: TrainingCommitment, segment: int = SEGMENT
) -> Plan:
    return Plan(public, statement, segment)


def dressed(case: RunCase, statement: TrainingStatement, public: TrainingCommitment) -> bytes:
    """The proof with all headers as they should be for another statement: what rejects is the proof."""
    plan, messages = plan_of(statement, public), list(outer(case).messages)
    for index in range(min(plan.cut.count, len(messages) // 2)):
        header = binding.header(plan.segment_protocol(index), statement)
        part = Proof.from_bytes(messages[2 * index + 1].payload)
        messages[2 * index + 1] = Message("segment", Proof(header, part.messages).to_bytes())
    header = binding.header(plan.protocol(), statement)
    return Proof(header, messages[: 2 * plan.cut.count]).to_bytes()


def test_another_last_root(case: RunCase, other: RunCase) -> None:
    """The proof leads to its own run's state, and the statement names another."""
    public, statement = about(case, roots=replace(case.public.roots, last=other.public.roots.last))
    assert case.rejection(dressed(case, statement, public), statement, public)
    empty = Proof(binding.header(plan_of(statement, public).protocol(), statement))
    assert case.rejection(empty.to_bytes(), statement, public) == OTHER_SEGMENTS


STATEMENTS = {"seed": 8, "steps": STEPS - 1}


@pytest.mark.parametrize("key", STATEMENTS)
def test_another_statement(case: RunCase, key: str) -> None:
    """Four steps end in two segments as well; but the second one's proof is not the last's."""
    statement = replace(case.statement, **{key: STATEMENTS[key]})
    assert case.rejection(statement=statement) in (OTHER_STATEMENT, OTHER_PARAMETERS)
    assert case.rejection(dressed(case, statement, case.public), statement)
    for steps in (STEPS + 1, STEPS + 2):
        more = replace(case.statement, steps=steps)
        assert case.rejection(dressed(case, more, case.public), more)


def commitments(case: RunCase) -> dict[str, dict[str, Any]]:
    rule, roots = case.public.rule, case.public.roots
    square = replace(rule, loss="square", formats=FORMATS["square"], rate=(20, 12))
    return {
        "rate": {"rule": replace(rule, rate=(21, 8))},
        "momentum": {"rule": replace(rule, momentum=3599)},
        "no momentum": {"rule": replace(rule, momentum=0)},
        "loss": {"rule": square},
        "dims": {"rule": replace(rule, dims=(4, 4, 4, 4, 2))},
        "formats": {"rule": replace(rule, formats=replace(rule.formats, weight=11))},
        "batch": {"rule": replace(rule, batch=5)},
        "samples": {"samples": 11},
        "stacked": {"stacked": False},
        "relu": {"relu": "bits"},
        "data": {"roots": replace(roots, data=roots.first)},
        "first": {"roots": replace(roots, first=roots.last)},
        "last": {"roots": replace(roots, last=roots.first)},
        "scheme": {"scheme": replace(case.public.scheme, security_bits=33)},
    }


NAMES = [
    *("rate", "momentum", "no momentum", "loss", "dims", "formats", "batch", "samples"),
    *("stacked", "relu", "data", "first", "last", "scheme"),
]


@pytest.mark.parametrize("name", NAMES)
def test_another_run(case: RunCase, name: str) -> None:
    """A statement about it is one about another model; nor does the proof show it as it is."""
    public, statement = about(case, **commitments(case)[name])
    assert case.rejection(statement=statement) == OTHER_MODEL
    assert case.rejection(public=public) == OTHER_MODEL
    reason = case.rejection(statement=statement, public=public)
    assert reason in (OTHER_PARAMETERS, OTHER_STATEMENT)
    assert case.rejection(dressed(case, statement, public), statement, public)


class FirstChallenge(Exception):
    """It was drawn, and this is all that was asked for."""


def first_challenge(
    case: RunCase, plan: Plan, index: int, states: tuple[bytes, bytes], patched: pytest.MonkeyPatch
) -> str:
    """Of the verification of a segment's proof, in a header that fits."""
    draw = VerifierTranscript.challenges

    def drawn(transcript: Any, label: str, count: int) -> Any:
        raise FirstChallenge(repr(draw(transcript, label, count)))

    messages = Proof.from_bytes(outer(case).messages[1].payload).messages
    proof = Proof(binding.header(plan.segment_protocol(index), plan.statement), messages)
    with patched.context() as within:
        within.setattr(VerifierTranscript, "challenges", drawn)
        with pytest.raises(FirstChallenge) as raised:
            verify_segment(plan, index, *states, proof.to_bytes())
    return str(raised.value)


def test_everything_public_is_bound_before_the_first_challenge(
    case: RunCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the roots of the states around a segment, which the outer proof says."""
    plan, states = plan_of(case.statement, case.public), (bytes(32), bytes([1] * 32))
    others = [about(case, **changes) for changes in commitments(case).values()]
    others += [(case.public, replace(case.statement, **{k: v})) for k, v in STATEMENTS.items()]
    others += [(case.public, replace(case.statement, model="0" * 64))]
    seen = [first_challenge(case, plan, index, states, monkeypatch) for index in range(3)]
    for other in ((states[0], bytes(32)), (bytes([1] * 32), states[1])):
        seen.append(first_challenge(case, plan, 0, other, monkeypatch))
    for public, statement in others:
        seen.append(first_challenge(case, plan_of(statement, public), 0, states, monkeypatch))
    seen.append(first_challenge(case, replace(plan, segment=1), 0, states, monkeypatch))
    assert len(set(seen)) == len(seen) == 3 + 2 + len(others) + 1


def test_a_statement_that_contradicts_its_commitment(case: RunCase) -> None:
    """It names the right model, and says something else about it."""
    statement = case.statement
    wrong = [
        replace(statement, rule=replace(statement.rule, rate=(21, 8))),
        replace(statement, samples=11),
        *(
            replace(statement, roots=replace(statement.roots, **{n: "0" * 64}))
            for n in ("data", "first", "last")
        ),
    ]
    for one in wrong:
        assert case.rejection(statement=one) == OTHER_RUN


def test_the_proof_of_another_run(case: RunCase, other: RunCase) -> None:
    assert case.rejection(other.proof) == OTHER_STATEMENT
    assert case.rejection(dressed(other, case.statement, case.public))


def test_fewer_bits_than_asked_for(case: RunCase) -> None:
    with pytest.raises(ProofRejected, match="its parameters give only .* bits of soundness"):
        verify_training(case.proof, case.statement, case.public)


# Files of strangers.


def test_commitments_that_no_run_has(case: RunCase) -> None:
    for key, value in (
        ("samples", 3),
        ("samples", 4.0),
        ("stacked", 1),
        ("relu", "other"),
        ("roots", {}),
    ):
        with pytest.raises(UnusableInput, match="x is malformed"):
            TrainingCommitment.from_json({**case.public.to_json(), key: value}, "x")


def test_statements_that_no_run_has(case: RunCase) -> None:
    for key, value in (
        ("steps", True),
        ("steps", 5.0),
        ("steps", 0),
        ("seed", -1),
        ("seed", 1 << 64),
    ):
        with pytest.raises(UnusableInput, match="x is malformed"):
            TrainingStatement.from_json({**case.statement.to_json(), key: value}, "x")
