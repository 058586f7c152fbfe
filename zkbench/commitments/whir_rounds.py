"""WHIR on one vector: <L, eq(z)> = value, for a vector L that its source's rows are folded to.

``source`` answers a query at a leaf with what must be L's codeword there (ordinary rows of the
commitments, combined). L of 2^k elements of E is a polynomial by its coefficients and a multilinear
function by the same values on the cube, so a query at x is the claim <L, (1, x, x^2, ...)>.
With f = L, w = eq(z), each round

 1. the prover commits f: 2^log_fold columns, the highest index bits first, each Reed-Solomon
    encoded, a Merkle leaf a row;
 2. beyond the unique decoding radius, the verifier draws points x of E; the prover answers f(x);
 3. a proof of work; the verifier draws rows of the oracle before (at first, the source); they are
    opened, and each gives a value y = f(x);
 4. challenge gamma; w += sum gamma^i (1, x_i, x_i^2, ...), value += sum gamma^i y_i;
 5. log_fold rounds of sumcheck of <f, w> bind the highest variables to alpha, each challenge after
    a proof of work where the schedule asks for one; a row of this oracle, combined with eq(alpha),
    is then a value of the folded f.

In the end f is sent in clear, a proof of work, the last oracle's rows are drawn and must be values
of f, and <f, w> must be what the sumchecks left. Without rounds this is the whole protocol.

Soundness: ``whir_schedule.soundness_terms``. Prover: t 2^n multiplications of E by F in step 4 and a
transform of 2^(n + r) elements of E, n falling by log_fold a round. Verifier: t rows a round and
O(t (k + 2^log_final)) multiplications.

Source: Arnon, Chiesa, Fenzi, Yogev, WHIR (ePrint 2024/1586), in the order of P 3.3; the oracles are
interleaved words instead of cosets of one long word (Diamond and Gruen, ePrint 2024/1351).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from zkbench.commitments.dense_weights import PointTables
from zkbench.commitments.merkle import DIGEST_BYTES, tree_of
from zkbench.commitments.rows import HashedRows, draw_rows, receive_rows
from zkbench.commitments.whir_schedule import Round, Schedule
from zkbench.fields import Field
from zkbench.kernels import eq, whir
from zkbench.kernels.functional import kernels as functional_kernels
from zkbench.kernels.launch import Array, Target, cpu_target
from zkbench.kernels.ntt import bit_reverse, encode
from zkbench.protocols.grinding import prove_work, verify_work
from zkbench.protocols.sumcheck import Axis, Sumcheck, Tail
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any
_PADDING = 8  # entries between codewords: a power-of-two stride would put a row into one cache set


class OpenedRows(Protocol):
    """The prover's side of an oracle."""

    def open(self, transcript: ProverTranscript, indices: list[int]) -> None:
        """Send the rows at these leaves."""


class CombinedRows(Protocol):
    """The verifier's side of an oracle."""

    def receive(self, transcript: VerifierTranscript, indices: list[int]) -> list[Element]:
        """What the rows at these leaves combine to; raises ProofRejected for other rows."""


