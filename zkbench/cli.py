"""The command ``zkbench``: commit, prove, verify, bench, info, soundness.

Exit codes: 0 accepted or done, 1 a proof was rejected, 2 an input cannot be used.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zkbench import __version__
from zkbench.errors import UnusableInput

DONE, REJECTED, UNUSABLE = 0, 1, 2
MAX_BATCH = 1 << 20  # the statement's schema has it, too


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = _parser().parse_args(argv)
    try:
        return args.run(args)
    except UnusableInput as error:
        return _fail(args, str(error))
    except MemoryError:
        return _fail(args, "not enough memory; use a smaller batch")
    except BrokenPipeError:
        return UNUSABLE
    except KeyboardInterrupt:
        return _fail(args, "interrupted", code=130)


def _fail(args: argparse.Namespace, message: str, code: int = UNUSABLE) -> int:
    print(f"zkbench {args.command}: {message}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    from zkbench.bench import ceilings_command as ceilings
    from zkbench.bench import command as bench

    parser = argparse.ArgumentParser(
        prog="zkbench", description="Proofs of neural network inference, and what they cost."
    )
    parser.add_argument("--version", action="version", version=f"zkbench {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_commit(commands)
    _add_prove(commands)
    _add_verify(commands)
    benchmark = commands.add_parser("bench", help="time one protocol, or a whole run sheet")
    bench.add_arguments(benchmark)
    benchmark.set_defaults(run=bench.run)
    measure = commands.add_parser("ceilings", help="what this device can do at most")
    ceilings.add_arguments(measure)
    measure.set_defaults(run=ceilings.run)
    info = commands.add_parser("info", help="targets, devices and versions")
    info.add_argument("--json", action="store_true")
    info.set_defaults(run=_info)
    _add_soundness(commands)
    return parser


def _add_commit(commands: Any) -> None:
    parser = commands.add_parser("commit", help="quantise a model and commit to it")
    parser.add_argument("--weights", required=True, help="safetensors state dict (Linear and ReLU)")
    parser.add_argument("--calibration", required=True, help=".npy of inputs, batch x features")
    parser.add_argument("--out", required=True, help="folder for the model and commitment.json")
    parser.add_argument("--shift", type=int, default=16, help="bits dropped by each rescale, 1..16")
    parser.add_argument("--headroom", type=int, default=1, help="spare bits above calibration")
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
    _add_common(parser)
    parser.set_defaults(run=_commit)


def _add_prove(commands: Any) -> None:
    parser = commands.add_parser("prove", help="prove which labels a committed model gives")
    parser.add_argument("--model", required=True, help="folder that zkbench commit wrote")
    parser.add_argument("--input", required=True, help=".npy of inputs, batch x features")
    parser.add_argument("--out", required=True, help="where the proof goes")
    parser.add_argument("--statement", required=True, help="where the public statement goes")
    _add_bits(parser)
    _add_common(parser)
    parser.set_defaults(run=_prove)


def _add_verify(commands: Any) -> None:
    parser = commands.add_parser("verify", help="verify a proof; needs nothing secret")
    parser.add_argument("proof", help="the proof file")
    parser.add_argument("--statement", required=True)
    parser.add_argument("--commitment", required=True, help="the model's commitment.json")
    parser.add_argument(
        "--input", help="also check that the statement is about these inputs (.npy)"
    )
    _add_bits(parser)
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=_verify)


def _add_soundness(commands: Any) -> None:
    parser = commands.add_parser("soundness", help="soundness of a proof, term by term")
    parser.add_argument("proof", nargs="?", help="the proof file; not needed with --batch")
    parser.add_argument("--commitment", required=True, help="the model's commitment.json")
    parser.add_argument("--statement", help="the statement, for its number of inputs")
    parser.add_argument("--batch", type=int, help="the number of inputs")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=_soundness)


def _add_bits(parser: argparse.ArgumentParser) -> None:
    from zkbench.security import MINIMUM_BITS

    parser.add_argument(
        "--minimum-bits",
        type=_bits,
        default=MINIMUM_BITS,
        help="proven soundness asked for (default %(default)g)",
    )


def _bits(text: str) -> float:
    """A finite number; argparse turns the error into exit code 2."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number")
    return value


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--target",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="auto: a GPU if there is one",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the prover's randomness; proofs have none yet"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def _print(args: argparse.Namespace, result: dict[str, Any], text: str) -> None:
    print(json.dumps(result) if args.json else text)


