"""The commitment: columns of a dense vector, Reed-Solomon encoded, hashed row by row into one tree.

The dense vector (see ``layout``) is cut into M columns of 2^k values. Each is encoded at rate 2^-r
as the evaluations of the polynomial with these coefficients at all roots of unity of order 2^(k+r);
leaf i of the tree is the row of all codewords at the i-th root in bit-reversed order (P 3.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zkbench.commitments.layout import Layout
from zkbench.commitments.merkle import DIGEST_BYTES, MerkleTree
from zkbench.commitments.rows import HashedRows
from zkbench.fields import FIELDS, Field
from zkbench.kernels.interleaved import fill
from zkbench.kernels.launch import Array, Target
from zkbench.kernels.ntt import encode, holds_integers

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
            raise error(f"unknown field {data['field']!r} in a commitment")
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
    dense: Array  # signed integers, or words of F
    rows: HashedRows  # of the codewords: rate 2^-log_inv_rate, one leaf a row


def commit(
    target: Target,
    code: Code,
    tensors: Mapping[str, Any],
    shapes: Mapping[str, Sequence[int]],
) -> ProverData:
    """Commit to tensors: arrays of the host or of the target, signed integers or words of F.

    Arrays may be flat (those of a target are); raises ValueError if a size does not fit its shape.
    """
    layout = Layout.of(shapes)
    if set(tensors) != set(shapes):
        raise ValueError("the tensors to commit to and their shapes have different names")
    for slot in layout.slots:
        if tensors[slot.name].size != slot.size:
            raise ValueError(f"tensor {slot.name!r} does not have the shape {slot.shape}")
    dense = _dense_vector(target, code.field, layout, tensors)
    num_columns = layout.num_columns(code.log_rows)
    stride = (1 << code.log_length) + _PADDING
    codeword = encode(
        target,
        code.field,
        dense,
        layout.num_values,
        num_columns,
        code.log_rows,
        code.log_inv_rate,
        stride=stride,
    )
    tree = MerkleTree(target, codeword, code.log_length, num_columns, stride)
    rows = HashedRows(tree, codeword, num_columns, stride)
    return ProverData(Commitment(tree.root, layout, code), dense, rows)


def _dense_vector(
    target: Target, field: Field, layout: Layout, tensors: Mapping[str, Any]
) -> Array:
    """All tensors in their places: as integers if all have one integer type, else as words of F."""
    types = {np.dtype(array.dtype) for array in tensors.values()}
    uniform = len(types) == 1 and all(map(holds_integers, tensors.values()))
    dense = target.empty(layout.num_values, types.pop() if uniform else np.uint64)
    for slot in layout.slots:
        array = tensors[slot.name]
        source = target.to_device(array) if isinstance(array, np.ndarray) else array
        fill(target, field, dense, slot.offset, source, slot.size)
    return dense
