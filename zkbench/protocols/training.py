"""Training of a multilayer perceptron: these steps, by this rule, lead from those weights to these.

FAC4DNN (zkDL, arXiv 2307.16273): all steps and all layers of a shape are one stack, so the number of
sumchecks depends neither on the depth nor on the number of steps. What is proven of every step is
models/training/rule.py, exactly: forward pass, loss, backward pass, and the update of every weight and
bias, on rows of the committed data that a public order names.

Committed before: the data, and the state (parameters, with momentum the last updates too) before the
first step and behind the last one. Committed by a proof: quotients y, errors d that layers hand down,
updates u and v, a softmax's indices. Everything else is virtual: the weights of all steps are the first
ones less the updates before (weight_stream.py), inputs and errors slices of other stacks (slices.py).

Two things are the prover's to choose: which shift a softmax's row has, within the tolerance of its sum,
and what committed samples hold that no step takes. Parameters before and behind a segment are 32-bit
integers; between its steps they are integers below 2^32, wherever the updates lead. A run starts
without momentum, and a segment behind another with that of the state between them.

ReLU and its derivative are looked up in tables, or, as zkDL has it, made of committed bits (``relu``):
then a hidden layer's bits are committed in the place of its quotients.

``stacked`` = False gives every layer a stack of its own, and with one step a proof that is zkDL's
sequential baseline.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from zkbench.commitments.schemes import Scheme
from zkbench.errors import UnusableInput
from zkbench.fields import Field
from zkbench.models.training.rule import (
    MAX_STEPS,
    PROBABILITY_BITS,
    Stack,
    TrainingRule,
)
from zkbench.protocols.gkr import Shape
from zkbench.protocols.losses import OutputErrors, Softmax
from zkbench.protocols.operators import Rescaled
from zkbench.protocols.program import Operator, Program, TableLookup
from zkbench.protocols.slices import BatchRows, Slices, Source
from zkbench.protocols.tables import Exp, Relu, Sign
from zkbench.protocols.tlookup import SECURITY_BITS
from zkbench.protocols.training_operators import (
    BiasUpdates,
    ErrorsBehind,
    TrainedLayer,
    WeightUpdates,
)
from zkbench.protocols.training_relu import ReluFromBits, SumsFromBits
from zkbench.protocols.weight_stream import CarriedUpdates, Parameters, WeightStream
from zkbench.protocols.zkrelu_bits import VALUE_BITS

RELUS = ("table", "bits")
_CLAIMS_A_LAYER = 32  # more than are left on any one of the commitments


def data_shapes(rule: TrainingRule, samples: int) -> dict[str, Shape]:
    """Tensors of the data's commitment, int16."""
    return {"inputs": (samples, rule.dims[0]), "targets": (samples, rule.dims[-1])}


def stacks_of(rule: TrainingRule, stacked: bool) -> list[Stack]:
    """How layers are put together."""
    if stacked:
        return rule.stacks
    return [Stack((layer,), *rule.dims[layer : layer + 2]) for layer in range(rule.depth)]


def parameters_of(rule: TrainingRule, stacked: bool, steps: int = 1) -> list[Parameters]:
    """Weights w and biases b of every stack, with the names of their updates."""
    found = []
    for s, stack in enumerate(stacks_of(rule, stacked)):
        layers = len(stack.layers)
        found.append(Parameters(f"w{s}", f"u{s}", steps, layers, (stack.d_in, stack.d_out)))
        found.append(Parameters(f"b{s}", f"v{s}", steps, layers, (stack.d_out,)))
    return found


def state_shapes(rule: TrainingRule, stacked: bool, when: str) -> dict[str, Shape]:
    """Tensors of a state's commitment: "first" or "last", as a proof names them."""
    shapes: dict[str, Shape] = {}
    for one in parameters_of(rule, stacked):
        shapes |= one.committed(when, rule.momentum > 0)
    return shapes


