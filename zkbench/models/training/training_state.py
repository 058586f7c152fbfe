"""What training in integers goes on from: weights, biases, and the updates of the step before."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkbench.errors import UnusableInput
from zkbench.files import PathLike, read_bytes, write_atomically
from zkbench.models.mlp import FloatMLP
from zkbench.models.tensor_files import parse_safetensors, safetensors_bytes
from zkbench.models.training.rule import WEIGHT_BITS, TrainingRule
from zkbench.quant.formats import FixedPoint, QuantisationError

_FILE_KEY = "zkbench"
_FILE_KIND = {"kind": "training state", "version": 1}
# One tensor of each kind for each layer: its type, and whether it is a matrix.
_KINDS = {
    "weight": (np.dtype(np.int32), True),
    "bias": (np.dtype(np.int32), False),
    "update": (np.dtype(np.int16), True),
    "bias_update": (np.dtype(np.int16), False),
}

Arrays = tuple[NDArray[Any], ...]


@dataclass(frozen=True, eq=False)
class TrainingState:
    """The weights between two steps, and the momentum parts' memory; tuples over the layers.

    weights: int32, d_in x d_out. biases: int32, d_out. updates: int16, d_in x d_out, and
    bias_updates: int16, d_out, are those of the step before, zeros before the first. Arrays are not
    copied, and may be CuPy's. Raises `UnusableInput` for types and shapes that make no model.
    """

    weights: Arrays
    biases: Arrays
    updates: Arrays
    bias_updates: Arrays

    def __post_init__(self) -> None:
        parts = (self.weights, self.biases, self.updates, self.bias_updates)
        if not self.weights or len({len(part) for part in parts}) != 1:
            raise UnusableInput(
                "a training state needs weight, bias and both updates of each layer"
            )
        for layer, arrays in enumerate(zip(*parts, strict=True)):
            self._check_layer(layer, dict(zip(_KINDS, arrays, strict=True)))

    def _check_layer(self, layer: int, arrays: dict[str, NDArray[Any]]) -> None:
        shape = self.weights[layer].shape
        if len(shape) != 2 or (layer and shape[0] != self.weights[layer - 1].shape[1]):
            raise UnusableInput(
                f"the weight of layer {layer} has shape {shape}, which does not fit"
            )
        for kind, (dtype, is_matrix) in _KINDS.items():
            expected = shape if is_matrix else shape[1:]
            if arrays[kind].dtype != dtype or arrays[kind].shape != expected:
                raise UnusableInput(f"the {kind} of layer {layer} is not {dtype} of {expected}")

    @property
    def dims(self) -> tuple[int, ...]:
        """Widths from the input to the output, one more than there are layers."""
        return (self.weights[0].shape[0], *(weight.shape[1] for weight in self.weights))

    @classmethod
    def from_floats(cls, model: FloatMLP, rule: TrainingRule) -> TrainingState:
        """The model before the first step: rounded, halves to even.

        Raises `QuantisationError` where a weight leaves 32 bits.
        """
        if model.dims != rule.dims:
            raise UnusableInput(f"the model's widths {model.dims} are not the rule's {rule.dims}")
        weights = tuple(
            _quantised(weight.T, rule, f"weight of layer {layer}")
            for layer, weight in enumerate(model.weights)
        )
        biases = tuple(
            _quantised(bias, rule, f"bias of layer {layer}")
            for layer, bias in enumerate(model.biases)
        )
        return cls(weights, biases, _zeros_like(weights), _zeros_like(biases))

    def to_float_model(self, rule: TrainingRule) -> FloatMLP:
        """The real numbers that the weights stand for, exactly."""
        state = self.placed(on_host)
        numbers = FixedPoint(WEIGHT_BITS, rule.formats.weight)
        return FloatMLP(
            [numbers.dequantise(weight.T) for weight in state.weights],
            [numbers.dequantise(bias) for bias in state.biases],
        )

    def placed(self, place: Callable[[Any], Any]) -> TrainingState:
        """The same state where ``place`` brings its arrays."""
        parts = (self.weights, self.biases, self.updates, self.bias_updates)
        return TrainingState(*(tuple(map(place, part)) for part in parts))

    def to_bytes(self) -> bytes:
        """What `save` writes."""
        state = self.placed(on_host)
        parts = (state.weights, state.biases, state.updates, state.bias_updates)
        tensors = {
            f"{layer}.{kind}": array
            for kind, part in zip(_KINDS, parts, strict=True)
            for layer, array in enumerate(part)
        }
        header = {**_FILE_KIND, "layers": len(self.weights)}
        return safetensors_bytes(tensors, {_FILE_KEY: json.dumps(header, sort_keys=True)})

    @classmethod
    def from_bytes(cls, data: bytes, path: PathLike = "the training state") -> TrainingState:
        """Reads what `to_bytes` gave. Raises `UnusableInput`, naming `path`, for anything else."""
        tensors, metadata = parse_safetensors(data, path)
        try:
            return cls._from_tensors(tensors, json.loads(metadata[_FILE_KEY]))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            reason = error if isinstance(error, UnusableInput) else "its header does not fit"
            raise UnusableInput(
                f"{os.fspath(path)} is no training state of zkbench: {reason}"
            ) from error

    @classmethod
    def _from_tensors(cls, tensors: Mapping[str, NDArray[Any]], header: Any) -> TrainingState:
        if {key: header[key] for key in _FILE_KIND} != _FILE_KIND:
            raise UnusableInput("its kind or version is another")
        layers = range(header["layers"])
        if len(tensors) != len(_KINDS) * len(layers):
            raise UnusableInput(f"its tensors are not those of {len(layers)} layers")
        return cls(*(tuple(tensors[f"{layer}.{kind}"] for layer in layers) for kind in _KINDS))

    def save(self, path: PathLike) -> None:
        """Writes one safetensors file at once."""
        write_atomically(path, self.to_bytes())

    @classmethod
    def load(cls, path: PathLike) -> TrainingState:
        """Reads what `save` wrote. Raises `UnusableInput` for any other file."""
        return cls.from_bytes(read_bytes(path), path)


def on_host(array: Any) -> NDArray[Any]:
    """The array in NumPy, copied only if it is CuPy's."""
    host: NDArray[Any] = array.get() if hasattr(array, "get") else array
    return host


def _quantised(values: NDArray[np.float64], rule: TrainingRule, name: str) -> NDArray[np.int32]:
    try:
        integers = FixedPoint(WEIGHT_BITS, rule.formats.weight).quantise(values, name)
    except QuantisationError as error:
        raise QuantisationError(f"{error}; use fewer fraction bits of weights") from error
    return np.ascontiguousarray(integers, dtype=np.int32)


def _zeros_like(arrays: Arrays) -> Arrays:
    return tuple(np.zeros(array.shape, dtype=np.int16) for array in arrays)
