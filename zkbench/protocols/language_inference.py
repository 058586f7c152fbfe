"""Inference of a committed language model: these public tokens are followed by these public tokens.

What is proven is the integer model of models/language (integer_layer.py says what it computes): from
the embedding of the tokens to the arg-max token behind each position asked for, nothing left out. All
layers are one stack, so the proof has a constant number of stages (program.py). They are tied to one
another by the residual stream, which is linear in what is committed (language_streams.py); where norms
stand behind the sums, by the outputs of these norms, which the next layer reads.

Of a row's softmax the shift is the prover's to choose, within the tolerance of the row's sum (zkattn.py;
here the least power of two above the formats' tolerance): the integer model's choice is one of several,
and a token is proven to be the choice of the model with some of these shifts.

Committed once: embedding, positions, all matrices and biases. Committed by a proof: every tensor that
comes out of a rescaling or a norm, attention's indices and shifts, and the norms' limbs. Everything else
is virtual. Weights are not range-checked: the committed model is a function over F_p, and equals the
integer model wherever its weights are the 16-bit integers that they are taken for.

A ``segment`` of the layers can be proven alone: the knob between the memory that a witness takes and the
size of all proofs. Segments are joined by the committed tensors between them (language_segment.py), and
the weights, on which each leaves claims, are opened once for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import log2
from typing import Any

import numpy as np

from zkbench.commitments.schemes import Scheme
from zkbench.errors import UnusableInput
from zkbench.fields import Field
from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.formats import (
    LanguageFormats,
    matrix_names,
)
from zkbench.models.language.integer_tensors import has_bias
from zkbench.models.language.tables import activation, exponentials, rotations
from zkbench.protocols.causal_tiles import AttentionShape
from zkbench.protocols.gkr import Shape
from zkbench.protocols.language_segment import Boundary, Leads, Segment
from zkbench.protocols.language_streams import boundary, language_streams
from zkbench.protocols.language_tensors import is_stacked, model_shapes, norm_tensors
from zkbench.protocols.operators import (
    AddedProduct,
    Attention,
    Chosen,
    EntrywiseProduct,
    LinearLayer,
    Names,
    Norm,
    Rescaled,
    Rotation,
)
from zkbench.protocols.program import Operator, Program, TableLookup
from zkbench.protocols.residual import ResidualStream
from zkbench.protocols.rmsnorm import MAX_WIDTH, RMSNorm
from zkbench.protocols.rotary_tables import ROTARY_BITS
from zkbench.protocols.slices import Slices, Source
from zkbench.protocols.tables import Exp, Table
from zkbench.protocols.tlookup import SECURITY_BITS
from zkbench.protocols.zkattn import ZkAttn

_STREAM_BITS = 32  # |x| of the stream stays below 2^32: what the norms' argument needs
_EPSILON_BITS = 48  # what protocols/rmsnorm.py takes
_ATTENTION = {"queries": "q", "keys": "k", "values": "v", "indices": "t", "outputs": "a"}


@dataclass(frozen=True, eq=False)
class LanguageInference:
    """One inference: ``tokens`` of all positions, padding included; ``chosen`` behind ``positions``.

    block: positions in a block of attention, which divides the number of tokens. layers: (first, stop)
    of the segment that is proven, all of them if None. security_bits: that the lookups' challenges have
    at least; the more, the more segments there are. Raises UnusableInput for models that there is no
    program for.
    """

    scheme: Scheme
    config: LanguageModelConfig
    formats: LanguageFormats
    tokens: np.ndarray
    positions: np.ndarray
    chosen: np.ndarray
    block: int
    layers: tuple[int, int] | None = None
    security_bits: float = SECURITY_BITS

    def __post_init__(self) -> None:
        self._check_model()
        self._check_numbers()
        bound = self._stream_of(Segment(0, self.config.layers, self.config.layers)).bound
        if bound >= 1 << _STREAM_BITS:
            raise UnusableInput(
                f"the residual stream could reach 2^{log2(bound):.1f}, beyond the"
                f" 2^{_STREAM_BITS} that a proof allows; calibrate with fewer residual bits"
            )

    def _check_model(self) -> None:
        config, formats = self.config, self.formats
        formats.check(config)
        if formats.row_bits != formats.shifts["a"]:
            raise UnusableInput("a proof needs rows that sum to 2^shift of the attention's outputs")
        if formats.epsilon >= 1 << _EPSILON_BITS or config.width > MAX_WIDTH:
            raise UnusableInput(
                f"a proof needs norms with an epsilon below 2^{_EPSILON_BITS} and of rows of at most"
                f" {MAX_WIDTH} entries"
            )

    def _check_numbers(self) -> None:
        """All that is public. A negative number would stand for one counted from the end."""
        length, block = len(self.tokens), self.block
        if type(block) is not int or block < 1 or block & (block - 1) or length % block:
            raise UnusableInput(f"the block is {block!r}, no power of two that divides {length}")
        if not self.config.is_llama and length > self.config.max_positions:
            raise UnusableInput(f"{length} tokens, but {self.config.max_positions} positions")
        if len(self.chosen) != len(self.positions):
            raise UnusableInput(f"{len(self.chosen)} tokens behind {len(self.positions)} positions")
        _check_range("token", self.tokens, self.config.vocab)
        _check_range("position", self.positions, length)
        _check_range("chosen token", self.chosen, self.config.vocab)

    @property
    def field(self) -> Field:
        return self.scheme.field

    @cached_property
    def segment(self) -> Segment:
        """The layers that are proven."""
        return Segment(*(self.layers or (0, self.config.layers)), self.config.layers)

    # Shapes.

    @property
    def _rows(self) -> Shape:
        """Positions as one axis."""
        return (len(self.tokens),)

    @property
    def _blocks(self) -> Shape:
        """Positions as blocks, and inside them."""
        return (len(self.tokens) // self.block, self.block)

    @property
    def shape(self) -> AttentionShape:
        config, (blocks, block) = self.config, self._blocks
        heads = (config.heads, config.kv_heads, config.head_width)
        return AttentionShape(self.segment.size, blocks, block.bit_length() - 1, *heads)

    def _side(self, name: str) -> Shape:
        """What a matrix reads ("in o") or writes ("q"), as axes."""
        config = self.config
        return {
            "q": (config.heads, config.head_width),
            "k": (config.kv_heads, config.head_width),
            "v": (config.kv_heads, config.head_width),
            "in o": (config.heads, config.head_width),
            "in m": (config.ffn_width,),
            "g": (config.ffn_width,),
            "u": (config.ffn_width,),
            "f": (config.ffn_width,),
        }.get(name, (config.width,))

    def weight_shapes(self) -> dict[str, Shape]:
        """Tensors of the model's commitment."""
        return model_shapes(self.config)

    @property
    def boundaries(self) -> dict[str, Boundary]:
        """What is committed between this segment and others: "first" before it, "last" behind it."""
        segment, positions = self.segment, len(self.tokens)
        whens = {"first": not segment.begins, "last": not segment.ends}
        return {
            when: boundary(self.config, positions, when)
            for when, is_there in whens.items()
            if is_there
        }

    @property
    def given_shapes(self) -> dict[str, dict[str, Shape]]:
        """What was committed to before, in the order in which it is opened."""
        joints = {when: one.shapes for when, one in self.boundaries.items()}
        return {"weights": self.weight_shapes(), **joints}

    @property
    def unsigned(self) -> frozenset[str]:
        """Committed tensors of unsigned 16-bit integers."""
        norms = [
            f"{norm}.{part}" for norm in self._norms for part in ("limbs", "sq_high", "r_high")
        ]
        low = [name for one in self.boundaries.values() for name in one.unsigned]
        return frozenset(["t", "attention.shift_low", "attention.shift_high", *norms, *low])

    # Operators.

    def _stream_of(self, segment: Segment) -> ResidualStream:
        positions = tuple(self.positions.tolist())
        return language_streams(self.config, self.formats, self.tokens, positions, segment)

    @property
    def _parts_of_weights(self) -> list[Operator]:
        """What ties the matrices and biases of a segment's layers to those of all layers."""
        segment = self.segment
        moved = tuple(range(segment.size)), tuple(segment.layers)
        return [
            Slices(
                segment.weights(name),
                (segment.size, *shape[1:]),
                (Source(name, segment.depth, *moved),),
            )
            for name, shape in self.weight_shapes().items()
            if is_stacked(name) and not segment.is_whole
        ]

    @property
    def _norms(self) -> dict[str, tuple[RMSNorm, Names]]:
        """Two of each layer: in front of its two parts, and one before the output; or behind them."""
        found = {}
        for name, (inputs, outputs) in norm_tensors(self.config, self.segment.ends).items():
            is_last = name == "normf"
            layers, rows = (1, len(self.positions)) if is_last else (self.segment.size, self._rows)
            norm = RMSNorm(self.field, layers, rows, self.config.width, self.formats.epsilon)
            found[name] = (norm, Names(name, {"inputs": inputs, "outputs": outputs}))
        return found

    def _linear(self, y: str, x: str, d_in: Shape, blocks: bool, is_index: bool = False) -> Any:
        """A linear layer of all layers, and its rescaling; blocks: y is one of attention's tensors."""
        segment, name = self.segment, y.removesuffix("_raw")
        d_out = self._side(name)
        rows = self._blocks if blocks or name == "o" else self._rows
        y_rows = self._blocks if blocks else self._rows
        x_rows = self._blocks if name == "o" else self._rows
        bias = segment.weights(f"b_{name}") if has_bias(self.config, name) else None
        axes = segment.size, rows, d_in, d_out, x_rows, y_rows
        layer = LinearLayer(y, x, segment.weights(f"w_{name}"), bias, *axes)
        shape = (segment.size, *y_rows, *d_out)
        return [layer, *self._skip(y), Rescaled(y, shape, self.formats.shifts[name], is_index)]

    def _skip(self, y: str) -> list[Operator]:
        """Where a layer writes a whole residual sum: what it adds to its output, from its input."""
        if f"{y}_skip" not in matrix_names(self.config):
            return []
        x, width = {"o": "y1", "m": "y2"}[y], (self.config.width,)
        weights = self.segment.weights(f"w_{y}_skip")
        return [AddedProduct(y, x, weights, self.segment.size, self._rows, width, width)]

    def _rotated(self, name: str) -> list[Operator]:
        config = self.config
        shape = (self.segment.size, *self._blocks, *self._side(name))
        tables = rotations(config, len(self.tokens))
        assert tables is not None
        rotation = Rotation(name, f"{name}_raw", shape, tables)
        return [rotation, Rescaled(name, shape, ROTARY_BITS)]

    def _attention(self) -> list[Operator]:
        formats, table = self.formats, self.exponentials
        log_tolerance = formats.tolerance.bit_length()  # the least with tolerance < 2^k
        shape = self.shape
        protocol = ZkAttn(self.field, shape, formats.shifts["z"], table, log_tolerance)
        heads: list[Operator] = []
        for name in "qkv":
            rotates = self.config.is_llama and name != "v"
            y = f"{name}_raw" if rotates else name
            heads += self._linear(y, "y1", (self.config.width,), True)
            heads += self._rotated(name) if rotates else []
        return [*heads, Attention(protocol, Names("attention", _ATTENTION))]

    def _feed_forward(self) -> list[Operator]:
        width = (self.config.width,)
        if not self.config.is_llama:
            return self._linear("f", "y2", width, False, True)
        shape = (self.segment.size, *self._rows, self.config.ffn_width)
        return [
            *self._linear("g", "y2", width, False, True),
            *self._linear("u", "y2", width, False),
            EntrywiseProduct("h", ("activated", "u"), shape),
            Rescaled("h", shape, self.formats.shifts["h"]),
        ]

    def _output(self) -> list[Operator]:
        config, rows = self.config, (len(self.positions),)
        bias = None if config.is_llama else "b_output"
        sides = ((config.width,), (config.vocab,))
        layer = LinearLayer("logits", "yf", "output", bias, 1, rows, *sides, rows, rows)
        shape = (1, *rows, config.vocab)
        rescaled = Rescaled("logits", shape, self.formats.shifts["logits"])
        return [layer, rescaled, Chosen("logits", self.chosen, config.vocab)]

    @property
    def operators(self) -> tuple[Operator, ...]:
        """From the tokens to the tokens chosen, or from one boundary to the next."""
        inner = "h" if self.config.is_llama else "activated"
        attention = [*self._attention(), *self._linear("o", "a", self._side("in o"), False)]
        feed_forward = [*self._feed_forward(), *self._linear("m", inner, self._side("in m"), False)]
        first, second, *last = (Norm(*norm) for norm in self._norms.values())
        if self.config.norm_first:
            parts = [first, *attention, second, *feed_forward]
        else:
            parts = [*attention, first, *feed_forward, second]
        ends = self._output() if self.segment.ends else [Leads(self.boundaries["last"])]
        return (*self._parts_of_weights, self._stream_of(self.segment), *parts, *last, *ends)

    @property
    def exponentials(self) -> Exp:
        return exponentials(self.formats)

    @cached_property
    def activation(self) -> Table:
        return activation(self.config, self.formats)

    @cached_property
    def program(self) -> Program:
        shape = (self.segment.size, *self._rows, self.config.ffn_width)
        index = "g" if self.config.is_llama else "f"
        lookups = (
            TableLookup(
                "exponentials",
                self.exponentials,
                (("attention.weights", "t", self.shape.scores),),
            ),
            TableLookup("activation", self.activation, (("activated", index, shape),)),
        )
        return Program(
            self.scheme,
            self.given_shapes,
            self._witness_shapes(),
            self.operators,
            lookups,
            self.unsigned,
            security_bits=self.security_bits,
            deferred=frozenset() if self.segment.is_whole else frozenset(["weights"]),
        )

    @property
    def virtual_shapes(self) -> dict[str, Shape]:
        """Tensors that a prover holds beside those that are committed, in a range, or read by norms."""
        config, layers, width = self.config, self.segment.size, (self.config.width,)
        shapes: dict[str, Shape] = {"activated": (layers, *self._rows, config.ffn_width)}
        if not config.norm_first:
            shapes["y1"] = (layers, *self._rows, *width)
            shapes |= {"yf": (1, len(self.positions), *width)} if self.segment.ends else {}
        return shapes

    def _witness_shapes(self) -> dict[str, Shape]:
        shapes: dict[str, Shape] = {}
        for operator in self.operators:
            if isinstance(operator, Rescaled):
                shapes[operator.y] = operator.shape
            if isinstance(operator, Attention | Norm):
                own = operator.protocol.committed_shapes
                shapes |= {operator.names(name): shape for name, shape in own.items()}
        return shapes


def _check_range(what: str, numbers: np.ndarray, limit: int) -> None:
    """Raises UnusableInput unless these are integers in [0, limit), and there are some."""
    if numbers.ndim != 1 or not numbers.size or numbers.dtype.kind not in "iu":
        raise UnusableInput(f"the {what}s are no list of integers")
    for number in (int(numbers.min()), int(numbers.max())):
        if not 0 <= number < limit:
            raise UnusableInput(f"{what} {number} is not in [0, {limit})")
