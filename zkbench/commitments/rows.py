"""Rows of a committed matrix: the verifier draws leaves, the prover opens them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from zkbench.commitments import merkle
from zkbench.commitments.dense import DenseVector
from zkbench.commitments.merkle import MerkleTree
from zkbench.kernels.interleaved import pick_rows
from zkbench.kernels.launch import Array
from zkbench.kernels.ntt_rows import encoded_rows
from zkbench.transcript import ProverTranscript, VerifierTranscript

_PIECE_SHARE = 32  # columns that are computed again at once take this part of the workspace


@dataclass(frozen=True)
class HashedRows:
    """A matrix on the tree's target: row i is its words (c * stride + i) limbs + l, and leaf i.

    ``num_words``: words of a row, ``limbs`` of them an entry (2^log_limbs).
    """

    tree: MerkleTree
    matrix: Array
    num_words: int
    stride: int
    log_limbs: int = 0

    def open(self, transcript: ProverTranscript, indices: list[int]) -> None:
        """Send the rows at these indices (strictly increasing) and their paths."""
        shape = (self.stride, self.num_words, self.log_limbs)
        transcript.send_words("rows", pick_rows(self.tree.target, self.matrix, *shape, indices))
        transcript.send_bytes("paths", self.tree.open(indices))


@dataclass(frozen=True)
class RecomputedRows:
    """Rows of the codewords of a dense vector that are not kept: computed again when opened."""

    tree: MerkleTree
    dense: DenseVector
    log_rows: int

    def open(self, transcript: ProverTranscript, indices: list[int]) -> None:
        """Send the rows at these indices (strictly increasing) and their paths."""
        transcript.send_words("rows", self._rows(indices))
        transcript.send_bytes("paths", self.tree.open(indices))

    def _rows(self, indices: list[int]) -> np.ndarray:
        dense, target, log_inv_rate = self.dense, self.tree.target, self._log_inv_rate
        num_columns = -(-dense.length >> self.log_rows)
        out = target.empty(len(indices) * num_columns)
        turn = max(1, target.workspace_bytes // _PIECE_SHARE // (8 << self.tree.log_leaves))
        for first in range(0, num_columns, turn):
            count = min(turn, num_columns - first)
            piece = dense.piece(first << self.log_rows, (first + count) << self.log_rows)
            shape = (piece, piece.size, count, self.log_rows, log_inv_rate)
            encoded_rows(target, dense.field, *shape, indices, first, out, num_columns)
        return target.to_host(out)

    @property
    def _log_inv_rate(self) -> int:
        return self.tree.log_leaves - self.log_rows


Rows = HashedRows | RecomputedRows


def draw_rows(transcript: Any, count: int, log_length: int) -> list[int]:
    """``count`` random leaves of 2^log_length: those that differ, in order."""
    return sorted(set(transcript.indices("queries", count, log_length)))


def receive_rows(
    transcript: VerifierTranscript, root: bytes, log_length: int, num_words: int, indices: list[int]
) -> np.ndarray:
    """The rows at these indices, flat; raises ProofRejected unless they are under the root."""
    rows = transcript.receive_words("rows", len(indices) * num_words)
    size = merkle.opening_size(log_length, indices)
    paths = transcript.receive_bytes("paths", size)
    leaves = [row.astype("<u8").tobytes() for row in rows.reshape(-1, num_words)]
    merkle.verify(root, log_length, indices, leaves, paths)
    return rows
