"""Transforms of 2, 4, 8 or 16 Goldilocks values in CUDA registers, by 32-bit carry chains.

y_q = sum_e x_e c^e w^(e q), w the root of unity of order R = 2, ..., 16; y in bit-reversed order.
The R - 1 powers c^e are inputs: they carry whatever scaling and twiddles the surroundings need.

2 is a 192nd root of unity and w a power of 2, so the transform proper has no multiplication. Its
values are *signed numbers of three words*, sums and differences are three instructions (8 for two
words modulo p) and nothing is brought below 2^64 before the end. With 2^64 = 2^32 - 1 and
2^96 = -1, a product enters as a number below 2^65 and each rotation gives one again, so no sum
exceeds 2^70; a multiple of p above that, added to x_0, makes all outputs positive.

A program is a list of instructions of a tiny machine; it is written out as one block of PTX, and
``run`` interprets it (for the simulator, and to compare with integers). Costs, by sm_90's
assembler, are in ``tests/fields/test_goldilocks_dft.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from zkbench.fields.goldilocks import GOLDILOCKS, MODULUS

MAX_LOG_SIZE = 4
_EPSILON = 2**32 - 1
_MASK = 2**32 - 1
_OFFSET = MODULUS * (2**70 // MODULUS + 1)  # exceeds what any output may fall below zero

Word = str | int  # a register, or a constant
Number = tuple[Word, Word, Word]  # two's complement, little-endian


class Program:
    """Straight-line code over 32-bit registers with one carry flag, as PTX has it.

    ``inputs`` and ``outputs`` are pairs of registers, the words of 64-bit values.
    """

    def __init__(self) -> None:
        self.code: list[tuple[str, tuple[Word, ...], tuple[Word, ...]]] = []
        self.inputs: list[tuple[Word, Word]] = []
        self.outputs: list[tuple[Word, Word]] = []
        self._num_registers = 0

    def registers(self, count: int) -> tuple[str, ...]:
        first = self._num_registers
        self._num_registers += count
        return tuple(f"r{k}" for k in range(first, first + count))

    def input(self) -> tuple[Word, Word]:
        pair: Any = self.registers(2)
        self.inputs.append(pair)
        return pair

    def emit(self, operation: str, *sources: Word, results: int = 1) -> Any:
        """The register (or registers) that hold the operation's result."""
        names = self.registers(results)
        self.code.append((operation, names, sources))
        return names[0] if results == 1 else names

    def chain(self, operation: str, a: Sequence[Word], b: Sequence[Word]) -> Any:
        """a + b or a - b ("add", "sub") of equally many words."""
        last = len(a) - 1
        names = [f"{operation}.cc", *[f"{operation}c.cc"] * (last - 1), f"{operation}c"]
        return tuple(self.emit(name, x, y) for name, x, y in zip(names, a, b, strict=True))

    def multiply_add(self, a: Word, constant: int, b: tuple[Word, Word]) -> Any:
        """a * constant + b as three words."""
        low = self.emit("mad.lo.cc", a, constant, b[0])
        high = self.emit("madc.hi.cc", a, constant, b[1])
        return low, high, self.emit("addc", 0, 0)

    def ptx(self) -> str:
        """One block: outputs are operands $0 ..., inputs follow."""
        lines = [f"{{ .reg .u32 r<{self._num_registers}>; .reg .u64 p0, p1, q0, q1;"]
        first = len(self.outputs)
        for k, (low, high) in enumerate(self.inputs):
            lines.append(f"mov.b64 {{{low}, {high}}}, ${first + k};")
        lines += [_line(*instruction) for instruction in self.code]
        for k, (low, high) in enumerate(self.outputs):
            lines.append(f"mov.b64 ${k}, {{{low}, {high}}};")
        return "\n".join([*lines, "}"])

    def run(self, values: Sequence[int]) -> list[int]:
        """The outputs for these inputs, computed as the PTX does it."""
        state: dict[Word, int] = {}
        for (low, high), value in zip(self.inputs, values, strict=True):
            state[low], state[high] = value & _MASK, value >> 32
        carry = 0
        for operation, results, sources in self.code:
            words = [s & _MASK if isinstance(s, int) else state[s] for s in sources]
            value, carry = _step(operation, words, carry)
            for k, name in enumerate(results):
                state[name] = (value >> (32 * k)) & _MASK
        return [state[low] | state[high] << 32 for low, high in self.outputs]


_SUFFIXES = {"shl": "b32", "shr": "s32", "shf.l.wrap": "b32"}


def _line(operation: str, results: tuple[Word, ...], sources: tuple[Word, ...]) -> str:
    if operation != "product":
        arguments = ", ".join(map(str, (*results, *sources)))
        return f"{operation}.{_SUFFIXES.get(operation, 'u32')} {arguments};"
    a0, a1, b0, b1 = sources
    r0, r1, r2, r3 = results
    return (
        f"mov.b64 p0, {{{a0}, {a1}}}; mov.b64 p1, {{{b0}, {b1}}};\n"
        "mul.lo.u64 q0, p0, p1; mul.hi.u64 q1, p0, p1;\n"
        f"mov.b64 {{{r0}, {r1}}}, q0; mov.b64 {{{r2}, {r3}}}, q1;"
    )


