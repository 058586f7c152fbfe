"""Proofs are the same, byte for byte, however many levels of the trees are stored, and when.

Not tested here: sizes at which a GPU's memory asks for it.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import pytest
from cases.case import FIELD, Case, prove, reason_of_rejection, verify
from cases.everything import random_lookup, random_shapes
from cases.lookups import GkrCase, LogupStarCase, TLookupCase

from zkbench.kernels.launch import CpuTarget, Target
from zkbench.protocols import gkr, logup_star, statements, tlookup
from zkbench.protocols.fraction_layers import RecomputedLayer
from zkbench.protocols.gkr import (
    Tree,
    depth,
    level_shapes,
    merged_shape,
    most_unstored,
    stored_bytes,
)
from zkbench.protocols.tables import Relu
from zkbench.protocols.tlookup import Lookup, TLookup, multiplicities
from zkbench.transcript import ProverTranscript

# Rows of odd lengths, several axes, trees of different depths in a batch, tables deeper than lookers.
CASES: dict[str, Case] = {
    "gkr": GkrCase.random(Random(1), ((61,), (3, 33), (2, 3, 20), (5, 7), (1,), (4, 8)), 3),
    "tlookup": TLookupCase.random(
        Random(2), (Lookup(64, ((3, 37), (50,)), (0, 9)), Lookup(4, ((2, 5, 12), (1, 3))))
    ),
    "logup_star": LogupStarCase.random(Random(3), Relu(4), ((3, 37), (2, 2, 24), (5, 1))),
    "logup_star_of_many": LogupStarCase.random(Random(4), Relu(3), ((4, 4, 8), (1, 6, 4))),
}
EACH_CASE = pytest.mark.parametrize("name", CASES)


@pytest.fixture
def all_rounds_on_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tail on the CPU: so small tables are folded by the target's kernels."""
    monkeypatch.setattr(statements, "_TAIL_VARIABLES", -1)


def fix_levels(monkeypatch: pytest.MonkeyPatch, unstored: int) -> None:
    def chosen(target: Any, field: Any, shapes: Any) -> list[int]:
        return [min(unstored, most_unstored(shape)) for shape in shapes]

    for module in (gkr, tlookup, logup_star):
        monkeypatch.setattr(module, "unstored_levels", chosen)


def fix_rounds(monkeypatch: pytest.MonkeyPatch, rounds: int) -> list[int]:
    """Store after so many rounds, or as many as there may be; returns when that was."""
    original, found = RecomputedLayer._when_to_store, []

    def when(self: RecomputedLayer, room: int) -> int:
        found.append(min(rounds, original(self, 0)))
        return found[-1]

    monkeypatch.setattr(RecomputedLayer, "_when_to_store", when)
    return found


def stored_proof(case: Case) -> bytes:
    """As it is with all levels stored."""
    with pytest.MonkeyPatch.context() as context:
        fix_levels(context, 0)
        return prove(case, CpuTarget(1))[0]


@EACH_CASE
@pytest.mark.parametrize("unstored", range(1, 5))
@pytest.mark.parametrize("rounds", [0, 1, 2, 3])
def test_proofs_do_not_depend_on_what_is_stored(
    name: str,
    unstored: int,
    rounds: int,
    monkeypatch: pytest.MonkeyPatch,
    all_rounds_on_the_target: None,
) -> None:
    expected = stored_proof(CASES[name])
    fix_levels(monkeypatch, unstored)
    when = fix_rounds(monkeypatch, rounds)
    data, claims = prove(CASES[name], CpuTarget(1))
    assert data == expected
    assert verify(CASES[name], data) == claims
    assert max(when) == rounds, "the longest rows have room for three rounds"


@EACH_CASE
@pytest.mark.parametrize("workspace", [0, 3000, 10_000, 40_000])
def test_proofs_do_not_depend_on_the_workspace(name: str, workspace: int) -> None:
    target = CpuTarget(1)
    target.workspace_bytes = workspace
    assert prove(CASES[name], target)[0] == stored_proof(CASES[name])


