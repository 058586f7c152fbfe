"""What a terminal shows while something takes longer than a second; nothing elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from zkbench.bench.timers import PhaseTimer, _Phase

Note = Callable[[str], None]  # takes what is being done


def silent(_: str) -> None:
    """Reports nothing."""


@contextmanager
def progress(what: str) -> Iterator[Callable[[str], None]]:
    """Show a spinner with ``what`` on standard error; yields a function that changes the text."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda text: None
        return
    with console.status(what) as status:
        yield lambda text: status.update(text)


class ReportingTimer(PhaseTimer):
    """A PhaseTimer that says which phase it is in."""

    def __init__(self, synchronise: Callable[[], None] | None, show: Callable[[str], None]) -> None:
        super().__init__(synchronise)
        self._show = show

    def phase(self, name: str) -> _Phase:
        self._show(f"proving: {name}")
        return super().phase(name)
