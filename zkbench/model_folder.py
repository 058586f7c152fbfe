"""The folder of a committed model: its secret integers, and the public commitment.json."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zkbench.errors import UnusableInput
from zkbench.files import Content, NewFile, PathLike, write_together
from zkbench.proof import canonical_json

MODEL_FILE = "integer_model.safetensors"
COMMITMENT_FILE = "commitment.json"


def json_file(value: Any) -> bytes:
    """Canonical JSON with a final newline, as files hold it."""
    return canonical_json(value) + b"\n"


def write_model_folder(
    directory: PathLike, model: Content, commitment: Any, others: Sequence[NewFile] = ()
) -> None:
    """Write the secret model file, the public commitment.json and others, all or none.

    Paths of ``others`` are inside the folder, which is made if there is none.
    """
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnusableInput(f"cannot make the folder {folder}: {error.strerror}") from error
    secret = NewFile(folder / MODEL_FILE, model, mode=0o600)
    inside = [NewFile(folder / os.fspath(one.path), one.data, one.mode) for one in others]
    public = NewFile(folder / COMMITMENT_FILE, json_file(commitment))
    write_together([secret, *inside, public])


def model_folder(directory: PathLike) -> Path:
    """The folder as a path; raises UnusableInput where there is none."""
    folder = Path(directory)
    if not folder.is_dir():
        raise UnusableInput(f"{folder} is no folder that zkbench commit wrote")
    return folder


def require_same(folder: Path, committed: Any, public: Any) -> None:
    """Raises UnusableInput unless what was committed again is what the folder's file says."""
    if committed != public:
        raise UnusableInput(
            f"{folder / COMMITMENT_FILE} is not the commitment to the model beside it;"
            " run zkbench commit again"
        )
