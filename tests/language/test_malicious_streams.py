"""Provers of language models that are honest but for one stated lie: what ties the layers together.

``case``: models of every kind. ``first``: those whose norms stand first, through which a residual
stream runs; test_malicious_sums.py has the lies about the others' sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from language_proof import (
    NOT_IN_TABLE,
    WRONG_LABELS,
    WRONG_OPENING,
    WRONG_PRODUCT,
    Case,
    case_of,
    forge,
    rejected,
    with_tensors,
    witness,
)
from lying_forward import Change, bump, replaced

from zkbench.models.language.integer_model import IntegerLanguageModel
from zkbench.models.language.integer_tensors import described_tensors
from zkbench.protocols.language_inference import LanguageInference

KINDS = ("llama", "opt", "norms last")


@pytest.fixture(scope="module", params=KINDS)
def case(request: pytest.FixtureRequest) -> Case:
    return case_of(request.param)


@pytest.fixture(scope="module", params=KINDS[:2])
def first(request: pytest.FixtureRequest) -> Case:
    return case_of(request.param)


# The residual stream: all that follows from a false one is honest.


def test_a_residual_skipped(first: Case) -> None:
    """A layer's norm, and all behind it, reads a stream that one part was not added to."""
    for name in ("added_o", "added_m"):
        rejected(WRONG_OPENING, first, replaced(name, 1, np.zeros_like))


def test_a_residual_added_twice(first: Case) -> None:
    rejected(WRONG_OPENING, first, replaced("added_m", 0, lambda added: 2 * added))


@pytest.mark.parametrize(("name", "layer"), [("x1", 0), ("x1", 2), ("x2", 1), ("xf", -1)])
def test_a_stream_off_by_one(first: Case, name: str, layer: int) -> None:
    rejected(WRONG_OPENING, first, bump(name, layer))


def stream(case: Case, name: str) -> np.ndarray:
    shape = (-1, len(case.inference.tokens), case.model.config.width)
    return witness(case)[name].reshape(shape)


@pytest.mark.parametrize(("name", "source"), [("x1", ("x1", 0)), ("x2", ("x1", 1))])
def test_a_norm_that_reads_another_part_of_the_stream(
    first: Case, name: str, source: tuple[str, int]
) -> None:
    """Another layer's, or the one before attention."""
    other = stream(first, source[0])[source[1]]
    rejected(WRONG_OPENING, first, replaced(name, 1, lambda _: other.astype(np.int64)))


def test_the_output_at_another_position(case: Case) -> None:
    """The final norm, or the output layer, reads the row before the one that is asked for."""
    other, name = case.inference.positions - 1, last_read(case)
    moved = replace(case.inference, positions=other)
    rows = witness(replace(case, inference=moved))[name].reshape(len(other), -1)
    rejected(WRONG_OPENING, case, replaced(name, -1, lambda _: rows.astype(np.int64)))


def test_the_outputs_exchanged(case: Case) -> None:
    rejected(WRONG_OPENING, case, replaced(last_read(case), -1, lambda rows: rows[::-1]))


def last_read(case: Case) -> str:
    """What is read of the layers behind them."""
    return "xf" if case.model.config.norm_first else "yf"


def swapped_layers(names: Sequence[str], case: Case) -> Callable[[dict[str, Any]], dict[str, Any]]:
    layers = case.model.config.layers

    def edit(tensors: dict[str, Any]) -> dict[str, Any]:
        return {name: tensors[name].reshape(layers, -1)[[1, 0, 2]] for name in names}

    return edit


@pytest.mark.parametrize("name", ["o", "m"])
def test_contributions_of_layers_swapped(case: Case, name: str) -> None:
    """Committed in another order, with or without the remainders."""
    edit = swapped_layers([name, f"{name}.remainders"], case)
    rejected(WRONG_PRODUCT, case, edit=edit)
    rejected(WRONG_PRODUCT, case, edit=swapped_layers([name], case))


# Weights: the whole proof is honest, about another model than the one that is committed.


def changed_model(case: Case, name: str, change: Callable[[Any], Any]) -> IntegerLanguageModel:
    tensor = change(case.model.tensor(name).copy())
    return with_tensors(case.model, {name: tensor})


def first_moved(tensor: np.ndarray) -> np.ndarray:
    tensor.reshape(-1)[0] += 1 if tensor.reshape(-1)[0] < 1000 else -1
    return tensor


def test_one_weight_replaced(case: Case) -> None:
    """Of each tensor of layer 1, and of those outside of the layers (padding reads embedding 0)."""
    names = [
        n for n in described_tensors(case.model.config) if n[:8] not in ("layers.0", "layers.2")
    ]
    assert len(names) >= 9
    for name in names:
        rejected(WRONG_OPENING, case, model=changed_model(case, name, first_moved))


def test_the_embedding_of_a_token_replaced(case: Case) -> None:
    token = int(case.inference.tokens[0])

    def moved(table: np.ndarray) -> np.ndarray:
        table[token, 0] ^= 1
        return table

    rejected(WRONG_OPENING, case, model=changed_model(case, "embedding", moved))


