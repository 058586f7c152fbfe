"""Wall-clock time of a prover, split into phases."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from types import TracebackType

PHASES = ("witness", "commit", "lookups", "sumchecks", "opening")


class PhaseTimer:
    """Adds up the time spent in each phase.

    Phases may nest and repeat. At every moment the clock runs for the innermost open phase
    alone: opening a phase inside another stops the outer one until the inner one closes. The
    totals therefore never overlap, and their sum is at most the elapsed time.

    `synchronise`, if given, is called whenever the phase changes, so that device work which
    was launched in a phase is charged to it. Without it a change costs below a microsecond.

    >>> timer = PhaseTimer()
    >>> with timer.phase("commit"):
    ...     pass
    >>> list(timer.totals())
    ['commit']
    """

    def __init__(self, synchronise: Callable[[], None] | None = None) -> None:
        self._synchronise = synchronise
        self._seconds: dict[str, float] = {}
        self._open: list[str] = []
        self._since = 0.0

    def phase(self, name: str) -> _Phase:
        """Return a context manager that charges its block to `name`, one of `PHASES`."""
        if name not in PHASES:
            raise ValueError(f"there is no phase {name!r}; phases: {', '.join(PHASES)}")
        return _Phase(self, name)

    def totals(self) -> dict[str, float]:
        """Return the seconds of each phase that was opened, in the order of `PHASES`."""
        return {name: self._seconds[name] for name in PHASES if name in self._seconds}

    def _charge(self) -> None:
        if self._synchronise is not None:
            self._synchronise()
        now = perf_counter()
        if self._open:
            self._seconds[self._open[-1]] += now - self._since
        self._since = now

    def _enter(self, name: str) -> None:
        self._charge()
        self._seconds.setdefault(name, 0.0)
        self._open.append(name)

    def _exit(self) -> None:
        self._charge()
        self._open.pop()


class _Phase:
    __slots__ = ("_name", "_timer")

    def __init__(self, timer: PhaseTimer, name: str) -> None:
        self._timer = timer
        self._name = name

    def __enter__(self) -> None:
        self._timer._enter(self._name)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer._exit()