def _commit(args: argparse.Namespace) -> int:
    from zkbench.inference import COMMITMENT_FILE, commit_model, save_committed
    from zkbench.kernels.launch import target
    from zkbench.models.mlp import FloatMLP
    from zkbench.models.tensor_files import load_inputs
    from zkbench.progress import progress
    from zkbench.quant.calibration import calibrate

    scheme = _scheme(args)
    with progress("committing") as show:
        where = target(args.target)
        model = FloatMLP.from_safetensors(args.weights)
        inputs = load_inputs(args.calibration, model.dims[0])
        show("calibrating")
        integer = calibrate(model, inputs, shift=args.shift, headroom_bits=args.headroom)
        show("committing")
        start = time.perf_counter()
        committed = commit_model(integer, where, scheme)
        seconds = time.perf_counter() - start
        save_committed(committed, args.out)
    path = Path(args.out) / COMMITMENT_FILE
    result = {
        "model": committed.public.digest,
        "commitment": str(path),
        "dims": list(integer.dims),
        "scheme": scheme.to_json(),
        "target": where.name,
        "seconds": seconds,
        "ranges": integer.report.to_dict(),
    }
    digest = committed.public.digest[:16]
    text = f"{integer.report.to_text()}\ncommitted to model {digest} on {where.name}: {path}"
    _print(args, result, text)
    return DONE


def _scheme(args: argparse.Namespace) -> Any:
    """The commitment scheme asked for, with its standard parameters."""
    from zkbench.commitments.ligero import Ligero
    from zkbench.commitments.whir import Whir

    if args.scheme == "whir":
        return Whir(johnson=args.johnson)
    if args.johnson:
        raise UnusableInput("--johnson is for --scheme whir")
    return Ligero()


def _prove(args: argparse.Namespace) -> int:
    from zkbench.files import NewFile, check_writable, write_together
    from zkbench.inference import json_file, load_committed, prove_inference
    from zkbench.kernels.launch import target
    from zkbench.models.tensor_files import load_inputs
    from zkbench.progress import ReportingTimer, progress
    from zkbench.security import total_bits

    check_writable([args.out, args.statement])
    with progress("proving") as show:
        where = target(args.target)
        committed = load_committed(args.model, where)
        raw = load_inputs(args.input, committed.public.dims[0])
        inputs = committed.model.quantise_inputs(raw)
        timer = ReportingTimer(where.synchronise, show)
        start = time.perf_counter()
        proof, statement = prove_inference(committed, inputs, where, timer, args.minimum_bits)
        seconds = time.perf_counter() - start
        public = NewFile(args.statement, json_file(statement.to_json()))
        write_together([public, NewFile(args.out, proof)])
    bits = total_bits(committed.public.protocol(len(inputs)).soundness_terms())
    result = {
        "model": statement.model,
        "batch": len(inputs),
        "target": where.name,
        "prove_seconds": seconds,
        "phases": timer.totals(),
        "proof_bytes": len(proof),
        "soundness_bits": bits,
        "zero_knowledge": False,
        "labels": statement.labels.tolist(),
    }
    text = (
        f"proved {len(inputs)} labels of model {statement.model[:16]} on {where.name} in"
        f" {seconds:.2f} s: {len(proof):,} bytes, {bits:.1f} bits of soundness, not zero-knowledge"
    )
    _print(args, result, text)
    return DONE


