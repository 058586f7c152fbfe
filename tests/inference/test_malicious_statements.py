"""Statements that are false, with proofs run for them from the first byte; and parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cheating import (
    NOT_IN_TABLE,
    TARGET,
    WRONG_INPUT,
    WRONG_LABELS,
    WRONG_OPENING,
    WRONG_PRODUCT,
    Cheat,
    Relay,
    bump,
    forge,
    forward,
    rejected,
)
from inference_case import FEW_BITS, FORMAT, SMALL, Case

from zkbench.commitments.ligero import Ligero
from zkbench.errors import UnusableInput
from zkbench.inference import commit_model, verify_inference
from zkbench.models.mlp import IntegerMLP
from zkbench.proof import ProofRejected
from zkbench.protocols.argmax import ArgMax
from zkbench.statement import Statement


def _with_labels(case: Case, labels: np.ndarray) -> Statement:
    return replace(case.statement, labels=labels)


def _wrong_labels(case: Case) -> np.ndarray:
    """The first label is another one; the others are right."""
    labels = case.statement.labels.copy()
    labels[0] = (labels[0] + 1) % 3
    return labels


# Labels.


def test_proof_of_the_true_labels(case):
    """Run for the false statement, with the true labels all the way."""
    statement = _with_labels(case, _wrong_labels(case))
    rejected(WRONG_LABELS, case, statement=statement, labels=case.statement.labels)


def test_differences_of_the_wrong_labels(case):
    """All consistent: but a difference is negative."""
    rejected(NOT_IN_TABLE, case, statement=_with_labels(case, _wrong_labels(case)))


def _true_differences(case: Case):
    protocol = case.committed.public.protocol(len(case.inputs))
    logits = forward(case.committed.model, case.inputs).quotients[-1]
    differences = protocol._argmax.differences(logits, case.statement.labels)
    return lambda witness: replace(witness, differences=differences.reshape(-1))


def test_forged_differences(case):
    """Those of the true labels, which are in range, looked up for the wrong ones."""
    statement = _with_labels(case, _wrong_labels(case))
    options = {"statement": statement, "change_witness": _true_differences(case)}
    rejected(WRONG_LABELS, case, **options)


class ForgedLogits(Cheat):
    """Sends a sum of the outputs at the labels with which the forged differences are right."""

    which = 0

    @property
    def _argmax(self):
        which, honest = self.which, super()._argmax

        class Liar(ArgMax):
            def prove(self, transcript, logits, labels, claim):
                def forge_logits(relay, values):
                    gap = claim.value - (values[0] - values[1] - self._ties(labels, claim))
                    values[which] = values[which] + (gap if which == 0 else -gap)
                    return values

                relay = Relay(transcript, logits=forge_logits)
                claims = super().prove(relay, logits, labels, claim)
                sent = relay.sent["logits"]
                return [(functional, v) for (functional, _), v in zip(claims, sent, strict=True)]

        return Liar(honest.field, honest.rows, honest.classes)


class ForgedOutputs(ForgedLogits):
    """The other of the two values."""

    which = 1


@pytest.mark.parametrize("cheat", [ForgedLogits, ForgedOutputs])
def test_forged_differences_and_logits(case, cheat):
    statement = _with_labels(case, _wrong_labels(case))
    options = {"statement": statement, "change_witness": _true_differences(case)}
    rejected(WRONG_OPENING, case, cheat, **options)


def test_output_raised_until_the_wrong_label_wins(case):
    labels = _wrong_labels(case)
    model = case.committed.model
    logits = forward(model, case.inputs).quotients[-1].astype(int)
    amount = int(logits[0].max() - logits[0, labels[0]]) + 1
    index = (0, int(labels[0]))
    options = {"statement": _with_labels(case, labels)}
    by_product = forward(model, case.inputs, product=bump(3, amount << model.shift, index))
    assert (by_product.labels == labels).all()
    rejected(WRONG_PRODUCT, case, trace=by_product, **options)
    by_remainder = forward(model, case.inputs, quotient=bump(3, amount, index))
    rejected(NOT_IN_TABLE, case, trace=by_remainder, **options)


@pytest.fixture(scope="module", params=[4, 16])
def tie(request) -> Case:
    """Outputs 7, 9, 9, 9."""
    shift = request.param
    biases = np.array([7, 9, 9, 9], dtype=np.int64) << shift
    weights = np.zeros((2, 4), dtype=np.int16)
    model = IntegerMLP((weights,), (biases,), shift, FORMAT, (FORMAT,))
    return Case.of(model, np.zeros((2, 2), dtype=np.int16))


def test_second_of_two_equal_outputs(tie):
    assert tie.statement.labels.tolist() == [1, 1]
    for label in (2, 3):
        statement = _with_labels(tie, np.array([1, label]))
        rejected(NOT_IN_TABLE, tie, statement=statement)


def test_second_of_two_equal_outputs_without_the_tie_break(tie):
    """Differences y[label] - y[j] alone: none is negative."""
    logits = forward(tie.committed.model, tie.inputs).quotients[-1].astype(np.int32)
    plain = (9 - logits).reshape(-1)
    statement = _with_labels(tie, np.array([1, 3]))
    rejected(
        WRONG_LABELS,
        tie,
        statement=statement,
        change_witness=lambda witness: replace(witness, differences=plain),
    )


def test_label_of_the_virtual_padding(case):
    """Three classes are four entries in the extension; class 3 does not exist."""
    for label in (3, 4, 2**31 - 1):
        statement = _with_labels(case, np.full_like(case.statement.labels, label))
        with pytest.raises(ProofRejected, match="labels do not fit the model"):
            case.verify(statement=statement)


@pytest.mark.parametrize("label", [-1, -3, 2**31])
def test_label_that_is_no_label(case, label):
    """A negative one would be read from the end of the row, or of the row before."""
    with pytest.raises(UnusableInput, match="labels must lie in"):
        _with_labels(case, np.full_like(case.statement.labels, label))


def test_statement_of_other_types(case):
    """What is hashed as int16 must be what is computed with."""
    truth = case.statement
    with pytest.raises(UnusableInput, match="inputs must be int16"):
        replace(truth, inputs=truth.inputs.astype(np.int64) + 2**16)
    with pytest.raises(UnusableInput, match="inputs must be int16"):
        replace(truth, inputs=truth.inputs[0])
    with pytest.raises(UnusableInput, match="labels must be int64"):
        replace(truth, labels=truth.labels.astype(np.uint64))
    with pytest.raises(UnusableInput, match="labels must be int64, one for each"):
        replace(truth, labels=np.append(truth.labels, 0))


# Inputs.


def test_other_images(case):
    """A proof of what the model says to other images, run for the statement about these."""
    other = case.inputs.copy()
    other[0, 0] += 1
    trace = forward(case.committed.model, other)
    statement = _with_labels(case, trace.labels)
    rejected(WRONG_INPUT, case, trace=trace, statement=statement)


def test_images_in_another_order(wide_case):
    case = wide_case
    trace = forward(case.committed.model, case.inputs[::-1].copy())
    rejected(WRONG_INPUT, case, trace=trace, statement=_with_labels(case, trace.labels))


# Models.


@pytest.fixture(scope="module")
def other_model() -> Case:
    """Of the same architecture as the first of ``case``."""
    return Case.random(5)


def test_model_a_with_the_proof_of_b(wide_case, other_model):
    """B's weights under A's commitment; then with B's tree, too."""
    a, b = wide_case, other_model
    trace = forward(b.committed.model, a.inputs)
    options = {"trace": trace, "tensors": b.committed.tensors}
    rejected(WRONG_OPENING, a, **options)
    reason = "Merkle opening: the path does not lead to the root"
    options = {"trace": trace, "committed": b.committed, "public": a.committed.public}
    rejected(reason, a, **options)


