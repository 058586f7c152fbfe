"""A language model's weights as a prover works with them: stacks of all layers, or of some."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from typing import Any

import numpy as np

from zkbench.fields import Field
from zkbench.kernels.launch import Array, Target
from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.formats import linear_names, matrix_names
from zkbench.models.language.integer_model import IntegerLanguageModel
from zkbench.models.language.integer_tensors import described_tensors, has_bias
from zkbench.models.language.tables import Tables
from zkbench.protocols.language_segment import Segment
from zkbench.protocols.language_tensors import is_stacked, model_shapes

Arrays = dict[str, Any]  # NumPy's, or another library's that NumPy's functions dispatch to
Place = Callable[[np.ndarray], Any]
_READERS = 16
_ROOT_BITS = 24  # of what protocols/rmsnorm.py takes


def model_arrays(model: IntegerLanguageModel, place: Place = np.asarray) -> Arrays:
    """The committed tensors of a model, by the names of ``model_shapes``.

    place: where to; brings one tensor after the other to a GPU, say.
    """
    config, shapes = model.config, model_shapes(model.config)
    outer = {"embedding": "embedding", "output": "output"}
    if not config.is_llama:
        outer |= {"positions": "positions", "b_output": "output.bias"}
    found = {name: place(model.tensor(inner)) for name, inner in outer.items()}
    for name in matrix_names(config):
        found[f"w_{name}"] = _stacked(model, name, "", place)
        if name in linear_names(config) and has_bias(config, name):
            found[f"b_{name}"] = _stacked(model, name, ".bias", place)
    return {name: array.reshape(shapes[name]) for name, array in found.items()}


def _stacked(model: IntegerLanguageModel, name: str, suffix: str, place: Place) -> Any:
    """One kind of tensor of all layers; threads read or draw them, a few ahead."""
    names = [f"layers.{layer}.{name}{suffix}" for layer in range(model.config.layers)]
    stack: Any = None
    with ThreadPoolExecutor(min(_READERS, os.cpu_count() or 1)) as readers:
        for layer, made in enumerate(readers.map(model.tensor, names)):
            tensor = place(made)
            if stack is None:
                stack = np.empty((len(names), *tensor.shape), dtype=tensor.dtype, like=tensor)
            stack[layer] = tensor
    return stack


def model_tensors(
    target: Target, field: Field, arrays: Mapping[str, Any], on_host: bool = False
) -> dict[str, Array]:
    """The same for a program; biases also lifted to E, as "name.lifted".

    on_host: weights stay where they are, and come to the target piece by piece.
    """
    if on_host:
        tensors = {name: array.reshape(-1) for name, array in arrays.items()}
    else:
        tensors = {name: target.to_device(array) for name, array in arrays.items()}
    for name, array in arrays.items():
        if name.startswith("b_"):
            tensors[f"{name}.lifted"] = target.to_device(field.lift(_on_host(array)))
    return tensors


class StackedModel(IntegerLanguageModel):
    """The model whose tensors are these stacks; it computes where ``place`` brings them."""

    def __init__(
        self, model: IntegerLanguageModel, arrays: Mapping[str, Any], place: Place = np.asarray
    ) -> None:
        tensors = _StackedTensors(model.config, arrays, place)
        super().__init__(model.config, model.formats, tensors)
        self._place = place

    def tables(self, positions: int) -> Tables:
        found = super().tables(positions)
        return replace(
            found,
            **{
                one.name: self._place(getattr(found, one.name))
                for one in fields(found)
                if getattr(found, one.name) is not None
            },
        )


class _StackedTensors:
    def __init__(
        self, config: LanguageModelConfig, arrays: Mapping[str, Any], place: Place
    ) -> None:
        self._described, self._arrays, self._place = described_tensors(config), arrays, place

    def tensor(self, name: str) -> Any:
        shape, _ = self._described[name]
        if not name.startswith("layers."):
            stacked = {"output.bias": "b_output"}.get(name, name)
            return self._place(self._arrays[stacked]).reshape(shape)
        _, layer, matrix, *bias = name.split(".")
        stack = self._arrays[f"{'b' if bias else 'w'}_{matrix}"]
        return self._place(stack[int(layer)]).reshape(shape)


def segment_arrays(arrays: Mapping[str, Any], segment: Segment) -> Arrays:
    """Of ``model_arrays``, what is of these layers or of none: views, under the same names."""
    first, stop = segment.first, segment.stop
    return {name: a[first:stop] if is_stacked(name) else a for name, a in arrays.items()}


def segment_tensors(
    target: Target, field: Field, arrays: Mapping[str, Any], segment: Segment, on_host: bool = False
) -> dict[str, Array]:
    """The stacks among ``segment_arrays``, as a program of these layers names them."""
    stacks = {name: array for name, array in arrays.items() if is_stacked(name)}
    found = model_tensors(target, field, stacks, on_host)
    return {segment.weights(name): tensor for name, tensor in found.items()}


def _on_host(array: Any) -> np.ndarray:
    """A copy on the host of what may be on a GPU."""
    host: np.ndarray = array.get() if hasattr(array, "get") else array
    return host
