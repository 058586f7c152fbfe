"""Training whose ReLU is proven by bits: the same runs, the same lies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counted import Counted, CountingTranscript, require_terms
from lying_training import at, bump
from test_malicious_training import STEP, WHERE, flipped
from test_training_completeness import SHAPES, require_the_same_tensors
from test_training_soundness import claims_of
from training_proof import (
    KINDS,
    TARGET,
    WRONG_OPENING,
    WRONG_PRODUCT,
    Case,
    case_of,
    forge,
    make_case,
    rejected,
    rule_of,
    tensors_of,
)
from training_run import FEW_BITS, RunCase, begin, small_run_rule

from zkbench.errors import UnusableInput
from zkbench.kernels.launch import CpuTarget
from zkbench.protocols.training_relu import ReluFromBits, SumsFromBits

NOT_BITS = "a committed bit is not 0 or 1"
NOT_RELU = "a ReLU's output is not active times low"


@pytest.fixture(scope="module")
def case() -> Case:
    """With softmax and momentum."""
    return case_of(*KINDS[0], "bits")


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(map(str, shape["dims"])))
def test_runs_of_any_shape(shape: dict[str, Any]) -> None:
    options = dict(shape)
    kind = KINDS[SHAPES.index(shape) % 4]
    rule = rule_of(*kind, options.pop("dims"), options.pop("batch", 4))
    found = make_case(rule, **options, relu="bits")
    require_the_same_tensors(found)
    forgery = forge(found)
    assert forgery.outside == set()
    forgery.verify()


def test_hidden_layers_have_no_tables_left(case: Case) -> None:
    segment, by_tables = case.segment, case_of(*KINDS[0]).segment
    assert [lookup.name for lookup in segment.lookups] == ["exponentials"]
    kinds = [type(one) for one in segment.operators]
    assert kinds.count(SumsFromBits) == kinds.count(ReluFromBits) == len(segment.hidden)
    checked = {check.name for check in segment.program.checks.checks}
    dropped = {check.name for check in by_tables.program.checks.checks} - checked
    assert dropped == {f"y{s}.remainders" for s in segment.hidden}
    assert {f"bits{s}" for s in segment.hidden} <= set(segment.witness_shapes)
    assert not {f"y{s}" for s in segment.hidden} & set(segment.witness_shapes)


def test_the_same_proof_whatever_memory_and_threads_there_are(case: Case) -> None:
    targets = [CpuTarget(*one) for one in ((1, None), (3, 1 << 14))]
    proofs = {forge(case, target=target).proof for target in (TARGET, *targets)}
    assert len(proofs) == 1


@pytest.mark.parametrize(
    "options",
    [{}, {"rule": small_run_rule(0), "steps": 3, "segment": 1, "stacked": False}],
    ids=["stacked", "sequential"],
)
def test_a_run_and_its_proof(options: dict[str, Any], tmp_path: Path) -> None:
    found = RunCase.of(begin(tmp_path / "run", **options, relu="bits"))
    assert found.public.relu == found.public.to_json()["relu"] == "bits"
    assert found.verify() >= FEW_BITS
    by_tables = replace(found.public, relu="table")
    statement = replace(found.statement, model=by_tables.digest)
    assert found.rejection(statement=statement, public=by_tables)
    with pytest.raises(UnusableInput, match="holds another run"):
        begin(tmp_path / "run", **options)


def test_the_terms_of_every_operator_cover_its_challenges(case: Case) -> None:
    forgery, program = forge(case), case.segment.program
    noted: list[tuple[Any, int]] = []
    counted = tuple(Counted(one, noted) for one in program.operators)
    forgery.statement.verify(forgery.proof, CountingTranscript, replace(program, operators=counted))
    assert len(noted) == len(program.operators)
    ours = [pair for pair in noted if isinstance(pair[0], SumsFromBits | ReluFromBits)]
    require_terms(program.field, [pair for pair in noted if pair not in ours])
    for operator, drawn in ours:  # their point is used twice, and there may be more claims
        terms = operator.soundness_terms(program.field)
        assert 0 < drawn <= sum(2 ** (program.field.bits - term.bits) for term in terms) + 1e-6


@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize("dims", [(2, 3), (3, 2, 3, 2, 3, 2, 3), (2,) * 9])
def test_there_may_be_as_many_claims_as_there_are(dims: tuple[int, ...], stacked: bool) -> None:
    """On any one commitment, and on the outputs of any one stack."""
    found = make_case(rule_of("square", 3600, dims), steps=1, stacked=stacked, relu="bits")
    claims, most = claims_of(found)
    assert sum(n for name, n in claims.items() if name in found.segment.witness_shapes) <= most


# Lies. All sums that follow from one are right.


@pytest.mark.parametrize(
    ("layer", "sign"), [(1, "zero"), (1, "negative"), (2, "positive"), (3, "negative")]
)
def test_a_derivative_flipped(case: Case, layer: int, sign: str) -> None:
    rejected(WRONG_OPENING, case, flipped(case, layer, WHERE[sign]))


def test_a_derivative_flipped_where_it_is_said_too(case: Case) -> None:
    change = flipped(case, 1, WHERE["zero"])
    rejected(WRONG_OPENING, case, change, edit=lambda tensors: {"signs0": tensors["active1"]})


@pytest.mark.parametrize("layer", [0, 2])
def test_an_activation_that_is_not_the_relu(case: Case, layer: int) -> None:
    rejected(NOT_RELU, case, bump("a", STEP, layer))


def test_relu_left_out(case: Case) -> None:
    rejected(NOT_RELU, case, at("a", 0, 1, lambda a: a - 1000))


def test_a_quotient_rounded_the_other_way(case: Case) -> None:
    """Where it is positive, so that the next layer reads another number; the sum's bits are right."""

    def change(y: np.ndarray) -> np.ndarray:
        return y + (y == y.max())

    rejected(NOT_RELU, case, at("y", STEP, 1, change))


def test_bits_of_another_sum(case: Case) -> None:
    """The lowest bit of one entry."""

    def other(tensors: dict[str, Any]) -> dict[str, Any]:
        bits = tensors["bits1"].copy()
        bits[0] ^= 1
        return {"bits1": bits}

    rejected(WRONG_PRODUCT, case, edit=other)


def a_two(case: Case) -> dict[str, Any]:
    """Of one entry, 2 in the place of the 1 of the bit above it: the same sum."""
    bits = tensors_of(case)["bits1"].copy()
    low, *place = (index[0] for index in np.nonzero((bits[:-1] == 0) & (bits[1:] == 1)))
    bits[(low, *place)], bits[(low + 1, *place)] = 2, 0
    return {"bits1": bits}


def test_bits_that_are_none(case: Case) -> None:
    rejected(NOT_BITS, case, edit=lambda _: a_two(case))


def a_negative_sum(case: Case) -> dict[str, Any]:
    """The sign's bit of an entry is -1 and the one below it 3 to make up for it."""
    bits = tensors_of(case)["bits1"].copy()
    place = tuple(index[0] for index in np.nonzero(bits[-1] == 1))
    bits[(-1, *place)] -= 2
    bits[(-2, *place)] += 4
    return {"bits1": bits}


def test_a_sign_that_is_made_up_for(case: Case) -> None:
    rejected(NOT_BITS, case, edit=lambda _: a_negative_sum(case))


def test_bits_of_another_step(case: Case) -> None:
    def other(tensors: dict[str, Any]) -> dict[str, Any]:
        bits = tensors["bits0"].reshape(case.segment.bits(0))
        return {"bits0": np.roll(bits, 1, axis=1)}

    rejected(WRONG_PRODUCT, case, edit=other)
