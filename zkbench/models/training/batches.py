"""Which samples a step trains on: a public order, the same on every machine.

Epoch e takes the samples in the order of BLAKE3 keyed by nothing but (seed, e): sample n's key is the
64-bit little-endian word n of the hash's output stream; equal keys keep the order of the numbers. A
step takes the next ``batch`` of them; what is left of an epoch when fewer remain is left out.
"""

from __future__ import annotations

import numpy as np
from blake3 import blake3

from zkbench.errors import UnusableInput


def epoch_order(seed: int, epoch: int, samples: int) -> np.ndarray:
    """The order of the samples' numbers in one epoch: int64."""
    name = f"zkbench batch order {seed} {epoch}".encode("ascii")
    keys = np.frombuffer(blake3(name).digest(length=8 * samples), dtype="<u8")
    return np.argsort(keys, kind="stable")


def batch_rows(seed: int, samples: int, batch: int, first: int, steps: int) -> np.ndarray:
    """The samples of steps first ... first + steps - 1: int64, steps x batch.

    Raises UnusableInput for batches larger than the data.
    """
    if not 1 <= batch <= samples:
        raise UnusableInput(f"a batch of {batch} from {samples} samples; use smaller batches")
    per_epoch = samples // batch
    rows = np.empty((steps, batch), dtype=np.int64)
    order, epoch = np.empty(0, dtype=np.int64), -1
    for k, step in enumerate(range(first, first + steps)):
        if step // per_epoch != epoch:
            epoch = step // per_epoch
            order = epoch_order(seed, epoch, samples)
        start = step % per_epoch * batch
        rows[k] = order[start : start + batch]
    return rows