def test_commitment_with_the_root_of_another_model(wide_case, other_model):
    """Bound before everything: all challenges differ."""
    public = replace(wide_case.committed.public, root=other_model.committed.public.root)
    with pytest.raises(ProofRejected, match="about another model"):
        verify_inference(wide_case.proof, wide_case.statement, public, FEW_BITS)
    renamed = replace(wide_case.statement, model=public.digest)
    with pytest.raises(ProofRejected, match="of another statement"):
        verify_inference(wide_case.proof, renamed, public, FEW_BITS)


@pytest.mark.parametrize(
    "change",
    [
        {"input_format": replace(FORMAT, frac_bits=9)},
        {"formats": (FORMAT, FORMAT, FORMAT, replace(FORMAT, frac_bits=3))},
    ],
)
def test_commitment_with_other_number_formats(wide_case, change):
    """They say what the integers mean: part of the model's identity."""
    public = replace(wide_case.committed.public, **change)
    with pytest.raises(ProofRejected, match="about another model"):
        verify_inference(wide_case.proof, wide_case.statement, public, FEW_BITS)


# Parameters: the header and all that is bound are as the verifier expects, the prover is not.


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"queries": 23}, "message 'rows' has "),
        ({"queries": 25}, "message 'rows' has "),
        ({"grinding_bits": 0}, "the proof of work is missing"),
        ({"log_rows": 5}, "message 'column values' has "),
    ],
)
def test_prover_of_another_scheme(wide_case, change, reason):
    case = wide_case
    protocol = case.committed.public.protocol(3)
    other = replace(protocol, scheme=replace(SMALL, **change))
    committed = commit_model(case.committed.model, TARGET, other.scheme)
    forgery = forge(case, protocol=other, committed=committed, public=case.committed.public)
    with pytest.raises(ProofRejected, match=reason):
        forgery.verify()


