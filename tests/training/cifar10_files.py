"""CIFAR-10's files in small, as Python 2 wrote them: opcodes of pickle's protocol 2, one by one."""

import pickle

import numpy as np

NAMES = [f"data_batch_{n}" for n in range(1, 6)] + ["test_batch"]
PIXELS = 3072


def images_and_labels(rows, seed=0):
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (rows, PIXELS), dtype=np.uint8)
    return images, generator.integers(0, 10, rows).tolist()


def write_folder(folder, rows=4):
    """All six files; (images, labels) of each."""
    parts = {name: images_and_labels(rows, seed) for seed, name in enumerate(NAMES)}
    for name, (images, labels) in parts.items():
        (folder / name).write_bytes(python2_batch(images.shape, images.tobytes(), labels))
    return parts


def python2_batch(shape, content, labels, dtype=b"u1", fortran=False):
    """cPickle.dumps({'batch_label': ..., 'labels': [...], 'data': array}, 2) under Python 2."""
    array = (
        _global("numpy.core.multiarray", "_reconstruct")
        + _tuple(_global("numpy", "ndarray"), _tuple(_integer(0)), _string(b"b"))
        + b"R"
        + _tuple(
            _integer(1),
            _tuple(*map(_integer, shape)),
            _dtype(dtype),
            b"\x89" if not fortran else b"\x88",
            _string(content),
        )
        + b"b"
    )
    items = _string(b"batch_label") + _string(b"training batch 1 of 5")
    items += _string(b"labels") + b"](" + b"".join(map(_integer, labels)) + b"e"
    return b"\x80\x02}(" + items + _string(b"data") + array + b"u."


def python3_batch(shape_of, labels, protocol):
    """The same, as Python 3 writes it."""
    return pickle.dumps({b"labels": labels, b"data": shape_of}, protocol)


def _dtype(name):
    arguments = _tuple(_string(name), _integer(0), _integer(1))
    state = _tuple(_integer(3), _string(b"|"), b"N", b"N", b"N", *map(_integer, (-1, -1, 0)))
    return _global("numpy", "dtype") + arguments + b"R" + state + b"b"


def _global(module, name):
    return f"c{module}\n{name}\n".encode()


def _integer(value):
    return b"J" + int(value).to_bytes(4, "little", signed=True)


def _string(value):
    return b"T" + len(value).to_bytes(4, "little") + value


def _tuple(*items):
    return b"(" + b"".join(items) + b"t"
