"""The integer language model in Python's integers, written out from its definition.

Slow and plain: lists of lists, one equation a line, no code shared with the package.
"""

import math

from zkbench.models.language.integer_tensors import described_tensors

MASK = 2**15


def rescale(acc, shift):
    return (acc + 2 ** (shift - 1)) >> shift


def left(acc, shift):
    """What rescale leaves."""
    return (acc + 2 ** (shift - 1)) % 2**shift


def silu(x):
    return x / (1 + math.exp(-x)) if x > -700 else 0.0


def gelu(x):
    return 0.5 * x * (1 + math.erf(x / math.sqrt(2)))


def product(x, matrix):
    columns = list(zip(*matrix, strict=True))
    return [[sum(a * b for a, b in zip(row, c, strict=True)) for c in columns] for row in x]


def norm(x, epsilon):
    """y, what it leaves, ss, sq, r of each row."""
    found = []
    for row in x:
        ss = sum(value**2 for value in row) + epsilon
        sq = math.isqrt(ss)
        r = 2**31 // sq
        scaled = [value * r for value in row]
        y, rest = ([one(value, 16) for value in scaled] for one in (rescale, left))
        found.append((y, rest, ss, sq, r))
    return (list(column) for column in zip(*found, strict=True))


def exponentials(formats):
    steps = range(2**16)
    return [round(2**formats.row_bits * math.exp(-t / 2**formats.score_bits)) for t in steps]


def best_shift(scores, table, row_sum):
    """By trying: the smallest shift, not below the largest score, with the nearest sum."""
    top = max(scores)

    def miss(shift):
        return abs(sum(table[min(shift - z, 2**16 - 1)] for z in scores) - row_sum)

    span = 3000 * max(1, len(scores).bit_length())
    return min(range(top, top + span), key=lambda shift: (miss(shift), shift))


