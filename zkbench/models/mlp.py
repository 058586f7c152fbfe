"""The multilayer perceptron with ReLU: in floating point, and in integers.

The integer model is the one that proofs are about. Layer l = 0 .. L-1 takes x_l (int16) and gives
    acc_l = x_l W_l + b_l                      exactly, |acc_l| < 2^47
    acc_l + 2^(s-1) = 2^s y_l + rem_l          0 <= rem_l < 2^s, y_l in int16
    x_{l+1} = max(y_l, 0)                      for l < L-1
    label = argmax y_{L-1}                     the first of equal maxima
with one shift s for all layers: scales that differ between layers are absorbed in the fraction
bits of the weights, s + (fraction bits of y_l) - (fraction bits of x_l).
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from zkbench.errors import UnusableInput
from zkbench.files import PathLike, write_atomically
from zkbench.models.state_dict import check_layers, load_state_dict
from zkbench.models.tensor_files import read_safetensors, safetensors_bytes, write_safetensors
from zkbench.quant.formats import REMEDY, FixedPoint, QuantisationError, is_integer
from zkbench.quant.linear import exact_product, rescale
from zkbench.quant.report import RangeReport, largest_magnitude, root_mean_square

VALUE_BITS = 16
ACCUMULATOR_BITS = 48
MAX_SHIFT = 16

_FILE_NAME = "integer_model.safetensors"
_FILE_KEY = "zkbench"
_FILE_KIND = {"kind": "integer MLP", "version": 1}

Floats = NDArray[np.float64]
Int16s = NDArray[np.int16]
Int64s = NDArray[np.int64]


def layer_name(layer: int, depth: int) -> str:
    """How messages and reports call a layer: "layer 2 (output)"."""
    return f"layer {layer} ({'output' if layer == depth - 1 else 'hidden'})"


@dataclass(frozen=True, eq=False)
class FloatMLP:
    """Linear layers with ReLU between them, in float64: weights out x in, biases out.

    Arrays are copied and read-only. Raises `UnusableInput` where shapes do not fit from layer to
    layer, or for NaN and inf, naming the tensor as PyTorch does.
    """

    weights: Sequence[Floats]
    biases: Sequence[Floats]

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", _frozen(self.weights, np.float64))
        object.__setattr__(self, "biases", _frozen(self.biases, np.float64))
        check_layers(self.weights, self.biases)

    @property
    def dims(self) -> tuple[int, ...]:
        """Widths from the input to the output, one more than there are layers."""
        return (self.weights[0].shape[1], *(weight.shape[0] for weight in self.weights))

    @classmethod
    def from_safetensors(cls, path: PathLike) -> "FloatMLP":
        """The model of a PyTorch state dict (`models.state_dict`), in any floating-point type.

        Raises `UnusableInput`, naming the tensor, for everything that is not such a file.
        """
        return cls(*load_state_dict(path))

    def to_safetensors(self, path: PathLike, dtype: DTypeLike = np.float64) -> None:
        """Writes the state dict, in PyTorch's names."""
        tensors: dict[str, NDArray[Any]] = {}
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            tensors[f"{2 * layer}.weight"] = weight.astype(dtype)
            tensors[f"{2 * layer}.bias"] = bias.astype(dtype)
        write_safetensors(path, tensors)

    def preactivations(self, x: ArrayLike) -> list[Floats]:
        """The outputs of all linear layers (before ReLU), each batch x d_out; x is batch x d_in.

        Raises `UnusableInput` where one of them overflows float64.
        """
        values = _checked_batch(np.asarray(x, dtype=np.float64), self.dims[0])
        if not np.isfinite(values).all():
            raise UnusableInput("input holds NaN or infinite values")
        outputs: list[Floats] = []
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            with np.errstate(over="ignore", invalid="ignore"):
                outputs.append(values @ weight.T + bias)
            _check_finite(outputs[-1], f"activation of {layer_name(layer, len(self.weights))}")
            values = np.maximum(outputs[-1], 0)
        return outputs

    def forward(self, x: ArrayLike) -> Floats:
        """The output layer's values, batch x d_out."""
        return self.preactivations(x)[-1]

    def labels(self, x: ArrayLike) -> Int64s:
        """The arg-max of the output, the first of equal maxima."""
        found: Int64s = self.forward(x).argmax(axis=1)
        return found


