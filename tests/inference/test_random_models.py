"""Honest proofs of random models verify, and the labels are those of the definition."""

from __future__ import annotations

import numpy as np
import pytest
from inference_case import Case, inputs_in_range, labels_by_definition, random_model

from zkbench.commitments.ligero import Ligero
from zkbench.models.mlp import IntegerMLP
from zkbench.security import MINIMUM_BITS

NUM_MODELS = 200
MODELS_A_TEST = 10
SHIFTS = (16, 16, 1, 2, 5, 8, 11, 12, 14, 15)


def _random_dims(rng: np.random.Generator) -> tuple[int, ...]:
    """Depth 1 to 4; half of the models have hidden layers of equal width, which share a stack."""
    depth = int(rng.integers(1, 5))
    if rng.random() < 0.5:
        hidden = [int(rng.integers(1, 13))] * (depth - 1)
    else:
        hidden = rng.integers(1, 13, depth - 1).tolist()
    return (int(rng.integers(1, 13)), *hidden, int(rng.integers(1, 13)))


def _random_case(seed: int) -> tuple[IntegerMLP, np.ndarray]:
    rng = np.random.default_rng(seed)
    shift = SHIFTS[seed % len(SHIFTS)]
    model = random_model(rng, _random_dims(rng), shift, scale=float(rng.choice([0.3, 1.0, 3.0])))
    return model, inputs_in_range(rng, model, int(rng.integers(1, 10)))


@pytest.mark.parametrize("start", range(0, NUM_MODELS, MODELS_A_TEST))
def test_random_models_vs_python_int(start):
    for seed in range(start, start + MODELS_A_TEST):
        model, inputs = _random_case(seed)
        case = Case.of(model, inputs)
        case.verify()
        found = case.statement.labels.tolist()
        assert found == labels_by_definition(model, inputs), (seed, model.dims, model.shift)


def test_the_random_models_are_of_every_kind():
    """What the test above says it covers, it covers."""
    models, batches = [], set()
    for seed in range(NUM_MODELS):
        model, inputs = _random_case(seed)
        models.append(model)
        batches.add(len(inputs))
    assert {model.depth for model in models} == {1, 2, 3, 4}
    assert {model.shift for model in models} == set(SHIFTS)
    assert batches == set(range(1, 10))
    assert {width for model in models for width in model.dims} == set(range(1, 13))
    assert any(len(stack.layers) > 1 for model in models for stack in model.stacks())
    assert any(len(model.stacks()) > 2 for model in models)


@pytest.mark.parametrize("shift", [1, 7, 16])
@pytest.mark.parametrize("dims", [(1, 1), (1, 1, 1), (1, 1, 1, 1, 1), (3, 1, 1, 2)])
def test_widths_of_one(dims, shift):
    for batch in (1, 2):
        case = Case.random(7, dims, shift, batch)
        case.verify()
        assert case.statement.labels.tolist() == labels_by_definition(
            case.committed.model, case.inputs
        )


def _model_of(weights: list[np.ndarray], biases: list[np.ndarray], shift: int) -> IntegerMLP:
    base = random_model(
        np.random.default_rng(0), [len(weights[0]), *(w.shape[1] for w in weights)], shift
    )
    return IntegerMLP(
        tuple(w.astype(np.int16) for w in weights),
        tuple(b.astype(np.int64) for b in biases),
        shift,
        base.input_format,
        base.formats,
    )


@pytest.mark.parametrize("shift", [5, 16])
def test_ties_go_to_the_first(shift):
    """Equal and largest: columns 1, 3 and 4; then all; then 2 and 5."""
    weight = np.array([[0, 5, -1, 5, 5, -1]]) << (shift - 5)
    model = _model_of([weight], [np.zeros(6)], shift)
    case = Case.of(model, np.array([[64], [0], [-128]], dtype=np.int16))
    case.verify()
    assert case.statement.labels.tolist() == [1, 0, 2]


@pytest.mark.parametrize("shift", [1, 9, 16])
def test_the_ends_of_every_range(shift):
    """y = -2^15 and 2^15 - 1 beside each other: the largest difference, 2^16 - 1, in one row."""
    lowest, highest = -(1 << 15 + shift), ((1 << 15) - 1 << shift) + (1 << shift - 1) - 1
    biases = [np.array([lowest, highest]), np.array([highest, lowest, highest - 1])]
    weights = [np.zeros((2, 2)), np.zeros((2, 3))]
    model = _model_of(weights, biases, shift)
    trace = model.forward(np.zeros((3, 2), dtype=np.int16))
    assert {int(y.min()) for y in trace.quotients} == {-(1 << 15)}
    assert {int(y.max()) for y in trace.quotients} == {(1 << 15) - 1}
    assert max(int(rem.max()) for rem in trace.remainders) == (1 << shift) - 1
    case = Case.of(model, trace.inputs)
    case.verify()
    assert case.statement.labels.tolist() == [0, 0, 0]


@pytest.mark.parametrize("log_inv_rate", [1, 2])
def test_schemes_of_full_strength(log_inv_rate):
    scheme = Ligero(log_inv_rate=log_inv_rate, grinding_bits=12, queries=260)
    rng = np.random.default_rng(3)
    model = random_model(rng, (9, 7, 7, 4), 16)
    Case.of(model, inputs_in_range(rng, model, 5), scheme, MINIMUM_BITS).verify()


def test_the_default_scheme():
    rng = np.random.default_rng(4)
    model = random_model(rng, (12, 10, 10, 5), 14)
    case = Case.of(model, inputs_in_range(rng, model, 8), Ligero(), MINIMUM_BITS)
    assert case.verify() >= MINIMUM_BITS
