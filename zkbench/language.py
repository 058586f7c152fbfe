"""Commit to a language model, prove its inference, verify: what the command line does, as functions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from zkbench import binding
from zkbench.bench.timers import PhaseTimer
from zkbench.commitments.interleaved import ProverData
from zkbench.commitments.schemes import DEFAULT, Scheme
from zkbench.errors import UnusableInput
from zkbench.files import NewFile, PathLike, read_bytes, read_json
from zkbench.kernels.launch import Array, Target
from zkbench.language_memory import require_commit_memory, require_memory
from zkbench.language_plan import LanguagePlan, claimed_plan
from zkbench.language_segments import LanguageProver, verify_segments
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
from zkbench.placed_model import PlacedModel
from zkbench.progress import Note, silent
from zkbench.proof import ProofRejected
from zkbench.security import MINIMUM_BITS

_TOKENIZER_FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"))


@dataclass(frozen=True)
class CommittedLanguageModel:
    """The prover's side: the integer model, its tensors on a target, and the Merkle tree."""

    placed: PlacedModel
    public: LanguageCommitment
    data: ProverData
    tensors: Mapping[str, Array]

    @property
    def model(self) -> IntegerLanguageModel:
        """As it is on the host."""
        return self.placed.model


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
    require_commit_memory(model.config, scheme, target)
    placed = PlacedModel.of(model, target)
    data, tensors = placed.commit(target, scheme)
    public = replace(asked, root=data.commitment.root)
    return CommittedLanguageModel(placed, public, data, tensors)


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
    segment: int | None = None,
    note: Note = silent,
) -> tuple[bytes, LanguageStatement]:
    """Prove which tokens the model chooses behind ``positions`` (rising; the last) of ``tokens``.

    segment: layers whose witness is there at once; all if None. Raises UnusableInput for tokens that the
    model has not, too little memory or soundness, QuantisationError where a value leaves its range.
    """
    timer = timer or PhaseTimer()
    public = committed.public
    check_prompt(public, tokens)
    asked = np.array([len(tokens) - 1]) if positions is None else positions
    claimed = LanguageStatement(public.digest, tokens, asked, np.zeros_like(asked))
    planned = LanguagePlan.of(public, claimed, segment)
    remedy = "use fewer tokens" if planned.is_whole else "use fewer tokens or longer segments"
    binding.require_bits(planned.soundness_terms(), minimum_bits, remedy)
    require_memory(planned, target)
    model = committed.placed, committed.data, committed.tensors
    return LanguageProver(*model, target, timer, note).prove(planned)


def check_prompt(public: LanguageCommitment, tokens: np.ndarray) -> None:
    """Raises UnusableInput for no tokens, and for those that there is no proof about."""
    if tokens.size == 0:
        raise UnusableInput("the prompt is empty; a proof needs at least one token")
    if misfit := public.misfit(tokens):
        raise UnusableInput(misfit)


def proof_sizes(
    proof: bytes, public: LanguageCommitment, what: str = "the proof"
) -> tuple[int, int, int]:
    """How many tokens, positions and layers a segment a proof's header claims; nothing is verified.

    Raises UnusableInput for what is no proof, or one with other parameters than the commitment's.
    """
    claimed, layers = binding.claimed_protocol(proof, what), public.config.layers
    names = ("tokens", "positions")
    tokens, positions = (binding.claimed_count(claimed, n, MAX_TOKENS, what) for n in names)
    segment = layers
    if "segment" in claimed:
        segment = binding.claimed_count(claimed, "segment", layers, what)
    plan = LanguagePlan.of_sizes(public, tokens, positions, segment)
    binding.require_protocol(claimed, plan.protocol(), what)
    return tokens, positions, segment


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
    plan = claimed_plan(proof, statement, public)
    bits = binding.sufficient_bits(plan.soundness_terms(), minimum_bits)
    verify_segments(plan, proof)
    return bits
