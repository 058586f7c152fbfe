"""Malicious provers of a forward pass: honest but for one lie, and consistent about it.

Not tested here: weights that are no 16-bit integers. The committer chooses them, as elements of
the field, and the proof is about the model so chosen (protocols/mlp_inference.py says so).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cheating import (
    NOT_IN_TABLE,
    TARGET,
    WRONG_INDEX,
    WRONG_INPUT,
    WRONG_OPENING,
    WRONG_OUTPUT,
    WRONG_PRODUCT,
    BoldLogupStar,
    Cheat,
    ForgedPush,
    Relay,
    bump,
    exact_extension,
    forge,
    forward,
    overflowing,
    rejected,
)
from inference_case import Case

from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.protocols.evaluate import extension_of_integers
from zkbench.protocols.layer_inputs import LayerInputs
from zkbench.protocols.sumcheck import Axis


def test_without_a_lie_the_cheater_is_believed(case):
    """What the tests below show is due to their lies: byte for byte it is the real prover."""
    forgery = forge(case)
    forgery.verify()
    assert forgery.proof == case.proof


# A wrong matrix product, and what a prover may do to hide it: each step moves the lie further.


def _wrong_product(case: Case, layer: int) -> dict:
    """The quotient follows from the false accumulator, and the layers above from the quotient."""
    step = 1 << case.committed.model.shift
    return {"trace": forward(case.committed.model, case.inputs, product=bump(layer, step))}


@pytest.mark.parametrize("layer", range(4))
def test_wrong_product(case, layer):
    rejected(WRONG_PRODUCT, case, **_wrong_product(case, layer))


def test_wrong_product_in_a_remainder_alone(case):
    """The smallest lie: no quotient changes."""
    trace = forward(case.committed.model, case.inputs)
    down = int(trace.remainders[1].reshape(-1)[0]) > 0
    trace = forward(case.committed.model, case.inputs, product=bump(1, -1 if down else 1))
    rejected(WRONG_PRODUCT, case, trace=trace)


class ForgedFactor(Cheat):
    """Sends, at the end of the matrix product, a factor with which the product is right."""

    which = 0

    def _prove_linear(self, transcript, target, book, tensors, witness, s, claim):
        linear = self._linear(s)

        def keep_bias(relay, values):
            relay.product, _ = linear._without_bias(claim, values[0])
            return values

        def forge_factor(relay, values):
            final = relay.final(relay.product.value, linear._matmul._axes(relay.product))
            values[self.which] = final / values[1 - self.which]
            return values

        relay = Relay(transcript, bias=keep_bias, factors=forge_factor)
        return super()._prove_linear(relay, target, book, tensors, witness, s, claim)


class ForgedWeights(ForgedFactor):
    which = 1


class ForgedSources(LayerInputs):
    """Sends an output of the layer before with which the inputs add up to their claim."""

    def prove(self, transcript, target, trace, s, claim):
        def forge_output(relay, values):
            if values:
                values[0] = values[0] + self._gap(trace, s, claim, values)
            return values

        relay = Relay(transcript, inputs=forge_output)
        outputs = super().prove(relay, target, trace, s, claim)
        sent = relay.sent["inputs"]
        return [replace(output, value=value) for output, value in zip(outputs, sent, strict=True)]

    def _gap(self, trace, s, claim, values):
        public, _ = self._sources(s, claim.point[0])
        at_inputs = 0
        if 0 in self.stacks[s].layers:
            inputs = trace.inputs
            at_inputs = public * extension_of_integers(
                TARGET, self.field, inputs.reshape(-1), inputs.shape, claim.point[1:]
            )
        return claim.value - sum(values, self.field.element(0)) - at_inputs


class ForgedInputs(ForgedFactor):
    """Sends also the output of the layer before as the forged factor needs it."""

    @property
    def _layer_inputs(self):
        return ForgedSources(**vars(super()._layer_inputs))


class ForgedColumns(ForgedInputs):
    """Sends also, at the end of the look-up of outputs, values of Y with which it is right."""

    def _prove_relu(self, transcript, target, book, witness, outputs):
        size = self._logup_star.table_size
        sent = []

        def forge_columns(relay, values):
            sent.append(values)
            if len(sent) == 2:  # the first is at the fraction tree's point
                gamma = relay.last["gamma"]
                powers = [gamma**k for k in range(len(outputs))]
                total = sum((g * o.value for g, o in zip(powers, outputs, strict=True)), 0 * gamma)
                point = relay.point(size.bit_length() - 1)
                table = self._logup_star.table.extension(self.field, point)
                final = relay.final(total, [Axis(size)])
                values[0] = final / table - values[1] * self.field.element(0, 1)
            return values

        relay = Relay(transcript, columns=forge_columns)
        original = type(self._logup_star)._send_columns

        def send_columns(protocol, transcript, target, pushed, point):
            claims = original(protocol, transcript, target, pushed, point)
            forged = sent[-1]
            return tuple(replace(c, value=v) for c, v in zip(claims, forged, strict=True))

        BoldLogupStar._send_columns = send_columns
        try:
            return super()._prove_relu(relay, target, book, witness, outputs)
        finally:
            del BoldLogupStar._send_columns


@pytest.mark.parametrize(
    ("cheat", "reason"),
    [
        (ForgedFactor, WRONG_INPUT),
        (ForgedWeights, WRONG_OPENING),
        (ForgedInputs, WRONG_OUTPUT),
        (ForgedColumns, WRONG_OPENING),
    ],
)
def test_wrong_product_hidden_in_the_next_claim(case, cheat, reason):
    rejected(reason, case, cheat, **_wrong_product(case, 2))


def test_wrong_product_of_the_public_inputs_cannot_be_hidden(case):
    rejected(WRONG_INPUT, case, ForgedColumns, **_wrong_product(case, 0))


class ForgedBias(Cheat):
    """The bias makes up for the false accumulator."""

    def _prove_linear(self, transcript, target, book, tensors, witness, s, claim):
        trace = witness.trace
        wrong = np.stack([trace.accumulators[l] for l in self.stacks[s].layers])
        honest = np.stack([self.accumulators[l] for l in self.stacks[s].layers])
        shape = wrong.shape
        gap = exact_extension(target, self.field, wrong - honest, shape, claim.point)
        rows = exact_extension(
            target, self.field, np.ones(shape[1], int), shape[1:2], claim.point[1:2]
        )
        relay = Relay(transcript, bias=lambda _, values: [values[0] + gap / rows])
        before = len(book.claims)
        result = super()._prove_linear(relay, target, book, tensors, witness, s, claim)
        assert len(book.claims) == before + 2
        return result


def test_wrong_product_hidden_in_the_bias(case):
    """Only the committed biases tell: the matrix product is that of the weights."""
    lie = _wrong_product(case, 1)
    model = case.committed.model
    given = lie["trace"].given
    ForgedBias.accumulators = [
        x.astype(np.int64) @ w.astype(np.int64) + b
        for x, w, b in zip(given, model.weights, model.biases, strict=True)
    ]
    rejected(WRONG_OPENING, case, ForgedBias, **lie)


# Rescaling.


@pytest.mark.parametrize("amount", [-1, 1, 3])
@pytest.mark.parametrize("layer", [0, 2, 3])
def test_quotient_off_with_the_remainder_that_compensates(case, layer, amount):
    trace = forward(case.committed.model, case.inputs, quotient=bump(layer, amount))
    rejected(NOT_IN_TABLE, case, trace=trace)


def test_quotient_off_in_the_last_entry(case):
    last = (len(case.inputs) - 1, 5)
    trace = forward(case.committed.model, case.inputs, quotient=bump(1, 1, last))
    rejected(NOT_IN_TABLE, case, trace=trace)


def test_remainder_out_of_range_and_forged_sums(case):
    """The roots are made to add up to zero: the trees below them do not."""
    trace = forward(case.committed.model, case.inputs, quotient=bump(1, 1))
    num_lookers = len(case.committed.public.protocol(1).lookups[0].shapes)
    roots = []

    def forge_top(relay, top):
        p0, p1, q0, q1 = top if len(top) == 4 else (0, top[0], 1, top[1])
        roots.append(((p0 * q1 + p1 * q0) / (q0 * q1), top))
        if len(roots) == num_lookers + 1:  # the table's
            gap = sum((value for value, _ in roots), 0 * p1)
            return [p0 - gap * q0, p1, q0, q1]
        return top

    reason = "a layer of the fraction tree does not sum to the one above"
    rejected(reason, case, trace=trace, top=forge_top)


def _exact_extensions(monkeypatch) -> None:
    """The prover's kernels take integers of 17 bits; these lies are larger."""
    for module in ("rescale", "argmax"):
        monkeypatch.setattr(f"zkbench.protocols.{module}.extension_of_integers", exact_extension)


