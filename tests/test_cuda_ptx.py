"""Every CUDA kernel compiles to PTX, without a GPU, for the types that the protocols call it with.

The types are taken from small proofs on a CPU target that behaves as a CUDA target does: the same
launches, chunks and moves to the host. A kernel that no proof runs fails here by its name.

Not tested here: that the PTX computes the right thing (tests/gpu), and what ``ptxas`` makes of it
beyond registers and spills.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import itertools
import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numba
import numpy as np
import pytest
from cases.case import prove
from cases.everything import SMALL
from cases.openings import prove_openings
from numba import types
from targets import TEST_PREFIX, ChunkingCpu

import zkbench.kernels
from zkbench.fields import GOLDILOCKS
from zkbench.jit import device
from zkbench.kernels.launch import Kernel, Scatter
from zkbench.protocols import sumcheck
from zkbench.protocols.tlookup import multiplicities

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the wheels of CUDA's compiler are Linux's"),
    pytest.mark.skipif(
        bool(numba.config.ENABLE_CUDASIM), reason="the simulator compiles nothing to PTX"
    ),
]
CAPABILITIES = [(8, 0), (9, 0)]
EACH_CAPABILITY = pytest.mark.parametrize(
    "capability", CAPABILITIES, ids=[f"sm_{major}{minor}" for major, minor in CAPABILITIES]
)
WORDS = types.Array(types.uint64, 1, "C")
HOTTEST = ["gkr.fold_round", "gkr.round", "gkr.combine", "sumcheck.fold_round2"]

# What each function that makes kernels may be made for; ``kernels(field, integers)``, say.
PARAMETERS: dict[str, list[Any]] = {
    "field": [GOLDILOCKS],
    "extension": [False, True],
    "integers": [False, True],
}
# Kernels that only verifiers run, and these on the CPU.
VERIFIERS = {
    *("functional.sparse_eq_dot", "functional.row_dots", "interleaved.combine_rows"),
    *("whir.horner", "whir.constraint"),
}


def kernel_makers() -> Iterator[Callable]:
    """Every function of zkbench.kernels that makes a family of kernels, by its name."""
    for info in pkgutil.iter_modules(zkbench.kernels.__path__, "zkbench.kernels."):
        module = importlib.import_module(info.name) if "cuda" not in info.name else None
        for name, value in vars(module).items() if module else ():
            is_own = getattr(value, "__module__", None) == info.name
            if is_own and name.endswith("kernels") and hasattr(value, "cache_info"):
                yield value


def build_all() -> dict[str, Any]:
    """Every kernel of the package, by its name."""
    for make in kernel_makers():
        values = [PARAMETERS[name] for name in inspect.signature(make).parameters]
        names = list(inspect.signature(make).parameters)
        for arguments in itertools.product(*values):
            made = dict(zip(names, arguments, strict=True))
            if not (made.get("extension") and made.get("integers")):  # integers lie in F
                make(*arguments)
    found: dict[str, Any] = {**Kernel.registry, **Scatter.registry}
    left_out = (TEST_PREFIX, *VERIFIERS)
    return {name: k for name, k in found.items() if not name.startswith(left_out)}


KERNELS = build_all()


class RecordingTarget(ChunkingCpu):
    """Notes the types of the arguments that each kernel is launched with."""

    def __init__(self) -> None:
        super().__init__(1)
        self.types: dict[str, list[Any]] = {}

    def _note(self, kernel: Any, args: tuple[Any, ...]) -> None:
        found = numba.typeof(args)
        if found not in self.types.setdefault(kernel.name, []):
            self.types[kernel.name].append(found)

    def map(self, kernel: Kernel, n: int, *args: Any, **options: Any) -> None:
        self._note(kernel, args)
        super().map(kernel, n, *args, **options)

    def reduce(self, kernel: Kernel, n: int, *args: Any) -> np.ndarray:
        self._note(kernel, args)
        return super().reduce(kernel, n, *args)

    def scatter(self, scatter: Scatter, n: int, size: int, *args: Any) -> Any:
        self._note(scatter, args)
        return super().scatter(scatter, n, size, *args)


@pytest.fixture(scope="module")
def argument_types() -> dict[str, list[Any]]:
    """For each kernel, the types of its arguments in small proofs of every protocol."""
    target = RecordingTarget()
    with mock.patch.object(sumcheck, "_TAIL_VARIABLES", -1):  # tables stay on the target to the end
        for case in SMALL.values():
            prove(case, target)
        for items in (1, 1 << 20):  # columns enough to occupy the target, and too few
            target.parallel_items = items
            prove_openings(target)
    lookup_case: Any = SMALL["tlookup"]
    for lookup, lookers in zip(lookup_case.lookups, lookup_case.lookers, strict=True):
        multiplicities(target, lookup, [np.array(v, dtype=np.int16) for v in lookers])
    return target.types


def compile_ptx(source: Callable, signature: tuple[Any, ...], capability: tuple[int, int]) -> str:
    """PTX of a CUDA kernel; numba-cuda asks a GPU for its capability if it is not told one."""
    from numba import cuda

    device_of_this_kind = SimpleNamespace(compute_capability=capability)
    getter = mock.Mock(return_value=device_of_this_kind)
    with mock.patch("numba.cuda.dispatcher.get_current_device", getter):
        ptx, _ = cuda.compile_ptx(source, signature, cc=capability)
    return ptx


@cache
def kernel_ptx(name: str, arguments: Any, capability: tuple[int, int]) -> str:
    """As a launch compiles it: (n, args), or (n, partial sums or table, args)."""
    kernel = KERNELS[name]
    has_table = isinstance(kernel, Scatter) or kernel.width > 0
    signature = (types.int64, WORDS, arguments) if has_table else (types.int64, arguments)
    return compile_ptx(kernel.cuda_source, signature, capability)


def test_the_registry_is_complete() -> None:
    """Families of every module: this list fails when one is no longer found."""
    families = {name.split(".")[0] for name in KERNELS}
    assert families >= {"eq", "sumcheck", "gkr", "contract", "scatter"}


@EACH_CAPABILITY
@pytest.mark.parametrize("name", KERNELS)
def test_kernel_compiles_to_ptx(
    name: str, capability: tuple[int, int], argument_types: dict[str, list[Any]]
) -> None:
    assert name in argument_types, f"no proof here runs {name}: run it in argument_types"
    for arguments in argument_types[name]:
        ptx = kernel_ptx(name, arguments, capability)
        assert f".target sm_{capability[0]}{capability[1]}" in ptx
        assert ".visible .entry" in ptx
        assert not re.search(r"\bcall\b|\.extern \.func", ptx), "a function was not inlined"
        assert ".local" not in ptx, "values are kept in local memory, which is slow"


def find_ptxas() -> str | None:
    """CUDA's assembler: of the wheel nvidia-cuda-nvcc, or of a toolkit on the path."""
    spec = importlib.util.find_spec("nvidia")
    folders = list(spec.submodule_search_locations or []) if spec else []
    wheels = [path for folder in folders for path in Path(folder).glob("*/bin/ptxas")]
    return str(wheels[0]) if wheels else shutil.which("ptxas")


