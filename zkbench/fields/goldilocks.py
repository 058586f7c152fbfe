"""Goldilocks: p = 2^64 - 2^32 + 1, with the extension E = F[X]/(X^2 - 7) for challenges.

Why this prime: 2^64 = 2^32 - 1 and 2^96 = -1 modulo p, so a 128-bit product is reduced with a few
32-bit steps; products of 16-bit fixed point fit far below p; and p - 1 is divisible by 2^32, enough
for Reed-Solomon codes of every length used here. E has about 2^128 elements, enough for 100 bits.

A word may hold any 64-bit representative of an element (p fits below 2^64, so 0 ... 2^32 - 2 have
two). ``canonical`` restores the smaller one, and ``store`` writes nothing else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from zkbench.fields.field import Arithmetic, Field
from zkbench.fields.python_int import quadratic_extension
from zkbench.jit import device

MODULUS = 2**64 - 2**32 + 1
NONRESIDUE = 7

_P = np.uint64(MODULUS)
_EPSILON = np.uint64(2**32 - 1)  # 2^64 mod p
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_3, _61 = np.uint64(3), np.uint64(61)
_32 = np.uint64(32)
_NONRESIDUE = np.uint64(NONRESIDUE)


@intrinsic
def mul_wide(typing_context: Any, a: Any, b: Any) -> Any:
    """uint64 * uint64 -> (low word, high word): four IMAD.WIDE on sm_90, one MULX on x86-64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        i64, i128 = ir.IntType(64), ir.IntType(128)
        product = builder.mul(builder.zext(args[0], i128), builder.zext(args[1], i128))
        high = builder.trunc(builder.lshr(product, ir.Constant(i128, 64)), i64)
        return context.make_tuple(
            builder, signature.return_type, (builder.trunc(product, i64), high)
        )

    return types.UniTuple(types.uint64, 2)(types.uint64, types.uint64), codegen


mul_wide._set_uuid("zkbench.mul_wide")


@device("goldilocks.canonical")
def canonical(a):
    return a - (_P if a >= _P else _ZERO)


@device("goldilocks.add")
def add(a, b):
    s = a + b
    t = s + (_EPSILON if s < a else _ZERO)
    # Two representatives above p can carry a second time.
    return t + (_EPSILON if (s < a and t < _EPSILON) else _ZERO)


@device("goldilocks.sub")
def sub(a, b):
    s = a - b
    t = s - (_EPSILON if a < b else _ZERO)
    return t - (_EPSILON if (a < b and s < _EPSILON) else _ZERO)


@device("goldilocks.reduce_wide")
def reduce_wide(low, high):
    """low + 2^64 high modulo p, by 2^64 = 2^32 - 1 and 2^96 = -1."""
    top = high >> _32
    mid = high & _EPSILON
    t = low - top
    t = t - (_EPSILON if low < top else _ZERO)
    m = (mid << _32) - mid
    r = t + m
    return r + (_EPSILON if r < m else _ZERO)


@device("goldilocks.mul")
def mul(a, b):
    low, high = mul_wide(a, b)
    return reduce_wide(low, high)


@device("goldilocks.inverse")
def inverse(a):
    """a^(p - 2) by Fermat: of the 64 bits of p - 2 only bit 32 is zero.

    One loop on purpose: a shorter addition chain is several, and NVVM takes minutes over them.
    """
    power = a
    for bit in range(62, -1, -1):
        power = mul(power, power)
        if bit != 32:
            power = mul(power, a)
    return power


@device("goldilocks.from_int")
def from_int(value):
    """Signed 64-bit integer of magnitude below p."""
    word = np.uint64(value)
    return word - (_EPSILON if value < 0 else _ZERO)


@device("goldilocks.load")
def load(array, index):
    return array[index]


@device("goldilocks.store")
def store(array, index, a):
    array[index] = canonical(a)


@device("goldilocks.mul_int")
def mul_int(a, value):
    return mul(a, from_int(np.int64(value)))


