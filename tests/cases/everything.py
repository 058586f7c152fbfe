"""A case of every protocol: small ones, random ones of any shape, and ones that fill a GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from random import Random

from cases.attention import (
    TINY,
    MaskCase,
    ScoresCase,
    ValuesCase,
    ZkAttnCase,
)
from cases.attention import (
    random_shape as random_attention,
)
from cases.case import Case, Shape
from cases.digit_attention import (
    FOUR_WEIGHTS,
    ONE_WEIGHT,
    TWO_WEIGHTS,
    DigitAttentionCase,
    ProductsCase,
)
from cases.entrywise import EntrywiseCase
from cases.lookups import GkrCase, LogupStarCase, TLookupCase
from cases.norms import RMSNormCase, random_norm
from cases.products import HadamardCase, LinearCase, SumcheckCase
from cases.relu_bits import ReluBitsCase
from cases.rotary import RotaryCase, random_rotary_shape
from cases.rounding import ArgMaxCase, RescaleCase
from zkbench.protocols.causal_tiles import AttentionShape
from zkbench.protocols.tables import Exp, FunctionTable, Relu, Table
from zkbench.protocols.tlookup import Lookup

# Odd, powers of two, ones, several axes.
SHAPES: list[Shape] = [
    (1,),
    (1, 1),
    (2,),
    (5,),
    (8,),
    (3, 5),
    (1, 7, 1),
    (6, 1, 3),
    (2, 3, 4),
    (4, 8),
]


def random_shape(rng: Random, max_entries: int = 60) -> Shape:
    while True:
        shape = tuple(rng.choice([1, 2, 3, 4, 5, 7, 8, 9]) for _ in range(rng.randint(1, 3)))
        if prod(shape) <= max_entries:
            return shape


def random_shapes(rng: Random) -> tuple[Shape, ...]:
    return tuple(random_shape(rng, 30) for _ in range(rng.randint(1, 4)))


def random_lookup(rng: Random) -> Lookup:
    shapes = random_shapes(rng)
    offsets = tuple(rng.randrange(-9, 9) for _ in shapes) if rng.randrange(2) else ()
    return Lookup(1 << rng.randrange(5), shapes, offsets)


def random_table(rng: Random) -> Table:
    if rng.randrange(2):
        return Relu(rng.randint(1, 5))
    size = 1 << rng.randrange(5)
    entries = tuple(rng.randrange(-(2**16), 2**16) for _ in range(size))
    return FunctionTable("random", entries, rng.randrange(-3, 3))


def random_sumcheck(rng: Random) -> Case:
    shape = random_shape(rng)
    summed = tuple(bool(rng.randrange(2)) for _ in shape)
    return SumcheckCase.random(rng, shape, rng.choice([2, 3]), summed)


def random_linear(rng: Random, has_bias: bool) -> Case:
    sizes = tuple(rng.choice([1, 2, 3, 5, 8]) for _ in range(4))
    return LinearCase.random(rng, sizes, has_bias)


RANDOM: dict[str, Callable[[Random], Case]] = {
    "sumcheck": random_sumcheck,
    "hadamard": lambda rng: HadamardCase.random(rng, random_shape(rng), rng.choice([2, 3])),
    "entrywise": lambda rng: EntrywiseCase.of(rng, random_shape(rng)),
    "matmul": lambda rng: random_linear(rng, has_bias=False),
    "linear": lambda rng: random_linear(rng, has_bias=True),
    "gkr": lambda rng: GkrCase.random(rng, random_shapes(rng), rng.randrange(-9, 9)),
    "tlookup": lambda rng: TLookupCase.random(
        rng, tuple(random_lookup(rng) for _ in range(rng.randint(1, 3)))
    ),
    "logup_star": lambda rng: LogupStarCase.random(rng, random_table(rng), random_shapes(rng)),
    "rescale": lambda rng: RescaleCase.random(
        rng, random_shape(rng), rng.randint(1, 5), rng.randint(1, 5)
    ),
    "argmax": lambda rng: ArgMaxCase.random(rng, rng.randint(1, 6), rng.randint(1, 9)),
    "rotary": lambda rng: RotaryCase.with_random_tables(rng, random_rotary_shape(rng)),
    "attention_scores": lambda rng: ScoresCase.random(rng, random_attention(rng)),
    "attention_values": lambda rng: ValuesCase.random(rng, random_attention(rng)),
    "causal_mask": lambda rng: MaskCase.random(rng, random_attention(rng)),
    "zkattn": lambda rng: ZkAttnCase.random(rng, random_attention(rng)),
    "rmsnorm": random_norm,
    "claims_on_products": lambda rng: ProductsCase.random(
        rng, random_shape(rng), rng.randint(1, 6)
    ),
    "digit_attention": lambda rng: DigitAttentionCase.random(
        rng, random_attention(rng), rng.choice([ONE_WEIGHT, TWO_WEIGHTS, FOUR_WEIGHTS])
    ),
    "zkrelu_bits": lambda rng: ReluBitsCase.random(
        rng, random_shape(rng), rng.choice([1, 2, 7, 16, 24])
    ),
}

SMALL: dict[str, Case] = {
    "sumcheck2": SumcheckCase.random(Random(1), (3, 2), 2),
    "sumcheck3": SumcheckCase.random(Random(2), (2, 3), 3, (False, True)),
    "hadamard": HadamardCase.random(Random(3), (5,), 3),
    "entrywise": EntrywiseCase.of(Random(16), (2, 9)),
    "entrywise_short": EntrywiseCase.of(Random(17), (2, 3)),
    "matmul": LinearCase.random(Random(4), (2, 2, 3, 2), has_bias=False),
    "linear": LinearCase.random(Random(5), (1, 2, 3, 3)),
    "gkr": GkrCase.random(Random(6), ((3, 2), (1,), (5,)), 3),
    "tlookup": TLookupCase.random(
        Random(7), (Lookup(8, ((3, 2), (1,)), (0, 4)), Lookup(2, ((3,),)))
    ),
    "tlookup_in_batches": replace(
        TLookupCase.random(
            Random(19), (Lookup(8, ((3, 2), (1,)), (0, 4)), Lookup(2, ((3,), (2, 2))))
        ),
        most_lookers=4,
    ),
    "logup_star": LogupStarCase.random(Random(8), Relu(3), ((3, 2), (1, 1))),
    "rescale": RescaleCase.random(Random(9), (1, 3)),
    "argmax": ArgMaxCase.random(Random(10), 2, 3),
    "rotary": RotaryCase.random(Random(15), (2, 2, 2, 2, 2)),
    "attention_scores": ScoresCase.random(Random(11), TINY),
    "attention_values": ValuesCase.random(Random(12), TINY),
    "causal_mask": MaskCase.random(Random(13), TINY),
    "zkattn": ZkAttnCase.random(Random(14), TINY, value_bits=3, log_tolerance=2),
    "rmsnorm": RMSNormCase.random(Random(15), layers=2, rows=1, width=17, value_bits=2),
    "claims_on_products": ProductsCase.random(Random(15), (3, 2), 4),
    "digit_attention": DigitAttentionCase.random(Random(16), TINY),
    "two_digits": DigitAttentionCase.random(Random(17), TINY, TWO_WEIGHTS),
    "zkrelu_bits": ReluBitsCase.random(Random(18), (3, 2)),
}

# For the simulator: few, and one with more items than its threads.
SIMULATED: dict[str, Case] = {
    **{name: SMALL[name] for name in ("sumcheck3", "hadamard", "matmul", "rescale", "logup_star")},
    **{name: SMALL[name] for name in ("attention_scores", "attention_values", "causal_mask")},
    **{name: SMALL[name] for name in ("rotary", "entrywise", "entrywise_short")},
    "rmsnorm": SMALL["rmsnorm"],
    "zkrelu_bits": SMALL["zkrelu_bits"],
    "sumcheck_long": SumcheckCase.random(Random(11), (3, 13), 2),
}

WIDE = AttentionShape(layers=3, blocks=5, log_block=4, heads=6, kv_heads=2, head_dim=10)

# Above the size at which a sumcheck leaves the GPU, and odd.
LARGE: dict[str, Callable[[], Case]] = {
    "sumcheck2": lambda: SumcheckCase.random(Random(1), (83, 101), 2),
    "sumcheck3": lambda: SumcheckCase.random(Random(2), (8191,), 3),
    "sumcheck_plain": lambda: SumcheckCase.random(Random(3), (9000,), 2, (True,)),
    "hadamard": lambda: HadamardCase.random(Random(4), (3, 41, 71), 3),
    "entrywise": lambda: EntrywiseCase.of(Random(16), (3, 41, 71)),
    "linear": lambda: LinearCase.random(Random(5), (3, 5, 1500, 7)),
    "gkr": lambda: GkrCase.random(Random(6), ((3, 3001), (5000,)), 3),
    "tlookup": lambda: TLookupCase.random(
        Random(7), (Lookup(1 << 14, ((77, 131), (1,)), (0, 1 << 13)), Lookup(2, ((9001,),)))
    ),
    "logup_star": lambda: LogupStarCase.random(Random(8), Relu(13), ((2, 3, 1501), (5000,))),
    "rescale": lambda: RescaleCase.random(Random(9), (3, 3001), 10, 13),
    "argmax": lambda: ArgMaxCase.random(Random(10), 1001, 10, 13),
    "rotary": lambda: RotaryCase.random(Random(15), (3, 5, 16, 6, 10)),
    "attention_scores": lambda: ScoresCase.random(Random(11), WIDE),
    "attention_values": lambda: ValuesCase.random(Random(12), WIDE),
    "causal_mask": lambda: MaskCase.random(Random(13), WIDE),
    "zkattn": lambda: ZkAttnCase.random(
        Random(14), WIDE, table=Exp(5, 14), log_tolerance=10, value_bits=12
    ),
    "rmsnorm": lambda: RMSNormCase.random(
        Random(15), layers=3, rows=(5, 16), width=77, epsilon=1000, value_bits=16
    ),
    "zkrelu_bits": lambda: ReluBitsCase.random(Random(18), (3, 2003), 2),
}
