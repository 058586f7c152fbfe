"""A tiny language model, proofs of its inferences, and a prover whose every part may lie.

``forge`` runs an honest prover on values that are changed where a test says so; what follows from a
change is honest again. Remainders are those that make the equations true, outside of their ranges if
need be, or, for the names in ``in_range``, ones in range that do not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from bold_provers import BoldProgram
from lying_forward import Change, LyingWitness, as_it_is, forward

from zkbench.bench.timers import PhaseTimer
from zkbench.commitments.interleaved import ProverData
from zkbench.commitments.whir import Whir
from zkbench.kernels.launch import cpu_target
from zkbench.models.language.checkpoint import RandomWeights
from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.integer_model import IntegerLanguageModel
from zkbench.models.language.integer_tensors import HeldTensors, described_tensors
from zkbench.models.language.trace import LanguageTrace
from zkbench.proof import Proof, ProofRejected
from zkbench.protocols.language_inference import LanguageInference
from zkbench.protocols.language_weights import model_arrays, model_tensors
from zkbench.protocols.program import Program
from zkbench.quant.language_calibration import calibrate_language_model
from zkbench.transcript import ProverTranscript, VerifierTranscript

TARGET = cpu_target()
SCHEME = Whir(security_bits=30, grinding_bits=3)  # enough that chance accepts nothing here
TOKENS, POSITIONS, BLOCK = 11, (3, 10), 4

NOT_IN_TABLE = "a looked-up value is not in its table"
WRONG_OPENING = "opening: the claims do not hold"
WRONG_PRODUCT = "a matrix product is wrong"
WRONG_SCORE, WRONG_MEAN = "an attention score is wrong", "an attention output is wrong"
WRONG_INDEX = "an index does not point into its table"
NOT_THE_TABLES = "a looked-up output is not the table's"
WRONG_LABELS = "the labels are not the largest outputs"
WRONG_ROTATION = "a rotation is wrong"
MASKED_WEIGHT = "a masked position has a weight"
WRONG_ENTRIES = "an entrywise product is wrong"
WRONG_SCALING = "a norm's output is not its input times r"
SMALL_ROOT, SMALL_INVERSE = "a norm's root is too small", "a norm's inverse is too small"
WRONG_ROOTS = "a norm's root or its inverse is wrong"
WRONG_LAYER = "a layer of the fraction tree does not sum to the one above"
WRONG_SQUARES = "a norm's sum of squares is wrong"

LLAMA = LanguageModelConfig(
    family="llama",
    vocab=19,
    width=12,
    layers=3,
    heads=6,
    kv_heads=2,
    head_width=4,
    ffn_width=10,
    max_positions=32,
    embedding_width=12,
)
OPT = replace(
    LLAMA,
    family="opt",
    heads=3,
    kv_heads=3,
    tied=True,
    activation="relu",
    attention_bias=True,
    ffn_bias=True,
)
NORMS_LAST = replace(OPT, norm_first=False, embedding_width=8)  # OPT-350M's shape
CONFIGS = {"llama": LLAMA, "opt": OPT, "norms last": NORMS_LAST}

Arrays = Mapping[str, np.ndarray]


def some_tokens(config: LanguageModelConfig, count: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, config.vocab, count)


def random_model(config: LanguageModelConfig, seed: int = 1) -> IntegerLanguageModel:
    """Random weights, calibrated on random tokens."""
    tokens = some_tokens(config, 201, 0)
    model, _ = calibrate_language_model(RandomWeights(config, seed), tokens, window=20)
    return model.in_memory()


def with_tensors(
    model: IntegerLanguageModel, tensors: Mapping[str, np.ndarray]
) -> IntegerLanguageModel:
    """The same model with some tensors replaced."""
    held = {name: model.tensor(name) for name in described_tensors(model.config)}
    return IntegerLanguageModel(model.config, model.formats, HeldTensors({**held, **tensors}))


def inference_of(
    model: IntegerLanguageModel, trace: LanguageTrace, scheme: Whir = SCHEME
) -> LanguageInference:
    return LanguageInference(
        scheme,
        model.config,
        model.formats,
        trace.tokens,
        trace.positions,
        trace.output.chosen,
        trace.block,
    )


@dataclass(frozen=True, eq=False)
class Case:
    """A committed model, and an inference of it that is true."""

    model: IntegerLanguageModel
    tokens: np.ndarray
    data: ProverData
    inference: LanguageInference

    @classmethod
    def of(
        cls,
        model: IntegerLanguageModel,
        tokens: np.ndarray,
        positions: Sequence[int] = POSITIONS,
        block: int = BLOCK,
    ) -> Case:
        trace = model.forward(tokens, np.array(positions), block)
        inference = inference_of(model, trace)
        return cls(model, tokens, committed(inference, model_arrays(model)), inference)

    def verify(self, proof: bytes, inference: LanguageInference | None = None) -> None:
        """Raises ProofRejected unless the proof is one of this inference."""
        inference = inference or self.inference
        transcript = VerifierTranscript(inference.field, Proof.from_bytes(proof))
        bind(transcript, inference, self.data)
        inference.program.verify(transcript, [self.data.commitment])
        transcript.finish()

    def rejection(self, proof: bytes, inference: LanguageInference | None = None) -> str:
        """Why it is rejected."""
        with pytest.raises(ProofRejected) as rejected:
            self.verify(proof, inference)
        return str(rejected.value)


@cache
def case_of(family: str) -> Case:
    model = random_model(CONFIGS[family])
    return Case.of(model, some_tokens(model.config, TOKENS))


def committed(inference: LanguageInference, arrays: Arrays, target: Any = TARGET) -> ProverData:
    shapes = inference.weight_shapes()
    tensors = model_tensors(target, inference.field, arrays)
    return inference.scheme.commit(target, {name: tensors[name] for name in shapes}, shapes)


def bind(transcript: Any, inference: LanguageInference, data: ProverData) -> None:
    """All that is public."""
    transcript.bind("model", data.commitment.to_json())
    described = [inference.config.to_dict(), inference.formats.to_dict(), inference.block]
    transcript.bind("formats", described)
    for name in ("tokens", "positions", "chosen"):
        transcript.bind(name, getattr(inference, name).tolist())


def prove(
    inference: LanguageInference,
    data: ProverData,
    tensors: Mapping[str, Any],
    program: Program | None = None,
    wrap: Callable[[ProverTranscript], Any] = lambda transcript: transcript,
    target: Any = TARGET,
) -> bytes:
    """``program``: the prover's own; ``wrap``: what it talks to in place of the transcript."""
    transcript = ProverTranscript(inference.field)
    bind(transcript, inference, data)
    work = (wrap(transcript), target, [data], dict(tensors), PhaseTimer())
    (program or inference.program).prove(*work)
    return transcript.finish()