def test_layers_swapped(case: Case) -> None:
    """The model with the weights of two layers exchanged, where their formats are the same."""
    names = [n for n in described_tensors(case.model.config) if n.startswith("layers.0.")]
    others = [n.replace("layers.0.", "layers.1.") for n in names]
    pairs = [*zip(names, others, strict=True), *zip(others, names, strict=True)]
    model = with_tensors(case.model, {to: case.model.tensor(at) for at, to in pairs})
    rejected(WRONG_OPENING, case, model=model)


@pytest.mark.parametrize("names", [("q", "k"), ("k", "v")])
def test_matrices_exchanged(case: Case, names: tuple[str, str]) -> None:
    first, second = (f"layers.1.{name}" for name in names)
    tensors = {first: case.model.tensor(second), second: case.model.tensor(first)}
    if case.model.tensor(first).shape != case.model.tensor(second).shape:
        pytest.skip("they have other shapes")
    rejected(WRONG_OPENING, case, model=with_tensors(case.model, tensors))


def test_heads_of_a_matrix_swapped(case: Case) -> None:
    """Attention's heads reach the output matrix in another order: the rows of two are exchanged."""
    width = case.model.config.head_width

    def swap(matrix: np.ndarray) -> np.ndarray:
        matrix[: 2 * width] = np.roll(matrix[: 2 * width], width, axis=0)
        return matrix

    rejected(WRONG_OPENING, case, model=changed_model(case, "layers.1.o", swap))


# Tokens.


@pytest.mark.parametrize("at", [0, 5, 10])
def test_another_prompt(case: Case, at: int) -> None:
    """One token of the prompt is another one in all that is proven, but not in the statement."""
    tokens = case.tokens.copy()
    tokens[at] = (tokens[at] + 1) % case.model.config.vocab
    rejected(WRONG_OPENING, case, tokens=tokens)


def test_another_token_in_the_padding(case: Case) -> None:
    """The statement says what stands behind the prompt, up to a whole block."""
    rejected(WRONG_OPENING, case, tokens=np.append(case.tokens, 1))


def test_the_row_of_another_token(case: Case) -> None:
    table = case.model.tensor("embedding").astype(np.int64)
    tokens = case.inference.tokens
    step = table[(tokens[4] + 1) % len(table)] - table[tokens[4]]
    step <<= case.model.formats.embedding_shift if case.model.config.norm_first else 0

    def lie(name: str, layer: int, x: np.ndarray) -> np.ndarray:
        return x + step * (np.arange(len(x)) == 4)[:, None] if name == "x0" else x

    rejected(WRONG_OPENING, case, lie)


def test_the_rows_of_other_positions() -> None:
    case = case_of("opt")
    table = case.model.tensor("positions").astype(np.int64) << case.model.formats.positions_shift
    step = table[1:13] - table[:12]
    rejected(WRONG_OPENING, case, replaced("x0", -1, lambda x: x + step))


# What is chosen.


def other_tokens(case: Case) -> LanguageInference:
    chosen = case.inference.chosen.copy()
    chosen[0] = (chosen[0] + 1) % case.model.config.vocab
    return replace(case.inference, chosen=chosen)


def test_another_output_token(case: Case) -> None:
    outside = {"logits.differences"}
    rejected(NOT_IN_TABLE, case, statement=other_tokens(case), outside=outside)


def test_another_output_token_with_the_differences_of_the_right_one(case: Case) -> None:
    differences = witness(case)["logits.differences"]
    edit: Any = lambda _: {"logits.differences": differences}  # noqa: E731
    rejected(WRONG_LABELS, case, statement=other_tokens(case), edit=edit)


def raised(case: Case, by: int = 1) -> Change:
    """The logit of the false token becomes the largest."""
    token = int(other_tokens(case).chosen[0])

    def change(name: str, layer: int, logits: np.ndarray) -> np.ndarray:
        if name == "logits":
            logits[0, token] = logits[0].max() + by
        return logits

    return change


def test_a_logit_raised_until_the_wrong_token_wins(case: Case) -> None:
    statement = other_tokens(case)
    assert forge(case, raised(case)).statement.chosen.tolist() == statement.chosen.tolist()
    rejected(NOT_IN_TABLE, case, raised(case), outside={"logits.remainders"})
    rejected(WRONG_PRODUCT, case, raised(case), in_range=["logits.remainders"])


@pytest.mark.parametrize("is_first", [True, False])
def test_the_second_of_two_equal_logits(is_first: bool) -> None:
    """A model with two equal columns in its output layer: the first one is the token."""
    case = case_of("llama")
    best = int(case.inference.chosen[0])
    twin = best + 1 if is_first else best - 1
    output = case.model.tensor("output").copy()
    output[:, twin] = output[:, best]
    tied = Case.of(with_tensors(case.model, {"output": output}), case.tokens)
    assert int(tied.inference.chosen[0]) == min(best, twin)
    statement = replace(tied.inference, chosen=tied.inference.chosen.copy())
    statement.chosen[0] = max(best, twin)
    rejected(NOT_IN_TABLE, tied, statement=statement, outside={"logits.differences"})
