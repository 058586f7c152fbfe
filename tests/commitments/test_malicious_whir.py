"""Malicious WHIR provers: honest but for one lie, and as consistent about it as they can be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from brute_force import eq_at, true_claim
from opening_case import Case
from whir_liars import (
    ALL,
    CLAIMS,
    IN_CLEAR,
    JOHNSON,
    ONE,
    ROW,
    SCHEME,
    TWO,
    bumped,
    lie,
    lying_words,
    proof,
    raised,
    rejected,
)

from zkbench.commitments import joining, whir_rounds
from zkbench.commitments.joining import JoinedRows, Joining
from zkbench.commitments.merkle import tree_of
from zkbench.commitments.reduction import Reduction
from zkbench.commitments.rows import HashedRows
from zkbench.commitments.whir_rounds import WhirRounds
from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels.launch import cpu_target
from zkbench.proof import Message, Proof


def test_the_cases_are_proven_by_honest_provers():
    for case in ALL:
        case.verify(case.prove())
    assert len(SCHEME.schedule(6).rounds) == 2


@pytest.mark.parametrize("case", ALL)
@pytest.mark.parametrize(
    ("label", "match"),
    [
        ("column values", "claims do not hold"),
        ("joined values", "joined values contradict"),
        ("out-of-domain values", CLAIMS),
        ("rows", "path does not lead"),
        ("final vector", ROW),
    ],
)
def test_one_wrong_message(monkeypatch, case, label, match):
    """The liar goes on with the transcript that the wrong message gives."""
    if label not in {message.label for message in case.prove().messages}:
        return
    lying_words(monkeypatch, label, raised)
    rejected(match, proof(monkeypatch, case), case)


@pytest.mark.parametrize("lying", [whir_rounds.PrefixProduct, joining.Delayed])
@pytest.mark.parametrize("case", [TWO, ALL[4]])
def test_wrong_round_polynomials(monkeypatch, case, lying):
    def wrap(honest):
        def round_(self, challenge):
            at_zero, lead = honest(self, challenge)
            return [at_zero + 1, lead]

        return round_

    lie(monkeypatch, lying, "round", wrap)
    match = CLAIMS if lying is whir_rounds.PrefixProduct else "joined values contradict"
    rejected(match, proof(monkeypatch, case), case)


@pytest.mark.parametrize("case", ALL)
def test_column_values_that_keep_the_sumcheck(monkeypatch, case):
    """Two values changed so that their combination stays: the combined claim is then false."""

    def wrap(honest):
        def prove_columns(self, transcript, target, data, point, folded):
            z_high = point[data.commitment.code.log_rows :]

            def shifted(words):
                if len(words) == FIELD.degree:  # a single column: nothing to keep
                    return words
                ratio = eq_at(z_high, 0) / eq_at(z_high, 1)
                return bumped(bumped(words), 1, -1 * ratio)

            with monkeypatch.context() as patch:
                lying_words(patch, "column values", shifted)
                return honest(self, transcript, target, data, point, folded)

        return prove_columns

    lie(monkeypatch, Reduction, "_prove_columns", wrap)
    match = "joined values contradict" if len(case.tensors) > 1 else CLAIMS
    rejected(match, proof(monkeypatch, case), case)


@pytest.mark.parametrize("case", [ONE, IN_CLEAR, ALL[3]])
def test_a_vector_that_agrees_with_false_column_values(monkeypatch, case):
    """The combined vector satisfies the false claim: only the committed rows give it away."""

    def wrap(honest):
        def prove_columns(self, transcript, target, data, point, folded):
            log_rows = data.commitment.code.log_rows
            z_low, z_high = point[:log_rows], point[log_rows:]
            ratio = eq_at(z_high, 0) / eq_at(z_high, 1)

            def shifted(words):
                return bumped(bumped(words), 1, -1 * ratio)

            lying_words(monkeypatch, "column values", shifted)
            claim, column = honest(self, transcript, target, data, point, folded)
            weights = FIELD.unpack(claim.weights)
            change = weights[0] - ratio * weights[1]
            return claim, bumped(column, 3, change / eq_at(z_low, 3))

        return prove_columns

    lie(monkeypatch, Reduction, "_prove_columns", wrap)
    match = CLAIMS if case.scheme.num_rounds else ROW
    rejected(match, proof(monkeypatch, case), case)


@pytest.mark.parametrize("entry", [0, 1])
@pytest.mark.parametrize("case", [ONE, TWO, ALL[3], ALL[4]])
def test_an_oracle_of_another_vector(monkeypatch, case, entry):
    """Round ``entry`` commits, and goes on with, a vector that is not the folded one."""
    size = case.scheme.schedule(6).rounds[entry].log_size

    def wrap(honest):
        def commit(self, transcript, target, vector, round_):
            if round_.log_size == size:
                vector[:] = np.concatenate([bumped(vector[: 2 << size]), vector[2 << size :]])
            return honest(self, transcript, target, vector, round_)

        return commit

    lie(monkeypatch, WhirRounds, "_commit", wrap)
    rejected(CLAIMS, proof(monkeypatch, case), case)


@pytest.mark.parametrize("entry", [0, 1])
@pytest.mark.parametrize("start", [0, 2])
@pytest.mark.parametrize("case", [ONE, TWO, ALL[3], ALL[4]])
def test_a_corrupted_oracle(monkeypatch, case, start, entry):
    """The first or last third of the committed word is wrong, everything else honest."""
    size = case.scheme.schedule(6).rounds[entry].log_size

    def wrap(honest):
        def encode(*args, **options):
            matrix = honest(*args, **options)
            if options.get("extension") and args[3] == 1 << size:
                words = matrix.reshape(args[4], -1)
                length = 2 << case.scheme.schedule(6).rounds[entry].log_length  # words of a column
                third = length // 3
                words[1, start * third : (start + 1) * third] ^= np.uint64(1)
            return matrix

        return encode

    lie(monkeypatch, whir_rounds, "encode", wrap)
    match = CLAIMS if entry == 0 else ROW
    rejected(match, proof(monkeypatch, case), case)


@pytest.mark.parametrize("entry", [0, 1])
@pytest.mark.parametrize("case", [ONE, TWO, ALL[3]])
def test_a_wrong_fold(monkeypatch, case, entry):
    """f is folded with another challenge than the verifier's, in the last variable of a round."""
    rest = case.scheme.schedule(6).rounds[entry].log_rows

    def wrap(honest):
        def finish(self, challenge):
            honest(self, challenge)
            if self.log_size == rest:
                self.f[:] = bumped(self.f)
            return []

        return finish

    lie(monkeypatch, whir_rounds.PrefixProduct, "finish", wrap)
    rejected(CLAIMS if entry == 0 else ROW, proof(monkeypatch, case), case)


