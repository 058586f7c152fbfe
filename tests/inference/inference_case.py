"""Random integer models, their definition in Python integers, and proofs of their inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from zkbench.commitments.ligero import Ligero
from zkbench.inference import CommittedModel, commit_model, prove_inference, verify_inference
from zkbench.kernels.launch import cpu_target
from zkbench.models.mlp import IntegerMLP
from zkbench.quant.formats import FixedPoint, QuantisationError
from zkbench.statement import Statement

# Small enough for thousands of runs. Every test is deterministic: the transcript is.
SMALL = Ligero(queries=24, grinding_bits=4)
FEW_BITS = 10.0  # what SMALL gives; a verifier must ask for that little by name
FORMAT = FixedPoint(16, 8)

# Two hidden stacks, one of two layers; the output is a third.
DIMS = (5, 6, 6, 6, 3)


def random_model(
    rng: np.random.Generator, dims: Sequence[int], shift: int, scale: float = 1.0
) -> IntegerMLP:
    """Weights near ``scale`` 2^shift / sqrt(fan-in): values keep their size through layers."""
    weights, biases = [], []
    for d_in, d_out in pairwise(dims):
        most = min(2**15 - 1, max(1, int(scale * 2**shift / d_in**0.5)))
        weights.append(rng.integers(-most, most, (d_in, d_out), endpoint=True).astype(np.int16))
        biases.append(rng.integers(-(2 ** (shift + 6)), 2 ** (shift + 6), d_out))
    formats = tuple(FORMAT for _ in weights)
    return IntegerMLP(tuple(weights), tuple(biases), shift, FORMAT, formats)


def random_inputs(rng: np.random.Generator, batch: int, features: int, bound: int) -> np.ndarray:
    return rng.integers(-bound, bound, (batch, features), endpoint=True).astype(np.int16)


def inputs_in_range(
    rng: np.random.Generator, model: IntegerMLP, batch: int, bound: int = 2**15 - 1
) -> np.ndarray:
    """Inputs as large as the model takes without leaving 16 bits, by halving the bound."""
    while True:
        inputs = random_inputs(rng, batch, model.dims[0], bound)
        try:
            model.forward(inputs)
            return inputs
        except QuantisationError:
            bound //= 2


def labels_by_definition(model: IntegerMLP, inputs: np.ndarray) -> list[int]:
    """The model in Python integers: the head of models/mlp.py, word by word."""
    half = 1 << (model.shift - 1)
    labels = []
    for x in inputs.tolist():
        for layer, (weight, bias) in enumerate(zip(model.weights, model.biases, strict=True)):
            columns = zip(*weight.tolist(), strict=True)
            acc = [
                sum(a * w for a, w in zip(x, column, strict=True)) + b
                for column, b in zip(columns, bias.tolist(), strict=True)
            ]
            y = [(value + half) >> model.shift for value in acc]
            x = y if layer == model.depth - 1 else [max(value, 0) for value in y]
        labels.append(x.index(max(x)))
    return labels


@dataclass
class Case:
    """A committed model and a proof about some inputs."""

    committed: CommittedModel
    inputs: np.ndarray
    proof: bytes
    statement: Statement
    minimum_bits: float = FEW_BITS

    @classmethod
    def of(
        cls,
        model: IntegerMLP,
        inputs: np.ndarray,
        scheme: Ligero = SMALL,
        minimum_bits: float = FEW_BITS,
    ) -> Case:
        committed = commit_model(model, cpu_target(), scheme)
        proof, statement = prove_inference(
            committed, inputs, cpu_target(), minimum_bits=minimum_bits
        )
        return cls(committed, inputs, proof, statement, minimum_bits)

    @classmethod
    def random(cls, seed: int, dims: Sequence[int] = DIMS, shift: int = 12, batch: int = 3) -> Case:
        rng = np.random.default_rng(seed)
        model = random_model(rng, dims, shift)
        return cls.of(model, inputs_in_range(rng, model, batch))

    def verify(self, proof: bytes | None = None, statement: Statement | None = None) -> float:
        return verify_inference(
            self.proof if proof is None else proof,
            statement or self.statement,
            self.committed.public,
            self.minimum_bits,
        )
