"""The rule of training, written down once more, in Python integers and nothing else."""

from zkbench.models.training.rule import TrainingRule
from zkbench.protocols.tables import Exp


class OutOfRangeError(Exception):
    """What left its range, as "update of layer 3"."""


def python_int_step(
    rule: TrainingRule, state: dict[str, list], x: list, targets: list
) -> tuple[dict[str, list], dict[str, list]]:
    """(all values of a step, the state after it): lists over the layers of (nested) lists of ints."""
    layers = range(len(rule.dims) - 1)
    last, one = layers[-1], 2**rule.formats.activation
    trace = {name: list(values) for name, values in state.items() if name in ("weights", "biases")}
    trace |= {name: [] for name in ("inputs", "quotients", "y_remainders")}
    for layer in layers:
        trace["inputs"].append(x)
        sums = add_row(
            product(x, state["weights"][layer]), [one * b for b in state["biases"][layer]]
        )
        name = "output" if layer == last else "activation"
        y, rest = rounded(sums, rule.forward_shift(layer), 16, f"{name} of layer {layer}")
        trace["quotients"].append(y)
        trace["y_remainders"].append(rest)
        x = [[max(entry, 0) for entry in row] for row in y]
    error, indices, slack = loss_error(rule, trace["quotients"][-1], targets)
    if indices is not None:
        trace |= {"indices": indices, "row_sums": slack}
    errors, products, rests = [error], [], []
    for layer in reversed(layers[:-1]):
        p = product(errors[0], transpose(state["weights"][layer + 1]))
        y = trace["quotients"][layer]
        active = [
            [v if z >= 0 else 0 for v, z in zip(*rows, strict=True)]
            for rows in zip(p, y, strict=True)
        ]
        e, rest = rounded(active, rule.backward_shift(layer + 1), 16, f"error of layer {layer}")
        errors.insert(0, e)
        products.insert(0, p)
        rests.insert(0, rest)
    trace |= {"errors": errors, "products": products, "e_remainders": rests}
    after = {"weights": [], "biases": [], "updates": [], "bias_updates": []}
    trace |= {"updates": [], "u_remainders": [], "bias_updates": [], "v_remainders": []}
    for layer in layers:
        gradient = product(transpose(trace["inputs"][layer]), errors[layer])
        update(rule, state, trace, after, layer, gradient, ("updates", "u_remainders", "update"))
    for layer in layers:
        gradient = [[sum(one * e for e in column) for column in transpose(errors[layer])]]
        names = ("bias_updates", "v_remainders", "bias update")
        update(rule, state, trace, after, layer, gradient, names)
    for kind, updates, name in (
        ("weights", "updates", "weight"),
        ("biases", "bias_updates", "bias"),
    ):
        for layer in layers:
            pairs = zip(rows_of(state[kind][layer]), rows_of(after[updates][layer]), strict=True)
            new = [[w - u for w, u in zip(*rows, strict=True)] for rows in pairs]
            check(new, -(2**31), 2**31, f"{name} of layer {layer}")
            after[kind].append(new if kind == "weights" else new[0])
    return trace, after


def update(rule, state, trace, after, layer, gradient, names):
    updates, remainders, name = names
    shift, m = rule.update_shift(layer), rule.rate[0]
    # mu / 4096 of the update before, in units of 2^-shift
    before = rows_of(state[updates][layer])
    sums = [
        [m * g + (rule.momentum * 2**shift * u) // 2**12 for g, u in zip(*rows, strict=True)]
        for rows in zip(gradient, before, strict=True)
    ]
    u, rest = rounded(sums, shift, 16, f"{name} of layer {layer}")
    flat = updates == "bias_updates"
    after[updates].append(u[0] if flat else u)
    trace[updates].append(u[0] if flat else u)
    trace[remainders].append(rest[0] if flat else rest)


def loss_error(rule, y, targets):
    if rule.loss == "square":
        return (
            [[a - b for a, b in zip(*rows, strict=True)] for rows in zip(y, targets, strict=True)],
            None,
            None,
        )
    table = Exp(log_delta=rule.formats.output, log_scale=14).values.tolist()
    indices = [softmax_indices(row, table) for row in y]
    check(indices, 0, 2**16, "spread of the softmax's inputs")
    powers = [[table[t] for t in row] for row in indices]
    slack = [sum(row) - 2**14 + rule.tolerance for row in powers]
    check([slack], 0, 2 * rule.tolerance, "slack of a softmax's row sum")
    error = [
        [a - b for a, b in zip(*rows, strict=True)] for rows in zip(powers, targets, strict=True)
    ]
    return error, indices, slack


def softmax_indices(row, table):
    """c - y_j for the smallest c whose row sum is nearest to 2^14."""
    c, found = max(row), []
    while not found or found[-1][2] > 2**14:
        total = sum(table[min(c - y, 2**16 - 1)] for y in row)
        found.append((abs(total - 2**14), c, total))
        c += 1
    best = min(found)[1]
    return [best - y for y in row]


def rounded(sums, shift, bits, what):
    half = 2 ** (shift - 1)
    quotients = [[(a + half) // 2**shift for a in row] for row in sums]
    remainders = [[(a + half) % 2**shift for a in row] for row in sums]
    check(quotients, -(2 ** (bits - 1)), 2 ** (bits - 1), what)
    return quotients, remainders


def check(rows, low, high, what):
    if any(not low <= value < high for row in rows for value in row):
        raise OutOfRangeError(what)


def product(a, b):
    columns = transpose(b)
    return [
        [sum(x * y for x, y in zip(row, column, strict=True)) for column in columns] for row in a
    ]


def add_row(matrix, row):
    return [[a + b for a, b in zip(entries, row, strict=True)] for entries in matrix]


def transpose(matrix):
    return [list(column) for column in zip(*matrix, strict=True)]


def rows_of(array):
    return array if isinstance(array[0], list) else [array]
