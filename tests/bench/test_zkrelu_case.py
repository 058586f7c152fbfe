"""Both versions of zkReLU as a benchmark: what each rejects, and that both are about the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zkbench.bench.cases import make_case
from zkbench.bench.runner import run_case
from zkbench.bench.timers import PhaseTimer
from zkbench.errors import UnusableInput
from zkbench.proof import Message, Proof, ProofRejected
from zkbench.security import MINIMUM_BITS

VARIANTS = ("table", "bits")
EACH = pytest.mark.parametrize("variant", VARIANTS)
OUTPUTS, DERIVATIVES = range(2)


def params(variant: str) -> dict[str, Any]:
    return {"log_values": 5, "shift": 3, "variant": variant}


def ready(variant: str, seed: int = 0) -> Any:
    case = make_case("zkrelu", params(variant), "cpu", seed)
    case.setup()
    return case


def prove(case: Any) -> bytes:
    proof: bytes = case.prove(PhaseTimer())
    return proof


def reason(case: Any, proof: bytes) -> str:
    with pytest.raises(ProofRejected) as rejection:
        case.verify(proof)
    return str(rejection.value)


def test_both_versions_have_the_same_inputs_and_outputs() -> None:
    table, bits = map(ready, VARIANTS)
    accumulators = table.inputs["accumulators"]
    assert (accumulators == bits.inputs["accumulators"]).all()
    quotients = [(int(acc) + 4) // 8 for acc in accumulators.reshape(-1)]
    assert -(2**15) <= min(quotients) < 0 < max(quotients) < 2**15
    for case in (table, bits):
        assert case.outputs[OUTPUTS].tolist() == [max(y, 0) for y in quotients]
        assert case.outputs[DERIVATIVES].tolist() == [int(y >= 0) for y in quotients]


def test_the_version_by_tables_is_recorded() -> None:
    record = run_case("zkrelu", params("table"), "cpu", seed=3, repeats=2)
    assert record["values"] == 32
    assert list(record["phases"]) == ["witness", "commit", "lookups", "sumchecks", "opening"]
    assert sum(phase[0] for phase in record["phases"].values()) <= record["samples"]["prove_s"][0]
    assert MINIMUM_BITS <= record["soundness_bits"] < 128


@EACH
def test_changed_messages_are_rejected(variant: str) -> None:
    case = ready(variant)
    parsed = Proof.from_bytes(prove(case))
    full = [(k, message) for k, message in enumerate(parsed.messages) if message.payload]
    assert len(full) > 20
    for k, message in full:
        payload = bytearray(message.payload)
        payload[len(payload) // 2] ^= 1
        changed = list(parsed.messages)
        changed[k] = Message(message.label, bytes(payload))
        assert reason(case, Proof(parsed.header, changed).to_bytes())


@EACH
def test_a_proof_of_the_other_version_is_of_another_statement(variant: str) -> None:
    (other,) = set(VARIANTS) - {variant}
    assert reason(ready(variant), prove(ready(other))) == "the proof is of another statement"


@EACH
def test_a_proof_of_other_accumulators_is_rejected(variant: str) -> None:
    case, liar = ready(variant), ready(variant)
    liar.draw = lambda _: type(liar).draw(liar, np.random.default_rng(5))
    liar.setup()
    assert reason(case, prove(liar)) == "the proof is not about the accumulators of this case"


@pytest.mark.parametrize(
    ("variant", "tensor", "expected"),
    [
        ("table", OUTPUTS, "a looked-up output is not the table's"),
        ("table", DERIVATIVES, "a looked-up output is not the table's"),
        ("bits", OUTPUTS, "a ReLU's output is not active times low"),
        ("bits", DERIVATIVES, "opening: the claims do not hold"),
    ],
)
def test_a_false_claim_on_what_follows(variant: str, tensor: int, expected: str) -> None:
    """One entry of what the prover's claim is about is another one."""
    liar = ready(variant)
    liar.outputs[tensor][7] ^= 1
    assert reason(ready(variant), prove(liar)) == expected


def told(case: Any) -> bytes:
    """The values that the prover claims, at points that are drawn before."""
    messages = Proof.from_bytes(prove(case)).messages
    (claims,) = [message.payload for message in messages if message.label == "claims"]
    return claims


@EACH
def test_points_are_drawn_after_the_commitment(variant: str) -> None:
    """With something else committed, the same outputs have other values."""
    case, other = ready(variant), ready(variant)
    if variant == "bits":
        other.accumulators = other.accumulators[::-1].copy()
    else:
        other.quotients = other.quotients[::-1].copy()
    assert [tensor.tolist() for tensor in other.outputs] == [t.tolist() for t in case.outputs]
    assert told(case) == told(ready(variant)) != told(other)


def test_a_version_that_there_is_not_gets_a_sentence() -> None:
    with pytest.raises(UnusableInput, match="zkrelu: variant must be table or bits, not 'sign'"):
        make_case("zkrelu", params("sign"), "cpu", 0)
    with pytest.raises(UnusableInput, match="zkrelu: the parameters must be an object"):
        make_case("zkrelu", ["bits"], "cpu", 0)  # type: ignore[arg-type]
