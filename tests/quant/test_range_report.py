"""The calibration report against its definition."""

import json
import math

import numpy as np
import pytest

from zkbench.models.mlp import FloatMLP
from zkbench.quant.calibration import RangeReport, calibrate
from zkbench.quant.report import root_mean_square

RNG = np.random.default_rng(5)
MODEL = FloatMLP(
    [RNG.standard_normal((4, 3)), RNG.standard_normal((2, 4))],
    [RNG.standard_normal(4), RNG.standard_normal(2)],
)
X = RNG.standard_normal((20, 3))


@pytest.fixture(scope="module")
def integer():
    return calibrate(MODEL, X)


def test_one_row_for_each_tensor_in_order(integer):
    layers = ["layer 0 (hidden)", "layer 1 (output)"]
    kinds = ["weight", "bias", "activation"]
    names = ["input", *(f"{kind} of {layer}" for layer in layers for kind in kinds)]
    assert [row.name for row in integer.report.rows] == names


def expected_tensors(integer):
    trace = integer.forward(integer.quantise_inputs(X))
    yield X, trace.inputs, integer.input_format
    for layer, activation in enumerate(MODEL.preactivations(X)):
        yield MODEL.weights[layer].T, integer.weights[layer], integer.weight_format(layer)
        yield MODEL.biases[layer], integer.biases[layer], integer.accumulator_format(layer)
        yield activation, trace.quotients[layer], integer.formats[layer]


def test_rows_vs_definition(integer):
    for row, (values, q, form) in zip(integer.report.rows, expected_tensors(integer), strict=True):
        errors = [
            k / 2.0**form.frac_bits - v
            for v, k in zip(values.flat, q.ravel().tolist(), strict=True)
        ]
        assert (row.bits, row.frac_bits) == (form.bits, form.frac_bits)
        assert row.max_abs == max(abs(v) for v in values.flat)
        assert row.range_used == max(abs(int(k)) for k in q.flat) / (2 ** (form.bits - 1) - 1)
        assert row.rms_error == pytest.approx(math.sqrt(sum(e * e for e in errors) / len(errors)))


def test_dict_round_trip_through_json(integer):
    data = json.loads(json.dumps(integer.report.to_dict(), allow_nan=False))
    assert RangeReport.from_dict(data) == integer.report


def test_text_is_an_aligned_table(integer):
    lines = integer.report.to_text().splitlines()
    assert len(lines) == 1 + len(integer.report.rows)
    assert len({len(line) for line in lines}) == 1
    used = f"{100 * integer.report.rows[0].range_used:.1f} %"
    assert used in lines[1]
    assert lines[1].startswith("input ")


@pytest.mark.parametrize("scale", [0.0, 1e-300, 1.0, 1e300])
def test_root_mean_square_neither_overflows_nor_underflows(scale):
    assert root_mean_square(scale * np.array([3.0, -4.0])) == pytest.approx(scale * 12.5**0.5)