def _verify(args: argparse.Namespace) -> int:
    from zkbench.files import read_bytes
    from zkbench.inference import read_commitment, read_statement, verify_inference
    from zkbench.progress import progress
    from zkbench.proof import ProofRejected

    public = read_commitment(args.commitment)
    statement = read_statement(args.statement)
    proof = read_bytes(args.proof)
    if args.input:
        _check_inputs(args.input, statement, public)
    start = time.perf_counter()
    result: dict[str, Any] = {"accepted": False, "model": statement.model}
    try:
        with progress("verifying"):
            bits = verify_inference(proof, statement, public, args.minimum_bits)
    except ProofRejected as rejection:
        _print(args, {**result, "reason": str(rejection)}, f"rejected: {rejection}")
        return REJECTED
    seconds = time.perf_counter() - start
    batch = len(statement.labels)
    result |= {
        "accepted": True,
        "batch": batch,
        "verify_seconds": seconds,
        "proof_bytes": len(proof),
        "soundness_bits": bits,
        "zero_knowledge": False,
    }
    text = (
        f"accepted: model {statement.model[:16]} gives these {batch} inputs these labels"
        f" ({bits:.1f} bits, {len(proof):,} bytes, {seconds:.2f} s, not zero-knowledge)"
    )
    _print(args, result, text)
    return DONE


def _check_inputs(path: str, statement: Any, public: Any) -> None:
    """The statement's integers must be the rounding of these inputs."""
    from zkbench.models.tensor_files import load_inputs

    inputs = public.input_format.quantise(load_inputs(path, public.dims[0]), "input")
    if inputs.shape != statement.inputs.shape or (inputs != statement.inputs).any():
        raise UnusableInput(f"the statement is not about the inputs in {path}")


def _info(args: argparse.Namespace) -> int:
    from zkbench.bench.provenance import collect_provenance
    from zkbench.jit import CACHE_DIRECTORY
    from zkbench.kernels.launch import cuda_available

    targets = ["cpu", "cuda"] if cuda_available() else ["cpu"]
    result = {"targets": targets, "kernel_cache": str(CACHE_DIRECTORY), **collect_provenance()}
    lines = [f"zkbench {__version__}", f"targets: {', '.join(targets)}"]
    lines += [f"{_spaced(key)}: {_flat(result[key])}" for key in result if key != "targets"]
    _print(args, result, "\n".join(lines))
    return DONE


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{_spaced(key)} {_flat(entry)}" for key, entry in value.items())
    return {None: "none", True: "yes", False: "no"}.get(value, str(value))


def _spaced(key: str) -> str:
    return key.replace("_", " ")


def _soundness(args: argparse.Namespace) -> int:
    from zkbench.inference import read_commitment
    from zkbench.security import total_bits

    public = read_commitment(args.commitment)
    batch = _batch_of(args, public)
    terms = public.protocol(batch).soundness_terms()
    total = total_bits(terms)
    result = {
        "model": public.digest,
        "batch": batch,
        "terms": [{"name": term.name, "bits": term.bits} for term in terms],
        "total_bits": total,
    }
    lines = [f"{'bits':>8}  what a false statement could slip through"]
    lines += [f"{term.bits:8.1f}  {term.name}" for term in terms]
    lines.append(f"{total:8.1f}  in total (-log2 of the sum of all errors)")
    _print(args, result, "\n".join(lines))
    return DONE


def _batch_of(args: argparse.Namespace, public: Any) -> int:
    """The one batch size of everything that is given."""
    from zkbench.files import read_bytes
    from zkbench.inference import proof_batch, read_statement

    sizes = []
    if args.batch is not None:
        if not 1 <= args.batch <= MAX_BATCH:
            raise UnusableInput(f"--batch must lie in [1, {MAX_BATCH}]")
        sizes.append(args.batch)
    if args.statement is not None:
        sizes.append(len(read_statement(args.statement).labels))
    if args.proof is not None:
        sizes.append(proof_batch(read_bytes(args.proof), public, args.proof))
    if not sizes:
        raise UnusableInput("give a proof, --statement or --batch: the bits depend on the batch")
    if len(set(sizes)) > 1:
        raise UnusableInput(f"what is given is about {' and '.join(map(str, sizes))} inputs")
    return sizes[0]


if __name__ == "__main__":
    sys.exit(main())
