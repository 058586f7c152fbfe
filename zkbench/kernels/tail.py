"""The last rounds of a sumcheck in one call: sums, Fiat-Shamir and folds without leaving the kernel.

Below about a thousand entries a round takes less time than the Python around it. Tables are dense
here (padding is stored), the transcript's two steps for a round are the few BLAKE3 blocks that
``transcript.py`` hashes, and the caller replays them there, so the two cannot come apart unseen.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np

from zkbench.fields import Field
from zkbench.fields.field import Arithmetic
from zkbench.jit import device
from zkbench.kernels.blake3 import compress, extend

_KEYED_BLOCK = np.uint32(1 | 2 | 8 | 16)  # first, last, only block of a keyed message
_ZERO, _ONE = np.uint64(0), np.uint64(1)
FRAME_BYTES = 15  # kind, length, b"round", eight bytes of size: see transcript.py


@cache
def _terms(ring: Arithmetic, kind: str) -> Any:
    """(accumulator, weight, table, first word of entry 2j, of 2j + 1, lambda) -> accumulator."""
    add, sub, mul, load, zero = ring.add, ring.sub, ring.mul, ring.load, ring.zero

    @device(f"tail.product2.{ring.name}")
    def product2(acc, w, t, a, b, lam):
        p, q = load(t, a), load(t, a + 1)
        lead = mul(sub(load(t, b), p), sub(load(t, b + 1), q))
        return add(acc[0], mul(w, mul(p, q))), add(acc[1], mul(w, lead)), zero()

    @device(f"tail.product3.{ring.name}")
    def product3(acc, w, t, a, b, lam):
        p, q, r = load(t, a), load(t, a + 1), load(t, a + 2)
        dp, dq, dr = sub(load(t, b), p), sub(load(t, b + 1), q), sub(load(t, b + 2), r)
        minus = mul(sub(p, dp), mul(sub(q, dq), sub(r, dr)))
        return (
            add(acc[0], mul(w, mul(p, mul(q, r)))),
            add(acc[1], mul(w, mul(dp, mul(dq, dr)))),
            add(acc[2], mul(w, minus)),
        )

    @device(f"tail.fraction.{ring.name}")
    def fraction(acc, w, t, a, b, lam):
        p0, p1, q0, q1 = load(t, a), load(t, a + 1), load(t, a + 2), load(t, a + 3)
        value = add(mul(add(p0, mul(lam, q0)), q1), mul(p1, q0))
        p0, p1 = sub(load(t, b), p0), sub(load(t, b + 1), p1)
        q0, q1 = sub(load(t, b + 2), q0), sub(load(t, b + 3), q1)
        lead = add(mul(add(p0, mul(lam, q0)), q1), mul(p1, q0))
        return add(acc[0], mul(w, value)), add(acc[1], mul(w, lead)), zero()

    return {"product2": product2, "product3": product3, "fraction": fraction}[kind]


WIDTH = {"product2": 2, "product3": 3, "fraction": 4}
DEGREE = {"product2": 2, "product3": 3, "fraction": 2}


@cache
def tail_kernel(field: Field, kind: str) -> Any:
    """CPU function that runs all remaining rounds; see ``protocols/sumcheck.py: Tail``.

    tables: parts x 2^m x width elements, folded in place; gammas: one element a part; factors: the
    eq factor at 0 and 1 of each variable; suffix: room for 2^m elements; state: four words;
    frames: the transcript's frames of a message and of a challenge, two words each; messages:
    m x degree elements and challenges: m elements, both written.
    """
    ring = field.ext
    add, sub, mul, load, store = ring.add, ring.sub, ring.mul, ring.load, ring.store
    zero, one, limbs = ring.zero, ring.one, ring.limbs
    terms, width, degree = _terms(ring, kind), WIDTH[kind], DEGREE[kind]
    absorb, squeeze = _transcript_step(field, degree)

    @numba.njit(nogil=True, cache=True, _nrt=False)
    def tail(tables, parts, m, gammas, lam, factors, suffix, state, frames, messages, challenges):
        store(suffix, 1, one())
        for t in range(1, m):
            for j in range(1 << (t - 1)):
                above = load(suffix, (1 << (t - 1)) + j)
                for bit in range(2):
                    factor = load(factors, 2 * (m - t) + bit)
                    store(suffix, (1 << t) + 2 * j + bit, mul(above, factor))
        entries = 1 << m
        for i in range(m):
            half = 1 << (m - i - 1)
            total = (zero(), zero(), zero())
            for part in range(parts):
                acc = (zero(), zero(), zero())
                for j in range(half):
                    a = (part * entries + 2 * j) * width
                    acc = terms(acc, load(suffix, half + j), tables, a, a + width, lam)
                gamma = load(gammas, part)
                total = (
                    add(total[0], mul(gamma, acc[0])),
                    add(total[1], mul(gamma, acc[1])),
                    add(total[2], mul(gamma, acc[2])),
                )
            store(messages, degree * i, total[0])
            store(messages, degree * i + 1, total[1])
            if degree == 3:
                store(messages, degree * i + 2, total[2])
            absorb(state, frames, messages, degree * i * limbs)
            r = squeeze(state, frames)
            store(challenges, i, r)
            for part in range(parts):
                for j in range(half):
                    a = (part * entries + 2 * j) * width
                    out = (part * entries + j) * width
                    for k in range(width):
                        low = load(tables, a + k)
                        rise = sub(load(tables, a + width + k), low)
                        store(tables, out + k, add(low, mul(r, rise)))

    return tail


@cache
def _transcript_step(field: Field, degree: int) -> tuple[Any, Any]:
    """What ``transcript.py`` does for one round: absorb a message, squeeze a challenge."""
    from_wide = field.ext.from_wide
    payload = degree * field.ext.limbs
    message_bytes = np.uint32(FRAME_BYTES + 8 * payload)
    frame_bytes = np.uint32(FRAME_BYTES)
    split = np.uint64(8 * (FRAME_BYTES - 8))  # bits of the second frame word that are in use
    rest = np.uint64(64) - split

    @device(f"tail.word.{field.name}.{degree}")
    def word(messages, first, k):
        """Message word k after the frame, which ends inside a word."""
        low = messages[first + k - 1] >> rest if k > 0 else _ZERO
        return low | (messages[first + k] << split if k < payload else _ZERO)

    @device(f"tail.absorb.{field.name}.{degree}")
    def absorb(state, frames, messages, first):
        block = (
            frames[0],
            frames[1] | word(messages, first, 0),
            word(messages, first, 1),
            word(messages, first, 2),
            word(messages, first, 3),
            word(messages, first, 4),
            word(messages, first, 5) if payload > 4 else _ZERO,
            word(messages, first, 6) if payload > 4 else _ZERO,
        )
        key = state[0], state[1], state[2], state[3]
        digest = compress(key, block, _ZERO, message_bytes, _KEYED_BLOCK)
        state[0], state[1], state[2], state[3] = digest

    @device(f"tail.squeeze.{field.name}.{degree}")
    def squeeze(state, frames):
        block = (frames[2], frames[3], _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO)
        key = state[0], state[1], state[2], state[3]
        first = extend(key, block, _ZERO, frame_bytes, _KEYED_BLOCK)
        second = extend(key, block, _ONE, frame_bytes, _KEYED_BLOCK)
        state[0], state[1], state[2], state[3] = first[0], first[1], first[2], first[3]
        return from_wide((first[4], first[5], first[6], first[7], second[0], second[1]))

    return absorb, squeeze
