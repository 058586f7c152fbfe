"""A plain forward pass beside a proof: the same model and prompt, no integers, no proof.

On a GPU in fp16 with PyTorch, where that is installed; on a CPU, for shipped models, in float32 with
NumPy. As in the proof, the output layer is computed behind the last token alone.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from zkbench.bench.sampling import sample, timed
from zkbench.models.language.checkpoint import Checkpoint
from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.float_model import FloatLanguageModel
from zkbench.models.language.shipped import SHIPPED, shipped

WARM_UPS, REPEATS = 3, 7


def plain_forward(
    name: str, config: LanguageModelConfig, tokens: np.ndarray, target: str
) -> dict[str, Any]:
    """``forward_s`` (the median) and ``forward_with``; nothing, where it cannot be measured."""
    if target == "cuda":
        found = _on_gpu(config, tokens)
        with_ = "PyTorch, fp16"
    else:
        found = _on_cpu(name, tokens) if name in SHIPPED else None
        with_ = "NumPy, float32"
    if found is None:
        return {}
    for _ in range(WARM_UPS):
        found()
    return {"forward_s": median(sample(found, REPEATS)), "forward_with": with_}


def _on_cpu(name: str, tokens: np.ndarray) -> Callable[[], float]:
    weights = _Held(Checkpoint(shipped(name)))
    model = FloatLanguageModel(weights, np.float32)

    def run() -> None:
        x = model.embed(tokens[None])
        for layer in range(model.config.layers):
            x = model.layer(layer, x)
        model.output(x[:, -1:])

    return lambda: timed(run)[0]


def _on_gpu(config: LanguageModelConfig, tokens: np.ndarray) -> Callable[[], float] | None:
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    if not torch.cuda.is_available():
        return None
    from zkbench.bench.torch_forward import TorchLanguageModel, random_weights

    model = TorchLanguageModel(config, random_weights(config, torch.device("cuda")))
    given = torch.from_numpy(tokens).cuda()

    def run() -> None:
        model.logits(given)
        torch.cuda.synchronize()

    return lambda: timed(run)[0]


class _Held:
    """A checkpoint's tensors in float32, each read once."""

    def __init__(self, weights: Checkpoint) -> None:
        self.config = weights.config
        self._read, self._held = weights, dict[str, np.ndarray]()

    def tensor(self, name: str) -> np.ndarray:
        if name not in self._held:
            self._held[name] = self._read.tensor(name).astype(np.float32)
        return self._held[name]