@dataclass(frozen=True, eq=False)
class Forgery:
    """A statement, and the proof that a cheater offers for it. ``outside``: see ``names_outside``."""

    case: Case
    statement: LanguageInference
    proof: bytes
    outside: set[str]

    def verify(self) -> None:
        self.case.verify(self.proof, self.statement)

    def reason(self) -> str:
        return self.case.rejection(self.proof, self.statement)


def lying_witness(
    case: Case,
    change: Change = as_it_is,
    in_range: Sequence[str] = (),
    model: IntegerLanguageModel | None = None,
    tokens: np.ndarray | None = None,
    statement: LanguageInference | None = None,
) -> tuple[LanguageInference, dict[str, Any]]:
    """All tensors of a prover whose forward pass was changed, or is of another model or prompt.

    The statement is that its output is right, unless one is given.
    """
    model, true = model or case.model, case.inference
    tokens = case.tokens if tokens is None else tokens
    trace, final = forward(model, tokens, true.positions, true.block, change)
    statement = statement or replace(true, chosen=trace.output.chosen)
    trace = replace(trace, output=replace(trace.output, chosen=statement.chosen))
    arrays = model_arrays(model)
    lying = LyingWitness(statement, arrays, trace, final, frozenset(in_range))
    return statement, {**model_tensors(TARGET, true.field, arrays), **lying.to_target(TARGET)}


def witness(case: Case, change: Change = as_it_is, **options: Any) -> dict[str, Any]:
    return lying_witness(case, change, **options)[1]


def forge(
    case: Case,
    change: Change = as_it_is,
    *,
    edit: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
    program: Callable[[Program], BoldProgram] = BoldProgram.of,
    wrap: Callable[[ProverTranscript], Any] = lambda transcript: transcript,
    **options: Any,
) -> Forgery:
    """What this prover offers; ``edit`` returns tensors to replace, ``options``: ``lying_witness``'s."""
    statement, tensors = lying_witness(case, change, **options)
    edited = edit(tensors) if edit else {}
    tensors |= {name: np.ascontiguousarray(array).reshape(-1) for name, array in edited.items()}
    proof = prove(statement, case.data, tensors, program(statement.program), wrap)
    return Forgery(case, statement, proof, names_outside(statement, tensors))


def names_outside(inference: LanguageInference, tensors: Mapping[str, Any]) -> set[str]:
    """What is looked up and not in its range."""
    found = set()
    for check in inference.program.checks.checks:
        values = tensors[check.name].astype(np.int64) + check.offset
        if values.min() < 0 or values.max() >= check.size:
            found.add(check.name)
    return found


def rejected(
    reason: str,
    case: Case,
    change: Change = as_it_is,
    outside: set[str] | None = None,
    **options: Any,
) -> None:
    """Assert that what this prover offers (see ``forge``) is rejected for this reason.

    ``outside``: what exactly is out of its range; nothing where the reason is another one.
    """
    forgery = forge(case, change, **options)
    if outside is not None or reason != NOT_IN_TABLE:
        assert forgery.outside == (outside or set())
    found = forgery.reason()
    assert found == reason, found