@dataclass(frozen=True)
class LinearStack:
    """Linear layers of one shape, which are proven together."""

    layers: tuple[int, ...]
    d_in: int
    d_out: int
    is_output: bool


def linear_stacks(dims: Sequence[int]) -> list[LinearStack]:
    """Hidden layers by equal (d_in, d_out), in order of first appearance; the output alone.

    dims: widths from the input to the output.
    """
    layers_of: dict[tuple[int, int], list[int]] = {}
    for layer, shape in enumerate(pairwise(dims[:-1])):
        layers_of.setdefault(shape, []).append(layer)
    stacks = [LinearStack(tuple(layers), *shape, False) for shape, layers in layers_of.items()]
    return [*stacks, LinearStack((len(dims) - 2,), dims[-2], dims[-1], True)]


@dataclass(frozen=True, eq=False)
class Trace:
    """All values of an integer forward pass; tuples run over the layers, arrays over the batch.

    inputs: x_0, batch x d_in. accumulators, quotients, remainders: batch x d_out of the layer.
    """

    inputs: Int16s
    accumulators: tuple[Int64s, ...]
    quotients: tuple[Int16s, ...]
    remainders: tuple[NDArray[np.uint16], ...]
    labels: Int64s

    def layer_input(self, layer: int) -> Int16s:
        """x_l: the model's input, or the ReLU of the layer before."""
        return relu(self.quotients[layer - 1]) if layer else self.inputs


