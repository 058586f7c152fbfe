"""What proofs about language models take of memory at least, checked before work starts.

Bounds from below, of what is there at once: where one is above what is free, the work would fail
later, after minutes, with a message about one array.
"""

from __future__ import annotations

from math import prod

import psutil

from zkbench.commitments.schemes import Scheme
from zkbench.errors import UnusableInput
from zkbench.kernels.launch import Target
from zkbench.language_plan import LanguagePlan
from zkbench.models.language.config import LanguageModelConfig
from zkbench.placed_model import WEIGHT_BYTES, stays_on_host
from zkbench.placement import cupy_for
from zkbench.protocols.language_inference import LanguageInference
from zkbench.protocols.language_tensors import committed_integers, model_shapes
from zkbench.protocols.operators import Norm

# For a value of the witness where the model computes on the host: itself and its remainder; where a CPU
# proves too, what lookups and openings need besides (49 to 75 were measured).
_WITNESS_BYTES = {"cpu": 32, "cuda": 4}
# Bytes of what a prover holds on its target: 16-bit integers, but for the names that end so.
_VALUE_BYTES = 2
_WIDE = {".row_sums": 4, ".differences": 4}
_INPUT_BYTES, _SUM_BYTES = 4, 8  # of what a norm reads, and of its rows' sums of squares

_NO_ROOT = bytes(32)


def require_commit_memory(config: LanguageModelConfig, scheme: Scheme, target: Target) -> None:
    """Raises UnusableInput where a commitment to such a model does not fit."""
    parameters = committed_integers(config)
    what = f"a commitment to {parameters:,} parameters"
    weights, needed = WEIGHT_BYTES * parameters, 0
    if cupy_for(target) is None or stays_on_host(config, target):
        _require_host(weights, what, "commit to a smaller model or on")
    if not stays_on_host(config, target):
        needed += weights
    needed += scheme.commitment(_NO_ROOT, model_shapes(config)).least_bytes
    _require_device(target, needed, what, "commit to a smaller model or on")


def require_proof_memory(inference: LanguageInference, target: Target) -> None:
    """The same of a proof, once the model is committed to."""
    witness = inference.program.witness
    layers, remedy = inference.segment.size, "use fewer tokens or"
    what = f"a proof about {len(inference.tokens)} positions"
    if layers > 1:
        remedy = f"prove fewer than {layers} layers at once (--segment), use fewer tokens or"
    values = sum(map(prod, witness.values()))
    if cupy_for(target) is None:
        _require_host(_WITNESS_BYTES[target.name] * values, what, remedy)
    needed = witness_bytes(inference)
    needed += inference.scheme.commitment(_NO_ROOT, witness).least_bytes
    _require_device(target, needed, what, remedy)


def require_memory(plan: LanguagePlan, target: Target) -> None:
    """The same of all segments of a proof: the first is the largest, the last has the output."""
    for index in sorted({0, plan.cut.count - 1}):
        require_proof_memory(plan.inference(index), target)


def witness_bytes(inference: LanguageInference) -> int:
    """Bytes of all tensors of a forward pass that a prover holds: committed or not."""
    program = inference.program
    shapes = dict(program.witness) | {c.name: c.shape for c in program.checks.checks}
    shapes |= inference.virtual_shapes
    total = sum(_bytes_of(name) * prod(shape) for name, shape in shapes.items())
    norms = [one.protocol for one in program.operators if isinstance(one, Norm)]
    total += sum(_INPUT_BYTES * prod(norm.shape) for norm in norms)
    return total + sum(_SUM_BYTES * prod(norm.row_shape) for norm in norms)


def _bytes_of(name: str) -> int:
    return next((n for end, n in _WIDE.items() if name.endswith(end)), _VALUE_BYTES)


def _require_host(needed: int, what: str, remedy: str) -> None:
    available = psutil.virtual_memory().available
    _require(needed, available, what, "memory", f"{remedy} a machine with more")


def _require_device(target: Target, needed: int, what: str, remedy: str) -> None:
    free = target.free_memory()
    if free is not None:
        _require(needed, free, what, "the GPU's memory", f"{remedy} a GPU with more")


def _require(needed: int, free: int, what: str, memory: str, remedy: str) -> None:
    if needed > free:
        raise UnusableInput(
            f"{what} takes {needed / 2**30:,.1f} GiB of {memory} at least, and"
            f" {free / 2**30:,.1f} GiB are free; {remedy}"
        )
