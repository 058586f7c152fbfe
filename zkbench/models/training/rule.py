"""The integer rule of training, which proofs are about; everything else follows from it exactly.

A step t takes a batch of B samples, rows x_0 and targets, and all weights W_l and biases b_l, and gives
the weights of step t + 1. With round(a, s) = floor((a + 2^(s-1)) / 2^s):

    acc_l = x_l W_l + 2^fx b_l             y_l = round(acc_l, forward shift), int16
    x_{l+1} = max(y_l, 0)                  for l < L - 1
    e_{L-1} = the loss's derivative by y_{L-1}, below
    p_l = e_{l+1} W_{l+1}^T                e_l = round(p_l [y_l >= 0], backward shift), int16, l < L - 1
    g_l = x_l^T e_l                        u_l = round(m g_l + momentum part, update shift), int16
    h_l = sum of the rows of 2^fx e_l      v_l = round(m h_l + momentum part, update shift), int16
    W_l <- W_l - u_l                       b_l <- b_l - v_l

The derivative of ReLU is 1 where y = 0, as the sign bit has it (zkDL, arXiv 2307.16273). The momentum
part of u is mu 2^(s - 12) times the u of the step before, s the update shift, 4096 the unit of mu: for
a constant rate that is PyTorch's SGD(momentum = mu / 4096), whose velocity times the rate is u. The
first step's is zero. The rate for the *sum* over a batch is m / 2^k, so for its mean B m / 2^k.

    square:         e = y - target, half the squared distance; targets have y's fraction bits
    cross-entropy:  e = P - target, P = exp(y) over the row's sum, with 14 fraction bits, as targets have

A softmax's row has P_j = EXP[t_j], t_j = c - y_j in [0, 2^16), with a shift c such that the row's sum
lies within ``tolerance`` of 2^14; which c, the prover chooses. EXP is protocols/tables.py's with steps
of 2^-fy and 14 fraction bits.

Weights and biases are 32-bit integers with fw fraction bits, activations, inputs and errors 16-bit ones
with fx and fd, the outputs y_{L-1} have fy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from zkbench.errors import UnusableInput
from zkbench.quant.formats import is_integer

LOSSES = ("square", "cross-entropy")
VALUE_BITS = 16
WEIGHT_BITS = 32
MAX_SHIFT = 24  # a remainder is looked up in a table of 2^shift entries
PROBABILITY_BITS = 14
MOMENTUM_BITS = 12
MAX_FRACTION_BITS = 40
MIN_SOFTMAX_BITS = 4  # coarser outputs leave a row's sum further from one than MAX_TOLERANCE
MAX_TOLERANCE = 1 << 11  # an eighth: beyond it a prover would choose probabilities, not round them
MAX_SOFTMAX_BITS = 11  # EXP reaches zero within its 2^15 steps
MAX_STEPS = 1 << 14  # of a segment: |W| stays below 2^32 whatever the updates are
MAX_RATE_NUMERATOR = 255
MAX_RATE_SHIFT = 64
_SUM_BITS = 62  # accumulators stay below 2^62, whatever 16-bit values a prover commits to


@dataclass(frozen=True)
class TrainingFormats:
    """Fraction bits: fx of activations and inputs, fy of outputs, fd of errors, fw of weights."""

    activation: int
    output: int
    error: int
    weight: int


@dataclass(frozen=True)
class Stack:
    """Layers of one shape, which are proven together for all steps."""

    layers: tuple[int, ...]
    d_in: int
    d_out: int


def training_stacks(dims: Sequence[int]) -> list[Stack]:
    """The first layer; the layers between by equal shape, in order of appearance; the last layer."""
    shapes = list(pairwise(dims))
    if len(shapes) == 1:
        return [Stack((0,), *shapes[0])]
    inner: dict[tuple[int, int], list[int]] = {}
    for layer, shape in enumerate(shapes[1:-1], start=1):
        inner.setdefault(shape, []).append(layer)
    between = [Stack(tuple(layers), *shape) for shape, layers in inner.items()]
    return [Stack((0,), *shapes[0]), *between, Stack((len(shapes) - 1,), *shapes[-1])]


@dataclass(frozen=True)
class TrainingRule:
    """One step's rule; raises UnusableInput for what has no proof.

    dims: widths from the input to the output. rate: (m, k) of m / 2^k. momentum: mu, in 2^-12.
    """

    dims: tuple[int, ...]
    loss: str
    formats: TrainingFormats
    batch: int
    rate: tuple[int, int]
    momentum: int = 0

    def __post_init__(self) -> None:
        self._check_numbers()
        for layer in range(self.depth):
            self._check_shifts(layer)
            self._check_sums(layer)

    def _check_numbers(self) -> None:
        numbers = [
            *self.dims,
            self.batch,
            *self.rate,
            self.momentum,
            *asdict(self.formats).values(),
        ]
        if not all(map(is_integer, numbers)) or len(self.dims) < 2 or len(self.rate) != 2:
            raise UnusableInput("a training rule consists of integers, and of two widths at least")
        if min(*self.dims, self.batch) < 1:
            raise UnusableInput("widths and batch size must be positive")
        if self.loss not in LOSSES:
            raise UnusableInput(f"the loss {self.loss!r} is none of {', '.join(LOSSES)}")
        self._check_fraction_bits()
        m, k = self.rate
        if not 1 <= m <= MAX_RATE_NUMERATOR or not 0 <= k <= MAX_RATE_SHIFT:
            raise UnusableInput(
                f"the rate {m} / 2^{k} is none with 1 <= m <= {MAX_RATE_NUMERATOR},"
                f" 0 <= k <= {MAX_RATE_SHIFT}"
            )
        if not 0 <= self.momentum < 1 << MOMENTUM_BITS:
            raise UnusableInput(f"the momentum {self.momentum} is not in [0, {1 << MOMENTUM_BITS})")

    def _check_fraction_bits(self) -> None:
        for name, bits in asdict(self.formats).items():
            if not 0 <= bits <= MAX_FRACTION_BITS:
                raise UnusableInput(
                    f"{bits} fraction bits of {name}s are not within 0 to {MAX_FRACTION_BITS}"
                )
        few, many = MIN_SOFTMAX_BITS, MAX_SOFTMAX_BITS
        if self.loss == "cross-entropy" and not few <= self.formats.output <= many:
            raise UnusableInput(
                f"outputs under cross-entropy have {few} to {many} fraction bits, not"
                f" {self.formats.output}"
            )
        if self.tolerance > MAX_TOLERANCE:
            raise UnusableInput(
                f"rows of a softmax could be off by {self.tolerance} of {1 << PROBABILITY_BITS};"
                " use more fraction bits of outputs, or fewer classes"
            )

    def _check_shifts(self, layer: int) -> None:
        shifts = {"forward": self.forward_shift(layer), "update": self.update_shift(layer)}
        if layer:
            shifts["backward"] = self.backward_shift(layer)
        for name, shift in shifts.items():
            if not 1 <= shift <= MAX_SHIFT:
                raise UnusableInput(
                    f"layer {layer} drops {shift} bits in its {name} pass, not 1 to {MAX_SHIFT};"
                    " choose other fraction bits"
                )
        if self.momentum and shifts["update"] < MOMENTUM_BITS:
            raise UnusableInput(
                f"momentum needs updates that drop {MOMENTUM_BITS} bits at least, and layer {layer}"
                f" drops {shifts['update']}; choose fewer fraction bits of weights"
            )

    def _check_sums(self, layer: int) -> None:
        """That no sum can wrap around the field."""
        weight, value, error = 1 << WEIGHT_BITS, 1 << (VALUE_BITS - 1), 1 << VALUE_BITS
        d_in, d_out = self.dims[layer : layer + 2]
        one, shift = 1 << self.formats.activation, self.update_shift(layer)
        carried = (self.momentum << (shift - MOMENTUM_BITS)) * value if self.momentum else 0
        sums = {
            "forward": d_in * value * weight + one * weight,
            "backward": d_out * error * weight,
            "update": self.rate[0] * self.batch * max(value, one) * error + carried,
        }
        for name, bound in sums.items():
            if bound >= 1 << _SUM_BITS:
                raise UnusableInput(
                    f"sums of layer {layer} could reach 2^{_SUM_BITS} in its {name} pass; use smaller"
                    " widths or batches"
                )

    @property
    def depth(self) -> int:
        """The number of layers."""
        return len(self.dims) - 1

    @property
    def stacks(self) -> list[Stack]:
        return training_stacks(self.dims)

    @property
    def last_error_bits(self) -> int:
        """Fraction bits of e_{L-1}, and of the targets."""
        return self.formats.output if self.loss == "square" else PROBABILITY_BITS

    def _error_bits(self, layer: int) -> int:
        return self.last_error_bits if layer == self.depth - 1 else self.formats.error

    def forward_shift(self, layer: int) -> int:
        """Bits dropped from acc_l."""
        given = self.formats.output if layer == self.depth - 1 else self.formats.activation
        return self.formats.activation + self.formats.weight - given

    def backward_shift(self, layer: int) -> int:
        """Bits dropped from e_l W_l^T, for layer >= 1: it gives e_{l-1}."""
        return self._error_bits(layer) + self.formats.weight - self.formats.error

    def update_shift(self, layer: int) -> int:
        """Bits dropped from m g_l."""
        formats = self.formats
        return formats.activation + self._error_bits(layer) + self.rate[1] - formats.weight

    def carry(self, layer: int) -> int:
        """The factor of the step before's update in this one's sums."""
        if not self.momentum:
            return 0
        return self.momentum << (self.update_shift(layer) - MOMENTUM_BITS)

    @property
    def tolerance(self) -> int:
        """A softmax's row sums to 2^14 within this, a power of two; 0 where there is no softmax.

        Rounding the shift moves the sum by a factor exp(2^-fy / 2) at most, each entry by a half.
        """
        if self.loss == "square":
            return 0
        by_shift = 1 << max(0, PROBABILITY_BITS - self.formats.output)
        return 1 << (by_shift + self.dims[-1]).bit_length()

    def to_json(self) -> dict[str, Any]:
        return {
            "dims": list(self.dims),
            "loss": self.loss,
            "fraction_bits": asdict(self.formats),
            "batch": self.batch,
            "rate": list(self.rate),
            "momentum": self.momentum,
        }

    @classmethod
    def from_json(cls, data: Any) -> TrainingRule:
        """Read ``to_json``'s result, whose form a schema has checked."""
        return cls(
            tuple(data["dims"]),
            data["loss"],
            TrainingFormats(**data["fraction_bits"]),
            data["batch"],
            tuple(data["rate"]),
            data["momentum"],
        )
