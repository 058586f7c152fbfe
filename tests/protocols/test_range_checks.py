"""Range checks of many tensors as lookups, and back."""

from __future__ import annotations

from zkbench.commitments.claims import AxisWeights, Claim, Value
from zkbench.protocols.range_checks import RangeCheck, RangeChecks
from zkbench.protocols.tlookup import Lookup, LookupClaims

CHECKS = RangeChecks(
    (RangeCheck("a", 16, (2, 3)), RangeCheck("b", 4, (5,), 2), RangeCheck("c", 16, (7,), -1))
)


def test_checks_of_one_size_share_a_lookup() -> None:
    assert CHECKS.lookups == (Lookup(4, ((5,),), (2,)), Lookup(16, ((2, 3), (7,)), (0, -1)))
    assert CHECKS.counts == {"counts4": (4,), "counts16": (16,)}
    assert CHECKS.lookers({"c": "C", "b": "B", "a": "A"}) == [["B"], ["A", "C"]]


def test_claims_find_their_tensors() -> None:
    a, b, c, four, sixteen = (Value(((k,),), k) for k in range(5))
    claims = [LookupClaims((b,), four), LookupClaims((a, c), sixteen)]
    assert CHECKS.values(claims) == {"a": a, "b": b, "c": c}
    assert CHECKS.on_counts(claims) == [
        Claim("counts4", AxisWeights.at(four.point), 3),
        Claim("counts16", AxisWeights.at(sixteen.point), 4),
    ]
