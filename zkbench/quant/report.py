"""How well the chosen number formats fit the tensors that they hold."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkbench.quant.formats import FixedPoint

_HEADER = ("tensor", "max |value|", "bits", "fraction bits", "range used", "rms error")


@dataclass(frozen=True)
class TensorRange:
    """One tensor in its number format.

    max_abs: largest |value| of the float tensor.
    range_used: largest |integer| over the largest integer of the format.
    rms_error: root mean square of (integer tensor / 2^frac_bits - float tensor). For activations
        the errors of all layers before are in it.
    """

    name: str
    max_abs: float
    bits: int
    frac_bits: int
    range_used: float
    rms_error: float


@dataclass(frozen=True)
class RangeReport:
    """The rows of a calibration: the input, then weight, bias and activation of each layer."""

    rows: tuple[TensorRange, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {"tensors": [asdict(row) for row in self.rows]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "RangeReport":
        return cls(tuple(TensorRange(**row) for row in data["tensors"]))

    def to_text(self) -> str:
        """A table for a terminal, one line for each tensor."""
        cells = [_HEADER, *(_cells(row) for row in self.rows)]
        widths = [max(len(line[i]) for line in cells) for i in range(len(_HEADER))]
        return "\n".join(_aligned(line, widths) for line in cells)


def measure_range(
    name: str, values: NDArray[np.float64], integers: NDArray[Any], number_format: FixedPoint
) -> TensorRange:
    """The row of a tensor `values` that is represented by `integers`, an array of equal shape."""
    return TensorRange(
        name=name,
        max_abs=largest_magnitude(values),
        bits=number_format.bits,
        frac_bits=number_format.frac_bits,
        range_used=largest_magnitude(integers.astype(np.int64)) / number_format.max,
        rms_error=root_mean_square(number_format.dequantise(integers) - values),
    )


def largest_magnitude(values: NDArray[Any]) -> float:
    """max |value|."""
    return float(np.abs(values).max())


def root_mean_square(values: NDArray[np.float64]) -> float:
    """sqrt(mean(values^2)), scaled so that no square overflows."""
    scale = largest_magnitude(values)
    if scale == 0:
        return 0.0
    return scale * float(np.sqrt(np.mean(np.square(values / scale))))


def _cells(row: TensorRange) -> tuple[str, ...]:
    used = f"{100 * row.range_used:.1f} %"
    numbers = (f"{row.max_abs:.5g}", str(row.bits), str(row.frac_bits), used)
    return (row.name, *numbers, f"{row.rms_error:.2g}")


def _aligned(cells: tuple[str, ...], widths: list[int]) -> str:
    numbers = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
    return "  ".join((cells[0].ljust(widths[0]), *numbers))
