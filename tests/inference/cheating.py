"""The prover of an inference with every part replaceable, for lies told as well as they can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from cases.lookups import edited
from inference_case import FEW_BITS, Case

from zkbench.bench.timers import PhaseTimer
from zkbench.binding import begin_proof
from zkbench.inference import CommittedModel, commit_model, verify_inference
from zkbench.kernels import eq
from zkbench.kernels.launch import cpu_target
from zkbench.models.mlp import IntegerMLP, Trace, relu
from zkbench.proof import ProofRejected
from zkbench.protocols.logup_star import LogupStar
from zkbench.protocols.mlp_inference import MlpInference, ModelTensors, Witness
from zkbench.protocols.sumcheck import Axis, Sumcheck
from zkbench.protocols.tlookup import Lookup
from zkbench.quant.linear import rescale
from zkbench.statement import ModelCommitment, Statement
from zkbench.transcript import ProverTranscript

TARGET = cpu_target()

NOT_IN_TABLE = "a looked-up value is not in its table"
WRONG_PRODUCT = "a matrix product is wrong"
WRONG_OPENING = "opening: the claims do not hold"
WRONG_INPUT = "a layer's input is not the output of the layer before it"
WRONG_OUTPUT = "a looked-up output is not the table's"
WRONG_INDEX = "an index does not point into its table"
WRONG_LABELS = "the labels are not the largest outputs"
PADDING = "a lookup's numerators are not all one"
WRONG_ROW = "opening: a row contradicts the combined column"


@dataclass(frozen=True, eq=False)
class FreeTrace(Trace):
    """A forward pass in which ``given[l]``, what layer l reads, need not follow from anything."""

    given: tuple[np.ndarray, ...] = ()

    def layer_input(self, layer: int) -> np.ndarray:
        return self.given[layer]


Change = Callable[[int, np.ndarray], np.ndarray]


def _as_it_is(layer: int, values: np.ndarray) -> np.ndarray:
    return values


def forward(
    model: IntegerMLP,
    inputs: np.ndarray,
    product: Change = _as_it_is,
    quotient: Change = _as_it_is,
    activation: Change = _as_it_is,
) -> FreeTrace:
    """A forward pass whose values are changed on the way; what follows a change is honest.

    Remainders are what makes acc + 2^(s-1) = 2^s y + rem true: outside [0, 2^s) if need be.
    """
    half, x, given, steps = 1 << (model.shift - 1), inputs, [], []
    for layer, (weight, bias) in enumerate(zip(model.weights, model.biases, strict=True)):
        given.append(x)
        acc = product(layer, x.astype(np.int64) @ weight.astype(np.int64) + bias)
        y = quotient(layer, rescale(acc, model.shift)[0].astype(np.int64))
        rem = acc + half - (y << model.shift)
        steps.append((acc, _narrow(y, np.int16), _narrow(rem, np.uint16)))
        x = activation(layer, relu(np.clip(y, -(1 << 15), (1 << 15) - 1).astype(np.int16)))
    accumulators, quotients, remainders = zip(*steps, strict=True)
    labels = quotients[-1].argmax(axis=1)
    return FreeTrace(inputs, accumulators, quotients, remainders, labels, tuple(given))


def _narrow(values: np.ndarray, dtype: Any) -> np.ndarray:
    """As honest provers hold them, if they fit."""
    limits = np.iinfo(dtype)
    inside = values.min() >= limits.min and values.max() <= limits.max
    return values.astype(dtype if inside else np.int64)


def bump(at_layer: int, amount: int = 1, index: tuple[int, ...] = (0, 0)) -> Change:
    """Adds to one entry of one layer."""

    def change(layer: int, values: np.ndarray) -> np.ndarray:
        values = values.copy()
        if layer == at_layer:
            values[index] += amount
        return values

    return change


class BoldLogupStar(LogupStar):
    """Leaves indices that point nowhere out of the push-forward; the honest one would crash."""

    def _push(self, target: Any, indices: Sequence[Any], weights: Sequence[Any]) -> Any:
        kept_indices, kept_weights = [], []
        for values, words in zip(indices, weights, strict=True):
            shifted = values.astype(np.int64) + self.table.offset
            inside = (shifted >= 0) & (shifted < self.table_size)
            kept_indices.append(np.where(inside, values, 0))
            kept_weights.append(edited(words, inside.size, partial(only, inside.reshape(-1))))
        return super()._push(target, kept_indices, kept_weights)


def only(inside: np.ndarray, weights: list[Any]) -> list[Any]:
    return [w if kept else 0 for w, kept in zip(weights, inside, strict=True)]


class ForgedPush(BoldLogupStar):
    """Y is moved at one entry so that <T, Y> is what the false outputs add up to."""

    def _numerators(self, target, gammas, claims):
        total = sum(
            (g * c.value for g, c in zip(gammas, claims, strict=True)), self.field.element(0)
        )
        object.__setattr__(self, "total", total)
        return super()._numerators(target, gammas, claims)

    def _push(self, target, indices, weights):
        words = super()._push(target, indices, weights).reshape(-1, 2)
        pushed = self.field.unpack(words.reshape(-1))
        true = self.field.element(0)
        for j in np.flatnonzero(words.any(axis=1)).tolist():
            true = true + pushed[j] * int(self.table.values[j])
        entry = self.table.offset + 7
        pushed[entry] = pushed[entry] + (self.total - true) / int(self.table.values[entry])
        return self.field.pack(pushed)


class Cheat(MlpInference):
    """A prover that does not mind values out of range: it counts and pushes the others."""

    @classmethod
    def of(cls, honest: MlpInference) -> Cheat:
        return cls(**{f.name: getattr(honest, f.name) for f in fields(honest)})

    def _counts(self, target: Any, witness: Witness) -> list[np.ndarray]:
        pairs = zip(self.lookups, self._lookers(witness), strict=True)
        return [_counts_in_range(lookup, lookers) for lookup, lookers in pairs]

    @property
    def _logup_star(self) -> LogupStar | None:
        honest = super()._logup_star
        return honest and BoldLogupStar(honest.field, honest.table, honest.shapes)


def _counts_in_range(lookup: Lookup, lookers: Sequence[np.ndarray]) -> np.ndarray:
    shifted = [values.astype(np.int64) + lookup.offset(k) for k, values in enumerate(lookers)]
    values = np.concatenate(shifted)
    inside = values[(values >= 0) & (values < lookup.size)]
    return np.bincount(inside, minlength=lookup.size).astype(np.uint64)


class Relay:
    """A prover's transcript that shows a liar what is sent before it is sent.

    ``lies``: label -> function of (relay, elements) that returns what is sent instead. The relay
    follows the sumchecks: ``final(claim, axes)`` is p(point) of the last as a verifier computes it.
    """

    def __init__(self, transcript: ProverTranscript, **lies: Callable) -> None:
        self._transcript, self._lies = transcript, lies
        self._rounds: list[tuple[list[Any], Any]] = []
        self._open: list[Any] = []
        self.last: dict[str, Any] = {}  # the last challenge of each label
        self.sent: dict[str, list[Any]] = {}  # the last elements of each label

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transcript, name)

    def send(self, label: str, elements: list[Any]) -> None:
        if label == "round":
            self._open = elements
        elif label in self._lies:
            elements[:] = self._lies[label](self, list(elements))  # the prover goes on with the lie
        self.sent[label] = elements
        self._transcript.send(label, elements)

    def send_words(self, label: str, words: np.ndarray) -> None:
        if label == "round":
            self._open = self._transcript.field.unpack(words)
        self._transcript.send_words(label, words)

    def challenge(self, label: str) -> Any:
        challenge = self._transcript.challenge(label)
        self.last[label] = challenge
        if label == "round":
            self._rounds.append((self._open, challenge))
        return challenge

    def point(self, length: int) -> list[Any]:
        """The last ``length`` challenges of sumchecks."""
        return [challenge for _, challenge in self._rounds[-length:]]

    def final(self, claim: Any, axes: Sequence[Axis]) -> Any:
        last = sum(axis.variables for axis in axes)
        loop, rounds = Sumcheck(self._transcript.field), iter(self._rounds[-last:] if last else [])
        for axis in reversed(axes):
            for k in range(axis.variables):
                values, challenge = next(rounds)
                w = None if axis.point is None else axis.point[k]
                claim = loop._next_claim(claim, values, w, challenge)
        return claim


@dataclass
class Forgery:
    """A statement, and the proof that a cheater offers for it."""

    proof: bytes
    statement: Statement
    public: ModelCommitment

    def verify(self) -> float:
        return verify_inference(self.proof, self.statement, self.public, FEW_BITS)


def forge(
    case: Case,
    cheat: type[MlpInference] = Cheat,
    *,
    statement: Statement | None = None,
    trace: Trace | None = None,
    labels: np.ndarray | None = None,
    change_witness: Callable[[Witness], Witness] | None = None,
    tensors: ModelTensors | None = None,
    committed: CommittedModel | None = None,
    protocol: MlpInference | None = None,
    public: ModelCommitment | None = None,
    **lies: Callable,
) -> Forgery:
    """The proof of ``case`` by this class of prover, with whatever is given in place of the truth.

    The header and all that is bound are always those of the statement and of ``public``, as a
    cheater would have them. ``labels``: those that the prover works with, if not the statement's.
    ``lies``: see ``Relay``.
    """
    committed = committed or case.committed
    public = public or case.committed.public
    trace = trace or forward(committed.model, case.inputs)
    statement = statement or Statement(public.digest, case.inputs, trace.labels)
    honest = public.protocol(len(statement.inputs))
    prover = cheat(**vars(protocol or honest))
    labels = statement.labels if labels is None else labels
    witness = prover.witness(TARGET, trace, labels)
    witness = change_witness(witness) if change_witness else witness
    transcript = begin_proof(honest.field, honest.to_json(), public, statement)
    chosen = tensors or committed.tensors
    relay: Any = Relay(transcript, **lies)
    prover.prove(relay, TARGET, committed.data, chosen, witness, labels, PhaseTimer())
    return Forgery(transcript.finish(), statement, public)


def rejected(reason: str, case: Case, *arguments: Any, **options: Any) -> None:
    """Assert that what this cheater offers (see ``forge``) is rejected for this reason."""
    forgery = forge(case, *arguments, **options)
    with pytest.raises(ProofRejected) as rejection:
        forgery.verify()
    assert str(rejection.value) == reason, str(rejection.value)


def overflowing(layer: int) -> tuple[Case, IntegerMLP]:
    """A committed model that leaves 16 bits in this layer on every input."""
    case = Case.random(1)
    biases = [bias.copy() for bias in case.committed.model.biases]
    biases[layer][0] = 1 << (16 + case.committed.model.shift)
    model = replace(case.committed.model, biases=tuple(biases))
    committed = commit_model(model, TARGET, case.committed.public.scheme)
    return replace(case, committed=committed), model


def exact_extension(target: Any, field: Any, values: Any, shape: Any, point: Any) -> Any:
    """extension_of_integers for integers of any size, by its definition."""
    total = field.element(0)
    array = np.asarray(values).reshape(shape)
    for index in np.ndindex(array.shape):
        weight: Any = 1
        for axis, i in enumerate(index):
            weight = weight * eq.eq_at(point[axis], i)
        total = total + weight * int(array[index])
    return total


def changed(array: np.ndarray, index: int, amount: int) -> np.ndarray:
    """A copy of a flat array with one entry moved."""
    copy = array.copy()
    copy[index] += amount
    return copy


def swap(items: Sequence[Any], a: int, b: int) -> tuple[Any, ...]:
    swapped = list(items)
    swapped[a], swapped[b] = swapped[b], swapped[a]
    return tuple(swapped)
