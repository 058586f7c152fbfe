"""The commitment: columns of a dense vector, Reed-Solomon encoded, hashed row by row into one tree.

The dense vector (see ``layout``) is cut into M columns of 2^k values. Each is encoded at rate 2^-r
as the evaluations of the polynomial with these coefficients at all roots of unity of order 2^(k+r);
leaf i of the tree is the row of all codewords at the i-th root in bit-reversed order (P 3.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from zkbench.commitments.dense import DenseVector
from zkbench.commitments.layout import Layout
from zkbench.commitments.merkle import DIGEST_BYTES, MerkleTree, tree_bytes
from zkbench.commitments.rows import HashedRows, RecomputedRows, Rows
from zkbench.fields import FIELDS, Field
from zkbench.kernels.launch import Target
from zkbench.kernels.ntt import encode
from zkbench.kernels.row_hashes import BLOCK_WORDS
from zkbench.protocols.sumcheck import num_variables

_CODEWORD_SHARE = 8  # codewords take at most this part of the workspace
_PADDING = 8  # words between codewords: a power-of-two stride would put a row into one cache set


@dataclass(frozen=True)
class Code:
    """Reed-Solomon code of 2^log_rows coefficients at rate 2^-log_inv_rate."""

    field: Field
    log_rows: int
    log_inv_rate: int

    @property
    def log_length(self) -> int:
        return self.log_rows + self.log_inv_rate


@dataclass(frozen=True)
class Commitment:
    """What the verifier knows of committed tensors: 32 bytes, their names and shapes, the code."""

    root: bytes
    layout: Layout
    code: Code

    @property
    def num_columns(self) -> int:
        return self.layout.num_columns(self.code.log_rows)

    @property
    def names(self) -> list[str]:
        """The committed tensors."""
        return list(self.layout.shapes)

    @property
    def least_bytes(self) -> int:
        """What making it takes of a target beside the tensors, at least: tree, and a few codewords."""
        columns = min(self.num_columns, BLOCK_WORDS)
        return tree_bytes(self.code.log_length) + columns * (8 << self.code.log_length)

    def to_json(self) -> dict[str, Any]:
        return {
            "field": self.code.field.name,
            "layout": self.layout.to_json(),
            "log_inv_rate": self.code.log_inv_rate,
            "log_rows": self.code.log_rows,
            "root": self.root.hex(),
        }

    @classmethod
    def from_json(cls, data: Any, error: type[Exception]) -> Commitment:
        """Read ``to_json``'s result; raises ``error`` for anything else."""
        keys = {"field", "layout", "log_inv_rate", "log_rows", "root"}
        if not isinstance(data, dict) or set(data) != keys:
            raise error("a commitment needs exactly the keys " + ", ".join(sorted(keys)))
        if not isinstance(data["field"], str) or data["field"] not in FIELDS:
            raise error(f"unknown field {data['field']!r:.60} in a commitment")
        code = Code(FIELDS[data["field"]], data["log_rows"], data["log_inv_rate"])
        _check_code(code, error)
        layout = Layout.from_json(data["layout"], error)
        return cls(_root(data["root"], error), layout, code)


def _check_code(code: Code, error: type[Exception]) -> None:
    numbers = (code.log_rows, code.log_inv_rate)
    if any(type(n) is not int or n < 0 for n in numbers) or sum(numbers) > code.field.two_adicity:
        raise error("a commitment's code parameters are out of range")


def _root(text: Any, error: type[Exception]) -> bytes:
    hexadecimal = set("0123456789abcdef")
    if not isinstance(text, str) or len(text) != 2 * DIGEST_BYTES or set(text) - hexadecimal:
        raise error("a commitment's root must be 64 lower-case hexadecimal digits")
    return bytes.fromhex(text)


@dataclass(frozen=True)
class ProverData:
    """What the prover keeps of a commitment, on its target."""

    commitment: Commitment
    dense: DenseVector
    rows: Rows  # of the codewords: one leaf a row


