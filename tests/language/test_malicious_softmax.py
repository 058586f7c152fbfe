"""Provers of language models that are honest but for one stated lie: attention inside of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from language_proof import (
    MASKED_WEIGHT,
    NOT_IN_TABLE,
    NOT_THE_TABLES,
    WRONG_MEAN,
    WRONG_ROTATION,
    WRONG_SCORE,
    Case,
    case_of,
    forge,
    rejected,
    witness,
)
from lying_forward import Change, bump, replaced

LAYER, HEAD, ROW = 1, 2, 9


def tolerance(case: Case) -> int:
    """What is proven: the power of two above the formats' tolerance."""
    return 1 << case.model.formats.tolerance.bit_length()


@pytest.fixture(scope="module", params=["llama", "opt"])
def case(request: pytest.FixtureRequest) -> Case:
    return case_of(request.param)


@pytest.fixture(scope="module")
def llama() -> Case:
    return case_of("llama")


# The softmax: shifts and row sums.


def row_sum(case: Case, change: Change) -> int:
    """Of the row that the lies are about, less what it should be."""
    shape = case.inference.shape
    sums = witness(case, change)["attention.row_sums"].reshape(shape.layers, shape.heads, -1)
    return int(sums[LAYER, HEAD, ROW]) - (1 << case.model.formats.row_bits)


def scaled(by: int) -> Change:
    """A row's shift is another one; its indices and all that follows are those of that shift."""
    return bump("shift", LAYER, by, (HEAD, ROW))


def test_a_row_scaled_within_the_tolerance_is_accepted(case: Case) -> None:
    """The statement allows it: softmax is proven up to the tolerance, and this is what it means."""
    honest = row_sum(case, scaled(0))
    lie = scaled(1 if honest > 0 else -1)
    assert row_sum(case, lie) != honest
    assert abs(row_sum(case, lie)) < tolerance(case)
    forge(case, lie).verify()


@pytest.mark.parametrize("by", [60, -60, 1200])
def test_a_row_scaled_beyond_the_tolerance(case: Case, by: int) -> None:
    lie = scaled(by)
    if int(witness(case, lie)["t"].min()) < 0:
        pytest.skip("an index would be negative")
    assert abs(row_sum(case, lie)) > tolerance(case)
    rejected(NOT_IN_TABLE, case, lie, outside={"attention.row_sums"})
    rejected(NOT_THE_TABLES, case, lie, in_range=["attention.row_sums"])


def test_a_shift_that_is_not_the_scores(case: Case) -> None:
    def edit(tensors: dict[str, Any]) -> dict[str, Any]:
        low = tensors["attention.shift_low"].copy()
        low[7] ^= 1
        return {"attention.shift_low": low}

    rejected(WRONG_SCORE, case, edit=edit)


# Scores.


@pytest.mark.parametrize("by", [1, -1])
@pytest.mark.parametrize("place", [(HEAD, ROW, 8), (HEAD, ROW, 2), (HEAD, ROW, 10)])
def test_a_score_rounded_the_wrong_way(case: Case, by: int, place: Sequence[int]) -> None:
    """On the diagonal's block, left of it, and a masked one: its index is bound like the others."""
    lie = bump("t", LAYER, by, tuple(place))
    if int(witness(case, lie)["t"].min()) < 0:
        pytest.skip("an index would be negative")
    rejected(NOT_IN_TABLE, case, lie)
    rejected(WRONG_SCORE, case, lie, in_range=["attention.score_remainders"])


# The mask. Position 11 is padding behind the 11 tokens.


@pytest.mark.parametrize(("row", "column"), [(9, 10), (10, 11)])
def test_a_masked_position_without_its_mask(case: Case, row: int, column: int) -> None:
    """The next token, or the padding behind the prompt, is made visible."""
    lie = bump("t", LAYER, -(1 << 15), (HEAD, row, column))
    names = ["attention.score_remainders", "attention.row_sums"]
    rejected(NOT_IN_TABLE, case, lie)
    rejected(WRONG_SCORE, case, lie, in_range=names)


