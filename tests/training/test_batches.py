"""The order of batches: permutations, the same everywhere."""

import hashlib

import blake3
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkbench.errors import UnusableInput
from zkbench.models.training.batches import batch_rows, epoch_order

LARGE_ORDER = "363b586d9a1070a54af30f6ea43cbcef9df8f31727715da5484f7c6523b95447"


def test_orders_are_frozen():
    """Proofs name no order but the seed: these values may never change."""
    assert epoch_order(7, 0, 12).tolist() == [1, 8, 6, 4, 5, 2, 9, 3, 10, 7, 11, 0]
    assert epoch_order(7, 1, 12).tolist() == [10, 11, 9, 8, 2, 3, 1, 5, 6, 7, 4, 0]
    assert epoch_order(8, 0, 12).tolist() == [11, 3, 7, 5, 9, 6, 1, 2, 10, 8, 0, 4]
    large = epoch_order(0, 3, 50000).astype("<i8").tobytes()
    assert hashlib.sha256(large).hexdigest() == LARGE_ORDER


@given(st.integers(0, 2**64), st.integers(0, 1000), st.integers(1, 200))
def test_an_epoch_is_a_permutation(seed, epoch, samples):
    assert sorted(epoch_order(seed, epoch, samples)) == list(range(samples))


@given(st.integers(0, 2**64), st.integers(0, 1000))
def test_an_epoch_vs_its_definition(seed, epoch):
    stream = blake3.blake3(f"zkbench batch order {seed} {epoch}".encode()).digest(length=8 * 100)
    keys = [int.from_bytes(stream[8 * n : 8 * n + 8], "little") for n in range(100)]
    assert epoch_order(seed, epoch, 100).tolist() == sorted(range(100), key=keys.__getitem__)


@given(st.integers(0, 99), st.integers(1, 40), st.integers(1, 40), st.integers(0, 50))
def test_batches_are_the_epochs_cut(seed, samples, batch, first):
    if batch > samples:
        with pytest.raises(UnusableInput, match=f"a batch of {batch} from {samples} samples"):
            batch_rows(seed, samples, batch, first, 1)
        return
    per_epoch = samples // batch
    whole = [
        epoch_order(seed, epoch, samples)[: per_epoch * batch].reshape(per_epoch, batch)
        for epoch in range((first + 7) // per_epoch + 1)
    ]
    expected = np.concatenate(whole)[first : first + 7]
    assert (batch_rows(seed, samples, batch, first, 7) == expected).all()


def test_no_steps_have_no_rows():
    assert batch_rows(0, 5, 2, 3, 0).shape == (0, 2)
