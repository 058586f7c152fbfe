"""What a training proof may err by: every challenge of its verifier is counted, and every claim."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bold_provers import BoldLookup, BoldProgram
from counted import Counted, CountingTranscript, require_terms
from training_proof import (
    KINDS,
    SAMPLES,
    SCHEME,
    SEED,
    TARGET,
    Case,
    case_of,
    forge,
    make_case,
    rule_of,
)

from zkbench.commitments.schemes import strengthened
from zkbench.errors import UnusableInput
from zkbench.models.training.rule import MAX_STEPS
from zkbench.protocols.training import TrainingSegment
from zkbench.security import total_bits
from zkbench.training_statement import Plan, Roots, TrainingCommitment, TrainingStatement


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"{kind[0]}-{kind[1]}")
def case(request: pytest.FixtureRequest) -> Case:
    return case_of(*request.param)


def test_the_terms_of_every_operator_cover_its_challenges(case: Case) -> None:
    forgery, program = forge(case), case.segment.program
    noted: list[tuple[Any, int]] = []
    counted = tuple(Counted(one, noted) for one in program.operators)
    forgery.statement.verify(forgery.proof, CountingTranscript, replace(program, operators=counted))
    assert len(noted) == len(program.operators)
    assert sum(drawn for _, drawn in noted) > 100
    require_terms(program.field, noted)


# Claims on committed tensors, by what leaves them.


class Recorded(BoldProgram):
    """Notes the claims that are opened."""

    def _claims(self, ledger: Any, names: Any) -> Any:
        found = super()._claims(ledger, names)
        self.__dict__["claims"] = Counter(claim.tensor for one in found for claim in one)
        return found


def claims_of(case: Case) -> tuple[dict[str, int], int]:
    """(number on each tensor, the largest number that a commitment may have)."""
    programs: list[BoldProgram] = []

    def recorded(honest: Any) -> BoldProgram:
        programs.append(Recorded.of(honest))
        return programs[0]

    forge(case, program=recorded)
    return dict(programs[0].__dict__["claims"]), programs[0].most_claims


QUOTIENT = RANGE = FORWARD = GRADIENT = BIAS_GRADIENT = BEHIND = LAST = TABLE = CARRIED = ZERO = 1
PRODUCTS = FORWARD + GRADIENT
ERRORS = (GRADIENT + BIAS_GRADIENT, *2 * (GRADIENT + BIAS_GRADIENT + BEHIND,))  # on e of each stack


def expected_claims(case: Case) -> dict[str, int]:
    """In a run of one segment. Stacks 0 to 2 are layer 0, layers 1 and 2, and layer 3."""
    expected = {"inputs": PRODUCTS + RANGE, "targets": ERRORS[2] + RANGE}
    for s in range(3):
        of_weights, of_biases = FORWARD + (BEHIND if s else 0), FORWARD
        expected[f"y{s}"] = QUOTIENT + 2 * TABLE
        expected[f"u{s}"] = QUOTIENT + RANGE + LAST + of_weights
        expected[f"v{s}"] = QUOTIENT + RANGE + LAST + of_biases
        for limb in ("high", "low"):
            expected[f"first.w{s}.{limb}"] = RANGE + LAST + of_weights
            expected[f"first.b{s}.{limb}"] = RANGE + LAST + of_biases
            expected |= {f"last.{name}{s}.{limb}": RANGE + LAST for name in "wb"}
    expected["d1"] = QUOTIENT + RANGE + ERRORS[0] + ERRORS[1]
    expected["d2"] = QUOTIENT + RANGE + ERRORS[1]
    expected["y2"] = QUOTIENT + RANGE
    return expected


def expected_of_loss(case: Case) -> dict[str, int]:
    if case.rule.loss == "square":
        return {"y2": ERRORS[2]}
    return {"y2": 2, "t": 2 + TABLE}  # a row's shift, at two places


def expected_of_momentum(case: Case) -> dict[str, int]:
    if not case.rule.momentum:
        return {}
    names = [f"{name}{s}" for name in "uv" for s in range(3)]
    found = dict.fromkeys(names, CARRIED + LAST)
    found |= {f"first.{name}": ZERO + CARRIED for name in names}
    return found | {f"last.{name}": LAST for name in names}


def test_every_use_of_a_tensor_is_claimed(case: Case) -> None:
    program = case.segment.program
    expected = Counter(expected_claims(case))
    expected.update(expected_of_loss(case))
    expected.update(expected_of_momentum(case))
    expected.update(dict.fromkeys(program.checks.counts, 1))
    for lookup in program.lookups:
        expected.update(dict.fromkeys(lookup.pushed_shapes(program.field), 2))
    claims, most = claims_of(case)
    assert claims == dict(expected)
    given = {name for shapes in program.given.values() for name in shapes}
    assert given | set(program.witness) <= set(expected)
    assert max(claims.values()) < most


def test_a_segment_between_others(case: Case) -> None:
    """Its momentum comes out of a range, and its last limbs are the next segment's to check."""
    inner = replace(case, segment=replace(case.segment, is_first=False, is_last=False))
    claims, whole = claims_of(inner)[0], claims_of(case)[0]
    changed = {name: (whole[name], n) for name, n in claims.items() if whole[name] != n}
    limbs = [
        f"last.{name}{s}.{limb}" for name in "wb" for s in range(3) for limb in ("high", "low")
    ]
    assert changed == dict.fromkeys(limbs, (RANGE + LAST, LAST))
    checked = {check.name for check in inner.segment.program.checks.checks}
    names = {f"first.{name}{s}" for name in "uv" for s in range(3)}
    assert names & checked == (names if case.rule.momentum else set())


