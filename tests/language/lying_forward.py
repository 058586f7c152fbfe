"""A forward pass of the integer model in which any value may be changed, and its witness.

A change is a function of (name, layer, values) that returns what the pass goes on with; the layer of
the output's part is -1. Names are those of ``LanguageTrace``, and besides them x1, x2, xf (what a norm
reads), angles (cosines and sines of a rotation), activated, added_o and added_m (what goes into the
stream, shifted), x0 (the embedding) and, for the final norm and the output, ssf, sqf, rf, yf, logits.
Where norms stand behind the sums, besides: y3 (what the second norm puts out), skip_o and skip_m (what
a sum begins with, not rescaled). t is heads x S x S.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from zkbench.kernels.softmax import row_shifts
from zkbench.models.language.integer_layer import _Run
from zkbench.models.language.integer_model import IntegerLanguageModel
from zkbench.models.language.integer_operators import accumulate, integer_product, integer_sqrt
from zkbench.models.language.tables import look_up
from zkbench.models.language.trace import LanguageTrace, OutputTrace, StackedLayers
from zkbench.protocols.language_inference import LanguageInference
from zkbench.protocols.language_tensors import norm_tensors
from zkbench.protocols.language_witness import WitnessTensors
from zkbench.protocols.rotary_tables import ROTARY_BITS, RotaryTables
from zkbench.quant.rotary import rotate

Change = Callable[[str, int, np.ndarray], np.ndarray]
MASK = 1 << 15


def as_it_is(name: str, layer: int, values: np.ndarray) -> np.ndarray:
    return values


def bump(
    name: str, layer: int = 1, amount: int = 1, index: tuple[int, ...] | None = None
) -> Change:
    """Adds to one entry of a tensor, by default to the last one."""

    def change(at: str, at_layer: int, values: np.ndarray) -> np.ndarray:
        if (at, at_layer) != (name, layer):
            return values
        values = values.astype(np.int64)
        values[index or tuple(n - 1 for n in values.shape)] += amount
        return values

    return change


def replaced(name: str, layer: int, function: Callable[[np.ndarray], np.ndarray]) -> Change:
    """Another tensor in the place of one."""
    return lambda at, k, values: function(values) if (at, k) == (name, layer) else values


def narrow(values: np.ndarray, dtype: Any) -> np.ndarray:
    """As honest provers hold them, if they fit."""
    limits = np.iinfo(dtype)
    fits = values.min() >= limits.min and values.max() <= limits.max
    return values.astype(dtype if fits else np.int64)


def quotient(accumulators: np.ndarray, shift: int) -> np.ndarray:
    return (accumulators.astype(np.int64) + (1 << (shift - 1))) >> shift


class LyingRun(_Run):
    """One pass through one layer."""

    change: Change = staticmethod(as_it_is)

    def _changed(self, name: str, values: np.ndarray, dtype: Any = np.int16) -> np.ndarray:
        return narrow(self.change(name, self.index, values), dtype)

    def _linear(self, name, x, skipped=None):
        matrix, bias = self.layer.matrices[name], self.layer.biases.get(name)
        sums = accumulate(x, matrix, bias)
        if skipped is not None:
            skip = integer_product(skipped, self.layer.matrices[f"{name}_skip"])
            sums = sums + self.change(f"skip_{name}", self.index, skip)
        y = quotient(sums, self.formats.shifts[name])
        rotates = self.config.is_llama and name in ("q", "k")
        return self._changed(f"{name}_raw" if rotates else name, y)

    def _rotated(self, name, values):
        honest = np.stack((self.tables.cos, self.tables.sin))
        angles = self.change(f"angles of {name}", self.index, honest)
        tables = RotaryTables(*angles)
        shape = (1, 1, *values.shape)
        turned = rotate(values.reshape(shape), tables).reshape(values.shape)
        return self._changed(name, quotient(turned, ROTARY_BITS))

    def _contribution(self, name, x, skipped):
        added = super()._contribution(name, x, skipped)
        return self.change(f"added_{name}", self.index, added)

    def _norm_last(self, stream):
        return super()._norm_last(self.change("y1", self.index, stream))

    def _norm(self, x, number):
        _, y = norm_tensors(self.config)[f"norm{number}"]
        found = changed_norm(self.change, str(number), self.index, x, self.formats.epsilon, y)
        self.found |= found
        return found[y]

    def attention(self, y):
        q, k, v = (self._heads(name, y) for name in "qkv")
        if self.config.is_llama:
            self.found["q_raw"], self.found["k_raw"] = q, k
            q, k = self._rotated("q", q), self._rotated("k", k)
        self.found |= {"q": q, "k": k, "v": v}
        return self._attend(q, k, v).reshape(len(y), -1)

    def _attend(self, q, k, v):
        k, v = (np.repeat(one, self.config.group, axis=1).transpose(1, 0, 2) for one in (k, v))
        z = integer_product(q.transpose(1, 0, 2), k.transpose(0, 2, 1))
        scores = quotient(z, self.formats.shifts["z"])
        past = np.tril(np.ones((len(q), len(q)), dtype=bool))
        shift = row_shifts(
            scores, self.tables.exponentials, 1 << self.formats.row_bits, causal=True
        )
        shift = self.change("shift", self.index, shift)
        t = shift[..., None] + np.where(past, 0, MASK) - scores
        t = self.change("t", self.index, t)
        p = self._weights(t)
        means = quotient(integer_product(p, v), self.formats.row_bits)
        a = self._changed("a", means.transpose(1, 0, 2))
        self.found |= {"shift": shift, "t": narrow(self._tiles(t), np.uint16), "a": a}
        self.found["row_sums"] = p.sum(axis=-1)
        return a

    def _weights(self, t):
        """Tiles above the diagonal do not exist."""
        block = np.arange(t.shape[1]) // self.block
        exists = block[None, :] <= block[:, None]
        return np.where(exists, self.tables.exponentials[np.clip(t, 0, (1 << 16) - 1)], 0)

    def _tiles(self, t):
        cut = [slice(b * self.block, (b + 1) * self.block) for b in range(t.shape[1] // self.block)]
        tiles = [t[:, cut[i], cut[j]] for i in range(len(cut)) for j in range(i + 1)]
        return np.stack(tiles, axis=1)

    def feed_forward(self, y):
        if not self.config.is_llama:
            h = super().feed_forward(y)
            self.found["h"] = self._changed("h", h.astype(np.int64))
            return self.found["h"]
        g, u = self._linear("g", y), self._linear("u", y)
        inside = np.clip(g, -MASK, MASK - 1).astype(np.int16)
        activated = self._changed("activated", look_up(self.tables.activation, inside))
        products = activated.astype(np.int64) * u.astype(np.int64)
        h = self._changed("h", quotient(products, self.formats.shifts["h"]))
        self.found |= {"g": g, "u": u, "activated": activated, "h": h}
        return h


def changed_norm(
    change: Change, suffix: str, layer: int, x: np.ndarray, epsilon: int, output: str
) -> dict[str, np.ndarray]:
    x = change(f"x{suffix}", layer, x)
    ss = change(f"ss{suffix}", layer, np.square(x).sum(axis=-1) + epsilon)
    sq = change(f"sq{suffix}", layer, integer_sqrt(ss))
    r = change(f"r{suffix}", layer, (1 << 31) // sq)
    y = narrow(change(output, layer, quotient(x * r[:, None], 16)), np.int16)
    found = {f"x{suffix}": x, f"ss{suffix}": ss, f"sq{suffix}": sq, f"r{suffix}": r}
    return {**found, output: y}


def forward(
    model: IntegerLanguageModel, tokens: np.ndarray, positions: Any, block: int, change: Change
) -> tuple[LanguageTrace, dict[str, np.ndarray]]:
    """The trace, and the values of the final norm: where there is none, what the output reads."""
    prompt = model.prompt(np.asarray(tokens), None, block)
    context, padded = prompt.context, prompt.tokens
    stack = StackedLayers(model.config.layers)
    x = change("x0", -1, model.embed(padded))
    for index in range(model.config.layers):
        run = LyingRun(context, index, model.layer(index))
        run.change = change
        found, x = run.forward(x)
        stack.add(index, {name: wide(values) for name, values in found.items()})
    asked = np.asarray(positions)
    if model.config.norm_first:
        final = changed_norm(change, "f", -1, x[asked], model.formats.epsilon, "yf")
    else:
        final = {"yf": narrow(change("yf", -1, x[asked]), np.int16)}
    bias = None if model.config.is_llama else model.tensor("output.bias")
    sums = accumulate(final["yf"], model.tensor("output"), bias)
    logits = change("logits", -1, quotient(sums, model.formats.shifts["logits"]))
    parts = (final.get(f"{name}f") for name in ("y", "ss", "sq", "r"))
    output = OutputTrace(*parts, narrow(logits, np.int16), logits.argmax(axis=-1))
    return LanguageTrace(padded, len(tokens), block, asked, stack.tensors, output), final


def wide(values: np.ndarray) -> np.ndarray:
    """One type for all layers: the first must not decide."""
    return values.astype(np.int64)


class LyingWitness(WitnessTensors):
    """The witness of such a pass; ``final``: the values of the final norm."""

    def __init__(
        self,
        inference: LanguageInference,
        weights: Mapping[str, np.ndarray],
        trace: LanguageTrace,
        final: Mapping[str, np.ndarray],
        in_range: frozenset[str],
    ) -> None:
        super().__init__(inference, weights, trace)
        self.final, self.in_range = final, in_range

    def to_target(self, target):
        super().to_target(target)
        kinds = dict.fromkeys(self.inference.unsigned, np.uint16)
        kinds |= {name: np.uint16 for name in self.arrays if name.endswith("remainders")}
        wider = {"attention.row_sums", "logits.differences"}
        found = {}
        for name, array in self.arrays.items():
            is_wide = name in wider or name[0] == "x" or name.endswith("sums")
            kind = (np.int32 if name in wider else np.int64) if is_wide else kinds.get(name)
            found[name] = target.to_device(narrow(array, kind or np.int16))
        return found

    def _streams(self):
        self.arrays |= {name: self.trace[name] for name in ("x1", "x2")}
        if self.config.norm_first:
            self.arrays["xf"] = self.final["xf"][None]
        else:
            self.arrays |= {"y1": self.trace["y1"], "yf": self.final["yf"][None]}

    def _remainders(self, name: str) -> np.ndarray:
        """Those that make 2^shift y what it should be."""
        if name == "t":
            return self._in_range("attention.score_remainders", *self._scores())
        if name == "a":
            totals = np.stack([self._totals(k) for k in range(self.inference.shape.layers)])
            shift = self.formats.row_bits
            return self._left("attention.output_remainders", name, totals, shift)
        shift = ROTARY_BITS if self._rotates(name) else self.formats.shifts[_matrix(name)]
        return self._left(f"{name}.remainders", name, self._sums(name), shift)

    def _left(self, name: str, y: str, accumulators: np.ndarray, shift: int) -> np.ndarray:
        exact = accumulators.astype(np.int64) + (1 << (shift - 1))
        exact = exact - (self.arrays[y].reshape(exact.shape).astype(np.int64) << shift)
        found = self._in_range(name, exact, shift)
        return found.reshape(self.trace[y].shape) if y in self.trace.tensors else found

    def _in_range(self, name: str, exact: np.ndarray, shift: int) -> np.ndarray:
        return exact & ((1 << shift) - 1) if name in self.in_range else exact

    def _rotates(self, name: str) -> bool:
        return self.config.is_llama and name in ("q", "k")

    def _sums(self, name: str) -> np.ndarray:
        """What is rescaled to a tensor."""
        if name == "h":
            return self.trace["activated"] * self.trace["u"]
        if self._rotates(name):
            half, positions = self.config.head_width // 2, len(self.trace.tokens)
            tables = RotaryTables.of(positions, half, self.config.rope_theta)
            return rotate(self.arrays[f"{name}_raw"], tables)
        x, matrix = self._inputs(name), _matrix(name)
        weights, bias = self.weights[f"w_{matrix}"], self.weights.get(f"b_{matrix}")
        sums = stacked_products(x, weights.reshape(len(x), x.shape[-1], -1))
        sums = sums if bias is None else sums + bias.reshape(len(x), 1, -1)
        if f"w_{matrix}_skip" in self.weights:
            skipped = self.trace["y1" if matrix == "o" else "y2"]
            sums = sums + stacked_products(skipped, self.weights[f"w_{matrix}_skip"])
        return sums

    def _inputs(self, name: str) -> np.ndarray:
        x = self.trace[{"o": "a", "m": "h"}.get(name, "y2" if name in "guf" else "y1")]
        return x.reshape(*x.shape[:2], -1)

    def _totals(self, layer: int) -> np.ndarray:
        """Sums of P v over a layer's tiles, S x heads x d."""
        shape, block, table = self.inference.shape, self.trace.block, self.inference.exponentials
        v = np.repeat(self.trace["v"][layer].transpose(1, 0, 2), shape.group, axis=0)
        sums = np.zeros(self.trace["q"][layer].transpose(1, 0, 2).shape, np.int64)
        for tile, (bi, bj) in enumerate(shape.tile_blocks):
            rows, columns = (slice(b * block, (b + 1) * block) for b in (bi, bj))
            t = np.clip(self.trace["t"][layer, :, tile], 0, len(table.values) - 1)
            sums[:, rows] += integer_product(table.values[t], v[:, columns])
        return sums.transpose(1, 0, 2)

    def _scores(self) -> tuple[np.ndarray, int]:
        shape, shift = self.inference.shape, self.formats.shifts["z"]
        block, trace = self.trace.block, self.trace
        q, k = (trace[n].transpose(0, 2, 1, 3) for n in "qk")  # layers x heads x S x d
        k = np.repeat(k, shape.group, axis=1)
        exact = np.empty(trace["t"].shape, dtype=np.int64)
        for tile, (bi, bj) in enumerate(shape.tile_blocks):
            rows, columns = (slice(b * block, (b + 1) * block) for b in (bi, bj))
            z = integer_product(q[:, :, rows], k[:, :, columns].transpose(0, 1, 3, 2))
            mask = np.triu(np.full((block, block), MASK), 1) if bi == bj else 0
            quotients = trace["shift"][:, :, rows, None] + mask - trace["t"][:, :, tile]
            exact[:, :, tile] = z + (1 << (shift - 1)) - (quotients << shift)
        return exact, shift

    def _attention(self):
        super()._attention()
        if "attention.row_sums" in self.in_range:
            most = 1 << self.formats.tolerance.bit_length()
            low = (1 << self.formats.row_bits) - most
            sums = self.arrays["attention.row_sums"]
            self.arrays["attention.row_sums"] = sums.clip(low, low + 2 * most - 1)

    def _output(self):
        super()._output()
        sums = accumulate(self.trace.output.y, self.weights["output"][0], None)
        sums = sums + self.weights.get("b_output", np.zeros(1, np.int64))
        shift = self.formats.shifts["logits"]
        self.arrays["logits.remainders"] = self._left("logits.remainders", "logits", sums, shift)

    def _norms(self):
        found = {**self.trace.tensors, **{k: values[None] for k, values in self.final.items()}}
        for name, (x, y) in norm_tensors(self.config).items():
            ss, sq, r = (found[name.replace("norm", part)] for part in ("ss", "sq", "r"))
            self.arrays[y], self.arrays[f"{name}.sums"] = found[y], ss
            limbs = exact_limbs(ss, sq, r, name in self.in_range)
            for part, array in zip(("limbs", "sq_high", "r_high"), limbs, strict=True):
                self.arrays[f"{name}.{part}"] = array
            scaled = self.arrays[x] * r[..., None]
            left = f"{name}.remainders"
            self.arrays[left] = self._left(left, y, scaled, 16)


def _matrix(name: str) -> str:
    return name.removesuffix("_raw")


def stacked_products(x: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    return np.stack([integer_product(*pair) for pair in zip(x, matrices, strict=True)])


def exact_limbs(
    ss: np.ndarray, sq: np.ndarray, r: np.ndarray, in_range: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As quant/rms_norm.py has them, but high limbs may leave their range, or are made to wrap."""
    d, m = ss - sq * sq, (1 << 31) - r * sq
    numbers = (sq, r, d, 2 * sq - d, m, sq - 1 - m)
    low, high = [n & 0xFFFF for n in numbers], [n >> 16 for n in numbers]
    if in_range:
        high = [n & 0xFFFF for n in high]
    pairs = [one for pair in zip(low[2:], high[2:], strict=True) for one in pair]
    return np.stack([low[0], low[1], *pairs]), high[0], high[1]
