"""Malicious provers that lie in what is looked up: counts, lookers, virtual padding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cheating import (
    NOT_IN_TABLE,
    PADDING,
    TARGET,
    WRONG_LABELS,
    WRONG_OPENING,
    WRONG_PRODUCT,
    Cheat,
    Relay,
    bump,
    changed,
    forward,
    rejected,
)
from inference_case import Case, random_model

from zkbench.inference import commit_model
from zkbench.protocols.argmax import ArgMax
from zkbench.protocols.tlookup import Lookup


@pytest.mark.parametrize("amounts", [(1, 0), (-1, 0), (1, -1)])
def test_changed_multiplicities(case, amounts):
    for which in range(len(case.committed.public.protocol(1).lookups)):

        class Miscounts(Cheat):
            def _counts(self, target, witness, which=which):
                counts = super()._counts(target, witness)
                used = np.flatnonzero(counts[which])
                for index, amount in zip((used[0], used[-1]), amounts, strict=True):
                    counts[which] = changed(counts[which].astype(np.int64), index, amount)
                return [c.astype(np.uint64) for c in counts]

        rejected(NOT_IN_TABLE, case, Miscounts)


def test_committed_multiplicities_other_than_those_proven(case):
    class Commits(Cheat):
        def _commit_witness(self, transcript, target, witness, counts):
            other = [*counts[:-1], changed(counts[-1], 3, 1)]
            return super()._commit_witness(transcript, target, witness, other)

    rejected(WRONG_OPENING, case, Commits)


def test_output_out_of_range_and_another_looker_in_its_place(case):
    """What is looked up in place of a false quotient is in range, but is not what is committed."""
    model = case.committed.model
    trace = forward(model, case.inputs, quotient=bump(3, 1 << 17))
    honest = forward(model, case.inputs)

    class Substitutes(Cheat):
        def _lookers(self, witness):
            lookers = super()._lookers(witness)
            lookers[-1][-2] = honest.quotients[-1].reshape(-1)
            differences = self._argmax.differences(honest.quotients[-1], honest.labels)
            lookers[-1][-1] = differences.reshape(-1)
            lookers[0][2] = honest.remainders[-1].reshape(-1)
            return lookers

    class SubstitutesAll(Substitutes):
        """As above, and the logits sent fit the false difference, too."""

        @property
        def _argmax(self):
            protocol = super()._argmax
            return LyingArgMax(protocol.field, protocol.rows, protocol.classes)

    options = {"trace": trace, "labels": honest.labels, "statement": case.statement}
    rejected(WRONG_LABELS, case, Substitutes, **options)
    rejected(
        WRONG_PRODUCT,
        case,
        SubstitutesAll,
        trace=trace,
        labels=honest.labels,
        statement=case.statement,
    )


class LyingArgMax(ArgMax):
    """Sends a sum of logits at the labels with which the differences are right."""

    def prove(self, transcript, logits, labels, claim):
        def forge_logits(relay, values):
            return [claim.value + values[1] + self._ties(labels, claim), values[1]]

        return super().prove(Relay(transcript, logits=forge_logits), logits, labels, claim)


def test_remainder_that_passes_as_a_quotient():
    """One table serves both where s = 16: their places in it are not interchangeable."""
    case = Case.random(2, shift=16, batch=3)

    class Exchanges(Cheat):
        def _lookers(self, witness):
            (lookers,) = super()._lookers(witness)
            moved = lookers[3].astype(np.int64) + (1 << 15)
            lookers[2], lookers[3] = moved, lookers[2].astype(np.int64) - (1 << 15)
            return [lookers]

    rejected(WRONG_PRODUCT, case, Exchanges)


class LeavesColumnOut(Cheat):
    """Looks up five of six columns of a stack's remainders: the tree is as deep as with six."""

    @property
    def lookups(self):
        first, *rest = super().lookups
        layers, rows, _ = first.shapes[0]
        return (Lookup(first.size, ((layers, rows, 5), *first.shapes[1:]), first.offsets), *rest)

    def _lookers(self, witness):
        first, *rest = super()._lookers(witness)
        return [[first[0].reshape(-1, 6)[:, :5].reshape(-1), *first[1:]], *rest]


def test_values_left_out_of_the_lookup(case):
    trace = forward(case.committed.model, case.inputs, quotient=bump(0, 1, (0, 5)))
    rejected(PADDING, case, LeavesColumnOut, trace=trace)


def test_an_image_in_the_virtual_padding(wide_case):
    """A fourth row, which the statement does not have, takes part in everything."""
    fourth = wide_case.inputs[:1] // 3
    trace = forward(wide_case.committed.model, np.concatenate([wide_case.inputs, fourth]))
    protocol = replace(wide_case.committed.public.protocol(3), batch=4)
    options = {"trace": trace, "labels": trace.labels, "protocol": protocol}
    rejected(PADDING, wide_case, statement=wide_case.statement, **options)


def test_neurons_in_the_virtual_padding(wide_case):
    """Hidden layers of 8 where the model has 6: the two more are in the commitment's padding."""
    small = wide_case.committed.model
    rng = np.random.default_rng(0)
    wide = random_model(rng, (5, 8, 8, 8, 3), small.shift)
    weights = [w.copy() for w in wide.weights]
    for new, old in zip(weights, small.weights, strict=True):
        new[: old.shape[0], : old.shape[1]] = old
    model = replace(wide, weights=tuple(weights))
    committed = commit_model(model, TARGET, wide_case.committed.public.scheme)
    trace = forward(model, wide_case.inputs)
    protocol = replace(wide_case.committed.public.protocol(3), dims=model.dims)
    options = {"trace": trace, "committed": committed, "protocol": protocol}
    rejected(PADDING, wide_case, **options)
