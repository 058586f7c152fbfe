"""Model inputs and labels from .npy files, and every file that does not hold them."""

import io
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkbench.errors import UnusableInput
from zkbench.models.tensor_files import load_inputs, load_labels, write_npy


def npy(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def npz(array):
    buffer = io.BytesIO()
    np.savez(buffer, array)
    return buffer.getvalue()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.npy"


@pytest.mark.parametrize("dtype", ["f2", "<f4", ">f4", "f8", "u1", "i8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_inputs_of_real_types_become_float64(path, dtype, order):
    numbers = np.array([[0, 1, 2], [3, 4, 5]], dtype, order=order)
    path.write_bytes(npy(numbers))
    inputs = load_inputs(path, 3)
    assert inputs.dtype == np.float64
    assert inputs.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert load_inputs(path).shape == (2, 3)


def huge_header():
    good = npy(np.zeros((10, 10)))
    return good.replace(b"(10, 10)", b"(9" + b"9" * 14 + b", 1)").ljust(200, b" ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a .npy file"),
        (b"0.5 0.25\n", "is not a .npy file"),
        (npz(np.zeros((1, 2))), "is not a .npy file"),
        (pickle.dumps(np.zeros((1, 2))), "is not a .npy file"),
        (npy(np.array([[{}]], object), allow_pickle=True), "Object arrays cannot be loaded"),
        (npy(np.zeros((4, 2)))[:-1], "is not a usable .npy file"),
        (npy(np.zeros((4, 2)))[:30], "is not a usable .npy file"),
        (b"\x93NUMPY", "is not a usable .npy file"),
        (b"\x93NUMPY\x09\x00" + bytes(100), "is not a usable .npy file"),
        (huge_header(), "is not a usable .npy file"),
        (npy(np.zeros(2)), r"has shape \(2,\); inputs are batch x features"),
        (npy(np.zeros((1, 2, 1))), r"has shape \(1, 2, 1\)"),
        (npy(np.zeros(())), r"has shape \(\)"),
        (npy(np.zeros((0, 2))), r"has shape \(0, 2\)"),
        (npy(np.zeros((1, 3))), "has 3 features, the model takes 2"),
        (npy(np.array([[0, np.nan]])), "holds NaN or infinite values"),
        (npy(np.array([[0, -np.inf]], "f2")), "holds NaN or infinite values"),
        (npy(np.zeros((1, 2), complex)), "holds complex128; inputs are real numbers"),
        (npy(np.array([["a", "b"]])), "inputs are real numbers"),
        (npy(np.zeros((1, 2), bool)), "inputs are real numbers"),
    ],
)
def test_files_without_inputs_are_refused(path, content, message):
    path.write_bytes(content)
    with pytest.raises(UnusableInput, match=f"x.npy .*{message}") as caught:
        load_inputs(path, 2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "reason"), [("nowhere", "No such file"), (".", "Is a directory")])
def test_unreadable_paths_are_refused(tmp_path, name, reason):
    with pytest.raises(UnusableInput, match=f"cannot read .*: {reason}"):
        load_inputs(tmp_path / name, 2)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 100), st.integers(1, 255), st.binary(max_size=40))
def test_damaged_headers_load_or_are_unusable(tmp_path_factory, place, flip, tail):
    content = bytearray(npy(np.ones((2, 2))))
    content[place] ^= flip
    path = tmp_path_factory.getbasetemp() / "damaged.npy"
    path.write_bytes(bytes(content) + tail)
    try:
        assert load_inputs(path).ndim == 2
    except UnusableInput as error:
        assert "damaged.npy" in str(error)


def test_labels(path):
    write_npy(path, np.array([3, 1, 2], np.uint8))
    assert load_labels(path, 3).tolist() == [3, 1, 2]
    with pytest.raises(UnusableInput, match=r"has shape \(3,\); one label for each of 4 inputs"):
        load_labels(path, 4)
    write_npy(path, np.zeros(3))
    with pytest.raises(UnusableInput, match="holds float64; labels are integers"):
        load_labels(path, 3)
