"""Microbenchmark of zkAttn: causal softmax attention of a stack of layers, with all its lookups.

Queries, keys and values are random, of a size that makes scores differ by a few nats, and are public
like every case's inputs; indices, shifts and outputs follow from them by the integer model, in set-up,
untimed. So do the remainders: in a model they are by-products of the forward pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zkbench.bench.protocol_case import FIELD, SCHEME, ProtocolCase
from zkbench.bench.registry import register
from zkbench.bench.timers import PhaseTimer
from zkbench.commitments.claims import AxisWeights, Claim, EqAxis
from zkbench.commitments.dense_weights import PointTables
from zkbench.commitments.interleaved import Commitment, ProverData
from zkbench.errors import UnusableInput
from zkbench.kernels.contract import contract, dot
from zkbench.kernels.launch import Array, cpu_target
from zkbench.proof import ProofRejected
from zkbench.protocols.causal_tiles import AttentionShape
from zkbench.protocols.range_checks import RangeChecks
from zkbench.protocols.tables import Exp
from zkbench.protocols.tlookup import TLookup
from zkbench.protocols.zkattn import AttentionWitness, ZkAttn
from zkbench.quant.attention import IntegerAttention
from zkbench.security import Term
from zkbench.transcript import ProverTranscript, VerifierTranscript

MAX_LOG_BLOCK = 7
SCORE_SHIFT = 12
SPREAD = 1.0  # standard deviation of random scores, in nats
