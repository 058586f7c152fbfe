"""Steps on arrays that are not NumPy's: nothing moves to the host unasked.

Not tested here: CuPy itself, which needs a GPU; these arrays refuse what CuPy's refuse.
"""

import numpy as np
import pytest
from strict_device_array import StrictDeviceArray
from training_case import as_lists, random_batch, random_state, small_rule

from zkbench.kernels import softmax
from zkbench.kernels.launch import CpuTarget
from zkbench.models.training import integer_training
from zkbench.models.training.integer_training import TrainingState, integer_outputs, train_step
from zkbench.models.training.rule import LOSSES


class DeviceOfThese(CpuTarget):
    """Where kernels run on strict device arrays: it takes no others."""

    def to_device(self, array):
        assert type(array) is StrictDeviceArray
        assert array.flags.c_contiguous
        return array._host.reshape(-1)


@pytest.fixture(autouse=True)
def kernels_on_device_arrays(monkeypatch):
    of_host = softmax.target_of
    device = DeviceOfThese(1)
    monkeypatch.setattr(
        softmax, "target_of", lambda a: device if type(a) is StrictDeviceArray else of_host(a)
    )


@pytest.mark.parametrize("exact_below", [1 << 53, 1])
@pytest.mark.parametrize("loss", LOSSES)
def test_steps_on_device_arrays_vs_host(loss, exact_below, monkeypatch):
    monkeypatch.setattr(integer_training, "FLOAT64_EXACT", exact_below)
    rule = small_rule(loss=loss)
    on_host, batch = random_state(rule), random_batch(rule)
    on_device = on_host.placed(StrictDeviceArray)
    moved = tuple(map(StrictDeviceArray, batch))
    for _ in range(2):
        expected, on_host = train_step(rule, on_host, *batch)
        trace, on_device = train_step(rule, on_device, *moved)
        assert as_lists(trace) == as_lists(expected)
        arrays = [a for part in vars(trace).values() if isinstance(part, tuple) for a in part]
        assert {type(array) for array in arrays} == {StrictDeviceArray}
    outputs = integer_outputs(rule, on_device, moved[0])
    assert (outputs.get() == integer_outputs(rule, on_host, batch[0])).all()
    assert on_device.to_bytes() == on_host.to_bytes()
    assert as_lists(TrainingState.from_bytes(on_device.to_bytes())) == as_lists(on_host)
    assert on_device.to_float_model(rule).dims == rule.dims


def test_the_device_array_refuses_host_arrays():
    device, host = StrictDeviceArray(np.arange(3)), np.arange(3)
    for mix in (
        lambda: device + host,
        lambda: np.stack([device, host]),
        lambda: np.sqrt(device, host),
    ):
        with pytest.raises(TypeError):
            mix()
