"""What a prover works with: a language model's weights and one forward pass, as a program names them.

Tensors are flat on the target: int16 and uint16 as they are committed; remainders, row sums and the
residual streams, which are virtual, in the type that they need.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zkbench.fields import Field
from zkbench.kernels.launch import Array, Target
from zkbench.models.language.formats import linear_names
from zkbench.models.language.integer_model import IntegerLanguageModel
from zkbench.models.language.integer_operators import integer_product
from zkbench.models.language.integer_tensors import has_bias
from zkbench.models.language.tables import look_up
from zkbench.models.language.trace import LanguageTrace
from zkbench.protocols.language_inference import LanguageInference, model_shapes
from zkbench.protocols.rotary_tables import ROTARY_BITS, RotaryTables
from zkbench.quant.linear import rescale
from zkbench.quant.rms_norm import norm_limbs
from zkbench.quant.rotary import rotate

Arrays = dict[str, np.ndarray]


def model_arrays(model: IntegerLanguageModel) -> Arrays:
    """The committed tensors of a model on the host, by the names of ``model_shapes``."""
    config = model.config
    shapes = model_shapes(config)
    found: Arrays = {"embedding": model.tensor("embedding"), "output": model.tensor("output")}
    if not config.is_llama:
        found["positions"] = model.tensor("positions")
        found["b_output"] = model.tensor("output.bias")
    for name in linear_names(config):
        layers = [f"layers.{layer}.{name}" for layer in range(config.layers)]
        found[f"w_{name}"] = np.stack([model.tensor(one) for one in layers])
        if has_bias(config, name):
            found[f"b_{name}"] = np.stack([model.tensor(f"{one}.bias") for one in layers])
    return {
        name: np.ascontiguousarray(array).reshape(shapes[name]) for name, array in found.items()
    }


def model_tensors(
    target: Target, field: Field, arrays: Mapping[str, np.ndarray]
) -> dict[str, Array]:
    """The same on the target; biases also lifted to E, as "name.lifted"."""
    tensors = {name: target.to_device(array) for name, array in arrays.items()}
    for name, array in arrays.items():
        if name.startswith("b_"):
            tensors[f"{name}.lifted"] = target.to_device(field.lift(array))
    return tensors


class WitnessTensors:
    """All tensors of one forward pass."""

    def __init__(
        self, inference: LanguageInference, weights: Mapping[str, np.ndarray], trace: LanguageTrace
    ) -> None:
        self.inference, self.weights, self.trace = inference, weights, trace
        self.config, self.formats = inference.config, inference.formats
        self.arrays: Arrays = {}

    def to_target(self, target: Target) -> dict[str, Array]:
        self._streams()
        self._attention()
        self._feed_forward()
        self._norms()
        self._output()
        shapes = self.inference.program.witness
        for name, array in self.arrays.items():
            assert name not in shapes or array.size == np.prod(shapes[name]), name
        return {name: target.to_device(array) for name, array in self.arrays.items()}

    def _positions_in_blocks(self, array: np.ndarray) -> np.ndarray:
        """layers x S x ... as layers x blocks x B x ..."""
        block = self.trace.block
        return array.reshape(array.shape[0], -1, block, *array.shape[2:])

    def _streams(self) -> None:
        config, formats, trace = self.config, self.formats, self.trace
        x = self.weights["embedding"][trace.tokens].astype(np.int64) << formats.embedding_shift
        if not config.is_llama:
            rows = self.weights["positions"][: len(trace.tokens)].astype(np.int64)
            x = x + (rows << formats.positions_shift)
        first, second = [], []
        for layer in range(config.layers):
            first.append(x)
            x = x + (trace["o"][layer].astype(np.int64) << formats.residual_shift(layer, "o"))
            second.append(x)
            x = x + (trace["m"][layer].astype(np.int64) << formats.residual_shift(layer, "m"))
        streams = {"x1": np.stack(first), "x2": np.stack(second), "xf": x[trace.positions][None]}
        self.arrays |= {name: stream.astype(np.int32) for name, stream in streams.items()}

    def _remainders(self, name: str, accumulators: np.ndarray, shift: int) -> None:
        self.arrays[f"{name}.remainders"] = rescale(accumulators, shift)[1]

    def _linear(self, y: str, x: np.ndarray) -> None:
        """The remainders of a linear layer; x: layers x rows x d_in."""
        name = y.removesuffix("_raw")
        layers = []
        for layer in range(len(x)):
            weights = self.weights[f"w_{name}"][layer].reshape(x.shape[-1], -1)
            sums = integer_product(x[layer], weights)
            bias = self.weights.get(f"b_{name}")
            layers.append(sums if bias is None else sums + bias[layer].reshape(-1))
        self._remainders(y, np.stack(layers), self.formats.shifts[name])

    def _attention(self) -> None:
        trace, config = self.trace, self.config
        for name in "qkv":
            rotates = config.is_llama and name != "v"
            raw = f"{name}_raw" if rotates else name
            self.arrays[name] = self._positions_in_blocks(trace[name])
            self.arrays[raw] = self._positions_in_blocks(trace[raw])
            self._linear(raw, trace["y1"])
            if rotates:
                half = config.head_width // 2
                tables = RotaryTables.of(len(trace.tokens), half, config.rope_theta)
                self._remainders(
                    name, rotate(self.arrays[raw], tables).astype(np.int64), ROTARY_BITS
                )
        self.arrays["a"] = self._positions_in_blocks(trace["a"])
        shift = trace["shift"].astype(np.int64) + (1 << 31)
        self.arrays["t"] = trace["t"]
        self.arrays["attention.shift_low"] = (shift & 0xFFFF).astype(np.uint16)
        self.arrays["attention.shift_high"] = (shift >> 16).astype(np.uint16)
        self._attention_sums()
        self.arrays["o"] = trace["o"]
        self._linear("o", trace["a"].reshape(config.layers, len(trace.tokens), -1))

    def _attention_sums(self) -> None:
        """Remainders of scores and outputs, and row sums, tile by tile."""
        trace, block, shape = self.trace, self.trace.block, self.inference._attention_shape
        table = self.inference._exponentials.values
        scores = np.empty(trace["t"].shape, dtype=np.uint16)
        row_sums = np.zeros((shape.layers, shape.heads, shape.blocks, block), dtype=np.int32)
        outputs = np.zeros((shape.layers, shape.heads, shape.positions, shape.head_dim), np.int64)
        for layer in range(shape.layers):
            q, k, v = (trace[n][layer].transpose(1, 0, 2) for n in "qkv")  # heads x S x d
            k, v = (np.repeat(one, shape.group, axis=0) for one in (k, v))
            for tile, (bi, bj) in enumerate(shape.tile_blocks):
                rows, columns = (slice(b * block, (b + 1) * block) for b in (bi, bj))
                z = integer_product(q[:, rows], k[:, columns].transpose(0, 2, 1))
                scores[layer, :, tile] = rescale(z, self.formats.shifts["z"])[1]
                p = table[trace["t"][layer, :, tile]]
                row_sums[layer, :, bi] += p.sum(axis=-1, dtype=np.int32)
                outputs[layer, :, rows] += integer_product(p, v[:, columns])
        self.arrays["attention.score_remainders"] = scores
        self.arrays["attention.row_sums"] = row_sums
        by_position = outputs.transpose(0, 2, 1, 3)
        self._remainders("attention.output", by_position, self.inference._exponentials.log_scale)
        self.arrays["attention.output_remainders"] = self.arrays.pop("attention.output.remainders")

    def _feed_forward(self) -> None:
        trace = self.trace
        for name in ("g", "u") if self.config.is_llama else ("f",):
            self.arrays[name] = trace[name]
            self._linear(name, trace["y2"])
        if self.config.is_llama:
            table = self.inference.program.lookups[1].table.values.astype(np.int16)
            activated = look_up(table, trace["g"])
            self.arrays["activated"], self.arrays["h"] = activated, trace["h"]
            products = activated.astype(np.int64) * trace["u"].astype(np.int64)
            self._remainders("h", products, self.formats.shifts["h"])
        else:
            self.arrays["activated"] = trace["h"]
        self.arrays["m"] = trace["m"]
        self._linear("m", trace["h"])

    def _norms(self) -> None:
        out = self.trace.output
        parts: dict[str, Any] = {
            f"norm{k}": tuple(self.trace[f"{part}{k}"] for part in ("y", "ss", "sq", "r"))
            for k in (1, 2)
        }
        assert out.ss is not None
        assert out.sq is not None
        assert out.r is not None
        parts["normf"] = (out.y[None], out.ss[None], out.sq[None], out.r[None])
        for name, (y, ss, sq, r) in parts.items():
            suffix = name.removeprefix("norm")
            self.arrays[f"y{suffix}"], self.arrays[f"{name}.sums"] = y, ss
            limbs = norm_limbs(ss, sq.astype(np.int64), r.astype(np.int64))
            for part, array in zip(("limbs", "sq_high", "r_high"), limbs, strict=True):
                self.arrays[f"{name}.{part}"] = array
            x = self.arrays[f"x{suffix}"].astype(np.int64)
            self._remainders(name, x * r.astype(np.int64)[..., None], 16)

    def _output(self) -> None:
        out = self.trace.output
        self.arrays["logits"] = out.logits
        sums = integer_product(out.y, self.weights["output"][0])
        if "b_output" in self.weights:
            sums = sums + self.weights["b_output"][0]
        self._remainders("logits", sums, self.formats.shifts["logits"])
        logits = out.logits.astype(np.int32)
        at_chosen = np.take_along_axis(logits, out.chosen[:, None], axis=1)
        before = np.arange(logits.shape[1])[None, :] < out.chosen[:, None]
        self.arrays["logits.differences"] = at_chosen - logits - before
