"""Fractional GKR: sums of fractions by a binary tree, several trees at once.

Claim: for each tree with leaves n_i / d_i, the root fraction P/Q equals sum_i n_i / d_i (as formal
sums of fractions: Q = prod d_i). The verifier ends with the root and, for each tree, the values of
the multilinear extensions of its numerators and denominators at one random point; the caller checks
those, and that Q is not zero.

Layer by layer from the root (Papini and Haboeck, ePrint 2023/1284, section 4; P 2.1): given P(w) and
Q(w), one sumcheck of sum_y eq(w, y) [(p0 + lambda q0) q1 + p1 q0](y), batched over all trees that
still have layers with powers of lambda^2; then p0, p1, q0, q1 at its point rho, and mu to join the two
children: the next point is (mu, rho). A tree with fewer layers leaves the batch when it reaches its
leaves, so the number of rounds is n (n - 1) / 2 for the deepest tree, whatever the number of trees.

Leaves form a tensor of any shape, zero-extended virtually by 0/1 (never stored). Soundness error:
(3 + 2 num_trees) / |E| a round of the deepest tree. Prover: about 10 multiplications in E a leaf.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from zkbench.fields import Field
from zkbench.kernels.gkr import kernels
from zkbench.kernels.launch import Array, Target
from zkbench.protocols.sumcheck import (
    Axis,
    Sumcheck,
    TableStatement,
    WeightedSum,
    axes_at,
    num_variables,
)
from zkbench.security import error_bits
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any
Shape = tuple[int, ...]


def parent_shape(shape: Shape) -> Shape:
    """The shape of the layer above: the last axis longer than 1 is halved."""
    last = max(axis for axis, length in enumerate(shape) if length > 1)
    return (*shape[:last], (shape[last] + 1) // 2, *shape[last + 1 :])


def depth(shape: Shape) -> int:
    """Number of layers of sums above leaves of this shape."""
    return sum(num_variables(length) for length in shape)


def _rows_cols(shape: Shape) -> tuple[int, int]:
    """The entries as rows of the last axis that is longer than 1."""
    real = [length for length in shape if length > 1]
    if not real:
        return 1, 1
    return reduce(lambda a, b: a * b, real[:-1], 1), real[-1]


def _count(shape: Shape) -> int:
    return reduce(lambda a, b: a * b, shape, 1)


@dataclass(frozen=True)
class Fraction:
    """A numerator and a denominator: of a root, or of the leaves' extensions at ``point``."""

    p: Element
    q: Element
    point: tuple[Element, ...] = ()


def _root(top: list[Element]) -> Fraction:
    if len(top) == 2:
        return Fraction(top[0], top[1])
    p0, p1, q0, q1 = top
    return Fraction(p0 * q1 + p1 * q0, q0 * q1)


