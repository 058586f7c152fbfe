"""Merkle trees of BLAKE3 digests, opened at many leaves at once.

A leaf is the hash of a row, a parent the hash of its children's 64 bytes. Leaves and parents cannot
be confused, because the verifier knows the height. An opening holds each digest that the verifier
cannot compute, once: layer by layer from the leaves, left to right. Its length follows from the
indices, and any other length is rejected.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from blake3 import blake3

from zkbench.kernels.blake3 import DIGEST_WORDS, gather_digests, hash_layers
from zkbench.kernels.launch import Array, Target
from zkbench.kernels.row_hashes import RowHashes
from zkbench.proof import ProofRejected

DIGEST_BYTES = 32


def missing_siblings(log_leaves: int, indices: Sequence[int]) -> list[list[int]]:
    """For every layer, from the leaves up, the nodes that an opening at ``indices`` must supply."""
    layers = []
    known = sorted(set(indices))
    for _ in range(log_leaves):
        present = set(known)
        layers.append([node ^ 1 for node in known if node ^ 1 not in present])
        known = sorted({node >> 1 for node in known})
    return layers


def tree_bytes(log_leaves: int) -> int:
    """Bytes of a tree, all of which is kept."""
    return DIGEST_BYTES * (2 << log_leaves)


class MerkleTree:
    """All layers of a tree, on its target, leaves first."""

    def __init__(self, target: Target, log_leaves: int, num_words: int) -> None:
        """Over rows of ``num_words`` words, which come by ``absorb``."""
        self.target, self.log_leaves = target, log_leaves
        self.nodes = target.empty((2 << log_leaves) * DIGEST_WORDS)
        self._rows: RowHashes | None = RowHashes(target, 1 << log_leaves, num_words, self.nodes)

    def absorb(self, matrix: Array, num_words: int, stride: int, log_limbs: int = 0) -> None:
        """The next words of every row, see ``RowHashes``; with the last ones the tree is complete."""
        assert self._rows is not None
        self._rows.absorb(matrix, num_words, stride, log_limbs)
        if self._rows.absorbed == self._rows.num_words:
            self._rows = None
            hash_layers(self.target, self.nodes, self.log_leaves)

    @property
    def root(self) -> bytes:
        return self._digests([(2 << self.log_leaves) - 2])

    def _digests(self, positions: Sequence[int]) -> bytes:
        """The nodes at these positions of the whole array, one after the other."""
        where = np.array(positions, dtype=np.int64)
        return gather_digests(self.target, self.nodes, where).astype("<u8").tobytes()

    def open(self, indices: Sequence[int]) -> bytes:
        """The digests that a verifier needs to connect the rows at ``indices`` with the root."""
        positions, start = [], 0
        for height, nodes in enumerate(missing_siblings(self.log_leaves, indices)):
            positions += [start + node for node in nodes]
            start += 1 << (self.log_leaves - height)
        return self._digests(positions)


def tree_of(
    target: Target, matrix: Array, log_rows: int, num_words: int, stride: int, log_limbs: int = 0
) -> MerkleTree:
    """The tree over the rows of a whole matrix."""
    tree = MerkleTree(target, log_rows, num_words)
    tree.absorb(matrix, num_words, stride, log_limbs)
    return tree


def opening_size(log_leaves: int, indices: Sequence[int]) -> int:
    """Bytes of an opening at ``indices``."""
    return DIGEST_BYTES * sum(map(len, missing_siblings(log_leaves, indices)))


def verify(
    root: bytes, log_leaves: int, indices: Sequence[int], rows: Sequence[bytes], opening: bytes
) -> None:
    """Raise ProofRejected unless ``rows`` are the leaves at ``indices`` (strictly increasing)."""
    if list(indices) != sorted(set(indices)) or len(rows) != len(indices):
        raise ProofRejected("Merkle opening: the rows do not match the indices")
    if len(opening) != opening_size(log_leaves, indices):
        raise ProofRejected("Merkle opening: wrong number of digests")
    supply = iter(opening[i : i + DIGEST_BYTES] for i in range(0, len(opening), DIGEST_BYTES))
    known = {index: blake3(row).digest() for index, row in zip(indices, rows, strict=True)}
    for _ in range(log_leaves):
        for node in list(known):
            if node ^ 1 not in known:
                known[node ^ 1] = next(supply)
        left = [node for node in known if node % 2 == 0]
        known = {node >> 1: blake3(known[node] + known[node ^ 1]).digest() for node in sorted(left)}
    if known.get(0, root) != root:
        raise ProofRejected("Merkle opening: the path does not lead to the root")