def test_prover_of_another_shift(wide_case):
    """The same weights and biases read with one bit less of shift."""
    case = wide_case
    model = replace(case.committed.model, shift=13)
    protocol = replace(case.committed.public.protocol(3), shift=13)
    reason = "message 'children' has 128 bytes instead of 64"
    rejected(reason, case, trace=forward(model, case.inputs), protocol=protocol)


def test_prover_of_a_smaller_batch(wide_case):
    case = wide_case
    trace = forward(case.committed.model, case.inputs[:2])
    protocol = replace(case.committed.public.protocol(3), batch=2)
    forgery = forge(
        case, trace=trace, labels=trace.labels, statement=case.statement, protocol=protocol
    )
    with pytest.raises(ProofRejected):
        forgery.verify()


WEAK = [
    Ligero(queries=0),
    Ligero(queries=0, grinding_bits=40),
    Ligero(log_inv_rate=0),
    Ligero(log_inv_rate=0, queries=4096, grinding_bits=40),
    Ligero(queries=100),
    SMALL,
]


@pytest.mark.parametrize("scheme", WEAK)
def test_weak_scheme_in_the_commitment(wide_case, scheme):
    """The committer chooses the scheme; the verifier how much it must be worth."""
    public = replace(wide_case.committed.public, scheme=scheme)
    statement = replace(wide_case.statement, model=public.digest)
    with pytest.raises(ProofRejected, match=r"its parameters give only .* bits of soundness"):
        verify_inference(wide_case.proof, statement, public)


@pytest.mark.parametrize("bits", [float("nan"), float("inf")])
def test_soundness_that_no_proof_has(wide_case, bits):
    """A comparison with NaN is always false: it must not mean "enough"."""
    with pytest.raises(ProofRejected, match="bits of soundness"):
        verify_inference(
            wide_case.proof, wide_case.statement, wide_case.committed.public, minimum_bits=bits
        )
