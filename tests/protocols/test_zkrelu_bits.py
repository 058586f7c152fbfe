"""zkReLU by bits: its bits, its claims, and a network of two layers proven by its operators.

What every protocol is tested for (random shapes, tampering, false statements, scripts, the same proof
on both targets) is in the tests of all protocols; lies are in test_malicious_zkrelu_bits.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from random import Random
from typing import Any

import numpy as np
import pytest
from cases.case import FIELD, Shape, prove, verify
from cases.everything import SHAPES
from cases.relu_bits import ReluBitsCase, tensors_of
from relu_bits_liars import SumsOfSquares

from zkbench.commitments.claims import AxisWeights, Claim, EqAxis, Value, VectorAxis
from zkbench.commitments.schemes import DEFAULT
from zkbench.kernels.eq import eq_at
from zkbench.kernels.launch import CpuTarget, Target, cpu_target
from zkbench.proof import Proof, ProofRejected
from zkbench.protocols.evaluate import extension_of_integers, sum_of_integers
from zkbench.protocols.program import Ledger, ProverRun, Run
from zkbench.protocols.training_relu import ReluFromBits, SumsFromBits
from zkbench.protocols.zkrelu_bits import ZkReluBits, relu_bits
from zkbench.security import total_bits
from zkbench.transcript import ProverTranscript, VerifierTranscript

MIN, MAX = -(1 << 15), (1 << 15) - 1


# Bits, and the protocol alone.


@pytest.mark.parametrize("shift", [1, 2, 9, 16, 24])
@pytest.mark.parametrize("dtype", [np.int8, np.int16])
def test_bits_vs_python_int(shift: int, dtype: Any) -> None:
    half = 1 << (shift - 1)
    ends = [(y << shift) + r - half for y in (MIN, -1, 0, 1, MAX) for r in (0, (1 << shift) - 1)]
    shape = (2, 5)
    bits = relu_bits(np.array(ends, dtype=np.int64).reshape(shape), shift, dtype)
    assert (bits.dtype, bits.shape) == (dtype, (16 + shift, *shape))
    assert tuple(bits.reshape(-1).tolist()) == tensors_of(ends, shift)["bits"]


@pytest.mark.parametrize("y", [MIN - 1, MAX + 1])
def test_an_accumulator_without_bits(y: int) -> None:
    accumulators = np.array([0, y << 4, 0], dtype=np.int64)
    with pytest.raises(ValueError, match="an accumulator's quotient exceeds 16 bits"):
        relu_bits(accumulators, 4)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("shift", [1, 16, 24])
def test_shapes_and_shifts(shape: Shape, shift: int) -> None:
    """The number of bits is a power of two for one of the shifts."""
    case = ReluBitsCase.random(Random(f"{shape} {shift}"), shape, shift)
    data, claims = prove(case, cpu_target())
    assert verify(case, data) == claims


@pytest.mark.parametrize("shift", [0, -1, 25])
def test_a_shift_that_is_none(shift: int) -> None:
    with pytest.raises(ValueError, match=f"a shift of {shift}, which is not from 1 to 24"):
        ZkReluBits(FIELD, (2,), shift)


def test_no_claims_on_outputs() -> None:
    """A program's mistake, on either side."""
    operator = ReluFromBits("y", "a", "active", "bits", (2,), 3)
    run = Run(FIELD, None, {}, Ledger())
    with pytest.raises(RuntimeError, match="a has 0 claims, not 1 to 1024"):
        operator.verify(run)
    run.ledger.claims = [Claim("a", AxisWeights.at([(FIELD.element(1),)]), FIELD.element(0))] * 3
    with pytest.raises(RuntimeError, match="a has 3 claims, not 1 to 2"):
        replace(operator, most_claims=2).verify(run)


def test_the_error_grows_with_the_stack_and_the_claims() -> None:
    small, large = (
        total_bits(ZkReluBits(FIELD, shape, 16).soundness_terms(claims))
        for shape, claims in (((2, 3), 1), ((1 << 14, 1 << 16), 1 << 10))
    )
    assert 116 < large < small < 124
    terms = ZkReluBits(FIELD, (4, 8), 16).soundness_terms(5)
    errors = {term.name: 2.0 ** (FIELD.bits - term.bits) for term in terms}
    # 2^5 entries of acc, 2^10 of B
    assert errors == pytest.approx(
        {
            "bits at a random point": 10,
            "squares of bits": 30,
            "accumulators at a random point": 5,
            "planes of bits, joined": 1,
            "claims on products": 20,
            "claims on products, combined": 5,
            "active and low, joined": 1,
        }
    )