class Tree:
    """All layers of one tree of fractions, as pairs of children on a target (kernels/gkr.py)."""

    def __init__(self, target: Target, field: Field, shape: Shape) -> None:
        self.target, self.field, self.shape = target, field, shape
        self._kernels = kernels(field)
        self.depth = depth(shape)
        self.layers: list[tuple[Shape, Array, Array]] = []  # leaves first: (shape, p, q)
        self.root: Fraction

    def _allocate(self, shape: Shape) -> tuple[Array, Array]:
        rows, cols = _rows_cols(shape)
        words = 2 * rows * ((cols + 1) // 2) * self.field.ext.limbs
        return self.target.empty(words), self.target.empty(words)

    def fill_leaves(
        self, values: Array, offset: int, alpha: Element, numerators: Array | None = None
    ) -> Tree:
        """Build the tree over numerators[i] / (alpha - (values[i] + offset)); no numerators: 1."""
        p, q = self._allocate(self.shape)
        _, cols = _rows_cols(self.shape)
        count = _count(self.shape)
        alpha = self.field.scalar(alpha)
        if numerators is None:
            self.target.map(self._kernels.leaves_ones, count, values, offset, alpha, cols, p, q)
        else:
            self.target.map(
                self._kernels.leaves, count, numerators, values, offset, alpha, cols, p, q
            )
        self.layers = [(self.shape, p, q)]
        self._build()
        return self

    def _build(self) -> None:
        shape, p, q = self.layers[-1]
        while _count(shape) > 1:
            shape = parent_shape(shape)
            p_out, q_out = self._allocate(shape)
            _, cols = _rows_cols(shape)
            self.target.map(self._kernels.combine, _count(shape), p, q, cols, p_out, q_out)
            self.layers.append((shape, p_out, q_out))
            p, q = p_out, q_out

    def next_layer(self) -> tuple[Shape, Array, Array]:
        """One layer down from the last call: the shape of its nodes and the pairs below them.

        Layers above are let go of.
        """
        shape, _, _ = self.layers.pop()
        _, p, q = self.layers[-1]
        return shape, p, q

    def top(self) -> list[Element]:
        """p0, p1, q0, q1 below the root, or p, q of a single leaf; the root is let go of."""
        single = self.depth == 0
        _, p, q = self.layers[0] if single else self.layers[-2]
        words = (1 if single else 2) * self.field.ext.limbs
        if not single:
            self.layers.pop()
        top = [e for t in (p, q) for e in self.field.unpack(self.target.to_host(t, words))]
        self.root = _root(top)
        return top


class LayerStatement(TableStatement):
    """The sumcheck of one layer of one tree."""

    width = 2

    def __init__(
        self, target: Target, field: Field, p: Array, q: Array, axes: Sequence[Axis], lam: Element
    ) -> None:
        self.kernels = kernels(field)
        self.lam, self.lam_scalar = lam, field.scalar(lam)
        super().__init__(target, field, [p, q], axes)

    def _kind(self) -> str:
        return "fraction"

    def _padding(self) -> list[int]:
        return [0, 1]

    def _with_padding(self, words: Any) -> list[Element]:
        """Nodes beyond the real ones are 0/1 twice: each adds lambda times its eq weight to q(0)."""
        at_zero, lead = self.field.unpack(words)
        mass = self.weights.real_mass()
        return [at_zero if mass is None else at_zero + self.lam * (1 - mass), lead]

    def _sum(self) -> list[Element]:
        weights = self.weights
        half = (weights.cols + 1) // 2
        words = self.target.reduce(
            self.kernels.round,
            weights.rows * half,
            *self.tables,
            weights.cols,
            half,
            self.lam_scalar,
            *weights.arguments(),
        )
        return self._with_padding(words)

    def _bind(self, challenge: Element) -> None:
        cols, rows = self.weights.cols, self.weights.rows
        half = (cols + 1) // 2
        folded = self._next_tables(rows * half)
        scalar = self.field.scalar(challenge)
        self.target.map(self.kernels.fold, rows * half, *self.tables, *folded, cols, half, scalar)
        self._replace_tables(folded)
        self.weights.advance()

    def _bind_and_sum(self, challenge: Element) -> list[Element]:
        cols, rows = self.weights.cols, self.weights.rows
        half, quarter = (cols + 1) // 2, (cols + 3) // 4
        folded = self._next_tables(rows * half)
        self.weights.advance()
        words = self.target.reduce(
            self.kernels.fold_round,
            rows * quarter,
            *self.tables,
            *folded,
            cols,
            half,
            quarter,
            self.field.scalar(challenge),
            self.lam_scalar,
            *self.weights.arguments(),
        )
        self._replace_tables(folded)
        result = self._with_padding(words)
        return result


@dataclass(frozen=True)
class FractionalGKR:
    """Trees over leaves of these shapes, proven together."""

    field: Field
    shapes: tuple[Shape, ...]

    @property
    def max_depth(self) -> int:
        return max(depth(shape) for shape in self.shapes)

    def soundness_bits(self) -> float:
        """-log2 of the error of all layers: 3 a round, 2 trees + 1 for lambda and mu a layer."""
        layers = self.max_depth
        rounds = layers * (layers - 1) // 2
        return error_bits(self.field.bits, 3 * rounds + layers * (2 * len(self.shapes) + 1))

    def _active(self, layer: int) -> list[int]:
        """Trees whose nodes at this layer (0: the root) are sums of two children."""
        return [i for i, shape in enumerate(self.shapes) if depth(shape) > layer]

    def prove(self, transcript: ProverTranscript, trees: Sequence[Tree]) -> list[Fraction]:
        """Returns, for each tree, its leaves' numerators and denominators at its random point."""
        tops = [tree.top() for tree in trees]
        for top in tops:
            transcript.send("top", top)
        claims, children = _begin(tops)
        for layer in range(self.max_depth):
            active = self._active(layer)
            rho: list[Element] = []
            if layer:
                lam = transcript.challenge("lambda")
                statements = [self._layer(trees[i], claims[i], lam) for i in active]
                gammas = _powers(lam * lam, len(active))
                batch = WeightedSum(list(zip(gammas, statements, strict=True)))
                rho, values = Sumcheck(self.field).prove(transcript, batch)
                transcript.send("children", values)
                children = _by_tree(active, values)
            _join(transcript.challenge("mu"), rho, children, claims)
        return claims

    def _layer(self, tree: Tree, claim: Fraction, lam: Element) -> LayerStatement:
        shape, p, q = tree.next_layer()
        return LayerStatement(tree.target, self.field, p, q, axes_at(shape, claim.point), lam)

    def verify(self, transcript: VerifierTranscript) -> tuple[list[Fraction], list[Fraction]]:
        """Returns (roots, leaf claims), one of each a tree."""
        tops = [transcript.receive("top", 4 if depth(shape) else 2) for shape in self.shapes]
        claims, children = _begin(tops)
        for layer in range(self.max_depth):
            active = self._active(layer)
            rho: list[Element] = []
            if layer:
                rho, children = self._verify_layer(transcript, active, claims)
            _join(transcript.challenge("mu"), rho, children, claims)
        return [_root(top) for top in tops], claims

    def _verify_layer(
        self, transcript: VerifierTranscript, active: list[int], claims: list[Fraction]
    ) -> tuple[list[Element], dict[int, list[Element]]]:
        lam = transcript.challenge("lambda")
        gammas = _powers(lam * lam, len(active))
        claim: Any = 0
        for gamma, i in zip(gammas, active, strict=True):
            claim = claim + gamma * (claims[i].p + lam * claims[i].q)
        point = claims[active[0]].point
        axes = [Axis(1 << len(point), point)]
        rho, final = Sumcheck(self.field).verify(transcript, claim, axes)
        children = _by_tree(active, transcript.receive("children", 4 * len(active)))
        for gamma, i in zip(gammas, active, strict=True):
            p0, p1, q0, q1 = children[i]
            final = final - gamma * ((p0 + lam * q0) * q1 + p1 * q0)
        transcript.require_zero(final, "a layer of the fraction tree does not sum to the one above")
        return rho, children


def _begin(tops: list[list[Element]]) -> tuple[list[Fraction], dict[int, list[Element]]]:
    """A tree of a single leaf is claimed by its root; the others have children below the root."""
    claims = [Fraction(top[0], top[1]) for top in tops]
    return claims, {i: top for i, top in enumerate(tops) if len(top) == 4}


def _by_tree(active: list[int], values: list[Element]) -> dict[int, list[Element]]:
    return {i: values[4 * k : 4 * k + 4] for k, i in enumerate(active)}


def _join(
    mu: Element, rho: list[Element], children: dict[int, list[Element]], claims: list[Fraction]
) -> None:
    """One random combination of the two children of each active tree: the next layer's claim."""
    for i, (p0, p1, q0, q1) in children.items():
        claims[i] = Fraction(p0 + mu * (p1 - p0), q0 + mu * (q1 - q0), (mu, *rho))


def _powers(base: Element, count: int) -> list[Element]:
    powers = [base**0]
    while len(powers) < count:
        powers.append(powers[-1] * base)
    return powers