class PrefixProduct:
    """Sumcheck statement of <f, w> over the highest ``num_rounds`` variables; works in place."""

    def __init__(
        self, target: Target, field: Field, f: Array, w: Array, log_size: int, num_rounds: int
    ) -> None:
        self.target, self.field, self.f, self.w = target, field, f, w
        self.log_size, self.num_rounds = log_size, num_rounds
        self.kernels = whir.kernels(field)

    def round(self, challenge: Element | None) -> list[Element]:
        half = 1 << (self.log_size - 1)
        if challenge is None:
            words = self.target.reduce(self.kernels.round, half, self.f, self.w, half)
            return self.field.unpack(words)
        self.log_size -= 1
        arguments = (self.f, self.w, half // 2, self.field.scalar(challenge))
        return self.field.unpack(self.target.reduce(self.kernels.fold_round, half // 2, *arguments))

    def finish(self, challenge: Element | None) -> list[Element]:
        """Bind the last variable; the tables stay on the target."""
        self.log_size -= 1
        half, scalar = 1 << self.log_size, self.field.scalar(challenge)
        for table in (self.f, self.w):
            self.target.map(self.kernels.fold, half, table, half, scalar)
        return []

    def tail(self, challenge: Element | None) -> Tail | None:
        """None: variables are left over when this sumcheck ends."""
        return None


@dataclass(frozen=True)
class WorkedSumcheck(Sumcheck):
    """A sumcheck with a proof of work before each challenge; ``target``: where the prover works."""

    work: int = 0
    target: Target = None

    def _prover_challenge(self, transcript: ProverTranscript) -> Element:
        if self.work:
            prove_work(transcript, self.target, self.work)
        return super()._prover_challenge(transcript)

    def _verifier_challenge(self, transcript: VerifierTranscript) -> Element:
        if self.work:
            verify_work(transcript, self.work)
        return super()._verifier_challenge(transcript)


@dataclass(frozen=True)
class FoldedRows:
    """The verifier's view of a round's oracle once its variables are bound."""

    field: Field
    root: bytes
    entry: Round
    weights: Array  # eq(alpha, column)

    def receive(self, transcript: VerifierTranscript, indices: list[int]) -> list[Element]:
        width, limbs = 1 << self.entry.log_fold, self.field.ext.limbs
        rows = receive_rows(transcript, self.root, self.entry.log_length, width * limbs, indices)
        out = np.empty(len(indices) * limbs, dtype=np.uint64)
        family = functional_kernels(self.field)
        cpu_target().map(family.row_dots, len(indices), rows, self.weights, width, out)
        return self.field.unpack(out)


@dataclass
class _Constraints:
    """What the verifier has added to w: scale (1, x, x^2, ...) over 2^log_size entries, each."""

    points: list[Element]
    scales: list[Element]
    log_sizes: list[int]

    def add(
        self, gamma: Element, points: list[Element], values: list[Element], log_size: int
    ) -> Element:
        """Add <f, powers of points[i]> = values[i] times gamma^(i + 1); the values' share."""
        share, scale = 0 * gamma, gamma
        for point, value in zip(points, values, strict=True):
            self.points.append(point)
            self.scales.append(scale)
            self.log_sizes.append(log_size)
            share, scale = share + scale * value, scale * gamma
        return share


@dataclass(frozen=True)
class WhirRounds:
    """The protocol with the parameters of one run."""

    field: Field
    schedule: Schedule
    grinding_bits: int

    def prove(
        self,
        transcript: ProverTranscript,
        target: Target,
        vector: Array,
        point: Sequence[Element],
        source: OpenedRows,
    ) -> None:
        """``vector``: L on the target, overwritten; ``point``: z, little-endian."""
        weights = eq.eq_table(target, self.field, point, 1 << self.schedule.log_size)
        oracle, queries, log_length = source, self.schedule.queries, self.schedule.log_length
        for entry in self.schedule.rounds:
            folded = self._commit(transcript, target, vector, entry)
            samples = self._prove_samples(transcript, target, vector, entry)
            indices = self._prove_queries(transcript, target, oracle, queries, log_length)
            gamma = transcript.challenge("constraint combination")
            xs = self._domain_points(indices, log_length)
            self._constrain(target, gamma, samples, xs, entry.log_size, weights)
            self._prove_folding(transcript, target, vector, weights, entry)
            oracle, queries, log_length = folded, entry.queries, entry.log_length
        words = self.field.ext.limbs << self.schedule.log_final
        transcript.send_words("final vector", target.to_host(vector, words))
        self._prove_queries(transcript, target, oracle, queries, log_length)

    def verify(
        self,
        transcript: VerifierTranscript,
        point: Sequence[Element],
        value: Element,
        source: CombinedRows,
    ) -> None:
        """Raises ProofRejected unless <L, eq(point)> = value."""
        oracle, queries, log_length = source, self.schedule.queries, self.schedule.log_length
        constraints = _Constraints([], [], [])
        bound: list[Element] = []
        for entry in self.schedule.rounds:
            root = transcript.receive_bytes("oracle", DIGEST_BYTES)
            samples = self._sample(transcript, entry)
            answers = transcript.receive("out-of-domain values", len(samples)) if samples else []
            indices = self._draw(transcript, queries, log_length)
            answers += oracle.receive(transcript, indices)
            gamma = transcript.challenge("constraint combination")
            xs = samples + [self.field.element(x) for x in self._domain_points(indices, log_length)]
            value = value + constraints.add(gamma, xs, answers, entry.log_size)
            alpha, value = self._verify_folding(transcript, value, entry)
            bound, oracle = alpha[::-1] + bound, self._folded(root, entry, alpha)
            queries, log_length = entry.queries, entry.log_length
        final = transcript.receive_words(
            "final vector", self.field.ext.limbs << self.schedule.log_final
        )
        indices = self._draw(transcript, queries, log_length)
        answers = oracle.receive(transcript, indices)
        self._check_queries(transcript, final, self._domain_points(indices, log_length), answers)
        weighted = self._weighted_final(final, list(point), bound, constraints)
        transcript.require_zero(
            weighted - value, "opening: the final vector contradicts the claims"
        )

    # Steps 1 and 2.

    def _commit(
        self, transcript: ProverTranscript, target: Target, vector: Array, entry: Round
    ) -> HashedRows:
        """Encode the columns of the vector, and send their tree's root."""
        columns, length, log_limbs = (
            1 << entry.log_fold,
            1 << entry.log_size,
            _log_limbs(self.field),
        )
        stride = (1 << entry.log_length) + _PADDING
        shape = (length, columns, entry.log_rows, entry.radius.log_inv_rate)
        matrix = encode(target, self.field, vector, *shape, stride=stride, extension=True)
        width = columns << log_limbs
        tree = tree_of(target, matrix, entry.log_length, width, stride, log_limbs)
        transcript.send_bytes("oracle", tree.root)
        return HashedRows(tree, matrix, width, stride, log_limbs)

    def _sample(self, transcript: Any, entry: Round) -> list[Element]:
        if not entry.out_of_domain:
            return []
        return transcript.challenges("out of domain", entry.out_of_domain)

    def _prove_samples(
        self, transcript: ProverTranscript, target: Target, vector: Array, entry: Round
    ) -> list[Element]:
        points = self._sample(transcript, entry)
        values = [
            whir.evaluate_polynomial(target, self.field, vector, entry.log_size, x) for x in points
        ]
        if points:
            transcript.send("out-of-domain values", values)
        return points

    # Step 3.

    def _prove_queries(
        self,
        transcript: ProverTranscript,
        target: Target,
        oracle: OpenedRows,
        queries: int,
        log_length: int,
    ) -> list[int]:
        prove_work(transcript, target, self.grinding_bits)
        indices = draw_rows(transcript, queries, log_length)
        oracle.open(transcript, indices)
        return indices

    def _draw(self, transcript: VerifierTranscript, queries: int, log_length: int) -> list[int]:
        verify_work(transcript, self.grinding_bits)
        return draw_rows(transcript, queries, log_length)

    def _domain_points(self, indices: list[int], log_length: int) -> list[int]:
        """Where a codeword's entries at these leaves are its polynomial's values."""
        root, p = self.field.root_of_unity(log_length), self.field.modulus
        return [pow(root, bit_reverse(index, log_length), p) for index in indices]

    # Step 4.

    def _constrain(
        self,
        target: Target,
        gamma: Element,
        samples: list[Element],
        xs: list[int],
        log_size: int,
        weights: Array,
    ) -> None:
        scale = gamma
        for x in samples:
            whir.add_element_powers(target, self.field, x, scale, log_size, weights)
            scale = scale * gamma
        scales = []
        for _ in xs:
            scales.append(scale)
            scale = scale * gamma
        points = target.to_device(np.array(xs, dtype=np.uint64))
        words = target.to_device(self.field.pack(scales))
        whir.add_base_powers(target, self.field, points, words, len(xs), log_size, weights)

    # Step 5.

    def _prove_folding(
        self,
        transcript: ProverTranscript,
        target: Target,
        vector: Array,
        weights: Array,
        entry: Round,
    ) -> None:
        shape = (entry.log_size, entry.log_fold)
        statement = PrefixProduct(target, self.field, vector, weights, *shape)
        sumcheck = WorkedSumcheck(self.field, work=entry.folding_work, target=target)
        sumcheck.prove(transcript, statement)

    def _verify_folding(
        self, transcript: VerifierTranscript, value: Element, entry: Round
    ) -> tuple[list[Element], Element]:
        """(alpha, highest variable first; the value that is left)."""
        sumcheck = WorkedSumcheck(self.field, work=entry.folding_work)
        return sumcheck.verify(transcript, value, [Axis(1 << entry.log_fold)])

    def _folded(self, root: bytes, entry: Round, alpha: list[Element]) -> FoldedRows:
        weights = eq.eq_table(cpu_target(), self.field, alpha[::-1], 1 << entry.log_fold)
        return FoldedRows(self.field, root, entry, weights)

    # The end.

    def _check_queries(
        self,
        transcript: VerifierTranscript,
        final: np.ndarray,
        xs: list[int],
        answers: list[Element],
    ) -> None:
        out = np.empty(len(xs) * self.field.ext.limbs, dtype=np.uint64)
        points, length = np.array(xs, dtype=np.uint64), 1 << self.schedule.log_final
        horner = whir.power_kernels(self.field).horner
        cpu_target().map(horner, len(xs), final, length, points, out, grain=16)
        for expected, answer in zip(self.field.unpack(out), answers, strict=True):
            transcript.require_zero(
                expected - answer, "opening: a row contradicts the final vector"
            )

    def _weighted_final(
        self,
        final: np.ndarray,
        point: list[Element],
        bound: list[Element],
        constraints: _Constraints,
    ) -> Element:
        """<f, w> for the final f; ``bound``: the challenges of the variables above it."""
        log_final, field = self.schedule.log_final, self.field
        tables = PointTables(field, point[:log_final])
        arguments = (final, field.pack([1]), 1, 1, *tables.halves(0), 0)
        words = cpu_target().reduce(functional_kernels(field).eq_dot, 1 << log_final, *arguments)
        high = eq.truncated_eq(point[log_final:], bound, 1 << len(bound))
        total = high * field.unpack(words)[0]
        if not constraints.points:
            return total
        challenges = field.pack([0] * log_final + bound)
        words = cpu_target().reduce(
            whir.power_kernels(field).constraint,
            len(constraints.points),
            field.pack(constraints.points),
            field.pack(constraints.scales),
            np.array(constraints.log_sizes, dtype=np.int64),
            challenges,
            final,
            log_final,
        )
        return total + field.unpack(words)[0]


def _log_limbs(field: Field) -> int:
    return field.ext.limbs.bit_length() - 1
