"""``zkbench verify``: the proof, the statement and the commitment, and nothing secret."""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass
from typing import Any

from zkbench.commands.options import DONE, REJECTED, add_bits, add_json, add_prompt, refuse, show
from zkbench.errors import UnusableInput


def add_command(commands: Any) -> None:
    parser = commands.add_parser("verify", help="verify a proof; needs nothing secret")
    parser.add_argument("proof", help="the proof file")
    parser.add_argument("--statement", required=True)
    parser.add_argument("--commitment", required=True, help="the model's commitment.json")
    given = parser.add_mutually_exclusive_group()
    given.add_argument(
        "--input",
        help="also check that the statement is about these inputs (.npy); so for a prompt:",
    )
    add_prompt(given)
    add_bits(parser)
    add_json(parser)
    parser.set_defaults(run=run)


@dataclass(frozen=True)
class Verified:
    """What a kind of statement says, in words and in numbers, and its verifier."""

    words: str
    found: dict[str, Any]
    verify: Any  # of proof, statement, commitment and minimum bits


def run(args: argparse.Namespace) -> int:
    from zkbench.files import read_bytes
    from zkbench.progress import progress
    from zkbench.proof import ProofRejected
    from zkbench.public_files import read_any_commitment, read_any_statement

    public = read_any_commitment(args.commitment)
    statement = read_any_statement(args.statement)
    proof = read_bytes(args.proof)
    result: dict[str, Any] = {"accepted": False, "model": statement.model}
    try:
        kind = _kind(args, public, statement)
        start = time.perf_counter()
        with progress("verifying"):
            bits = kind.verify(proof, statement, public, args.minimum_bits)
    except ProofRejected as rejection:
        show(args, {**result, "reason": str(rejection)}, f"rejected: {rejection}")
        return REJECTED
    seconds = time.perf_counter() - start
    result |= {
        "accepted": True,
        **kind.found,
        "verify_seconds": seconds,
        "proof_bytes": len(proof),
        "soundness_bits": bits,
        "zero_knowledge": False,
    }
    costs = f"{bits:.1f} bits, {len(proof):,} bytes, {seconds:.2f} s, not zero-knowledge"
    show(args, result, f"accepted: model {statement.model[:16]} {kind.words} ({costs})")
    return DONE


def _kind(args: argparse.Namespace, public: Any, statement: Any) -> Verified:
    """Raises ProofRejected for a statement about another kind of model than the commitment's."""
    from zkbench.language_statement import LanguageCommitment, LanguageStatement
    from zkbench.proof import ProofRejected
    from zkbench.statement import ModelCommitment, Statement
    from zkbench.training_statement import TrainingCommitment, TrainingStatement

    kinds: dict[tuple[type, type], Any] = {
        (ModelCommitment, Statement): _perceptron,
        (LanguageCommitment, LanguageStatement): _language,
        (TrainingCommitment, TrainingStatement): _training,
    }
    kind = kinds.get((type(public), type(statement)))
    if kind is None:
        raise ProofRejected("the statement is about another model")
    return kind(args, public, statement)


def _perceptron(args: argparse.Namespace, public: Any, statement: Any) -> Verified:
    from zkbench.inference import verify_inference

    refuse(args, ("prompt", "tokens"), "a perceptron")
    if args.input is not None:
        _check_inputs(args.input, statement, public)
    batch = len(statement.labels)
    words = f"gives these {batch} inputs these labels"
    return Verified(words, {"batch": batch}, verify_inference)


def _training(args: argparse.Namespace, public: Any, statement: Any) -> Verified:
    from zkbench.training import verify_training

    refuse(args, ("input", "prompt", "tokens"), "a training run")
    rule, roots = statement.rule, statement.roots
    rate = rule.batch * rule.rate[0] / 2 ** rule.rate[1]
    order = f"in the order of seed {statement.seed}"
    data = f"{statement.samples} samples behind {roots.data[:16]} {order}"
    words = (
        f"has the weights {roots.last[:16]} after {statement.steps} steps from {roots.first[:16]} of"
        f" SGD on the {rule.loss} loss (rate {rate:.4g}, momentum {rule.momentum / 4096:.4g}, batches"
        f" of {rule.batch}) on the {data}"
    )
    return Verified(words, {"steps": statement.steps, "seed": statement.seed}, verify_training)


def _check_inputs(path: str, statement: Any, public: Any) -> None:
    """The statement's integers must be the rounding of these inputs."""
    from zkbench.models.tensor_files import load_inputs

    inputs = public.input_format.quantise(load_inputs(path, public.dims[0]), "input")
    if inputs.shape != statement.inputs.shape or (inputs != statement.inputs).any():
        raise UnusableInput(f"the statement is not about the inputs in {path}")


def _language(args: argparse.Namespace, public: Any, statement: Any) -> Verified:
    from zkbench.commands.prompts import Words
    from zkbench.language import verify_language_inference

    refuse(args, ("input",), "a language model")
    folder = os.path.dirname(os.path.abspath(args.commitment))
    if args.prompt is not None or args.tokens is not None:
        _check_prompt(args, folder, statement, public)
    words = Words(statement, public, folder)
    found = {
        "tokens": len(statement.tokens),
        "positions": statement.positions.tolist(),
        "chosen": statement.chosen.tolist(),
        "text": words.text(statement.chosen),
    }
    return Verified(words.claim, found, verify_language_inference)


def _check_prompt(args: argparse.Namespace, folder: str, statement: Any, public: Any) -> None:
    import numpy as np

    from zkbench.commands.prompts import prompt_tokens

    tokens = prompt_tokens(args.prompt, args.tokens, folder, public)
    if not np.array_equal(tokens, statement.tokens):
        what = f"the tokens in {args.tokens}" if args.prompt is None else "this prompt"
        raise UnusableInput(f"the statement is not about {what}")
