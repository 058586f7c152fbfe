"""The sumcheck that brings all claims on a dense vector to one point, from the 16-bit data itself.

The claim is <data, W> with W = sum over claims i of scale_i w_i. Neither the data nor W is ever
written out in E at full length: the lowest b variables, the *window*, are bound first, and where a
claim's weights factor there, w_i[h 2^b + l] = high_i[h] low_i[l], all that b rounds need to know of
it is two vectors of 2^b elements, low_i and

    sums_i[l] = sum over h of high_i[h] data[h 2^b + l].

Blocks of 2^b entries in which some claim does not factor take part one by one, with their data and
their weights. So the window is a sum of products of two short vectors, and its rounds are one call of
the tail (see ``sumcheck``). Then data and weights are folded, to one element a block of 2^b values,
and an ordinary product sumcheck goes on. The verifier sees b rounds like any others.

Cost: one multiplication of E by an integer for each value and claim on it, one more to fold, and
2^-b of an ordinary sumcheck; each pass reads the data once. (P 1.2 and 1.3; what is kept of a claim is
the "precompute-M" of windowed sumchecks, of rank one here.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from zkbench.commitments.claims import AxisWeights, Claim, Sparse, VectorAxis
from zkbench.commitments.dense import DenseVector
from zkbench.commitments.dense_weights import (
    Table,
    accumulate,
    accumulate_tables,
    product,
    tensor_tables,
)
from zkbench.commitments.layout import Slot
from zkbench.commitments.windows import SplitWeights, factoring_bits, split
from zkbench.kernels import eq
from zkbench.kernels.contract import contract, kind_of
from zkbench.kernels.functional import kernels as functional_kernels
from zkbench.kernels.launch import Array, cpu_target
from zkbench.protocols.axes import Axis, num_variables
from zkbench.protocols.statements import ProductStatement, Tail
from zkbench.protocols.sumcheck import Sumcheck
from zkbench.transcript import ProverTranscript

Element = Any
_MOST_BITS = 8  # of the window: a block of 2^8 values becomes one element
_BLOCK_COST = 64  # an entry of a block on its own costs as much as so many folded blocks
_PIECE_SHARE = 16  # a piece of data takes at most this part of the workspace


@dataclass(frozen=True)
class FoldedData:
    """data at the window's challenges: element h stands for values h 2^bits and following."""

    values: Array
    length: int
    bits: int


@dataclass(frozen=True)
class _SplitClaim:
    """A claim that factors: its scale, the tensor's blocks, the factors, and tables of the high one."""

    scale: Element
    blocks: Slot
    parts: SplitWeights
    high: list[Table]


