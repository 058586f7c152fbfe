"""Memory of a card that is only counted: what is kept, what is given back when there is no more."""

from __future__ import annotations

import pytest
from numba.cuda.cudadrv import driver

from zkbench.errors import UnusableInput
from zkbench.kernels import cuda_target
from zkbench.kernels.cuda_target import Pool
from zkbench.placement import _PAGE, _Memory

MIB = 1 << 20


class Card:
    """A driver of a card with so many bytes."""

    def __init__(self, num_bytes: int) -> None:
        self.num_bytes = num_bytes
        self.blocks: dict[int, int] = {}
        self.allocations = 0

    @property
    def used(self) -> int:
        return sum(self.blocks.values())

    def cuMemAlloc(self, size: int) -> int:
        if self.used + size > self.num_bytes:
            raise driver.CudaAPIError(2, "out of memory")
        self.allocations += 1
        self.blocks[self.allocations] = size
        return self.allocations

    def cuMemFree(self, pointer: int) -> None:
        del self.blocks[pointer]

    def cuCtxSynchronize(self) -> None:
        pass


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    card = Card(64 * MIB)
    monkeypatch.setattr(cuda_target, "_api", card)
    return card


def test_what_is_given_back_is_taken_again(card: Card) -> None:
    pool = Pool()
    first = pool.take(MIB)
    pool.give_back(first, MIB)
    assert pool.take(MIB) == first
    assert (card.allocations, pool.in_use, pool.peak) == (1, MIB, MIB)


def test_a_full_card_loses_its_largest_unused_blocks_and_no_more(card: Card) -> None:
    pool = Pool()
    sizes = [MIB, 8 * MIB, 16 * MIB, 30 * MIB]
    for size, pointer in [(size, pool.take(size)) for size in sizes]:
        pool.give_back(pointer, size)
    pool.take(32 * MIB)
    assert sorted(card.blocks.values()) == [MIB, 8 * MIB, 32 * MIB]
    assert (pool.in_use, pool.peak) == (32 * MIB, 55 * MIB)


def test_all_unused_blocks_go_where_that_is_what_it_takes(card: Card) -> None:
    pool = Pool()
    for pointer in [pool.take(MIB) for _ in range(40)]:
        pool.give_back(pointer, MIB)
    kept = pool.take(20 * MIB)
    pool.take(44 * MIB)
    assert sorted(card.blocks.values()) == [20 * MIB, 44 * MIB]
    assert card.blocks[kept] == 20 * MIB


def test_what_does_not_fit_is_refused(card: Card) -> None:
    pool = Pool()
    pool.take(48 * MIB)
    with pytest.raises(UnusableInput, match=r"no 0\.03 GiB left \(0\.05 GiB are in use\)"):
        pool.take(32 * MIB)
    assert pool.in_use == 48 * MIB


def test_arrays_of_another_library_are_in_the_pool(card: Card) -> None:
    """Small ones in its buckets, large ones in whole pages; known by their addresses."""
    card.num_bytes = 1 << 30
    pool = Pool()
    memory = _Memory(pool)
    small, large = memory.take(1000, 0), memory.take(40 * _PAGE + 1, 0)
    assert card.blocks == {small: Pool.bucket(1000), large: 41 * _PAGE}
    assert pool.in_use == pool.peak == card.used
    memory.give_back(large, 0)
    memory.give_back(small, 0)
    assert pool.in_use == 0
    assert memory.take(1000, 0) == small
