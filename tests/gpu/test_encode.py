"""Codewords made on a CUDA GPU are the CPU's, for every shape of pass and kind of value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from targets import get_target

from zkbench.fields import GOLDILOCKS
from zkbench.kernels import ntt_cuda
from zkbench.kernels.launch import cpu_target
from zkbench.kernels.ntt import encode
from zkbench.kernels.ntt_passes import Pass, make_pass

pytestmark = pytest.mark.gpu
GAP = 8
KINDS = {
    "int16": (np.int16, False),
    "int64": (np.int64, False),
    "words": (np.uint64, False),
    "elements": (np.uint64, True),
}


def agree(log_rows: int, log_inv_rate: int, columns: int, kind: str) -> None:
    dtype, extension = KINDS[kind]
    length = (columns << log_rows) - (1 << log_rows) // 3
    info, rng = np.iinfo(dtype), np.random.default_rng(log_rows)
    bounds = max(info.min, -(2**62)), min(info.max, 2**64 - 1)
    source = rng.integers(*bounds, length * (1 + extension), dtype, endpoint=True)
    stride = (1 << (log_rows + log_inv_rate)) + GAP
    shape = (length, columns, log_rows, log_inv_rate)
    options: dict[str, Any] = {"stride": stride, "extension": extension}
    target, used = get_target("cuda"), (stride - GAP) * (1 + extension)
    on_gpu = encode(target, GOLDILOCKS, target.to_device(source), *shape, **options)
    on_cpu = encode(cpu_target(), GOLDILOCKS, source, *shape, **options)
    got, expected = target.to_host(on_gpu).reshape(columns, -1), on_cpu.reshape(columns, -1)
    assert np.array_equal(got[:, :used], expected[:, :used])


@pytest.mark.parametrize("log_rows", range(20))
def test_encode_integers_vs_cpu(log_rows: int) -> None:
    agree(log_rows, 1, 3, "int16")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("log_inv_rate", [0, 2, 3])
@pytest.mark.parametrize("log_rows", [6, 13])
def test_encode_every_kind_vs_cpu(kind: str, log_inv_rate: int, log_rows: int) -> None:
    agree(log_rows, log_inv_rate, 5, kind)


@pytest.mark.parametrize("columns", [1, 2, 8, 17, 33])
@pytest.mark.parametrize("kind", ["int16", "elements"])
def test_encode_any_number_of_columns_vs_cpu(kind: str, columns: int) -> None:
    agree(12, 1, columns, kind)


@pytest.mark.parametrize(
    "passes",
    [
        (make_pass(8, 9), make_pass(9, 0)),  # the steps of columns of 2^25 values
        (make_pass(8, 8), make_pass(8, 0)),
        (Pass((4, 4, 3), 2), make_pass(7, 0)),  # more shared memory than a static array may have
        (make_pass(5, 13), make_pass(6, 7), make_pass(7, 0)),
    ],
    ids=lambda passes: "-".join(str(shape.levels) for shape in passes),
)
def test_encode_with_other_passes_vs_cpu(
    passes: tuple[Pass, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ntt_cuda, "plan", lambda log_rows: passes)
    agree(sum(shape.levels for shape in passes), 1, 9, "int16")
