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
from contextlib import contextmanager
from functools import cache
from math import prod
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numba
import numpy as np
import pytest
from cases.case import draw_points, prove
from cases.everything import SMALL
from cases.openings import prove_openings
from definitions import mle
from numba import types
from targets import TEST_PREFIX, ChunkingCpu

import zkbench.kernels
from zkbench.bench.ceilings import Sizes, measure_ceilings
from zkbench.commitments.claims import AxisWeights, Claim, OnesAxis, Sparse
from zkbench.commitments.ligero import Ligero
from zkbench.commitments.schemes import Scheme
from zkbench.commitments.whir import Whir
from zkbench.fields import GOLDILOCKS
from zkbench.jit import device
from zkbench.kernels.interleaved import centred
from zkbench.kernels.launch import CpuTarget, Kernel, Scatter, Target, sum_copies
from zkbench.kernels.ntt import encode
from zkbench.proof import Proof
from zkbench.protocols import statements
from zkbench.protocols.causal_tiles import AttentionShape
from zkbench.protocols.tlookup import multiplicities
from zkbench.protocols.tlookup_inverses import TLookupInverses
from zkbench.quant.attention import IntegerAttention
from zkbench.transcript import ProverTranscript, VerifierTranscript

pytestmark = [
    pytest.mark.ptx,
    pytest.mark.ptx,
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
HOTTEST = [
    "gkr.fold_round",
    "gkr.round",
    "gkr.combine",
    "leaves.build.ones",
    "leaves.round.ones",
    "leaves.leaf_round",
    "leaves.round.weighted",
    "sumcheck.fold_round2",
]

# What a family of kernels may be made for; ``kernels(field, integers)``, say.
PARAMETERS: dict[str, list[Any]] = {
    "field": [GOLDILOCKS],
    "integers": [False, True],
    "extension": [False, True],
    "entries": ["small", "integers", "words"],
}


def kernel_makers() -> Iterator[Callable]:
    """Every function of zkbench.kernels that makes a family of kernels, by its name."""
    for info in pkgutil.iter_modules(zkbench.kernels.__path__, "zkbench.kernels."):
        module = importlib.import_module(info.name) if "cuda" not in info.name else None
        for name, value in vars(module).items() if module else ():
            is_own = getattr(value, "__module__", None) == info.name
            if is_own and re.search("kernels?$", name) and hasattr(value, "cache_info"):
                yield value


def makings(make: Callable) -> Iterator[tuple[Any, ...]]:
    """All arguments that a family is made with: nothing reads integers as elements of E."""
    names = list(inspect.signature(make).parameters)
    for values in itertools.product(*(PARAMETERS.get(name, []) for name in names)):
        chosen = dict(zip(names, values, strict=True))
        if not (chosen.get("integers") and chosen.get("extension")):
            yield values


def build_all() -> dict[str, Any]:
    """Every kernel of the package, by its name."""
    for make in kernel_makers():
        for arguments in makings(make):
            make(*arguments)
    return registered()


def registered() -> dict[str, Any]:
    found: dict[str, Any] = {**Kernel.registry, **Scatter.registry}
    return {name: k for name, k in found.items() if not name.startswith(TEST_PREFIX)}


KERNELS = build_all()


@contextmanager
def recorded_launches() -> Iterator[dict[str, list[Any]]]:
    """For each kernel, the types of the arguments that any CPU target launches it with."""
    found: dict[str, list[Any]] = {}

    def record(method: str, num_sizes: int) -> Any:
        original = getattr(CpuTarget, method)

        def launch(self: CpuTarget, kernel: Any, *args: Any, **options: Any) -> Any:
            types_here = numba.typeof(args[num_sizes:])
            if types_here not in found.setdefault(kernel.name, []):
                found[kernel.name].append(types_here)
            return original(self, kernel, *args, **options)

        return mock.patch.object(CpuTarget, method, launch)

    with record("map", 1), record("reduce", 1), record("scatter", 2):
        yield found


@pytest.fixture(scope="module")
def argument_types() -> dict[str, list[Any]]:
    """For each kernel, the types of its arguments in small proofs of every protocol."""
    target = ChunkingCpu(1)
    with (
        recorded_launches() as found,
        mock.patch.object(
            statements, "_TAIL_VARIABLES", -1
        ),  # tables stay on the target to the end
    ):
        for case in SMALL.values():
            prove(case, target)
            prove(case, without_workspace())
        count_values(target)
        for parallel_items in (1, 1 << 20):  # an item a block, or many small ones
            target.parallel_items = parallel_items
            encode_columns(target)
            commit_and_open(target)
            centred(target, np.zeros(4, dtype=np.uint16))
            prove_openings(target)
        look_up_with_inverses(target)
        attend()
        measure_ceilings(target, Sizes(elements=8, items=2, times=32), repeats=1)
    return found


def without_workspace() -> Target:
    """As many levels of fraction trees as possible are computed from the leaves."""
    target = ChunkingCpu(1)
    target.workspace_bytes = 0
    return target


def count_values(target: Target) -> None:
    lookup_case: Any = SMALL["tlookup"]
    for lookup, lookers in zip(lookup_case.lookups, lookup_case.lookers, strict=True):
        multiplicities(target, lookup, [np.array(v, dtype=np.int16) for v in lookers])
    target.map(sum_copies, 2, np.zeros(4, dtype=np.uint64), 2, 2)  # what a GPU does after it


def encode_columns(target: Target) -> None:
    """Codewords of integers, of words and of elements of E; blocks of 4 values and of 128."""
    for log_rows in (2, 7):
        for source, extension in [
            (np.zeros(1 << log_rows, dtype=np.int16), False),
            (np.zeros(1 << log_rows, dtype=np.uint64), False),
            (np.zeros(2 << log_rows, dtype=np.uint64), True),
        ]:
            encode(target, GOLDILOCKS, source, 1 << log_rows, 1, log_rows, 1, extension=extension)


SCHEMES: list[Scheme] = [
    Ligero(queries=2, grinding_bits=1, log_rows=2),
    Ligero(queries=2, grinding_bits=1, log_rows=5),
    Whir(security_bits=20, grinding_bits=2, log_fold=2, num_rounds=1, log_rows=5),
]


def commit_and_open(target: Target) -> None:
    """Tensors of each kind of entry; rows of one chunk and of several."""
    shapes = {"a": (3, 5), "b": (130, 9), "c": (7,)}
    for dtypes in (
        [np.int16] * 3,
        [np.int32] * 3,
        [np.int16, np.int64, np.uint64],
        [np.uint64] * 3,
    ):
        tensors = {
            name: np.ones(shape, dtype=dtype)
            for (name, shape), dtype in zip(shapes.items(), dtypes, strict=True)
        }
        for scheme in SCHEMES:
            transcript = ProverTranscript(GOLDILOCKS)
            data = scheme.commit(target, tensors, shapes)
            claims = [random_claim(transcript, name, shapes[name]) for name in shapes]
            claims.append(Claim("c", Sparse((1, 4), (GOLDILOCKS.element(1),) * 2), 2))
            claims.append(Claim("a", AxisWeights((OnesAxis(), OnesAxis())), 15))
            scheme.prove(transcript, target, [(data, claims)])
            verify_opening(scheme, data.commitment, transcript.finish(), claims)


def verify_opening(scheme: Scheme, commitment: Any, proof: bytes, claims: list[Claim]) -> None:
    """A verifier runs kernels too."""
    transcript = VerifierTranscript(GOLDILOCKS, Proof.from_bytes(proof))
    for name in commitment.names:
        draw_points(transcript, commitment.layout.shapes[name])
    scheme.verify(transcript, [(commitment, claims)])


def random_claim(transcript: ProverTranscript, name: str, shape: tuple[int, ...]) -> Claim:
    """Its value is right: every entry is one."""
    points = draw_points(transcript, shape)
    value = mle([1] * prod(shape), shape, points)
    return Claim(name, AxisWeights.at(points), value)


def look_up_with_inverses(target: Target) -> None:
    protocol, values = TLookupInverses(GOLDILOCKS, (5, 3), 8), np.arange(15, dtype=np.int16) % 8
    counts = np.bincount(values, minlength=8).astype(np.uint64)
    protocol.prove(ProverTranscript(GOLDILOCKS), target, values, counts, lambda columns: None)


def attend() -> None:
    """The integer model's kernels, which run wherever its arrays are."""
    shape = AttentionShape(1, 2, 1, 2, 1, 4)
    zeros = [np.zeros(size, dtype=np.int16) for size in (shape.queries, shape.keys, shape.keys)]
    IntegerAttention(shape, 4).forward(*zeros)


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
    """As a launch compiles it: (n, args), (n, partial sums, args) or (n, table, its size, args)."""
    kernel = KERNELS[name]
    if isinstance(kernel, Scatter):
        leading: list[Any] = [types.int64, WORDS, types.int64]
    else:
        leading = [types.int64, WORDS] if kernel.width else [types.int64]
    return compile_ptx(kernel.cuda_source, (*leading, arguments), capability)


def test_every_kernel_is_known(argument_types: dict[str, list[Any]]) -> None:
    """What proofs ran was found before, by ``kernel_makers``."""
    assert set(argument_types) <= set(KERNELS) == set(registered())


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
        assert_aligned(ptx)


def assert_aligned(ptx: str) -> None:
    """Elements of two words in shared memory move in one access, which must be aligned."""
    alignments = re.findall(r"\.shared \.align (\d+)", ptx)
    assert len(alignments) <= 1
    if re.search(r"(ld|st)\.shared\.v2\.u64", ptx):
        assert int(alignments[0]) % 16 == 0
    assert not re.search(r"\.shared\.v4|\.shared\.v2\.b128", ptx), "accesses wider than 16 bytes"


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
