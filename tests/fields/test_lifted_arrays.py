"""Arrays of integers as elements of E, against the elements' own constructor."""

import numpy as np
import pytest

from zkbench.fields import GOLDILOCKS as FIELD

P = FIELD.modulus
CASES = [
    ([0, 1, -1, 2**31 - 1, -(2**31)], np.int32),
    ([0, 1, -1, 2**63 - 1, -(2**63)], np.int64),
    ([0, 1, 2**63, P - 1], np.uint64),
    ([-(2**15), 2**15 - 1], np.int16),
    ([0, 2**16 - 1], np.uint16),
    ([], np.int64),
]


@pytest.mark.parametrize(("values", "dtype"), CASES, ids=lambda case: getattr(case, "__name__", ""))
def test_lifted_integers_vs_python_int(values: list[int], dtype: type) -> None:
    words = FIELD.lift(np.array(values, dtype=dtype))
    assert FIELD.unpack(words) == [FIELD.element(value) for value in values]
    assert words.tolist() == FIELD.pack(values).tolist()


def test_a_tensor_is_lifted_entry_by_entry() -> None:
    values = np.arange(-6, 6, dtype=np.int16).reshape(3, 4)
    assert FIELD.lift(values).tolist() == FIELD.pack(range(-6, 6)).tolist()
