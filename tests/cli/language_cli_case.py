"""The commands on language models, as a user calls them."""

from __future__ import annotations

from cli_case import Outcome, _flags, zkbench

PROMPT = "To prove"


def commit_language(**options: object) -> Outcome:
    defaults = {"model": "llama", "weights": "llama", "calibration": "text.txt", "out": "new"}
    given = {**defaults, **options}
    return zkbench("commit", *_flags({}, {k: v for k, v in given.items() if v is not None}))


def prove_language(**options: object) -> Outcome:
    defaults = {"model": "m-llama", "out": "p", "statement": "s"}
    if not {"prompt", "tokens", "input"} & set(options):
        defaults["prompt"] = PROMPT
    return zkbench("prove", *_flags(defaults, options))


def verify_language(family: str = "llama", proof: object = None, **options: object) -> Outcome:
    defaults = {
        "statement": f"{family}.json",
        "commitment": f"m-{family}/commitment.json",
    }
    return zkbench("verify", proof or f"{family}.proof", *_flags(defaults, options))
