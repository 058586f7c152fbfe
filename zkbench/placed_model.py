"""A language model where a prover works with it: what the command line and the benchmark both do.

Its weights lie on the target, or, where they would leave too little of a GPU, on the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from zkbench.commitments.interleaved import ProverData
from zkbench.commitments.schemes import Scheme
from zkbench.kernels.launch import Array, Target
from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.integer_model import IntegerLanguageModel
from zkbench.models.language.trace import LayersTrace
from zkbench.placement import pin, place_on, weights_stay_on_host
from zkbench.protocols.language_inference import LanguageInference
from zkbench.protocols.language_tensors import committed_integers, model_shapes
from zkbench.protocols.language_weights import (
    StackedModel,
    model_arrays,
    model_tensors,
    segment_arrays,
    segment_tensors,
)
from zkbench.protocols.language_witness import WitnessTensors

WEIGHT_BYTES = 2  # of a committed integer


def stays_on_host(config: LanguageModelConfig, target: Target) -> bool:
    """Whether a model's weights do."""
    return weights_stay_on_host(target, WEIGHT_BYTES * committed_integers(config))


@dataclass(frozen=True, eq=False)
class PlacedModel:
    """``model`` as it is on the host; ``stacked``: the same from the stacks in ``arrays``.

    arrays: what is committed, where the model computes, or all of it on the host.
    """

    model: IntegerLanguageModel
    stacked: StackedModel
    arrays: Mapping[str, Any]
    on_host: bool

    @classmethod
    def of(cls, model: IntegerLanguageModel, target: Target) -> PlacedModel:
        """Reads or draws all weights."""
        place, on_host = place_on(target), stays_on_host(model.config, target)
        arrays = model_arrays(model, np.asarray if on_host else place)
        if on_host:
            pin(target, arrays)
        target.fit_workspace()
        return cls(model, StackedModel(model, arrays, place), arrays, on_host)

    def commit(self, target: Target, scheme: Scheme) -> tuple[ProverData, dict[str, Array]]:
        """(the prover's side of a commitment to the weights, all tensors of the model for a program)."""
        tensors = model_tensors(target, scheme.field, self.arrays, self.on_host)
        shapes = model_shapes(self.model.config)
        return scheme.commit(target, {name: tensors[name] for name in shapes}, shapes), tensors

    def witness(
        self,
        inference: LanguageInference,
        trace: LayersTrace,
        target: Target,
        before: Any = None,
    ) -> dict[str, Array]:
        """The tensors of one forward pass for a program; before: see ``WitnessTensors``."""
        arrays = segment_arrays(self.arrays, inference.segment)
        tensors = WitnessTensors(inference, arrays, trace, before).to_target(target)
        target.fit_workspace()
        return tensors

    def segment(self, inference: LanguageInference, target: Target) -> dict[str, Array]:
        """The matrices and biases of a segment's layers for its program: views."""
        arrays = segment_arrays(self.arrays, inference.segment)
        return segment_tensors(target, inference.field, arrays, inference.segment, self.on_host)