@pytest.mark.skipif(find_ptxas() is None, reason="needs ptxas (wheel nvidia-cuda-nvcc)")
@EACH_CAPABILITY
@pytest.mark.parametrize("kernel", HOTTEST)
def test_hottest_kernels_do_not_spill(
    kernel: str,
    capability: tuple[int, int],
    argument_types: dict[str, list[Any]],
    tmp_path: Path,
) -> None:
    name, source = f"{kernel}.{GOLDILOCKS.name}", tmp_path / "kernel.ptx"
    source.write_text(kernel_ptx(name, argument_types[name][0], capability))
    ptxas, machine = find_ptxas(), f"-arch=sm_{capability[0]}{capability[1]}"
    assert ptxas is not None
    command = [ptxas, "-v", machine, str(source), "-o", str(tmp_path / "kernel.cubin")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    report = done.stderr + done.stdout
    assert done.returncode == 0, report
    assert "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads" in report


# Instructions of one operation, beyond those of a kernel that only combines two words by XOR.

ADD_CEILING, MUL_CEILING, EXTENSION_MUL_CEILING = 8, 14, 80


def num_instructions(ptx: str) -> int:
    return len(
        re.findall(r"^\s+(?:@!?%p\d+ )?[a-z][a-z0-9_.]*\s[^;]*;|^\s+ret;", ptx, re.MULTILINE)
    )


def cost_of(name: str, operation: Any, limbs: int) -> int:
    """PTX instructions of one operation on elements of ``limbs`` words."""
    return one_item(name, operation, limbs) - one_item("xor", None, limbs)


@cache
def one_item(name: str, operation: Any, limbs: int) -> int:
    """Instructions of a kernel that loads two elements, combines them and stores the result."""
    from numba import cuda

    def words(i, a, b, out):
        out[i] = operation(a[i], b[i])

    def pairs(i, a, b, out):
        value = operation((a[2 * i], a[2 * i + 1]), (b[2 * i], b[2 * i + 1]))
        out[2 * i], out[2 * i + 1] = value

    def xor_words(i, a, b, out):
        out[i] = a[i] ^ b[i]

    def xor_pairs(i, a, b, out):
        out[2 * i], out[2 * i + 1] = a[2 * i] ^ b[2 * i], a[2 * i + 1] ^ b[2 * i + 1]

    bodies = {(1, True): words, (2, True): pairs, (1, False): xor_words, (2, False): xor_pairs}
    body = device(f"{TEST_PREFIX}ptx.{name}.{limbs}")(bodies[limbs, operation is not None])

    def kernel(a, b, out):
        body(cuda.grid(1), a, b, out)

    return num_instructions(compile_ptx(kernel, (WORDS, WORDS, WORDS), (9, 0)))


def test_base_field_operations_stay_short() -> None:
    ring = GOLDILOCKS.base
    assert 0 < cost_of("add", ring.add, 1) <= ADD_CEILING
    assert 0 < cost_of("sub", ring.sub, 1) <= ADD_CEILING
    assert 0 < cost_of("mul", ring.mul, 1) <= MUL_CEILING


def test_extension_operations_stay_short() -> None:
    ring = GOLDILOCKS.ext
    assert 0 < cost_of("add", ring.add, 2) <= 2 * ADD_CEILING
    assert 0 < cost_of("mul", ring.mul, 2) <= EXTENSION_MUL_CEILING


def test_a_multiplication_is_two_wide_instructions() -> None:
    """Both halves of the 128-bit product, which ptxas turns into four IMAD.WIDE; no more."""
    from numba import cuda

    mul = GOLDILOCKS.base.mul

    def kernel(a, b, out):
        i = cuda.grid(1)
        out[i] = mul(a[i], b[i])

    ptx = compile_ptx(kernel, (WORDS, WORDS, WORDS), (9, 0))
    products = [op for op in re.findall(r"\bmul\.[a-z0-9.]+", ptx) if "wide" not in op]
    assert sorted(products) == ["mul.hi.u64", "mul.lo.s64"]
