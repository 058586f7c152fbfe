"""Prompts on the command line: from texts and files to tokens, and from tokens to words."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np

from zkbench.errors import UnusableInput
from zkbench.files import PathLike
from zkbench.language import find_tokenizer
from zkbench.language_statement import LanguageCommitment, LanguageStatement
from zkbench.models.language.tokenizer import Tokenizer
from zkbench.models.tensor_files import load_integers

_SHOWN = 60  # characters of a text
_LISTED = 8  # tokens chosen

Tokens = np.ndarray


def load_tokens(path: PathLike) -> Tokens:
    """Tokens from a .npy file of integers with one axis, int64."""
    tokens = load_integers(path)
    if tokens.ndim != 1:
        raise UnusableInput(f"{path} has shape {tokens.shape}; tokens have one axis")
    return tokens


def prompt_tokens(
    prompt: str | None, tokens: str | None, folder: PathLike, public: LanguageCommitment
) -> Tokens:
    """The tokens of ``--prompt`` or ``--tokens``; the tokenizer's files are in ``folder``."""
    if tokens is not None:
        return load_tokens(tokens)
    assert prompt is not None
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise UnusableInput("the prompt is not valid UTF-8") from error
    return find_tokenizer(folder, public).encode(prompt)


def asked_positions(text: str | None, count: int) -> Tokens:
    """``last`` (so is None), ``all`` or a list as 0,4,17, of ``count`` tokens; rising."""
    if text == "all":
        return np.arange(count)
    if text is None or text == "last":
        return np.array([count - 1])
    try:
        asked = sorted(int(part) for part in text.split(","))
    except ValueError as error:
        message = f"--positions is {text[:60]!r}; it must be last, all or a list as 0,4,17"
        raise UnusableInput(message) from error
    if asked[0] < 0 or asked[-1] >= count:
        wrong = asked[0] if asked[0] < 0 else asked[-1]
        raise UnusableInput(f"position {wrong} is none of the prompt's {count} tokens")
    if len(set(asked)) < len(asked):
        raise UnusableInput("--positions has a position twice")
    return np.array(asked)


class Words:
    """A statement in words; without the tokenizer, in numbers."""

    def __init__(
        self, statement: LanguageStatement, public: LanguageCommitment, folder: PathLike
    ) -> None:
        self.statement = statement
        self._tokenizer: Tokenizer | None = None
        if public.tokenizer is not None:
            with suppress(UnusableInput):  # a verifier needs no tokenizer
                self._tokenizer = find_tokenizer(Path(folder), public)

    def text(self, tokens: Tokens) -> str | None:
        """What the tokens say."""
        return None if self._tokenizer is None else self._tokenizer.decode(tokens)

    @property
    def prompt(self) -> str:
        """The number of tokens, and the end of the text; escaped: it may come from a stranger."""
        count = len(self.statement.tokens)
        text = self.text(self.statement.tokens)
        said = "" if text is None else f" ({_quoted_end(text)})"
        return f"{count} token{'s' if count > 1 else ''}{said}"

    @property
    def chosen(self) -> str:
        """The tokens chosen, the first of many."""
        chosen = self.statement.chosen
        listed = ", ".join(self._token(token) for token in chosen[:_LISTED].tolist())
        more = len(chosen) - _LISTED
        return f"{listed} and {more} more" if more > 0 else listed

    def _token(self, token: int) -> str:
        text = self.text(np.array([token]))
        return str(token) if text is None else f"{token} {_quoted_end(text)}"

    @property
    def continuation(self) -> str:
        """What ``prove`` prints: the text chosen, escaped, or the tokens."""
        text = self.text(self.statement.chosen)
        return self.chosen if text is None else repr(text)

    @property
    def claim(self) -> str:
        """What follows "the model"."""
        statement = self.statement
        count, last = len(statement.positions), len(statement.tokens) - 1
        if count == 1 and statement.positions[0] == last:
            return f"continues {self.prompt} with token {self.chosen}"
        if count == 1:
            at = f"behind position {statement.positions[0]} of {self.prompt}"
            return f"chooses token {self.chosen} {at}"
        at = f"behind {count} positions of {self.prompt}"
        return f"chooses {at} tokens {self.chosen}"


def _quoted_end(text: str) -> str:
    return repr(text) if len(text) <= _SHOWN else "... " + repr(text[-_SHOWN:])
