"""Commit to a model, prove its inference, verify: what the command line does, as functions."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from zkbench import binding
from zkbench.bench.timers import PhaseTimer
from zkbench.commitments.interleaved import ProverData
from zkbench.commitments.schemes import DEFAULT, Scheme
from zkbench.files import PathLike, read_json
from zkbench.kernels.launch import Target
from zkbench.model_folder import (
    COMMITMENT_FILE,
    MODEL_FILE,
    model_folder,
    require_same,
    write_model_folder,
)
from zkbench.models.mlp import IntegerMLP
from zkbench.proof import ProofRejected
from zkbench.protocols.mlp_inference import MlpInference, ModelTensors
from zkbench.security import MINIMUM_BITS
from zkbench.statement import MAX_BATCH, ModelCommitment, Statement
from zkbench.transcript import VerifierTranscript


@dataclass(frozen=True)
class CommittedModel:
    """The prover's side: the integer model, its tensors and Merkle tree on a target."""

    model: IntegerMLP
    public: ModelCommitment
    data: ProverData
    tensors: ModelTensors


def commit_model(model: IntegerMLP, target: Target, scheme: Scheme | None = None) -> CommittedModel:
    """Commit to a model's weights and biases."""
    scheme = scheme or DEFAULT
    weights, biases = [], []
    committed: dict[str, Any] = {}
    for s, stack in enumerate(model.stacks()):
        weights.append(target.to_device(np.stack([model.weights[l] for l in stack.layers])))
        bias = np.stack([model.biases[l] for l in stack.layers])
        biases.append(target.to_device(scheme.field.lift(bias)))
        committed |= {f"weights{s}": weights[-1], f"biases{s}": target.to_device(bias)}
    data = scheme.commit(target, committed, MlpInference.weight_shapes(model.dims))
    public = ModelCommitment(
        scheme,
        data.commitment.root,
        model.dims,
        model.shift,
        model.input_format,
        tuple(model.formats),
    )
    return CommittedModel(model, public, data, ModelTensors(tuple(weights), tuple(biases)))


def save_committed(committed: CommittedModel, directory: PathLike) -> None:
    """Write the secret model file and the public commitment.json, both or neither."""
    write_model_folder(directory, committed.model.to_bytes(), committed.public.to_json())


def load_committed(directory: PathLike, target: Target) -> CommittedModel:
    """Read what ``save_committed`` wrote and commit again; both must agree."""
    folder = model_folder(directory)
    model = IntegerMLP.load(folder / MODEL_FILE)
    public = read_commitment(folder / COMMITMENT_FILE)
    committed = commit_model(model, target, public.scheme)
    require_same(folder, committed.public, public)
    return committed


def read_commitment(path: PathLike) -> ModelCommitment:
    """Read a public commitment."""
    return ModelCommitment.from_json(read_json(path), os.fspath(path))


def read_statement(path: PathLike) -> Statement:
    """Read a statement."""
    return Statement.from_json(read_json(path), os.fspath(path))


def prove_inference(
    committed: CommittedModel,
    inputs: np.ndarray,
    target: Target,
    timer: PhaseTimer | None = None,
    minimum_bits: float = MINIMUM_BITS,
) -> tuple[bytes, Statement]:
    """Prove which labels the model gives to ``inputs`` (int16, batch x features).

    Raises QuantisationError where a value leaves its range, UnusableInput if the parameters are not
    sound enough.
    """
    timer = timer or PhaseTimer()
    public = committed.public
    protocol = public.protocol(len(inputs))
    remedy = "use smaller batches or more queries"
    binding.require_bits(protocol.soundness_terms(), minimum_bits, remedy)
    with timer.phase("witness"):
        trace = committed.model.forward(inputs)
        witness = protocol.witness(target, trace, trace.labels)
    statement = Statement(public.digest, inputs, trace.labels)
    transcript = binding.begin_proof(protocol.field, protocol.to_json(), public, statement)
    protocol.prove(
        transcript, target, committed.data, committed.tensors, witness, trace.labels, timer
    )
    return transcript.finish(), statement


def proof_batch(proof: bytes, public: ModelCommitment, what: str = "the proof") -> int:
    """The batch size that a proof's header claims; nothing is verified.

    Raises UnusableInput for what is no proof, or one with other parameters than the commitment's.
    """
    claimed = binding.claimed_protocol(proof, what)
    batch = binding.claimed_count(claimed, "batch", MAX_BATCH, what)
    binding.require_protocol(claimed, public.protocol(batch).to_json(), what)
    return batch


def verify_inference(
    proof: bytes,
    statement: Statement,
    public: ModelCommitment,
    minimum_bits: float = MINIMUM_BITS,
) -> float:
    """Return the bits of soundness with which the proof shows the statement.

    Raises ProofRejected, with the reason, for any other bytes.
    """
    binding.require_model(public, statement.model)
    rows, features = statement.inputs.shape
    if features != public.dims[0] or statement.labels.max() >= public.dims[-1]:
        raise ProofRejected("the statement's inputs or labels do not fit the model")
    protocol = public.protocol(rows)
    bits = binding.sufficient_bits(protocol.soundness_terms(), minimum_bits)

    def script(transcript: VerifierTranscript) -> None:
        protocol.verify(transcript, public.commitment, statement.inputs, statement.labels)

    identity = protocol.to_json()
    binding.verify_bound(proof, protocol.field, identity, public, statement, script)
    return bits
