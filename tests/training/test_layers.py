"""Arrays in groups of layers, and what is known of parameters without a look at them."""

import numpy as np
import pytest
from training_case import as_lists, random_batch, random_state, small_rule

from zkbench.models.training import integer_training
from zkbench.models.training.integer_training import TrainingState, train_step
from zkbench.models.training.layers import Layers, group_of, layout_of
from zkbench.quant.formats import QuantisationError

DIMS = (6, 5, 4, 5, 4, 4, 3)  # hidden shapes in turns: two stacks of two layers, one of one


def test_layers_are_views_of_their_groups():
    groups = {(0,): np.zeros((1, 2)), (1, 3): np.ones((2, 3)), (2,): np.full((1, 2), 2.0)}
    layers = Layers.of(groups)
    assert [array[0] for array in layers] == [0, 1, 2, 1]
    layers[3][:] = 7
    assert groups[(1, 3)].tolist() == [[1] * 3, [7] * 3]
    assert group_of(layers, (1, 3)) is groups[(1, 3)]
    assert np.shares_memory(group_of(layers, (3,)), layers[3])
    assert group_of(layers, (3, 1)).tolist() == [[7] * 3, [1] * 3]
    assert group_of(tuple(layers), (1, 3)).tolist() == groups[(1, 3)].tolist()


def test_the_layout_of_shapes_in_turns():
    layout = layout_of(small_rule(dims=DIMS))
    assert layout.groups == ((0,), (1, 3), (2,), (4,), (5,))
    assert layout.behind == ((0, 2), (1,), (3,), (4,))
    assert layout.home[3] == ((1, 3), 1)
    assert layout.handed_down(2)[(0, 2)] == layout.inputs(2)[(1, 3)] == (2, 2, 5)


def _largest(arrays):
    return [int(np.abs(array.astype(np.int64)).max()) for array in arrays]


def test_bounds_hold_step_by_step():
    rule = small_rule(dims=DIMS)
    state = random_state(rule)
    for step in range(4):
        _, state = train_step(rule, state, *random_batch(rule, step))
        for arrays in (state.weights, state.biases):
            largest = _largest(arrays)
            for which, bound in arrays.bounds.items():
                assert all(largest[layer] <= bound for layer in which)


@pytest.mark.parametrize("part", ["weights", "biases"])
def test_bounds_that_are_too_loose_change_nothing(part):
    """They are measured anew, or ranges looked at."""
    rule = small_rule(dims=DIMS)
    _, state = train_step(rule, random_state(rule), *random_batch(rule))
    arrays = getattr(state, part)
    loose = Layers.of(arrays.groups, dict.fromkeys(arrays.groups, 1 << 40))
    found = train_step(rule, _replaced(state, part, loose), *random_batch(rule, 5))
    expected = train_step(rule, _replaced(state, part, tuple(arrays)), *random_batch(rule, 5))
    assert list(map(as_lists, found)) == list(map(as_lists, expected))
    assert max(getattr(found[1], part).bounds.values()) < 1 << 40


def _replaced(state, part, arrays):
    return TrainingState(**{**vars(state), part: arrays})


def test_the_first_layer_out_of_range_is_named_whatever_its_stack():
    """Layers 2 and 3 both leave their range; layer 3's stack comes first."""
    rule = small_rule(dims=DIMS)
    state = random_state(rule, log_weight=17)
    biases = [bias.copy() for bias in state.biases]
    biases[2][:] = biases[3][:] = 2**31 - 1
    state = _replaced(state, "biases", tuple(biases))
    with pytest.raises(QuantisationError, match="^activation of layer 2 reaches"):
        train_step(rule, state, *random_batch(rule))


def test_gradients_beyond_float64_are_those_of_integers(monkeypatch):
    generator = np.random.default_rng(4)
    x, e = (generator.integers(-(2**15), 2**15, (2, 6, n)).astype(np.float64) for n in (3, 4))
    x[0], e[0] = -(2.0**15), 2.0**16  # the largest sums
    exact = 255 * np.swapaxes(x, 1, 2).astype(object) @ e.astype(object) + 2**23
    for room in (integer_training.FLOAT64_EXACT, 1):
        monkeypatch.setattr(integer_training, "FLOAT64_EXACT", room)
        found = integer_training._gradient(x, e, 255, 2**23)
        assert found.dtype == np.int64
        assert (found == exact).all()