def test_a_final_vector_that_keeps_the_claim(monkeypatch):
    """<f, w> stays what it must be; the last oracle's rows give the change away."""

    def wrap(honest):
        def finish(self, challenge):
            honest(self, challenge)
            if self.log_size == SCHEME.schedule(6).log_final:
                w = FIELD.unpack(self.w[:4])
                self.f[:] = bumped(bumped(self.f), 1, -1 * (w[0] / w[1]))
            return []

        return finish

    lie(monkeypatch, whir_rounds.PrefixProduct, "finish", wrap)
    rejected(ROW, proof(monkeypatch, ONE), ONE)


@pytest.mark.parametrize("case", [ONE, TWO, IN_CLEAR])
def test_a_skipped_proof_of_work(monkeypatch, case):
    strict = replace(case, scheme=replace(case.scheme, grinding_bits=24, security_bits=30))
    monkeypatch.setattr("zkbench.protocols.grinding.find_nonce", lambda *_: 0)
    rejected("proof of work is missing", proof(monkeypatch, strict), strict)


@pytest.mark.parametrize("skipped", [Reduction, Joining, WhirRounds])
def test_skipped_work_before_folding_and_combining(monkeypatch, skipped):
    """Only this part's work is skipped; 120 bits need some before every combination."""
    scheme = replace(JOHNSON, security_bits=120, log_inv_rate=3, log_rows=5)
    case = Case([{"t": np.arange(90, dtype=np.int16)}] * 2, [[], []], scheme)
    case.verify(case.prove())
    module = f"{skipped.__module__}.prove_work"
    monkeypatch.setattr(
        module, lambda transcript, *_: transcript.send_bytes("nonce", _bad_nonce(transcript))
    )
    rejected("proof of work is missing", proof(monkeypatch, case), case)


