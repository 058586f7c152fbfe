"""Compares the float model with the integer models of several rescaling shifts.

The shift decides how many bits the weights get (see `zkbench.quant.calibration`): activations
keep their 16 bits. One row a shift: the bits of the largest weight, both accuracies, agreement of
the labels, and the differences of the outputs.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zkbench.models.mlp import FloatMLP, IntegerMLP, compare
from zkbench.quant.calibration import calibrate


def weight_bits(model: IntegerMLP) -> int:
    """Bits that the largest weight takes, with its sign."""
    return 1 + max(
        int(np.abs(weight.astype(np.int64)).max()).bit_length() for weight in model.weights
    )


def compare_at(shift: int, model: FloatMLP, parts: dict[str, np.ndarray]) -> dict[str, Any]:
    """One row of the table: calibrated on the training images, compared on the test images."""
    integer_model = calibrate(model, parts["train_x"], shift=shift)
    comparison = compare(model, integer_model, parts["test_x"], parts["test_y"])
    return {"shift": shift, "weight_bits": weight_bits(integer_model)} | comparison.to_dict()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--digits", type=Path, required=True, help="folder of train_digits.py")
    parser.add_argument("--shifts", type=int, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    model = FloatMLP.from_safetensors(options.digits / "model.safetensors")
    names = ("train_x", "test_x", "test_y")
    parts = {name: np.load(options.digits / f"{name}.npy") for name in names}
    rows = [compare_at(shift, model, parts) for shift in sorted(options.shifts)]
    pd.DataFrame(rows).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
