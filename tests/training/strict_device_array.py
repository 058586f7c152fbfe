"""An array that computes as NumPy's but never meets one unasked: how CuPy's behave."""

import numpy as np

_ASKED = {np.asarray, np.array}


class StrictDeviceArray(np.lib.mixins.NDArrayOperatorsMixin):
    """Raises TypeError where a host array would have to be moved silently."""

    def __init__(self, host):
        self._host = np.asarray(host)

    def get(self):
        return self._host.copy()

    def __array__(self, *_, **__):
        raise TypeError("implicit copy to the host")

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        if out is not None:
            options["out"] = tuple(map(_unwrapped, out))
        return _wrapped(getattr(ufunc, method)(*map(_unwrapped, inputs), **options))

    def __array_function__(self, func, types, args, kwargs):
        is_asked = func in _ASKED and type(args[0]) is np.ndarray
        inside = args if is_asked else _unwrapped(args)
        return _wrapped(func(*inside, **{name: _unwrapped(v) for name, v in kwargs.items()}))

    def __getattr__(self, name):
        if name in ("shape", "ndim", "size", "dtype", "flags", "tolist"):
            return getattr(self._host, name)
        found = getattr(self._host, name)
        if not callable(found):
            return _wrapped(found)
        return lambda *args, **options: _wrapped(
            found(*map(_unwrapped, args), **{k: _unwrapped(v) for k, v in options.items()})
        )

    def __getitem__(self, index):
        return _wrapped(self._host[_unwrapped(index)])

    def __setitem__(self, index, values):
        self._host[_unwrapped(index)] = _unwrapped(values)

    def __len__(self):
        return len(self._host)

    def __bool__(self):
        return bool(self._host)

    def __int__(self):
        return int(self._host)

    def __float__(self):
        return float(self._host)


def _unwrapped(value):
    if isinstance(value, StrictDeviceArray):
        return value._host
    if isinstance(value, (tuple, list)):
        return type(value)(map(_unwrapped, value))
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError("an array of the host among those of the device")
    return value


def _wrapped(value):
    return StrictDeviceArray(value) if isinstance(value, (np.ndarray, np.generic)) else value
