"""Malicious provers whose commitments or model are not those that the claims are true of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cheating import (
    TARGET,
    WRONG_OPENING,
    WRONG_OUTPUT,
    WRONG_PRODUCT,
    WRONG_ROW,
    Cheat,
    changed,
    forge,
    forward,
    rejected,
    swap,
)
from inference_case import Case, inputs_in_range, random_model

from zkbench.commitments.claims import Book
from zkbench.commitments.merkle import tree_of
from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.inference import commit_model
from zkbench.kernels.ntt import encode
from zkbench.models.mlp import IntegerMLP
from zkbench.proof import ProofRejected


@pytest.mark.parametrize("stack", range(3))
def test_committed_quotients_other_than_those_proven(case, stack):
    class Commits(Cheat):
        def _commit_witness(self, transcript, target, witness, counts):
            other = list(witness.quotients)
            other[stack] = changed(other[stack], -1, 1)
            return super()._commit_witness(
                transcript, target, replace(witness, quotients=tuple(other)), counts
            )

    rejected(WRONG_OPENING, case, Commits)


@pytest.mark.parametrize("label", ["witness", "pushed"])
def test_committed_tree_of_other_columns(case, label):
    """The claims are opened on the witness that they are true of; the tree is of another."""

    class Commits(Cheat):
        def _commit(self, transcript, target, name, tensors, shapes):
            if name != label:
                return super()._commit(transcript, target, name, tensors, shapes)
            proven = self.scheme.commit(target, tensors, shapes)
            first = next(iter(tensors))
            other = self.scheme.commit(
                target, tensors | {first: changed(tensors[first], 0, 1)}, shapes
            )
            transcript.send_bytes(name, other.commitment.root)
            return replace(other, dense=proven.dense)

    rejected(WRONG_ROW, case, Commits)


def test_garbage_beyond_the_tensors(case):
    """The last column's tail, which belongs to no tensor, is not zero."""

    class Commits(Cheat):
        def _commit(self, transcript, target, name, tensors, shapes):
            data = self.scheme.commit(target, tensors, shapes)
            if name == "witness":
                data = _with_garbage(data)
            transcript.send_bytes(name, data.commitment.root)
            return data

    rejected(WRONG_ROW, case, Commits)


def _with_garbage(data):
    commitment = data.commitment
    code, columns = commitment.code, commitment.num_columns
    whole = np.zeros(columns << code.log_rows, dtype=np.uint64)
    dense = data.dense.piece(0, data.dense.length).astype(object)
    whole[: dense.size] = np.array([int(v) % FIELD.modulus for v in dense], dtype=np.uint64)
    assert dense.size < whole.size
    whole[dense.size :] = 12345
    shape = (whole.size, columns, code.log_rows, code.log_inv_rate)
    codeword = encode(TARGET, FIELD, whole, *shape, stride=data.rows.stride)
    tree = tree_of(TARGET, codeword, code.log_length, columns, data.rows.stride)
    rows = replace(data.rows, matrix=codeword, tree=tree)
    return replace(data, rows=rows, commitment=replace(commitment, root=tree.root))


# Another model than the committed one.


def _with(model: IntegerMLP, **arrays) -> IntegerMLP:
    return replace(model, **arrays)


def _other_model(case: Case, model: IntegerMLP) -> dict:
    """Everything is proven of this model, whose tensors are not those behind the root."""
    scheme = case.committed.public.scheme
    return {
        "trace": forward(model, case.inputs),
        "tensors": commit_model(model, TARGET, scheme).tensors,
    }


def test_changed_bias(case):
    model = case.committed.model
    for layer in range(model.depth):
        biases = list(model.biases)
        biases[layer] = changed(biases[layer], 0, 1 << model.shift)
        other = _with(model, biases=tuple(biases))
        rejected(WRONG_OPENING, case, **_other_model(case, other))


def test_changed_weight(case):
    model = case.committed.model
    for layer in range(model.depth):
        weights = [w.copy() for w in model.weights]
        weights[layer][-1, -1] ^= 1
        rejected(WRONG_OPENING, case, **_other_model(case, _with(model, weights=tuple(weights))))


def test_layers_swapped_in_their_stack(case):
    model = case.committed.model
    other = _with(model, weights=swap(model.weights, 1, 2), biases=swap(model.biases, 1, 2))
    rejected(WRONG_OPENING, case, **_other_model(case, other))


def test_layers_swapped_in_the_trace_alone(case):
    model = case.committed.model
    other = _with(model, weights=swap(model.weights, 1, 2), biases=swap(model.biases, 1, 2))
    rejected(WRONG_PRODUCT, case, trace=forward(other, case.inputs))


@pytest.fixture(scope="module")
def square_case() -> Case:
    """All layers 6 x 6: a hidden stack of one layer and the output have tensors of equal shapes."""
    rng = np.random.default_rng(8)
    model = random_model(rng, (6, 6, 6), 12)
    return Case.of(model, inputs_in_range(rng, model, 3))


def test_layers_swapped_between_stacks(square_case):
    model = square_case.committed.model
    other = _with(model, weights=swap(model.weights, 0, 1), biases=swap(model.biases, 0, 1))
    rejected(WRONG_OPENING, square_case, **_other_model(square_case, other))


@pytest.mark.parametrize("kind", ["weights", "biases", "quotients"])
def test_claims_swapped_between_stacks(monkeypatch, square_case, kind):
    """True claims, each on the other stack's tensor of the same shape, in the prover's book."""
    names = {f"{kind}0": f"{kind}1", f"{kind}1": f"{kind}0"}
    original = Book.on
    with monkeypatch.context() as patched:
        patched.setattr(
            Book,
            "on",
            lambda book, wanted: [
                replace(claim, tensor=names.get(claim.tensor, claim.tensor))
                for claim in original(book, wanted)
            ],
        )
        forgery = forge(square_case)
    with pytest.raises(ProofRejected, match=WRONG_OPENING):
        forgery.verify()


def test_quotients_committed_in_each_others_place(square_case):
    class Commits(Cheat):
        def _commit_witness(self, transcript, target, witness, counts):
            swapped = replace(witness, quotients=swap(witness.quotients, 0, 1))
            return super()._commit_witness(transcript, target, swapped, counts)

    rejected(WRONG_OPENING, square_case, Commits)


@pytest.mark.parametrize("skipped", [1, 2])
def test_layer_skipped(case, skipped):
    """The layer after it reads what it reads itself."""
    model = case.committed.model
    reads = forward(model, case.inputs).given
    trace = forward(
        model,
        case.inputs,
        activation=lambda layer, x: reads[skipped] if layer == skipped else x,
    )
    rejected(WRONG_OUTPUT, case, trace=trace)


def test_layer_that_passes_its_input_on(case):
    model = case.committed.model
    half = 1 << (model.shift - 1)
    reads = forward(model, case.inputs).given[2].astype(np.int64)
    same = (reads << model.shift) + half - 1
    trace = forward(model, case.inputs, product=lambda layer, acc: same if layer == 2 else acc)
    assert (trace.quotients[2] == reads).all()
    rejected(WRONG_PRODUCT, case, trace=trace)


@pytest.mark.parametrize("layer", range(4))
def test_rows_of_two_images_exchanged(wide_case, layer):
    trace = forward(
        wide_case.committed.model,
        wide_case.inputs,
        product=lambda l, acc: acc[[1, 0, 2]] if l == layer else acc,
    )
    rejected(WRONG_PRODUCT, wide_case, trace=trace)
