"""What provers on a dry GPU share: no proof of work, and tensors that are only there."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import pytest
from dry_target import DryArray, DryTarget

import zkbench.protocols

GIB = 1 << 30
MEMORY = 77 * GIB  # of a GPU of "80 GB", less what the driver and two libraries keep


def without_proofs_of_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """They need a true hash."""
    for info in pkgutil.iter_modules(zkbench.protocols.__path__, "zkbench.protocols."):
        module = importlib.import_module(info.name)
        if hasattr(module, "prove_work"):
            monkeypatch.setattr(module, "prove_work", lambda *_: None)
    monkeypatch.setattr("zkbench.commitments.whir_rounds.prove_work", lambda *_: None)


class Filled(dict[str, Any]):
    """Tensors on the target, of 16-bit integers if nothing is said.

    One that has no shape is there too: its size does not matter to kernels that do not run.
    """

    def __init__(
        self, target: DryTarget, shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self._target = target
        for name, shape in shapes.items():
            self[name] = DryArray(target, prod(shape), dtypes.get(name, np.int16))

    def __missing__(self, name: str) -> DryArray:
        self[name] = DryArray(self._target, 0, np.int32)
        return self[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self[name]

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.values())
