"""Provers that are honest but for one stated lie: rotary embedding.

Each lie is tried twice: with the public tables, and with tables of the prover's own that make its
sumcheck fit. The verifier evaluates the public ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from cases.case import FIELD, Shape, changed, draw_points, prove, reason_of_rejection, verify
from cases.rotary import Angles, RotaryCase, rotated, true_angles
from definitions import Element, mle

from zkbench.commitments.claims import Value
from zkbench.kernels.launch import cpu_target
from zkbench.proof import Message, Proof, ProofRejected
from zkbench.protocols.rotary import Rotary
from zkbench.protocols.sumcheck import Sumcheck
from zkbench.transcript import VerifierTranscript

SHAPE: Shape = (2, 3, 2, 3, 6)  # layers, blocks, B, heads, W
WRONG = "a rotation is wrong"
Move = Callable[[tuple[int, ...]], tuple[int, ...]]


def honest() -> RotaryCase:
    return RotaryCase.random(Random(1), SHAPE)


def moved(angles: Angles, by: int) -> Angles:
    """Every position has the angles of another one."""
    half, size = SHAPE[4] // 2, len(angles[0])
    return tuple(tuple(t[(i + by * half) % size] for i in range(size)) for t in angles)


def exchanged_at(angles: Angles, position: int) -> Angles:
    """One position has the angles of the next one."""
    half = SHAPE[4] // 2
    start, stop = position * half, (position + 1) * half
    return tuple((*t[:start], *t[stop : stop + half], *t[stop:]) for t in angles)


def reversed_turn(angles: Angles) -> Angles:
    cos, sin = angles
    return cos, tuple(-s for s in sin)


def halves_exchanged(values: tuple[int, ...]) -> tuple[int, ...]:
    """Of every head's vector, the second half first."""
    array = np.array(values).reshape(*SHAPE[:-1], 2, SHAPE[-1] // 2)
    return tuple(array[..., ::-1, :].reshape(-1).tolist())


def heads_moved(values: tuple[int, ...]) -> tuple[int, ...]:
    """Every head has the vector of the one before."""
    return tuple(np.roll(np.array(values).reshape(SHAPE), 1, axis=3).reshape(-1).tolist())


def layers_exchanged(values: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(np.array(values).reshape(SHAPE)[::-1].reshape(-1).tolist())


def neighbours_paired(x: tuple[int, ...], angles: Angles) -> tuple[int, ...]:
    """Entry 2 j is paired with 2 j + 1, as in the paper; models on disk pair halves."""
    array, size = np.array(x).reshape(*SHAPE[:-1], SHAPE[-1] // 2, 2), (*SHAPE[1:3], 1, -1)
    cos, sin = (np.array(t).reshape(size) for t in angles)
    left, right = array[..., 0], array[..., 1]
    turned = np.stack((cos * left - sin * right, cos * right + sin * left), axis=-1)
    return tuple(turned.reshape(-1).tolist())


def test_the_honest_prover_is_accepted() -> None:
    assert verify(honest(), prove(honest(), cpu_target())[0])


@pytest.mark.parametrize("uses_own_tables", [False, True])
@pytest.mark.parametrize(
    "angles",
    [
        moved(true_angles(SHAPE), 1),
        moved(true_angles(SHAPE), -1),
        exchanged_at(true_angles(SHAPE), 0),
        exchanged_at(true_angles(SHAPE), 3),
        reversed_turn(true_angles(SHAPE)),
        true_angles(SHAPE, theta=500000.0),
    ],
    ids=["next", "previous", "first by second", "one by next", "sine's sign", "another theta"],
)
def test_the_angles_are_other_ones(angles: Angles, uses_own_tables: bool) -> None:
    case = honest()
    prover = replace(case, result=rotated(case.x, angles, SHAPE))
    assert prover.result != case.result
    used = angles if uses_own_tables else None
    assert reason_of_rejection(replace(prover, used=used)) == WRONG


@pytest.mark.parametrize("index", [0, 3, 107, 215])
@pytest.mark.parametrize("by", [1, -1, 1 << 14])
def test_one_entry_is_another_one(index: int, by: int) -> None:
    case = honest()
    assert reason_of_rejection(replace(case, result=changed(case.result, index, by))) == WRONG


@pytest.mark.parametrize("place", [halves_exchanged, heads_moved, layers_exchanged])
def test_the_outputs_of_others(place: Move) -> None:
    """Halves of every vector, heads, or layers have changed places."""
    case = honest()
    assert reason_of_rejection(replace(case, result=place(case.result))) == WRONG


@pytest.mark.parametrize("place", [halves_exchanged, heads_moved, layers_exchanged])
def test_the_inputs_of_others(place: Move) -> None:
    """What is rotated is not where the committed tensor has it."""
    case = honest()
    prover = replace(case, x=place(case.x))
    assert reason_of_rejection(prover) == WRONG


def test_neighbours_are_paired_instead_of_halves() -> None:
    case = honest()
    result = neighbours_paired(case.x, case.angles)
    assert reason_of_rejection(replace(case, result=result)) == WRONG


def test_an_input_that_is_not_rotated() -> None:
    case = honest()
    prover = replace(case, result=tuple(v << 14 for v in case.x))
    assert reason_of_rejection(prover) == WRONG


def test_a_value_made_to_fit_wrong_angles() -> None:
    """The last message is chosen so that the protocol's own check passes: the claim is then false."""
    case = honest()
    angles = moved(case.angles, 1)
    wrong = replace(case, result=rotated(case.x, angles, SHAPE), used=angles)
    proof = Proof.from_bytes(prove(wrong, cpu_target())[0])
    proof.messages[-1] = Message("input", FIELD.encode([required_value(wrong, proof)]))
    with pytest.raises(ProofRejected, match="the claim on x is false"):
        verify(case, proof.to_bytes())


def required_value(case: RotaryCase, proof: Proof) -> Element:
    """What the input's value must be for the last check to pass."""
    transcript = VerifierTranscript(FIELD, proof)
    words = [transcript.receive_words(label, len(case.x)) for label in ("x", "result")]
    result = [FIELD.element(w) for w in words[1].tolist()]
    points = draw_points(transcript, SHAPE)
    claim = Value(points, mle(result, SHAPE, points))
    rotary = Rotary(FIELD, SHAPE)
    point, final = Sumcheck(FIELD).verify(transcript, claim.value, rotary._axes(claim))
    return final / rotary._coefficient_at(case.tables(case.angles), claim, point)
