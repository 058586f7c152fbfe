"""safetensors files larger than memory: mapped, checked by their header, written as they come.

The format: 8 bytes, the header's length, little-endian; the header, JSON from names to dtype, shape
and the range of bytes behind the header; the tensors' bytes.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from zkbench.errors import UnusableInput
from zkbench.files import NewFile, PathLike, write_together

DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "U16": "<u2",
}
FLOATS = frozenset({"F64", "F32", "F16", "BF16"})

_NAMES = {np.dtype(code): name for name, code in DTYPES.items() if name != "BF16"}
_ALIGNMENT = 8
_MAX_HEADER = 100_000_000  # what the format's own library allows


class MappedTensors:
    """The tensors of a file, each read when it is asked for; the file stays mapped.

    Raises `UnusableInput`, naming the file and where possible the tensor, for a header that is not
    one, for tensors that reach beyond the end of the file (it is truncated) and for types that are
    not numbers of 16, 32 or 64 bits.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)
        self._data = _mapped(self.path)
        header, self._begin = self._parse_header()
        self.metadata: dict[str, str] = header.pop("__metadata__", None) or {}
        self._entries = {name: self._checked(name, entry) for name, entry in header.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    @property
    def names(self) -> list[str]:
        return list(self._entries)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._entries[name]["shape"])

    def is_float(self, name: str) -> bool:
        return self._entries[name]["dtype"] in FLOATS

    def dtype_name(self, name: str) -> str:
        """The type in the format's own words, such as BF16."""
        return str(self._entries[name]["dtype"])

    def tensor(self, name: str) -> NDArray[Any]:
        """A read-only view of the file; bfloat16 becomes a float32 array of its own."""
        entry = self._entries[name]
        begin, end = entry["data_offsets"]
        raw = self._data[self._begin + begin : self._begin + end].view(DTYPES[entry["dtype"]])
        if entry["dtype"] == "BF16":  # the upper half of a float32
            raw = (raw.astype(np.uint32) << np.uint32(16)).view(np.float32)
        return raw.reshape(entry["shape"])

    def _parse_header(self) -> tuple[dict[str, Any], int]:
        length = int.from_bytes(bytes(self._data[:8]), "little")
        if len(self._data) < 8 or length > min(_MAX_HEADER, len(self._data) - 8):
            raise UnusableInput(f"{self.path} is not a safetensors file, or it is truncated")
        try:
            header = json.loads(bytes(self._data[8 : 8 + length]))
        except (ValueError, RecursionError) as error:
            message = f"{self.path} is not a safetensors file: its header is not JSON"
            raise UnusableInput(message) from error
        if not isinstance(header, dict):
            raise UnusableInput(f"{self.path} is not a safetensors file: its header is no object")
        return header, 8 + length

    def _checked(self, name: str, entry: Any) -> dict[str, Any]:
        try:
            begin, end = entry["data_offsets"]
            shape, dtype = [int(n) for n in entry["shape"]], entry["dtype"]
            if begin < 0 or min(shape, default=1) < 0:
                raise ValueError("negative")
        except (TypeError, ValueError, KeyError) as error:
            raise UnusableInput(f"tensor {name} of {self.path} is not described") from error
        if dtype not in DTYPES:
            raise UnusableInput(f"tensor {name} of {self.path} is {dtype}, which is not supported")
        if end - begin != math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize:
            raise UnusableInput(f"tensor {name} of {self.path} has not as many bytes as its shape")
        if self._begin + end > len(self._data):
            raise UnusableInput(f"{self.path} is truncated: tensor {name} reaches beyond its end")
        return {"dtype": dtype, "shape": tuple(shape), "data_offsets": (begin, end)}


def write_streamed(
    path: PathLike,
    described: Mapping[str, tuple[tuple[int, ...], str]],
    tensors: Iterable[tuple[str, NDArray[Any]]],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes tensors one after the other, none of them held longer than it takes.

    described: shape and NumPy dtype of each by name, in the order in which `tensors` yields them.
    The file appears under its name when it is whole.
    """
    write_together([NewFile(path, streamed(described, tensors, metadata))])


def streamed(
    described: Mapping[str, tuple[tuple[int, ...], str]],
    tensors: Iterable[tuple[str, NDArray[Any]]],
    metadata: Mapping[str, str] | None = None,
) -> Callable[[IO[bytes]], None]:
    """What writes such a file into an open one."""

    def write(file: IO[bytes]) -> None:
        file.write(_header(described, metadata or {}))
        _write_all(file, described, tensors)

    return write


def _write_all(
    file: IO[bytes],
    described: Mapping[str, tuple[tuple[int, ...], str]],
    tensors: Iterable[tuple[str, NDArray[Any]]],
) -> None:
    for (expected, (shape, dtype)), (name, tensor) in zip(described.items(), tensors, strict=True):
        if name != expected or tensor.shape != shape or tensor.dtype != np.dtype(dtype):
            raise ValueError(
                f"{name} {tensor.dtype}{tensor.shape} is not {expected} {dtype}{shape}"
            )
        np.ascontiguousarray(tensor).tofile(file)


def _header(
    described: Mapping[str, tuple[tuple[int, ...], str]], metadata: Mapping[str, str]
) -> bytes:
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    begin = 0
    for name, (shape, dtype) in described.items():
        end = begin + math.prod(shape) * np.dtype(dtype).itemsize
        kind = _NAMES[np.dtype(dtype)]
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def _mapped(path: Path) -> NDArray[np.uint8]:
    try:
        if path.stat().st_size == 0:
            raise UnusableInput(f"{path} is empty")
        return np.memmap(path, dtype=np.uint8, mode="r").view(np.ndarray)
    except OSError as error:
        raise UnusableInput(f"cannot read {path}: {error.strerror or error}") from error