def leaking(case: Case) -> Change:
    """A masked score so far above the others of its row that the mask does not reach zero weights."""
    shift = case.model.formats.shifts["z"]
    values = {"q": 1 << (shift - 2), "k": (1 << 15) - 1000}

    def change(name: str, layer: int, tensor: np.ndarray) -> np.ndarray:
        if layer != LAYER or name not in values:
            return tensor
        lonely = np.zeros((len(tensor), tensor.size // len(tensor)), dtype=tensor.dtype)
        lonely[ROW if name == "q" else ROW + 1, : case.model.config.head_width] = values[name]
        return lonely.reshape(tensor.shape)

    return change


def test_a_masked_position_given_weight(case: Case) -> None:
    """All equations of the scores hold, for these queries and keys; only the weight is not allowed."""
    names = [f"{name}.remainders" for name in "qk"]
    names += [f"{name}_raw.remainders" for name in "qk"]
    t = witness(case, leaking(case), in_range=names)["t"]
    assert t.min() >= 0
    rejected(MASKED_WEIGHT, case, leaking(case), in_range=[*names, "attention.row_sums"])


# Heads, keys and values.


def test_heads_swapped(case: Case) -> None:
    lie = replaced("a", LAYER, lambda a: a[:, [1, 0, *range(2, a.shape[1])]])
    rejected(NOT_IN_TABLE, case, lie)
    rejected(WRONG_MEAN, case, lie, in_range=["attention.output_remainders"])


@pytest.mark.parametrize(("name", "reason"), [("q", WRONG_SCORE), ("k", WRONG_SCORE)])
def test_heads_of_queries_or_keys_swapped(case: Case, name: str, reason: str) -> None:
    def edit(tensors: dict[str, Any]) -> dict[str, Any]:
        shape = case.inference.program.witness[name]
        return {name: np.flip(tensors[name].reshape(shape), axis=3)}

    rejected(reason, case, edit=edit)


def test_heads_of_values_swapped(case: Case) -> None:
    def edit(tensors: dict[str, Any]) -> dict[str, Any]:
        shape = case.inference.program.witness["v"]
        return {"v": np.flip(tensors["v"].reshape(shape), axis=3)}

    rejected(WRONG_MEAN, case, edit=edit)


def test_keys_and_values_exchanged(case: Case) -> None:
    rejected(WRONG_SCORE, case, edit=lambda tensors: {"k": tensors["v"], "v": tensors["k"]})


# Rotation.


def rotated_by(name: str, angles: Any) -> Change:
    return replaced(f"angles of {name}", LAYER, angles)


@pytest.mark.parametrize("name", ["q", "k"])
def test_the_angle_of_another_position(llama: Case, name: str) -> None:
    lie = rotated_by(name, lambda angles: np.roll(angles, 1, axis=1))
    rejected(NOT_IN_TABLE, llama, lie)
    rejected(WRONG_ROTATION, llama, lie, in_range=[f"{name}.remainders"])


@pytest.mark.parametrize("name", ["q", "k"])
def test_queries_or_keys_that_were_not_rotated(llama: Case, name: str) -> None:
    def still(angles: np.ndarray) -> np.ndarray:
        return np.stack((np.full_like(angles[0], 1 << 14), np.zeros_like(angles[1])))

    lie = rotated_by(name, still)
    tensors = witness(llama, lie)
    shape = llama.inference.program.witness[name]
    unrotated = [tensors[one].reshape(shape)[LAYER] for one in (name, f"{name}_raw")]
    assert (unrotated[0] == unrotated[1]).all()
    rejected(WRONG_ROTATION, llama, lie, in_range=[f"{name}.remainders"])


def test_queries_rotated_backwards(llama: Case) -> None:
    lie = rotated_by("q", lambda angles: np.stack((angles[0], -angles[1])))
    rejected(WRONG_ROTATION, llama, lie, in_range=["q.remainders"])
