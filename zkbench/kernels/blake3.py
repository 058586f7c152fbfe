"""BLAKE3 on the target: the compression function, Merkle layers, proofs of work.

The hash is the genuine one (BLAKE3 paper, sections 2.1 to 2.5), so a verifier uses any BLAKE3
library. Digests and chaining values are four little-endian 64-bit words. Arithmetic bounds it:
seven rounds of eight mixes, about 11 instructions a byte.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np

from zkbench.jit import device
from zkbench.kernels.launch import Array, Target, kernel

DIGEST_WORDS = 4
_LAYERS_A_LAUNCH = 5  # a subtree of 32 digests an item: fewer launches, and it stays in cache
_NONCES_AN_ITEM = 64
_ITEMS_A_SEARCH = 4096

CHUNK_START, CHUNK_END, PARENT, ROOT = (np.uint32(1 << bit) for bit in range(4))
_ONE_BLOCK = np.uint32(1 | 2 | 8)  # first, last and only block of a message
_ZERO, _ZERO64 = np.uint32(0), np.uint64(0)
_32 = np.uint64(32)
_64_BYTES, _40_BYTES = np.uint32(64), np.uint32(40)
_7, _8, _12, _16, _20, _24, _25 = (np.uint32(n) for n in (7, 8, 12, 16, 20, 24, 25))
_IV0, _IV1, _IV2, _IV3, _IV4, _IV5, _IV6, _IV7 = (
    np.uint32(word)
    for word in (
        0x6A09E667,
        0xBB67AE85,
        0x3C6EF372,
        0xA54FF53A,
        0x510E527F,
        0x9B05688C,
        0x1F83D9AB,
        0x5BE0CD19,
    )
)


@device("blake3.mix")
def _mix(a, b, c, d, x, y):
    """The quarter round G; 32-bit sums, which Numba would widen, are cut back at once."""
    a = np.uint32(a + b + x)
    d = np.uint32(d ^ a)
    d = np.uint32((d >> _16) | (d << _16))
    c = np.uint32(c + d)
    b = np.uint32(b ^ c)
    b = np.uint32((b >> _12) | (b << _20))
    a = np.uint32(a + b + y)
    d = np.uint32(d ^ a)
    d = np.uint32((d >> _8) | (d << _24))
    c = np.uint32(c + d)
    b = np.uint32(b ^ c)
    b = np.uint32((b >> _7) | (b << _25))
    return a, b, c, d


@device("blake3.round")
def _round(v, m):
    """One round: columns, then diagonals."""
    v0, v4, v8, v12 = _mix(v[0], v[4], v[8], v[12], m[0], m[1])
    v1, v5, v9, v13 = _mix(v[1], v[5], v[9], v[13], m[2], m[3])
    v2, v6, v10, v14 = _mix(v[2], v[6], v[10], v[14], m[4], m[5])
    v3, v7, v11, v15 = _mix(v[3], v[7], v[11], v[15], m[6], m[7])
    v0, v5, v10, v15 = _mix(v0, v5, v10, v15, m[8], m[9])
    v1, v6, v11, v12 = _mix(v1, v6, v11, v12, m[10], m[11])
    v2, v7, v8, v13 = _mix(v2, v7, v8, v13, m[12], m[13])
    v3, v4, v9, v14 = _mix(v3, v4, v9, v14, m[14], m[15])
    return v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15


@device("blake3.permute")
def _permute(m):
    """The message words in the next round's order."""
    return (
        m[2],
        m[6],
        m[3],
        m[10],
        m[7],
        m[0],
        m[4],
        m[13],
        m[1],
        m[11],
        m[12],
        m[5],
        m[9],
        m[14],
        m[15],
        m[8],
    )


@device("blake3.low")
def _low(word):
    return np.uint32(word)


@device("blake3.high")
def _high(word):
    return np.uint32(word >> _32)


@device("blake3.join")
def _join(low, high):
    return np.uint64(low) | (np.uint64(high) << _32)


@device("blake3.mixed")
def _mixed(cv, block, counter, num_bytes, flags):
    """The sixteen words after seven rounds."""
    m = (
        _low(block[0]),
        _high(block[0]),
        _low(block[1]),
        _high(block[1]),
        _low(block[2]),
        _high(block[2]),
        _low(block[3]),
        _high(block[3]),
        _low(block[4]),
        _high(block[4]),
        _low(block[5]),
        _high(block[5]),
        _low(block[6]),
        _high(block[6]),
        _low(block[7]),
        _high(block[7]),
    )
    v = (
        _low(cv[0]),
        _high(cv[0]),
        _low(cv[1]),
        _high(cv[1]),
        _low(cv[2]),
        _high(cv[2]),
        _low(cv[3]),
        _high(cv[3]),
        _IV0,
        _IV1,
        _IV2,
        _IV3,
        _low(counter),
        _high(counter),
        num_bytes,
        flags,
    )
    v = _round(v, m)
    m = _permute(m)
    v = _round(v, m)
    m = _permute(m)
    v = _round(v, m)
    m = _permute(m)
    v = _round(v, m)
    m = _permute(m)
    v = _round(v, m)
    m = _permute(m)
    v = _round(v, m)
    m = _permute(m)
    v = _round(v, m)
    return v


@device("blake3.compress")
def compress(cv, block, counter, num_bytes, flags):
    """The compression function, cut to 32 bytes.

    ``cv``: 4 words, ``block``: 8 words (uint64); ``counter``: uint64; the rest uint32.
    """
    v = _mixed(cv, block, counter, num_bytes, flags)
    return (
        _join(v[0] ^ v[8], v[1] ^ v[9]),
        _join(v[2] ^ v[10], v[3] ^ v[11]),
        _join(v[4] ^ v[12], v[5] ^ v[13]),
        _join(v[6] ^ v[14], v[7] ^ v[15]),
    )


