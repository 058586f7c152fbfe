"""Kernels that do one thing as often as the device can: what protocols are measured against.

Arithmetic runs in registers, on several independent chains an item, so that latency is hidden;
traffic streams elements of E through arrays that fit no cache.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np

from zkbench.fields import Field
from zkbench.fields.field import Arithmetic
from zkbench.kernels.blake3 import compress, initial, write_digest
from zkbench.kernels.launch import Kernel, kernel

CHAINS = 4  # an item, of multiplications or butterflies
_LOG_WIDTH = 5  # a row of the small matrix that multiply-adds read is one cache line
MATRIX_WIDTH = 1 << _LOG_WIDTH
_ZERO, _64_BYTES, _ONE_BLOCK = np.uint64(0), np.uint32(64), np.uint32(1 | 2 | 8)


@cache
def kernels(field: Field) -> SimpleNamespace:
    ring = field.ext
    load, store, add = ring.load, ring.store, ring.add
    mac, mac_zero, mac_reduce = ring.mac, ring.mac_zero, ring.mac_reduce

    @kernel(f"ceilings.copy.{field.name}")
    def copy(i, source, out):
        store(out, i, load(source, i))

    @kernel(f"ceilings.read.{field.name}", ring, 1)
    def read(i, acc, source):
        return (add(acc[0], load(source, i)),)

    @kernel(f"ceilings.multiply_add.{field.name}")
    def multiply_add(i, weights, matrix, terms, out):
        """out[i] = sum over k < terms of weights[k] matrix[k, i mod width], integers in the matrix."""
        column = i & (MATRIX_WIDTH - 1)
        total = mac_zero()
        for k in range(terms):
            total = mac(total, load(weights, k), matrix[(k << _LOG_WIDTH) + column])
        store(out, i, mac_reduce(total))

    @kernel("ceilings.compress")
    def hashes(i, seeds, times, out):
        """out[i]: BLAKE3 of 64 bytes, a digest and zeros, that many times from seeds[i] on."""
        k = 4 * i
        digest = (seeds[k], seeds[k + 1], seeds[k + 2], seeds[k + 3])
        for _ in range(times):
            block = (digest[0], digest[1], digest[2], digest[3], _ZERO, _ZERO, _ZERO, _ZERO)
            digest = compress(initial(), block, _ZERO, _64_BYTES, _ONE_BLOCK)
        write_digest(out, i, digest)

    return SimpleNamespace(
        copy=copy,
        read=read,
        multiply=_multiply(field.base),
        multiply_ext=_multiply(ring),
        butterfly=_butterfly(field.base),
        multiply_add=multiply_add,
        compress=hashes,
    )


def _multiply(ring: Arithmetic) -> Kernel:
    load, store, add, mul = ring.load, ring.store, ring.add, ring.mul

    @kernel(f"ceilings.multiply.{ring.name}")
    def multiply(i, elements, factors, times, out):
        """out[i] = sum over chains c of elements[CHAINS i + c] factors[0]^times."""
        a, b = load(elements, CHAINS * i), load(elements, CHAINS * i + 1)
        c, d = load(elements, CHAINS * i + 2), load(elements, CHAINS * i + 3)
        factor = load(factors, 0)
        for _ in range(times):
            a, b = mul(a, factor), mul(b, factor)
            c, d = mul(c, factor), mul(d, factor)
        store(out, i, add(add(a, b), add(c, d)))

    return multiply


def _butterfly(ring: Arithmetic) -> Kernel:
    load, store, add, sub, mul = ring.load, ring.store, ring.add, ring.sub, ring.mul

    @kernel(f"ceilings.butterfly.{ring.name}")
    def butterfly(i, elements, factors, times, out):
        """Pairs (a, b) become (a + w b, a - w b), that many times; out[i] sums CHAINS such pairs."""
        k = 2 * CHAINS * i
        a, b = load(elements, k), load(elements, k + 1)
        c, d = load(elements, k + 2), load(elements, k + 3)
        e, f = load(elements, k + 4), load(elements, k + 5)
        g, h = load(elements, k + 6), load(elements, k + 7)
        w = load(factors, 0)
        for _ in range(times):
            wb, wd, wf, wh = mul(b, w), mul(d, w), mul(f, w), mul(h, w)
            a, b = add(a, wb), sub(a, wb)
            c, d = add(c, wd), sub(c, wd)
            e, f = add(e, wf), sub(e, wf)
            g, h = add(g, wh), sub(g, wh)
        store(out, i, add(add(add(a, b), add(c, d)), add(add(e, f), add(g, h))))

    return butterfly
