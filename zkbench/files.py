"""Reading and writing of whole files; every failure is an `UnusableInput` that names the file."""

import errno
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from zkbench.errors import UnusableInput

PathLike = str | os.PathLike[str]
Content = bytes | Callable[[IO[bytes]], None]  # bytes, or what writes them, piece by piece


def read_bytes(path: PathLike) -> bytes:
    """The content of the file at `path`."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def read_json(path: PathLike) -> Any:
    """The JSON value in the file at `path`.

    Refused are numbers that JSON does not have (NaN) and keys that occur twice, of which one reader
    sees the first and another the last.
    """
    try:
        return json.loads(
            read_bytes(path), parse_constant=_refuse_constant, object_pairs_hook=_unique_keys
        )
    except (ValueError, RecursionError) as error:
        if isinstance(error, UnusableInput):
            raise
        raise UnusableInput(f"{os.fspath(path)} is not valid JSON: {error}") from error


@dataclass(frozen=True)
class NewFile:
    """What a file shall hold; `mode`: its permissions, from which the umask takes away."""

    path: PathLike
    data: Content
    mode: int = 0o666

    @property
    def is_special(self) -> bool:
        """A pipe or a device (or a folder): it cannot be renamed onto and is written directly."""
        return os.path.exists(self.path) and not os.path.isfile(self.path)


def write_atomically(path: PathLike, data: bytes) -> None:
    """Writes `data` beside `path` and renames it: `path` holds all of it or what it held before.

    A link is followed. What is no regular file is written directly.
    """
    write_together([NewFile(path, data)])


def write_together(files: Sequence[NewFile]) -> None:
    """Writes all files as `write_atomically` does, and renames none before all are on the disk.

    Only a kill between two renames leaves some new and some old.
    """
    aside: list[tuple[Path, Path]] = []
    try:
        for file in files:
            if file.is_special:
                _naming(file.path, _write_directly, file)
            else:
                aside.append(_naming(file.path, _write_aside, file))
        for source, path in aside:
            _naming(path, os.replace, source, path)
    finally:
        for source, _ in aside:
            source.unlink(missing_ok=True)
    for folder in {path.parent for _, path in aside}:
        _sync_directory(folder)


def check_writable(paths: Iterable[PathLike]) -> None:
    """Raise `UnusableInput` for a path that cannot be written, before hours go into its content.

    One file cannot take the place of two either.
    """
    seen = set()
    for path in paths:
        parent, real = Path(os.path.realpath(path)).parent, os.path.realpath(path)
        if os.path.isdir(path):
            raise _unwritable(path, os.strerror(errno.EISDIR))
        if not parent.is_dir():
            raise _unwritable(path, os.strerror(errno.ENOENT))
        if not os.access(real if os.path.exists(path) else parent, os.W_OK):
            raise _unwritable(path, os.strerror(errno.EACCES))
        if real in seen and not NewFile(path, b"").is_special:
            raise UnusableInput(f"{os.fspath(path)} is given for two different outputs")
        seen.add(real)


def _naming(path: PathLike, write: Any, *args: Any) -> Any:
    """Call `write`; its failure is one to write `path`."""
    try:
        return write(*args)
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from error


def _write_directly(file: NewFile) -> None:
    with open(file.path, "wb") as stream:
        _write_content(stream, file.data)


def _write_content(stream: IO[bytes], content: Content) -> None:
    if isinstance(content, bytes):
        stream.write(content)
    else:
        content(stream)


def _write_aside(file: NewFile) -> tuple[Path, Path]:
    """(the new file beside the one it will replace, that one)."""
    path = Path(os.path.realpath(file.path))
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with open(os.open(aside, flags, file.mode), "wb") as stream:
            _write_content(stream, file.data)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    return aside, path


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


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for key, _ in pairs if [name for name, _ in pairs].count(key) > 1)
        raise ValueError(f"the key {twice!r} occurs twice")
    return found


def _unwritable(path: PathLike, reason: str) -> UnusableInput:
    return UnusableInput(f"cannot write {os.fspath(path)}: {reason}")


def _unreadable(path: PathLike, error: OSError) -> UnusableInput:
    return UnusableInput(f"cannot read {os.fspath(path)}: {error.strerror or error}")
