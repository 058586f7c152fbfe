"""What the layers of a language model read: the streams of residual.py, as its norms want them.

x1 and x2 are what the two norms of each layer read. With norms first, xf is what the last norm reads.
Without, y1 is what attention reads, yf what the output layer reads, and y3 the second norms' outputs.
"""

from __future__ import annotations

import numpy as np

from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.formats import LanguageFormats
from zkbench.protocols.residual import Part, ResidualStream, Tap

Shifts = tuple[int, ...]
_CONTRIBUTIONS = ("o", "m")


def language_streams(
    config: LanguageModelConfig,
    formats: LanguageFormats,
    tokens: np.ndarray,
    positions: tuple[int, ...],
) -> ResidualStream:
    """``positions``: those whose tokens are chosen."""
    shifts = {
        name: tuple(formats.residual_shift(layer, name) for layer in range(config.layers))
        for name in _CONTRIBUTIONS
    }
    make = _norms_first if config.norm_first else _norms_last
    table = None if config.is_llama else "positions"
    return ResidualStream(
        len(tokens),
        config.width,
        config.vocab,
        tokens,
        make(config.layers, shifts, positions),
        "embedding",
        formats.embedding_shift if config.norm_first else 0,
        table,
        formats.positions_shift if table and config.norm_first else 0,
        config.max_positions if table else 0,
    )


def _norms_first(
    layers: int, shifts: dict[str, Shifts], positions: tuple[int, ...]
) -> tuple[Tap, ...]:
    """The residual stream, which begins with the embedding and grows by two parts a layer."""

    def tap(name: str, done: list[int], rows: tuple[int, ...] | None = None) -> Tap:
        """The stream behind so many contributions: o and m of layer 0, o and m of layer 1, ..."""
        parts = tuple(
            Part(stack, shifts[stack], tuple(range((n + 1 - k) // 2) for n in done))
            for k, stack in enumerate(_CONTRIBUTIONS)
        )
        return Tap(name, parts, (True,) * len(done), rows)

    return (
        tap("x1", [2 * l for l in range(layers)]),
        tap("x2", [2 * l + 1 for l in range(layers)]),
        tap("xf", [2 * layers], positions),
    )


def _norms_last(
    layers: int, shifts: dict[str, Shifts], positions: tuple[int, ...]
) -> tuple[Tap, ...]:
    """A norm reads what one linear layer writes, a layer what the last norm before it writes."""
    depth, none = range(layers), (False,) * layers
    own = tuple(range(l, l + 1) for l in depth)
    before = tuple(range(max(l - 1, 0), l) for l in depth)
    last, unscaled = (range(layers - 1, layers),), (0,) * layers
    return (
        Tap("x1", (Part("o", shifts["o"], own),), none),
        Tap("x2", (Part("m", shifts["m"], own),), none),
        Tap("y1", (Part("y3", unscaled, before),), tuple(l == 0 for l in depth)),
        Tap("yf", (Part("y3", unscaled, last),), (False,), positions),
    )
