"""Malicious provers: honest but for one lie, and as consistent about it as they can be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from brute_force import E, true_claim
from opening_case import SMALL, Case

from zkbench.commitments.ligero import Ligero
from zkbench.commitments.merkle import tree_of
from zkbench.commitments.reduction import Reduction
from zkbench.commitments.rows import HashedRows
from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels import eq
from zkbench.kernels.launch import cpu_target
from zkbench.proof import Message, Proof, ProofRejected

SCHEME = replace(SMALL, log_rows=5)
CASE = Case.random(4, [{"a": (16, 8), "b": (9,)}], scheme=SCHEME)
CODE = SCHEME.code(137)


class Relay:
    """A prover's transcript that lets a liar change words before they are sent."""

    def __init__(self, transcript, lies) -> None:
        self._transcript, self._lies = transcript, lies

    def __getattr__(self, name):
        return getattr(self._transcript, name)

    def send_words(self, label, words):
        lie = self._lies.get(label)
        self._transcript.send_words(label, words if lie is None else lie(self, words.copy()))

    def challenges(self, label, count):
        self.last_challenges = self._transcript.challenges(label, count)
        return self.last_challenges


class LyingProver(Ligero):
    """Changes messages through ``lies``: label -> function of (relay, words)."""

    def prove(self, transcript, target, openings):
        super().prove(Relay(transcript, self.lies), target, openings)


def _liar(**lies) -> LyingProver:
    prover = LyingProver(**vars(SCHEME))
    object.__setattr__(prover, "lies", {k.replace("_", " "): v for k, v in lies.items()})
    return prover


def _rejected(match: str | None, proof: Proof, case: Case = CASE) -> None:
    with pytest.raises(ProofRejected, match=match):
        case.verify(proof)


def _points(relay) -> tuple[list, list]:
    """What a liar knows once the sumcheck is over: (z_low, z_high)."""
    return relay.point[: CODE.log_rows], relay.point[CODE.log_rows :]


@pytest.fixture(autouse=True)
def _liars_know_the_point(monkeypatch):
    original = Reduction._prove_columns

    def prove_columns(self, transcript, target, data, point, folded):
        transcript.point = point
        return original(self, transcript, target, data, point, folded)

    monkeypatch.setattr(Reduction, "_prove_columns", prove_columns)


def _shifted_values(relay, words):
    """Column values changed in two places so that their eq(z_high) combination stays."""
    _, z_high = _points(relay)
    values = FIELD.unpack(words)
    values[0] = values[0] + 1
    values[1] = values[1] - eq.eq_at(z_high, 0) / eq.eq_at(z_high, 1)
    relay.error = (E(1), -1 * (eq.eq_at(z_high, 0) / eq.eq_at(z_high, 1)))
    return FIELD.pack(values)


def test_wrong_column_values():
    def wrong(relay, words):
        words[0] = (int(words[0]) + 1) % FIELD.modulus
        return words

    _rejected("claims do not hold", CASE.prove(prover=_liar(column_values=wrong)))


def test_column_values_that_keep_the_sumcheck():
    prover = _liar(column_values=_shifted_values)
    _rejected("contradicts the column values", CASE.prove(prover=prover))


def test_column_values_and_a_combined_column_that_agrees():
    """Both consistent with each other: only the committed rows give the lie away."""

    def agreeing(relay, words):
        z_low, _ = _points(relay)
        rho = relay.last_challenges
        change = sum((eq.eq_at(rho, c) * d for c, d in enumerate(relay.error)), E(0))
        column = FIELD.unpack(words)
        column[3] = column[3] + change / eq.eq_at(z_low, 3)
        return FIELD.pack(column)

    prover = _liar(column_values=_shifted_values, combined_column=agreeing)
    _rejected("a row contradicts", CASE.prove(prover=prover))


def test_wrong_combined_column():
    def wrong(relay, words):
        words[-1] = (int(words[-1]) + 1) % FIELD.modulus
        return words

    prover = _liar(combined_column=wrong)
    _rejected("contradicts the column values", CASE.prove(prover=prover))


def test_combined_column_with_the_right_value_at_the_point():
    def moved(relay, words):
        z_low, _ = _points(relay)
        column = FIELD.unpack(words)
        column[0] = column[0] + 1
        column[1] = column[1] - eq.eq_at(z_low, 0) / eq.eq_at(z_low, 1)
        return FIELD.pack(column)

    _rejected("a row contradicts", CASE.prove(prover=_liar(combined_column=moved)))


