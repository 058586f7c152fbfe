"""The prover of WHIR in Python integers, from the definition: naive, and for tiny sizes only."""

from __future__ import annotations

from typing import Any

from blake3 import blake3
from brute_force import eq_at

from zkbench.fields import GOLDILOCKS as FIELD

E, P = FIELD.element, FIELD.modulus


def leaf_point(index: int, log_length: int) -> int:
    """Where the codeword's entry at a leaf is evaluated."""
    reverse = int(f"{index:0{log_length}b}"[::-1], 2) if log_length else 0
    return pow(FIELD.root_of_unity(log_length), reverse, P)


def value_at(coefficients: list[Any], x: Any) -> Any:
    return sum((c * lifted(x) ** b for b, c in enumerate(coefficients)), E(0))


def lifted(x: Any) -> Any:
    return E(x) if isinstance(x, int) else x


def words(elements: list[Any]) -> bytes:
    return FIELD.encode(elements)


class Oracle:
    """A vector as columns of codewords: all rows, and all nodes of their tree."""

    def __init__(self, vector: list[Any], log_columns: int, log_inv_rate: int) -> None:
        size = len(vector) >> log_columns
        columns = [vector[i : i + size] for i in range(0, len(vector), size)]
        self.log_length = size.bit_length() - 1 + log_inv_rate
        points = [leaf_point(i, self.log_length) for i in range(1 << self.log_length)]
        self.rows = [[value_at(column, x) for column in columns] for x in points]
        layer = [blake3(words(row)).digest() for row in self.rows]
        self.layers = [layer]
        while len(layer) > 1:
            layer = [blake3(layer[i] + layer[i + 1]).digest() for i in range(0, len(layer), 2)]
            self.layers.append(layer)

    def open(self, transcript: Any, indices: list[int]) -> None:
        transcript.send_bytes("rows", b"".join(words(self.rows[i]) for i in indices))
        path, known = b"", set(indices)
        for layer in self.layers[:-1]:
            path += b"".join(layer[i ^ 1] for i in sorted(known) if i ^ 1 not in known)
            known = {i >> 1 for i in known}
        transcript.send_bytes("paths", path)


def work(transcript: Any, bits: int) -> None:
    seed, nonce = transcript.grinding_seed("grinding"), 0
    while bits:
        digest = blake3(seed + nonce.to_bytes(8, "little")).digest()
        if int.from_bytes(digest[:8], "little") < 1 << (64 - bits):
            break
        nonce += 1
    transcript.send_bytes("nonce", nonce.to_bytes(8, "little"))


def ask(transcript: Any, bits: int, oracle: Any, count: int, log_length: int) -> list[int]:
    work(transcript, bits)
    indices = sorted(set(transcript.indices("queries", count, log_length)))
    oracle.open(transcript, indices)
    return [leaf_point(i, log_length) for i in indices]


def fold(table: list[Any], r: Any) -> list[Any]:
    half = len(table) // 2
    return [a + r * (b - a) for a, b in zip(table[:half], table[half:], strict=True)]


def sumcheck_round(f: list[Any], w: list[Any]) -> list[Any]:
    """The sum over the other variables of f w: at 0, and its leading coefficient."""
    half = len(f) // 2
    at_zero = sum((f[i] * w[i] for i in range(half)), E(0))
    rise = [(f[i + half] - f[i]) * (w[i + half] - w[i]) for i in range(half)]
    return [at_zero, sum(rise, E(0))]


def prove(transcript: Any, schedule: Any, bits: int, vector: list, point: Any, source: Any) -> None:
    f, w = list(vector), [eq_at(point, b) for b in range(len(vector))]
    oracle, count, log_length = source, schedule.queries, schedule.log_length
    for entry in schedule.rounds:
        new = Oracle(f, entry.log_fold, entry.radius.log_inv_rate)
        transcript.send_bytes("oracle", new.layers[-1][0])
        xs: list[Any] = []
        if entry.out_of_domain:
            xs = transcript.challenges("out of domain", entry.out_of_domain)
            transcript.send("out-of-domain values", [value_at(f, x) for x in xs])
        xs = xs + ask(transcript, bits, oracle, count, log_length)
        gamma = transcript.challenge("constraint combination")
        for i, x in enumerate(xs):
            scale = gamma ** (i + 1)
            w = [old + scale * lifted(x) ** b for b, old in enumerate(w)]
        for _ in range(entry.log_fold):
            transcript.send("round", sumcheck_round(f, w))
            if entry.folding_work:
                work(transcript, entry.folding_work)
            r = transcript.challenge("round")
            f, w = fold(f, r), fold(w, r)
        oracle, count, log_length = new, entry.queries, entry.log_length
    transcript.send("final vector", f)
    ask(transcript, bits, oracle, count, log_length)
