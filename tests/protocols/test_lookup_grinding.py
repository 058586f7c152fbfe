"""Proofs of work before the challenge of a lookup: where they are, and provers that leave them out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest
from blake3 import blake3
from cases.case import FIELD, Case, prove, reason_of_rejection, verify
from cases.lookups import LogupStarCase, TLookupCase

from zkbench.kernels.blake3 import is_good_nonce
from zkbench.kernels.launch import cpu_target
from zkbench.proof import Proof
from zkbench.protocols import logup_star, tlookup
from zkbench.protocols.logup_star import LogupStar
from zkbench.protocols.tables import Relu
from zkbench.protocols.tlookup import Lookup, TLookup
from zkbench.security import MINIMUM_BITS, total_bits

LOOKUP = Lookup(8, ((7,), (2, 3)), (0, 4))
MORE_THAN_THERE_IS = 128  # bits; these lookups have 123, so 5 bits of work are due
HONEST: dict[str, Case] = {
    "tlookup": TLookupCase.random(Random(1), (LOOKUP,)),
    "logup_star": LogupStarCase.random(Random(1), Relu(3), ((3, 5), (4,))),
}
WITH_WORK = {
    name: replace(case, security_bits=MORE_THAN_THERE_IS)  # type: ignore[call-arg]
    for name, case in HONEST.items()
}
EACH_PROTOCOL = pytest.mark.parametrize("name", WITH_WORK)


def labels(case: Case, data: bytes) -> list[str]:
    verify(case, data)
    return [message.label for message in Proof.from_bytes(data).messages]


@EACH_PROTOCOL
def test_work_is_done_right_before_the_challenge(name: str) -> None:
    """A proof differs by its nonce alone from one without work: in its messages, not its bytes."""
    plain = labels(HONEST[name], prove(HONEST[name], cpu_target())[0])
    worked = labels(WITH_WORK[name], prove(WITH_WORK[name], cpu_target())[0])
    at = worked.index("nonce")
    assert worked.count("nonce") == 1
    assert worked[:at] + worked[at + 1 :] == plain
    assert plain[at] == "top", "the trees of fractions are the first to depend on the challenge"


@dataclass(frozen=True)
class IdleTLookup(TLookup):
    def _work(self) -> int:
        return 0


@dataclass(frozen=True)
class IdleLogupStar(LogupStar):
    def _work(self) -> int:
        return 0


@dataclass(frozen=True)
class IdleTLookupCase(TLookupCase):
    @property
    def protocol(self) -> TLookup:
        return IdleTLookup(FIELD, self.lookups, self.security_bits)


@dataclass(frozen=True)
class IdleLogupStarCase(LogupStarCase):
    @property
    def protocol(self) -> LogupStar:
        return IdleLogupStar(FIELD, self.table, self.shapes, self.security_bits)


@EACH_PROTOCOL
def test_work_skipped(name: str) -> None:
    honest = WITH_WORK[name]
    idle = {"tlookup": IdleTLookupCase, "logup_star": IdleLogupStarCase}[name](**vars(honest))
    assert reason_of_rejection(idle, honest) == "expected message 'nonce', found 'top'"


@EACH_PROTOCOL
def test_wrong_nonce(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def send_a_bad_nonce(transcript: Any, target: Any, bits: int) -> None:
        seed, nonces = transcript.grinding_seed("grinding"), range(1 << 20)
        encoded = (n.to_bytes(8, "little") for n in nonces)
        bad = next(n for n in encoded if not is_good_nonce(blake3(seed + n).digest(), bits))
        transcript.send_bytes("nonce", bad)

    for module in (tlookup, logup_star):
        monkeypatch.setattr(module, "prove_work", send_a_bad_nonce)
    assert reason_of_rejection(WITH_WORK[name]) == "the proof of work is missing"


SIZES = [20, 24, 25, 28, 32, 36]


@pytest.mark.parametrize("log_values", SIZES)
def test_soundness_of_large_lookups(log_values: int) -> None:
    shape = (1 << log_values,)
    looked_up = TLookup(FIELD, (Lookup(1 << 16, (shape,)),))
    outputs = LogupStar(FIELD, Relu(16), (shape,))
    for protocol, terms in [
        (looked_up, looked_up.soundness_terms()),
        (outputs, outputs.soundness_terms(num_claims=2)),
    ]:
        # 2^128 over about 2^log_values, and 103 bits are asked for.
        assert protocol._work() == max(0, log_values + 103 - 128 + 1)
        assert terms[0].bits == pytest.approx(max(103.5, 128 - log_values), abs=0.6)
        assert total_bits(terms) >= MINIMUM_BITS


def test_the_first_bit_of_work_is_due_at_2_to_25_values_and_entries() -> None:
    """The extension field has a little less than 2^128 elements."""
    for count, work in [((1 << 25) - 9, 0), ((1 << 25) - 8, 1)]:
        assert TLookup(FIELD, (Lookup(8, ((count,),)),))._work() == work
