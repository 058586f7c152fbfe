"""The state dict that PyTorch writes for an `nn.Sequential` of `Linear` and `ReLU`.

Layer l is `{2l}.weight` of shape out x in and `{2l}.bias` of shape out; the odd numbers are the
ReLUs, which have no tensors.
"""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkbench.errors import UnusableInput
from zkbench.files import PathLike
from zkbench.models.tensor_files import read_safetensors

_NAME = re.compile(r"(0|[1-9][0-9]*)\.(weight|bias)")
_EXPECTED = "expected an nn.Sequential of Linear and ReLU: 0.weight, 0.bias, 2.weight, ..."

Tensors = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float64]


def load_state_dict(path: PathLike) -> tuple[list[Floats], list[Floats]]:
    """Weights (out x in) and biases (out) of all layers, in float64, checked."""
    tensors, _ = read_safetensors(path)
    try:
        return sequential_layers(tensors)
    except UnusableInput as error:
        raise UnusableInput(f"{os.fspath(path)}: {error}") from error


def sequential_layers(tensors: Tensors) -> tuple[list[Floats], list[Floats]]:
    """Weights and biases out of a state dict; an error names the tensor that is wrong."""
    numbers = _layer_numbers(tensors)
    weights = [_floats(tensors, f"{number}.weight") for number in numbers]
    biases = [_floats(tensors, f"{number}.bias") for number in numbers]
    check_layers(weights, biases)
    return weights, biases


def check_layers(weights: Sequence[Floats], biases: Sequence[Floats]) -> None:
    """Raises `UnusableInput` unless shapes fit from layer to layer and all values are finite."""
    if len(weights) != len(biases) or not weights:
        raise UnusableInput(f"{len(weights)} weights and {len(biases)} biases make no model")
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        _check_weight(f"{2 * layer}.weight", weight)
        _check_bias(f"{2 * layer}.bias", bias, weight)
        if layer and weight.shape[1] != weights[layer - 1].shape[0]:
            raise UnusableInput(_misfit(2 * layer, weight, weights[layer - 1]))


def _layer_numbers(tensors: Tensors) -> list[int]:
    numbers = {_number(name) for name in tensors}
    if not numbers:
        raise UnusableInput(f"the file holds no tensors; {_EXPECTED}")
    expected = list(range(0, 2 * len(numbers), 2))
    for number, found in zip(expected, sorted(numbers), strict=True):
        if number != found:
            raise UnusableInput(_gap(number, found))
    return expected


def _number(name: str) -> int:
    match = _NAME.fullmatch(name)
    if match is None:
        raise UnusableInput(f"tensor {name} is unknown; {_EXPECTED}")
    return int(match[1])


def _gap(expected: int, found: int) -> str:
    if found < expected:
        return f"layer {found} stands where the ReLU before layer {expected} belongs; {_EXPECTED}"
    return f"tensor {expected}.weight is missing before layer {found}; {_EXPECTED}"


def _floats(tensors: Tensors, name: str) -> Floats:
    if name not in tensors:
        raise UnusableInput(f"tensor {name} is missing")
    if tensors[name].dtype.kind != "f":
        raise UnusableInput(f"tensor {name} is {tensors[name].dtype}; weights are floating point")
    return tensors[name].astype(np.float64)


def _check_weight(name: str, weight: Floats) -> None:
    if weight.ndim != 2 or weight.size == 0:
        raise UnusableInput(f"tensor {name} has shape {weight.shape}; expected out x in")
    _check_finite(name, weight)


def _check_bias(name: str, bias: Floats, weight: Floats) -> None:
    if bias.shape != weight.shape[:1]:
        expected = f"expected {weight.shape[:1]}, one for each output of its weight"
        raise UnusableInput(f"tensor {name} has shape {bias.shape}; {expected}")
    _check_finite(name, bias)


def _check_finite(name: str, tensor: Floats) -> None:
    if not np.isfinite(tensor).all():
        raise UnusableInput(f"tensor {name} holds NaN or infinite values")


def _misfit(number: int, weight: Floats, previous: Floats) -> str:
    return (
        f"tensor {number}.weight takes {weight.shape[1]} values, "
        f"but {number - 2}.weight gives {previous.shape[0]}"
    )