@contextmanager
def held(commitments: Iterable[ProverData]) -> Iterator[None]:
    """Within it, these vectors are on the target as far as there is room: each is read several times."""
    with ExitStack() as stack:
        for data in commitments:
            stack.enter_context(data.dense.held())
        yield


def commit(
    target: Target,
    code: Code,
    tensors: Mapping[str, Any],
    shapes: Mapping[str, Sequence[int]],
) -> ProverData:
    """Commit to tensors: arrays of the host or of the target, signed integers or words of F.

    Arrays may be flat (those of a target are), and are kept, not copied. Codewords are kept where they
    fit in a share of the target's workspace; else columns are encoded and hashed a few at a time.
    Raises ValueError if a size does not fit its shape.
    """
    layout = Layout.of(shapes)
    dense = DenseVector(target, code.field, layout, tensors)
    num_columns, stride = layout.num_columns(code.log_rows), (1 << code.log_length) + _PADDING
    turn = _columns_a_turn(target, num_columns, stride)
    tree = MerkleTree(target, code.log_length, num_columns)
    codeword = target.empty(turn * stride)
    for first in range(0, num_columns, turn):
        count = min(turn, num_columns - first)
        piece = dense.piece(first << code.log_rows, (first + count) << code.log_rows)
        shape = (piece, piece.size, count, code.log_rows, code.log_inv_rate)
        encode(target, code.field, *shape, stride=stride, out=codeword)
        tree.absorb(codeword, count, stride)
    rows: Rows = HashedRows(tree, codeword, num_columns, stride)
    if turn < num_columns:
        rows = RecomputedRows(tree, dense, code.log_rows)
    return ProverData(Commitment(tree.root, layout, code), dense, rows)


def _columns_a_turn(target: Target, num_columns: int, stride: int) -> int:
    """All columns, or as many whole blocks of the hash as fit in a share of the workspace."""
    fit = target.workspace_bytes // _CODEWORD_SHARE // (8 * stride)
    return num_columns if fit >= num_columns else max(1, fit // BLOCK_WORDS) * BLOCK_WORDS


class InterleavedScheme:
    """What schemes share that open such commitments: choosing a code, and committing.

    log_rows: k (at most), or None: what makes the proof smallest. code_of: the scheme whose commitments
    are opened, if not this one's own: since the smallest proof depends on a scheme's strength, one that
    is made stronger would choose other codes. A caller derives it; it is no part of a scheme's identity.
    """

    field: Field
    log_inv_rate: int
    log_rows: int | None
    code_of: InterleavedScheme | None

    def code(self, num_values: int) -> Code:
        """The code for a dense vector of this length."""
        if self.code_of is not None:
            return self.code_of.code(num_values)
        most = min(num_variables(num_values), self.field.two_adicity - self.log_inv_rate)
        if self.log_rows is not None:
            return Code(self.field, min(self.log_rows, most), self.log_inv_rate)
        most = min(most, self._most_log_rows(num_values))
        best = min(range(most + 1), key=lambda k: self._opening_bytes(num_values, k))
        return Code(self.field, best, self.log_inv_rate)

    def _most_log_rows(self, num_values: int) -> int:
        """Beyond which no k is considered."""
        return num_variables(num_values)

    def _opening_bytes(self, num_values: int, log_rows: int) -> int:
        """Estimated bytes of an opening, in integers so that every machine agrees."""
        raise NotImplementedError

    def commit(
        self,
        target: Target,
        tensors: Mapping[str, Any],
        shapes: Mapping[str, Sequence[int]] | None = None,
    ) -> ProverData:
        """Commit to tensors, see ``commit`` above; ``shapes``: the arrays' own if None."""
        sizes = shapes or {name: array.shape for name, array in tensors.items()}
        return commit(target, self.code(Layout.of(sizes).num_values), tensors, sizes)

    def commitment(self, root: bytes, shapes: Mapping[str, Sequence[int]]) -> Commitment:
        """What the verifier takes a received root for: a commitment to tensors of these shapes."""
        layout = Layout.of(shapes)
        return Commitment(root, layout, self.code(layout.num_values))