def test_corrupted_row():
    def wrong(relay, words):
        words[5] = (int(words[5]) + 1) % FIELD.modulus
        return words

    _rejected("path does not lead to the root", CASE.prove(prover=_liar(rows=wrong)))


def _with_codeword(change) -> list:
    """Prover data whose committed word is not the codeword: the tree is over the changed one."""
    data = CASE.commit()[0]
    codeword, shape = data.rows.matrix.copy(), (data.rows.num_words, data.rows.stride)
    change(codeword.reshape(shape))
    tree = tree_of(cpu_target(), codeword, CODE.log_length, *shape)
    commitment = replace(data.commitment, root=tree.root)
    return [replace(data, rows=HashedRows(tree, codeword, *shape), commitment=commitment)]


@pytest.mark.parametrize("start", [0, 1, 2])
def test_committed_word_outside_the_decoding_radius(start):
    """A third of the leaves is wrong, at either end or in the middle."""

    def corrupt(matrix):
        third = (1 << CODE.log_length) // 3
        matrix[1, start * third : (start + 1) * third] ^= np.uint64(1)

    _rejected("a row contradicts", CASE.prove(_with_codeword(corrupt)))


PAIR = Case.random(4, [{"a": (16, 8)}, {"b": (13, 12)}], scheme=SCHEME)


@pytest.mark.parametrize("which", [0, 1])
def test_one_commitment_of_two_outside_the_decoding_radius(which):
    data = PAIR.commit()
    codeword, shape = data[which].rows.matrix.copy(), (data[which].rows.num_words, 72)
    assert data[which].rows.stride == shape[1]
    codeword.reshape(shape)[2, 20:40] ^= np.uint64(1)
    tree = tree_of(cpu_target(), codeword, CODE.log_length, *shape)
    commitment = replace(data[which].commitment, root=tree.root)
    rows = HashedRows(tree, codeword, *shape)
    data[which] = replace(data[which], rows=rows, commitment=commitment)
    _rejected("a row contradicts", PAIR.prove(data), PAIR)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    ("label", "match"),
    [("column_values", "claims do not hold"), ("combined_column", "contradicts the column values")],
)
def test_one_wrong_message_of_two(label, match, which):
    sent = []

    def wrong(relay, words):
        sent.append(label)
        if len(sent) == which + 1:
            words[0] = (int(words[0]) + 1) % FIELD.modulus
        return words

    _rejected(match, PAIR.prove(prover=_liar(**{label: wrong})), PAIR)
    assert len(sent) == 2


def test_committed_columns_swapped():
    """A tree over valid codewords of other data than the claims are about."""

    def swap(matrix):
        matrix[[0, 1]] = matrix[[1, 0]]

    _rejected("a row contradicts", CASE.prove(_with_codeword(swap)))


def test_committed_witness_other_than_the_one_proven():
    """All claims are true, of other tensors than the committed ones."""
    committed = CASE.commit()[0]
    other = {name: tensor // 2 for name, tensor in CASE.tensors[0].items()}
    claims = [true_claim(c.tensor, other[c.tensor], c.functional) for c in CASE.claims[0]]
    proven = Case([other], [claims], SCHEME)
    proven.verify(proven.prove())
    mixed = replace(committed, dense=proven.commit()[0].dense)
    _rejected("a row contradicts", proven.prove([mixed]), proven)


def test_paths_and_rows_of_another_tree():
    data = CASE.commit()[0]
    other = SCHEME.commit(
        cpu_target(), {name: tensor[::-1].copy() for name, tensor in CASE.tensors[0].items()}
    )
    paths = replace(data, rows=replace(data.rows, tree=other.rows.tree))
    _rejected("path does not lead", CASE.prove([paths]))
    _rejected("path does not lead", CASE.prove([replace(data, rows=other.rows)]))


def test_another_root():
    proof = CASE.prove()
    root = proof.messages[0].payload
    messages = [Message("root", root[1:] + root[:1]), *proof.messages[1:]]
    _rejected(None, Proof(proof.header, messages))


def test_skipped_proof_of_work(monkeypatch):
    monkeypatch.setattr("zkbench.protocols.grinding.find_nonce", lambda *_: 0)
    honest = replace(CASE, scheme=replace(SCHEME, grinding_bits=24))
    _rejected("proof of work is missing", honest.prove(), honest)


def test_less_work_than_asked_for():
    lazy, strict = replace(SCHEME, grinding_bits=1), replace(SCHEME, grinding_bits=30)
    _rejected("proof of work is missing", CASE.prove(prover=lazy), replace(CASE, scheme=strict))
