"""Provers of language models that are honest but for one stated lie: what an operator puts out.

Each lie is told in two ways. The remainder that makes its equation true is out of range; or the
prover looks up one that is in range, and the equation does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from bold_provers import Relay, Unflipped, committing, miscounted
from language_proof import (
    CONFIGS,
    NOT_IN_TABLE,
    NOT_THE_TABLES,
    SMALL_INVERSE,
    SMALL_ROOT,
    WRONG_ENTRIES,
    WRONG_INDEX,
    WRONG_LAYER,
    WRONG_MEAN,
    WRONG_OPENING,
    WRONG_PRODUCT,
    WRONG_ROOTS,
    WRONG_ROTATION,
    WRONG_SCALING,
    WRONG_SQUARES,
    BoldProgram,
    Case,
    case_of,
    committed,
    forge,
    rejected,
    with_tensors,
    witness,
)
from lying_forward import bump, replaced

from zkbench.protocols.gkr import _root
from zkbench.protocols.language_tensors import norm_tensors
from zkbench.protocols.language_weights import model_arrays
from zkbench.protocols.operators import Attention
from zkbench.protocols.program import Program
from zkbench.protocols.rmsnorm import LIMBS
from zkbench.protocols.tlookup import add_fractions
from zkbench.protocols.zkattn import ZkAttn
from zkbench.quant.formats import QuantisationError

BY_MATRIX = {
    "llama": ("q_raw", "k_raw", "v", "o", "g", "u", "m"),
    "opt": tuple("qkvofm"),
    "norms last": tuple("qom"),
}


@pytest.mark.parametrize("family", BY_MATRIX)
def test_the_prover_that_tells_no_lie_is_accepted(family: str) -> None:
    forge(case_of(family)).verify()


# Outputs off by one: of all operators that rescale.

OFF_BY_ONE = [
    *((family, name, WRONG_PRODUCT) for family, names in BY_MATRIX.items() for name in names),
    ("llama", "q", WRONG_ROTATION),
    ("llama", "k", WRONG_ROTATION),
    ("llama", "h", WRONG_ENTRIES),
    ("llama", "a", WRONG_MEAN),
    ("opt", "a", WRONG_MEAN),
    ("llama", "y1", WRONG_SCALING),
    ("opt", "y2", WRONG_SCALING),
    ("norms last", "y2", WRONG_SCALING),
    ("norms last", "y3", WRONG_SCALING),
]


def remainders_of(name: str, family: str = "llama") -> str:
    """The remainders of what is called ``name``."""
    if name == "a":
        return "attention.output_remainders"
    norms = norm_tensors(CONFIGS[family])
    made_by = {output: norm for norm, (_, output) in norms.items()}
    return f"{made_by.get(name, name)}.remainders"


@pytest.mark.parametrize(("family", "name", "reason"), OFF_BY_ONE)
def test_an_output_rounded_the_wrong_way(family: str, name: str, reason: str) -> None:
    in_range = [remainders_of(name, family)]
    rejected(reason, case_of(family), bump(name), in_range=in_range)


@pytest.mark.parametrize("name", ["q_raw", "q", "a", "g", "h", "m", "y2"])
def test_an_output_rounded_the_wrong_way_and_its_remainder(name: str) -> None:
    rejected(NOT_IN_TABLE, case_of("llama"), bump(name), outside={remainders_of(name)})


@pytest.mark.parametrize(("name", "reason"), [("logits", WRONG_PRODUCT), ("yf", WRONG_SCALING)])
def test_an_output_behind_the_last_layer(name: str, reason: str) -> None:
    """An entry that is not chosen is made smaller, so that nothing else is wrong."""
    lie = bump(name, -1, -1)
    rejected(NOT_IN_TABLE, case_of("llama"), lie)
    in_range = [remainders_of(name)]
    rejected(reason, case_of("llama"), lie, in_range=in_range)


# Activations.


@pytest.mark.parametrize(("family", "name"), [("llama", "activated"), ("opt", "h")])
def test_an_activation_that_is_not_the_tables(family: str, name: str) -> None:
    rejected(NOT_THE_TABLES, case_of(family), bump(name))


def overflowing(name: str) -> Case:
    """A committed model whose ``name`` of layer 1 is about 40 000 in its first entry, everywhere."""
    case = case_of("opt")
    bias = case.model.tensor(f"layers.1.{name}.bias").copy()
    bias[0] = 40_000 << case.model.formats.shifts[name]
    model = with_tensors(case.model, {f"layers.1.{name}.bias": bias})
    with pytest.raises(QuantisationError):
        model.forward(case.tokens, case.inference.positions, case.inference.block)
    return replace(case, model=model, data=committed(case.inference, model_arrays(model)))


def wrapped(values: np.ndarray) -> np.ndarray:
    return (values + (1 << 15)) % (1 << 16) - (1 << 15)


@pytest.mark.parametrize("name", ["v", "f", "m"])
def test_an_activation_wrapped_around(name: str) -> None:
    case, lie = overflowing(name), replaced(name, 1, wrapped)
    rejected(NOT_IN_TABLE, case, lie)
    rejected(WRONG_PRODUCT, case, lie, in_range=[f"{name}.remainders"])


@pytest.mark.parametrize(("name", "outside"), [(name, {name}) for name in "qkom"])
def test_an_activation_beyond_16_bits(name: str, outside: set[str]) -> None:
    """All equations hold."""
    rejected(NOT_IN_TABLE, overflowing(name), outside=outside)


def test_an_index_beyond_16_bits() -> None:
    """What is looked up as an index has no other check of its range."""
    rejected(WRONG_INDEX, overflowing("f"))


# Norms.

IN_RANGE = ["norm1.remainders", "norm1"]


@pytest.mark.parametrize("amount", [1, -1])
def test_an_inverse_off_by_one(amount: int) -> None:
    """The output follows from the wrong inverse."""
    lie = bump("r1", 1, amount)
    rejected(NOT_IN_TABLE, case_of("llama"), lie)
    rejected(SMALL_INVERSE, case_of("llama"), lie, in_range=IN_RANGE)


@pytest.mark.parametrize("amount", [1, -1])
def test_a_root_off_by_one(amount: int) -> None:
    """Inverse and output follow from the wrong root."""
    lie = bump("sq1", 1, amount)
    rejected(NOT_IN_TABLE, case_of("llama"), lie)
    rejected(SMALL_ROOT, case_of("llama"), lie, in_range=IN_RANGE)


def with_limbs(case: Case, names: str) -> Callable[[dict[str, Any]], Mapping[str, Any]]:
    """These numbers' limbs are what they would be without a lie. (In the last layer: all rows.)"""
    honest = witness(case)["norm1.limbs"].reshape(len(LIMBS), -1)

    def edit(tensors: dict[str, Any]) -> Mapping[str, Any]:
        limbs = tensors["norm1.limbs"].reshape(len(LIMBS), -1).astype(np.int64)
        for k, limb in enumerate(LIMBS):
            if limb[0] in names and limb[1] == "_":
                limbs[k] = honest[k]
        return {"norm1.limbs": limbs.astype(np.uint16)}

    return edit


