"""The transforms in registers, instruction by instruction, against their definition in integers.

Not tested here: that ptxas and the GPU do what the PTX says (tests/gpu), and speed.
"""

from __future__ import annotations

import random
import re

import pytest

from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.fields.goldilocks_dft import Program, coset_dft, program
from zkbench.kernels.ntt import bit_reverse

P = FIELD.modulus
# Every way in which a product enters: no middle word, only a middle word, a large top word.
EDGES = [0, 1, P - 1, P, P + 1, 2**32 - 1, 2**32, 2**32 + 1, 2**63, 2**64 - 2**32, 2**64 - 1]
LOG_SIZES = pytest.mark.parametrize("log_size", [1, 2, 3, 4])
CEILINGS = {1: 30, 2: 86, 3: 230, 4: 580}  # instructions; a product counts as one


def definition(log_size: int, x: list[int], powers: list[int]) -> list[int]:
    root, size = FIELD.root_of_unity(log_size), 1 << log_size
    scaled = [value * power for value, power in zip(x, [1, *powers], strict=True)]
    frequencies = [bit_reverse(q, log_size) for q in range(size)]
    return [sum(v * pow(root, e * q, P) for e, v in enumerate(scaled)) % P for q in frequencies]


def run(log_size: int, draw) -> tuple[list[int], list[int]]:
    size = 1 << log_size
    x, powers = [draw() for _ in range(size)], [draw() for _ in range(size - 1)]
    return program(log_size).run(x + powers), definition(log_size, x, powers)


@LOG_SIZES
def test_random_values_vs_python_int(log_size):
    rng = random.Random(log_size)
    for _ in range(100):
        got, expected = run(log_size, lambda: rng.getrandbits(64))
        assert [y % P for y in got] == expected


@LOG_SIZES
def test_every_representative_vs_python_int(log_size):
    rng = random.Random(log_size)
    for _ in range(400):
        got, expected = run(log_size, lambda: rng.choice(EDGES))
        assert [y % P for y in got] == expected
        assert all(0 <= y < 2**64 for y in got)


@pytest.mark.parametrize("pair", [(2**64 - 1, 2**32), (2**64 - 2**32, 2**64 - 2**32), (0, 0)])
def test_extreme_sums_vs_python_int(pair):
    """All products at the top or the bottom of their range, with every sign that a sum may take."""
    for signs in range(0, 1 << 15, 37):
        powers = [pair[1] if signs >> e & 1 else 2**64 - 1 - pair[1] for e in range(15)]
        x = [pair[0]] * 16
        assert [y % P for y in program(4).run(x + powers)] == definition(4, x, powers)


def test_an_interpreted_chain_carries_and_borrows():
    """The interpreter, without which the tests above would mean nothing."""
    adder, subtractor = Program(), Program()
    for machine, name in ((adder, "add"), (subtractor, "sub")):
        a, b = machine.input(), machine.input()
        machine.outputs = [machine.chain(name, (*a, 0), (*b, 0))[k : k + 2] for k in (0, 1)]
    for a in EDGES:
        for b in EDGES:
            total, difference = (a + b) % 2**96, (a - b) % 2**96
            assert adder.run([a, b]) == [total % 2**64, total >> 32]
            assert subtractor.run([a, b]) == [difference % 2**64, difference >> 32]


@LOG_SIZES
def test_ptx_defines_every_register_before_use(log_size):
    machine, size = program(log_size), 1 << log_size
    defined = {register for pair in machine.inputs for register in pair}
    for _, results, sources in machine.code:
        assert all(isinstance(word, int) or word in defined for word in sources)
        assert not defined & set(results)
        defined |= set(results)
    operands = {int(number) for number in re.findall(r"\$(\d+)", machine.ptx())}
    assert operands == set(range(size + size + size - 1))


@LOG_SIZES
def test_transforms_stay_short(log_size):
    assert len(program(log_size).code) <= CEILINGS[log_size]


@pytest.mark.parametrize("log_size", [0, 5])
def test_other_sizes_are_refused(log_size):
    with pytest.raises(ValueError, match="2 to 16 values"):
        coset_dft(log_size)
