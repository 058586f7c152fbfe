"""Files of tensors: safetensors and .npy, read strictly and written whole."""

import io
import json
import os
from collections.abc import Callable, Mapping
from typing import IO, Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from zkbench.errors import UnusableInput
from zkbench.files import PathLike, read_bytes, write_atomically

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I16": "<i2", "I32": "<i4", "I64": "<i8"}
# The library's function has no types.
_deserialize: Callable[[bytes], list[tuple[str, dict[str, Any]]]] = safetensors.deserialize

_NPY_MAGIC = b"\x93NUMPY"


def read_safetensors(path: PathLike) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The tensors and the metadata of a safetensors file; bfloat16 becomes float32."""
    return parse_safetensors(read_bytes(path), path)


def parse_safetensors(
    data: bytes, path: PathLike
) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """``read_safetensors`` of a file's content; `path` is for errors."""
    try:
        entries = _deserialize(data)
    except safetensors.SafetensorError as error:
        raise UnusableInput(f"{os.fspath(path)} is not a safetensors file: {error}") from error
    tensors = {name: _decode(path, name, entry) for name, entry in entries}
    return tensors, _metadata(data)


def write_safetensors(
    path: PathLike, tensors: Mapping[str, NDArray[Any]], metadata: dict[str, str] | None = None
) -> None:
    """Writes a safetensors file at once."""
    write_atomically(path, safetensors_bytes(tensors, metadata))


def safetensors_bytes(
    tensors: Mapping[str, NDArray[Any]], metadata: dict[str, str] | None = None
) -> bytes:
    """A safetensors file's content. More than one metadata key would come in any order."""
    contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    return bytes(safetensors.numpy.save(contiguous, metadata=metadata))


def write_npy(path: PathLike, array: NDArray[Any]) -> None:
    """Writes a .npy file at once."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_atomically(path, buffer.getvalue())


def load_inputs(path: PathLike, features: int | None = None) -> NDArray[np.float64]:
    """Model inputs from a .npy file of real numbers of shape batch x features.

    Raises `UnusableInput` for another kind of file, another shape, an empty batch, NaN or inf.
    """
    array = _read_npy(path)
    name = os.fspath(path)
    if array.dtype.kind not in "fiu":
        raise UnusableInput(f"{name} holds {array.dtype}; inputs are real numbers")
    if array.ndim != 2 or array.size == 0:
        raise UnusableInput(f"{name} has shape {array.shape}; inputs are batch x features")
    if features is not None and array.shape[1] != features:
        message = f"{name} has {array.shape[1]} features, the model takes {features}"
        raise UnusableInput(message)
    inputs = array.astype(np.float64)
    if not np.isfinite(inputs).all():
        raise UnusableInput(f"{name} holds NaN or infinite values")
    return inputs


def load_labels(path: PathLike, batch: int) -> NDArray[np.int64]:
    """Labels from a .npy file of `batch` integers."""
    labels = load_integers(path, "labels")
    if labels.shape != (batch,):
        message = f"{os.fspath(path)} has shape {labels.shape}"
        raise UnusableInput(f"{message}; one label for each of {batch} inputs is needed")
    return labels


def load_integers(path: PathLike, what: str = "tokens") -> NDArray[np.int64]:
    """Integers below 2^63 from a .npy file; `what` they are is for errors."""
    array = _read_npy(path)
    if array.dtype.kind not in "iu":
        raise UnusableInput(f"{os.fspath(path)} holds {array.dtype}; {what} are integers")
    if array.size and array.max() > np.iinfo(np.int64).max:
        raise UnusableInput(f"{os.fspath(path)} holds {array.max()}; that is none of the {what}")
    return array.astype(np.int64)


def _decode(path: PathLike, name: str, entry: Mapping[str, Any]) -> NDArray[Any]:
    dtype, data, shape = entry["dtype"], entry["data"], entry["shape"]
    if dtype == "BF16":  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32).reshape(shape)
    if dtype not in _DTYPES:
        raise UnusableInput(
            f"tensor {name} of {os.fspath(path)} is {dtype}, which is not supported"
        )
    return np.frombuffer(data, _DTYPES[dtype]).reshape(shape)


def _metadata(data: bytes) -> dict[str, str]:
    length = int.from_bytes(data[:8], "little")
    metadata: dict[str, str] | None = json.loads(data[8 : 8 + length]).get("__metadata__")
    return metadata or {}


def _read_npy(path: PathLike) -> NDArray[Any]:
    try:
        with open(path, "rb") as file:
            return _parse_npy(path, file)
    except OSError as error:
        raise UnusableInput(f"cannot read {os.fspath(path)}: {error.strerror or error}") from error


def _parse_npy(path: PathLike, file: IO[bytes]) -> NDArray[Any]:
    if file.read(len(_NPY_MAGIC)) != _NPY_MAGIC:
        raise UnusableInput(f"{os.fspath(path)} is not a .npy file")
    file.seek(0)
    try:
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # a damaged header raises whatever Python's tokenizer can
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UnusableInput(f"{os.fspath(path)} is not a usable .npy file: {reason}") from error
    return array
