"""The suite's own microbenchmarks, one protocol each; importing this module registers them."""

from zkbench.bench.commitment_case import CommitmentCase
from zkbench.bench.lookup_cases import ReluCase, RescaleCase, TLookupCase, TLookupInversesCase
from zkbench.bench.product_cases import HadamardCase, MatMulCase

__all__ = [
    "CommitmentCase",
    "HadamardCase",
    "MatMulCase",
    "ReluCase",
    "RescaleCase",
    "TLookupCase",
    "TLookupInversesCase",
]