def _step(operation: str, words: Sequence[int], carry: int) -> tuple[int, int]:
    """(result, carry or borrow) of an instruction, as the PTX manual defines it."""
    name, _, rest = operation.partition(".")
    a, b, *more = words
    carried = carry if name in ("addc", "subc", "madc") else 0
    if name == "product":
        return (a | b << 32) * (more[0] | more[1] << 32), carry
    if operation == "shl":
        return a << b & _MASK, carry
    if operation == "shr":
        return (a - (a >> 31 << 32) >> b) & _MASK, carry
    if operation == "shf.l.wrap":
        return (b << 32 | a) >> 32 - more[0] & _MASK, carry
    if name.startswith("add"):
        value = a + b + carried
    elif name.startswith("sub"):
        value = a - b - carried
    else:
        part = a * b & _MASK if rest.startswith("lo") else a * b >> 32
        value = part + more[0] + carried
    return value & _MASK, int(not 0 <= value <= _MASK) if operation.endswith(".cc") else carry


def _enter(program: Program, x: tuple[Word, Word], power: tuple[Word, Word]) -> Number:
    """x * power, above -2^32 and below 2^65: low - top + (2^32 - 1) mid."""
    low, high, mid, top = program.emit("product", *x, *power, results=4)
    low, high, borrow = program.chain("sub", (low, high, 0), (top, 0, 0))
    low, high, carry = program.multiply_add(mid, _EPSILON, (low, high))
    return low, high, program.emit("add", borrow, carry)


def _rotate(program: Program, v: Number, shift: int) -> Number:
    """v 2^shift, 0 <= shift < 96, for |v| < 2^66 (2^68 if shift is a multiple of 8); below 2^65."""
    if shift == 0:
        return v
    words, part = shift // 32, shift % 32
    low = program.emit("shl", v[0], part) if part else v[0]
    mid = program.emit("shf.l.wrap", v[0], v[1], part) if part else v[1]
    top = program.emit("shf.l.wrap", v[1], v[2], part) if part else v[2]
    sign = program.emit("shr", top, 31)
    if words == 0:  # top 2^64 = top 2^32 - top
        a = program.chain("sub", (low, mid, 0), (top, sign, sign))
        return a[0], *program.chain("add", a[1:], (top, sign))
    if words == 1:  # low 2^32 + mid 2^64 + top 2^96
        a = program.multiply_add(mid, _EPSILON, (0, low))
        return program.chain("sub", a, (top, sign, sign))
    a = program.multiply_add(low, _EPSILON, (0, 0))  # low 2^64 + mid 2^96 + top 2^128
    return program.chain("sub", (a[0], a[1], 0), (mid, top, sign))


def _leave(program: Program, v: Number) -> tuple[Word, Word]:
    """A representative below 2^64 of 0 <= v < 2^72."""
    low, high, carry = program.multiply_add(v[2], _EPSILON, (v[0], v[1]))
    return program.multiply_add(carry, _EPSILON, (low, high))[:2]


def _transform(program: Program, values: list[Number]) -> list[Number]:
    """Decimation in frequency; bit-reversed order out."""
    if len(values) == 1:
        return values
    half = len(values) // 2
    step = _exponent(len(values))
    sums, rotated = [], []
    for j, (a, b) in enumerate(zip(values[:half], values[half:], strict=True)):
        exponent = step * j % 192
        sums.append(program.chain("add", a, b))
        difference = program.chain("sub", *((b, a) if exponent >= 96 else (a, b)))
        rotated.append(_rotate(program, difference, exponent % 96))
    return _transform(program, sums) + _transform(program, rotated)


@cache
def _exponent(order: int) -> int:
    """e such that 2^e is the field's root of unity of this order."""
    root = GOLDILOCKS.root_of_unity(order.bit_length() - 1)
    return next(e for e in range(192) if pow(2, e, MODULUS) == root)


@cache
def program(log_size: int) -> Program:
    """Inputs x_0 ... x_(R-1), c, c^2, ..., c^(R-1); outputs y."""
    result, size = Program(), 1 << log_size
    values = [result.input() for _ in range(size)]
    powers = [result.input() for _ in range(size - 1)]
    offset = [_OFFSET >> 32 * k & _MASK for k in range(3)]
    first = result.chain("add", (*values[0], 0), offset)
    others = [_enter(result, x, c) for x, c in zip(values[1:], powers, strict=True)]
    result.outputs = [_leave(result, y) for y in _transform(result, [first, *others])]
    return result


@cache
def coset_dft(log_size: int) -> Any:
    """CUDA function (x, powers) -> y of tuples of 64-bit words (any representatives)."""
    if not 1 <= log_size <= MAX_LOG_SIZE:
        raise ValueError(f"transforms have 2 to {1 << MAX_LOG_SIZE} values, not 2^{log_size}")
    size, word = 1 << log_size, ir.IntType(64)
    struct = ir.LiteralStructType([word] * size)
    constraints = ",".join(["=&l"] * size + ["l"] * (2 * size - 1))
    text = program(log_size).ptx()

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        block = ir.InlineAsm(ir.FunctionType(struct, [word] * (2 * size - 1)), text, constraints)
        operands = [
            builder.extract_value(argument, k)
            for argument, kind in zip(args, signature.args, strict=True)
            for k in range(len(kind))
        ]
        result = builder.call(block, operands)
        words = [builder.extract_value(result, k) for k in range(size)]
        return context.make_tuple(builder, signature.return_type, words)

    def dft(typing_context: Any, x: Any, powers: Any) -> Any:
        if len(x) != size or len(powers) != size - 1:
            return None
        return types.UniTuple(types.uint64, size)(x, powers), codegen

    made = intrinsic(dft)
    made._set_uuid(f"zkbench.goldilocks.coset_dft.{log_size}")
    return made
