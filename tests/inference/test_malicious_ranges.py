"""Malicious provers that lie in what is looked up: counts, lookers, virtual padding."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from cases.lookups import edited
from cheating import (
    NOT_IN_TABLE,
    PADDING,
    TARGET,
    WRONG_LABELS,
    WRONG_OPENING,
    WRONG_PRODUCT,
    BoldLogupStar,
    Cheat,
    ForgedPush,
    Relay,
    bump,
    changed,
    exact_extension,
    forge,
    forward,
    only,
    overflowing,
    rejected,
)
from inference_case import Case, random_model

from zkbench.inference import commit_model
from zkbench.proof import ProofRejected
from zkbench.protocols.argmax import ArgMax
from zkbench.protocols.gkr import Tree
from zkbench.protocols.tlookup import Lookup, TLookup


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


def test_table_with_another_entry(monkeypatch, case):
    """The remainder that is out of range stands in the table, in place of an entry not in use."""
    trace = forward(case.committed.model, case.inputs, quotient=bump(1, 1))
    false = int(trace.remainders[1][0, 0])
    original = TLookup._table_tree
    free = []

    class Cheats(Cheat):
        def _counts(self, target, witness):
            counts = super()._counts(target, witness)
            free.append(int(np.flatnonzero(counts[0] == 0)[0]))
            counts[0][free[0]] = 1
            return counts

    def table_tree(protocol, target, lookup, multiplicity, alpha):
        if lookup != protocol.lookups[0]:
            return original(protocol, target, lookup, multiplicity, alpha)
        entries = np.arange(lookup.size, dtype=np.int64)
        entries[free[0]] = false
        monkeypatch.setattr("zkbench.protocols.tlookup.np.arange", lambda *_, **__: entries)
        tree = original(protocol, target, lookup, multiplicity, alpha)
        monkeypatch.undo()
        return tree

    monkeypatch.setattr(TLookup, "_table_tree", table_tree)
    forgery = forge(case, Cheats, trace=trace)
    assert free
    with pytest.raises(ProofRejected, match="the lookup's table is another one"):
        forgery.verify()


# The look-up of ReLU outputs.


def _cheat_with(protocol: type[BoldLogupStar]) -> type[Cheat]:
    class Cheats(Cheat):
        @property
        def _logup_star(self):
            honest = super()._logup_star
            return protocol(honest.field, honest.table, honest.shapes)

    return Cheats


def _beyond_16_bits(monkeypatch, output: int):
    """A committed model with an activation out of range at (0, 0) of layer 1, read as ``output``."""
    monkeypatch.setattr("zkbench.protocols.rescale.extension_of_integers", exact_extension)
    case, model = overflowing(1)
    case = replace(case, inputs=case.inputs[:1])
    outside = forward(model, case.inputs).quotients[1] >= 1 << 15
    assert outside[0, 0]
    trace = forward(
        model,
        case.inputs,
        activation=lambda layer, x: (
            np.where(outside, output, x).astype(np.int16) if layer == 1 else x
        ),
    )
    return case, trace


class WithoutThem(BoldLogupStar):
    """Gives indices that point nowhere the weight 0: so they are not looked up at all."""

    def _numerators(self, target, gammas, claims):
        honest = super()._numerators(target, gammas, claims)
        return [
            edited(numerators, values.size, partial(only, values.reshape(-1) < 1 << 15))
            for numerators, values in zip(honest, self.quotients, strict=True)
        ]


def test_indices_left_out_of_the_lookup(monkeypatch):
    case, trace = _beyond_16_bits(monkeypatch, output=0)
    stacked = [np.stack([trace.quotients[0]]), np.stack(trace.quotients[1:3])]
    monkeypatch.setattr(WithoutThem, "quotients", stacked, raising=False)
    reason = "a lookup's numerators are not its claims' weights"
    rejected(reason, case, _cheat_with(WithoutThem), trace=trace)


class WithThemInTheTable(BoldLogupStar):
    """An entry of the table that is not in use gets the index that points nowhere."""

    entry, index = (1 << 15) + 29_000, 0

    def _push(self, target, indices, weights):
        moved = [np.where(v == self.index, self.entry - self.table.offset, v) for v in indices]
        return super()._push(target, moved, weights)

    def _table_tree(self, target, pushed, c):
        negated = self.field.pack([-value for value in self.field.unpack(pushed)])
        entries = np.arange(self.table_size, dtype=np.int64)
        entries[self.entry] = self.index + self.table.offset
        return Tree(target, self.field, (self.table_size,)).fill_leaves(entries, 0, c, negated)


def test_table_of_outputs_with_another_entry(monkeypatch):
    case, trace = _beyond_16_bits(monkeypatch, output=29_000)
    assert (trace.quotients[1] >= 1 << 15).sum() == 1
    monkeypatch.setattr(WithThemInTheTable, "index", int(trace.quotients[1][0, 0]))
    reason = "the lookup's table is another one"
    rejected(reason, case, _cheat_with(WithThemInTheTable), trace=trace)


class CommittedPush(ForgedPush):
    """Commits to the forged Y, and proves the fractions of the true one."""

    def _push(self, target, indices, weights):
        object.__setattr__(self, "true", BoldLogupStar._push(self, target, indices, weights))
        return super()._push(target, indices, weights)

    def _table_tree(self, target, pushed, c):
        return super()._table_tree(target, self.true, c)


def test_committed_push_other_than_the_one_of_the_fractions(case):
    trace = forward(case.committed.model, case.inputs, activation=bump(1, 9))
    reason = "the pushed-forward vector is not the committed one"
    rejected(reason, case, _cheat_with(CommittedPush), trace=trace)
