"""What a language model's proof may err by: every challenge that its verifier draws is counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from typing import Any

import pytest
from counted import Counted, CountingTranscript, require_terms
from language_proof import CONFIGS, Case, bind, case_of, prove, witness

from zkbench.proof import Proof
from zkbench.protocols.program import Program


def noted_by(case: Case) -> list[tuple[Any, int]]:
    inference, noted = case.inference, []
    proof = prove(inference, case.data, witness(case))
    transcript = CountingTranscript(inference.field, Proof.from_bytes(proof))
    bind(transcript, inference, case.data)
    counted = tuple(Counted(one, noted) for one in inference.program.operators)
    replace(inference.program, operators=counted).verify(transcript, [case.data.commitment])
    transcript.finish()
    return noted


@pytest.mark.parametrize("family", CONFIGS)
def test_the_terms_of_every_operator_cover_its_challenges(family: str) -> None:
    case = case_of(family)
    noted = noted_by(case)
    assert len(noted) == len(case.inference.program.operators)
    assert sum(drawn for _, drawn in noted) > 100
    require_terms(case.inference.field, noted)


# How many claims every use of a tensor leaves on it. A rescaled tensor has one as a quotient and one
# of its range; a norm's numbers have those of rmsnorm.py; what the stream is made of has one for each
# of the two claims that each of the three norms leaves on its input. Where norms stand behind the
# sums, o and m have those of one norm; what a layer reads (for q, k, v and its first sum) is made of
# the norms' outputs y3, which the output layer reads as well, and of the embedding.
STREAM, ROTATED, READ, ONCE = 6, 3, 4, 1
COMMON = {
    "output": ONCE,
    "q": ROTATED,
    "k": ROTATED,
    "v": 3,
    "a": 3,
    "t": 2,
    "logits": 4,
    "attention.shift_low": 2,
    "attention.shift_high": 2,
    **{f"norm{k}.limbs": 9 for k in "12"},
    **{f"norm{k}.{name}": 3 for k in "12" for name in ("sq_high", "r_high")},
}
NORMS_FIRST = {
    "embedding": STREAM,
    "o": 2 + STREAM,
    "m": 2 + STREAM,
    "y1": 5,
    "yf": 3,
    "normf.limbs": 9,
    **{f"normf.{name}": 3 for name in ("sq_high", "r_high")},
}
OF_FAMILY = {
    "llama": {**NORMS_FIRST, "q_raw": ROTATED, "k_raw": ROTATED, "g": 2, "u": 3, "h": 3, "y2": 4},
    "opt": {**NORMS_FIRST, "positions": STREAM, "f": 2, "y2": 3},
    "norms last": {
        "embedding": READ,
        "positions": READ,
        "o": 2 + 2,
        "m": 2 + 2,
        "f": 2,
        "y2": 2 + 2,
        "y3": 2 + READ + ONCE,
    },
}


class Recorded(Program):
    """Notes the claims that are opened."""

    def _claims(self, ledger: Any, names: Any) -> Any:
        found = super()._claims(ledger, names)
        self.__dict__["claims"] = Counter(claim.tensor for one in found for claim in one)
        return found


@pytest.mark.parametrize("family", CONFIGS)
def test_every_use_of_a_tensor_is_claimed(family: str) -> None:
    case = case_of(family)
    honest = case.inference.program
    program = Recorded(**{one.name: getattr(honest, one.name) for one in fields(Program)})
    prove(case.inference, case.data, witness(case), program)
    expected = COMMON | OF_FAMILY[family]
    expected |= {name: ONCE for name in honest.given["weights"] if name[1] == "_"}
    expected |= dict.fromkeys(honest.checks.counts, ONCE)
    for lookup in honest.lookups:
        expected |= dict.fromkeys(lookup.pushed_shapes(honest.field), 2)
    assert dict(program.__dict__["claims"]) == expected
    assert set(honest.given["weights"]) | set(honest.witness) <= set(expected)


@pytest.mark.parametrize("family", CONFIGS)
def test_every_lookup_and_commitment_has_its_terms(family: str) -> None:
    program = case_of(family).inference.program
    names = [term.name for term in program.soundness_terms()]
    assert names.count("lookup challenge") == names.count("fraction tree") == 1
    for name in ("challenge", "claim combination", "indices in range", "fraction tree", "product"):
        assert names.count(f"logUp* {name}") == len(program.lookups) == 2
    own = sum(len(one.soundness_terms(program.field)) for one in program.operators)
    lookups = 2 + 5 * len(program.lookups)
    opening = program.scheme.opening_terms({"witness": (1 << 10, program.most_claims)})
    assert len(names) >= own + lookups + len(opening)