@dataclass(frozen=True, eq=False)
class TrainingSegment:
    """Steps of a run that are proven together. rows: which samples each takes, T x batch, public.

    security_bits: that the lookups' challenges have at least; the more, the more segments there are.
    is_first, is_last: whether the run begins, and ends, with this segment. relu: one of RELUS. Raises
    UnusableInput for more steps than weights stay in range for.
    """

    scheme: Scheme
    rule: TrainingRule
    samples: int
    rows: np.ndarray
    stacked: bool = True
    security_bits: float = SECURITY_BITS
    is_first: bool = True
    is_last: bool = True
    relu: str = RELUS[0]

    def __post_init__(self) -> None:
        steps, batch = self.rows.shape
        if not 1 <= steps <= MAX_STEPS:
            raise UnusableInput(f"a segment has 1 to {MAX_STEPS} steps, not {steps}")
        if batch != self.rule.batch or self.rows.min() < 0 or self.rows.max() >= self.samples:
            raise UnusableInput("the rows of a segment do not fit its batches or its data")

    @property
    def field(self) -> Field:
        return self.scheme.field

    @property
    def steps(self) -> int:
        return len(self.rows)

    @cached_property
    def stacks(self) -> list[Stack]:
        return stacks_of(self.rule, self.stacked)

    @cached_property
    def parameters(self) -> list[Parameters]:
        return parameters_of(self.rule, self.stacked, self.steps)

    @property
    def hidden(self) -> range:
        """The stacks that ReLU follows: all but the last."""
        return range(len(self.stacks) - 1)

    @property
    def with_bits(self) -> range:
        """The stacks whose ReLU is made of bits: all hidden ones, or none."""
        return self.hidden if self.relu == "bits" else range(0)

    # Shapes of stacks over all steps.

    def size(self, s: int) -> int:
        """The length of stack s's first axis."""
        return self.steps * len(self.stacks[s].layers)

    def outputs(self, s: int) -> Shape:
        return (self.size(s), self.rule.batch, self.stacks[s].d_out)

    def bits(self, s: int) -> Shape:
        """Of a stack's sums, before their rescaling."""
        return (VALUE_BITS + self._forward_shift(s), *self.outputs(s))

    def inputs(self, s: int) -> Shape:
        return (self.size(s), self.rule.batch, self.stacks[s].d_in)

    def home(self, layer: int) -> tuple[int, int]:
        """(the stack that a layer is in, its place there)."""
        for s, stack in enumerate(self.stacks):
            if layer in stack.layers:
                return s, stack.layers.index(layer)
        raise ValueError(f"there is no layer {layer}")

    def _sources(self, s: int, offset: int, tensor: str) -> tuple[Source, ...]:
        """For each layer l of stack s, the slice of layer l + offset, of "tensor{its stack}"."""
        found: dict[int, list[tuple[int, int]]] = {}
        layers = self.stacks[s].layers
        for place, layer in enumerate(layers):
            home, there = self.home(layer + offset)
            size = len(self.stacks[home].layers)
            pairs = found.setdefault(home, [])
            pairs += [(t * len(layers) + place, t * size + there) for t in range(self.steps)]
        return tuple(
            Source(f"{tensor}{home}", self.size(home), *map(tuple, zip(*pairs, strict=True)))
            for home, pairs in found.items()
        )

    # Operators.

    @property
    def operators(self) -> tuple[Operator, ...]:
        """From the data to the updates: what takes claims comes before what leaves them."""
        layers = [one for s in range(len(self.stacks)) for one in self._forward(s)]
        loss = self._loss()
        backward = [one for s in reversed(range(len(self.stacks))) for one in self._backward(s)]
        updates = [one for s in range(len(self.stacks)) for one in self._updates(s)]
        before = (*self._data(), *self._streams(), *self._relus())
        return (*before, *layers, *loss, *backward, *updates)

    def _data(self) -> Iterator[Operator]:
        dims = self.rule.dims
        for name, data, columns in (("x0", "inputs", dims[0]), ("goals", "targets", dims[-1])):
            yield BatchRows(name, data, self.samples, columns, self.rows)

    def _streams(self) -> Iterator[Operator]:
        for one in self.parameters:
            yield WeightStream(one, self.is_last)
            if self.rule.momentum:
                yield CarriedUpdates(one, self.is_first)

    def _relus(self) -> Iterator[Operator]:
        """Where ReLU is made of bits: before all that reads its outputs and derivatives."""
        for s in self.with_bits:
            names = f"y{s}", f"a{s}", f"signs{s}", f"bits{s}"
            yield ReluFromBits(*names, self.outputs(s), self._forward_shift(s))

    def _forward_shift(self, s: int) -> int:
        return self.rule.forward_shift(self.stacks[s].layers[0])

    def _forward(self, s: int) -> Iterator[Operator]:
        stack, rule = self.stacks[s], self.rule
        if s:
            yield Slices(f"x{s}", self.inputs(s), self._sources(s, -1, "a"))
        sizes = self.size(s), rule.batch, stack.d_in, stack.d_out
        yield TrainedLayer(s, *sizes, rule.formats.activation)
        shift = self._forward_shift(s)
        if s in self.with_bits:
            yield SumsFromBits(f"y{s}", f"bits{s}", self.outputs(s), shift)
        else:
            yield Rescaled(f"y{s}", self.outputs(s), shift, s in self.hidden)

    def _loss(self) -> Iterator[Operator]:
        last, rule = len(self.stacks) - 1, self.rule
        shape, scores = self.outputs(last), f"y{last}"
        if rule.loss == "square":
            yield OutputErrors(f"e{last}", scores, "goals", shape)
            return
        one, tolerance = PROBABILITY_BITS, rule.tolerance
        yield Softmax("chances", "t", scores, "t.sums", shape, one, tolerance)
        yield OutputErrors(f"e{last}", "chances", "goals", shape)

    def _backward(self, s: int) -> Iterator[Operator]:
        """The errors behind stack s come first: claims on them are left by what follows here."""
        stack = self.stacks[s]
        if s in self.hidden:
            yield Slices(f"e{s}", self.outputs(s), self._handed_down(s))
        if s == 0:
            return
        yield Slices(f"active{s}", self.inputs(s), self._sources(s, -1, "signs"))
        sizes = self.size(s), self.rule.batch, stack.d_in, stack.d_out
        yield ErrorsBehind(s, *sizes)
        yield Rescaled(f"d{s}", self.inputs(s), self.rule.backward_shift(stack.layers[0]))

    def _handed_down(self, s: int) -> tuple[Source, ...]:
        """Layer l's errors were handed down by layer l + 1, and are called after its stack."""
        return self._sources(s, 1, "d")

    def _updates(self, s: int) -> Iterator[Operator]:
        stack, rule = self.stacks[s], self.rule
        layer = stack.layers[0]
        size, factor, carry = self.size(s), rule.rate[0], rule.carry(layer)
        one, shift = 1 << rule.formats.activation, rule.update_shift(layer)
        yield WeightUpdates(s, size, rule.batch, stack.d_in, stack.d_out, factor, carry)
        yield Rescaled(f"u{s}", (size, stack.d_in, stack.d_out), shift)
        yield BiasUpdates(s, size, stack.d_out, factor * one, carry)
        yield Rescaled(f"v{s}", (size, stack.d_out), shift)

    # The program.

    @property
    def exponentials(self) -> Exp:
        """The softmax's table."""
        return Exp(self.rule.formats.output, PROBABILITY_BITS)

    @property
    def lookups(self) -> tuple[TableLookup, ...]:
        found = []
        if self.hidden and not self.with_bits:
            relu = tuple((f"a{s}", f"y{s}", self.outputs(s)) for s in self.hidden)
            signs = tuple((f"signs{s}", f"y{s}", self.outputs(s)) for s in self.hidden)
            found += [TableLookup("relu", Relu(), relu), TableLookup("signs", Sign(), signs)]
        if self.rule.loss == "cross-entropy":
            outputs = (("chances", "t", self.outputs(len(self.stacks) - 1)),)
            found.append(TableLookup("exponentials", self.exponentials, outputs))
        return tuple(found)

    @property
    def witness_shapes(self) -> dict[str, Shape]:
        """What a proof commits to."""
        shapes = {one.y: one.shape for one in self.operators if isinstance(one, Rescaled)}
        for s in self.with_bits:
            shapes[f"bits{s}"] = self.bits(s)
        if self.rule.loss == "cross-entropy":
            shapes["t"] = self.outputs(len(self.stacks) - 1)
        return shapes

    @property
    def given_shapes(self) -> dict[str, dict[str, Shape]]:
        """What was committed to before, in the order in which it is opened."""
        states = {when: state_shapes(self.rule, self.stacked, when) for when in ("first", "last")}
        return {"data": data_shapes(self.rule, self.samples), **states}

    @cached_property
    def program(self) -> Program:
        low = {one.limbs(when)[1] for one in self.parameters for when in ("first", "last")}
        return Program(
            self.scheme,
            self.given_shapes,
            self.witness_shapes,
            self.operators,
            self.lookups,
            frozenset(low | {"t"}),
            _CLAIMS_A_LAYER * (self.rule.depth + 1),
            self.security_bits,
        )
