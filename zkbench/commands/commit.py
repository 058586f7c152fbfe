"""``zkbench commit``: quantise a model and commit to it."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from zkbench.commands.options import (
    DONE,
    add_json,
    add_scheme,
    add_target,
    chosen_scheme,
    refuse,
    show,
)
from zkbench.errors import UnusableInput

_SHIFT = 16
DEFAULT_CONTEXT = 2048


def add_command(commands: Any) -> None:
    parser = commands.add_parser("commit", help="quantise a model and commit to it")
    parser.add_argument(
        "--model",
        help="llama or opt: a language model, whose checkpoint --weights is; llama-bytes or"
        " opt-bytes: one that is shipped; left out: a perceptron",
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--weights",
        help="safetensors state dict of a perceptron (Linear and ReLU), or the folder of a language"
        " model's checkpoint (config.json and safetensors)",
    )
    source.add_argument(
        "--random",
        metavar="PRESET",
        help="random weights of a published size: opt-125m to opt-13b, llama-2-7b, llama-2-13b",
    )
    parser.add_argument(
        "--calibration",
        help="what ranges are measured on: .npy of inputs, batch x features; for language models a"
        " text (UTF-8), or .npy of tokens",
    )
    parser.add_argument("--out", required=True, help="folder for the model and commitment.json")
    parser.add_argument(
        "--shift",
        type=int,
        help=f"of a perceptron: bits dropped by each rescale, 1..16 (default {_SHIFT})",
    )
    parser.add_argument("--headroom", type=int, help="spare bits above calibration (default 1)")
    parser.add_argument(
        "--context",
        type=int,
        help="of a language model: tokens of the longest prompts; the more, the further a softmax's"
        f" row may be from 1 (default {DEFAULT_CONTEXT})",
    )
    add_scheme(parser)
    add_target(parser)
    parser.add_argument("--seed", type=int, default=0, help="of random weights")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    is_language = args.model is not None or args.random is not None
    return _commit_language_model(args) if is_language else _commit_perceptron(args)


def _commit_perceptron(args: argparse.Namespace) -> int:
    from zkbench.inference import commit_model, save_committed
    from zkbench.kernels.launch import target
    from zkbench.models.mlp import FloatMLP
    from zkbench.models.tensor_files import load_inputs
    from zkbench.progress import progress
    from zkbench.quant.calibration import calibrate

    if args.weights is None or args.calibration is None:
        raise UnusableInput("give --weights and --calibration, or name a --model or a --random one")
    refuse(args, ("context",), "a perceptron")
    shift = _SHIFT if args.shift is None else args.shift
    headroom = 1 if args.headroom is None else args.headroom
    scheme = chosen_scheme(args)
    with progress("committing") as note:
        where = target(args.target)
        model = FloatMLP.from_safetensors(args.weights)
        inputs = load_inputs(args.calibration, model.dims[0])
        note("calibrating")
        integer = calibrate(model, inputs, shift=shift, headroom_bits=headroom)
        note("committing")
        start = time.perf_counter()
        committed = commit_model(integer, where, scheme)
        seconds = time.perf_counter() - start
        save_committed(committed, args.out)
    found = {"dims": list(integer.dims), "ranges": integer.report.to_dict()}
    _show(args, committed.public, where.name, seconds, found, integer.report.to_text())
    return DONE


def _show(
    args: argparse.Namespace,
    public: Any,
    where: str,
    seconds: float,
    found: dict[str, Any],
    report: str | None,
) -> None:
    from zkbench.model_folder import COMMITMENT_FILE

    path = Path(args.out) / COMMITMENT_FILE
    result = {
        "model": public.digest,
        "commitment": str(path),
        "scheme": public.scheme.to_json(),
        "target": where,
        "seconds": seconds,
        **found,
    }
    done = f"committed to model {public.digest[:16]} on {where}: {path}"
    show(args, result, f"{report}\n{done}" if report else done)


def _commit_language_model(args: argparse.Namespace) -> int:
    from zkbench.commands.language_sources import find_source
    from zkbench.kernels.launch import target
    from zkbench.language import commit_language_model, save_language_model, tokenizer_reference
    from zkbench.progress import progress

    refuse(args, ("shift",), "language models: their shifts are calibrated")
    scheme = chosen_scheme(args)
    with progress("reading") as note:
        where = target(args.target)
        source = find_source(args)
        note("calibrating")
        model, report = source.quantised()
        note("committing")
        reference = tokenizer_reference(source.tokenizer, model.config)
        start = time.perf_counter()
        committed = commit_language_model(model, where, scheme, reference)
        seconds = time.perf_counter() - start
        save_language_model(committed, args.out, source.tokenizer)
    found = {
        "config": model.config.to_dict(),
        "parameters": committed.public.parameters,
        "report": report.to_dict() if report else None,
    }
    text = report.to_text() if report else None
    _show(args, committed.public, where.name, seconds, found, text)
    return DONE
