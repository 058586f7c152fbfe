"""The command ``zkbench``: commit, train, prove, verify, bench, ceilings, info, soundness.

Exit codes: 0 accepted or done, 1 a proof was rejected, 2 an input cannot be used.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from zkbench import __version__
from zkbench.commands.options import UNUSABLE
from zkbench.errors import UnusableInput


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = _parser().parse_args(argv)
    try:
        return args.run(args)
    except UnusableInput as error:
        return _fail(args, str(error))
    except MemoryError:
        return _fail(args, "not enough memory; use a smaller batch or fewer tokens")
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
    from zkbench.commands import commit, info, prove, soundness, train, verify

    parser = argparse.ArgumentParser(
        prog="zkbench",
        description="Proofs of neural networks' inference and training, and what they cost.",
    )
    parser.add_argument("--version", action="version", version=f"zkbench {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    for one in (commit, train, prove, verify):
        one.add_command(commands)
    benchmark = commands.add_parser("bench", help="time one protocol, or a whole run sheet")
    bench.add_arguments(benchmark)
    benchmark.set_defaults(run=bench.run)
    measure = commands.add_parser("ceilings", help="what this device can do at most")
    ceilings.add_arguments(measure)
    measure.set_defaults(run=ceilings.run)
    for one in (info, soundness):
        one.add_command(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