# A sum of element * int16: the two 32-bit halves of the element are summed apart, 48 bits a term.
@device("goldilocks.mac_zero")
def mac_zero():
    return np.int64(0), np.int64(0)


@device("goldilocks.mac")
def mac(accumulator, a, value):
    low, high = accumulator
    v = np.int64(value)
    return low + np.int64(a & _EPSILON) * v, high + np.int64(a >> _32) * v


@device("goldilocks.mac_reduce")
def mac_reduce(accumulator):
    low, high = accumulator
    return add(from_int(low), mul(from_int(high), _EPSILON + _ONE))


def _pair_pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Pointer to words 2 index and 2 index + 1 of a flat array, and the alignment it surely has."""
    data = context.make_array(array_type)(context, builder, array).data
    word = builder.gep(data, [builder.mul(index, ir.Constant(index.type, 2))])
    # Device allocations are aligned and never sliced; a NumPy array may start anywhere.
    alignment = 16 if "CUDA" in type(context).__name__ else 8
    return builder.bitcast(word, ir.VectorType(ir.IntType(64), 2).as_pointer()), alignment


@intrinsic
def _load_words(typing_context: Any, array: Any, index: Any) -> Any:
    """Two words in one 16-byte access, which Numba's own indexing never becomes on CUDA."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer, alignment = _pair_pointer(context, builder, signature.args[0], *args)
        pair = builder.load(pointer, align=alignment)
        words = [builder.extract_element(pair, ir.Constant(ir.IntType(32), k)) for k in range(2)]
        return context.make_tuple(builder, signature.return_type, words)

    return types.UniTuple(types.uint64, 2)(array, types.int64), codegen


@intrinsic
def _store_words(typing_context: Any, array: Any, index: Any, low: Any, high: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer, alignment = _pair_pointer(context, builder, signature.args[0], *args[:2])
        pair: Any = ir.Constant(ir.VectorType(ir.IntType(64), 2), ir.Undefined)
        for k, word in enumerate(args[2:]):
            pair = builder.insert_element(pair, word, ir.Constant(ir.IntType(32), k))
        builder.store(pair, pointer, align=alignment)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.uint64, types.uint64), codegen


_load_words._set_uuid("zkbench.load_words")
_store_words._set_uuid("zkbench.store_words")


@device("goldilocks2.load")
def load2(array, index):
    return _load_words(array, np.int64(index))


@device("goldilocks2.store")
def store2(array, index, a):
    _store_words(array, np.int64(index), canonical(a[0]), canonical(a[1]))


@device("goldilocks2.add")
def add2(a, b):
    return add(a[0], b[0]), add(a[1], b[1])


@device("goldilocks2.sub")
def sub2(a, b):
    return sub(a[0], b[0]), sub(a[1], b[1])


@device("goldilocks.add_wide")
def add_wide(a, b):
    """Sum of two 192-bit numbers (low, high, top)."""
    low = a[0] + b[0]
    high = a[1] + b[1]
    carried = high + (_ONE if low < a[0] else _ZERO)
    top = a[2] + b[2] + (_ONE if high < a[1] else _ZERO) + (_ONE if carried < high else _ZERO)
    return low, carried, top


@device("goldilocks.times_seven")
def times_seven(low, high):
    """7 (low + 2^64 high) as 192 bits: eight times less once."""
    low8 = low << _3
    high8 = (high << _3) | (low >> _61)
    low7 = low8 - low
    borrow = _ONE if low8 < low else _ZERO
    high7 = high8 - high - borrow
    borrowed = high8 < high or (high8 == high and borrow == _ONE)
    return low7, high7, (high >> _61) - (_ONE if borrowed else _ZERO)


@device("goldilocks.reduce_top")
def reduce_top(a):
    """192 bits with a small top word, modulo p: 2^128 = -2^32."""
    r = reduce_wide(a[0], a[1])
    t = a[2] << _32
    return r - t - (_EPSILON if r < t else _ZERO)


