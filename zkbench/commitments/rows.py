"""Rows of a committed matrix: the verifier draws leaves, the prover opens them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from zkbench.commitments import merkle
from zkbench.commitments.merkle import MerkleTree
from zkbench.kernels.interleaved import pick_rows
from zkbench.kernels.launch import Array
from zkbench.transcript import ProverTranscript, VerifierTranscript


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
