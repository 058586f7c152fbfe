"""The benchmark of language models: its statement, its verifier, what its record says."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import pytest

from zkbench import placed_model
from zkbench.bench import language_models
from zkbench.bench.cases import make_case
from zkbench.bench.language_models import integer_model, prompt
from zkbench.bench.language_records import nominal_parameters, printed_name
from zkbench.bench.runner import run_case
from zkbench.bench.timers import PhaseTimer
from zkbench.errors import UnusableInput
from zkbench.models.language.checkpoint import Checkpoint, RandomWeights
from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.corpus import held_out_text, training_text
from zkbench.models.language.float_model import FloatLanguageModel
from zkbench.models.language.integer_tensors import described_tensors
from zkbench.models.language.presets import PRESETS
from zkbench.models.language.shipped import SHIPPED, shipped
from zkbench.proof import Message, Proof, ProofRejected, canonical_json
from zkbench.protocols.language_weights import StackedModel, model_arrays
from zkbench.security import MINIMUM_BITS

SHIPPED_RUN = {"model": "llama-bytes", "positions": 12, "scheme": "whir", "johnson": 0}
RANDOM_RUN = {"model": "opt-tiny", "positions": 11, "scheme": "whir", "johnson": 0}
LATE_RUN = {**RANDOM_RUN, "model": "opt-late"}
CUT_RUN = {**RANDOM_RUN, "segment": 1}
TINY = LanguageModelConfig(
    family="opt",
    vocab=60,
    width=32,
    layers=2,
    heads=2,
    kv_heads=2,
    head_width=16,
    ffn_width=48,
    max_positions=64,
    embedding_width=32,
    tied=True,
    activation="relu",
    attention_bias=True,
    ffn_bias=True,
)
LATE = replace(TINY, norm_first=False, embedding_width=16)  # OPT-350M's shape


@pytest.fixture(scope="module", autouse=True)
def tiny():
    """Published shapes small enough for tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "opt-tiny", TINY)
        patch.setitem(PRESETS, "opt-late", LATE)
        yield


def ready(params: dict[str, Any], seed: int = 0) -> Any:
    case = make_case("language", params, "cpu", seed)
    case.setup()
    return case


def verifier(params: dict[str, Any], seed: int = 0) -> Any:
    case = make_case("language", params, "cpu", seed)
    case.setup_verifier()
    return case


@pytest.fixture(
    scope="module",
    params=[SHIPPED_RUN, RANDOM_RUN, LATE_RUN, CUT_RUN],
    ids=["shipped", "random", "norms last", "in segments"],
)
def proven(request: pytest.FixtureRequest, tiny: None) -> tuple[Any, bytes]:
    """A verifier's case, and an honest proof."""
    proof = ready(request.param).prove(PhaseTimer())
    return verifier(request.param), proof


