"""Commit to a model, prove its inference, verify: what the command line does, as functions."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zkbench.bench.timers import PhaseTimer
from zkbench.commitments.interleaved import ProverData
from zkbench.commitments.schemes import DEFAULT, Scheme
from zkbench.errors import UnusableInput
from zkbench.files import NewFile, PathLike, read_json, write_together
from zkbench.kernels.launch import Target
from zkbench.models.mlp import IntegerMLP
from zkbench.proof import Proof, ProofRejected, canonical_json
from zkbench.protocols.mlp_inference import MlpInference, ModelTensors
from zkbench.security import MINIMUM_BITS, total_bits
from zkbench.statement import ModelCommitment, Statement
from zkbench.transcript import ProverTranscript, VerifierTranscript

MODEL_FILE = "integer_model.safetensors"
COMMITMENT_FILE = "commitment.json"


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
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnusableInput(f"cannot make the folder {folder}: {error.strerror}") from error
    secret = NewFile(folder / MODEL_FILE, committed.model.to_bytes(), mode=0o600)
    public = NewFile(folder / COMMITMENT_FILE, json_file(committed.public.to_json()))
    write_together([secret, public])


def load_committed(directory: PathLike, target: Target) -> CommittedModel:
    """Read what ``save_committed`` wrote and commit again; both must agree."""
    folder = Path(directory)
    if not folder.is_dir():
        raise UnusableInput(f"{folder} is no folder that zkbench commit wrote")
    model = IntegerMLP.load(folder / MODEL_FILE)
    public = read_commitment(folder / COMMITMENT_FILE)
    committed = commit_model(model, target, public.scheme)
    if committed.public != public:
        raise UnusableInput(
            f"{folder / COMMITMENT_FILE} is not the commitment to the model beside it;"
            " run zkbench commit again"
        )
    return committed


def read_commitment(path: PathLike) -> ModelCommitment:
    """Read a public commitment."""
    return ModelCommitment.from_json(read_json(path), os.fspath(path))


def read_statement(path: PathLike) -> Statement:
    """Read a statement."""
    return Statement.from_json(read_json(path), os.fspath(path))


def json_file(value: Any) -> bytes:
    """Canonical JSON with a final newline, as files hold it."""
    return canonical_json(value) + b"\n"


def _header(protocol: MlpInference, statement: Statement) -> dict[str, Any]:
    """The digest is there for a clear message; what binds the statement is the transcript."""
    return {"protocol": protocol.to_json(), "statement": statement.digest}


def _same(a: Any, b: Any) -> bool:
    """Equal as JSON: Python's own comparison takes 1 for true and for 1.0."""
    return canonical_json(a) == canonical_json(b)


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
    bits = total_bits(protocol.soundness_terms())
    if not bits >= minimum_bits:  # so that NaN is never enough
        raise UnusableInput(
            f"these sizes and parameters give {bits:.1f} bits of soundness, below {minimum_bits:g};"
            " use smaller batches or more queries, or ask for it by --minimum-bits"
        )
    with timer.phase("witness"):
        trace = committed.model.forward(inputs)
        witness = protocol.witness(target, trace, trace.labels)
    statement = Statement(public.digest, inputs, trace.labels)
    transcript = ProverTranscript(protocol.field, _header(protocol, statement))
    _bind(transcript, public, statement)
    protocol.prove(
        transcript, target, committed.data, committed.tensors, witness, trace.labels, timer
    )
    return transcript.finish(), statement


def _bind(transcript: Any, public: ModelCommitment, statement: Statement) -> None:
    """All public data goes in first: nothing of it can be chosen after a challenge is known."""
    transcript.bind("model", public.to_json())
    transcript.bind("statement", statement.to_json())


def proof_batch(proof: bytes, public: ModelCommitment, what: str = "the proof") -> int:
    """The batch size that a proof's header claims; nothing is verified.

    Raises UnusableInput for what is no proof, or one with other parameters than the commitment's.
    """
    try:
        claimed = Proof.from_bytes(proof).header.get("protocol")
    except ProofRejected as error:
        raise UnusableInput(f"{what} cannot be read: {error}") from error
    batch = claimed.get("batch") if isinstance(claimed, dict) else None
    if type(batch) is not int or batch < 1:
        raise UnusableInput(f"{what} is not the proof of an inference")
    if not _same(claimed, public.protocol(batch).to_json()):
        raise UnusableInput(f"{what} was made with other parameters than the commitment's")
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
    if statement.model != public.digest:
        raise ProofRejected("the statement is about another model")
    rows, features = statement.inputs.shape
    if features != public.dims[0] or statement.labels.max() >= public.dims[-1]:
        raise ProofRejected("the statement's inputs or labels do not fit the model")
    protocol = public.protocol(rows)
    bits = total_bits(protocol.soundness_terms())
    if not bits >= minimum_bits:  # so that NaN is never enough
        raise ProofRejected(f"its parameters give only {bits:.1f} bits of soundness")
    parsed = Proof.from_bytes(proof)
    header = _header(protocol, statement)
    if not _same(parsed.header.get("protocol"), header["protocol"]):
        raise ProofRejected("the proof was made with other parameters")
    if not _same(parsed.header, header):
        raise ProofRejected("the proof is of another statement")
    transcript = VerifierTranscript(protocol.field, parsed)
    _bind(transcript, public, statement)
    protocol.verify(transcript, public.commitment, statement.inputs, statement.labels)
    transcript.finish()
    return bits
