"""Calibration of language models: what it promises about ranges, and what it chooses."""

from dataclasses import replace

import numpy as np
import pytest

from zkbench.errors import UnusableInput
from zkbench.models.language.checkpoint import RandomWeights
from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.float_model import FloatLanguageModel
from zkbench.models.language.integer_tensors import described_tensors
from zkbench.quant.language_calibration import (
    CalibrationOptions,
    calibrate_language_model,
    narrow_tensors,
)
from zkbench.quant.language_ranges import measure_ranges

CONFIG = LanguageModelConfig(
    family="llama",
    vocab=31,
    width=16,
    layers=3,
    heads=4,
    kv_heads=2,
    head_width=6,
    ffn_width=24,
    max_positions=64,
    embedding_width=16,
)
OPT = replace(
    CONFIG,
    family="opt",
    kv_heads=4,
    head_width=4,
    activation="relu",
    attention_bias=True,
    ffn_bias=True,
)


class ScaledWeights:
    """Random weights, some of them made larger."""

    def __init__(self, config, factors, seed=0):
        self.config, self.factors = config, factors
        self.random = RandomWeights(config, seed)

    def tensor(self, name):
        factor = next((f for part, f in self.factors.items() if part in name), 1)
        return self.random.tensor(name) * np.float32(factor)


def tokens(count=1001, seed=0):
    return np.random.default_rng(seed).integers(0, CONFIG.vocab, count)


def calibrated(weights, **options):
    return calibrate_language_model(weights, tokens(), CalibrationOptions(**options), window=40)


SCALES = [
    {},
    {"embed": 100},
    {"embed": 0.01},
    {"layers.1.self_attn.v_proj": 50},
    {"layers.1.mlp.up_proj": 100, "layers.1.mlp.down_proj": 0.01},
    {"layers.2.mlp.gate_proj": 20},
    {"layers.0.self_attn.q_proj": 6},
    {"lm_head": 30},
    {"layers.1": 0.001},
    {"v_proj": 0},
]


@pytest.mark.parametrize("factors", SCALES)
@pytest.mark.parametrize("config", [CONFIG, OPT], ids=["llama", "opt"])
def test_calibration_texts_run_and_come_close_to_float(config, factors):
    weights = ScaledWeights(config, factors)
    model, _ = calibrated(weights)
    given = tokens()[:40]
    exact = FloatLanguageModel(weights).logits(given[None])[0]
    found = model.float_logits(model.in_memory().logits(given))
    assert np.abs(found - exact).max() < 0.05 * exact.std()


@pytest.mark.parametrize("headroom", [0, 2, 4])
def test_headroom_is_left_above_the_largest_value(headroom):
    model, ranges = calibrated(RandomWeights(CONFIG), headroom_bits=headroom)
    for (name, layer), largest in ranges.largest.items():
        bits = model.formats.logits if name == "logits" else model.formats.layers[layer][name]
        assert largest * 2.0 ** (bits + headroom) < 2**15


def test_ranges_are_those_of_the_folded_values():
    weights = RandomWeights(OPT)
    seen = {}

    def observe(name, layer, values):
        seen[name, layer] = values

    given = tokens(80).reshape(2, 40)
    FloatLanguageModel(weights).logits(given, observe)
    ranges = measure_ranges(FloatLanguageModel(weights), given)
    o, q, f = (seen[name, 1] for name in ("o", "q", "f"))
    centred = o - o.mean(axis=-1, keepdims=True)
    assert ranges.largest["o", 1] == pytest.approx(np.abs(centred).max())
    assert ranges.largest["q", 1] == pytest.approx(np.abs(q).max() / 2)
    assert ranges.typical["f", 1] == pytest.approx(np.median(np.abs(f)))
    below = [
        np.log(np.exp(row[: i + 1]).sum()) - row[: i + 1].min()
        for head in seen["scores", 0].reshape(-1, 40, 40)
        for i, row in enumerate(head)
    ]
    assert ranges.scores.past >= max(below) - 1e-12


def test_larger_scores_get_a_coarser_unit():
    units = [
        calibrated(ScaledWeights(CONFIG, {"q_proj": f}))[0].formats.score_bits for f in (1, 30, 60)
    ]
    assert units[0] == 10
    assert units[0] > units[1] > units[2]


def test_the_unit_of_the_scores_can_be_chosen():
    model, _ = calibrated(RandomWeights(CONFIG), score_bits=6, row_bits=17, tolerance=4000)
    formats = model.formats
    assert (formats.score_bits, formats.row_bits, formats.tolerance) == (6, 17, 4000)
    for layer in formats.layers:
        assert layer["q"] + layer["k"] == formats.shifts["z"] + 6
        assert layer["a"] == layer["v"] + 1
    exact = FloatLanguageModel(RandomWeights(CONFIG)).logits(tokens()[None, :40])[0]
    found = model.float_logits(model.in_memory().logits(tokens()[:40]))
    assert np.abs(found - exact).max() < 0.05 * exact.std()


class OneHugeUnit(RandomWeights):
    """One of the 24 units of layer 2's feed-forward part is 30000 times the others, and is scaled
    back by the next matrix."""

    def tensor(self, name):
        values = super().tensor(name)
        factors = np.where(np.arange(24) == 5, np.float32(30000), np.float32(1))
        if name == "model.layers.2.mlp.up_proj.weight":
            return values * factors[:, None]
        return values / factors if name == "model.layers.2.mlp.down_proj.weight" else values


def test_layers_that_need_more_bits_are_named():
    model, ranges = calibrated(RandomWeights(CONFIG))
    assert narrow_tensors(ranges, model.formats) == []
    model, ranges = calibrated(OneHugeUnit(CONFIG))
    found = narrow_tensors(ranges, model.formats)
    names = {name.split(":")[0] for name in found}
    assert {"u of layer 2", "h of layer 2"} <= names
    assert all(name.endswith("layer 2") for name in names)


def test_the_model_does_not_depend_on_when_its_tensors_are_asked_for():
    first, _ = calibrated(RandomWeights(CONFIG))
    second, _ = calibrated(RandomWeights(CONFIG))
    assert first.formats == second.formats
    for name in reversed(list(described_tensors(CONFIG))):
        np.testing.assert_array_equal(first.tensor(name), second.tensor(name))


def test_unusable_requests():
    with pytest.raises(UnusableInput, match="headroom is 15 bits"):
        CalibrationOptions(headroom_bits=15)
    with pytest.raises(UnusableInput, match="the text has 1 tokens"):
        calibrate_language_model(RandomWeights(CONFIG), tokens(1))
    with pytest.raises(UnusableInput, match="outside of the vocabulary"):
        calibrate_language_model(RandomWeights(CONFIG), np.array([1, 99, 3]))
