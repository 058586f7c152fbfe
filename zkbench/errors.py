"""Errors that a user can mend."""

from typing import Any


class UnusableInput(ValueError):
    """What the user brought cannot be used: a file, a tensor, a value or an option.

    The message is one sentence that names what is wrong and, where there is one, the remedy.
    The command line prints it and ends with exit code 2.
    """


def malformed(what: str) -> Any:
    """An exception factory whose messages begin with the file's name."""

    def make(reason: str) -> UnusableInput:
        return UnusableInput(f"{what} is malformed: {reason}")

    return make
