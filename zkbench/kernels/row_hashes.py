"""BLAKE3 of the rows of a matrix that arrives a few columns at a time.

Between two pieces a row's state is one chaining value, and for rows of several chunks (of 1024 bytes)
the chaining values that wait to be joined: at most one for each bit of the number of chunks (BLAKE3
paper, section 5.1.2). So hashing N columns needs no more memory than hashing eight. Arithmetic bounds
it, as any BLAKE3; a piece also reads and writes 32 bytes of state a row, so pieces of sixteen columns
and more are as fast as one.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from zkbench.jit import device
from zkbench.kernels.blake3 import (
    CHUNK_END,
    CHUNK_START,
    DIGEST_WORDS,
    PARENT,
    ROOT,
    compress,
    initial,
    write_digest,
)
from zkbench.kernels.launch import Array, Kernel, Target, kernel

BLOCK_WORDS = 8
_CHUNK_WORDS = 128
_NO_FLAG = np.uint32(0)
_ZERO64 = np.uint64(0)
_64_BYTES = np.uint32(64)


@device("row_hashes.row_word")
def row_word(matrix, row, word, stride, log_limbs):
    """Word ``word`` of a row: columns are ``stride`` entries of 2^log_limbs words apart."""
    entry = (word >> log_limbs) * stride + row
    return matrix[(entry << log_limbs) + (word & ((1 << log_limbs) - 1))]


@device("row_hashes.padded_word")
def _word(matrix, row, word, stop, stride, log_limbs):
    return row_word(matrix, row, word, stride, log_limbs) if word < stop else _ZERO64


@device("row_hashes.read")
def _read_digest(array, position):
    k = 4 * position
    return array[k], array[k + 1], array[k + 2], array[k + 3]


@device("row_hashes.join")
def _join(left, right, flags):
    block = (left[0], left[1], left[2], left[3], right[0], right[1], right[2], right[3])
    return compress(initial(), block, _ZERO64, _64_BYTES, flags)


@device("row_hashes.close_chunk")
def _close_chunk(cv, row, chunk, is_last, num_rows, stack):
    """Join a finished chunk with those that wait; the root, if it is the last one."""
    depth, rest = 0, chunk
    while rest > 0:
        depth += rest & 1
        rest >>= 1
    subtrees = chunk + 1
    while depth > 0 and (is_last or subtrees & 1 == 0):
        depth -= 1
        flags = PARENT
        if is_last and depth == 0:
            flags = np.uint32(PARENT | ROOT)
        cv = _join(_read_digest(stack, depth * num_rows + row), cv, flags)
        subtrees >>= 1
    if not is_last:
        write_digest(stack, depth * num_rows + row, cv)
    return cv


@cache
def absorb_kernel() -> Kernel:
    @kernel("row_hashes.absorb")
    def absorb(row, matrix, stride, log_limbs, first, count, num_words, num_rows, digests, stack):
        """Words first, first + 1, ... of a row are its ``count`` words in the matrix."""
        cv = _read_digest(digests, row)
        for k in range(0, count, BLOCK_WORDS):
            chunk = (first + k) // _CHUNK_WORDS
            stop = min(num_words, (chunk + 1) * _CHUNK_WORDS) - first
            block = (
                _word(matrix, row, k, stop, stride, log_limbs),
                _word(matrix, row, k + 1, stop, stride, log_limbs),
                _word(matrix, row, k + 2, stop, stride, log_limbs),
                _word(matrix, row, k + 3, stop, stride, log_limbs),
                _word(matrix, row, k + 4, stop, stride, log_limbs),
                _word(matrix, row, k + 5, stop, stride, log_limbs),
                _word(matrix, row, k + 6, stop, stride, log_limbs),
                _word(matrix, row, k + 7, stop, stride, log_limbs),
            )
            flags = _NO_FLAG
            if first + k == chunk * _CHUNK_WORDS:
                cv, flags = initial(), CHUNK_START
            ends = k + BLOCK_WORDS >= stop
            if ends:
                flags = np.uint32(flags | CHUNK_END)
                if num_words <= _CHUNK_WORDS:
                    flags = np.uint32(flags | ROOT)
            num_bytes = np.uint32(8 * min(BLOCK_WORDS, stop - k))
            cv = compress(cv, block, np.uint64(chunk), num_bytes, flags)
            if ends and num_words > _CHUNK_WORDS:
                is_last = first + stop == num_words
                cv = _close_chunk(cv, row, chunk, is_last, num_rows, stack)
        write_digest(digests, row, cv)

    return absorb


class RowHashes:
    """Hashes of rows of ``num_words`` words; ``digests``: room for them, at the array's start."""

    def __init__(self, target: Target, num_rows: int, num_words: int, digests: Array) -> None:
        self.target, self.num_rows, self.num_words = target, num_rows, num_words
        self.digests, self.absorbed = digests, 0
        waiting = (-(-num_words // _CHUNK_WORDS) - 1).bit_length()
        self._stack = target.empty(max(1, waiting * num_rows) * DIGEST_WORDS)

    def absorb(self, matrix: Array, num_words: int, stride: int, log_limbs: int = 0) -> None:
        """The next words of every row i are matrix[c * stride + i], in order of c.

        Entries may be of 2^log_limbs words, which then count together as one in ``stride`` and i.
        All pieces but the last have a multiple of BLOCK_WORDS words; raises ValueError if not.
        """
        left = self.num_words - self.absorbed
        if num_words > left or (num_words % BLOCK_WORDS and num_words != left):
            raise ValueError(f"a piece of {num_words} words, with {left} left of a row")
        progress = (self.absorbed, num_words, self.num_words, self.num_rows)
        arguments = (matrix, stride, log_limbs, *progress, self.digests, self._stack)
        self.target.map(absorb_kernel(), self.num_rows, *arguments, grain=64)
        self.absorbed += num_words
