"""Mapped safetensors files, against the format's own library."""

import json

import numpy as np
import pytest
import safetensors.numpy

from zkbench.errors import UnusableInput
from zkbench.models.mapped_tensors import MappedTensors, write_streamed

TENSORS = {
    "a": np.arange(6, dtype=np.int16).reshape(2, 3),
    "b": np.array([1.5, -2.0], dtype=np.float32),
    "c": np.array(7, dtype=np.int64),
    "empty": np.zeros((0, 4), dtype=np.float16),
    "d": np.arange(3, dtype=np.uint16),
}


def described(tensors):
    return {name: (values.shape, str(values.dtype)) for name, values in tensors.items()}


def test_reads_what_safetensors_writes(tmp_path):
    path = tmp_path / "x.safetensors"
    safetensors.numpy.save_file(TENSORS, path, metadata={"k": "v"})
    found = MappedTensors(path)
    assert found.metadata == {"k": "v"}
    assert set(found.names) == set(TENSORS)
    for name, values in TENSORS.items():
        np.testing.assert_array_equal(found.tensor(name), values)
        assert found.tensor(name).dtype == values.dtype
        assert found.shape(name) == values.shape
        assert name in found


def test_safetensors_reads_what_is_streamed(tmp_path):
    path = tmp_path / "x.safetensors"
    write_streamed(path, described(TENSORS), TENSORS.items(), {"k": "v"})
    found = safetensors.numpy.load_file(path)
    for name, values in TENSORS.items():
        np.testing.assert_array_equal(found[name], values)
    with safetensors.safe_open(path, "np") as file:
        assert file.metadata() == {"k": "v"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.safetensors"]


def test_nothing_is_left_of_a_file_that_was_not_finished(tmp_path):
    def failing():
        yield "a", TENSORS["a"]
        raise UnusableInput("no more")

    with pytest.raises(UnusableInput, match="no more"):
        write_streamed(tmp_path / "x", described(TENSORS), failing())
    with pytest.raises(ValueError, match="is not a"):
        write_streamed(tmp_path / "x", described(TENSORS), [("a", TENSORS["b"])])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UnusableInput, match="cannot write"):
        write_streamed(tmp_path / "no" / "x", described(TENSORS), TENSORS.items())


def test_tensors_cannot_be_written_to(tmp_path):
    write_streamed(tmp_path / "x", described(TENSORS), TENSORS.items())
    with pytest.raises(ValueError, match="read-only"):
        MappedTensors(tmp_path / "x").tensor("a")[0, 0] = 1


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ([], "its header is no object"),
        ({"t": 5}, "tensor t of .* is not described"),
        ({"t": {**ENTRY, "data_offsets": [0]}}, "tensor t of .* is not described"),
        ({"t": {**ENTRY, "data_offsets": [-8, 0]}}, "tensor t of .* is not described"),
        ({"t": {**ENTRY, "shape": [-1, -2]}}, "tensor t of .* is not described"),
        ({"t": {**ENTRY, "shape": ["x"]}}, "tensor t of .* is not described"),
        ({"t": {**ENTRY, "dtype": "F8_E4M3"}}, "is F8_E4M3, which is not supported"),
        ({"t": {**ENTRY, "shape": [3]}}, "has not as many bytes as its shape"),
        ({"t": {**ENTRY, "data_offsets": [4, 12]}}, "truncated: tensor t reaches beyond its end"),
    ],
)
def test_damaged_headers(tmp_path, header, message):
    text = json.dumps(header).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
    with pytest.raises(UnusableInput, match=message):
        MappedTensors(path)


@pytest.mark.parametrize("data", [b"x", b"\xff" * 20, (3).to_bytes(8, "little") + b"{{{"])
def test_other_files(tmp_path, data):
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(UnusableInput, match="is not a safetensors file"):
        MappedTensors(tmp_path / "x")
