"""All values of an integer forward pass, layers stacked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkbench.models.language.integer_layer import LayerTensors

Int16s = NDArray[np.int16]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class OutputTrace:
    """The output layer at N positions.

    y: int16, N x D. ss, sq, r: int64 and int32, N (None without leading norms, where y is the last
    layer's). logits: int16, N x V. chosen: the first arg-max of each, N.
    """

    y: Int16s
    ss: Int64s | None
    sq: Int32s | None
    r: Int32s | None
    logits: Int16s
    chosen: Int64s


@dataclass(frozen=True, eq=False)
class LayersTrace:
    """All values of some layers of an integer forward pass; see integer_layer for what each is.

    S counts the padded positions, `num_tokens` the real ones; `tokens` (S) ends in zeros; the output
    layer is asked for at `positions`. B is `block`, T the tiles on and below the diagonal. `tensors`,
    each with the layers as first axis:
        y1, y2          int16, S x D: what attention and the feed-forward part read
        y3              int16, S x D, without leading norms: what the next layer reads
        ss1, ss2        int64, S: of the first and the second norm of a layer
        sq1, sq2, r1, r2    int32, S
        q_raw, k_raw    int16, S x H x d and S x Hkv x d, before the rotation (LLaMA)
        q, k, v         int16, S x H x d, S x Hkv x d
        t               uint16, H x T x B x B
        shift, row_sums     int32, H x S
        a               int16, S x H x d
        o, m            int16, S x D
        g, activated, u, h      int16, S x F (LLaMA)
        f, h            int16, S x F (OPT)
    and of each that comes out of a rescaling, under its name with ".remainders" behind it, what the
    rescaling leaves (uint16): of t's scores, of a norm's output as "norm1.remainders".
    """

    tokens: Int64s
    num_tokens: int
    block: int
    positions: Int64s
    tensors: Mapping[str, NDArray[Any]]

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.tensors[name]


@dataclass(frozen=True, eq=False)
class LanguageTrace(LayersTrace):
    """All values of an integer forward pass: those of all layers, and of the output layer."""

    output: OutputTrace


class StackedLayers:
    """Gathers the tensors of layers into arrays with a leading axis of layers."""

    def __init__(self, layers: int) -> None:
        self.layers = layers
        self.tensors: dict[str, NDArray[Any]] = {}

    def add(self, index: int, found: LayerTensors) -> None:
        """Places one layer's tensors; the first to come decides shapes and types."""
        for name, values in found.items():
            if name not in self.tensors:
                shape = (self.layers, *values.shape)
                self.tensors[name] = np.empty(shape, dtype=values.dtype, like=values)
            self.tensors[name][index] = values
