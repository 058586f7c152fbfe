"""The first round of a sumcheck of base-field data times weights in E, without lifting the data."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

from zkbench.fields import Field
from zkbench.jit import device
from zkbench.kernels.launch import kernel
from zkbench.kernels.ntt import reader


@cache
def kernels(field: Field, integers: bool) -> SimpleNamespace:
    """``round`` and ``fold`` for data of signed integers, or of words of F."""
    base, ring = field.base, field.ext
    read, zero_base, sub_base = reader(base, integers), base.zero, base.sub
    add, sub, mul_base, zero, load, store = (
        ring.add,
        ring.sub,
        ring.mul_base,
        ring.zero,
        ring.load,
        ring.store,
    )
    one = ring.one
    name = f"{field.name}.{'integers' if integers else 'words'}"

    @device(f"opening.datum.{name}")
    def datum(data, position, length):
        return read(data, position) if position < length else zero_base()

    @kernel(f"opening.round.{name}", ring, 2)
    def first_round(i, acc, data, weights, length):
        """Values at 0 and leading coefficients of data(X) weights(X) over pair i."""
        d0, d1 = datum(data, 2 * i, length), datum(data, 2 * i + 1, length)
        w0 = load(weights, 2 * i)
        w1 = load(weights, 2 * i + 1) if 2 * i + 1 < length else zero()
        at_zero = add(acc[0], mul_base(w0, d0))
        return at_zero, add(acc[1], mul_base(sub(w1, w0), sub_base(d1, d0)))

    @kernel(f"opening.fold.{name}")
    def fold(i, data, length, r, out):
        """out[i] = data[2i] + r (data[2i + 1] - data[2i]), in E."""
        d0, d1 = datum(data, 2 * i, length), datum(data, 2 * i + 1, length)
        store(out, i, add(mul_base(r, sub_base(d1, d0)), mul_base(one(), d0)))

    return SimpleNamespace(round=first_round, fold=fold)