def parts(returned: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(returned[:4], "little")
    return json.loads(returned[4 : 4 + length]), returned[4 + length :]


def joined(told: bytes, proof: bytes) -> bytes:
    return len(told).to_bytes(4, "little") + told + proof


def test_a_shipped_model_is_proven_here_and_verified_in_another_process() -> None:
    record = run_case("language", SHIPPED_RUN, "cpu", repeats=1)
    assert record["params"] == SHIPPED_RUN
    assert record["values"] == 12
    assert list(record["phases"]) == ["witness", "commit", "lookups", "sumchecks", "opening"]
    assert MINIMUM_BITS <= record["soundness_bits"] < 128
    extra = record["extra"]
    shapes = described_tensors(language_models.config_of("llama-bytes"))
    assert extra["weights"] == sum(prod(shape) for shape, _ in shapes.values())
    assert extra["commit_s"] > 0
    assert extra["cold_commit_s"] > 0
    assert extra["commit_host_peak_bytes"] > 2 * extra["weights"]
    assert extra["forward_with"] == "NumPy, float32"
    assert extra["forward_s"] > 0


def test_the_values_that_are_committed_and_looked_up_are_counted() -> None:
    case = ready(RANDOM_RUN)
    case.prove(PhaseTimer())
    sizes, layers, rows = case._sizes(), TINY.layers, 16
    scores = layers * TINY.heads * rows * rows
    activated = layers * rows * TINY.ffn_width
    assert sizes["table_lookups"] == scores + activated
    # q, k, v, a, o, m and two norms' outputs with their remainders; of an index the remainder alone
    checked = layers * rows * (2 * 8 * TINY.width + TINY.ffn_width) + scores
    checked += 3 * layers * TINY.heads * rows  # both halves of a row's shift, and its sum
    checked += 2 * layers * rows * 12  # limbs of roots and inverses
    checked += 2 * TINY.width + 12 + 3 * TINY.vocab  # the last norm, and the output, of one row
    assert sizes["range_checks"] == checked
    assert sizes["committed_values"] > layers * rows * (8 * TINY.width + TINY.ffn_width) + scores


def test_segments_are_counted_together() -> None:
    cut, whole = ready(CUT_RUN), ready(RANDOM_RUN)
    sizes, all_at_once = cut._sizes(), whole._sizes()
    assert sizes["table_lookups"] == all_at_once["table_lookups"]
    assert sizes["range_checks"] == all_at_once["range_checks"]
    assert sizes["committed_values"] > all_at_once["committed_values"]  # counts, of both segments
    assert len(cut.prove(PhaseTimer())) > len(whole.prove(PhaseTimer()))
    assert cut.soundness_bits() > 100


def test_an_honest_proof_is_accepted(proven: tuple[Any, bytes]) -> None:
    case, returned = proven
    case.verify(returned)
    case.verify(returned)


def test_only_the_proof_itself_counts_as_its_size(proven: tuple[Any, bytes]) -> None:
    case, returned = proven
    assert case.proof_bytes(returned) == len(parts(returned)[1])


def test_the_token_is_that_of_the_integer_model(proven: tuple[Any, bytes]) -> None:
    case, returned = proven
    name, positions = case.params["model"], case.params["positions"]
    trace = integer_model(name, 0).forward(prompt(name, positions, 0))
    assert parts(returned)[0]["chosen"] == trace.output.chosen[0]


@pytest.mark.parametrize("change", ["chosen", "root", "residual", "layer"])
def test_another_public_part_is_rejected(proven: tuple[Any, bytes], change: str) -> None:
    case, returned = proven
    told, proof = parts(returned)
    if change == "chosen":
        told["chosen"] ^= 1
    elif change == "root":
        told["root"] = "0" * 64
    elif change == "residual":
        told["formats"]["epsilon"] += 1
    else:
        told["formats"]["layers"][0]["o"] -= 1
    with pytest.raises(ProofRejected) as rejection:
        case.verify(joined(canonical_json(told), proof))
    if case.name in SHIPPED and change != "chosen":
        assert str(rejection.value) == "the proof is about another model"


def test_another_model_of_the_prover_is_not_the_shipped_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All that is proven is true, of a model with one weight changed."""
    honest = model_arrays

    def arrays(model: Any, *place: Any) -> dict[str, np.ndarray]:
        found = honest(model, *place)
        found["w_q"][0, 0, 0, 0] += 1
        return found

    monkeypatch.setattr(placed_model, "model_arrays", arrays)
    returned = ready(SHIPPED_RUN).prove(PhaseTimer())
    monkeypatch.undo()
    with pytest.raises(ProofRejected, match="the proof is about another model"):
        verifier(SHIPPED_RUN).verify(returned)


def malformed(told: dict[str, Any]) -> list[bytes]:
    formats = told["formats"]
    changes: list[Any] = [[], None, 1, {}, told | {"more": 1}]
    changes += [told | {"root": root} for root in ("", "zz" * 32, told["root"] + "00", 5)]
    changes += [told | {"chosen": chosen} for chosen in (-1, 1 << 40, True, 1.0, "1", None)]
    changes += [told | {"formats": entry} for entry in (None, [], formats | {"layers": []})]
    changes += [told | {"formats": formats | {"tolerance": 0}}]
    texts = [b"", b"{", b"\xff", json.dumps(told).encode() + b" ", b"[" * 100_000]
    return texts + [canonical_json(change) for change in changes]


def test_a_malformed_public_part_is_rejected(proven: tuple[Any, bytes]) -> None:
    case, returned = proven
    told, proof = parts(returned)
    for text in malformed(told):
        with pytest.raises(ProofRejected, match="commitment or the token is malformed"):
            case.verify(joined(text, proof))
    for other in (b"", b"\0", returned[:3], b"\xff" * 8):
        with pytest.raises(ProofRejected):
            case.verify(other)


def test_formats_that_cannot_be_proven_are_rejected(
    proven: tuple[Any, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    case, returned = proven
    told, proof = parts(returned)
    told["formats"]["residual"] += 12
    monkeypatch.setattr(case, "_expected", None)
    with pytest.raises(ProofRejected, match="the model cannot be proven: the residual stream"):
        case.verify(joined(canonical_json(told), proof))


def test_a_changed_proof_is_rejected(proven: tuple[Any, bytes]) -> None:
    case, returned = proven
    told, proof = parts(returned)
    parsed = Proof.from_bytes(proof)
    for k in range(0, len(parsed.messages), 25):
        payload = bytearray(parsed.messages[k].payload)
        payload[len(payload) // 2] ^= 1
        changed = list(parsed.messages)
        changed[k] = Message(changed[k].label, bytes(payload))
        with pytest.raises(ProofRejected):
            case.verify(joined(canonical_json(told), Proof(parsed.header, changed).to_bytes()))
    for other in (b"", proof[:-1], proof + b"\0"):
        with pytest.raises(ProofRejected):
            case.verify(joined(canonical_json(told), other))


@pytest.mark.parametrize(("seed", "change"), [(1, {}), (0, {"positions": 10}), (0, {"johnson": 1})])
def test_a_proof_of_another_statement_is_rejected(seed: int, change: dict[str, int]) -> None:
    returned = ready(RANDOM_RUN | change, seed).prove(PhaseTimer())
    verifier(RANDOM_RUN | change, seed).verify(returned)
    with pytest.raises(ProofRejected, match=r"of another statement|with other parameters"):
        verifier(RANDOM_RUN).verify(returned)


def test_a_changed_prompt_is_rejected() -> None:
    """The prompt is bound, not only named: the same header, another token."""
    case, returned = verifier(RANDOM_RUN), ready(RANDOM_RUN).prove(PhaseTimer())
    case.verify(returned)
    case.tokens[3] = (case.tokens[3] + 1) % TINY.vocab
    with pytest.raises(ProofRejected):
        case.verify(returned)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": "gpt-2"}, f"language: model must be {' or '.join([*SHIPPED, *PRESETS])}"),
        ({"positions": 0}, "language: positions must be an integer from 1 to 16384, not 0"),
        ({"positions": 65}, "language: opt-tiny has 64 positions, not 65"),
        ({"scheme": "ligero", "johnson": 1}, "johnson must be 0 with ligero"),
        ({"layers": 1}, "language: unknown parameter layers"),
        ({"segment": 0}, "language: segment must be an integer from 1 to 40, not 0"),
        ({"segment": 3}, "language: opt-tiny has 2 layers, not 3"),
    ],
)
def test_bad_parameters_get_a_sentence(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnusableInput, match=re.escape(reason)):
        make_case("language", RANDOM_RUN | change, "cpu", 0)


# Models and prompts.


def test_a_shipped_prompt_is_held_out_text() -> None:
    tokens = prompt("opt-bytes", 100, seed=5)
    assert bytes(tokens.tolist()) == held_out_text().encode()[:100]
    assert bytes(tokens.tolist()).decode() not in training_text()


def test_a_random_prompt_follows_from_the_seed() -> None:
    first, again, other = (prompt("opt-tiny", 50, seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    assert 0 <= first.min() <= first.max() < TINY.vocab


@pytest.mark.parametrize("name", ["llama-bytes", "opt-tiny", "opt-late"])
def test_the_tensors_of_a_stacked_model_are_views_of_what_is_committed(name: str) -> None:
    model = integer_model(name, 3)
    arrays = model_arrays(model)
    stacked = StackedModel(model, arrays)
    for tensor in described_tensors(model.config):
        view = stacked.tensor(tensor)
        np.testing.assert_array_equal(view, model.tensor(tensor))
        assert any(np.shares_memory(view, array) for array in arrays.values())


# The plain forward pass beside the proof.


@pytest.mark.parametrize("name", [*SHIPPED, "opt-late"])
def test_the_forward_pass_in_pytorch_is_the_float_models(name: str) -> None:
    torch = pytest.importorskip("torch")
    from zkbench.bench.torch_forward import TorchLanguageModel

    weights: Any = Checkpoint(shipped(name)) if name in SHIPPED else RandomWeights(LATE, 1)
    tokens = prompt(name, 40, 0)

    def tensor(name: str) -> Any:
        return torch.from_numpy(weights.tensor(name).astype(np.float32))

    found = TorchLanguageModel(weights.config, tensor).logits(torch.from_numpy(tokens))
    expected = FloatLanguageModel(weights, np.float32).logits(tokens[None])[0, -1]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


@pytest.mark.gpu
def test_a_gpu_makes_the_same_proof() -> None:
    on_gpu = make_case("language", RANDOM_RUN, "cuda", 0)
    on_gpu.setup()
    assert on_gpu.prove(PhaseTimer()) == ready(RANDOM_RUN).prove(PhaseTimer())
    assert on_gpu.device_memory_peak() > 0


# Names and sizes in tables and figures.


@pytest.mark.parametrize(
    ("model", "printed", "parameters"),
    [
        ("opt-125m", "OPT-125M", 125e6),
        ("opt-1.3b", "OPT-1.3B", 1.3e9),
        ("llama-2-13b", "LLaMA-2-13B", 13e9),
        ("llama-bytes", "LLaMA-bytes", None),
        ("gpt-2", "GPT-2", None),
    ],
)
def test_models_are_called_what_readers_call_them(model, printed, parameters) -> None:
    assert printed_name(model) == printed
    assert nominal_parameters(printed) == parameters
    assert nominal_parameters("ZKML 7B") == 7e9
