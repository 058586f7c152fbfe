"""What a microbenchmark is: a `Case` with its inputs, its prover and its verifier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from zkbench.bench.timers import PhaseTimer


@runtime_checkable
class Case(Protocol):
    """One protocol (or one model) on inputs that follow from `params` and `seed` alone.

    The runner makes a case twice from the same name, parameters and seed: once here, where
    `setup` and `prove` run, and once in a fresh process on the CPU, where only
    `setup_verifier` (if there is one) and `verify` run. Nothing else passes between the two
    but the proof's bytes, so a verifier that needs public data must derive it from the
    parameters and the seed, or read it from the proof.

    Attributes
    ----------
    benchmark: name of the benchmark, as registered in `zkbench.bench.cases`.
    params: everything that defines the run, as JSON; part of the record's identity. They may be
        more than the case was made from (defaults), and hold what a file contains in place of
        its path. The figures read `batch` of an inference, and `num_layers`, `batch`, `d_in` and
        `d_out` of a matmul.
    values: number of values processed by one proof; throughput is `values` / proving time.
    seed: seed of the inputs and of the prover.
    target: "cpu" or "cuda", where the prover runs.
    field: name of the base field.

    Optional members, looked up by the runner
    -----------------------------------------
    setup_verifier(): public inputs of the verifier; not timed.
    synchronise(): waits for the device; called whenever the phase changes.
    device_memory_peak() -> int | None: bytes on the device at the peak of the proofs so far.
    proof_bytes(returned) -> int: bytes of the proof, if `prove` returns more than that.
    extra() -> dict: further results as JSON (accuracy, sizes), stored in the record.
    """

    benchmark: str
    params: dict[str, Any]
    values: int
    seed: int
    target: str
    field: str

    def setup(self) -> None:
        """Make the inputs on the device; not timed."""

    def prove(self, timer: PhaseTimer) -> bytes:
        """Return the proof; every call gives the same bytes. Phases go to `timer`."""

    def verify(self, proof: bytes) -> None:
        """Accept, or raise `zkbench.proof.ProofRejected`."""

    def soundness_bits(self) -> float:
        """Proven soundness of the proof, in bits."""


# A factory raises `zkbench.errors.UnusableInput` for parameters that it cannot use.
CaseFactory = Callable[[dict[str, Any], str, int], Case]


def optional_hook(case: Case, name: str) -> Callable[[], Any] | None:
    """Return the optional member `name` of `case`, or None if the case has none."""
    hook = getattr(case, name, None)
    return hook if callable(hook) else None
