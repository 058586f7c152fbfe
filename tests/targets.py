"""Targets that tests run kernels on, and kernels of the tests' own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zkbench.fields import GOLDILOCKS, Field
from zkbench.fields.field import Arithmetic
from zkbench.jit import device
from zkbench.kernels.launch import Array, CpuTarget, Kernel, Target, target

TARGETS = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
EACH_TARGET = pytest.mark.parametrize("target_name", TARGETS)
TEST_PREFIX = "test."  # of kernels that tests define; the others are the package's


class ChunkingCpu(CpuTarget):
    """A CPU that is asked for as many independent items as a GPU: sums are cut into chunks."""

    name = "cuda"


def make_kernel(
    source: str, name: str, body: Callable, ring: Arithmetic | None = None, width: int = 0
) -> Kernel:
    """A kernel of the test file ``source``.

    Its name holds a hash of that file: the kernel cache does not notice edits outside the package.
    """
    digest = hashlib.sha256(Path(source).read_bytes()).hexdigest()[:8]
    full_name = f"{TEST_PREFIX}{name}.{digest}"
    return Kernel(full_name, device(f"kernel.{full_name}")(body), ring, width)


def get_target(name: str) -> Target:
    """The target; on a GPU, one whose kernels are CUDA's."""
    found = target(name)
    assert found.name == name
    return found


def assert_ran_on(target_name: str, kernel: Any) -> None:
    """A GPU test that silently ran elsewhere would prove nothing."""
    compiled = kernel.cuda.overloads if target_name == "cuda" else kernel.cpu.signatures
    assert compiled, f"kernel {kernel.name} did not run on {target_name}"


class Machine:
    """A target with elements of a field: puts them there, runs kernels, gets results back."""

    def __init__(self, target_name: str, field: Field = GOLDILOCKS) -> None:
        self.name, self.field = target_name, field
        self.target = get_target(target_name)

    def put(self, elements: Sequence[Any]) -> Array:
        return self.target.to_device(self.field.pack(elements))

    def put_integers(self, values: Sequence[int], dtype: Any) -> Array:
        return self.target.to_device(np.array(values, dtype=dtype))

    def empty(self, count: int) -> Array:
        return self.target.empty(count * self.field.ext.limbs)

    def get(self, array: Array) -> list[Any]:
        words = self.target.to_host(array)
        assert int(words.max(initial=0)) < self.field.modulus
        return self.field.unpack(words)

    def map(self, kernel: Kernel, n: int, *args: Any) -> None:
        self.target.map(kernel, n, *args)
        assert_ran_on(self.name, kernel)

    def reduce(self, kernel: Kernel, n: int, *args: Any) -> list[Any]:
        words = self.target.reduce(kernel, n, *args)
        assert_ran_on(self.name, kernel)
        return self.field.unpack(words)
