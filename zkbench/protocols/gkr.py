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
(3 + 2 num_trees) / |E| a round of the deepest tree.

Memory: a stored level takes 32 bytes a fraction, so all from level s on (sums of 2^s leaves) take
64 / 2^s bytes a leaf. The s levels below are computed from the integers whenever they are needed
(kernels/leaves.py), and s is as large as ``target.workspace_bytes`` asks for: 2^32 leaves of two
bytes each fit a GPU of 80 GB with s = 3. The proof is the same, byte for byte, for every s. But with
each level more that is computed, leaves are gone through more often; so from 2^32 of them on, trees are
proven in batches that share alpha (tlookup.py), each with its own sumchecks: 20 kB of proof. Levels that
are quicker to compute than to move through memory (``target.unstored_levels``) are not stored even
where there is room.

Prover: about 12 multiplications in E a leaf with s = 1 or 2, 15 with s = 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from zkbench.fields import Field
from zkbench.kernels.gkr import kernels
from zkbench.kernels.launch import Array, Target
from zkbench.kernels.numerators import Numerators
from zkbench.protocols.fraction_layers import LayerStatement, Leaves, RecomputedLayer
from zkbench.protocols.sumcheck import Axis, Sumcheck, WeightedSum, axes_at, num_variables
from zkbench.security import error_bits
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any
Shape = tuple[int, ...]
_SMALL_TREE = 1 << 12  # leaves of a tree that is stored as a whole, if the workspace allows it


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


def merged_shape(shape: Shape) -> Shape:
    """The same tree with fewer axes: one of length 2^k continues the axis before it.

    The variables stay the same, in the same order, and so does what is real.
    """
    merged: tuple[int, ...] = ()
    for length in shape:
        joins = bool(merged) and length & (length - 1) == 0
        merged = (*merged[:-1], merged[-1] * length) if joins else (*merged, length)
    return merged


def level_shapes(shape: Shape) -> list[Shape]:
    """The shapes of all levels of a tree, from the leaves to the root."""
    shapes = [shape]
    while _count(shapes[-1]) > 1:
        shapes.append(parent_shape(shapes[-1]))
    return shapes


def stored_bytes(field: Field, shape: Shape, unstored: int) -> int:
    """Bytes of all levels of a tree but the lowest ``unstored``."""
    words = sum(_words(field, level) for level in level_shapes(merged_shape(shape))[unstored:])
    return 2 * 8 * words


