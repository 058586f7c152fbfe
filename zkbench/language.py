"""Commit to a language model, prove its inference, verify: what the command line does, as functions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from zkbench import binding
from zkbench.bench.timers import PhaseTimer
from zkbench.commitments.interleaved import ProverData
from zkbench.commitments.schemes import DEFAULT, Scheme
from zkbench.errors import UnusableInput
from zkbench.fields import Field
from zkbench.files import NewFile, PathLike, read_bytes, read_json
from zkbench.kernels.launch import Array, Target
from zkbench.language_statement import (
    MAX_TOKENS,
    LanguageCommitment,
    LanguageStatement,
    TokenizerReference,
)
from zkbench.model_folder import (
    COMMITMENT_FILE,
    model_folder,
    require_same,
    write_model_folder,
)
from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.integer_model import IntegerLanguageModel
from zkbench.models.language.tokenizer import BYTES, ByteTokenizer, Tokenizer, load_tokenizer
from zkbench.placement import Place, fit_workspace, pin, place_on, weights_stay_on_host
from zkbench.proof import ProofRejected
from zkbench.protocols.language_inference import LanguageInference, model_shapes
from zkbench.protocols.language_witness import (
    StackedModel,
    WitnessTensors,
    model_arrays,
    model_tensors,
)
from zkbench.protocols.rotary_tables import RotaryTables
from zkbench.security import MINIMUM_BITS
from zkbench.transcript import VerifierTranscript

_TOKENIZER_FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"))
# Bytes of host memory, at least: for a committed integer its int16 and the copy that layers are
# stacked into; for a value of the witness itself and its remainder, and where a CPU proves, what
# lookups and openings need besides (49 to 75 were measured).
_PARAMETER_BYTES = 4
_WITNESS_BYTES = {"cpu": 32, "cuda": 4}


@dataclass(frozen=True)
class CommittedLanguageModel:
    """The prover's side: the integer model, its tensors on a target, and the Merkle tree.

    model: as it is on the host; placed: the same from the stacks in ``arrays``, where it computes.
    """

    model: IntegerLanguageModel
    placed: StackedModel
    public: LanguageCommitment
    data: ProverData
    arrays: Mapping[str, Any]
    tensors: Mapping[str, Array]


def commit_language_model(
    model: IntegerLanguageModel,
    target: Target,
    scheme: Scheme | None = None,
    tokenizer: TokenizerReference | None = None,
) -> CommittedLanguageModel:
    """Commit to a model's embedding, matrices and biases.

    Raises UnusableInput, before anything is computed, for a model that has no proof, and where
    memory does not suffice.
    """
    scheme = scheme or DEFAULT
    asked = LanguageCommitment(scheme, bytes(32), model.config, model.formats, tokenizer)
    _require_memory(
        _PARAMETER_BYTES * asked.parameters,
        f"a commitment to {asked.parameters:,} parameters",
        "commit to a smaller model or on a machine with more",
    )
    place, arrays, tensors = _placed_tensors(model, target, scheme.field)
    fit_workspace(target)
    shapes = model_shapes(model.config)
    data = scheme.commit(target, {name: tensors[name] for name in shapes}, shapes)
    public = replace(asked, root=data.commitment.root)
    placed = StackedModel(model, arrays, place)
    return CommittedLanguageModel(model, placed, public, data, arrays, tensors)


def _placed_tensors(
    model: IntegerLanguageModel, target: Target, field: Field
) -> tuple[Place, dict[str, Any], dict[str, Array]]:
    """(where the model computes, its stacks there or on the host, the same on the target)."""
    place = place_on(target)
    num_bytes = 2 * sum(prod(shape) for shape in model_shapes(model.config).values())
    on_host = weights_stay_on_host(target, num_bytes)
    arrays = model_arrays(model, np.asarray if on_host else place)
    if on_host:
        pin(target, arrays)
    return place, arrays, model_tensors(target, field, arrays, on_host)


def _require_memory(needed: int, what: str, remedy: str) -> None:
    available = psutil.virtual_memory().available
    if needed > available:
        raise UnusableInput(
            f"{what} takes {needed / 2**30:,.1f} GiB of memory at least, and"
            f" {available / 2**30:,.1f} GiB are free; {remedy}"
        )


# Files.


def tokenizer_files(folder: PathLike) -> dict[str, bytes]:
    """The files of a folder from which ``load_tokenizer`` makes its tokenizer; none for bytes."""
    for names in _TOKENIZER_FILES:
        if all((Path(folder) / name).exists() for name in names):
            return {name: read_bytes(Path(folder) / name) for name in names}
    return {}


def tokenizer_reference(
    files: Mapping[str, bytes], config: LanguageModelConfig
) -> TokenizerReference | None:
    """What a commitment says of these files; None: prompts are tokens."""
    return TokenizerReference.of(files) if files or config.vocab == BYTES else None


def find_tokenizer(folder: PathLike, public: LanguageCommitment) -> Tokenizer:
    """The commitment's tokenizer, from the files beside it; raises UnusableInput for another."""
    if public.tokenizer is None:
        raise UnusableInput("the model has no tokenizer; give --tokens instead of --prompt")
    if not public.tokenizer.files:
        return ByteTokenizer()
    if TokenizerReference.of(tokenizer_files(folder)) != public.tokenizer:
        raise UnusableInput(f"{folder} does not hold the tokenizer that the commitment names")
    return load_tokenizer(folder, public.config)


def save_language_model(
    committed: CommittedLanguageModel, directory: PathLike, tokenizer: Mapping[str, bytes]
) -> None:
    """Write the secret model file, the tokenizer's files and the public commitment, all or none."""
    others = [NewFile(name, data) for name, data in tokenizer.items()]
    content = committed.model.content()
    write_model_folder(directory, content, committed.public.to_json(), others)