class Unification:
    """The sumcheck of <data, sum of scale^i w_i> for the claims (w_i, .) on the dense vector.

    ``most_bits``: of the window.
    """

    def __init__(
        self, dense: DenseVector, claims: Sequence[Claim], scale: Element, most_bits: int
    ) -> None:
        self.dense, self.target, self.field = dense, dense.target, dense.field
        self.claims: list[tuple[Element, Slot, Claim]] = []
        weight = self.field.element(1)
        for claim in claims:
            self.claims.append((weight, *self._narrowed(claim)))
            weight = weight * scale
        most_bits = min(most_bits, _MOST_BITS, num_variables(dense.length))
        self.bits = min(range(most_bits + 1), key=self._cost)

    def _narrowed(self, claim: Claim) -> tuple[Slot, Claim]:
        """The part of a tensor, and of a claim's weights, that has any: some layers of a stack, say.

        Only where it begins as a block does: weights of the whole tensor may factor where its do not.
        """
        slot, functional = self.dense.layout.slot(claim.tensor), claim.functional
        if not isinstance(functional, AxisWeights) or not functional.axes:
            return slot, claim
        first = functional.axes[0]
        if not isinstance(first, VectorAxis):
            return slot, claim
        zero, inner = self.field.element(0), slot.size // slot.shape[0]
        places = [place for place, weight in enumerate(first.values) if weight != zero]
        if not places or (slot.offset + places[0] * inner) % (1 << _MOST_BITS):
            return slot, claim
        kept = VectorAxis(first.values[places[0] : places[-1] + 1])
        shape = (len(kept.values), *slot.shape[1:])
        part = Slot(slot.name, shape, slot.offset + places[0] * inner)
        axes = (kept, *functional.axes[1:])
        return part, replace(claim, functional=AxisWeights(axes))

    @property
    def _num_blocks(self) -> int:
        return -(-self.dense.length >> self.bits)

    def _cost(self, bits: int) -> int:
        own = sum(len(run) for run in self._own_runs(bits))
        return _BLOCK_COST * (own << bits) + (self.dense.length >> bits)

    def prove(self, transcript: ProverTranscript) -> tuple[list[Element], FoldedData]:
        """(the point, the data at its lowest coordinates)."""
        low, weights = self._prove_window(transcript)
        folded = self._fold(low)
        axes = [Axis(self._num_blocks)]
        statement = ProductStatement(self.target, self.field, [folded, weights], axes)
        high, _ = Sumcheck(self.field).prove(transcript, statement)
        return low + high, FoldedData(folded, self._num_blocks, self.bits)

    # The window.

    def _own_runs(self, bits: int) -> list[range]:
        """Blocks in which some claim's weights do not factor: those that touch in one run, in order."""
        found: set[tuple[int, int]] = set()
        for _, slot, claim in self.claims:
            if isinstance(claim.functional, Sparse):
                own = {(slot.offset + index) >> bits for index in claim.functional.indices}
                found |= {(block, block + 1) for block in own}
            elif not self._factors(slot, claim, bits):
                found.add((slot.offset >> bits, (slot.offset + slot.size - 1 >> bits) + 1))
        runs: list[range] = []
        for start, stop in sorted(found):
            if runs and start <= runs[-1].stop:
                runs[-1] = range(runs[-1].start, max(stop, runs[-1].stop))
            else:
                runs.append(range(start, stop))
        return runs

    def _factors(self, slot: Slot, claim: Claim, bits: int) -> bool:
        return (
            slot.offset % (1 << bits) == 0 and factoring_bits(claim.functional, slot.shape) >= bits
        )

    def _split_claims(self) -> list[_SplitClaim]:
        """The claims that factor."""
        where, result = (self.target, self.field), []
        for scale, slot, claim in self.claims:
            if not isinstance(claim.functional, Sparse) and self._factors(slot, claim, self.bits):
                parts = split(claim.functional, slot.shape, self.bits)
                blocks = Slot(slot.name, parts.high_shape, slot.offset >> self.bits)
                high = tensor_tables(*where, parts.high, parts.high_shape)
                result.append(_SplitClaim(scale, blocks, parts, high))
        return result

    def _prove_window(self, transcript: ProverTranscript) -> tuple[list[Element], Array]:
        """(its challenges, W folded to one element a block)."""
        own = [block for run in self._own_runs(self.bits) for block in run]
        claims = self._split_claims()
        parts = [(claim.scale, self._claim_part(claim)) for claim in claims]
        parts += self._block_parts(own)
        one = self.field.element(1)
        if not parts:  # no claims at all
            parts = [(one, np.zeros((2 << self.bits) * self.field.ext.limbs, dtype=np.uint64))]
        point, ends = Tail("product2", [(one, one)] * self.bits, parts, one).run(
            self.field, transcript
        )
        values = ends[1::2]  # of the weights; before each, that of the data
        weights = self.target.zeros(self._num_blocks * self.field.ext.limbs)
        for claim, low in zip(claims, values, strict=False):
            where = (self.target, self.field, claim.blocks)
            accumulate_tables(*where, claim.high, claim.scale * low, weights)
        if own:
            values = values[len(claims) :]
            indices = self.target.to_device(np.array(own, dtype=np.int64))
            words = self.target.to_device(self.field.pack(values))
            arguments = (indices, words, self.field.scalar(one), 0, weights)
            self.target.map(functional_kernels(self.field).scatter, len(own), *arguments)
        return point, weights

    def _claim_part(self, claim: _SplitClaim) -> np.ndarray:
        """Sums and low weights of a claim that factors, side by side."""
        low = claim.parts.low.table(cpu_target(), self.field, claim.parts.low_shape)
        high, _ = product(self.target, self.field, claim.high)
        first, size, sums = claim.blocks.offset, 1 << self.bits, []
        for start, stop, piece in self._pieces(first, first + claim.blocks.size):
            weights = self._elements(high, start - first, stop - first)
            shape = (1, stop - start, size)
            part = contract(self.target, self.field, piece, *shape, weights, kind_of(piece.dtype))
            sums.append(self.target.to_host(part))
        return self._side_by_side(reduce(self._sum, sums), low)

    def _block_parts(self, own: list[int]) -> list[tuple[Element, np.ndarray]]:
        """(1, data and weights side by side) of every block that takes part on its own."""
        if not own:
            return []
        size, limbs = 1 << self.bits, self.field.ext.limbs
        places = {block: place for place, block in enumerate(own)}
        weights = np.zeros(len(own) * size * limbs, dtype=np.uint64)
        for scale, slot, claim in self.claims:
            if isinstance(claim.functional, Sparse):
                self._add_sparse(scale, slot, claim.functional, places, weights)
            elif not self._factors(slot, claim, self.bits):
                first = slot.offset >> self.bits
                offset = slot.offset + (places[first] - first << self.bits)
                moved = Slot(slot.name, slot.shape, offset)
                where = (cpu_target(), self.field, moved)
                accumulate(*where, claim.functional, scale, weights)
        data = self._lifted_blocks(own)
        both = np.stack([data.reshape(-1, limbs), weights.reshape(-1, limbs)], axis=1)
        one = self.field.element(1)
        return [(one, table) for table in both.reshape(len(own), -1)]

    def _add_sparse(
        self,
        scale: Element,
        slot: Slot,
        functional: Sparse,
        places: dict[int, int],
        weights: np.ndarray,
    ) -> None:
        mask = (1 << self.bits) - 1
        dense = [slot.offset + index for index in functional.indices]
        indices = [(places[e >> self.bits] << self.bits) + (e & mask) for e in dense]
        moved = Sparse(tuple(indices), functional.coefficients)
        accumulate(cpu_target(), self.field, Slot(slot.name, (), 0), moved, scale, weights)

    def _lifted_blocks(self, own: list[int]) -> np.ndarray:
        """The data of these blocks as E words, zero past the end."""
        size, limbs = 1 << self.bits, self.field.ext.limbs
        words = np.zeros((len(own), size * limbs), dtype=np.uint64)
        for place, run in _runs(own):
            start, stop = own[place] << self.bits, own[place] + run << self.bits
            host = self.field.lift(self.target.to_host(self.dense.piece(start, stop)))
            words[place : place + run].reshape(-1)[: host.size] = host.reshape(-1)
        return words

    # What comes after it.

    def _fold(self, low: list[Element]) -> Array:
        """The data at the window's challenges, one element a block."""
        size, limbs = 1 << self.bits, self.field.ext.limbs
        weights = eq.eq_table(self.target, self.field, low, size)
        out = self.target.empty(self._num_blocks * limbs)
        whole = self.dense.length >> self.bits
        for start, stop, piece in self._pieces(0, whole):
            where = self._elements(out, start, stop)
            shape = (stop - start, size, 1)
            kind = kind_of(piece.dtype)
            contract(self.target, self.field, piece, *shape, weights, kind, out=where)
        if whole < self._num_blocks:
            left = self.dense.length - (whole << self.bits)
            piece = self.dense.piece(whole << self.bits, self.dense.length)
            where = self._elements(out, whole, whole + 1)
            kind = kind_of(piece.dtype)
            contract(self.target, self.field, piece, 1, left, 1, weights, kind, out=where)
        return out

    def _pieces(self, first: int, last: int) -> Iterator[tuple[int, int, Array]]:
        """(first block, last block, their data), piece by piece."""
        block_bytes = self.dense.dtype.itemsize << self.bits
        step = max(1, self.target.workspace_bytes // _PIECE_SHARE // block_bytes)
        for start in range(first, last, step):
            stop = min(start + step, last)
            yield start, stop, self.dense.piece(start << self.bits, stop << self.bits)

    def _elements(self, array: Array, start: int, stop: int) -> Array:
        limbs = self.field.ext.limbs
        return self.target.view(array, start * limbs, stop * limbs)

    def _sum(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        pairs = zip(self.field.unpack(a), self.field.unpack(b), strict=True)
        return self.field.pack([x + y for x, y in pairs])

    def _side_by_side(self, data: np.ndarray, weights: np.ndarray) -> np.ndarray:
        limbs = self.field.ext.limbs
        return np.stack([data.reshape(-1, limbs), weights.reshape(-1, limbs)], axis=1).reshape(-1)


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """(place of the first, how many) of every run of consecutive numbers."""
    place = 0
    while place < len(numbers):
        stop = place + 1
        while stop < len(numbers) and numbers[stop] == numbers[stop - 1] + 1:
            stop += 1
        yield place, stop - place
        place = stop
