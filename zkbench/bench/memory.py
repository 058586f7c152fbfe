"""Peak host memory of a stretch of code, not of the whole process."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import TracebackType

import psutil

SAMPLE_SECONDS = 0.01


class HostMemoryPeak:
    """Peak resident memory of this process while the `with` block runs, in `bytes`.

    Linux keeps a high-water mark which can be reset, so cases that run one after another in
    one process get their own peaks at no cost. Elsewhere a thread samples the memory every
    10 ms and may miss a short peak.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._sampler: _Sampler | None = None

    def __enter__(self) -> HostMemoryPeak:
        if not _reset_high_water_mark():
            self._sampler = _Sampler()
            self._sampler.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bytes = _high_water_mark() if self._sampler is None else self._sampler.finish()


def _reset_high_water_mark() -> bool:
    if sys.platform != "linux":
        return False
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _high_water_mark() > 0
    except OSError:
        return False


def _high_water_mark() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


class _Sampler(threading.Thread):
    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process()
        self._peak: int = self._process.memory_info().rss
        self._stop_asked = threading.Event()

    def run(self) -> None:
        while not self._stop_asked.wait(SAMPLE_SECONDS):
            self._peak = max(self._peak, self._process.memory_info().rss)

    def finish(self) -> int:
        self._stop_asked.set()
        self.join()
        return max(self._peak, self._process.memory_info().rss)
