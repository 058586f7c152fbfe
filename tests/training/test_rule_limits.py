"""Rules that have no proof are refused, with the reason."""

from dataclasses import replace

import pytest
from training_case import FORMATS, small_rule

from zkbench.errors import UnusableInput
from zkbench.models.training.rule import TrainingRule


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"formats": replace(FORMATS, activation=-1)}, "-1 fraction bits of activations are not"),
        (
            {"formats": replace(FORMATS, error=41)},
            "41 fraction bits of errors are not within 0 to 40",
        ),
        (
            {"formats": replace(FORMATS, output=10**12), "loss": "square"},
            "fraction bits of outputs",
        ),
        ({"formats": replace(FORMATS, output=12)}, "4 to 11 fraction bits, not 12"),
        ({"formats": replace(FORMATS, output=3)}, "4 to 11 fraction bits, not 3"),
        ({"dims": (5, 3000)}, "a softmax could be off by 4096 of 16384"),
        ({"formats": replace(FORMATS, weight=25)}, "drops 25 bits in its forward pass"),
        ({"formats": replace(FORMATS, weight=25, activation=8)}, "layer 0 drops 25 bits"),
        ({"rate": (256, 15)}, "the rate 256 / 2^15 is none with 1 <= m <= 255"),
        ({"rate": (0, 15)}, "the rate 0 / 2"),
        ({"rate": (1, 65)}, "the rate 1 / 2^65"),
        ({"momentum": 4096}, "the momentum 4096 is not in"),
        ({"rate": (200, 6)}, "momentum needs updates that drop 12 bits at least"),
        ({"loss": "hinge"}, "the loss 'hinge' is none of"),
        ({"dims": (5,)}, "two widths at least"),
        ({"dims": (5, 0)}, "must be positive"),
        ({"batch": 2.0}, "consists of integers"),
    ],
)
def test_refused(changes, message):
    with pytest.raises(UnusableInput) as caught:
        small_rule(**changes)
    assert message in str(caught.value)


@pytest.mark.parametrize("loss", ["square", "cross-entropy"])
def test_json_round_trip(loss):
    rule = small_rule(loss=loss)
    assert TrainingRule.from_json(rule.to_json()) == rule