def _bad_nonce(transcript: Any) -> bytes:
    """A nonce that is no work at all."""
    from blake3 import blake3

    seed, nonce = transcript.grinding_seed("grinding"), 0
    while blake3(seed + nonce.to_bytes(8, "little")).digest()[7] < 128:
        nonce += 1
    return nonce.to_bytes(8, "little")


def _recommitted(data: Any, change: Any) -> Any:
    """Prover data whose tree is over a changed word."""
    codeword, shape = data.rows.matrix.copy(), (data.rows.num_words, data.rows.stride)
    change(codeword.reshape(shape))
    tree = tree_of(cpu_target(), codeword, data.rows.tree.log_leaves, *shape)
    commitment = replace(data.commitment, root=tree.root)
    return replace(data, rows=HashedRows(tree, codeword, *shape), commitment=commitment)


@pytest.mark.parametrize("start", [0, 2])
@pytest.mark.parametrize("case", [ONE, IN_CLEAR, ALL[3]])
def test_a_committed_word_outside_the_decoding_radius(case, start):
    def corrupt(matrix):
        third = (2 << case.scheme.log_rows) // 3
        matrix[1, start * third : (start + 1) * third] ^= np.uint64(1)

    data = [_recommitted(case.commit()[0], corrupt)]
    rejected(CLAIMS if case.scheme.num_rounds else ROW, case.prove(data), case)


@pytest.mark.parametrize("start", [0, 2])
def test_a_small_committed_word_outside_the_decoding_radius(start):
    """The commitment that is stretched: its errors must count like those of the largest."""
    data = TWO.commit()

    def corrupt(matrix):
        third = (1 << data[1].commitment.code.log_length) // 3
        matrix[0, start * third : (start + 1) * third] ^= np.uint64(1)

    assert data[1].commitment.code.log_rows < data[0].commitment.code.log_rows
    rejected(CLAIMS, TWO.prove([data[0], _recommitted(data[1], corrupt)]), TWO)


@pytest.mark.parametrize("which", [0, 1])
def test_a_committed_witness_other_than_the_one_proven(which):
    """All claims are true, of other tensors than the committed ones."""
    tensors = [{name: t // 2 for name, t in one.items()} for one in TWO.tensors]
    claims = [
        [true_claim(c.tensor, one[c.tensor], c.functional) for c in old]
        for one, old in zip(tensors, TWO.claims, strict=True)
    ]
    proven = Case(tensors, claims, SCHEME)
    proven.verify(proven.prove())
    data, committed = proven.commit(), TWO.commit()
    data[which] = replace(committed[which], dense=data[which].dense)
    rejected(CLAIMS, proven.prove(data), proven)


def test_another_commitments_tree():
    data = TWO.commit()
    twin = Case([{k: t[::-1].copy() for k, t in one.items()} for one in TWO.tensors], [], SCHEME)
    for which in (0, 1):
        wrong = twin.commit()[which]
        lies = [
            replace(data[which], rows=replace(data[which].rows, tree=wrong.rows.tree)),
            replace(data[which], rows=wrong.rows),
        ]
        for false in lies:
            both = [false if i == which else data[i] for i in (0, 1)]
            rejected("path does not lead", TWO.prove(both), TWO)


def test_wrong_paths(monkeypatch):
    lying_words(monkeypatch, "paths", raised)
    rejected("path does not lead", proof(monkeypatch, ONE), ONE)


def test_another_root():
    for case in ALL:
        honest = case.prove()
        for index, message in enumerate(honest.messages):
            if message.label not in {"root", "oracle"}:
                continue
            messages = list(honest.messages)
            root = message.payload[1:] + message.payload[:1]
            messages[index] = Message(message.label, root)
            rejected(None, Proof(honest.header, messages), case)


def test_rows_of_other_leaves(monkeypatch):
    """Rows that are in the tree, but not at the leaves asked for."""

    def wrap(honest):
        def open_rows(self, transcript, indices):
            honest(self, transcript, [index ^ 1 for index in indices])

        return open_rows

    lie(monkeypatch, JoinedRows, "open", wrap)
    rejected(None, proof(monkeypatch, ONE), ONE)


def test_ignored_constraint_on_the_last_claim(monkeypatch):
    """The prover leaves out the sampled rows' constraints, which its oracle might violate."""
    lie(monkeypatch, WhirRounds, "_constrain", lambda honest: lambda *_: None)
    rejected(CLAIMS, proof(monkeypatch, ONE), ONE)
