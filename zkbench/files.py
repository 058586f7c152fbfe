"""Reading and writing of whole files; every failure is an `UnusableInput` that names the file."""

import json
import os
from pathlib import Path
from typing import Any

from zkbench.errors import UnusableInput

PathLike = str | os.PathLike[str]


def read_bytes(path: PathLike) -> bytes:
    """The content of the file at `path`."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def read_json(path: PathLike) -> Any:
    """The JSON value in the file at `path`; numbers that JSON does not have (NaN) are refused."""
    try:
        return json.loads(read_bytes(path), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        if isinstance(error, UnusableInput):
            raise
        raise UnusableInput(f"{os.fspath(path)} is not valid JSON: {error}") from error


def write_atomically(path: PathLike, data: bytes) -> None:
    """Writes `data` beside `path` and renames it: `path` holds all of it or what it held before.

    A link is followed. What is no regular file (a pipe, a device) cannot be renamed onto and is
    written directly.
    """
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            Path(path).write_bytes(data)
        else:
            _write_and_rename(Path(os.path.realpath(path)), data)
    except OSError as error:
        reason = error.strerror or error
        raise UnusableInput(f"cannot write {os.fspath(path)}: {reason}") from error


def _write_and_rename(path: Path, data: bytes) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(aside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    except OSError:
        pass  # some network file systems cannot sync a directory; the file itself is on the disk
    finally:
        os.close(directory)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _unreadable(path: PathLike, error: OSError) -> UnusableInput:
    return UnusableInput(f"cannot read {os.fspath(path)}: {error.strerror or error}")
