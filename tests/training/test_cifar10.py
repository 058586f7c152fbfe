"""CIFAR-10's files: read as their authors wrote them, and nothing else is.

Not tested here: the files themselves, which cannot be shipped.
"""

import os
import pickle
import re

import cifar10_files
import numpy as np
import pytest
from cifar10_files import NAMES, PIXELS, images_and_labels, python2_batch, write_folder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zkbench.errors import UnusableInput
from zkbench.models.training.cifar10 import cifar10


def test_the_test_files_are_what_python_reads():
    images, labels = images_and_labels(3)
    found = pickle.loads(python2_batch(images.shape, images.tobytes(), labels), encoding="bytes")
    assert (found[b"data"] == images).all()
    assert found[b"data"].dtype == np.uint8
    assert found[b"labels"] == labels


def test_files_of_python_2(tmp_path):
    parts = write_folder(tmp_path)
    data = cifar10(tmp_path)
    images = np.concatenate([parts[name][0] for name in NAMES[:5]])
    assert data.x.dtype == np.float32
    assert data.x.shape == (20, PIXELS)
    assert (np.rint(data.x * 255) == images).all()
    assert data.x.min() == 0
    assert data.x.max() == 1
    assert data.labels.tolist() == [label for name in NAMES[:5] for label in parts[name][1]]
    assert (np.rint(data.test_x * 255) == parts["test_batch"][0]).all()
    assert data.test_labels.tolist() == parts["test_batch"][1]


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_files_of_python_3(tmp_path, protocol):
    parts = write_folder(tmp_path)
    images, labels = images_and_labels(5, seed=9)
    content = cifar10_files.python3_batch(images, labels, protocol)
    (tmp_path / "test_batch").write_bytes(content)
    data = cifar10(tmp_path)
    assert (np.rint(data.test_x * 255) == images).all()
    assert data.test_labels.tolist() == labels
    assert len(data.x) == sum(len(parts[name][1]) for name in NAMES[:5])


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named(tmp_path, name):
    write_folder(tmp_path, rows=1)
    (tmp_path / name).unlink()
    with pytest.raises(UnusableInput, match=f"cannot read {tmp_path / name}: No such file"):
        cifar10(tmp_path)


@pytest.mark.parametrize("kept", [0, 1, 60, 0.3, 0.9, -1])
def test_a_truncated_file_is_named(tmp_path, kept):
    write_folder(tmp_path, rows=1)
    path = tmp_path / "data_batch_3"
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    message = f"{path} is no batch of CIFAR-10 for Python: it is damaged or truncated"
    with pytest.raises(UnusableInput, match=re.escape(message)):
        cifar10(tmp_path)


class Attack:
    """Pickled, it runs a command where it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_runs_nothing(tmp_path, protocol):
    write_folder(tmp_path, rows=1)
    path, made = tmp_path / "data_batch_2", tmp_path / "made"
    path.write_bytes(pickle.dumps({b"data": Attack(made)}, protocol))
    with pytest.raises(UnusableInput, match=r"it asks for (posix|nt)\.mkdir, which no array needs"):
        cifar10(tmp_path)
    assert not made.exists()
    pickle.loads(path.read_bytes())
    assert made.exists()


@pytest.mark.parametrize(
    "name",
    [
        "builtins.eval",
        "builtins.getattr",
        "numpy.load",
        "numpy.core.multiarray.scalar",
        "os.system",
    ],
)
def test_other_names_are_not_known(tmp_path, name):
    write_folder(tmp_path, rows=1)
    module, _, attribute = name.rpartition(".")
    (tmp_path / "test_batch").write_bytes(f"\x80\x02c{module}\n{attribute}\n.".encode("latin1"))
    with pytest.raises(UnusableInput, match=f"test_batch is no batch .* asks for {name}, which no"):
        cifar10(tmp_path)


def _batch(**changes):
    images, labels = images_and_labels(2)
    parts = {"shape": images.shape, "content": images.tobytes(), "labels": labels}
    return python2_batch(**(parts | changes))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_batch(labels=[1]), "it has no list of 2 labels"),
        (_batch(labels=[1, 10]), "its labels are not all integers in 0 to 9"),
        (_batch(labels=[-1, 3]), "its labels are not all integers in 0 to 9"),
        (_batch(dtype=b"i1"), "its images are not bytes, row by row"),
        (_batch(fortran=True), "its images are not bytes, row by row"),
        (_batch(shape=(3, PIXELS)), "its images are of shape (3, 3072), not N x 3072"),
        (_batch(shape=(2 * PIXELS,)), "its images are of shape (6144,), not N x 3072"),
        (_batch(content=b"", shape=(0, PIXELS), labels=[]), "its 0 bytes are no whole images"),
        (_batch(content=b"abc", shape=(0, PIXELS)), "its 3 bytes are no whole images"),
        (pickle.dumps([1, 2]), "it holds no images under the key 'data'"),
        (pickle.dumps({b"data": b"abc"}), "it holds no images under the key 'data'"),
        (pickle.dumps({b"data": [[1]], b"labels": [1]}), "it holds no images under the key 'data'"),
        (pickle.dumps({b"data": np.float64(3)}), "which no array needs"),
        (b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)R.", "it holds no images under the key"),
        (b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\n)Rs.", "in no known form"),
        (b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\n)\x81s.", "in no known form"),
    ],
)
def test_other_content(tmp_path, content, message):
    write_folder(tmp_path, rows=1)
    (tmp_path / "data_batch_5").write_bytes(content)
    expected = f"{tmp_path / 'data_batch_5'} is no batch of CIFAR-10 for Python: "
    with pytest.raises(UnusableInput, match=re.escape(expected) + ".*" + re.escape(message)):
        cifar10(tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("cifar10")
    write_folder(path, rows=1)
    return path


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_files_are_refused_or_read(folder, changes):
    """Whatever bytes change, nothing but UnusableInput is raised."""
    content = bytearray(_batch())
    for position, value in changes:
        content[-1 - position if position > 200 else position] = value
    (folder / "test_batch").write_bytes(content)
    try:
        data = cifar10(folder)
    except UnusableInput as error:
        assert "test_batch is no batch" in str(error)
    else:
        assert data.test_x.shape[1] == PIXELS
        assert data.test_x.min() >= 0
        assert data.test_x.max() <= 1