@device("goldilocks2.mul")
def mul2(a, b):
    """Schoolbook, products summed before they are reduced: four wide products, two reductions."""
    low = mul_wide(a[0], b[0])
    high = mul_wide(a[1], b[1])
    left = mul_wide(a[0], b[1])
    right = mul_wide(a[1], b[0])
    constant = add_wide((low[0], low[1], _ZERO), times_seven(high[0], high[1]))
    linear = add_wide((left[0], left[1], _ZERO), (right[0], right[1], _ZERO))
    return reduce_top(constant), reduce_top(linear)


@device("goldilocks2.inverse")
def inverse2(a):
    """The conjugate over the norm a0^2 - 7 a1^2, which is zero for zero alone."""
    norm = sub(mul(a[0], a[0]), mul(_NONRESIDUE, mul(a[1], a[1])))
    scale = inverse(norm)
    return mul(a[0], scale), sub(_ZERO, mul(a[1], scale))


@device("goldilocks2.canonical")
def canonical2(a):
    return canonical(a[0]), canonical(a[1])


@device("goldilocks2.from_int")
def from_int2(value):
    return from_int(value), _ZERO


@device("goldilocks2.mul_base")
def mul_base2(a, b):
    return mul(a[0], b), mul(a[1], b)


@device("goldilocks2.mul_int")
def mul_int2(a, value):
    word = from_int(np.int64(value))
    return mul(a[0], word), mul(a[1], word)


@device("goldilocks2.mac_zero")
def mac_zero2():
    return mac_zero(), mac_zero()


@device("goldilocks2.mac")
def mac2(accumulator, a, value):
    return mac(accumulator[0], a[0], value), mac(accumulator[1], a[1], value)


@device("goldilocks2.mac_reduce")
def mac_reduce2(accumulator):
    return mac_reduce(accumulator[0]), mac_reduce(accumulator[1])


@device("goldilocks2.from_wide")
def from_wide2(words):
    """Six little-endian words: two coefficients from 192 bits each, by 2^128 = -2^32."""
    low = reduce_top((words[0], words[1], _ZERO))
    high = reduce_top((words[3], words[4], _ZERO))
    return (
        canonical(sub(low, mul(words[2], _EPSILON + _ONE))),
        canonical(sub(high, mul(words[5], _EPSILON + _ONE))),
    )


@device("goldilocks.zero")
def zero():
    return _ZERO


@device("goldilocks.one")
def one():
    return _ONE


@device("goldilocks2.zero")
def zero2():
    return _ZERO, _ZERO


@device("goldilocks2.one")
def one2():
    return _ONE, _ZERO


BASE = Arithmetic(
    name="goldilocks",
    limbs=1,
    zero=zero,
    one=one,
    load=load,
    store=store,
    add=add,
    sub=sub,
    mul=mul,
    inverse=inverse,
    canonical=canonical,
    from_int=from_int,
    mul_base=mul,
    mul_int=mul_int,
    mac_zero=mac_zero,
    mac=mac,
    mac_reduce=mac_reduce,
)

EXTENSION = Arithmetic(
    name="goldilocks2",
    limbs=2,
    zero=zero2,
    one=one2,
    load=load2,
    store=store2,
    add=add2,
    sub=sub2,
    mul=mul2,
    inverse=inverse2,
    canonical=canonical2,
    from_int=from_int2,
    mul_base=mul_base2,
    mul_int=mul_int2,
    mac_zero=mac_zero2,
    mac=mac2,
    mac_reduce=mac_reduce2,
    from_wide=from_wide2,
)


def _coset_dft(log_size: int) -> Any:
    from zkbench.fields.goldilocks_dft import coset_dft

    return coset_dft(log_size)


GOLDILOCKS = Field(
    name="goldilocks",
    modulus=MODULUS,
    degree=2,
    generator=7,
    two_adicity=32,
    element=quadratic_extension(MODULUS, NONRESIDUE),
    base=BASE,
    ext=EXTENSION,
    coset_dft=_coset_dft,
)
