"""Layers of fractions in Python integers: the definition that kernels are tested against."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

from definitions import random_elements, total
from round_weights import RoundWeights
from targets import Machine

from zkbench.fields import GOLDILOCKS as FIELD

Fraction = tuple[Any, Any]
Node = tuple[Any, Any, Any, Any]  # p0, p1, q0, q1: two children
NOTHING: Fraction = (FIELD.element(0), FIELD.element(1))
NO_NODE: Node = (NOTHING[0], NOTHING[0], NOTHING[1], NOTHING[1])


def pad(row: list[Any], nothing: Any) -> list[Any]:
    return row if len(row) % 2 == 0 else [*row, nothing]


def stored(rows: list[list[Fraction]]) -> tuple[list[Any], list[Any]]:
    """Numerators and denominators as a layer keeps them: every row in whole pairs."""
    fractions = [f for row in rows for f in pad(row, NOTHING)]
    return [p for p, _ in fractions], [q for _, q in fractions]


def in_rows(items: list[Any], cols: int) -> list[list[Any]]:
    return [items[start : start + cols] for start in range(0, len(items), cols)]


def random_nodes(rng: Random, rows: int, cols: int) -> list[list[Node]]:
    return [[tuple(random_elements(FIELD, rng, 4)) for _ in range(cols)] for _ in range(rows)]


def put_nodes(machine: Machine, rows: list[list[Node]]) -> tuple[Any, Any]:
    nodes = [node for row in rows for node in row]
    p = [x for node in nodes for x in node[:2]]
    q = [x for node in nodes for x in node[2:]]
    return machine.put(p), machine.put(q)


def get_nodes(machine: Machine, p: Any, q: Any) -> list[Node]:
    numerators, denominators = in_rows(machine.get(p), 2), in_rows(machine.get(q), 2)
    return [(*a, *b) for a, b in zip(numerators, denominators, strict=True)]


def term(node: Node, lam: Any) -> Any:
    p0, p1, q0, q1 = node
    return (p0 + lam * q0) * q1 + p1 * q0


def node_pairs(row: list[Node]) -> list[tuple[Node, Node]]:
    return list(pairwise(pad(row, NO_NODE)))[::2]


def fold(rows: list[list[Node]], r: Any) -> list[list[Node]]:
    return [
        [tuple(x + r * (y - x) for x, y in zip(a, b, strict=True)) for a, b in node_pairs(row)]
        for row in rows
    ]


def expected_round(rows: list[list[Node]], weights: RoundWeights, lam: Any) -> list[Any]:
    terms = [
        (weights.at(r, j), a, tuple(y - x for x, y in zip(a, b, strict=True)))
        for r, row in enumerate(rows)
        for j, (a, b) in enumerate(node_pairs(row))
    ]
    return [
        total([w * term(a, lam) for w, a, _ in terms]),
        total([w * term(rise, lam) for w, _, rise in terms]),
    ]


def add(a: Fraction, b: Fraction) -> Fraction:
    return a[0] * b[1] + b[0] * a[1], a[1] * b[1]


def level(rows: list[list[Fraction]], j: int) -> list[list[Fraction]]:
    """The sums of 2^j leaves of each row."""
    for _ in range(j):
        rows = [[add(a, b) for a, b in list(pairwise(pad(row, NOTHING)))[::2]] for row in rows]
    return rows


def nodes_above(rows: list[list[Fraction]]) -> list[list[Node]]:
    """The nodes whose children these fractions are."""
    pairs = [list(pairwise(pad(row, NOTHING)))[::2] for row in rows]
    return [[(a[0], b[0], a[1], b[1]) for a, b in row] for row in pairs]
