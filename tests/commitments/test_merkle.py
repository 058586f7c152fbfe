"""Merkle openings: every subset of leaves verifies, and every change is rejected."""

from __future__ import annotations

import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from zkbench.commitments import merkle
from zkbench.commitments.merkle import MerkleTree, tree_of
from zkbench.kernels.launch import cpu_target
from zkbench.proof import ProofRejected

LOG_ROWS, COLUMNS, STRIDE = 5, 3, 40
MATRIX = np.random.default_rng(3).integers(0, 2**64, COLUMNS * STRIDE, dtype=np.uint64)
ROWS = [MATRIX.reshape(COLUMNS, STRIDE)[:, i].tobytes() for i in range(1 << LOG_ROWS)]


def _tree() -> MerkleTree:
    return tree_of(cpu_target(), MATRIX, LOG_ROWS, COLUMNS, STRIDE)


def test_root_vs_blake3_package():
    layer = [blake3(row).digest() for row in ROWS]
    while len(layer) > 1:
        layer = [blake3(a + b).digest() for a, b in zip(layer[::2], layer[1::2], strict=True)]
    assert _tree().root == layer[0]


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, (1 << LOG_ROWS) - 1), min_size=1))
def test_every_subset_verifies(subset):
    tree, indices = _tree(), sorted(subset)
    opening = tree.open(indices)
    assert len(opening) == merkle.opening_size(LOG_ROWS, indices)
    merkle.verify(tree.root, LOG_ROWS, indices, [ROWS[i] for i in indices], opening)


def test_a_tree_of_one_leaf():
    tree = tree_of(cpu_target(), MATRIX, 0, COLUMNS, STRIDE)
    assert tree.open([0]) == b""
    assert tree.root == blake3(ROWS[0]).digest()
    merkle.verify(tree.root, 0, [0], [ROWS[0]], b"")
    with pytest.raises(ProofRejected, match="root"):
        merkle.verify(tree.root, 0, [0], [ROWS[1]], b"")


def _rejects(match: str, indices=(2, 3, 17), rows=None, opening=None, root=None) -> None:
    tree = _tree()
    rows = [ROWS[i] for i in (2, 3, 17)] if rows is None else rows
    opening = tree.open([2, 3, 17]) if opening is None else opening
    with pytest.raises(ProofRejected, match=match):
        merkle.verify(root or tree.root, LOG_ROWS, list(indices), rows, opening)


def test_every_changed_digest_is_rejected():
    opening = _tree().open([2, 3, 17])
    for position in range(0, len(opening), 8):
        changed = bytearray(opening)
        changed[position] ^= 1
        _rejects("root", opening=bytes(changed))


def test_wrong_lengths_are_rejected():
    opening = _tree().open([2, 3, 17])
    for changed in (b"", opening[:-32], opening[:-1], opening + bytes(32)):
        _rejects("number of digests", opening=changed)


def test_wrong_rows_indices_and_roots_are_rejected():
    rows = [ROWS[i] for i in (2, 3, 17)]
    _rejects("root", rows=[rows[1], rows[0], rows[2]])
    _rejects("root", rows=[rows[0], rows[1], ROWS[18]])
    _rejects("root", rows=[rows[0] + bytes(8), rows[1], rows[2]])
    _rejects("root", indices=(2, 3, 16))
    _rejects("root", root=bytes(32))
    for position, byte in enumerate(_tree().root):
        changed = bytearray(_tree().root)
        changed[position] = byte ^ 128
        _rejects("root", root=bytes(changed))
    _rejects("match", rows=rows[:2])
    _rejects("match", indices=(3, 2, 17))
    _rejects("match", indices=(2, 2, 17))
