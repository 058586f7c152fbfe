"""What lies about RMSNorm start from: an honest case, and all that follows from a row's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from math import prod
from random import Random

from cases.case import FIELD
from cases.norms import RMSNormCase
from zkbench.protocols.norm_limbs import LIMBS

NOT_IN_TABLE = "a looked-up value is not in its table"
WRONG_OUTPUT = "a norm's output is not its input times r"
ROOT_TOO_SMALL, INVERSE_TOO_SMALL = "a norm's root is too small", "a norm's inverse is too small"
WRONG_ROOT = "a norm's root or its inverse is wrong"
WRONG_SUM = "a norm's sum of squares is wrong"
INPUTS = "the claim on inputs is false"
BITS, WIDTH, EPSILON = 4, 5, 9
NUMBERS = ("sq", "r", "d", "e", "m", "f")
Rows = dict[str, list[int]]  # ss, sq, r, d, e, m, f of every row


@cache
def honest() -> RMSNormCase:
    """Rows of similar norms, and one of zeros."""
    case = RMSNormCase(layers=2, rows=(2, 3), width=WIDTH, epsilon=EPSILON, value_bits=BITS)
    rng = Random(8)
    return case.forward([rng.randint(-7, 7) for _ in range(11 * WIDTH)] + [0] * WIDTH)


def num_rows(case: RMSNormCase) -> int:
    return prod(case.protocol.row_shape)


def rows_of(case: RMSNormCase) -> Rows:
    """The numbers that are committed, by the definition of limbs."""
    n, limbs = num_rows(case), case.tensors["limbs"]
    parts = {name: limbs[k * n : (k + 1) * n] for k, name in enumerate(LIMBS)}
    parts |= {name: case.tensors[name] for name in ("sq_high", "r_high")}
    numbers = {
        name: [
            low + (high << BITS)
            for low, high in zip(parts[f"{name}_low"], parts[f"{name}_high"], strict=True)
        ]
        for name in NUMBERS
    }
    return {"ss": list(case.tensors["sums"]), **numbers}


def with_tensors(case: RMSNormCase, **tensors: Sequence[int]) -> RMSNormCase:
    return replace(case, tensors={**case.tensors, **{k: tuple(v) for k, v in tensors.items()}})


def with_limbs(case: RMSNormCase, name: str, row: int, low: int, high: int) -> RMSNormCase:
    """One number of one row has these limbs, in range or not."""
    n, tensors = num_rows(case), dict(case.tensors)
    for limb, value in ((f"{name}_low", low), (f"{name}_high", high)):
        tensor, place = ("limbs", LIMBS.index(limb) * n + row) if limb in LIMBS else (limb, row)
        old = tensors[tensor]
        tensors[tensor] = (*old[:place], value, *old[place + 1 :])
    return replace(case, tensors=tensors)


def with_rows(case: RMSNormCase, rows: Rows) -> RMSNormCase:
    """These numbers, with limbs as they come: a negative number's high limb is negative."""
    for name in NUMBERS:
        for row, value in enumerate(rows[name]):
            case = with_limbs(case, name, row, value % (1 << BITS), value >> BITS)
    return with_tensors(case, sums=rows["ss"])


def with_row(case: RMSNormCase, row: int, **numbers: int) -> RMSNormCase:
    rows = rows_of(case)
    for name, value in numbers.items():
        rows[name][row] = value
    return with_rows(case, rows)


def rescaled(case: RMSNormCase) -> RMSNormCase:
    """Outputs and remainders that follow from the inputs and r."""
    r = rows_of(case)["r"]
    x = case.tensors["inputs"]
    shifted = [v * r[k // WIDTH] + (1 << (BITS - 1)) for k, v in enumerate(x)]
    return with_tensors(
        case,
        outputs=[a >> BITS for a in shifted],
        remainders=[a % (1 << BITS) for a in shifted],
    )


def from_root(case: RMSNormCase, row: int, sq: int, ss: int | None = None) -> RMSNormCase:
    """All that follows from this root of a row, but for ranges."""
    ss = rows_of(case)["ss"][row] if ss is None else ss
    d, r = ss - sq * sq, (1 << (2 * BITS - 1)) // sq
    m = (1 << (2 * BITS - 1)) - r * sq
    numbers = {"ss": ss, "sq": sq, "r": r, "d": d, "e": 2 * sq - d, "m": m, "f": sq - 1 - m}
    return rescaled(with_row(case, row, **numbers))


def from_inverse(case: RMSNormCase, row: int, r: int) -> RMSNormCase:
    """All that follows from this inverse of a row, but for ranges."""
    sq = rows_of(case)["sq"][row]
    m = (1 << (2 * BITS - 1)) - r * sq
    return rescaled(with_row(case, row, r=r, m=m, f=sq - 1 - m))


def middling(case: RMSNormCase) -> int:
    """A row, not of zeros, whose outputs stay in range when its inverse is moved by one."""
    rows = rows_of(case)
    return next(
        k
        for k in range(num_rows(case))
        if rows["sq"][k] > 4
        and all(
            -8 <= y < 8
            for by in (-1, 1)
            for y in from_inverse(case, k, rows["r"][k] + by).tensors["outputs"]
        )
    )


def centred(residue: int) -> int:
    """The representative that int64 holds."""
    return residue if residue < 1 << 63 else residue - FIELD.modulus