def test_the_operators_terms_are_the_protocols() -> None:
    first = SumsFromBits("y", "bits", (4, 8), 16).soundness_terms(FIELD)
    second = ReluFromBits("y", "a", "active", "bits", (4, 8), 16, 5).soundness_terms(FIELD)
    expected = ZkReluBits(FIELD, (4, 8), 16).soundness_terms(5)
    assert [term.bits for term in first + second] == [term.bits for term in expected]
    assert {term.name.split(":")[0] for term in first} == {"y"}
    assert {term.name.split(":")[0] for term in second} == {"a"}


# A network of two layers, stacked: the sums of the second are made of the first one's outputs.

FACTOR, SHIFT = 5, 3
SIZES = (3, 7)
STACK = (2, *SIZES)


@dataclass(frozen=True)
class TwoLayers:
    """acc_0 = inputs, acc_1 = 5 a_0; and one more claim each on outputs, derivatives and quotients."""

    inputs: np.ndarray

    def forward(self) -> dict[str, np.ndarray]:
        first = self.inputs.astype(np.int64)
        second = FACTOR * np.maximum((first + 4) >> SHIFT, 0)
        accumulators = np.stack([first, second])
        y = (accumulators + 4) >> SHIFT
        tensors = {"bits": relu_bits(accumulators, SHIFT, np.int16), "a": np.maximum(y, 0)}
        tensors |= {"active": y >= 0, "y": y}
        return {name: tensor.reshape(-1).astype(np.int16) for name, tensor in tensors.items()}

    def prove_layers(self, run: ProverRun) -> None:
        claim = run.ledger.take_value("y.sum")
        weights, _ = self._on_outputs(claim)
        value = sum_of_integers(run.target, FIELD, run.tensors["a"], STACK, weights)
        run.transcript.send("outputs", [value])
        run.ledger.add("a", weights, value)

    def verify_layers(self, run: Run) -> None:
        claim = run.ledger.take_value("y.sum")
        weights, at_first = self._on_outputs(claim)
        (value,) = run.transcript.receive("outputs", 1)
        flat = self.inputs.astype(np.int32).reshape(-1)
        given = extension_of_integers(cpu_target(), FIELD, flat, SIZES, claim.point[1:])
        at_second = eq_at(claim.point[0], 1)
        rest = claim.value - at_first * given - at_second * FACTOR * value
        run.transcript.require_zero(rest, "a layer's sums are not five times its inputs")
        run.ledger.add("a", weights, value)

    def _on_outputs(self, claim: Value) -> tuple[AxisWeights, Any]:
        at_layer, *at_entry = claim.point
        first = VectorAxis((FIELD.element(1), FIELD.element(0)))
        weights = AxisWeights((first, *(EqAxis(tuple(point)) for point in at_entry)))
        return weights, eq_at(at_layer, 0)

    def ask(self, run: Run, name: str) -> None:
        """A claim at a random point."""
        point = [run.transcript.challenges("point", (n - 1).bit_length()) for n in STACK]
        if isinstance(run, ProverRun):
            tensor = run.tensors[name]
            value = extension_of_integers(run.target, FIELD, tensor, STACK, point)
            run.transcript.send(name, [value])
        else:
            (value,) = run.transcript.receive(name, 1)
        run.ledger.add_value(name, Value(tuple(map(tuple, point)), value))


SUMS = SumsFromBits("y", "bits", STACK, SHIFT)
RELU = ReluFromBits("y", "a", "active", "bits", STACK, SHIFT)
# Claims on bits: at a random point, and joined; of outputs joined, and one each as it was given.
OF_SUMS, OF_OUTPUTS = 2, 3
SHAPES_OF_BITS: dict[str, Shape] = {"bits": (16 + SHIFT, *STACK)}