@dataclass(frozen=True, eq=False)
class IntegerMLP:
    """The integer model; see the head of this file for what it computes.

    weights: W_l, int16, d_in x d_out (the transpose of PyTorch's). biases: b_l, int64, d_out, at
    the scale of the accumulators. formats: the format of y_l. Arrays are copied and read-only.
    Raises `UnusableInput` where types, shapes or ranges do not make a model.
    """

    weights: tuple[Int16s, ...]
    biases: tuple[Int64s, ...]
    shift: int
    input_format: FixedPoint
    formats: tuple[FixedPoint, ...]
    report: RangeReport = field(default_factory=RangeReport)

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", _frozen(self.weights))
        object.__setattr__(self, "biases", _frozen(self.biases))
        check_shift(self.shift)
        _check_counts(self.weights, self.biases, self.formats)
        for layer in range(len(self.weights)):
            self._check_layer(layer)
        for number_format in (self.input_format, *self.formats):
            if number_format.bits != VALUE_BITS or not number_format.signed:
                raise UnusableInput(f"{number_format}: values are signed and have 16 bits")

    @property
    def depth(self) -> int:
        """The number of linear layers."""
        return len(self.weights)

    @property
    def dims(self) -> tuple[int, ...]:
        """Widths from the input to the output, one more than there are layers."""
        return (self.weights[0].shape[0], *(weight.shape[1] for weight in self.weights))

    def layer_input_format(self, layer: int) -> FixedPoint:
        """The format of x_l."""
        return self.formats[layer - 1] if layer else self.input_format

    def weight_format(self, layer: int) -> FixedPoint:
        """The format of W_l."""
        given = self.layer_input_format(layer).frac_bits
        return FixedPoint(VALUE_BITS, self.shift + self.formats[layer].frac_bits - given)

    def accumulator_format(self, layer: int) -> FixedPoint:
        """The format of acc_l and b_l."""
        return FixedPoint(ACCUMULATOR_BITS, self.shift + self.formats[layer].frac_bits)

    def quantise_inputs(self, x: ArrayLike) -> Int16s:
        """x_0 from real inputs (batch x d_in), rounded half to even.

        Raises `QuantisationError` for NaN, inf and what is outside the input format.
        """
        batch = _checked_batch(np.asarray(x, dtype=np.float64), self.dims[0])
        try:
            return self.input_format.quantise(batch, "input").astype(np.int16)
        except QuantisationError as error:
            remedy = f"; {REMEDY}" if np.isfinite(batch).all() else ""
            raise QuantisationError(f"{error}{remedy}") from error

    def forward(self, x: Int16s) -> Trace:
        """The forward pass on x_0 = `x`, int16 of shape batch x d_in.

        Raises `QuantisationError`, naming the layer, where a value leaves its range.
        """
        if x.dtype != np.int16:
            raise TypeError(f"x_0 is {x.dtype}, not int16; see quantise_inputs")
        inputs = values = _checked_batch(x, self.dims[0])
        steps = []
        for layer in range(self.depth):
            steps.append(self._linear(layer, values))
            values = relu(steps[-1][1])
        accumulators, quotients, remainders = zip(*steps, strict=True)
        labels = quotients[-1].argmax(axis=1).astype(np.int64)
        return Trace(inputs, accumulators, quotients, remainders, labels)

    def stacks(self) -> list[LinearStack]:
        """See `linear_stacks`."""
        return linear_stacks(self.dims)

    def save(self, path: PathLike) -> None:
        """Writes one safetensors file: `path`, or a file in it if it is a directory."""
        write_atomically(_file_at(path), self.to_bytes())

    def to_bytes(self) -> bytes:
        """What `save` writes."""
        tensors: dict[str, NDArray[Any]] = {f"{l}.weight": w for l, w in enumerate(self.weights)}
        tensors |= {f"{l}.bias": b for l, b in enumerate(self.biases)}
        header = json.dumps(self._header(), sort_keys=True, allow_nan=False)
        return safetensors_bytes(tensors, {_FILE_KEY: header})

    @classmethod
    def load(cls, path: PathLike) -> "IntegerMLP":
        """Reads what `save` wrote. Raises `UnusableInput` for any other file."""
        tensors, metadata = read_safetensors(_file_at(path))
        try:
            return cls._from_file(tensors, json.loads(metadata[_FILE_KEY]))
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            name = os.fspath(_file_at(path))
            reason = error if isinstance(error, UnusableInput) else "its header does not fit"
            raise UnusableInput(f"{name} is no integer model of zkbench: {reason}") from error

    def _header(self) -> dict[str, Any]:
        return {
            **_FILE_KIND,
            "shift": self.shift,
            "input": self.input_format.to_dict(),
            "activations": [number_format.to_dict() for number_format in self.formats],
            "report": self.report.to_dict(),
        }

    @classmethod
    def _from_file(cls, tensors: Mapping[str, NDArray[Any]], header: Any) -> "IntegerMLP":
        if {key: header[key] for key in _FILE_KIND} != _FILE_KIND:
            raise UnusableInput("its kind or version is another")
        depth = len(header["activations"])
        if set(tensors) != {f"{i}.{kind}" for i in range(depth) for kind in ("weight", "bias")}:
            raise UnusableInput(f"its tensors are not those of {depth} layers")
        return cls(
            weights=tuple(tensors[f"{layer}.weight"] for layer in range(depth)),
            biases=tuple(tensors[f"{layer}.bias"] for layer in range(depth)),
            shift=header["shift"],
            input_format=FixedPoint(**header["input"]),
            formats=tuple(FixedPoint(**entry) for entry in header["activations"]),
            report=RangeReport.from_dict(header["report"]),
        )

    def _check_layer(self, layer: int) -> None:
        weight, bias, name = self.weights[layer], self.biases[layer], layer_name(layer, self.depth)
        if weight.dtype != np.int16 or weight.ndim != 2 or weight.size == 0:
            raise UnusableInput(f"weight of {name} must be int16 of shape d_in x d_out")
        if bias.dtype != np.int64 or bias.shape != weight.shape[1:]:
            raise UnusableInput(f"bias of {name} must be int64 of shape ({weight.shape[1]},)")
        if not self.accumulator_format(layer).contains(bias):
            raise UnusableInput(f"bias of {name} is outside {ACCUMULATOR_BITS} bits")
        if layer and weight.shape[0] != self.weights[layer - 1].shape[1]:
            raise UnusableInput(f"weight of {name} does not fit the layer before it")

    def _linear(self, layer: int, x: Int16s) -> tuple[Int64s, Int16s, NDArray[np.uint16]]:
        name = layer_name(layer, self.depth)
        accumulators = exact_product(x, self.weights[layer]) + self.biases[layer]
        _check_bits(accumulators, ACCUMULATOR_BITS, f"accumulator of {name}")
        quotients, remainders = rescale(accumulators, self.shift)
        _check_bits(quotients, VALUE_BITS, f"activation of {name}")
        return accumulators, quotients.astype(np.int16), remainders


