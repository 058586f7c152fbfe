"""``zkbench prove``: which labels or tokens a committed model gives, or how it was trained."""

from __future__ import annotations

import argparse
import time
from typing import Any

from zkbench.commands.options import (
    DONE,
    add_bits,
    add_json,
    add_prompt,
    add_target,
    refuse,
    show,
)
from zkbench.errors import UnusableInput


def add_command(commands: Any) -> None:
    parser = commands.add_parser(
        "prove", help="prove which labels or tokens a model gives, or a training run"
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", help="folder that zkbench commit wrote")
    source.add_argument("--training", help="folder that zkbench train wrote")
    given = parser.add_mutually_exclusive_group()
    given.add_argument("--input", help="for a perceptron: .npy of inputs, batch x features")
    add_prompt(given)
    parser.add_argument(
        "--positions",
        help="for a language model: behind which tokens of the prompt the next one is proven: last"
        " (the default), all, or a list as 0,4,17",
    )
    parser.add_argument("--out", required=True, help="where the proof goes")
    parser.add_argument("--statement", required=True, help="where the public statement goes")
    parser.add_argument(
        "--segment",
        type=int,
        help="for a language model: layers that are proven together (all of them, the default, make the"
        " smallest proof; fewer take less memory)",
    )
    add_bits(parser)
    add_target(parser)
    parser.add_argument(
        "--seed", type=int, default=0, help="of the prover's randomness; proofs have none yet"
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from zkbench.files import check_writable
    from zkbench.language_statement import LanguageCommitment
    from zkbench.model_folder import COMMITMENT_FILE, model_folder
    from zkbench.public_files import read_any_commitment

    check_writable([args.out, args.statement])
    if args.training is not None:
        return _prove_training(args)
    if args.input is None and args.prompt is None and args.tokens is None:
        raise UnusableInput("give --input, or for a language model --prompt or --tokens")
    public = read_any_commitment(model_folder(args.model) / COMMITMENT_FILE)
    if isinstance(public, LanguageCommitment):
        return _prove_tokens(args, public)
    return _prove_labels(args, public)


def _prove_labels(args: argparse.Namespace, public: Any) -> int:
    from zkbench.inference import load_committed, prove_inference
    from zkbench.kernels.launch import target
    from zkbench.models.tensor_files import load_inputs
    from zkbench.progress import ReportingTimer, progress

    refuse(args, ("prompt", "tokens", "positions", "segment"), f"the perceptron in {args.model}")
    with progress("proving") as note:
        where = target(args.target)
        committed = load_committed(args.model, where)
        raw = load_inputs(args.input, public.dims[0])
        inputs = committed.model.quantise_inputs(raw)
        timer = ReportingTimer(where.synchronise, note)
        start = time.perf_counter()
        proof, statement = prove_inference(committed, inputs, where, timer, args.minimum_bits)
        seconds = time.perf_counter() - start
        _write(args, proof, statement)
    terms = public.protocol(len(inputs)).soundness_terms()
    found = {"batch": len(inputs), "labels": statement.labels.tolist()}
    done = f"{len(inputs)} labels of model {statement.model[:16]}"
    _show(args, done, statement.model, where.name, seconds, timer, proof, terms, found)
    return DONE


def _prove_tokens(args: argparse.Namespace, public: Any) -> int:
    from zkbench.commands.prompts import Words, asked_positions, prompt_tokens
    from zkbench.kernels.launch import target
    from zkbench.language import check_prompt, load_language_model, prove_language_inference
    from zkbench.language_plan import LanguagePlan
    from zkbench.progress import ReportingTimer, progress

    if args.input is not None:
        raise UnusableInput(f"{args.model} holds a language model; give --prompt or --tokens")
    with progress("proving") as note:
        where = target(args.target)
        tokens = prompt_tokens(args.prompt, args.tokens, args.model, public)
        check_prompt(public, tokens)
        asked = asked_positions(args.positions, len(tokens))
        committed = load_language_model(args.model, where)
        timer = ReportingTimer(where.synchronise, note)
        start = time.perf_counter()
        proof, statement = prove_language_inference(
            committed, tokens, where, asked, timer, args.minimum_bits, args.segment, note
        )
        seconds = time.perf_counter() - start
        _write(args, proof, statement)
    words = Words(statement, public, args.model)
    plan = LanguagePlan.of(public, statement, args.segment)
    found = {
        "segment": plan.segment,
        "tokens": len(tokens),
        "positions": statement.positions.tolist(),
        "chosen": statement.chosen.tolist(),
        "text": words.text(statement.chosen),
    }
    if not args.json:
        print(f"continuation: {words.continuation}")
    count = len(asked)
    what = f"{count} token{'s' if count > 1 else ''} behind a prompt of {len(tokens)}"
    cut = "" if plan.is_whole else f" in {plan.cut.count} segments"
    done = f"{what} by model {statement.model[:16]}{cut}"
    terms = plan.soundness_terms()
    _show(args, done, statement.model, where.name, seconds, timer, proof, terms, found)
    return DONE


def _prove_training(args: argparse.Namespace) -> int:
    from zkbench.kernels.launch import target
    from zkbench.progress import ReportingTimer, progress
    from zkbench.training import prove_training
    from zkbench.training_run import finished_run

    others = ("input", "prompt", "tokens", "positions", "segment")
    refuse(args, others, f"the training run {args.training}")
    with progress("proving") as note:
        where = target(args.target)
        run, public = finished_run(args.training, where)
        timer = ReportingTimer(where.synchronise, note)
        start = time.perf_counter()
        proof, statement = prove_training(run, public, timer, args.minimum_bits, note)
        seconds = time.perf_counter() - start
        _write(args, proof, statement)
    terms = run.plan.proof_plan(public).soundness_terms()
    found = {"steps": statement.steps, "segment": run.plan.segment}
    done = f"{statement.steps} steps of training run {statement.model[:16]}"
    _show(args, done, statement.model, where.name, seconds, timer, proof, terms, found)
    return DONE


def _write(args: argparse.Namespace, proof: bytes, statement: Any) -> None:
    from zkbench.files import NewFile, write_together
    from zkbench.model_folder import json_file

    public = NewFile(args.statement, json_file(statement.to_json()))
    write_together([public, NewFile(args.out, proof)])


def _show(
    args: argparse.Namespace,
    what: str,
    model: str,
    where: str,
    seconds: float,
    timer: Any,
    proof: bytes,
    terms: Any,
    found: dict[str, Any],
) -> None:
    from zkbench.security import total_bits

    bits = total_bits(terms)
    result = {
        "model": model,
        "target": where,
        "prove_seconds": seconds,
        "phases": timer.totals(),
        "proof_bytes": len(proof),
        "soundness_bits": bits,
        "zero_knowledge": False,
        **found,
    }
    text = (
        f"proved {what} on {where} in {seconds:.2f} s: {len(proof):,} bytes,"
        f" {bits:.1f} bits of soundness, not zero-knowledge"
    )
    show(args, result, text)