def _words(field: Field, shape: Shape) -> int:
    """Words of the numerators of a level that is stored in pairs."""
    rows, cols = _rows_cols(shape)
    return 2 * rows * ((cols + 1) // 2) * field.ext.limbs


def most_unstored(shape: Shape) -> int:
    """How many levels can be recomputed: inside rows of leaves, and not those next to the root."""
    _, cols = _rows_cols(merged_shape(shape))
    return max(0, min(num_variables(cols), depth(shape) - 1))


def unstored_levels(target: Target, field: Field, shapes: Sequence[Shape]) -> list[int]:
    """How many levels of each tree not to store, so that the others fit the target's workspace."""
    fewest = [target.unstored_levels if _count(s) > _SMALL_TREE else 0 for s in shapes]
    most = [most_unstored(shape) for shape in shapes]
    for more in range(max(most) + 1):
        chosen = [min(few + more, limit) for few, limit in zip(fewest, most, strict=True)]
        pairs = zip(shapes, chosen, strict=True)
        if sum(stored_bytes(field, *pair) for pair in pairs) <= target.workspace_bytes:
            break
    return chosen


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
    """The stored levels of one tree of fractions, as pairs of children on a target, and its leaves.

    ``unstored``: levels that are computed from the leaves' integers; None: by ``unstored_levels``.
    """

    def __init__(
        self, target: Target, field: Field, shape: Shape, unstored: int | None = None
    ) -> None:
        self.target, self.field, self.shape = target, field, merged_shape(shape)
        self._kernels = kernels(field)
        self._shapes = level_shapes(self.shape)
        self.depth = depth(shape)
        chosen = unstored_levels(target, field, [shape])[0] if unstored is None else unstored
        self.unstored = min(chosen, most_unstored(shape))
        self.layers: list[tuple[Shape, Array, Array]] = []  # lowest stored first: (shape, p, q)
        self._level = self.depth  # whose claim is proven next
        self.leaves: Leaves
        self.root: Fraction

    @property
    def bytes_below(self) -> int:
        """Bytes of the levels below the layer that is proven next."""
        return sum(array.nbytes for _, *arrays in self.layers[:-1] for array in arrays)

    @property
    def next_is_unstored(self) -> bool:
        """Whether the children of the next layer are computed from the leaves."""
        return 0 < self._level <= self.unstored

    def _allocate(self, shape: Shape) -> tuple[Array, Array]:
        words = _words(self.field, shape)
        return self.target.empty(words), self.target.empty(words)

    def fill_leaves(
        self,
        values: Array,
        offset: int,
        alpha: Element,
        numerators: Numerators | Array | None = None,
    ) -> Tree:
        """Build the tree over numerators[i] / (alpha - (values[i] + offset)); no numerators: 1."""
        rows, cols = _rows_cols(self.shape)
        if numerators is not None and not isinstance(numerators, Numerators):
            numerators = Numerators.dense(self.target, self.field, numerators, rows * cols)
        shifted = alpha - offset
        self.leaves = Leaves(self.target, self.field, cols, values, shifted, numerators)
        shape = self._shapes[self.unstored]
        p, q = self._allocate(shape)
        self.leaves.build(self.unstored, rows, _rows_cols(shape)[1], p, q)
        self.layers = [(shape, p, q)]
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

    def next_layer(self, claim: Fraction, lam: Element, room: int) -> LayerStatement:
        """The sumcheck one layer down from the last call; levels above are let go of.

        ``room``: bytes that the tables of an unstored level may take.
        """
        axes = axes_at(self._shapes[self._level], claim.point)
        if self.layers:
            self.layers.pop()
        is_unstored = self.next_is_unstored
        self._level -= 1
        if is_unstored:
            return RecomputedLayer(self.leaves, self._level, axes, lam, room)
        _, p, q = self.layers[-1]
        return LayerStatement(self.target, self.field, [p, q], axes, lam)

    def top(self) -> list[Element]:
        """p0, p1, q0, q1 below the root, or p, q of a single leaf; the root is let go of."""
        single = self.depth == 0
        _, p, q = self.layers[0] if single else self.layers[-2]
        words = (1 if single else 2) * self.field.ext.limbs
        if not single:
            self.layers.pop()
            self._level -= 1
        top = [e for t in (p, q) for e in self.field.unpack(self.target.to_host(t, words))]
        self.root = _root(top)
        return top


@dataclass(frozen=True)
class FractionalGKR:
    """Trees over leaves of these shapes, proven together."""

    field: Field
    shapes: tuple[Shape, ...]

    @property
    def max_depth(self) -> int:
        return max(depth(shape) for shape in self.shapes)

    @property
    def num_errors(self) -> int:
        """|E| times the error of all layers: 3 a round, 2 trees + 1 for lambda and mu a layer."""
        layers = self.max_depth
        rounds = layers * (layers - 1) // 2
        return 3 * rounds + layers * (2 * len(self.shapes) + 1)

    def soundness_bits(self) -> float:
        """-log2 of the error of all layers."""
        return error_bits(self.field.bits, self.num_errors)

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
                statements = _layers([(trees[i], claims[i]) for i in active], lam)
                gammas = _powers(lam * lam, len(active))
                batch = WeightedSum(list(zip(gammas, statements, strict=True)))
                rho, values = Sumcheck(self.field).prove(transcript, batch)
                transcript.send("children", values)
                children = _by_tree(active, values)
            _join(transcript.challenge("mu"), rho, children, claims)
        return claims

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


def _layers(trees: Sequence[tuple[Tree, Fraction]], lam: Element) -> list[LayerStatement]:
    """The next layer of each tree; unstored ones share what stored levels leave of the workspace."""
    workspace = trees[0][0].target.workspace_bytes
    stored = sum(tree.bytes_below for tree, _ in trees)
    free = max(workspace - stored, workspace // 4)
    leaves = sum(_count(tree.shape) for tree, _ in trees if tree.next_is_unstored)
    rooms = [free * _count(tree.shape) // max(leaves, 1) for tree, _ in trees]
    pairs = zip(trees, rooms, strict=True)
    return [tree.next_layer(claim, lam, room) for (tree, claim), room in pairs]


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
