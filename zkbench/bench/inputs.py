"""Public inputs of a microbenchmark, and their multilinear extensions.

Large ones are `MaskedBlocks`: the values of a proof of 2^32 of them are made in seconds, and its
verifier, which knows nothing but a seed, finds their extension without making them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zkbench.fields import GOLDILOCKS
from zkbench.kernels.launch import Array, Target, cpu_target
from zkbench.protocols.evaluate import extension_of_integers
from zkbench.protocols.gkr import Shape, depth

Element = Any
Point = Sequence[Sequence[Element]]
FIELD = GOLDILOCKS
_LOG_BLOCK = 20


@dataclass(frozen=True, eq=False)
class MaskedBlocks:
    """2^log_values values of ``bits`` bits: value[b 2^k + j] = block[j] XOR mask[b], k <= 20.

    Block and masks are uniform, so every value is, and any two at different places of their blocks
    are independent of each other. Provers see an array like any other.

    Bit p of x XOR m is x_p + m_p - 2 x_p m_p. So the extension of all values is a sum of products
    of extensions of the bits of the block and of the masks, and how often a value occurs is an XOR
    convolution: both cost as much as reading block and masks.

    ``signed``: 16-bit patterns are read as int16.
    """

    block: np.ndarray
    masks: np.ndarray
    bits: int = 16
    signed: bool = False

    @classmethod
    def draw(
        cls, rng: np.random.Generator, log_values: int, bits: int = 16, signed: bool = False
    ) -> MaskedBlocks:
        """The block first, then the masks, all uniform."""
        log_block = min(log_values, _LOG_BLOCK)
        lengths = (1 << log_block, 1 << (log_values - log_block))
        block, masks = (rng.integers(0, 1 << bits, n, dtype=np.uint16) for n in lengths)
        return cls(block, masks, bits, signed)

    @property
    def log_block(self) -> int:
        return len(self.block).bit_length() - 1

    def array(self) -> np.ndarray:
        """All values: uint16, or int16 if signed."""
        values = np.empty((len(self.masks), len(self.block)), dtype=np.uint16)
        np.bitwise_xor(self.masks[:, None], self.block, out=values)
        return values.reshape(-1).view(np.int16 if self.signed else np.uint16)

    def extension(self, point: Point) -> Element:
        """The extension of all values at a point, which has one axis."""
        (at,) = point
        low, high = (at[: self.log_block],), (at[self.log_block :],)
        total = FIELD.element(0)
        for bit in range(self.bits):
            x, m = (_bit_extension(*pair, bit) for pair in ((self.block, low), (self.masks, high)))
            total = total + self._weight(bit) * (x + m - 2 * x * m)
        return total

    def _weight(self, bit: int) -> int:
        return -(1 << bit) if self.signed and bit == 15 else 1 << bit

    def counts(self) -> np.ndarray:
        """How often each of the 2^bits patterns occurs: int64."""
        size = 1 << self.bits
        spectra = [
            _walsh_hadamard(np.bincount(a, minlength=size)) for a in (self.block, self.masks)
        ]
        return _walsh_hadamard(spectra[0] * spectra[1]) >> self.bits


def _bit_extension(values: np.ndarray, point: Point, bit: int) -> Element:
    return extension((values >> bit) & 1, point)


def _walsh_hadamard(counts: np.ndarray) -> np.ndarray:
    """Integers of 2^n entries; XOR convolutions become products, and twice is times 2^n."""
    result = counts.astype(np.int64)
    for log_width in range(len(counts).bit_length() - 1):
        pairs = result.reshape(-1, 2, 1 << log_width)
        both = (pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1])
        result = np.stack(both, axis=1).reshape(-1)
    return result


Input = np.ndarray | MaskedBlocks


def evaluate(where: Target, values: Array, shape: Shape, point: Point) -> Element:
    """The extension of integers below 2^16 in magnitude on a target, one point an axis."""
    if len(shape) == 1:  # two axes need two short tables instead of a long one
        half = depth(shape) // 2
        if shape[0] % (1 << half) == 0:
            shape = (shape[0] >> half, 1 << half)
            point = (point[0][half:], point[0][:half])
    return extension_of_integers(where, FIELD, values, shape, point)


def extension(values: Input, point: Point) -> Element:
    """The extension of integers below 2^32 in magnitude on the host, one point an axis."""
    if isinstance(values, MaskedBlocks):
        return values.extension(point)
    if values.dtype.itemsize <= 2:
        return _evaluate_on_host(values, point)
    low, high = (_evaluate_on_host(part, point) for part in (values & 0xFFFF, values >> 16))
    return low + (1 << 16) * high


def _evaluate_on_host(values: np.ndarray, point: Point) -> Element:
    """Integers below 2^16; always as int32, for one compiled kernel to do."""
    return evaluate(cpu_target(), values.astype(np.int32).reshape(-1), values.shape, point)
