"""Kernels against the blake3 package."""

from __future__ import annotations

import numpy as np
import pytest
from blake3 import blake3

from zkbench.kernels.blake3 import find_nonce, hash_layers, is_good_nonce
from zkbench.kernels.launch import CpuTarget, cpu_target
from zkbench.kernels.row_hashes import RowHashes


@pytest.mark.parametrize(
    "num_columns",
    [1, 2, 7, 8, 9, 15, 16, 127, 128, 129, 136, 255, 256, 257, 384, 400, 520, 640, 897, 1025],
)
@pytest.mark.parametrize("num_rows", [1, 2, 67])
def test_rows_vs_blake3_package(num_columns, num_rows):
    rng = np.random.default_rng(num_columns)
    stride = num_rows + 3
    matrix = rng.integers(0, 2**64, num_columns * stride, dtype=np.uint64)
    rows = matrix.reshape(num_columns, stride).T[:num_rows]
    expected = b"".join(blake3(row.tobytes()).digest() for row in rows)
    for piece in (num_columns, 8, 136):
        digests = np.zeros(4 * num_rows, dtype=np.uint64)
        hashes = RowHashes(cpu_target(), num_rows, num_columns, digests)
        for first in range(0, num_columns, piece):
            count = min(piece, num_columns - first)
            hashes.absorb(matrix[first * stride :], count, stride)
        assert digests.tobytes() == expected


def test_a_piece_that_ends_inside_a_block_is_refused():
    hashes = RowHashes(cpu_target(), 1, 20, np.zeros(4, dtype=np.uint64))
    with pytest.raises(ValueError, match="a piece of 4 words, with 20 left"):
        hashes.absorb(np.zeros(4, dtype=np.uint64), 4, 1)


@pytest.mark.parametrize("log_leaves", range(13))
def test_layers_vs_blake3_package(log_leaves):
    rng = np.random.default_rng(log_leaves)
    nodes = rng.integers(0, 2**64, (2 << log_leaves) * 4, dtype=np.uint64)
    layer = [nodes[4 * i : 4 * i + 4].tobytes() for i in range(1 << log_leaves)]
    expected = list(layer)
    while len(layer) > 1:
        layer = [blake3(a + b).digest() for a, b in zip(layer[::2], layer[1::2], strict=True)]
        expected += layer
    hash_layers(cpu_target(), nodes, log_leaves)
    assert nodes.tobytes()[: 32 * len(expected)] == b"".join(expected)


@pytest.mark.parametrize("bits", [0, 1, 5, 11])
def test_nonce_is_the_smallest_vs_blake3_package(bits):
    for number in range(3):
        seed = blake3(bytes([number, bits])).digest()
        nonce = 0
        while not is_good_nonce(blake3(seed + nonce.to_bytes(8, "little")).digest(), bits):
            nonce += 1
        assert find_nonce(cpu_target(), seed, bits) == nonce


def test_nonce_does_not_depend_on_the_number_of_threads():
    seed = bytes([2] * 32)
    nonces = {find_nonce(CpuTarget(threads), seed, 19) for threads in (1, 2, 3)}
    assert len(nonces) == 1
    assert nonces.pop() > 1 << 18, "the search should go through more than one batch here"
