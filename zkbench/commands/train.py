"""``zkbench train``: train a perceptron in integers, and commit to all that a proof of it needs."""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

from zkbench.commands.options import DONE, add_json, add_scheme, add_target, chosen_scheme, show
from zkbench.errors import UnusableInput

_CURVE_POINTS = 60


def add_command(commands: Any) -> None:
    parser = commands.add_parser(
        "train", help="train a perceptron in integers, so that the training can be proven"
    )
    start = parser.add_mutually_exclusive_group(required=True)
    start.add_argument(
        "--weights", help="safetensors state dict of the perceptron to start from (Linear and ReLU)"
    )
    start.add_argument(
        "--widths", help="widths from input to output, as 64,64,10: starts from random weights"
    )
    parser.add_argument(
        "--data",
        required=True,
        help=".npy of inputs, samples x features; a folder with CIFAR-10's python version; or digits",
    )
    parser.add_argument("--labels", help=".npy of labels, or of targets, samples x outputs")
    _add_rule(parser)
    parser.add_argument("--out", required=True, help="folder of the run; one that is there goes on")
    parser.add_argument(
        "--relu",
        choices=("table", "bits"),
        default="table",
        help="by what ReLU is proven: lookups in tables (the default), or bits, as in zkDL",
    )
    add_scheme(parser)
    add_target(parser)
    parser.add_argument(
        "--seed", type=int, default=0, help="of the batches' order, and of --widths"
    )
    add_json(parser)
    parser.set_defaults(run=run)


def _add_rule(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--batch", type=int, default=64, help="samples a step (default 64)")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--lr", type=float, required=True, help="rate, for the batch's mean loss")
    parser.add_argument("--momentum", type=float, default=0.0, help="as in PyTorch's SGD")
    parser.add_argument("--loss", choices=("cross-entropy", "square"), default="cross-entropy")
    parser.add_argument("--headroom", type=int, default=2, help="spare bits above calibration")
    parser.add_argument(
        "--segment", type=int, help="steps that are proven together; default: what memory takes"
    )
    parser.add_argument(
        "--compare", metavar="CSV", help="train in floating point as well, write both curves there"
    )


def run(args: argparse.Namespace) -> int:
    from zkbench.files import check_writable
    from zkbench.kernels.launch import target
    from zkbench.progress import progress
    from zkbench.training_run import finish_run

    _check(args)
    if args.compare:
        check_writable([args.compare])
    with progress("training") as note:
        where = target(args.target)
        model, data, rule = _calibrated(args, note)
        started = _start(args, model, data, rule, where)
        start = time.perf_counter()
        public = finish_run(started, note)
        seconds = time.perf_counter() - start
        found = _compare(args, model, data, rule, note) if args.compare else {}
    _show(args, public, where.name, seconds, found)
    return DONE


def _check(args: argparse.Namespace) -> None:
    for name in ("batch", "steps", "segment"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UnusableInput(f"--{name} is {value}; it must be at least 1")
    if not 0 <= args.seed < 1 << 64:
        raise UnusableInput(f"--seed is {args.seed}; it must lie in [0, 2^64)")


def _calibrated(args: argparse.Namespace, note: Any) -> tuple[Any, Any, Any]:
    """(the float model to start from, its data, the integer rule)."""
    from zkbench.quant.training_calibration import calibrate_training

    data, model = _data(args), _model(args)
    note("calibrating")
    rule = calibrate_training(
        model,
        data.x,
        data.labels,
        args.loss,
        args.batch,
        args.lr / args.batch,
        args.momentum,
        args.seed,
        args.steps,
        args.headroom,
    )
    return model, data, rule


def _data(args: argparse.Namespace) -> Any:
    from zkbench.models.training.cifar10 import cifar10
    from zkbench.models.training.training_data import digits, npy_data

    if args.data.endswith(".npy"):
        if args.labels is None:
            raise UnusableInput("--data is a .npy file; give its --labels, too")
        return npy_data(args.data, args.labels)
    if args.labels is not None:
        raise UnusableInput(f"--labels is not for {args.data}, which has its own")
    if args.data == "digits":
        return digits()
    if not os.path.isdir(args.data):
        raise UnusableInput(f"{args.data} is no .npy file, no folder, and not digits")
    return cifar10(args.data)


def _model(args: argparse.Namespace) -> Any:
    from zkbench.models.mlp import FloatMLP
    from zkbench.models.training.float_training import initial_model

    if args.weights is not None:
        return FloatMLP.from_safetensors(args.weights)
    try:
        widths = tuple(int(width) for width in args.widths.split(","))
    except ValueError as error:
        raise UnusableInput(f"--widths is {args.widths}; give integers as 64,64,10") from error
    return initial_model(widths, args.seed)


def _start(args: argparse.Namespace, model: Any, data: Any, rule: Any, where: Any) -> Any:
    from zkbench.models.training.training_state import TrainingState
    from zkbench.quant.training_calibration import quantise_data
    from zkbench.training_run import start_run

    inputs, targets = quantise_data(rule, data.x, data.labels)
    return start_run(
        args.out,
        rule,
        TrainingState.from_floats(model, rule),
        inputs,
        targets,
        args.seed,
        args.steps,
        where,
        args.segment,
        chosen_scheme(args),
        relu=args.relu,
    )


def _compare(
    args: argparse.Namespace, model: Any, data: Any, rule: Any, note: Any
) -> dict[str, Any]:
    """Both curves into the file; their last points."""
    from zkbench.files import write_atomically
    from zkbench.models.training.comparison import compare_runs, curves_csv

    note("comparing with floating point")
    every = max(1, args.steps // _CURVE_POINTS)
    curves = compare_runs(rule, model, data, args.seed, args.steps, every)
    write_atomically(args.compare, curves_csv(curves).encode())
    return {name: curve[-1].to_dict() for name, curve in curves.items()}


def _show(
    args: argparse.Namespace, public: Any, where: str, seconds: float, found: dict[str, Any]
) -> None:
    result = {
        "run": public.digest,
        "target": where,
        "steps": args.steps,
        "train_seconds": seconds,
        "rule": public.rule.to_json(),
        "curves": found,
    }
    text = f"trained {args.steps} steps on {where} in {seconds:.2f} s: run {public.digest[:16]}"
    for name, point in found.items():
        accuracy = point["test_accuracy"]
        tested = "" if accuracy is None else f", {100 * accuracy:.1f} % of the test samples right"
        text += f"\n{name}: loss {point['train_loss']:.4f}{tested}"
    show(args, result, text)
