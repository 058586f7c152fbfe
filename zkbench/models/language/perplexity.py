"""How well a model predicts a text: log-likelihoods, bits a token, perplexity."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkbench.errors import UnusableInput

Floats = NDArray[np.floating[Any]]
Tokens = NDArray[np.int64]


def windows(tokens: Tokens, length: int) -> tuple[Tokens, Tokens]:
    """Consecutive windows of a text and what follows each token: both count x length.

    Each token but the first is predicted once; what fills no window is left out. Raises
    `UnusableInput` for a text of fewer than length + 1 tokens.
    """
    count = (len(tokens) - 1) // length
    if count < 1:
        message = f"the text has {len(tokens)} tokens; a window takes {length + 1}"
        raise UnusableInput(message)
    given = tokens[: count * length].reshape(count, length)
    return given, tokens[1 : count * length + 1].reshape(count, length)


def log_likelihoods(logits: Floats, targets: Tokens) -> NDArray[np.float64]:
    """log p(target) in nats, of the shape of `targets`; logits have one axis more."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    chosen = np.take_along_axis(shifted, targets[..., None], axis=-1)[..., 0]
    result: NDArray[np.float64] = chosen - np.log(np.exp(shifted).sum(axis=-1))
    return result


def mean_nats(
    logits: Callable[[Tokens], Floats], tokens: Tokens, length: int, batch: int = 16
) -> float:
    """-log p of a token of the text, on average, over consecutive windows; `batch` go at a time."""
    given, targets = windows(tokens, length)
    total = 0.0
    for i in range(0, len(given), batch):
        found = log_likelihoods(logits(given[i : i + batch]), targets[i : i + batch])
        total -= float(found.sum())
    return total / targets.size


def perplexity(nats: float) -> float:
    """exp of the nats a token."""
    return math.exp(nats)


def bits(nats: float) -> float:
    """The bits a token."""
    return nats / math.log(2)
