"""``zkbench soundness``: the bits of a proof, term by term."""

from __future__ import annotations

import argparse
from typing import Any

from zkbench.commands.options import DONE, add_json, refuse, show
from zkbench.errors import UnusableInput


def add_command(commands: Any) -> None:
    parser = commands.add_parser("soundness", help="soundness of a proof, term by term")
    parser.add_argument("proof", nargs="?", help="the proof file; not needed with sizes")
    parser.add_argument("--commitment", required=True, help="the model's commitment.json")
    parser.add_argument("--statement", help="the statement, for its sizes")
    parser.add_argument("--batch", type=int, help="of a perceptron: the number of inputs")
    parser.add_argument("--num-tokens", type=int, help="of a language model: the prompt's length")
    parser.add_argument(
        "--num-positions", type=int, help="of a language model: tokens proven (default 1)"
    )
    parser.add_argument(
        "--segment", type=int, help="of a language model: layers that are proven together (all)"
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from zkbench.language_statement import LanguageCommitment
    from zkbench.public_files import read_any_commitment
    from zkbench.training_statement import TrainingCommitment

    public = read_any_commitment(args.commitment)
    if isinstance(public, LanguageCommitment):
        return _show_language(args, public)
    if isinstance(public, TrainingCommitment):
        plan = _plan_of(args, public)
        sizes = {"steps": plan.statement.steps, "segment": plan.segment}
        return _show(args, public, sizes, plan.soundness_terms())
    batch = _batch_of(args, public)
    return _show(args, public, {"batch": batch}, public.protocol(batch).soundness_terms())


def _show(args: argparse.Namespace, public: Any, sizes: dict[str, int], terms: Any) -> int:
    from zkbench.security import total_bits

    total = total_bits(terms)
    result = {
        "model": public.digest,
        **sizes,
        "terms": [{"name": term.name, "bits": term.bits} for term in terms],
        "total_bits": total,
    }
    lines = [f"{'bits':>8}  what a false statement could slip through"]
    lines += [f"{term.bits:8.1f}  {term.name}" for term in terms]
    lines.append(f"{total:8.1f}  in total (-log2 of the sum of all errors)")
    show(args, result, "\n".join(lines))
    return DONE


def _show_language(args: argparse.Namespace, public: Any) -> int:
    from zkbench.language_plan import LanguagePlan

    tokens, positions, segment = _sizes_of(args, public)
    terms = LanguagePlan.of_sizes(public, tokens, positions, segment).soundness_terms()
    sizes = {"tokens": tokens, "positions": positions}
    if segment < public.config.layers:
        sizes["segment"] = segment
    return _show(args, public, sizes, terms)


def _plan_of(args: argparse.Namespace, public: Any) -> Any:
    """How the proof of a training run is cut."""
    from zkbench.files import read_bytes
    from zkbench.proof import ProofRejected
    from zkbench.public_files import read_any_statement
    from zkbench.training import claimed_plan
    from zkbench.training_statement import TrainingStatement

    refuse(args, ("batch", "num_tokens", "num_positions", "segment"), "a training run")
    if args.proof is None or args.statement is None:
        raise UnusableInput("give the proof and its --statement: the bits depend on its segments")
    statement = read_any_statement(args.statement)
    if not isinstance(statement, TrainingStatement):
        raise UnusableInput(f"{args.statement} is not about a training run")
    try:
        return claimed_plan(read_bytes(args.proof), statement, public)
    except ProofRejected as error:
        raise UnusableInput(f"{args.proof} does not fit: {error}") from error


def _in_range(name: str, value: int, most: int) -> int:
    if not 1 <= value <= most:
        raise UnusableInput(f"--{name} must lie in [1, {most}]")
    return value


def _batch_of(args: argparse.Namespace, public: Any) -> int:
    """The one batch size of everything that is given."""
    from zkbench.files import read_bytes
    from zkbench.inference import proof_batch, read_statement
    from zkbench.statement import MAX_BATCH

    refuse(args, ("num_tokens", "num_positions", "segment"), "a perceptron")
    sizes = []
    if args.batch is not None:
        sizes.append(_in_range("batch", args.batch, MAX_BATCH))
    if args.statement is not None:
        sizes.append(len(read_statement(args.statement).labels))
    if args.proof is not None:
        sizes.append(proof_batch(read_bytes(args.proof), public, args.proof))
    if not sizes:
        raise UnusableInput("give a proof, --statement or --batch: the bits depend on the batch")
    if len(set(sizes)) > 1:
        raise UnusableInput(f"what is given is about {' and '.join(map(str, sizes))} inputs")
    return sizes[0]


def _sizes_of(args: argparse.Namespace, public: Any) -> tuple[int, int, int]:
    """The numbers of tokens and positions of everything that is given, and of a segment's layers."""
    from zkbench.files import read_bytes
    from zkbench.language import proof_sizes, read_language_statement

    refuse(args, ("batch",), "a language model; give --num-tokens")
    sizes, layers = _given_sizes(args), public.config.layers
    segments = [] if args.segment is None else [_in_range("segment", args.segment, layers)]
    if args.statement is not None:
        sizes.append(read_language_statement(args.statement).sizes)
    if args.proof is not None:
        *proven, segment = proof_sizes(read_bytes(args.proof), public, args.proof)
        sizes.append((proven[0], proven[1]))
        segments.append(segment)
    if not sizes:
        raise UnusableInput("give a proof, --statement or --num-tokens: the bits depend on them")
    if len(set(sizes)) > 1:
        both = " and ".join(f"{positions} of {tokens}" for tokens, positions in sizes)
        raise UnusableInput(f"what is given is about {both} tokens")
    if len(set(segments)) > 1:
        raise UnusableInput(f"the proof has segments of {segments[1]} layers, not {segments[0]}")
    return (*sizes[0], segments[0] if segments else layers)


def _given_sizes(args: argparse.Namespace) -> list[tuple[int, int]]:
    from zkbench.language_statement import MAX_TOKENS

    if args.num_tokens is None:
        refuse(args, ("num_positions",), "sizes without --num-tokens")
        return []
    tokens = _in_range("num-tokens", args.num_tokens, MAX_TOKENS)
    asked = 1 if args.num_positions is None else args.num_positions
    return [(tokens, _in_range("num-positions", asked, tokens))]
