"""Provers that are honest but for one stated lie: models whose norms stand behind the residual sums.

There a norm's weight and bias are part of what reads it: of q, k, v and f, and, for the sum that begins
with the norm's output, of the matrices o_skip and m_skip. Projections are part of embedding and output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bold_provers import Relay
from language_proof import (
    NORMS_LAST,
    NOT_IN_TABLE,
    WRONG_OPENING,
    WRONG_PRODUCT,
    WRONG_SCALING,
    Case,
    case_of,
    forge,
    rejected,
    with_tensors,
    witness,
)
from lying_forward import bump, replaced

from zkbench.models.language.checkpoint import RandomWeights
from zkbench.models.language.formats import NORM_BITS
from zkbench.models.language.integer_model import IntegerLanguageModel

PARTS = ("o", "m")
READ_BY = {"o": "y1", "m": "y2"}  # what a sum begins with


@pytest.fixture(scope="module")
def case() -> Case:
    return case_of("norms last")


def tensor(case: Case, name: str) -> np.ndarray:
    """Layers x positions x width of an honest prover."""
    shape = (-1, len(case.inference.tokens), case.model.config.width)
    return witness(case)[name].reshape(shape).astype(np.int64)


def other(values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda _: values


# The residual sums.


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("layer", [0, 1])
def test_a_residual_skipped(case: Case, part: str, layer: int) -> None:
    """A sum without what it begins with; norm and all behind it are honest."""
    lie = replaced(f"skip_{part}", layer, np.zeros_like)
    rejected(NOT_IN_TABLE, case, lie, outside={f"{part}.remainders"})
    rejected(WRONG_PRODUCT, case, lie, in_range=[f"{part}.remainders"])


@pytest.mark.parametrize("part", PARTS)
def test_a_residual_added_twice(case: Case, part: str) -> None:
    lie = replaced(f"skip_{part}", 1, lambda added: 2 * added)
    rejected(WRONG_PRODUCT, case, lie, in_range=[f"{part}.remainders"])


@pytest.mark.parametrize("part", PARTS)
def test_a_residual_without_its_products_value(case: Case, part: str) -> None:
    """The skipped sum is right for the linear layer, as what the prover says the rest is worth is."""
    sent = [0]

    def without(elements: list[Any]) -> None:
        """The parts are proven from the last to the first: m, then o."""
        sent[0] += 1
        if sent[0] == len(PARTS) - PARTS.index(part):
            elements[0] = 0 * elements[0]

    lie = replaced(f"skip_{part}", 1, np.zeros_like)
    wrap: Any = lambda transcript: Relay(transcript, "product", without)  # noqa: E731
    in_range = [f"{part}.remainders"]
    assert forge(case, lie, in_range=in_range, wrap=wrap).reason() == WRONG_PRODUCT
    assert sent == [len(PARTS)]


@pytest.mark.parametrize("part", PARTS)
def test_a_residual_of_another_layer(case: Case, part: str) -> None:
    """The sum begins with what the layer before it read."""
    before = tensor(case, READ_BY[part])[0]
    skip = before @ case.model.tensor(f"layers.1.{part}_skip").astype(np.int64)
    lie = replaced(f"skip_{part}", 1, other(skip))
    rejected(WRONG_PRODUCT, case, lie, in_range=[f"{part}.remainders"])


@pytest.mark.parametrize("part", PARTS)
def test_the_scale_of_another_channel(case: Case, part: str) -> None:
    """Two channels' entries of the norm's weight, exchanged: in the sum that begins with its output."""
    name = f"layers.1.{part}_skip"
    matrix = case.model.tensor(name)
    assert (matrix[[0, 1]] != matrix[[1, 0]]).any()
    exchanged = matrix[[1, 0, *range(2, len(matrix))]]
    skip = tensor(case, READ_BY[part])[1] @ exchanged.astype(np.int64)
    lie = replaced(f"skip_{part}", 1, other(skip))
    rejected(WRONG_PRODUCT, case, lie, in_range=[f"{part}.remainders"])
    rejected(WRONG_OPENING, case, model=with_tensors(case.model, {name: exchanged}))


@pytest.mark.parametrize("part", PARTS)
def test_a_sum_that_is_not_centred(case: Case, part: str) -> None:
    """LayerNorm's mean stays in what the norm reads."""
    name = f"layers.1.{part}_skip"
    diagonal = np.diag(np.diag(case.model.tensor(name)))
    rejected(WRONG_OPENING, case, model=with_tensors(case.model, {name: diagonal}))


