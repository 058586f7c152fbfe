"""The integer model of attention, against loops in Python integers and softmax in floating point."""

from __future__ import annotations

from math import exp
from random import Random
from typing import Any

import numpy as np
import pytest
from cases.attention import (
    STEEP,
    flat,
    random_shape,
)
from cases.attention_entries import (
    along_rows,
    is_masked,
    outputs_of,
    rows_of,
    scores_of,
)

from zkbench.protocols.causal_tiles import AttentionShape
from zkbench.protocols.tables import Exp
from zkbench.quant.attention import AttentionTrace, IntegerAttention
from zkbench.quant.formats import QuantisationError


def random_inputs(rng: Random, shape: AttentionShape, most: int) -> list[np.ndarray]:
    generator = np.random.default_rng(rng.randrange(2**32))
    sizes = (shape.queries, shape.keys, shape.keys)
    return [generator.integers(-most, most + 1, size, dtype=np.int16) for size in sizes]


def best_shift(scores: list[int], table: Exp) -> int:
    """Every shift tried: the one whose row sum is nearest to the scale, the least on ties."""
    values, scale = table.values.tolist(), 1 << table.log_scale
    candidates = range(max(scores), max(scores) + table.cutoff + 1)
    return min(candidates, key=lambda s: abs(sum(values[s - z] for z in scores) - scale))


@pytest.mark.parametrize("seed", range(12))
def test_forward_vs_python_int(seed: int) -> None:
    rng = Random(seed)
    shape = random_shape(rng)
    model = IntegerAttention(shape, 2, Exp(2, 8), log_tolerance=7)
    q, k, v = random_inputs(rng, shape, 9)
    trace = model.forward(q, k, v)
    products = scores_of(shape, flat(q), flat(k))
    scaled = [(z + 2) >> 2 for z in products]
    assert flat(trace.score_remainders) == tuple((z + 2) & 3 for z in products)
    later, numbers = is_masked(shape), along_rows(shape, list(range(trace.shifts.size)))
    rows: list[list[int]] = [[] for _ in range(trace.shifts.size)]
    for row, z, m in zip(numbers, scaled, later, strict=True):
        rows[row] += [] if m else [z]
    assert flat(trace.shifts) == tuple(best_shift(row, model.table) for row in rows)
    shifts = along_rows(shape, flat(trace.shifts))
    indices = [s + (2**15) * m - z for s, m, z in zip(shifts, later, scaled, strict=True)]
    assert flat(trace.indices) == tuple(indices)
    weights = [int(model.table.values[t]) for t in indices]
    assert flat(trace.row_sums) == tuple(rows_of(shape, weights))
    sums = outputs_of(shape, weights, flat(v))
    assert flat(trace.outputs) == tuple((a + 128) >> 8 for a in sums)
    assert flat(trace.output_remainders) == tuple((a + 128) & 255 for a in sums)


def test_outputs_vs_softmax() -> None:
    """Within what the tolerance of the row sums and the table's rounding allow."""
    shape = AttentionShape(1, 3, 2, 2, 1, 8)
    q, k, v = random_inputs(Random(1), shape, 200)
    trace = IntegerAttention(shape, 6).forward(q, k, v)
    unit = 2.0**-6 * 2.0**-8
    outputs, values = trace.outputs.reshape(12, 2, 8), v.reshape(12, 8)
    for h in range(2):
        z = q.reshape(12, 2, 8)[:, h].astype(float) @ k.reshape(12, 8).T.astype(float) * unit
        for i in range(12):
            weights = np.array([exp(x - max(z[i, : i + 1])) for x in z[i, : i + 1]])
            expected = weights @ values[: i + 1] / weights.sum()
            assert np.abs(outputs[i, h] - expected).max() < 1 + 200 * 2 / 256


def out_of_range(model: IntegerAttention, **inputs: Any) -> str:
    """q, k and v of one head and two positions; those not given are zero."""
    shape = model.shape
    arrays = {"q": shape.queries, "k": shape.keys, "v": shape.keys}
    tensors = {
        name: np.array(inputs.get(name, [0, 0]), dtype=np.int16).reshape(size)
        for name, size in arrays.items()
    }
    with pytest.raises(QuantisationError) as error:
        model.forward(**tensors)
    return str(error.value)


ONE_HEAD = AttentionShape(1, 1, 1, 1, 1, 1)
STEEP_MODEL = IntegerAttention(ONE_HEAD, 1, STEEP, 3)


def test_scores_too_far_apart() -> None:
    """The second row's: its first score is 100 below its second one."""
    reason = out_of_range(STEEP_MODEL, q=[0, 1], k=[-200, 0])
    assert reason == (
        "attention of layer 0, head 0: an index of exp is 100, outside [0, 63]; "
        "recalibrate or widen"
    )


def test_a_masked_score_above_what_the_mask_hides() -> None:
    reason = out_of_range(STEEP_MODEL, q=[1, 0], k=[0, 60])
    assert "the weight of a masked score is 6" in reason


def test_a_row_that_no_shift_fits() -> None:
    """Thirty-two equal scores: weights of 1 add up to 32, of 0 to 0."""
    shape = AttentionShape(1, 1, 5, 1, 1, 1)
    model = IntegerAttention(shape, 1, STEEP, 2)
    zeros = [0] * 32
    assert "a row sum is" in out_of_range(model, q=zeros, k=zeros, v=zeros)


def test_a_shift_and_an_output_too_large() -> None:
    model = IntegerAttention(ONE_HEAD, 1, STEEP, 3, value_bits=4)
    assert "a shift is 201, outside [-128, 127]" in out_of_range(model, q=[20, 20], k=[20, 20])
    assert "an output is 9, outside [-8, 7]" in out_of_range(model, v=[9, 0])


def test_the_trace_has_the_shapes_of_the_protocol() -> None:
    shape = AttentionShape(2, 3, 1, 4, 2, 5)
    trace = IntegerAttention(shape, 4).forward(*random_inputs(Random(2), shape, 50))
    expected = {
        "indices": shape.scores,
        "score_remainders": shape.scores,
        "shifts": shape.rows,
        "row_sums": shape.rows,
        "outputs": shape.queries,
        "output_remainders": shape.queries,
    }
    assert {name: array.shape for name, array in vars(trace).items()} == expected
    assert isinstance(trace, AttentionTrace)