@device("blake3.extend")
def extend(cv, block, counter, num_bytes, flags):
    """Output block ``counter`` of the extendable hash of one block: eight 64-bit words."""
    v = _mixed(cv, block, counter, num_bytes, flags)
    return (
        _join(v[0] ^ v[8], v[1] ^ v[9]),
        _join(v[2] ^ v[10], v[3] ^ v[11]),
        _join(v[4] ^ v[12], v[5] ^ v[13]),
        _join(v[6] ^ v[14], v[7] ^ v[15]),
        _join(v[8], v[9]) ^ cv[0],
        _join(v[10], v[11]) ^ cv[1],
        _join(v[12], v[13]) ^ cv[2],
        _join(v[14], v[15]) ^ cv[3],
    )


@device("blake3.initial")
def initial():
    """The chaining value that every chunk and parent starts from."""
    return _join(_IV0, _IV1), _join(_IV2, _IV3), _join(_IV4, _IV5), _join(_IV6, _IV7)


@device("blake3.write")
def write_digest(array, position, digest):
    array[4 * position] = digest[0]
    array[4 * position + 1] = digest[1]
    array[4 * position + 2] = digest[2]
    array[4 * position + 3] = digest[3]


@device("blake3.join_pair")
def hash_pair(array, left, flags):
    """Compress the two neighbouring 32-byte strings from position ``left`` on, as one block."""
    k = 4 * left
    block = (
        array[k],
        array[k + 1],
        array[k + 2],
        array[k + 3],
        array[k + 4],
        array[k + 5],
        array[k + 6],
        array[k + 7],
    )
    return compress(initial(), block, _ZERO64, _64_BYTES, flags)


@cache
def kernels() -> SimpleNamespace:
    @kernel("blake3.layers")
    def layers(i, nodes, start, size, num_layers):
        """Subtree i over 2^num_layers nodes of the layer of ``size`` nodes that begins at start."""
        width = 1 << num_layers
        while width > 1:
            above = start + size
            for pair in range(i * (width // 2), (i + 1) * (width // 2)):
                write_digest(nodes, above + pair, hash_pair(nodes, start + 2 * pair, _ONE_BLOCK))
            start, size, width = above, size // 2, width // 2

    @kernel("blake3.grind")
    def grind(i, seed, first, bits, found):
        """found[i] = offset of the first good nonce among this item's, or their number."""
        offset = i * _NONCES_AN_ITEM
        block = (seed[0], seed[1], seed[2], seed[3], _ZERO64, _ZERO64, _ZERO64, _ZERO64)
        result = _NONCES_AN_ITEM
        for k in range(_NONCES_AN_ITEM - 1, -1, -1):
            nonce = first + np.uint64(offset + k)
            message = (block[0], block[1], block[2], block[3], nonce, _ZERO64, _ZERO64, _ZERO64)
            digest = compress(initial(), message, _ZERO64, _40_BYTES, _ONE_BLOCK)
            if digest[0] >> bits == _ZERO64:
                result = k
        found[i] = result

    @kernel("blake3.gather")
    def gather(i, nodes, positions, out):
        for word in range(4):
            out[4 * i + word] = nodes[4 * positions[i] + word]

    return SimpleNamespace(layers=layers, grind=grind, gather=gather)


def hash_layers(target: Target, nodes: Array, log_leaves: int) -> None:
    """Fill a tree: layer after layer from the leaves, which stand first; the root is last.

    A parent is BLAKE3 of its children's 64 bytes. ``nodes``: 2^(log_leaves + 1) - 1 digests.
    """
    start, height = 0, log_leaves
    while height > 0:
        num_layers = min(height, _LAYERS_A_LAUNCH)
        items = 1 << (height - num_layers)
        target.map(kernels().layers, items, nodes, start, 1 << height, num_layers, grain=16)
        for _ in range(num_layers):
            start += 1 << height
            height -= 1


def gather_digests(target: Target, nodes: Array, positions: np.ndarray) -> np.ndarray:
    """The words of some digests (positions: int64, on the host), on the host."""
    out = target.empty(len(positions) * DIGEST_WORDS)
    target.map(kernels().gather, len(positions), nodes, target.to_device(positions), out)
    return target.to_host(out)


def find_nonce(target: Target, seed: bytes, bits: int) -> int:
    """The smallest nonce with BLAKE3(seed (32 bytes) || nonce (8 bytes, LE)) good for the bits.

    Good: the digest's first 8 bytes, as a little-endian integer, are below 2^(64 - bits). Expect
    2^bits hashes. ``bits`` < 64.
    """
    if bits == 0:
        return 0
    words = target.to_device(np.frombuffer(seed, dtype="<u8").astype(np.uint64))
    found = target.empty(_ITEMS_A_SEARCH, np.int64)
    first = 0
    while True:
        shift = np.uint64(64 - bits)
        target.map(kernels().grind, _ITEMS_A_SEARCH, words, np.uint64(first), shift, found, grain=1)
        offsets = target.to_host(found)
        hits = np.flatnonzero(offsets < _NONCES_AN_ITEM)
        if hits.size:
            return first + int(hits[0]) * _NONCES_AN_ITEM + int(offsets[hits[0]])
        first += _ITEMS_A_SEARCH * _NONCES_AN_ITEM


def is_good_nonce(digest: bytes, bits: int) -> bool:
    """Whether a proof of work's digest has the ``bits`` zero bits asked for."""
    return int.from_bytes(digest[:8], "little") >> (64 - bits) == 0