@dataclass(frozen=True)
class Comparison:
    """The integer model against the float model that it was made from.

    Fractions of the batch in [0, 1], and differences of the outputs in the float model's units.

    The accuracies are None where no labels were given.
    """

    batch: int
    accuracy_float: float | None
    accuracy_integer: float | None
    agreement: float
    largest_difference: float
    rms_difference: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare(
    float_model: FloatMLP,
    integer_model: IntegerMLP,
    x: ArrayLike,
    labels: ArrayLike | None = None,
) -> Comparison:
    """Both models on the inputs x (batch x features), with their accuracy if labels are given."""
    outputs = float_model.forward(x)
    trace = integer_model.forward(integer_model.quantise_inputs(x))
    found: Int64s = outputs.argmax(axis=1)
    differences = integer_model.formats[-1].dequantise(trace.quotients[-1]) - outputs
    return Comparison(
        batch=len(outputs),
        accuracy_float=_accuracy(found, labels),
        accuracy_integer=_accuracy(trace.labels, labels),
        agreement=float(np.mean(found == trace.labels)),
        largest_difference=largest_magnitude(differences),
        rms_difference=root_mean_square(differences),
    )


def relu(values: Int16s) -> Int16s:
    """max(values, 0)."""
    return np.maximum(values, np.int16(0))


def check_shift(shift: int) -> None:
    """Raises `UnusableInput` unless shift is an integer in [1, 16]."""
    if not is_integer(shift) or not 1 <= shift <= MAX_SHIFT:
        raise UnusableInput(f"shift is {shift!r}; it must be an integer in [1, {MAX_SHIFT}]")


def _frozen(
    arrays: Sequence[ArrayLike], dtype: DTypeLike | None = None
) -> tuple[NDArray[Any], ...]:
    copies = tuple(np.array(array, dtype=dtype, order="C") for array in arrays)
    for copy in copies:
        copy.setflags(write=False)
    return copies


def _check_counts(*parts: tuple[Any, ...]) -> None:
    if not parts[0] or len({len(part) for part in parts}) != 1:
        raise UnusableInput("an integer model needs a weight, a bias and a format for each layer")


def _checked_batch(x: NDArray[Any], features: int) -> NDArray[Any]:
    if x.ndim != 2 or x.size == 0:
        raise UnusableInput(f"inputs have shape {x.shape}; expected batch x features")
    if x.shape[1] != features:
        raise UnusableInput(f"inputs have {x.shape[1]} features, the model takes {features}")
    return x


def _check_finite(values: Floats, name: str) -> None:
    if not np.isfinite(values).all():
        raise UnusableInput(f"{name} is not finite in floating point")


def _check_bits(values: Int64s, bits: int, name: str) -> None:
    if FixedPoint(bits, 0).contains(values):
        return
    worst = int(values.flat[np.abs(values).argmax()])
    raise QuantisationError(f"{name} reaches {worst}, outside {bits} bits; {REMEDY}")


def _file_at(path: PathLike) -> Path:
    return Path(path) / _FILE_NAME if os.path.isdir(path) else Path(path)


def _accuracy(found: Int64s, labels: ArrayLike | None) -> float | None:
    if labels is None:
        return None
    expected = np.asarray(labels)
    if expected.shape != found.shape:
        message = (
            f"labels have shape {expected.shape}; one for each of {len(found)} inputs is needed"
        )
        raise UnusableInput(message)
    return float(np.mean(found == expected))
