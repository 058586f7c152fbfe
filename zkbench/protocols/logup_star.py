"""logUp*: claims about looked-up values become claims about their indices (ePrint 2025/946).

Claim: for tensors of indices I and weights w, sum over entries of w[i] T[I[i] + offset] = e. The
outputs T[I] are never committed. With gamma to join the claims, let Y[j] = sum of w[i] over all
entries whose index is j: then sum of gamma^a e_a = <T, Y>, shown by a product sumcheck, and Y is the
push-forward because, for a random c,

    sum_i w[i] / (c - I[i] - offset) = sum_j Y[j] / (c - j)

(fractional GKR). Y is committed before c is drawn. When the weights are eq at points drawn after the
indices were committed, no weight of an index outside the table can vanish except with probability
num_variables / |E|: so the same proof shows that every index is in range.

The caller must bind the indices before, commit to Y when asked to, and check the claims returned: the
extension of each index tensor at a random point, and of Y at two points. Y has elements of E; it is
committed as ``degree`` base-field columns, and a value of Y is sent as the values of its columns.

The weights are never written out: they are products of small tables (protocols/numerators.py).

Rounds: n (n - 1) / 2 + log2 |T|. Soundness error: (entries + |T|) / |E| for c, which a proof of work
right before c divides where it has fewer than ``security_bits``; claims / |E| for gamma; plus those of
fractional GKR and the sumcheck.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zkbench.commitments.claims import AxisWeights, Value
from zkbench.fields import Field
from zkbench.kernels import eq
from zkbench.kernels.contract import kernels as contract_kernels
from zkbench.kernels.launch import Array, Target
from zkbench.kernels.numerators import Numerators
from zkbench.kernels.scatter import push_forward
from zkbench.protocols.gkr import Fraction, FractionalGKR, Shape, Tree, depth, unstored_levels
from zkbench.protocols.grinding import missing_bits, prove_work, verify_work
from zkbench.protocols.numerators import claims_numerators
from zkbench.protocols.sumcheck import Axis, ProductStatement, Sumcheck, num_variables, split_point
from zkbench.protocols.tables import Table, index_extension
from zkbench.protocols.tlookup import SECURITY_BITS, add_fractions, count, looker_value
from zkbench.security import Term, error_bits
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any


@dataclass(frozen=True)
class OutputClaim:
    """sum over entries of weights(entry) * T[indices of ``source``] = value."""

    source: int
    weights: AxisWeights
    value: Element


@dataclass(frozen=True)
class LogupStarClaims:
    """What is left to be checked: index tensors and, one point a use, the columns of Y."""

    indices: tuple[Value, ...]
    pushed: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True)
class LogupStar:
    """One table, looked up by index tensors of these shapes; c errs with at most 2^-security_bits."""

    field: Field
    table: Table
    shapes: tuple[Shape, ...]
    security_bits: float = SECURITY_BITS

    @property
    def table_size(self) -> int:
        return len(self.table.values)

    def _gkr(self) -> FractionalGKR:
        return FractionalGKR(self.field, (*self.shapes, (self.table_size,)))

    def prove(
        self,
        transcript: ProverTranscript,
        target: Target,
        indices: Sequence[Array],
        claims: Sequence[OutputClaim],
        commit: Callable[[Array], None],
    ) -> LogupStarClaims:
        """``commit`` gets Y as flat E words on the target, commits and sends the commitment."""
        gammas = self._powers(transcript.challenge("gamma"), len(claims))
        weights = self._numerators(target, gammas, claims)
        pushed = self._push(target, indices, weights)
        commit(pushed)
        if work := self._work():
            prove_work(transcript, target, work)
        c = transcript.challenge("c")
        unstored = unstored_levels(target, self.field, self._gkr().shapes)[:-1]
        trees = [
            Tree(target, self.field, shape, level).fill_leaves(values, self.table.offset, c, w)
            for shape, level, values, w in zip(self.shapes, unstored, indices, weights, strict=True)
        ]
        trees.append(self._table_tree(target, pushed, c))
        leaves = self._gkr().prove(transcript, trees)
        inverse = self._denominators([tree.root for tree in trees]).inverse()
        transcript.send("inverse", [inverse])
        at_table = self._send_columns(transcript, target, pushed, leaves[-1].point)
        at_product = self._prove_product(transcript, target, pushed)
        return self._claims(c, leaves, (at_table, at_product))

    def _numerators(
        self, target: Target, gammas: Sequence[Element], claims: Sequence[OutputClaim]
    ) -> list[Numerators]:
        """For each source, sum of gamma^a times the weights of claim a."""
        of_source: list[list[Any]] = [[] for _ in self.shapes]
        for gamma, claim in zip(gammas, claims, strict=True):
            of_source[claim.source].append((gamma, claim.weights))
        missing = [k for k, weights in enumerate(of_source) if not weights]
        if missing:
            raise ValueError(f"index tensors {missing} have no claim")
        return [
            claims_numerators(target, self.field, shape, weights)
            for shape, weights in zip(self.shapes, of_source, strict=True)
        ]

    def _push(
        self, target: Target, indices: Sequence[Array], weights: Sequence[Numerators]
    ) -> Array:
        size, offset = self.table_size, self.table.offset
        pushed = None
        for shape, values, w in zip(self.shapes, indices, weights, strict=True):
            part = push_forward(target, self.field, values, count(shape), offset, w, size)
            if pushed is None:
                pushed = part
            else:
                kernel = contract_kernels(self.field).add_scaled
                target.map(kernel, size, pushed, part, self.field.scalar(1))
        return pushed

    def _table_tree(self, target: Target, pushed: Array, c: Element) -> Tree:
        negated = target.zeros(self.table_size * self.field.ext.limbs)
        kernel = contract_kernels(self.field).add_scaled
        target.map(kernel, self.table_size, negated, pushed, self.field.scalar(-1))
        entries = target.to_device(np.arange(self.table_size, dtype=np.int32))
        return Tree(target, self.field, (self.table_size,)).fill_leaves(entries, 0, c, negated)

    def _prove_product(
        self, transcript: ProverTranscript, target: Target, pushed: Array
    ) -> tuple[Value, ...]:
        values = target.to_device(self.field.lift(self.table.values))
        statement = ProductStatement(target, self.field, [values, pushed], [Axis(self.table_size)])
        point, _ = Sumcheck(self.field).prove(transcript, statement)
        return self._send_columns(transcript, target, pushed, point)

    def _send_columns(
        self, transcript: ProverTranscript, target: Target, pushed: Array, point: Sequence[Element]
    ) -> tuple[Value, ...]:
        """Send the values of Y's base-field columns at a point."""
        values = evaluate_columns(target, self.field, pushed, self.table_size, point)
        transcript.send("columns", values)
        return tuple(Value((tuple(point),), value) for value in values)

    def verify(
        self,
        transcript: VerifierTranscript,
        claims: Sequence[OutputClaim],
        receive_commitment: Callable[[], None],
    ) -> LogupStarClaims:
        """Returns the claims that the caller must check."""
        gammas = self._powers(transcript.challenge("gamma"), len(claims))
        receive_commitment()
        if work := self._work():
            verify_work(transcript, work)
        c = transcript.challenge("c")
        roots, leaves = self._gkr().verify(transcript)
        (inverse,) = transcript.receive("inverse", 1)
        transcript.require_zero(
            self._denominators(roots) * inverse - 1, "a denominator of the lookup is zero"
        )
        transcript.require_zero(add_fractions(roots).p, "an index does not point into its table")
        self._check_numerators(transcript, gammas, claims, leaves)
        at_table = self._receive_columns(transcript, leaves[-1].point)
        self._check_table_leaf(transcript, c, leaves[-1], at_table)
        at_product = self._verify_product(transcript, gammas, claims)
        return self._claims(c, leaves, (at_table, at_product))

    def soundness_terms(self, num_claims: int) -> list[Term]:
        """(name, bits) of each source of error, for at most ``num_claims`` claims."""
        bits = self.field.bits
        return [
            Term("logUp* challenge", self._challenge_bits() + self._work()),
            Term("logUp* claim combination", error_bits(bits, num_claims)),
            Term("logUp* indices in range", error_bits(bits, max(map(depth, self.shapes)))),
            Term("logUp* fraction tree", self._gkr().soundness_bits()),
            Term("logUp* product", error_bits(bits, 3 * num_variables(self.table_size))),
        ]

    def _challenge_bits(self) -> float:
        entries = sum(count(shape) for shape in self.shapes) + self.table_size
        return error_bits(self.field.bits, entries)

    def _work(self) -> int:
        """Bits of work before c."""
        return missing_bits(self.security_bits, self._challenge_bits())

    def _check_numerators(
        self,
        transcript: VerifierTranscript,
        gammas: Sequence[Element],
        claims: Sequence[OutputClaim],
        leaves: Sequence[Fraction],
    ) -> None:
        points = [
            split_point(leaf.point, shape) for leaf, shape in zip(leaves, self.shapes, strict=False)
        ]
        expected: list[Any] = [0] * len(self.shapes)
        for gamma, claim in zip(gammas, claims, strict=True):
            k = claim.source
            expected[k] = expected[k] + gamma * claim.weights.extension(points[k], self.shapes[k])
        for leaf, value in zip(leaves, expected, strict=False):
            transcript.require_zero(
                leaf.p - value, "a lookup's numerators are not its claims' weights"
            )

    def _check_table_leaf(
        self, transcript: VerifierTranscript, c: Element, leaf: Fraction, columns: tuple[Value, ...]
    ) -> None:
        transcript.require_zero(
            leaf.p + self._join(columns), "the pushed-forward vector is not the committed one"
        )
        transcript.require_zero(
            leaf.q - (c - index_extension(leaf.point)), "the lookup's table is another one"
        )

    def _verify_product(
        self,
        transcript: VerifierTranscript,
        gammas: Sequence[Element],
        claims: Sequence[OutputClaim],
    ) -> tuple[Value, ...]:
        total: Any = 0
        for gamma, claim in zip(gammas, claims, strict=True):
            total = total + gamma * claim.value
        point, final = Sumcheck(self.field).verify(transcript, total, [Axis(self.table_size)])
        columns = self._receive_columns(transcript, point)
        table = self.table.extension(self.field, point)
        transcript.require_zero(
            final - table * self._join(columns), "a looked-up output is not the table's"
        )
        return columns

    def _receive_columns(
        self, transcript: VerifierTranscript, point: Sequence[Element]
    ) -> tuple[Value, ...]:
        values = transcript.receive("columns", self.field.degree)
        return tuple(Value((tuple(point),), value) for value in values)

    def _join(self, columns: Sequence[Value]) -> Element:
        """Y's value from its columns'."""
        return join_columns(self.field, [column.value for column in columns])

    def _claims(
        self, c: Element, leaves: Sequence[Fraction], pushed: tuple[tuple[Value, ...], ...]
    ) -> LogupStarClaims:
        indices = tuple(
            looker_value(leaf, shape, c, self.table.offset)
            for leaf, shape in zip(leaves, self.shapes, strict=False)
        )
        return LogupStarClaims(indices, pushed)

    def _denominators(self, roots: Sequence[Fraction]) -> Element:
        product = roots[0].q
        for root in roots[1:]:
            product = product * root.q
        return product

    def _powers(self, base: Element, number: int) -> list[Element]:
        powers = [self.field.element(1)]
        while len(powers) < number:
            powers.append(powers[-1] * base)
        return powers


def join_columns(field: Field, values: Sequence[Element]) -> Element:
    """The value of a vector of E from its base-field columns': sum of these times powers of X."""
    total: Any = 0
    for power, value in enumerate(values):
        basis = [0] * field.degree
        basis[power] = 1
        total = total + value * field.element(*basis)
    return total


def evaluate_columns(
    target: Target, field: Field, words: Array, length: int, point: Sequence[Element]
) -> list[Element]:
    """Values at ``point`` of the ``degree`` base-field columns of a vector of E."""
    weights = eq.eq_table(target, field, point, length)
    return field.unpack(target.reduce(contract_kernels(field).dot_columns, length, words, weights))
