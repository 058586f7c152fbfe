"""What the layers of a language model read: the streams of residual.py, as its norms want them.

x1 and x2 are what the two norms of each layer read. With norms first, xf is what the last norm reads.
Without, y1 is what attention reads, yf what the output layer reads, and y3 the second norms' outputs.
A segment that does not end the model leads to a last stream, over all positions, in place of xf or yf.
"""

from __future__ import annotations

import numpy as np

from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.formats import LanguageFormats
from zkbench.protocols.language_segment import BEHIND, Boundary, Segment
from zkbench.protocols.residual import Embedded, Part, ResidualStream, Tap

Shifts = tuple[int, ...]
_CONTRIBUTIONS = ("o", "m")


def language_streams(
    config: LanguageModelConfig,
    formats: LanguageFormats,
    tokens: np.ndarray,
    positions: tuple[int, ...],
    segment: Segment,
) -> ResidualStream:
    """Of the layers of a segment. ``positions``: those whose tokens are chosen."""
    shifts = {
        name: tuple(formats.residual_shift(layer, name) for layer in segment.layers)
        for name in _CONTRIBUTIONS
    }
    make = _norms_first if config.norm_first else _norms_last
    taps = make(segment, shifts, positions)
    first = boundary(config, len(tokens), "first")
    beginning = _embedded(config, formats, tokens) if segment.begins else first
    return ResidualStream(len(tokens), config.width, taps, beginning)


def boundary(config: LanguageModelConfig, positions: int, when: str) -> Boundary:
    """What stands before ("first") or behind ("last") a segment, over so many positions."""
    return Boundary(when, positions, config.width, config.norm_first)


def _embedded(
    config: LanguageModelConfig, formats: LanguageFormats, tokens: np.ndarray
) -> Embedded:
    scaled, table = config.norm_first, None if config.is_llama else "positions"
    return Embedded(
        tokens,
        config.width,
        config.vocab,
        "embedding",
        formats.embedding_shift if scaled else 0,
        table,
        formats.positions_shift if table and scaled else 0,
        config.max_positions if table else 0,
    )


def _norms_first(
    segment: Segment, shifts: dict[str, Shifts], positions: tuple[int, ...]
) -> tuple[Tap, ...]:
    """The residual stream, to which every layer adds two parts."""
    layers = segment.size

    def tap(name: str, done: list[int], rows: tuple[int, ...] | None = None) -> Tap:
        """The stream behind so many contributions: o and m of one layer, o and m of the next, ..."""
        parts = tuple(
            Part(stack, shifts[stack], tuple(range((n + 1 - k) // 2) for n in done))
            for k, stack in enumerate(_CONTRIBUTIONS)
        )
        return Tap(name, parts, (True,) * len(done), rows)

    return (
        tap("x1", [2 * l for l in range(layers)]),
        tap("x2", [2 * l + 1 for l in range(layers)]),
        tap("xf", [2 * layers], positions) if segment.ends else tap(BEHIND, [2 * layers]),
    )


def _norms_last(
    segment: Segment, shifts: dict[str, Shifts], positions: tuple[int, ...]
) -> tuple[Tap, ...]:
    """A norm reads what one linear layer writes, a layer what the last norm before it writes."""
    layers = segment.size
    depth, none = range(layers), (False,) * layers
    own = tuple(range(l, l + 1) for l in depth)
    before = tuple(range(max(l - 1, 0), l) for l in depth)
    last, unscaled = (Part("y3", (0,) * layers, (range(layers - 1, layers),)),), (0,) * layers
    return (
        Tap("x1", (Part("o", shifts["o"], own),), none),
        Tap("x2", (Part("m", shifts["m"], own),), none),
        Tap("y1", (Part("y3", unscaled, before),), tuple(l == 0 for l in depth)),
        Tap("yf", last, (False,), positions) if segment.ends else Tap(BEHIND, last, (False,)),
    )
