"""What a prover works with: one forward pass of a language model, as a program names its tensors.

Tensors are flat on the target: int16 and uint16 as they are committed; remainders, row sums and the
residual streams, which are virtual, in the type that they need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from zkbench.models.language.trace import LanguageTrace, LayersTrace, OutputTrace
from zkbench.protocols.language_inference import LanguageInference
from zkbench.protocols.language_segment import Boundary
from zkbench.protocols.language_tensors import norm_tensors
from zkbench.quant.formats import QuantisationError
from zkbench.quant.linear import rescale
from zkbench.quant.rms_norm import norm_limbs

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

    def _quotients(self, *names: str, in_blocks: bool = False) -> None:
        """Tensors that come out of a rescaling, and its remainders."""
        place = self._positions_in_blocks if in_blocks else _as_it_is
        for name in names:
            self.arrays[name] = place(self.trace[name])
            self.arrays[f"{name}.remainders"] = place(self._remainders(name))

    def _remainders(self, name: str) -> Any:
        return self.trace[f"{name}.remainders"]

    def _attention(self) -> None:
        trace = self.trace
        raw = ("q_raw", "k_raw") if self.config.is_llama else ()
        self._quotients(*raw, "q", "k", "v", in_blocks=True)
        self.arrays["a"] = self._positions_in_blocks(trace["a"])
        shift = trace["shift"].astype(np.int64) + (1 << 31)
        self.arrays |= {
            "t": trace["t"],
            "attention.shift_low": (shift & 0xFFFF).astype(np.uint16),
            "attention.shift_high": (shift >> 16).astype(np.uint16),
            "attention.row_sums": trace["row_sums"],
            "attention.score_remainders": self._remainders("t"),
            "attention.output_remainders": self._positions_in_blocks(self._remainders("a")),
        }
        self._quotients("o")

    def _feed_forward(self) -> None:
        if self.config.is_llama:
            self._quotients("g", "u", "h", "m")
            self.arrays["activated"] = self.trace["activated"]
        else:
            self._quotients("f", "m")
            self.arrays["activated"] = self.trace["h"]

    def _norms(self) -> None:
        for name, (_, y) in norm_tensors(self.config, self.segment.ends).items():
            ss, sq, r = self._roots(name)
            _check_roots(name, sq)
            self.arrays[y], self.arrays[f"{name}.sums"] = self._norm_outputs(y), ss
            limbs = norm_limbs(ss, sq.astype(np.int64), r.astype(np.int64))
            for part, array in zip(("limbs", "sq_high", "r_high"), limbs, strict=True):
                self.arrays[f"{name}.{part}"] = array
            self.arrays[f"{name}.remainders"] = self._norm_remainders(name)

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
        return self._out.y[None] if y == "yf" else self.trace[y]

    def _norm_remainders(self, name: str) -> Any:
        if name != "normf":
            return self._remainders(name)
        r = self._roots(name)[2].astype(np.int64)
        return rescale(self.arrays["xf"].astype(np.int64) * r[..., None], NORM_SHIFT)[1]

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


def _as_it_is(array: Any) -> Any:
    return array


def _packed(array: Any) -> Any:
    """The array without gaps (NumPy's own function would not leave it where it is)."""
    return array if array.flags.c_contiguous else array.copy()