def load_language_model(directory: PathLike, target: Target) -> CommittedLanguageModel:
    """Read what ``save_language_model`` wrote and commit again; both must agree."""
    folder = model_folder(directory)
    public = read_language_commitment(folder / COMMITMENT_FILE)
    model = IntegerLanguageModel.load(folder)
    committed = commit_language_model(model, target, public.scheme, public.tokenizer)
    require_same(folder, committed.public, public)
    return committed


def read_language_commitment(path: PathLike) -> LanguageCommitment:
    """Read a public commitment."""
    return LanguageCommitment.from_json(read_json(path), os.fspath(path))


def read_language_statement(path: PathLike) -> LanguageStatement:
    """Read a statement."""
    return LanguageStatement.from_json(read_json(path), os.fspath(path))


# Proofs.


def prove_language_inference(
    committed: CommittedLanguageModel,
    tokens: np.ndarray,
    target: Target,
    positions: np.ndarray | None = None,
    timer: PhaseTimer | None = None,
    minimum_bits: float = MINIMUM_BITS,
) -> tuple[bytes, LanguageStatement]:
    """Prove which tokens the model chooses behind ``positions`` (rising; the last) of ``tokens``.

    Raises UnusableInput for tokens that the model has not, too little memory or soundness,
    QuantisationError where a value leaves its range.
    """
    timer = timer or PhaseTimer()
    public = committed.public
    check_prompt(public, tokens)
    asked = np.array([len(tokens) - 1]) if positions is None else positions
    claimed = LanguageStatement(public.digest, tokens, asked, np.zeros_like(asked))
    _check_costs(public.inference(claimed), target, minimum_bits)
    with timer.phase("witness"):
        trace = committed.placed.forward(tokens, asked)
        chosen = np.array(trace.output.chosen.tolist(), dtype=np.int64)
        statement = LanguageStatement(public.digest, tokens, asked, chosen)
        inference = public.inference(statement)
        _check_tables(committed.model, inference)
        witness = WitnessTensors(inference, committed.arrays, trace).to_target(target)
        fit_workspace(target)
    identity = public.protocol(*statement.sizes)
    transcript = binding.begin_proof(inference.field, identity, public, statement)
    tensors = {**committed.tensors, **witness}
    inference.program.prove(transcript, target, [committed.data], tensors, timer)
    return transcript.finish(), statement


def check_prompt(public: LanguageCommitment, tokens: np.ndarray) -> None:
    """Raises UnusableInput for no tokens, and for those that there is no proof about."""
    if tokens.size == 0:
        raise UnusableInput("the prompt is empty; a proof needs at least one token")
    if misfit := public.misfit(tokens):
        raise UnusableInput(misfit)


def _check_costs(inference: LanguageInference, target: Target, minimum_bits: float) -> None:
    program = inference.program
    binding.require_bits(program.soundness_terms(), minimum_bits, "use fewer tokens")
    values = sum(int(np.prod(shape)) for shape in program.witness.values())
    what = f"a proof about {len(inference.tokens)} positions"
    needed = _WITNESS_BYTES[target.name] * values
    _require_memory(needed, what, "use fewer tokens or a machine with more")


def _check_tables(model: IntegerLanguageModel, inference: LanguageInference) -> None:
    """The forward pass must look up what the proof does: libraries' exp and cos differ in last bits."""
    tables: Any = model.tables(len(inference.tokens))
    exponentials, activation = (lookup.table.values for lookup in inference.program.lookups)
    same = np.array_equal(tables.exponentials, exponentials)
    same &= tables.activation is None or np.array_equal(tables.activation, activation)
    if model.config.is_llama:
        half = model.config.head_width // 2
        rotary = RotaryTables.of(len(inference.tokens), half, model.config.rope_theta)
        same &= np.array_equal(tables.cos, rotary.cos) and np.array_equal(tables.sin, rotary.sin)
    if not same:
        raise UnusableInput(
            "this machine's exp or cos rounds a table's entry otherwise than a proof does;"
            " prove on another machine or with fewer tokens"
        )


def proof_sizes(
    proof: bytes, public: LanguageCommitment, what: str = "the proof"
) -> tuple[int, int]:
    """How many tokens and positions a proof's header claims; nothing is verified.

    Raises UnusableInput for what is no proof, or one with other parameters than the commitment's.
    """
    claimed = binding.claimed_protocol(proof, what)
    names = ("tokens", "positions")
    tokens, positions = (binding.claimed_count(claimed, n, MAX_TOKENS, what) for n in names)
    binding.require_protocol(claimed, public.protocol(tokens, positions), what)
    return tokens, positions


def verify_language_inference(
    proof: bytes,
    statement: LanguageStatement,
    public: LanguageCommitment,
    minimum_bits: float = MINIMUM_BITS,
) -> float:
    """Return the bits of soundness with which the proof shows the statement.

    Raises ProofRejected, with the reason, for any other bytes.
    """
    binding.require_model(public, statement.model)
    if misfit := public.misfit(statement.tokens):
        raise ProofRejected(f"the statement does not fit the model: {misfit}")
    if statement.chosen.max() >= public.config.vocab:
        raise ProofRejected("the statement does not fit the model: a chosen token is none of its")
    inference = public.inference(statement)
    bits = binding.sufficient_bits(inference.program.soundness_terms(), minimum_bits)

    def script(transcript: VerifierTranscript) -> None:
        inference.program.verify(transcript, [public.commitment])

    identity = public.protocol(*statement.sizes)
    binding.verify_bound(proof, inference.field, identity, public, statement, script)
    return bits