def _right_modulo_p(case: Case, layer: int):
    """Another remainder in range, and the quotient that fits it modulo p."""
    model = case.committed.model
    trace = forward(model, case.inputs)
    p, step = FIELD.modulus, 1 << model.shift
    rem, y = trace.remainders[layer].copy(), trace.quotients[layer].astype(np.int64)
    rem[0, 0] = (int(rem[0, 0]) + 1) % step
    shifted = int(trace.accumulators[layer][0, 0]) + step // 2 - int(rem[0, 0])
    fitting = shifted * pow(step, -1, p) % p
    y[0, 0] = fitting if fitting < p // 2 else fitting - p
    accumulator = int(trace.accumulators[layer][0, 0])
    assert (int(y[0, 0]) * step + int(rem[0, 0]) - step // 2 - accumulator) % p == 0
    remainders = (*trace.remainders[:layer], rem, *trace.remainders[layer + 1 :])
    quotients = (*trace.quotients[:layer], y, *trace.quotients[layer + 1 :])
    return replace(trace, remainders=remainders, quotients=quotients)


@pytest.mark.parametrize(
    ("layer", "reason"), [(0, WRONG_INDEX), (2, WRONG_INDEX), (3, NOT_IN_TABLE)]
)
def test_quotient_that_is_right_only_modulo_p(monkeypatch, case, layer, reason):
    _exact_extensions(monkeypatch)
    rejected(reason, case, trace=_right_modulo_p(case, layer))


class ForgedQuotient(Cheat):
    """A wrong value of the quotients in place of a wrong remainder."""

    def _prove_rescale(self, transcript, target, book, witness, s, claim):
        relay = Relay(transcript, quotient=lambda _, values: [values[0] + 1])
        result = super()._prove_rescale(relay, target, book, witness, s, claim)
        return replace(result, value=result.value + (1 << self.shift))


def test_forged_value_of_the_quotients(case):
    rejected(WRONG_PRODUCT, case, ForgedQuotient)


# ReLU.


@pytest.mark.parametrize("layer", range(3))
@pytest.mark.parametrize("amount", [-3, 1])
def test_output_that_is_not_the_tables(case, layer, amount):
    trace = forward(case.committed.model, case.inputs, activation=bump(layer, amount))
    rejected(WRONG_OUTPUT, case, trace=trace)


def test_relu_left_out(case):
    """The negative values go on as they are."""
    honest = forward(case.committed.model, case.inputs)
    assert (honest.quotients[1] < 0).any()
    leak = [honest.quotients[l] for l in range(3)]
    trace = forward(
        case.committed.model,
        case.inputs,
        activation=lambda layer, x: leak[layer] if layer == 1 else x,
    )
    rejected(WRONG_OUTPUT, case, trace=trace)


def test_output_that_is_not_the_tables_and_a_forged_push(case):
    class Pusher(Cheat):
        @property
        def _logup_star(self):
            honest = super()._logup_star
            return ForgedPush(honest.field, honest.table, honest.shapes)

    trace = forward(case.committed.model, case.inputs, activation=bump(1, 9))
    rejected(WRONG_INDEX, case, Pusher, trace=trace)


@pytest.mark.parametrize(("layer", "reason"), [(1, WRONG_INDEX), (3, NOT_IN_TABLE)])
def test_activation_beyond_16_bits(monkeypatch, layer, reason):
    """Everything is as the model says, but for the range of its activations."""
    _exact_extensions(monkeypatch)
    case, model = overflowing(layer)
    trace = forward(model, case.inputs)
    assert trace.quotients[layer].max() >= 1 << 15
    rejected(reason, case, trace=trace)


@pytest.mark.parametrize("layer", [1, 3])
def test_activation_that_wraps_around(layer):
    """The same, kept in 16 bits as an int16 would."""
    case, model = overflowing(layer)
    trace = forward(model, case.inputs, quotient=lambda _, y: y.astype(np.int16).astype(np.int64))
    rejected(NOT_IN_TABLE, case, trace=trace)
