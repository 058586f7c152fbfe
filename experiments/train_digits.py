"""Trains the digit classifier: an MLP 64-128-128-10 with ReLU on scikit-learn's digits.

Writes into --out the weights as PyTorch would (model.safetensors, float32), and the images
(pixels / 16, float64) and labels of both parts: train_x.npy, train_y.npy, test_x.npy, test_y.npy.
The same seed and library versions on the same kind of CPU give the same files: one thread, because
the order of additions in a matrix product depends on how many there are.
"""

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from zkbench.errors import UnusableInput
from zkbench.models.mlp import FloatMLP
from zkbench.models.tensor_files import write_npy

HIDDEN = (128, 128)
TEST_IMAGES = 360
MAX_PIXEL = 16


def split_digits(seed: int) -> dict[str, np.ndarray]:
    """The two parts, stratified by label: 1437 images to train with, 360 to test."""
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(
        images / MAX_PIXEL, labels, test_size=TEST_IMAGES, random_state=seed, stratify=labels
    )
    return dict(zip(("train_x", "test_x", "train_y", "test_y"), parts, strict=True))


def train(x: np.ndarray, y: np.ndarray, seed: int, epochs: int) -> MLPClassifier:
    """The fitted classifier; fewer epochs than convergence takes are not worth a warning."""
    classifier = MLPClassifier(HIDDEN, activation="relu", random_state=seed, max_iter=epochs)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return classifier.fit(x, y)


def to_float_mlp(classifier: MLPClassifier) -> FloatMLP:
    """The classifier's layers, rounded to the float32 in which they are stored."""
    weights = [coefs.T.astype(np.float32).astype(np.float64) for coefs in classifier.coefs_]
    biases = [bias.astype(np.float32).astype(np.float64) for bias in classifier.intercepts_]
    return FloatMLP(weights, biases)


def make_directory(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnusableInput(f"cannot create {out}: {error.strerror}") from error


def write(out: Path, model: FloatMLP, parts: dict[str, np.ndarray]) -> None:
    """Writes all five files, the model last: where it is, the rest is."""
    for name, array in parts.items():
        write_npy(out / f"{name}.npy", array)
    model.to_safetensors(out / "model.safetensors", np.float32)


def run(out: Path, seed: int, epochs: int) -> float:
    """Trains and writes; the accuracy of the model as written on the test images."""
    make_directory(out)
    parts = split_digits(seed)
    model = to_float_mlp(train(parts["train_x"], parts["train_y"], seed, epochs))
    write(out, model, parts)
    return float(np.mean(model.labels(parts["test_x"]) == parts["test_y"]))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="directory for the five files")
    parser.add_argument("--seed", type=int, default=0, help="of the split and the training")
    parser.add_argument("--epochs", type=int, default=200, help="at most so many (default 200)")
    options = parser.parse_args(arguments)
    try:
        accuracy = run(options.out, options.seed, options.epochs)
    except UnusableInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"test accuracy: {accuracy:.4f} ({TEST_IMAGES} images)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
