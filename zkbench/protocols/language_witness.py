"""What a prover works with: one forward pass of a language model, as a program names its tensors.

Tensors are flat on the target: int16 and uint16 as they are committed; remainders, row sums and the
residual streams, which are virtual, in the type that they need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from zkbench.kernels.launch import Array, Target
from zkbench.models.language.formats import NORM_SHIFT
from zkbench.models.language.integer_operators import (
    check_residual,
    checked_int16,
    integer_product,
)
from zkbench.models.language.tables import look_up, rotations
from zkbench.models.language.trace import LanguageTrace, LayersTrace, OutputTrace
from zkbench.protocols.language_inference import LanguageInference
from zkbench.protocols.language_segment import Boundary
from zkbench.protocols.language_tensors import norm_tensors
from zkbench.protocols.rotary_tables import ROTARY_BITS, RotaryTables
from zkbench.quant.formats import QuantisationError
from zkbench.quant.linear import rescale
from zkbench.quant.rms_norm import norm_limbs
from zkbench.quant.rotary import rotate

Arrays = dict[str, Any]  # NumPy's, or another library's that NumPy's functions dispatch to
Place = Callable[[np.ndarray], Any]
_READERS = 16
_ROOT_BITS = 24  # of what protocols/rmsnorm.py takes


def boundary_arrays(boundary: Boundary, stream: Any) -> Arrays:
    """The halves of a stream between two segments, or itself, in 16 bits."""
    if not boundary.in_halves:
        (name,) = boundary.limbs
        return {name: checked_int16(stream, "stream between segments")}
    check_residual(stream, "a segment")
    high, low = boundary.limbs
    return {high: (stream >> 16).astype(np.int16), low: (stream & 0xFFFF).astype(np.uint16)}


class WitnessTensors:
    """All tensors of a forward pass through the layers of a segment.

    weights: their matrices and biases, as ``segment_arrays`` names them. trace: of these layers; where
    the model ends with them, with the output. before: the stream that they begin with, S x D, unless
    the model begins with them.
    """

    def __init__(
        self,
        inference: LanguageInference,
        weights: Mapping[str, np.ndarray],
        trace: LayersTrace,
        before: Any = None,
    ) -> None:
        self.inference, self.weights, self.trace = inference, weights, trace
        self.before, self.segment = before, inference.segment
        self.config, self.formats = inference.config, inference.formats
        self.arrays: Arrays = {}

    @property
    def _out(self) -> OutputTrace:
        assert isinstance(self.trace, LanguageTrace), "the output layer is in the last segment"
        return self.trace.output

    def to_target(self, target: Target) -> dict[str, Array]:
        self._streams()
        self._attention()
        self._feed_forward()
        self._norms()
        if self.segment.ends:
            self._output()
        shapes = self.inference.program.witness
        for name, array in self.arrays.items():
            assert name not in shapes or array.size == prod(shapes[name]), name
        return {name: target.to_device(_packed(array)) for name, array in self.arrays.items()}

    def _positions_in_blocks(self, array: Any) -> Any:
        """layers x S x ... as layers x blocks x B x ..."""
        block = self.trace.block
        return array.reshape(array.shape[0], -1, block, *array.shape[2:])

    def _by_layer(self, like: Any, shape: Sequence[int], layer: Callable[[int], Any]) -> Any:
        """16-bit remainders, made layer by layer: wide integers of one layer exist at a time."""
        found = np.empty(shape, np.uint16, like=like)
        for index in range(shape[0]):
            found[index] = layer(index)
        return found

    def _streams(self) -> None:
        if self.config.norm_first:
            self._residual_stream()
            return
        trace = self.trace
        self.arrays |= {"y1": trace["y1"]}
        if self.segment.ends:
            self.arrays["yf"] = self._out.y[None]
        for name, written in (("x1", "o"), ("x2", "m")):
            sums = np.empty(trace[written].shape, np.int32, like=trace[written])
            for place, layer in enumerate(self.segment.layers):
                shift = self.formats.residual_shift(layer, written)
                sums[place] = trace[written][place].astype(np.int32) << shift
            self.arrays[name] = sums

    def _residual_stream(self) -> None:
        segment, trace = self.segment, self.trace
        x = self._embedded() if segment.begins else self.before
        streams = {
            name: np.empty((segment.size, *x.shape), np.int32, like=x) for name in ("x1", "x2")
        }
        for place, layer in enumerate(segment.layers):
            for name, added in (("x1", "o"), ("x2", "m")):
                streams[name][place] = x
                shift = self.formats.residual_shift(layer, added)
                x = x + (trace[added][place].astype(np.int64) << shift)
        self.arrays |= streams
        if segment.ends:
            asked = np.asarray(trace.positions, like=x)
            self.arrays["xf"] = x[asked][None].astype(np.int32)

    def _embedded(self) -> Any:
        formats, trace = self.formats, self.trace
        table = np.asarray(self.weights["embedding"], like=trace["o"])
        x = table[np.asarray(trace.tokens, like=table)].astype(np.int64) << formats.embedding_shift
        if self.config.is_llama:
            return x
        rows = np.asarray(self.weights["positions"], like=x)[: len(x)].astype(np.int64)
        return x + (rows << formats.positions_shift)

    def _linear(self, y: str, x: Any, skipped: Any = None) -> None:
        """The remainders of a linear layer; x, skipped: layers x rows x d_in."""
        name = y.removesuffix("_raw")
        weights, bias = self.weights[f"w_{name}"], self.weights.get(f"b_{name}")
        skips = self.weights.get(f"w_{name}_skip")
        matrices = weights.reshape(len(x), x.shape[-1], -1)
        shift = self.formats.shifts[name]

        def layer(index: int) -> Any:
            sums = integer_product(x[index], np.asarray(matrices[index], like=x))
            if bias is not None:
                sums = sums + np.asarray(bias[index].reshape(-1), like=x)
            if skips is not None:
                sums = sums + integer_product(skipped[index], np.asarray(skips[index], like=x))
            return rescale(sums, shift)[1]

        shape = (*x.shape[:2], matrices.shape[-1])
        self.arrays[f"{y}.remainders"] = self._by_layer(x, shape, layer)

    def _attention(self) -> None:
        trace, config = self.trace, self.config
        for name in "qkv":
            rotates = config.is_llama and name != "v"
            raw = f"{name}_raw" if rotates else name
            self.arrays[name] = self._positions_in_blocks(trace[name])
            self.arrays[raw] = self._positions_in_blocks(trace[raw])
            self._linear(raw, trace["y1"])
            if rotates:
                self._rotation(name, self.arrays[raw])
        self.arrays["a"] = self._positions_in_blocks(trace["a"])
        shift = trace["shift"].astype(np.int64) + (1 << 31)
        self.arrays["t"] = trace["t"]
        self.arrays["attention.shift_low"] = (shift & 0xFFFF).astype(np.uint16)
        self.arrays["attention.shift_high"] = (shift >> 16).astype(np.uint16)
        self._attention_sums()
        self.arrays["o"] = trace["o"]
        outputs = trace["a"].reshape(self.segment.size, len(trace.tokens), -1)
        self._linear("o", outputs, trace["y1"])

    def _rotation(self, name: str, x: Any) -> None:
        tables = rotations(self.config, len(self.trace.tokens))
        assert tables is not None
        placed = RotaryTables(*(np.asarray(one, like=x) for one in (tables.cos, tables.sin)))

        def layer(index: int) -> Any:
            turned = rotate(x[index : index + 1], placed).astype(np.int64)
            return rescale(turned, ROTARY_BITS)[1][0]

        self.arrays[f"{name}.remainders"] = self._by_layer(x, x.shape, layer)

    def _attention_sums(self) -> None:
        """Remainders of scores and outputs, and row sums."""
        t, shape, exponentials = self.trace["t"], self.inference.shape, self.inference.exponentials
        table = np.asarray(exponentials.values, like=t)
        scores = np.empty(t.shape, np.uint16, like=t)
        row_sums = np.empty(shape.rows, np.int32, like=t)
        outputs = np.empty(shape.queries, np.uint16, like=t)
        for layer in range(shape.layers):
            sums = self._tile_sums(layer, table, scores[layer], row_sums[layer])
            remainders = rescale(sums.transpose(1, 0, 2), exponentials.log_scale)[1]
            outputs[layer] = remainders.reshape(outputs.shape[1:])
        self.arrays["attention.score_remainders"] = scores
        self.arrays["attention.row_sums"] = row_sums
        self.arrays["attention.output_remainders"] = outputs

    def _tile_sums(self, layer: int, table: Any, scores: Any, row_sums: Any) -> Any:
        """Tile by tile: writes a layer's scores' remainders and row sums; sums of P v, heads x S x d."""
        shape, block = self.inference.shape, self.trace.block
        q, k, v = (self.trace[name][layer].transpose(1, 0, 2) for name in "qkv")
        k, v = (np.repeat(one, shape.group, axis=0) for one in (k, v))
        sums = np.zeros(q.shape, np.int64, like=q)
        row_sums[...] = 0
        for tile, (bi, bj) in enumerate(shape.tile_blocks):
            rows, columns = (slice(b * block, (b + 1) * block) for b in (bi, bj))
            z = integer_product(q[:, rows], k[:, columns].transpose(0, 2, 1))
            scores[:, tile] = rescale(z, self.formats.shifts["z"])[1]
            p = table[self.trace["t"][layer, :, tile]]
            row_sums[:, bi] += p.sum(axis=-1, dtype=np.int32)
            sums[:, rows] += integer_product(p, v[:, columns])
        return sums

    def _feed_forward(self) -> None:
        trace = self.trace
        for name in ("g", "u") if self.config.is_llama else ("f",):
            self.arrays[name] = trace[name]
            self._linear(name, trace["y2"])
        if self.config.is_llama:
            self._gate()
        else:
            self.arrays["activated"] = trace["h"]
        self.arrays["m"] = trace["m"]
        self._linear("m", trace["h"], trace["y2"])

    def _gate(self) -> None:
        g, u = self.trace["g"], self.trace["u"]
        table = np.asarray(self.inference.activation.values.astype(np.int16), like=g)
        activated = np.empty(g.shape, np.int16, like=g)

        def layer(index: int) -> Any:
            activated[index] = look_up(table, g[index])
            products = activated[index].astype(np.int64) * u[index].astype(np.int64)
            return rescale(products, self.formats.shifts["h"])[1]

        remainders = self._by_layer(g, g.shape, layer)
        self.arrays |= {"activated": activated, "h": self.trace["h"], "h.remainders": remainders}

    def _norms(self) -> None:
        for name, (x, y) in norm_tensors(self.config, self.segment.ends).items():
            ss, sq, r = self._roots(name)
            _check_roots(name, sq)
            self.arrays[y], self.arrays[f"{name}.sums"] = self._norm_outputs(y), ss
            limbs = norm_limbs(ss, sq.astype(np.int64), r.astype(np.int64))
            for part, array in zip(("limbs", "sq_high", "r_high"), limbs, strict=True):
                self.arrays[f"{name}.{part}"] = array
            self._scaling(name, self.arrays[x], r)

    def _roots(self, name: str) -> tuple[Any, Any, Any]:
        """ss, sq and r of all rows of a norm."""
        if name != "normf":
            ss, sq, r = (self.trace[name.replace("norm", part)] for part in ("ss", "sq", "r"))
            return ss, sq, r
        out = self._out
        assert out.ss is not None
        assert out.sq is not None
        assert out.r is not None
        return out.ss[None], out.sq[None], out.r[None]

    def _norm_outputs(self, y: str) -> Any:
        if y == "yf":
            return self._out.y[None]
        return self._layer_outputs() if y == "y3" else self.trace[y]

    def _layer_outputs(self) -> Any:
        """Norms last: what the next layer reads. Behind the last one a trace has asked rows alone."""
        y, x, r = np.empty_like(self.trace["y1"]), self.arrays["x2"], self.trace["r2"]
        y[:-1] = self.trace["y1"][1:]
        y[-1] = rescale(x[-1].astype(np.int64) * r[-1].astype(np.int64)[..., None], NORM_SHIFT)[0]
        return y

    def _scaling(self, name: str, x: Any, r: Any) -> None:
        def layer(index: int) -> Any:
            scaled = x[index].astype(np.int64) * r[index].astype(np.int64)[..., None]
            return rescale(scaled, NORM_SHIFT)[1]

        self.arrays[f"{name}.remainders"] = self._by_layer(x, x.shape, layer)

    def _output(self) -> None:
        out = self._out
        self.arrays["logits"] = out.logits
        sums = integer_product(out.y, np.asarray(self.weights["output"][0], like=out.y))
        if "b_output" in self.weights:
            sums = sums + np.asarray(self.weights["b_output"][0], like=sums)
        self.arrays["logits.remainders"] = rescale(sums, self.formats.shifts["logits"])[1]
        logits = out.logits.astype(np.int32)
        at_chosen = np.take_along_axis(logits, out.chosen[:, None], axis=1)
        before = np.arange(logits.shape[1], like=logits)[None, :] < out.chosen[:, None]
        self.arrays["logits.differences"] = (at_chosen - logits - before).astype(np.int32)


def _check_roots(name: str, sq: Any) -> None:
    """The integer model takes longer rows than a proof does."""
    if int(sq.max()) >> _ROOT_BITS:
        raise QuantisationError(
            f"the length of a row of {name} is {int(sq.max())} and exceeds {_ROOT_BITS} bits;"
            " recalibrate with fewer residual bits"
        )


def _packed(array: Any) -> Any:
    """The array without gaps (NumPy's own function would not leave it where it is)."""
    return array if array.flags.c_contiguous else array.copy()