# What norms read and put out.


@pytest.mark.parametrize(("name", "layer"), [("x1", 0), ("x1", 2), ("x2", 1)])
def test_a_sum_off_by_one_as_a_norm_reads_it(case: Case, name: str, layer: int) -> None:
    rejected(WRONG_OPENING, case, bump(name, layer))


@pytest.mark.parametrize(("name", "source"), [("x1", ("x1", 0)), ("x2", ("x1", 1))])
def test_a_norm_that_reads_another_sum(case: Case, name: str, source: tuple[str, int]) -> None:
    """Another layer's, or that of the same layer's other part."""
    values = tensor(case, source[0])[source[1]]
    rejected(WRONG_OPENING, case, replaced(name, 1, other(values)))


@pytest.mark.parametrize(("name", "norm"), [("y2", "norm1"), ("y3", "norm2")])
def test_a_norm_left_out(case: Case, name: str, norm: str) -> None:
    """Its output is its input, by one scale for all rows."""
    read = tensor(case, norm.replace("norm", "x"))[1]
    longest = int(np.sqrt(np.square(read).sum(axis=-1).max()))
    lie = replaced(name, 1, other((read << NORM_BITS) // longest))
    rejected(NOT_IN_TABLE, case, lie)
    rejected(WRONG_SCALING, case, lie, in_range=[f"{norm}.remainders"])


# What a layer reads of the one before it.


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_an_input_off_by_one(case: Case, layer: int) -> None:
    rejected(WRONG_OPENING, case, bump("y1", layer))


def test_an_input_that_is_another_layers(case: Case) -> None:
    """The layer before is skipped; or the first layer's input is read again."""
    for layer, source in ((2, 1), (1, 0)):
        values = tensor(case, "y1")[source]
        rejected(WRONG_OPENING, case, replaced("y1", layer, other(values)))


def test_an_input_before_the_layers_second_part(case: Case) -> None:
    """The feed-forward part of layer 0 is skipped."""
    rejected(WRONG_OPENING, case, replaced("y1", 1, other(tensor(case, "y2")[0])))


def test_the_last_layer_skipped(case: Case) -> None:
    """The output layer reads what the layer before the last has put out."""
    rows = tensor(case, "y1")[2][case.inference.positions]
    rejected(WRONG_OPENING, case, replaced("yf", -1, other(rows)))


def test_an_output_layer_that_reads_something_else(case: Case) -> None:
    rejected(WRONG_OPENING, case, bump("yf", -1))


def test_a_first_layer_without_positions(case: Case) -> None:
    rows = case.model.tensor("positions").astype(np.int64)[: len(case.inference.tokens)]
    rejected(WRONG_OPENING, case, replaced("x0", -1, lambda x: x - rows))


def test_the_outputs_of_layers_swapped(case: Case) -> None:
    """Committed in another order, with or without what belongs to them."""
    layers = case.model.config.layers

    def edit(tensors: dict[str, Any]) -> dict[str, Any]:
        return {"y3": tensors["y3"].reshape(layers, -1)[[1, 0, 2]]}

    rejected(WRONG_SCALING, case, edit=edit)


# Projections.


def unprojected(case: Case, embedding: bool) -> IntegerLanguageModel:
    """The model that reads embeddings as they are, with zeros behind them; or so writes logits."""
    formats, config = case.model.formats, case.model.config
    table = RandomWeights(config, 1).tensor("model.decoder.embed_tokens.weight")
    bits = formats.embedding if embedding else formats.shifts["logits"] + formats.logits - NORM_BITS
    missing = config.width - config.embedding_width
    padded = np.pad(np.rint(np.ldexp(table, bits)), ((0, 0), (0, missing)))
    padded = np.clip(padded, -(1 << 15), (1 << 15) - 1).astype(np.int16)
    return with_tensors(
        case.model, {"embedding": padded} if embedding else {"output": padded.T.copy()}
    )


@pytest.mark.parametrize("embedding", [True, False], ids=["in", "out"])
def test_a_projection_skipped(case: Case, embedding: bool) -> None:
    assert NORMS_LAST.has_projections
    rejected(WRONG_OPENING, case, model=unprojected(case, embedding))