def attention(q, k, v, formats, table, block):
    """Named as in a trace: q[i][head], k[i][head], v[i][head] are lists of d integers."""
    size, heads, group = len(q), len(q[0]), len(q[0]) // len(k[0])
    tiles = [(bi, bj) for bi in range(size // block) for bj in range(bi + 1)]
    t, rests = (
        [[[[0] * block for _ in range(block)] for _ in tiles] for _ in range(heads)]
        for _ in range(2)
    )
    shift, row_sums = ([[0] * size for _ in range(heads)] for _ in range(2))
    a, means_rest = ([[None] * heads for _ in range(size)] for _ in range(2))
    for head in range(heads):
        for i in range(size):
            end = (i // block + 1) * block
            keys = [k[j][head // group] for j in range(end)]
            z = [sum(x * y for x, y in zip(q[i][head], key, strict=True)) for key in keys]
            zq = [rescale(value, formats.shifts["z"]) for value in z]
            shift[head][i] = best_shift(zq[: i + 1], table, 2**formats.row_bits)
            row = [shift[head][i] - zq[j] + MASK * (j > i) for j in range(end)]
            for j, value in enumerate(row):
                tile = tiles.index((i // block, j // block))
                t[head][tile][i % block][j % block] = value
                rests[head][tile][i % block][j % block] = left(z[j], formats.shifts["z"])
            powers = [table[value] for value in row]
            row_sums[head][i] = sum(powers)
            assert abs(sum(powers) - 2**formats.row_bits) <= formats.tolerance
            columns = zip(*(v[j][head // group] for j in range(end)), strict=True)
            sums = [sum(p * x for p, x in zip(powers, column, strict=True)) for column in columns]
            a[i][head] = [rescale(value, min(formats.row_bits, 16)) for value in sums]
            means_rest[i][head] = [left(value, min(formats.row_bits, 16)) for value in sums]
    found = {"t": t, "t.remainders": rests, "shift": shift, "row_sums": row_sums}
    return found | {"a": a, "a.remainders": means_rest}


class PythonIntModel:
    """`forward` gives, for every tensor of a trace, nested lists."""

    def __init__(self, model):
        self.config, self.formats = model.config, model.formats
        self.tensor = lambda name: model.tensor(name).tolist()
        names = described_tensors(model.config)
        self.has = lambda name: name in names

    def forward(self, tokens, block):
        tokens = list(tokens) + [0] * (-len(tokens) % block)
        self.block, self.size, self.found = block, len(tokens), {}
        self.table = exponentials(self.formats)
        stream = self.embed(tokens)
        for layer in range(self.config.layers):
            self.layer = layer
            stream = self.run_layer(stream)
        if self.config.norm_first:
            y, *_ = norm(stream, self.formats.epsilon)
        else:
            y = stream
        self.found["logits"] = self.linear("output", y, "output.bias", "logits")
        return self.found

    def embed(self, tokens):
        e, formats = self.tensor("embedding"), self.formats
        shift = formats.residual - formats.embedding if self.config.norm_first else 0
        x = [[value * 2**shift for value in e[token]] for token in tokens]
        if self.config.is_llama:
            return x
        p = self.tensor("positions")
        shift = formats.residual - formats.positions if self.config.norm_first else 0
        return [
            [a + b * 2**shift for a, b in zip(row, p[i], strict=True)] for i, row in enumerate(x)
        ]

    def run_layer(self, x):
        first = self.config.norm_first
        y1 = self.norm(x, 1) if first else x
        self.keep("y1", y1)
        o = self.attention(y1)
        x = self.add(x, o, "o")
        y2 = self.norm(x, 2 if first else 1)
        self.keep("y2", y2)
        x = self.add(x, self.feed_forward(y2), "m")
        if first:
            return x
        y3 = self.norm(x, 2)
        self.keep("y3", y3)
        return y3

    def add(self, x, output, name):
        factor = 2 ** (self.formats.residual - self.formats.layers[self.layer][name])
        if not self.config.norm_first:
            return [[factor * b for b in row] for row in output]
        pairs = zip(x, output, strict=True)
        return [[a + factor * b for a, b in zip(p, q, strict=True)] for p, q in pairs]

    def attention(self, y):
        q, k, v = (self.heads(self.matrix(name, y)) for name in "qkv")
        if self.config.is_llama:
            self.keep("q_raw", q)
            self.keep("k_raw", k)
            for name, raw in (("q", q), ("k", k)):
                self.keep(f"{name}.remainders", self.rotated(raw, left))
            q, k = self.rotated(q), self.rotated(k)
        found = attention(q, k, v, self.formats, self.table, self.block)
        for name, value in ({"q": q, "k": k, "v": v} | found).items():
            self.keep(name, value)
        flat = [[value for head in row for value in head] for row in found["a"]]
        o = self.matrix("o", flat, skipped=y)
        self.keep("o", o)
        return o

    def feed_forward(self, y):
        if self.config.is_llama:
            g, u = self.matrix("g", y), self.matrix("u", y)
            frac, shift = self.formats.layers[0]["g"], self.formats.shifts["h"]
            activated = [[apply(silu, a, frac) for a in row] for row in g]
            pairs = list(zip(activated, u, strict=True))
            h, rest = (
                [[one(a * b, shift) for a, b in zip(p, q, strict=True)] for p, q in pairs]
                for one in (rescale, left)
            )
            self.keep("activated", activated)
            self.keep("h.remainders", rest)
            self.keep("g", g)
            self.keep("u", u)
        else:
            f = self.matrix("f", y)
            frac = self.formats.layers[0]["f"]
            is_relu = self.config.activation == "relu"
            h = [[max(a, 0) if is_relu else apply(gelu, a, frac) for a in row] for row in f]
            self.keep("f", f)
        m = self.matrix("m", h, skipped=y)
        self.keep("h", h)
        self.keep("m", m)
        return m

    def norm(self, x, number):
        y, rest, ss, sq, r = norm(x, self.formats.epsilon)
        for name, value in (("ss", ss), ("sq", sq), ("r", r)):
            self.keep(f"{name}{number}", value)
        self.keep(f"norm{number}.remainders", rest)
        return y

    def rotated(self, x, one=rescale):
        half, theta = self.config.head_width // 2, self.config.rope_theta
        return [
            [self.rotated_head(head, i, half, theta, one) for head in row]
            for i, row in enumerate(x)
        ]

    def rotated_head(self, head, i, half, theta, one):
        out = [0] * (2 * half)
        for j in range(half):
            angle = i * theta ** (-j / half)
            cos, sin = round(2**14 * math.cos(angle)), round(2**14 * math.sin(angle))
            out[j] = one(cos * head[j] - sin * head[j + half], 14)
            out[j + half] = one(cos * head[j + half] + sin * head[j], 14)
        return out

    def matrix(self, name, x, skipped=None):
        prefix = f"layers.{self.layer}.{name}"
        skip = f"{prefix}_skip"
        extra = product(skipped, self.tensor(skip)) if skipped and self.has(skip) else None
        rotates = self.config.is_llama and name in ("q", "k")
        given = (prefix, x, f"{prefix}.bias", name, extra)
        rest = self.linear(*given, left)
        kept = f"{name}_raw" if rotates else name
        self.keep(f"{kept}.remainders", self.heads(rest) if name in ("q", "k", "v") else rest)
        return self.linear(*given)

    def linear(self, matrix, x, bias, shift, extra=None, one=rescale):
        acc = product(x, self.tensor(matrix))
        b = self.tensor(bias) if self.has(bias) else [0] * len(acc[0])
        extra = extra or [[0] * len(b) for _ in acc]
        s = self.formats.shifts[shift]
        return [
            [one(p + q + r, s) for p, q, r in zip(row, b, more, strict=True)]
            for row, more in zip(acc, extra, strict=True)
        ]

    def heads(self, rows):
        d = self.config.head_width
        return [[row[i : i + d] for i in range(0, len(row), d)] for row in rows]

    def keep(self, name, value):
        self.found.setdefault(name, []).append(value)


def apply(function, value, frac_bits):
    """The function's table entry for an integer with so many fraction bits."""
    return round(function(value / 2**frac_bits) * 2**frac_bits)
