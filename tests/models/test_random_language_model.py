"""Integer models with random weights: reproducible, of the stated distribution, and runnable."""

from dataclasses import replace

import numpy as np
import pytest
from language_case import CONFIGS, some_tokens

from zkbench.models.language.checkpoint import RandomWeights
from zkbench.models.language.folding import FoldedWeights
from zkbench.models.language.integer_tensors import QuantisedTensors, described_tensors
from zkbench.models.language.presets import PRESETS
from zkbench.models.language.random_model import random_integer_model


@pytest.mark.parametrize("kind", CONFIGS)
def test_deep_models_run(kind):
    config = replace(CONFIGS[kind], layers=9)
    model = random_integer_model(config, seed=1)
    trace = model.in_memory().forward(some_tokens(config, 32), positions=np.arange(32))
    for name in ("y1", "q", "a", "o", "h", "m"):
        spread = trace[name].astype(float).std(axis=(1, *range(2, trace[name].ndim)))
        assert (spread > 100).all(), name  # every layer uses its bits
    assert len(set(trace.output.chosen.tolist())) > 3


@pytest.mark.parametrize("kind", CONFIGS)
def test_tensors_have_the_distribution_of_quantised_random_weights(kind):
    config = replace(CONFIGS[kind], vocab=300)
    model = random_integer_model(config)
    quantised = QuantisedTensors(FoldedWeights(RandomWeights(config)), model.formats)
    for name, (shape, dtype) in described_tensors(config).items():
        drawn, made = model.tensor(name), quantised.tensor(name)
        assert (drawn.shape, drawn.dtype) == (shape, dtype)
        if name.endswith("bias"):
            continue  # the norms' biases, folded into others', are not drawn
        assert abs(drawn.astype(float).std() / made.astype(float).std() - 1) < 0.25, name


def test_seed_and_name_decide():
    config = CONFIGS["opt"]
    first, again, other = (random_integer_model(config, seed) for seed in (0, 0, 1))
    names = list(described_tensors(config))
    expected = {name: first.tensor(name) for name in names}
    for name in reversed(names):
        np.testing.assert_array_equal(again.tensor(name), expected[name])
        assert (other.tensor(name) != expected[name]).any()


@pytest.mark.parametrize("name", PRESETS)
def test_narrow_versions_of_the_presets_run(name):
    config = PRESETS[name]
    shrunk = replace(
        config,
        vocab=500,
        width=config.width // 16,
        embedding_width=config.embedding_width // 16,
        ffn_width=config.ffn_width // 16,
        head_width=config.width // 16 // (config.heads // 4),
        heads=config.heads // 4,
        kv_heads=config.kv_heads // 4,
    )
    model = random_integer_model(shrunk).in_memory()
    trace = model.forward(np.arange(200))
    assert trace["t"].shape == (config.layers, config.heads // 4, 3, 128, 128)
