"""One layer of the integer model: from the residual stream before it to the one behind it.

With norms first (all but OPT-350M), for x of S x D:
    y1 = norm(x)        q, k, v from y1        a = attention        o = rescale(a Wo + b)
    x' = x + 2^c o      y2 = norm(x')          h from y2            m = rescale(h Wm + b)
    x_next = x' + 2^e m
Without, the stream between layers is y1 itself (the norm of the last sum), and
    o = rescale(a Wo + y1 Wo_skip + b)         y2 = norm(2^c o)
    m = rescale(h Wm + y2 Wm_skip + b)         y1_next = norm(2^e m)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.formats import LanguageFormats
from zkbench.models.language.integer_attention import attend
from zkbench.models.language.integer_operators import (
    Int16s,
    Int64s,
    NormTrace,
    accumulate,
    check_accumulators,
    checked_int16,
    integer_product,
    normalise,
    rescaled,
    rotate_heads,
)
from zkbench.models.language.tables import Tables, look_up

LayerTensors = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class IntegerLayer:
    """A layer's weights: int16 matrices (d_in x d_out) and int64 biases by `matrix_names`."""

    matrices: Mapping[str, Int16s]
    biases: Mapping[str, Int64s]


@dataclass(frozen=True, eq=False)
class LayerContext:
    """What a layer needs beside its weights and the stream."""

    config: LanguageModelConfig
    formats: LanguageFormats
    tables: Tables
    block: int


def norm_output(config: LanguageModelConfig, number: int) -> str:
    """What the first or the second norm of a layer puts out; y3 is what the next layer reads."""
    return f"y{number}" if config.norm_first else f"y{number + 1}"


def forward_layer(
    context: LayerContext, index: int, layer: IntegerLayer, stream: Int64s
) -> tuple[LayerTensors, Int64s]:
    """The layer's tensors, named as in `LanguageTrace`, and the stream behind it (S x D, int64).

    Raises `QuantisationError`, naming layer and operator, where a value leaves its range.
    """
    return _Run(context, index, layer).forward(stream)


class _Run:
    """One pass through one layer; `found` collects its tensors."""

    def __init__(self, context: LayerContext, index: int, layer: IntegerLayer) -> None:
        self.config, self.formats, self.tables = context.config, context.formats, context.tables
        self.block = context.block
        self.index = index
        self.layer = layer
        self.found: LayerTensors = {}

    def forward(self, stream: Int64s) -> tuple[LayerTensors, Int64s]:
        if self.config.norm_first:
            return self.found, self._norm_first(stream)
        return self.found, self._norm_last(stream)

    def _norm_first(self, x: Int64s) -> Int64s:
        y1 = self._norm(x, 1)
        x = x + self._contribution("o", self.attention(y1), None)
        y2 = self._norm(x, 2)
        return x + self._contribution("m", self.feed_forward(y2), None)

    def _norm_last(self, stream: Int64s) -> Int64s:
        y1 = checked_int16(stream, f"input of layer {self.index}")
        self.found["y1"] = y1
        y2 = self._norm(self._contribution("o", self.attention(y1), y1), 1)
        return self._norm(self._contribution("m", self.feed_forward(y2), y2), 2).astype(np.int64)

    def attention(self, y: Int16s) -> Int16s:
        """a, S x (H d)."""
        q, k, v = (self._heads(name, y) for name in "qkv")
        if self.config.is_llama:
            self.found["q_raw"], self.found["k_raw"] = q, k
            q, k = self._rotated("q", q), self._rotated("k", k)
        self.found |= {"q": q, "k": k, "v": v}
        exponentials = self.tables.exponentials
        trace = attend(q, k, v, self.formats, exponentials, self.block, self.index)
        self.found |= {"t": trace.t, "t.remainders": trace.score_remainders}
        self.found |= {"shift": trace.shift, "row_sums": trace.row_sums}
        self.found |= {"a": trace.a, "a.remainders": trace.remainders}
        return trace.a.reshape(len(y), -1)

    def feed_forward(self, y: Int16s) -> Int16s:
        """h, S x F."""
        if self.config.is_llama:
            g, u = self._linear("g", y), self._linear("u", y)
            assert self.tables.activation is not None
            activated = look_up(self.tables.activation, g)
            products = activated.astype(np.int64) * u.astype(np.int64)
            h, remainders = rescaled(products, self.formats.shifts["h"], self._name("h"))
            self.found |= {"g": g, "u": u, "activated": activated}
            self.found |= {"h": h, "h.remainders": remainders}
            return h
        f = self._linear("f", y)
        table = self.tables.activation
        h = np.maximum(f, np.int16(0)) if table is None else look_up(table, f)
        self.found |= {"f": f, "h": h}
        return h

    def _norm(self, x: Int64s, number: int) -> Int16s:
        trace: NormTrace = normalise(x, self.formats.epsilon, self._name(f"norm {number}"))
        self.found |= {f"ss{number}": trace.ss, f"sq{number}": trace.sq, f"r{number}": trace.r}
        self.found[f"norm{number}.remainders"] = trace.remainders
        self.found[norm_output(self.config, number)] = trace.y
        return trace.y

    def _contribution(self, name: str, x: Int16s, skipped: Int16s | None) -> Int64s:
        """2^c o or 2^e m, from the input of its matrix."""
        output = self._linear(name, x, skipped)
        self.found[name] = output
        return output.astype(np.int64) << self.formats.residual_shift(self.index, name)

    def _heads(self, name: str, y: Int16s) -> Int16s:
        return self._linear(name, y).reshape(len(y), -1, self.config.head_width)

    def _rotated(self, name: str, values: Int16s) -> Int16s:
        assert self.tables.cos is not None
        assert self.tables.sin is not None
        tables = self.tables.cos, self.tables.sin
        turned, remainders = rotate_heads(values, *tables, self._name(f"rotated {name}"))
        self.found[f"{name}.remainders"] = remainders
        return turned

    def _linear(self, name: str, x: Int16s, skipped: Int16s | None = None) -> Int16s:
        accumulators = accumulate(x, self.layer.matrices[name], self.layer.biases.get(name))
        if skipped is not None:
            skip = self.layer.matrices[f"{name}_skip"]
            accumulators = accumulators + integer_product(skipped, skip)
        check_accumulators(accumulators, self._name(name))
        y, remainders = rescaled(accumulators, self.formats.shifts[name], self._name(name))
        self.found[f"{self._written(name)}.remainders"] = remainders
        return y

    def _written(self, name: str) -> str:
        """What a linear layer writes: of what is rotated, the tensor before."""
        return f"{name}_raw" if self.config.is_llama and name in ("q", "k") else name

    def _name(self, name: str) -> str:
        return f"{name} of layer {self.index}"