def network() -> TwoLayers:
    rng = np.random.default_rng(3)
    inputs = rng.integers(MIN // 4, MAX // 4, SIZES, dtype=np.int32)
    inputs[0, :4] = [0, -4, -5, 3]  # y = 0 twice, -1 and 0
    return TwoLayers(inputs)


def prove_network(
    layers: TwoLayers,
    target: Target | None = None,
    tensors: dict[str, np.ndarray] | None = None,
    sums: SumsFromBits = SUMS,
    committed: np.ndarray | None = None,
) -> bytes:
    """committed: other bits than those that are worked with."""
    target, transcript = target or cpu_target(), ProverTranscript(FIELD, {})
    arrays = {n: target.to_device(a) for n, a in (tensors or layers.forward()).items()}
    bits = arrays["bits"] if committed is None else target.to_device(committed)
    data = DEFAULT.commit(target, {"bits": bits}, SHAPES_OF_BITS)
    transcript.send_bytes("root", data.commitment.root)
    run = ProverRun(FIELD, transcript, {}, Ledger(), target, arrays)
    sums.prove(run)
    layers.prove_layers(run)
    for name in ("active", "a", "y"):
        layers.ask(run, name)
    RELU.prove(run)
    assert {claim.tensor for claim in run.ledger.claims} == {"bits"}
    DEFAULT.prove(transcript, target, [(data, run.ledger.claims)])
    return transcript.finish()


def verify_network(layers: TwoLayers, proof: bytes) -> None:
    transcript = VerifierTranscript(FIELD, Proof.from_bytes(proof))
    commitment = DEFAULT.commitment(transcript.receive_bytes("root", 32), SHAPES_OF_BITS)
    run = Run(FIELD, transcript, {}, Ledger())
    SUMS.verify(run)
    layers.verify_layers(run)
    for name in ("active", "a", "y"):
        layers.ask(run, name)
    on_bits = [claim for claim in run.ledger.claims if claim.tensor == "bits"]
    assert len(on_bits) == OF_SUMS
    RELU.verify(run)
    assert len(run.ledger.claims) == OF_SUMS + OF_OUTPUTS
    DEFAULT.verify(transcript, [(commitment, run.ledger.claims)])
    transcript.finish()


def rejection(layers: TwoLayers, proof: bytes) -> str:
    with pytest.raises(ProofRejected) as rejected:
        verify_network(layers, proof)
    return str(rejected.value)


def test_a_network_of_two_layers_is_proven() -> None:
    verify_network(network(), prove_network(network()))


@pytest.mark.parametrize("workspace_bytes", [1 << 12, 1 << 16])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_proof_does_not_depend_on_the_workspace(workspace_bytes: int, threads: int) -> None:
    target = CpuTarget(threads, workspace_bytes)
    assert prove_network(network(), target) == prove_network(network())


def test_bits_of_another_type_give_the_same_proof() -> None:
    tensors = network().forward()
    tensors["bits"] = tensors["bits"].astype(np.int8)
    assert prove_network(network(), tensors=tensors) == prove_network(network())


def test_the_second_layer_of_other_outputs() -> None:
    """Everything is true of accumulators, but those of the second layer are not made of the first's."""
    layers = network()
    other = replace(layers, inputs=layers.inputs[::-1])
    tensors, others = layers.forward(), other.forward()
    half = prod(SIZES)
    mixed = {name: tensor.reshape(-1, 2, half).copy() for name, tensor in tensors.items()}
    for name, tensor in mixed.items():
        tensor[:, 1] = others[name].reshape(-1, 2, half)[:, 1]
    flat = {name: tensor.reshape(-1) for name, tensor in mixed.items()}
    reason = rejection(layers, prove_network(layers, tensors=flat))
    assert reason == "a layer's sums are not five times its inputs"


FALSE_VALUES = {
    "active": "opening: the claims do not hold",
    "y": "opening: the claims do not hold",
    "a": "a ReLU's output is not active times low",
}


@pytest.mark.parametrize("name", FALSE_VALUES)
def test_a_false_value_of_what_the_bits_say(name: str) -> None:
    """The bits are right, and what is claimed of them at a point is not."""
    layers, place = network(), prod(STACK) - 1
    tensors = layers.forward()
    tensors[name][place] += 1
    assert rejection(layers, prove_network(layers, tensors=tensors)) == FALSE_VALUES[name]


def test_other_bits_are_committed_than_worked_with() -> None:
    """Each plane alone, in the last entry: every claim on the bits is opened."""
    layers = network()
    for plane in range(16 + SHIFT):
        bits = layers.forward()["bits"].reshape(16 + SHIFT, -1)
        bits[plane, -1] ^= 1
        proof = prove_network(layers, committed=bits.reshape(-1))
        assert rejection(layers, proof) == "opening: the claims do not hold"


def flipped_at_zero(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The derivative is 0 where y = 0, the sum of the bits what it was."""
    (entry, *_) = np.flatnonzero(tensors["y"] == 0)
    changed = {name: tensor.copy() for name, tensor in tensors.items()}
    bits = changed["bits"].reshape(16 + SHIFT, -1)
    assert (bits[-2:, entry] == [0, 1]).all()
    bits[-2:, entry] = [2, 0]
    changed["active"][entry] = 0
    return changed


def test_a_derivative_flipped_where_y_is_zero() -> None:
    layers = network()
    proof = prove_network(layers, tensors=flipped_at_zero(layers.forward()))
    assert rejection(layers, proof) == "a committed bit is not 0 or 1"


class SumsOfNoBits(SumsFromBits):
    """A false value of B at a random point makes every check pass but the opening's."""

    def _protocol(self, field: Any) -> ZkReluBits:
        return SumsOfSquares(field, self.shape, self.shift)


def test_a_derivative_flipped_where_y_is_zero_and_the_test_of_bits_evaded() -> None:
    layers = network()
    sums = SumsOfNoBits(**vars(SUMS))
    proof = prove_network(layers, tensors=flipped_at_zero(layers.forward()), sums=sums)
    assert rejection(layers, proof) == "opening: the claims do not hold"