@pytest.mark.parametrize("amount", [1, -1])
def test_an_inverse_off_by_one_with_the_remainder_of_the_right_one(amount: int) -> None:
    case = case_of("llama")
    edit = with_limbs(case, "mf")
    rejected(WRONG_ROOTS, case, bump("r1", 2, amount), edit=edit, in_range=IN_RANGE)


def test_a_root_off_by_one_with_the_remainder_of_the_right_one() -> None:
    """d and e belong to the right root: d + e = 2 sq does not hold."""
    case = case_of("llama")
    rejected(SMALL_ROOT, case, bump("sq1", 2), edit=with_limbs(case, "de"), in_range=IN_RANGE)


def test_a_sum_of_squares_of_nothing() -> None:
    """Root, inverse and output follow from the sum."""
    rejected(WRONG_SQUARES, case_of("llama"), bump("ss1", 1, 12345), in_range=IN_RANGE)


# Lookups.


@pytest.mark.parametrize("which", [0, -1])
def test_a_multiplicity_off_by_one(which: int) -> None:
    rejected(NOT_IN_TABLE, case_of("llama"), program=miscounted(which).of)


class ForgedRoot:
    """Sends another root of the largest table's tree: with it the fractions of its lookup add up."""

    def __init__(self, program: Program) -> None:
        self.sizes = [len(lookup.shapes) + 1 for lookup in program.checks.lookups]
        self.tops: list[list[Any]] = []

    def __call__(self, top: list[Any]) -> None:
        self.tops.append(top)
        if len(self.tops) == sum(self.sizes):
            lookers = self.tops[-self.sizes[-1] : -1]
            total = add_fractions([_root(one) for one in lookers])
            _, p1, q0, q1 = top
            top[0] = (-1 * total.p * q0 * q1 / total.q - p1 * q0) / q1


def test_a_root_with_which_the_fractions_add_up() -> None:
    """An output is beyond 16 bits; the trees below the forged root are true."""
    case = overflowing("o")
    forged = ForgedRoot(case.inference.program)
    wrap: Any = lambda transcript: Relay(transcript, "top", forged)  # noqa: E731
    rejected(WRONG_LAYER, case, outside={"o"}, wrap=wrap)


@pytest.mark.parametrize("family", BY_MATRIX)
def test_another_tensor_is_committed_than_worked_with(family: str) -> None:
    """Each of the witness, of the multiplicities, and of the pushed vectors' columns."""
    program = case_of(family).inference.program
    committed_by = {"witness": program.witness, "counts": program.checks.counts}
    committed_by |= {one.name: one.pushed_shapes(program.field) for one in program.lookups}
    for label, names in committed_by.items():
        for name in names:
            rejected(WRONG_OPENING, case_of(family), program=committing(label, name).of)


def test_unsigned_integers_committed_as_signed_ones() -> None:
    rejected(WRONG_OPENING, case_of("llama"), program=Unflipped.of)


# EXP.


class OtherWeights(ZkAttn):
    """P of other indices than those that are committed."""

    def tiles(self, target: Any, indices: Any) -> Any:
        other = target.to_host(indices).copy()
        place = int(np.flatnonzero((other > 0) & (other < 100))[0])
        other[place] -= 1
        return super().tiles(target, target.to_device(other))


def with_other_weights(honest: Program) -> BoldProgram:
    operators = [
        Attention(OtherWeights(**vars_of(one.protocol)), one.names)
        if isinstance(one, Attention)
        else one
        for one in honest.operators
    ]
    return BoldProgram.of(honest, operators=tuple(operators))


def vars_of(protocol: Any) -> dict[str, Any]:
    return {one.name: getattr(protocol, one.name) for one in fields(protocol)}


def test_weights_that_are_not_the_tables() -> None:
    """Row sums and outputs are those of the right weights, the claims on P are of others."""
    assert forge(case_of("llama"), program=with_other_weights).reason() == WRONG_MEAN
