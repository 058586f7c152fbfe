"""From text to tokens and back: a checkpoint's own tokenizer, or bytes."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zkbench.errors import UnusableInput
from zkbench.files import PathLike
from zkbench.models.language.config import LanguageModelConfig

BYTES = 256

Tokens = NDArray[np.int64]


class Tokenizer(Protocol):
    """What models take their prompts through."""

    def encode(self, text: str) -> Tokens: ...

    def decode(self, tokens: Tokens) -> str: ...


class ByteTokenizer:
    """A token is a byte of UTF-8; the vocabulary is 256."""

    def encode(self, text: str) -> Tokens:
        return np.frombuffer(text.encode(), np.uint8).astype(np.int64)

    def decode(self, tokens: Tokens) -> str:
        return bytes(int(token) for token in tokens).decode(errors="replace")


class CheckpointTokenizer:
    """A `tokenizer.json` through the library `tokenizers`, with the tokens that it puts first."""

    def __init__(self, implementation: Any) -> None:
        self._implementation = implementation

    def encode(self, text: str) -> Tokens:
        return np.array(self._implementation.encode(text).ids, dtype=np.int64)

    def decode(self, tokens: Tokens) -> str:
        return str(self._implementation.decode([int(token) for token in tokens]))


def load_tokenizer(folder: PathLike, config: LanguageModelConfig) -> Tokenizer:
    """The tokenizer of the checkpoint in `folder`; bytes where it has none and V is 256.

    Raises `UnusableInput` where there is none otherwise, or the library `tokenizers` is missing.
    """
    root = Path(folder)
    if (root / "tokenizer.json").exists():
        return CheckpointTokenizer(_from_json(root / "tokenizer.json"))
    if (root / "vocab.json").exists() and (root / "merges.txt").exists():
        return CheckpointTokenizer(_from_vocabulary(root))
    if config.vocab == BYTES:
        return ByteTokenizer()
    raise UnusableInput(f"{root} holds no tokenizer.json; give tokens instead of a prompt")


def _library() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        message = "prompts need the library tokenizers (pip install tokenizers), or give tokens"
        raise UnusableInput(message) from error
    return tokenizers


def _from_json(path: Path) -> Any:
    library = _library()
    try:
        return library.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise UnusableInput(f"{path} is not a usable tokenizer: {error}") from error


def _from_vocabulary(root: Path) -> Any:
    """The files of OPT's checkpoints: GPT-2's byte pairs, and </s> before every text."""
    library = _library()
    try:
        found = library.ByteLevelBPETokenizer(str(root / "vocab.json"), str(root / "merges.txt"))
    except Exception as error:  # the library raises plain Exception
        raise UnusableInput(f"{root} holds no usable vocabulary: {error}") from error
    first = found.token_to_id("</s>")
    if first is not None:
        found.post_processor = library.processors.TemplateProcessing(
            single="</s> $A", special_tokens=[("</s>", first)]
        )
    return found
