"""Data to train on: digits, .npy files, random numbers, and targets made of them."""

import importlib.util
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from training_case import FORMATS, small_rule

from zkbench.errors import UnusableInput
from zkbench.models.training.rule import TrainingFormats
from zkbench.models.training.training_data import (
    TrainingData,
    digits,
    npy_data,
    random_data,
    random_floats,
    real_targets,
)
from zkbench.quant.training_calibration import quantise_data

SCRIPT = Path(__file__).parents[2] / "experiments" / "train_digits.py"


def test_digits_are_split_as_in_the_experiment():
    data, expected = digits(seed=3), runpy.run_path(str(SCRIPT))["split_digits"](3)
    found = {
        "train_x": data.x,
        "train_y": data.labels,
        "test_x": data.test_x,
        "test_y": data.test_labels,
    }
    assert {name: len(part) for name, part in found.items()} == {
        "train_x": 1437,
        "train_y": 1437,
        "test_x": 360,
        "test_y": 360,
    }
    for name, part in expected.items():
        assert (found[name] == part).all(), name


def test_digits_without_scikit_learn(monkeypatch):
    for name in [n for n in sys.modules if n.split(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(UnusableInput, match="the digits come with scikit-learn; install it"):
        digits()


def test_scikit_learn_is_imported_only_for_digits():
    source = importlib.util.find_spec("zkbench.models.training.training_data").origin
    heads = [line for line in Path(source).read_text().splitlines() if "sklearn" in line]
    assert all(line.startswith("        from sklearn") for line in heads)
    assert len(heads) == 2


def saved(path, values):
    np.save(path, np.asarray(values))
    return path


def test_npy_files(tmp_path):
    inputs = saved(tmp_path / "x.npy", [[0.5, 1], [2, 3], [4, 5]])
    labels = npy_data(inputs, saved(tmp_path / "y.npy", [2, 0, 1]))
    assert labels.x.tolist() == [[0.5, 1], [2, 3], [4, 5]]
    assert labels.labels.tolist() == [2, 0, 1]
    assert labels.test_x is labels.test_labels is None
    targets = npy_data(inputs, saved(tmp_path / "t.npy", [[0.25], [1.0], [-1.0]]))
    assert targets.labels.tolist() == [[0.25], [1.0], [-1.0]]


@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [
        ([1.0, 2.0], [0, 1], "x.npy has shape .*; inputs are batch x features"),
        ([[1.0], [np.nan]], [0, 1], "x.npy holds NaN"),
        ([[1.0], [2.0]], [0, 1, 2], "y.npy has shape .*one label for each of 2 inputs"),
        ([[1.0], [2.0]], ["a", "b"], "y.npy holds <U1; labels are integers"),
        ([[1.0], [2.0]], [[0.5]], "2 inputs come with 1 labels"),
    ],
)
def test_npy_files_that_do_not_fit(tmp_path, inputs, labels, message):
    paths = saved(tmp_path / "x.npy", inputs), saved(tmp_path / "y.npy", labels)
    with pytest.raises(UnusableInput, match=message):
        npy_data(*paths)


def test_half_a_test_part():
    with pytest.raises(UnusableInput, match="a test part consists of inputs and labels"):
        TrainingData(np.zeros((2, 1)), np.zeros(2, int), np.zeros((1, 1)))


def test_targets_are_one_hot_or_as_given():
    assert real_targets("square", 3, [2, 0], 2).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert real_targets("cross-entropy", 2, np.array([1], np.uint8), 1).tolist() == [[0, 1]]
    assert real_targets("square", 2, [[1, -2], [3, 4]], 2).tolist() == [[1, -2], [3, 4]]


@pytest.mark.parametrize(
    ("loss", "given", "message"),
    [
        ("cross-entropy", [0, 3, 1], "the label of sample 1 is 3; 3 outputs have 0 to 2"),
        ("square", [0, 1, -1], "the label of sample 2 is -1"),
        ("cross-entropy", [0, 1], "takes one integer label for each of 3 samples"),
        ("cross-entropy", [0.0, 1.0, 2.0], "takes one integer label for each of 3 samples"),
        ("cross-entropy", np.eye(3), "takes one integer label for each of 3 samples"),
        ("square", np.zeros((3, 2)), "shape .3, 2. are neither 3 labels nor 3 rows of 3"),
        ("square", [0.0, 1.0, 2.0], "are neither 3 labels"),
    ],
)
def test_targets_that_do_not_fit(loss, given, message):
    with pytest.raises(UnusableInput, match=message):
        real_targets(loss, 3, given, 3)


@pytest.mark.parametrize("loss", ["square", "cross-entropy"])
def test_random_data_vs_random_floats(loss):
    """Both are the same numbers: the one rounded down, the other to be rounded."""
    rule = small_rule(dims=(40, 4, 30), loss=loss)
    x, targets = random_data(rule, 50, seed=9)
    floats, given = random_floats(rule.dims, loss, 50, seed=9)
    assert x.dtype == targets.dtype == np.int16
    assert (x == np.floor(floats * 2**FORMATS.activation)).all()
    assert (floats >= -1).all()
    assert (floats < 1).all()
    assert 0.3 < np.square(floats).mean() < 0.37
    if loss == "square":
        assert (targets == np.floor(given * 2**FORMATS.output)).all()
    else:
        assert (targets == quantise_data(rule, floats, given)[1]).all()
    assert (random_data(rule, 50, seed=9)[0] == x).all()
    assert (random_data(rule, 50, seed=10)[0] != x).any()


def test_random_data_of_more_fraction_bits_than_16_bits_hold():
    formats = TrainingFormats(activation=17, output=11, error=11, weight=18)
    rule = small_rule(formats=formats, rate=(200, 9), momentum=0)
    x, _ = random_data(rule, 2000, seed=1)
    assert x.min() < -32000
    assert x.max() > 32000
