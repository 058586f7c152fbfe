"""``zkbench info``: targets, devices and versions, or what a commitment says of its model."""

from __future__ import annotations

import argparse
import os
from typing import Any

from zkbench import __version__
from zkbench.commands.options import DONE, add_json, show


def add_command(commands: Any) -> None:
    parser = commands.add_parser("info", help="targets and versions, or what a commitment is to")
    parser.add_argument("commitment", nargs="?", help="a commitment.json, or its folder")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    result = _environment() if args.commitment is None else _commitment(args.commitment)
    first = [f"zkbench {__version__}"] if args.commitment is None else []
    lines = [f"{_spaced(key)}: {_flat(value)}" for key, value in result.items()]
    show(args, result, "\n".join(first + lines))
    return DONE


def _environment() -> dict[str, Any]:
    from zkbench.bench.provenance import collect_provenance
    from zkbench.jit import CACHE_DIRECTORY
    from zkbench.kernels.launch import cuda_available

    targets = ["cpu", "cuda"] if cuda_available() else ["cpu"]
    return {"targets": targets, "kernel_cache": str(CACHE_DIRECTORY), **collect_provenance()}


def _commitment(path: str) -> dict[str, Any]:
    from zkbench.language_statement import LanguageCommitment
    from zkbench.model_folder import COMMITMENT_FILE
    from zkbench.public_files import read_any_commitment
    from zkbench.training_statement import TrainingCommitment

    public = read_any_commitment(
        os.path.join(path, COMMITMENT_FILE) if os.path.isdir(path) else path
    )
    found: dict[str, Any] = {"model": public.digest, "kind": public.to_json()["kind"]}
    if isinstance(public, TrainingCommitment):
        told = public.to_json()
        keys = ("samples", "rule", "relu", "scheme", "roots")
        return {**found, **{key: told[key] for key in keys}}
    if isinstance(public, LanguageCommitment):
        found |= _language(public)
    else:
        found |= {"dims": list(public.dims), "shift": public.shift}
    return {**found, "scheme": public.scheme.to_json(), "root": public.root.hex()}


def _language(public: Any) -> dict[str, Any]:
    formats, tokenizer = public.formats, public.tokenizer
    files = None if tokenizer is None else sorted(tokenizer.files) or ["bytes"]
    return {
        "config": public.config.to_dict(),
        "parameters": public.parameters,
        "shifts": dict(formats.shifts),
        "score_bits": formats.score_bits,
        "row_tolerance": 2.0 ** (formats.tolerance.bit_length() - formats.row_bits),
        "tokenizer": files,
    }


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{_spaced(key)} {_flat(entry)}" for key, entry in value.items())
    if isinstance(value, list):
        return ", ".join(_flat(entry) for entry in value)
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return str(value)


def _spaced(key: str) -> str:
    return key.replace("_", " ")