@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize("dims", [(2, 3), (3, 2, 3, 2, 3, 2, 3), (2,) * 9])
def test_there_may_be_as_many_claims_as_there_are(dims: tuple[int, ...], stacked: bool) -> None:
    """On any one commitment, whatever the layers; a program that had more would stop its verifier."""
    case = make_case(rule_of("square", 3600, dims), steps=1, stacked=stacked)
    claims, most = claims_of(case)
    given = [set(shapes) for shapes in case.segment.given_shapes.values()]
    for names in (*given, set(case.segment.witness_shapes)):
        assert sum(n for name, n in claims.items() if name in names) <= most


# Weights of indices: logUp* shows the range of those that have one.


class Noted(BoldLookup):
    """Notes the claims on its outputs."""

    def take(self, ledger: Any) -> Any:
        found = super().take(ledger)
        self.__dict__["claims"] = found
        return found


@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize("dims", [(3, 2, 2, 2, 3), (2, 3, 2, 3, 2, 2), (1, 1, 1)])
def test_every_index_that_is_looked_up_has_a_weight(dims: tuple[int, ...], stacked: bool) -> None:
    """ReLU's, its derivative's and EXP's: the joined claims' weights vanish nowhere."""
    case = make_case(rule_of(*KINDS[0], dims), steps=2, stacked=stacked)
    honest = case.segment.program
    noted = [Noted(**vars(lookup)) for lookup in honest.lookups]
    forge(case, program=lambda one: BoldProgram.of(one, lookups=tuple(noted)))
    assert [one.name for one in noted] == ["relu", "signs", "exponentials"]
    gamma = honest.field.element(1234567, 7654321)
    for lookup in noted:
        for source, (_, _, shape) in enumerate(lookup.outputs):
            total, scale = [0] * int(np.prod(shape)), honest.field.element(1)
            for claim in lookup.__dict__["claims"]:
                if claim.source == source:
                    table = honest.field.unpack(claim.weights.table(TARGET, honest.field, shape))
                    total = [a + scale * b for a, b in zip(total, table, strict=True)]
                scale = scale * gamma
            assert all(weight != 0 for weight in total), (lookup.name, source)


# Terms.


def test_every_lookup_and_commitment_has_its_terms(case: Case) -> None:
    program = case.segment.program
    names = [term.name for term in program.soundness_terms()]
    assert names.count("lookup challenge") == names.count("fraction tree") == 1
    assert len(program.lookups) == (3 if case.rule.loss == "cross-entropy" else 2)
    for name in ("challenge", "claim combination", "indices in range", "fraction tree", "product"):
        assert names.count(f"logUp* {name}") == len(program.lookups)
    own = sum(len(one.soundness_terms(program.field)) for one in program.operators)
    for name in ("data", "first", "last", "witness", "counts", "relu", "signs"):
        assert any(name in term for term in names), name
    assert len(names) > own + 2 + 5 * len(program.lookups)


def plan_of(segments: int) -> Plan:
    """One step in each."""
    rule, roots = rule_of(*KINDS[0]), Roots(*3 * ("00" * 32,))
    public = TrainingCommitment(strengthened(SCHEME, 20), rule, SAMPLES, True, roots)
    return Plan(public, TrainingStatement.of(public, SEED, segments), 1)


@pytest.mark.parametrize("segments", [1, 2, 5])
def test_the_errors_of_all_segments_are_summed(segments: int) -> None:
    plan = plan_of(segments)
    each = [plan.program(k).program.soundness_terms() for k in range(segments)]
    together = total_bits([term for terms in each for term in terms])
    assert total_bits(plan.soundness_terms()) == pytest.approx(together)


def test_lookups_are_as_sound_as_many_segments_need() -> None:
    plan = plan_of(1 << 20)
    for index in (0, 1, (1 << 20) - 1):
        terms = plan.program(index).program.soundness_terms()
        names = ("lookup challenge", "logUp* challenge")
        bits = [term.bits for term in terms if term.name in names]
        assert len(bits) == 4
        assert min(bits) >= 123


# Bounds that the integers' equations rest on.


def test_weights_stay_below_2_to_the_32_in_a_segment() -> None:
    """Limbs in their ranges, less 2^14 updates of 16 bits each."""
    assert ((1 << 31) + MAX_STEPS * (1 << 15)) < 1 << 32
    rule = rule_of("square", 0, (1, 1), batch=1)
    rows = np.zeros((MAX_STEPS + 1, 1), dtype=np.int64)
    TrainingSegment(SCHEME, rule, 1, rows[1:])
    with pytest.raises(UnusableInput, match="a segment has 1 to 16384 steps, not 16385"):
        TrainingSegment(SCHEME, rule, 1, rows)


@pytest.mark.parametrize("rows", [[[0, 1, 2]], [[0, 1, 2, 10]], [[0, 1, -1, 2]]])
def test_rows_that_the_data_has_not(rows: list[list[int]]) -> None:
    segment = case_of(*KINDS[0]).segment
    with pytest.raises(UnusableInput, match="the rows of a segment do not fit"):
        replace(segment, rows=np.array(rows))
