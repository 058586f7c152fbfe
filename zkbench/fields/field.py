"""What protocols and kernels know of a field: its constants, its scalar functions, its encodings."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zkbench.fields.python_int import QuadraticElement


@dataclass(frozen=True, eq=False)  # compared by identity: fields key many caches
class Arithmetic:
    """Scalar functions on one kind of element, callable inside kernels of both targets.

    An array of elements is a flat uint64 array of ``limbs`` words an element. Results may be any
    representative that fits the words; only ``canonical`` promises the reduced one.
    """

    name: str
    limbs: int
    zero: Any
    one: Any
    load: Any  # (array, index) -> element
    store: Any  # (array, index, element): writes the canonical form
    add: Any
    sub: Any
    mul: Any
    inverse: Any  # 1 / element; 0 for 0
    canonical: Any
    from_int: Any  # signed int64 -> element
    mul_base: Any  # element * base-field element
    mul_int: Any  # element * signed int of at most 32 bits
    mac_zero: Any  # lazily reduced sum of element * int16: empty accumulator,
    mac: Any  # (accumulator, element, int) -> accumulator, at most 2^15 terms,
    mac_reduce: Any  # accumulator -> element
    from_wide: Any = None  # the words of a transcript's challenge -> element (extension only)


@dataclass(frozen=True, eq=False)
class Field:
    """A prime field F, its extension E for challenges, and their encodings.

    ``element`` is the Python-integer definition of E; it is what transcripts and verifiers use.
    """

    name: str
    modulus: int
    degree: int
    generator: int
    two_adicity: int
    element: type[QuadraticElement]
    base: Arithmetic
    ext: Arithmetic
    coset_dft: Callable[[int], Any] | None = None
    """log R -> CUDA function (x, powers) of tuples of base-field words, if the field has a fast one:
    sum_e x_e c^e w^(e q) for q < R in bit-reversed order, powers c, ..., c^(R-1); log R <= 4."""

    @property
    def bits(self) -> float:
        """log2 of the number of elements of E."""
        return self.degree * float(np.log2(float(self.modulus)))

    @property
    def base_bytes(self) -> int:
        """Bytes of a base-field element."""
        return 8 * self.base.limbs

    def root_of_unity(self, log_order: int) -> int:
        """A primitive root of unity of order 2^log_order in F."""
        if not 0 <= log_order <= self.two_adicity:
            raise ValueError(f"{self.name} has no root of unity of order 2^{log_order}")
        return pow(self.generator, (self.modulus - 1) >> log_order, self.modulus)

    def pack(self, elements: Iterable[Any]) -> np.ndarray:
        """E elements (or integers) -> flat uint64 array of their canonical words."""
        lifted = [e if isinstance(e, QuadraticElement) else self.element(e) for e in elements]
        return np.array([w for e in lifted for w in e.coefficients], dtype=np.uint64)

    def lift(self, values: np.ndarray) -> np.ndarray:
        """An array of integers of magnitude below the modulus -> words, as ``pack`` gives them."""
        words = np.zeros((values.size, self.ext.limbs), dtype=np.uint64, like=values)
        flat = values.reshape(-1)
        lifted = flat.astype(np.uint64)
        if flat.dtype.kind == "i":  # of a negative one, the word is 2^64 too large
            lifted[flat < 0] += np.uint64(self.modulus)
        words[:, 0] = lifted
        return words.reshape(-1)

    def unpack(self, words: np.ndarray) -> list[Any]:
        """Flat uint64 array of canonical words -> E elements."""
        pairs = words.reshape(-1, self.degree).tolist()
        return [self.element(*pair) for pair in pairs]

    def scalar(self, element: Any) -> tuple[np.uint64, ...]:
        """An E element (or an integer) as a kernel argument."""
        lifted = element if isinstance(element, QuadraticElement) else self.element(element)
        return tuple(map(np.uint64, lifted.coefficients))

    def encode(self, elements: Sequence[Any]) -> bytes:
        """Canonical little-endian bytes of E elements."""
        words = [w for e in elements for w in e.coefficients]
        return struct.pack(f"<{len(words)}Q", *words)
