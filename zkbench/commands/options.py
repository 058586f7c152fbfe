"""What commands share: exit codes, options, printing."""

from __future__ import annotations

import argparse
import json
import math
from typing import Any

from zkbench.errors import UnusableInput
from zkbench.security import MINIMUM_BITS

DONE, REJECTED, UNUSABLE = 0, 1, 2


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--target",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="auto: a GPU if there is one",
    )


def add_bits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--minimum-bits",
        type=_bits,
        default=MINIMUM_BITS,
        help="proven soundness asked for (default %(default)g)",
    )


def add_scheme(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scheme",
        choices=("whir", "ligero"),
        default="whir",
        help="of every commitment in the proofs (default %(default)s; ligero: the simple one)",
    )
    parser.add_argument(
        "--johnson",
        action="store_true",
        help="WHIR up to Johnson's radius instead of unique decoding: still smaller, still proven",
    )


def chosen_scheme(args: argparse.Namespace) -> Any:
    """The commitment scheme asked for, with its standard parameters."""
    from zkbench.commitments.ligero import Ligero
    from zkbench.commitments.whir import Whir

    if args.scheme == "whir":
        return Whir(johnson=args.johnson)
    if args.johnson:
        raise UnusableInput("--johnson is for --scheme whir")
    return Ligero()


def add_prompt(group: Any) -> None:
    """What a language model continues."""
    group.add_argument("--prompt", help="for a language model: a text, through its tokenizer")
    group.add_argument("--tokens", help="for a language model: .npy of tokens, one axis")


def refuse(args: argparse.Namespace, names: tuple[str, ...], where: str) -> None:
    """Raises UnusableInput for options that were given and mean nothing there."""
    for name in names:
        if getattr(args, name) is not None:
            raise UnusableInput(f"--{name.replace('_', '-')} is not for {where}")


def show(args: argparse.Namespace, result: dict[str, Any], text: str) -> None:
    print(json.dumps(result) if args.json else text)


def _bits(text: str) -> float:
    """A finite number; argparse turns the error into exit code 2."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number")
    return value
