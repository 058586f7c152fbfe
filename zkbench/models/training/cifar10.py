"""CIFAR-10 as its authors distribute it for Python (cs.toronto.edu/~kriz/cifar.html): pickled batches.

A pickle is a program. Here it can build lists, dictionaries, strings, numbers and *descriptions* of
arrays; no code of NumPy's or of anybody else's runs on its behalf.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkbench.errors import UnusableInput
from zkbench.files import PathLike, read_bytes
from zkbench.models.training.training_data import TrainingData

_TRAINING_FILES = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEST_FILE = "test_batch"
_PIXELS = 3 * 32 * 32
_CLASSES = 10
_MAX_PIXEL = 255

Bytes = NDArray[np.uint8]


def cifar10(folder: PathLike) -> TrainingData:
    """The 50000 images to train with and 10000 to test: float32 in [0, 1], N x 3072, red plane first.

    folder: where the six batches lie. Raises `UnusableInput`, naming the file, for one that is missing,
    damaged or no such batch.
    """
    parts = [_read_batch(Path(folder) / name) for name in _TRAINING_FILES]
    images, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
    test_images, test_labels = _read_batch(Path(folder) / _TEST_FILE)
    return TrainingData(_scaled(images), labels, _scaled(test_images), test_labels)


def _scaled(images: Bytes) -> NDArray[np.float32]:
    return images.astype(np.float32) / np.float32(_MAX_PIXEL)


def _read_batch(path: Path) -> tuple[Bytes, NDArray[np.int64]]:
    try:
        return _parsed(_unpickled(read_bytes(path)))
    except _NoBatchError as error:
        raise UnusableInput(f"{path} is no batch of CIFAR-10 for Python: {error}") from error


class _NoBatchError(Exception):
    """Why not."""


def _unpickled(data: bytes) -> Any:
    try:
        return _Unpickler(io.BytesIO(data), encoding="bytes").load()
    except _NoBatchError:
        raise
    except Exception as error:  # damaged pickles raise whatever their opcodes meet
        reason = " ".join(str(error).split()) or type(error).__name__
        raise _NoBatchError(f"it is damaged or truncated ({reason})") from error


def _parsed(batch: Any) -> tuple[Bytes, NDArray[np.int64]]:
    if not isinstance(batch, dict) or not isinstance(batch.get(b"data"), _Array):
        raise _NoBatchError("it holds no images under the key 'data'")
    images, labels = batch[b"data"].images(), batch.get(b"labels")
    if not isinstance(labels, list) or len(labels) != len(images):
        raise _NoBatchError(f"it has no list of {len(images)} labels")
    if not all(type(label) is int and 0 <= label < _CLASSES for label in labels):
        raise _NoBatchError(f"its labels are not all integers in 0 to {_CLASSES - 1}")
    return images, np.array(labels, dtype=np.int64)


class _Description:
    """What a pickle says of an object, kept as data; it may call no __init__ and set no state."""

    arguments: tuple[Any, ...] = ()
    state: Any = ()

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Type(_Description):
    """numpy.dtype(...)."""

    @property
    def is_byte(self) -> bool:
        return self.arguments[:1] in ((b"u1",), ("u1",))


class _Array(_Description):
    """numpy's _reconstruct(ndarray, ...); the state is (version, shape, type, order, content)."""

    def images(self) -> Bytes:
        """The array, if it is one of images."""
        if not isinstance(self.state, tuple) or len(self.state) != 5:
            raise _NoBatchError("its array of images is in no known form")
        _, shape, dtype, is_fortran, content = self.state
        if not isinstance(dtype, _Type) or not dtype.is_byte or is_fortran:
            raise _NoBatchError("its images are not bytes, row by row")
        if not isinstance(content, bytes) or shape != (len(content) // _PIXELS, _PIXELS):
            raise _NoBatchError(f"its images are of shape {shape}, not N x {_PIXELS}")
        if not content or len(content) % _PIXELS:
            raise _NoBatchError(f"its {len(content)} bytes are no whole images")
        return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _encode(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes in Python 2's pickles."""
    if encoding not in ("latin1", b"latin1"):
        raise _NoBatchError("it asks for an unknown encoding")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Description,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    """Knows nothing but what describes an array."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise _NoBatchError(f"it asks for {module}.{name}, which no array needs") from None
