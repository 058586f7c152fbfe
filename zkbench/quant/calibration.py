"""Calibration: from a float model and typical inputs to the number formats of an integer model."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zkbench.errors import UnusableInput
from zkbench.models.mlp import (
    ACCUMULATOR_BITS,
    VALUE_BITS,
    FloatMLP,
    Int16s,
    Int64s,
    IntegerMLP,
    check_shift,
    layer_name,
    relu,
)
from zkbench.quant.formats import FixedPoint, is_integer, largest_fraction_bits
from zkbench.quant.linear import exact_product, rescale
from zkbench.quant.report import RangeReport, TensorRange, largest_magnitude, measure_range

__all__ = ["RangeReport", "TensorRange", "calibrate"]

MAX_HEADROOM_BITS = VALUE_BITS - 2

_VALUE_LIMIT = FixedPoint(VALUE_BITS, 0).max
_ACCUMULATOR_LIMIT = FixedPoint(ACCUMULATOR_BITS, 0).max

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Layer:
    """A quantised layer, and its quotients on the calibration inputs."""

    weight: Int16s
    bias: Int64s
    weight_format: FixedPoint
    bias_format: FixedPoint
    output_format: FixedPoint
    quotients: Int64s


def calibrate(
    model: FloatMLP, inputs: ArrayLike, shift: int = 16, headroom_bits: int = 1
) -> IntegerMLP:
    """The integer model of `model`, with power-of-two scales fitted to `inputs`, batch x features.

    Inputs and activations get as many fraction bits as leave the largest of them, over the
    calibration inputs, `headroom_bits` below the 16-bit range: other inputs may be 2^headroom_bits
    times as large. Where the weights or the bias of a layer would then not fit, or a rounded
    activation leave 16 bits, the layer's activation gets fewer. The weights' fraction bits follow
    from those around them and from the shift, which therefore sets the weights' precision: they
    come out near 2^shift divided by the fan-in. For a fan-in of 1 or 2 with large weights that is
    more than 16 bits hold; a smaller shift then leaves the activations more fraction bits. The
    forward pass on `inputs` never fails.

    Raises `UnusableInput` for inputs that do not fit the model or overflow it, and for a shift or
    headroom out of range.
    """
    check_shift(shift)
    limit = _limit_below(headroom_bits)
    given = np.asarray(inputs, dtype=np.float64)
    activations = model.preactivations(given)
    input_format = _format_for(given, limit)
    x = input_format.quantise(given, "calibration input").astype(np.int16)
    layers: list[_Layer] = []
    for layer, activation in enumerate(activations):
        x_format = layers[-1].output_format if layers else input_format
        weight, bias = model.weights[layer].T, model.biases[layer]
        layers.append(_fit_layer(weight, bias, activation, x, x_format, shift, limit))
        x = relu(layers[-1].quotients.astype(np.int16))
    report = _report(model, given, activations, input_format, layers)
    return _assemble(layers, shift, input_format, report)


def _fit_layer(
    weight: Floats,
    bias: Floats,
    activation: Floats,
    x: Int16s,
    x_format: FixedPoint,
    shift: int,
    limit: int,
) -> _Layer:
    """The layer with the most fraction bits of y with which everything fits."""
    y_format = _output_format(weight, bias, activation, x_format, shift, limit)
    while True:
        layer = _quantise_layer(weight, bias, x, x_format, y_format, shift)
        if y_format.contains(layer.quotients):
            return layer
        y_format = FixedPoint(VALUE_BITS, y_format.frac_bits - 1)


def _output_format(
    weight: Floats, bias: Floats, activation: Floats, x_format: FixedPoint, shift: int, limit: int
) -> FixedPoint:
    wanted = _format_for(activation, limit).frac_bits
    weight_bits = largest_fraction_bits(largest_magnitude(weight), _VALUE_LIMIT)
    bias_bits = largest_fraction_bits(largest_magnitude(bias), _ACCUMULATOR_LIMIT)
    bounds = [wanted]
    if weight_bits is not None:
        bounds.append(weight_bits + x_format.frac_bits - shift)
    if bias_bits is not None:
        bounds.append(bias_bits - shift)
    return FixedPoint(VALUE_BITS, min(bounds))


def _quantise_layer(
    weight: Floats, bias: Floats, x: Int16s, x_format: FixedPoint, y_format: FixedPoint, shift: int
) -> _Layer:
    frac_bits = shift + y_format.frac_bits
    weight_format = FixedPoint(VALUE_BITS, frac_bits - x_format.frac_bits)
    bias_format = FixedPoint(ACCUMULATOR_BITS, frac_bits)
    weight_q = np.ascontiguousarray(weight_format.quantise(weight), dtype=np.int16)
    bias_q = bias_format.quantise(bias)
    quotients, _ = rescale(exact_product(x, weight_q) + bias_q, shift)
    return _Layer(weight_q, bias_q, weight_format, bias_format, y_format, quotients)


def _format_for(values: Floats, limit: int) -> FixedPoint:
    """The finest 16-bit format in which no |value| exceeds limit; all-zero values count as ones."""
    maximum = largest_magnitude(values) or 1.0
    frac_bits = largest_fraction_bits(maximum, limit)
    assert frac_bits is not None  # maximum is not 0
    return FixedPoint(VALUE_BITS, frac_bits)


def _limit_below(headroom_bits: int) -> int:
    if not is_integer(headroom_bits) or not 0 <= headroom_bits <= MAX_HEADROOM_BITS:
        allowed = f"an integer in [0, {MAX_HEADROOM_BITS}]"
        raise UnusableInput(f"headroom is {headroom_bits!r} bits; it must be {allowed}")
    return min(1 << (VALUE_BITS - 1 - headroom_bits), _VALUE_LIMIT)


def _assemble(
    layers: list[_Layer], shift: int, input_format: FixedPoint, report: RangeReport
) -> IntegerMLP:
    return IntegerMLP(
        weights=tuple(layer.weight for layer in layers),
        biases=tuple(layer.bias for layer in layers),
        shift=shift,
        input_format=input_format,
        formats=tuple(layer.output_format for layer in layers),
        report=report,
    )


def _report(
    model: FloatMLP,
    inputs: Floats,
    activations: list[Floats],
    input_format: FixedPoint,
    layers: list[_Layer],
) -> RangeReport:
    rows = [measure_range("input", inputs, input_format.quantise(inputs), input_format)]
    for i, (layer, activation) in enumerate(zip(layers, activations, strict=True)):
        name = layer_name(i, len(layers))
        weight, bias = model.weights[i].T, model.biases[i]
        rows += [
            measure_range(f"weight of {name}", weight, layer.weight, layer.weight_format),
            measure_range(f"bias of {name}", bias, layer.bias, layer.bias_format),
            measure_range(
                f"activation of {name}", activation, layer.quotients, layer.output_format
            ),
        ]
    return RangeReport(tuple(rows))