@pytest.mark.parametrize("seed", range(10))
def test_random_batches(
    seed: int, monkeypatch: pytest.MonkeyPatch, all_rounds_on_the_target: None
) -> None:
    rng = Random(seed)
    case = GkrCase.random(rng, random_shapes(rng)) if seed % 2 else None
    case = case or TLookupCase.random(rng, tuple(random_lookup(rng) for _ in range(2)))
    expected = stored_proof(case)
    fix_levels(monkeypatch, rng.randint(1, 6))
    fix_rounds(monkeypatch, rng.randint(0, 4))
    assert prove(case, CpuTarget(1))[0] == expected


@dataclass(frozen=True)
class WrongStoredLevel(GkrCase):
    """The lowest stored level is not what the leaves add up to; all above it is summed honestly."""

    def tree(self, target: Target, i: int, alpha: Any) -> Tree:
        tree = super().tree(target, i, alpha)
        if i == 0:
            assert tree.unstored == 2
            _, p, _ = tree.layers[0]
            p[:2] = FIELD.pack([FIELD.unpack(p[:2])[0] + 1])
            del tree.layers[1:]
            tree._build()
        return tree


def test_a_wrong_level_above_the_unstored_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    fix_levels(monkeypatch, 2)
    prover = WrongStoredLevel(**vars(GkrCase.random(Random(1), ((3, 13), (4,)))))
    reason = "a layer of the fraction tree does not sum to the one above"
    assert reason_of_rejection(prover) == reason


class CountingTarget(CpuTarget):
    """Knows how many bytes of its own arrays are in use."""

    def __init__(self, workspace_bytes: int) -> None:
        super().__init__(1)
        self.workspace_bytes, self.in_use, self.peak = workspace_bytes, 0, 0

    def _let_go(self, nbytes: int) -> None:
        self.in_use -= nbytes

    def empty(self, length: int, dtype: Any = np.uint64) -> Any:
        array = super().empty(length, dtype)
        weakref.finalize(array, self._let_go, array.nbytes)
        self.in_use += array.nbytes
        self.peak = max(self.peak, self.in_use)
        return array


def peak_of_lookup(shapes: tuple[tuple[int, ...], ...], workspace: int) -> tuple[int, bytes]:
    target, lookup, rng = CountingTarget(workspace), Lookup(256, shapes), np.random.default_rng(1)
    lookers = [rng.integers(0, 256, shape).astype(np.uint16).reshape(-1) for shape in shapes]
    counts = multiplicities(target, lookup, lookers)
    transcript = ProverTranscript(FIELD)
    TLookup(FIELD, (lookup,)).prove(transcript, target, [lookers], [counts])
    return target.peak, transcript.finish()


@pytest.mark.parametrize("shapes", [((1 << 18,),), ((3, 30_001), (70_000,))], ids=str)
def test_tables_keep_to_the_workspace(shapes: tuple[tuple[int, ...], ...]) -> None:
    """A quarter is for stored levels that are left while others are recomputed."""
    _, expected = peak_of_lookup(shapes, 1 << 40)
    eq_tables = 5 * 2**12 * 16  # the last four are kept
    for workspace in (1 << 20, 1 << 21, 1 << 22):
        peak, data = peak_of_lookup(shapes, workspace)
        assert peak < 1.25 * workspace + eq_tables
        assert data == expected


def test_merged_shapes_keep_their_variables() -> None:
    for shape, merged in [
        ((2, 3, 4), (2, 12)),
        ((3, 4, 5, 8), (12, 40)),
        ((1, 7, 1), (1, 7)),
        ((2, 2, 2), (8,)),
        ((1,), (1,)),
    ]:
        assert merged_shape(shape) == merged
        assert depth(shape) == depth(merged)


def test_stored_bytes_of_a_tree() -> None:
    """Two arrays of 16 bytes a fraction: 2^16 leaves and all above; padded pairs count."""
    shape = (1 << 16,)
    assert len(level_shapes(shape)) == 17
    # The root takes a whole pair.
    assert [stored_bytes(FIELD, shape, s) for s in (0, 1, 3)] == [
        32 * (sum(1 << k for k in range(17 - s)) + 1) for s in (0, 1, 3)
    ]
    assert stored_bytes(FIELD, (3,), 0) == 32 * (4 + 2 + 2)
