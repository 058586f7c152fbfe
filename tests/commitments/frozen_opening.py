"""Openings whose proofs are kept under tests/fixtures/openings-v1: what is opened, as JSON.

A fixture is a file of the public side (scheme, shapes, claims) and one of the proof. Tensors and
points come from formulas: random number generators may change.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from brute_force import true_claim

from zkbench.commitments.claims import AxisWeights, Claim, EqAxis, OnesAxis, Sparse, VectorAxis
from zkbench.commitments.ligero import Ligero
from zkbench.commitments.schemes import Scheme, scheme_from_json
from zkbench.commitments.whir import Whir
from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels.launch import cpu_target
from zkbench.proof import Proof, canonical_json
from zkbench.transcript import ProverTranscript, VerifierTranscript

FOLDER = Path(__file__).parents[1] / "fixtures" / "openings-v1"
LARGE, SMALL, TINY = {"w": (96, 1024), "b": (50,)}, {"y": (12, 33)}, {"t": (300,)}
# Every kind of message: one round at the bits that proofs are made with; more rounds, samples and
# work before every combination and fold where sizes alone would not ask for them.
OPENINGS: dict[str, tuple[Scheme, list[dict[str, tuple[int, ...]]]]] = {
    "whir": (Whir(log_rows=16), [LARGE, SMALL]),
    "whir-johnson": (Whir(log_rows=15, johnson=True), [LARGE, SMALL]),
    "whir-three-rounds": (
        Whir(security_bits=30, grinding_bits=6, log_fold=2, num_rounds=3, log_rows=9),
        [SMALL, TINY, {"x": (1,)}],
    ),
    "whir-work-everywhere": (
        Whir(FIELD, 3, 5, 120, 2, johnson=True, num_rounds=2, log_rows=6),
        [TINY, {"x": (40,)}],
    ),
    "whir-in-clear": (Whir(security_bits=30, grinding_bits=6, log_rows=4, num_rounds=0), [TINY]),
    "ligero": (Ligero(), [SMALL, TINY]),
}


def tensor(shape: tuple[int, ...], salt: int) -> np.ndarray:
    entries = np.arange(int(np.prod(shape)), dtype=np.int64) * 7919 + salt * 104729
    return (entries % 65536 - 32768).astype(np.int16).reshape(shape)


def _element(i: int) -> Any:
    return FIELD.element(pow(3, i + 1, FIELD.modulus), pow(5, i + 2, FIELD.modulus))


def _points(shape: tuple[int, ...]) -> AxisWeights:
    bits = [(length - 1).bit_length() for length in shape]
    axes = [tuple(_element(17 * k + b) for b in range(n)) for k, n in enumerate(bits)]
    return AxisWeights.at(axes)


def _mixed(shape: tuple[int, ...]) -> AxisWeights:
    """The first axis by a vector, the others summed."""
    values = tuple(_element(i) for i in range(shape[0]))
    return AxisWeights((VectorAxis(values), *(OnesAxis(),) * (len(shape) - 1)))


def statement(name: str) -> tuple[list[dict[str, np.ndarray]], list[list[Claim]]]:
    """(tensors, claims) of every commitment."""
    tensors = [
        {key: tensor(shape, 10 * i + j) for j, (key, shape) in enumerate(one.items())}
        for i, one in enumerate(OPENINGS[name][1])
    ]
    functionals = (_points, _mixed, lambda shape: Sparse((0,), (_element(9),)))
    claims = [
        [true_claim(key, t, make(t.shape)) for key, t in one.items() for make in functionals]
        for one in tensors
    ]
    return tensors, claims


def to_json(scheme: Scheme, shapes: list[Any], claims: list[list[Claim]]) -> dict[str, Any]:
    return {
        "claims": [[_claim_json(claim) for claim in one] for one in claims],
        "commitments": [{key: list(shape) for key, shape in one.items()} for one in shapes],
        "scheme": scheme.to_json(),
    }


def _words(elements: Any) -> list[int]:
    return FIELD.pack(list(elements)).tolist()


def _elements(words: list[int]) -> tuple[Any, ...]:
    return tuple(FIELD.unpack(np.array(words, dtype=np.uint64)))


def _claim_json(claim: Claim) -> dict[str, Any]:
    functional = claim.functional
    if isinstance(functional, Sparse):
        weights: Any = {
            "indices": list(functional.indices),
            "coefficients": _words(functional.coefficients),
        }
    else:
        weights = [_axis_json(axis) for axis in functional.axes]
    return {"tensor": claim.tensor, "value": _words([claim.value]), "weights": weights}


def _axis_json(axis: Any) -> Any:
    if isinstance(axis, EqAxis):
        return {"eq": _words(axis.point)}
    return {"vector": _words(axis.values)} if isinstance(axis, VectorAxis) else "ones"


def _claim(data: dict[str, Any]) -> Claim:
    weights = data["weights"]
    functional: Any = (
        Sparse(tuple(weights["indices"]), _elements(weights["coefficients"]))
        if isinstance(weights, dict)
        else AxisWeights(tuple(map(_axis, weights)))
    )
    return Claim(data["tensor"], functional, _elements(data["value"])[0])


def _axis(data: Any) -> Any:
    if data == "ones":
        return OnesAxis()
    if "eq" in data:
        return EqAxis(_elements(data["eq"]))
    return VectorAxis(_elements(data["vector"]))


def prove(name: str) -> tuple[dict[str, Any], bytes]:
    """(the public side, the proof)."""
    scheme, shapes = OPENINGS[name]
    tensors, claims = statement(name)
    public = json.loads(canonical_json(to_json(scheme, shapes, claims)))
    data = [scheme.commit(cpu_target(), one) for one in tensors]
    transcript = ProverTranscript(FIELD, {"fixture": name})
    transcript.bind("statement", public)
    for one in data:
        transcript.send_bytes("root", one.commitment.root)
    scheme.prove(transcript, cpu_target(), list(zip(data, claims, strict=True)))
    return public, transcript.finish()


def verify(public: dict[str, Any], proof: bytes) -> None:
    """From the files alone; raises ProofRejected."""
    scheme = scheme_from_json(public["scheme"], ValueError)
    transcript = VerifierTranscript(FIELD, Proof.from_bytes(proof))
    transcript.bind("statement", public)
    openings = []
    for shapes, claims in zip(public["commitments"], public["claims"], strict=True):
        root = transcript.receive_bytes("root", 32)
        shapes = {key: tuple(shape) for key, shape in shapes.items()}
        openings.append((scheme.commitment(root, shapes), [_claim(claim) for claim in claims]))
    scheme.verify(transcript, openings)
    transcript.finish()
