"""Weights and values of claims, entry by entry in Python integers."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from zkbench.commitments.claims import AxisWeights, Claim, EqAxis, OnesAxis, Sparse, VectorAxis
from zkbench.fields import GOLDILOCKS

E = GOLDILOCKS.element


def random_elements(rng: np.random.Generator, count: int) -> tuple[Any, ...]:
    words = rng.integers(0, 2**64, (count, 2), dtype=np.uint64).tolist()
    return tuple(E(*pair) for pair in words)


def eq_at(point: Any, index: int) -> Any:
    """prod over bits k of the index of point[k] or 1 - point[k]."""
    return math.prod((w if (index >> k) & 1 else 1 - w for k, w in enumerate(point)), start=E(1))


def axis_weights(axis: Any, length: int) -> list[Any]:
    if isinstance(axis, EqAxis):
        return [eq_at(axis.point, i) for i in range(length)]
    return list(axis.values) if isinstance(axis, VectorAxis) else [E(1)] * length


def all_weights(functional: Any, shape: tuple[int, ...]) -> list[Any]:
    """One weight an entry, in row-major order."""
    if isinstance(functional, Sparse):
        weights = [E(0)] * math.prod(shape)
        for index, coefficient in zip(functional.indices, functional.coefficients, strict=True):
            weights[index] = coefficient
        return weights
    tables = [axis_weights(axis, n) for axis, n in zip(functional.axes, shape, strict=True)]
    return [math.prod(factors, start=E(1)) for factors in itertools.product(*tables)]


def true_claim(name: str, tensor: np.ndarray, functional: Any) -> Claim:
    weights = all_weights(functional, tensor.shape)
    entries = [int(v) for v in tensor.reshape(-1)]
    value = sum((w * v for w, v in zip(weights, entries, strict=True)), E(0))
    return Claim(name, functional, value)


def random_functional(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    size = math.prod(shape)
    if rng.integers(4) == 0:
        count = int(rng.integers(0, size + 1))
        indices = tuple(int(i) for i in rng.permutation(size)[:count])
        return Sparse(indices, random_elements(rng, count))
    axes: list[Any] = []
    for length in shape:
        kind = rng.integers(3)
        if kind == 0:
            axes.append(EqAxis(random_elements(rng, (length - 1).bit_length())))
        else:
            vector = VectorAxis(random_elements(rng, length))
            axes.append(vector if kind == 1 else OnesAxis())
    return AxisWeights(tuple(axes))
