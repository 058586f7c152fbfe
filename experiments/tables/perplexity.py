"""Perplexity in floating point and in integers: the shipped models, and what zkLLM reports."""

import argparse
from pathlib import Path

import pandas as pd
from formats import Column, significant, write_table

THEIR_TEXT = "C4"


def signed_percent(value: float) -> str:
    return f"{100 * value:+.4f}"


COLUMNS = [
    Column("system", "system"),
    Column("model", "model"),
    Column("text", "text"),
    Column("tokens", "tokens", lambda value: f"{int(value):,}"),
    Column("float_perplexity", "perplexity, float", significant(5)),
    Column("integer_perplexity", "perplexity, integers", significant(5)),
    Column("perplexity_change", "change (%)", signed_percent),
    Column("agreement", "same next token (%)", lambda value: f"{100 * value:.2f}"),
]


def rows_of(measured: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Ours first; zkLLM does not say on how many tokens, nor how often the models agree."""
    text = measured["python"].map("help topics of Python {}, held out".format)
    ours = measured.assign(system="zkbench", text=text)
    theirs = published.dropna(subset=["perplexity_float", "perplexity_int"])
    before, after = theirs["perplexity_float"], theirs["perplexity_int"]
    named = {"float_perplexity": before, "integer_perplexity": after}
    named |= {"text": THEIR_TEXT, "perplexity_change": after / before - 1, "tokens": None}
    return pd.concat([ours, theirs[["system", "model"]].assign(**named)], ignore_index=True)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--perplexity", type=Path, required=True)
    parser.add_argument("--published", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix")
    options = parser.parse_args(arguments)
    table = rows_of(pd.read_csv(options.perplexity), pd.read_csv(options.published))
    write_table(table, COLUMNS, options.out)


if __name__ == "__main__":
    main()
