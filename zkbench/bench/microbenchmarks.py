"""The suite's own benchmarks: single protocols and whole models; importing registers them."""

from zkbench.bench.attention_cases import ZkAttnCase
from zkbench.bench.commitment_case import CommitmentCase
from zkbench.bench.inference_case import InferenceCase
from zkbench.bench.language_case import LanguageCase
from zkbench.bench.lookup_cases import ReluCase, RescaleCase, TLookupCase, TLookupInversesCase
from zkbench.bench.norm_cases import RMSNormCase
from zkbench.bench.product_cases import HadamardCase, MatMulCase
from zkbench.bench.relu_cases import ReluByBits, ReluByTables
from zkbench.bench.rotary_cases import RotaryCase
from zkbench.bench.training_case import TrainingCase

__all__ = [
    "CommitmentCase",
    "HadamardCase",
    "InferenceCase",
    "LanguageCase",
    "MatMulCase",
    "RMSNormCase",
    "ReluByBits",
    "ReluByTables",
    "ReluCase",
    "RescaleCase",
    "RotaryCase",
    "TLookupCase",
    "TLookupInversesCase",
    "TrainingCase",
    "ZkAttnCase",
]
