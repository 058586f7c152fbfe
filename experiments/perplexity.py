"""Perplexity of the shipped language models on held-out text, in floating point and in integers.

The text comes with the Python that runs (`pydoc_data.topics`), and differs a little between versions.
"""

import argparse
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zkbench.bench.language_models import encoded, integer_model
from zkbench.models.language.checkpoint import Checkpoint
from zkbench.models.language.corpus import held_out_text
from zkbench.models.language.float_model import FloatLanguageModel
from zkbench.models.language.shipped import SHIPPED, shipped
from zkbench.quant.language_report import compare_language_models


def measure(name: str, tokens: int, window: int) -> dict[str, Any]:
    """One row of the table: both models on the first tokens of the held-out text."""
    text = encoded(name, held_out_text())[: tokens + 1]
    floats = FloatLanguageModel(Checkpoint(shipped(name)), np.float32)
    integers = integer_model(name, seed=0).in_memory()
    found = compare_language_models(floats, integers, text, window)
    return {"model": name, "python": platform.python_version()} | found.to_dict()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tokens", type=int, required=True, help="at most; whole windows count")
    parser.add_argument("--window", type=int, default=128)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    rows = [measure(name, options.tokens, options.window) for name in SHIPPED]
    pd.DataFrame(rows).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
