"""True statements about small language models of any shape are proven, the same way everywhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from language_proof import (
    CONFIGS,
    LLAMA,
    OPT,
    TARGET,
    Case,
    case_of,
    committed,
    inference_of,
    prove,
    random_model,
    some_tokens,
    witness,
)

from zkbench.kernels.launch import CpuTarget, target
from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.integer_model import IntegerLanguageModel
from zkbench.models.language.integer_tensors import HeldTensors, described_tensors
from zkbench.protocols.language_weights import model_arrays
from zkbench.protocols.language_witness import WitnessTensors
from zkbench.quant.formats import QuantisationError


@st.composite
def configs(draw: st.DrawFn) -> LanguageModelConfig:
    """Of both families, norms first and last; widths, heads and their groups no powers of two."""
    layers, vocab = draw(st.integers(1, 3)), draw(st.integers(2, 21))
    inner, bias = draw(st.integers(1, 13)), draw(st.booleans())
    shared: dict[str, Any] = {"layers": layers, "vocab": vocab, "ffn_width": inner}
    shared |= {"attention_bias": bias, "ffn_bias": draw(st.booleans())}
    kv_heads, group = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    if draw(st.booleans()):
        width, head = draw(st.integers(2, 13)), 2 * draw(st.integers(1, 3))
        heads = {"heads": kv_heads * group, "kv_heads": kv_heads, "head_width": head}
        return replace(LLAMA, width=width, embedding_width=width, **heads, **shared)
    head = draw(st.integers(1, 5))
    width = kv_heads * head
    heads = {"heads": kv_heads, "kv_heads": kv_heads, "head_width": head}
    activation = draw(st.sampled_from(["relu", "gelu"]))
    own = {"width": width, "embedding_width": width, "activation": activation}
    if draw(st.booleans()):
        own |= {"norm_first": False, "embedding_width": draw(st.integers(1, 13))}
    return replace(OPT, **own, **heads, **shared, tied=draw(st.booleans()))


@settings(max_examples=15)
@given(data=st.data(), config=configs(), block=st.sampled_from([1, 2, 4, 8]))
def test_models_of_any_shape(data: st.DataObject, config: LanguageModelConfig, block: int) -> None:
    length = data.draw(st.integers(1, 11))
    positions = data.draw(st.lists(st.integers(0, length - 1), min_size=1, max_size=4))
    model = random_model(config, data.draw(st.integers(0, 5)))
    case = Case.of(
        model, some_tokens(config, length, data.draw(st.integers(0, 99))), positions, block
    )
    case.verify(prove(case.inference, case.data, witness(case)))


@pytest.mark.parametrize("family", CONFIGS)
def test_the_same_proof_whatever_memory_and_threads_there_are(family: str) -> None:
    case = case_of(family)
    tensors = witness(case)
    proofs = {
        prove(case.inference, case.data, tensors, target=CpuTarget(threads, workspace))
        for threads, workspace in ((1, None), (2, None), (3, 1), (1, 1 << 20))
    }
    assert len(proofs) == 1


def test_rows_that_are_too_long_for_a_proof() -> None:
    """The integer model takes them; their limbs would leave the tables that they are counted in."""
    model = case_of("llama").model
    formats = replace(model.formats, embedding=model.formats.embedding - 11)
    tensors = {name: model.tensor(name) for name in described_tensors(model.config)}
    longer = IntegerLanguageModel(model.config, formats, HeldTensors(tensors))
    trace = longer.forward(some_tokens(model.config, 5))
    with pytest.raises(QuantisationError, match="the length of a row of norm1 .* exceeds 24 bits"):
        WitnessTensors(inference_of(longer, trace), model_arrays(longer), trace).to_target(TARGET)


@pytest.mark.gpu
@pytest.mark.parametrize("family", CONFIGS)
def test_the_same_proof_on_cuda(family: str) -> None:
    gpu, case = target("cuda"), case_of(family)
    assert gpu.name == "cuda"
    on_gpu = {name: gpu.to_device(np.asarray(array)) for name, array in witness(case).items()}
    data = committed(case.inference, model_arrays(case.model), gpu)
    assert data.commitment == case.data.commitment
    there = prove(case.inference, data, on_gpu, target=gpu)
    assert there == prove(case.inference, case.data, witness(case))
