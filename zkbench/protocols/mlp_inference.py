"""Inference of a committed multilayer perceptron: these public inputs get these labels.

What is proven, for the weights W_l, b_l behind the model's commitment and x_0 the public inputs:

    acc_l = x_l W_l + b_l,   acc_l + 2^(s-1) = 2^s y_l + rem_l,   0 <= rem_l < 2^s,  y_l in int16,
    x_{l+1} = max(y_l, 0),   label = first largest entry of y_{L-1}

for every layer at once: layers of equal shape form a stack, and the stages are the same whatever the
depth. Only the y_l are committed; accumulators, remainders and activations are virtual.

    A  commit the quotients y and the multiplicities of the lookups
    B  lookups: remainders, outputs and arg-max differences are in range
    C  rescale and linear layers: claims on weights, biases, quotients, and on ReLU outputs
    D  logUp*: ReLU outputs become claims on the quotients, whose range it checks
    E  open all claims

Everything the verifier uses comes from the model's commitment, the statement or the transcript. The
weights are field elements of the committer's choice, not range-checked: the committed model is then a
function over F_p, and equals the integer model wherever the weights are 16-bit integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zkbench.bench.timers import PhaseTimer
from zkbench.commitments.claims import Book, Claim, Value
from zkbench.commitments.interleaved import Commitment
from zkbench.commitments.layout import Layout
from zkbench.commitments.schemes import Scheme
from zkbench.fields import Field
from zkbench.kernels.launch import Array, Target
from zkbench.models.mlp import VALUE_BITS, LinearStack, Trace, linear_stacks
from zkbench.protocols.argmax import ArgMax
from zkbench.protocols.gkr import Shape
from zkbench.protocols.layer_inputs import LayerInputs
from zkbench.protocols.linear import Linear
from zkbench.protocols.logup_star import LogupStar, LogupStarClaims, OutputClaim
from zkbench.protocols.rescale import Rescale
from zkbench.protocols.sumcheck import num_variables
from zkbench.protocols.tables import Relu
from zkbench.protocols.tlookup import Lookup, LookupClaims, TLookup, multiplicities
from zkbench.security import Term, error_bits
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any
_RANGE = 1 << VALUE_BITS
_HALF = 1 << (VALUE_BITS - 1)


@dataclass(frozen=True)
class Witness:
    """The forward pass as stacks on the target, flat; see ``MlpInference.witness``."""

    trace: Trace
    inputs: tuple[Array, ...]
    quotients: tuple[Array, ...]
    remainders: tuple[Array, ...]
    differences: Array


@dataclass(frozen=True)
class ModelTensors:
    """The committed weights on the target: per stack W (layers x d_in x d_out), and b in E words."""

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]


@dataclass(frozen=True)
class MlpInference:
    """A model of these widths and this shift, on a batch of inputs."""

    scheme: Scheme
    dims: tuple[int, ...]
    shift: int
    batch: int

    @property
    def field(self) -> Field:
        return self.scheme.field

    @property
    def stacks(self) -> list[LinearStack]:
        return linear_stacks(self.dims)

    def to_json(self) -> dict[str, Any]:
        """Canonical parameters: the domain separator of the proof."""
        return {
            "protocol": "mlp-inference",
            "version": 1,
            "field": self.field.name,
            "commitment": self.scheme.to_json(),
            "dims": list(self.dims),
            "shift": self.shift,
            "batch": self.batch,
            "zero_knowledge": False,
        }

    # Shapes of what is committed.

    @staticmethod
    def weight_shapes(dims: Sequence[int]) -> dict[str, Shape]:
        """Tensors of the model's commitment."""
        shapes: dict[str, Shape] = {}
        for s, stack in enumerate(linear_stacks(dims)):
            layers = len(stack.layers)
            shapes[f"weights{s}"] = (layers, stack.d_in, stack.d_out)
            shapes[f"biases{s}"] = (layers, stack.d_out)
        return shapes

    @property
    def quotient_shapes(self) -> list[Shape]:
        return [(len(stack.layers), self.batch, stack.d_out) for stack in self.stacks]

    @property
    def witness_shapes(self) -> dict[str, Shape]:
        """Tensors of the commitment to the forward pass."""
        shapes = {f"quotients{s}": shape for s, shape in enumerate(self.quotient_shapes)}
        counts = {f"counts{k}": (lookup.size,) for k, lookup in enumerate(self.lookups)}
        return {**shapes, **counts}

    @property
    def pushed_shapes(self) -> dict[str, Shape]:
        """Columns of the pushed-forward vector of logUp*."""
        return {f"pushed{d}": (_RANGE,) for d in range(self.field.degree)}

    @property
    def lookups(self) -> tuple[Lookup, ...]:
        """Remainders in [0, 2^s); then outputs (shifted) and differences in [0, 2^16)."""
        remainders = tuple(self.quotient_shapes)
        values = (self.quotient_shapes[-1], (self.batch, self.dims[-1]))
        offsets = (_HALF, 0)
        if self.shift == VALUE_BITS:  # one table serves both
            zeros = (0,) * len(remainders)
            return (Lookup(_RANGE, remainders + values, zeros + offsets),)
        return (Lookup(1 << self.shift, remainders), Lookup(_RANGE, values, offsets))

    @property
    def _layer_inputs(self) -> LayerInputs:
        return LayerInputs(self.field, tuple(self.stacks), self.batch)

    @property
    def _argmax(self) -> ArgMax:
        return ArgMax(self.field, self.batch, self.dims[-1])

    @property
    def _logup_star(self) -> LogupStar | None:
        hidden = tuple(self.quotient_shapes[:-1])
        return LogupStar(self.field, Relu(VALUE_BITS), hidden) if hidden else None

    def soundness_terms(self) -> list[Term]:
        """Every way in which a false statement may pass, with its bits."""
        bits = self.field.bits
        terms = TLookup(self.field, self.lookups).soundness_terms()
        for s, stack in enumerate(self.stacks):
            rounds = num_variables(len(stack.layers)) + num_variables(stack.d_in)
            terms.append(Term(f"matrix products {s}", error_bits(bits, 3 * rounds)))
        if self._logup_star is not None:
            terms += self._logup_star.soundness_terms(2 * len(self.stacks))
        most_claims = 8 * len(self.stacks) + 8
        sizes = {"weights": self.weight_shapes(self.dims), "witness": self.witness_shapes}
        if self._logup_star is not None:
            sizes["pushed"] = self.pushed_shapes
        opened = {name: (Layout.of(s).num_values, most_claims) for name, s in sizes.items()}
        return terms + [Term(*term) for term in self.scheme.opening_terms(opened)]

    # What the prover works with.

    def witness(self, target: Target, trace: Trace, labels: np.ndarray) -> Witness:
        """Stack the forward pass and send it to the target."""

        def stacked(tensors: Sequence[np.ndarray]) -> tuple[Array, ...]:
            return tuple(
                target.to_device(np.stack([tensors[l] for l in stack.layers]))
                for stack in self.stacks
            )

        inputs = [trace.layer_input(l) for l in range(len(self.dims) - 1)]
        differences = self._argmax.differences(trace.quotients[-1], labels)
        return Witness(
            trace,
            stacked(inputs),
            stacked(trace.quotients),
            stacked(trace.remainders),
            target.to_device(differences),
        )

    def _lookers(self, witness: Witness) -> list[list[Array]]:
        remainders = list(witness.remainders)
        values = [witness.quotients[-1], witness.differences]
        return [remainders + values] if self.shift == VALUE_BITS else [remainders, values]

    def prove(
        self,
        transcript: ProverTranscript,
        target: Target,
        model: Any,
        tensors: ModelTensors,
        witness: Witness,
        labels: np.ndarray,
        timer: PhaseTimer,
    ) -> None:
        """``model``: the prover's side of the model's commitment; the statement is already bound."""
        book = Book()
        with timer.phase("commit"):
            counts = self._counts(target, witness)
            committed = self._commit_witness(transcript, target, witness, counts)
        with timer.phase("lookups"):
            lookup = TLookup(self.field, self.lookups)
            claims = lookup.prove(transcript, target, self._lookers(witness), counts)
        with timer.phase("sumchecks"):
            logits = witness.trace.quotients[-1]
            ranged = self._book_lookups(book, claims)
            self._book_labels(
                book, self._argmax.prove(transcript, logits, labels, ranged.difference)
            )
            outputs: list[OutputClaim] = []
            for s, remainder in enumerate(ranged.remainders):
                claim = self._prove_rescale(transcript, target, book, witness, s, remainder)
                at_inputs = self._prove_linear(transcript, target, book, tensors, witness, s, claim)
                outputs += self._layer_inputs.prove(transcript, target, witness.trace, s, at_inputs)
        openings = [model, committed]
        with timer.phase("lookups"):
            openings += self._prove_relu(transcript, target, book, witness, outputs)
        with timer.phase("opening"):
            self.scheme.prove(
                transcript, target, [(data, book.on(data.commitment.names)) for data in openings]
            )

    def verify(
        self,
        transcript: VerifierTranscript,
        model: Commitment,
        inputs: np.ndarray,
        labels: np.ndarray,
    ) -> None:
        """Raises ProofRejected unless the labels are proven; the statement is already bound."""
        book = Book()
        committed = self._receive_commitment(transcript, "witness", self.witness_shapes)
        claims = TLookup(self.field, self.lookups).verify(transcript)
        ranged = self._book_lookups(book, claims)
        self._book_labels(book, self._argmax.verify(transcript, labels, ranged.difference))
        outputs: list[OutputClaim] = []
        for s, remainder in enumerate(ranged.remainders):
            claim = self._verify_rescale(transcript, book, s, remainder)
            at_inputs = self._verify_linear(transcript, book, s, claim)
            outputs += self._layer_inputs.verify(transcript, inputs, s, at_inputs)
        openings = [model, committed]
        openings += self._verify_relu(transcript, book, outputs)
        self.scheme.verify(transcript, [(data, book.on(data.names)) for data in openings])

    # Stage A.

    def _counts(self, target: Target, witness: Witness) -> list[np.ndarray]:
        pairs = zip(self.lookups, self._lookers(witness), strict=True)
        return [multiplicities(target, lookup, lookers) for lookup, lookers in pairs]

    def _commit_witness(
        self,
        transcript: ProverTranscript,
        target: Target,
        witness: Witness,
        counts: list[np.ndarray],
    ) -> Any:
        tensors = {f"quotients{s}": array for s, array in enumerate(witness.quotients)}
        tensors |= {f"counts{k}": target.to_device(array) for k, array in enumerate(counts)}
        return self._commit(transcript, target, "witness", tensors, self.witness_shapes)

    def _commit(
        self,
        transcript: ProverTranscript,
        target: Target,
        label: str,
        tensors: dict[str, Array],
        shapes: dict[str, Shape],
    ) -> Any:
        data = self.scheme.commit(target, tensors, shapes)
        transcript.send_bytes(label, data.commitment.root)
        return data

    def _receive_commitment(
        self, transcript: VerifierTranscript, label: str, shapes: dict[str, Shape]
    ) -> Commitment:
        return self.scheme.commitment(transcript.receive_bytes(label, 32), shapes)

    # Stage B.

    def _book_lookups(self, book: Book, claims: list[LookupClaims]) -> _Ranged:
        """Book what lookups say of committed tensors; the rest is on virtual ones."""
        lookers = [value for claim in claims for value in claim.lookers]
        for k, claim in enumerate(claims):
            book.add(f"counts{k}", claim.multiplicities)
        *remainders, output, difference = lookers
        book.add(f"quotients{len(remainders) - 1}", output)
        return _Ranged(remainders, difference)

    def _book_labels(self, book: Book, claims: list[tuple[Any, Element]]) -> None:
        last = f"quotients{len(self.stacks) - 1}"
        book.claims += [Claim(last, functional, value) for functional, value in claims]

    # Stage C: stack by stack, from a claim on remainders to claims on ReLU outputs.

    def _rescale(self, s: int) -> Rescale:
        return Rescale(self.field, self.quotient_shapes[s], self.shift)

    def _prove_rescale(
        self,
        transcript: ProverTranscript,
        target: Target,
        book: Book,
        witness: Witness,
        s: int,
        claim: Value,
    ) -> Value:
        accumulators, quotients = self._rescale(s).prove(
            transcript, target, witness.quotients[s], claim
        )
        book.add(f"quotients{s}", quotients)
        return accumulators

    def _verify_rescale(
        self, transcript: VerifierTranscript, book: Book, s: int, claim: Value
    ) -> Value:
        accumulators, quotients = self._rescale(s).verify(transcript, claim)
        book.add(f"quotients{s}", quotients)
        return accumulators

    def _linear(self, s: int) -> Linear:
        stack = self.stacks[s]
        return Linear(self.field, len(stack.layers), self.batch, stack.d_in, stack.d_out)

    def _prove_linear(
        self,
        transcript: ProverTranscript,
        target: Target,
        book: Book,
        tensors: ModelTensors,
        witness: Witness,
        s: int,
        claim: Value,
    ) -> Value:
        x, w, b = witness.inputs[s], tensors.weights[s], tensors.biases[s]
        claims = self._linear(s).prove(transcript, target, x, w, b, claim)
        book.add(f"weights{s}", claims.weights)
        book.add(f"biases{s}", claims.bias)
        return claims.inputs

    def _verify_linear(
        self, transcript: VerifierTranscript, book: Book, s: int, claim: Value
    ) -> Value:
        claims = self._linear(s).verify(transcript, claim)
        book.add(f"weights{s}", claims.weights)
        book.add(f"biases{s}", claims.bias)
        return claims.inputs

    # Stage D.

    def _prove_relu(
        self,
        transcript: ProverTranscript,
        target: Target,
        book: Book,
        witness: Witness,
        outputs: list[OutputClaim],
    ) -> list[Any]:
        protocol = self._logup_star
        if protocol is None:
            return []
        committed: list[Any] = []

        def commit(pushed: Array) -> None:
            words = target.to_host(pushed).reshape(-1, self.field.degree)
            columns = {
                name: target.to_device(np.ascontiguousarray(words[:, d]))
                for d, name in enumerate(self.pushed_shapes)
            }
            committed.append(
                self._commit(transcript, target, "pushed", columns, self.pushed_shapes)
            )

        hidden = witness.quotients[:-1]
        self._book_relu(book, protocol.prove(transcript, target, hidden, outputs, commit))
        return committed

    def _verify_relu(
        self, transcript: VerifierTranscript, book: Book, outputs: list[OutputClaim]
    ) -> list[Commitment]:
        protocol = self._logup_star
        if protocol is None:
            return []
        committed: list[Commitment] = []

        def receive() -> None:
            committed.append(self._receive_commitment(transcript, "pushed", self.pushed_shapes))

        self._book_relu(book, protocol.verify(transcript, outputs, receive))
        return committed

    def _book_relu(self, book: Book, claims: LogupStarClaims) -> None:
        for s, value in enumerate(claims.indices):
            book.add(f"quotients{s}", value)
        for columns in claims.pushed:
            for name, value in zip(self.pushed_shapes, columns, strict=True):
                book.add(name, value)


@dataclass(frozen=True)
class _Ranged:
    """What the lookups leave on virtual tensors."""

    remainders: list[Value]
    difference: Value
