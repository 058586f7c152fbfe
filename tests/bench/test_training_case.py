"""The benchmark of training: its statement, its verifier, what its record says.

Not tested here: that data of the largest shapes stays in range; a run that leaves it gives no record.
"""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic_records import make_record, make_training, make_trainings

from zkbench.bench import training_case
from zkbench.bench.cases import make_case
from zkbench.bench.records import flatten
from zkbench.bench.runner import run_case
from zkbench.bench.timers import PhaseTimer
from zkbench.bench.training_case import random_rule
from zkbench.bench.training_records import aggregated, model_name, sweep, training_records
from zkbench.errors import UnusableInput
from zkbench.kernels.launch import cpu_target
from zkbench.models.training.batches import batch_rows
from zkbench.models.training.float_training import initial_model
from zkbench.models.training.integer_training import TrainingState, train_step
from zkbench.models.training.training_data import random_data
from zkbench.proof import Message, Proof, ProofRejected, canonical_json
from zkbench.security import MINIMUM_BITS
from zkbench.training_run import commit_data, commit_state

STACKED = {
    "depth": 2,
    "width": 5,
    "inputs": 4,
    "outputs": 3,
    "batch": 4,
    "samples": 9,
    "steps": 3,
    "segment": 3,
    "loss": "square",
    "momentum": 0,
    "variant": "stacked",
}
SOFTMAX = STACKED | {"loss": "cross-entropy", "momentum": 3686, "segment": 2}
SEQUENTIAL = STACKED | {"variant": "sequential", "segment": 1, "steps": 2}
BITS = SOFTMAX | {"relu": "bits"}
RUNS = {"stacked": STACKED, "softmax, two segments": SOFTMAX, "sequential": SEQUENTIAL}
RUNS |= {"bits": BITS}


def ready(params: dict[str, Any], seed: int = 0, on: str = "cpu") -> Any:
    case = make_case("training", params, on, seed)
    case.setup()
    return case


def verifier(params: dict[str, Any], seed: int = 0) -> Any:
    return make_case("training", params, "cpu", seed)


@pytest.fixture(scope="module", params=RUNS.values(), ids=RUNS)
def proven(request: pytest.FixtureRequest) -> tuple[Any, bytes]:
    """A verifier's case, and an honest proof."""
    proof = ready(request.param).prove(PhaseTimer())
    return verifier(request.param), proof


def parts(returned: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(returned[:4], "little")
    return json.loads(returned[4 : 4 + length]), returned[4 + length :]


def joined(told: bytes, proof: bytes) -> bytes:
    return len(told).to_bytes(4, "little") + told + proof


def all_steps(case: Any) -> tuple[Any, list[Any], TrainingState]:
    """(data, traces, last state): the run of a case, step by step."""
    plan = case.plan
    data = random_data(plan.rule, plan.samples, case.seed)
    state = TrainingState.from_floats(initial_model(plan.rule.dims, case.seed + 2), plan.rule)
    traces = []
    for rows in batch_rows(case.seed, plan.samples, plan.rule.batch, 0, plan.steps):
        trace, state = train_step(plan.rule, state, *(part[rows] for part in data))
        traces.append(trace)
    return data, traces, state


@pytest.mark.parametrize("params", [STACKED, SEQUENTIAL], ids=["stacked", "sequential"])
def test_a_run_is_proven_here_and_verified_in_another_process(params: dict[str, Any]) -> None:
    record = run_case("training", params, "cpu", seed=2, repeats=2)
    assert record["params"] == params
    assert record["values"] == params["steps"]
    assert list(record["phases"]) == ["witness", "commit", "lookups", "sumchecks", "opening"]
    assert MINIMUM_BITS <= record["soundness_bits"] < 128
    assert record["extra"]["parameters"] == 5 * 5 + 6 * 5 + 6 * 3
    assert record["extra"]["commit_s"] > 0


def test_an_honest_proof_is_accepted(proven: tuple[Any, bytes]) -> None:
    case, returned = proven
    case.verify(returned)
    case.verify(returned)


def test_the_roots_are_those_of_the_data_and_of_the_trained_weights(
    proven: tuple[Any, bytes],
) -> None:
    case, returned = proven
    data, _, last = all_steps(case)
    where = cpu_target()
    expected = {"data": commit_data(case.plan, *data, where)}
    expected["last"] = commit_state(case.plan, last, "last", where)
    told = parts(returned)[0]["roots"]
    assert set(told) == {"data", "first", "last"}
    for name, committed in expected.items():
        assert told[name] == committed.commitment.root.hex()


def test_every_segment_has_a_proof_and_joins_the_next(proven: tuple[Any, bytes]) -> None:
    case, returned = proven
    told, proof = parts(returned)
    messages = Proof.from_bytes(proof).messages
    segments = -(-case.params["steps"] // case.params["segment"])
    assert [message.label for message in messages] == segments * ["state", "segment"]
    assert messages[-2].payload.hex() == told["roots"]["last"]
    assert case.proof_bytes(returned) == len(proof)


def test_the_values_that_are_committed_and_looked_up_are_counted() -> None:
    case, table = ready(STACKED), 1 << 16
    case.prove(PhaseTimer())
    extra, steps, batch = case.extra(), 3, 4
    weights, biases = 4 * 5 + 5 * 5 + 5 * 3, 5 + 5 + 3
    hidden, outputs = 2 * batch * 5, batch * 3
    witness = steps * (hidden + outputs + hidden + weights + biases)  # y, d, u, v
    pushed = 2 * 2 * table  # of ReLU and of its sign, in two columns
    assert extra["committed_values"] == witness + table + pushed
    checked = 2 * witness - steps * hidden  # with remainders; hidden y are ReLU's indices
    checked += steps * batch * (4 + 3)  # samples
    checked += 2 * 2 * (weights + biases)  # limbs of the first state and of the last
    assert extra["range_checks"] == checked
    assert extra["table_lookups"] == 2 * steps * hidden


def test_sequential_proofs_are_of_one_step_and_layers_on_their_own() -> None:
    case = verifier(SEQUENTIAL)
    segment = case._cut.program(1)
    assert (segment.steps, [stack.layers for stack in segment.stacks]) == (1, [(0,), (1,), (2,)])
    deep = verifier(STACKED | {"depth": 6})._cut.program(0)
    assert [stack.layers for stack in deep.stacks] == [(0,), (1, 2, 3, 4, 5), (6,)]


@pytest.mark.parametrize(("loss", "bits"), [("square", {16}), ("cross-entropy", {14, 16, 18})])
def test_rescalings_drop_as_many_bits_whatever_the_size(loss: str, bits: set[int]) -> None:
    for dims, batch in (((7, 5, 5, 3), 4), ((3072, *[1024] * 8, 10), 64)):
        rule = random_rule(dims, loss, batch, 0)
        layers = range(rule.depth)
        shifts = {rule.forward_shift(l) for l in layers} | {rule.update_shift(l) for l in layers}
        assert shifts | {rule.backward_shift(l) for l in layers[1:]} == bits


@pytest.mark.parametrize("loss", ["square", "cross-entropy"])
@pytest.mark.parametrize("change", [{}, {"depth": 8}, {"width": 16}, {"width": 200, "batch": 64}])
def test_random_data_keeps_training_well_within_its_range(
    change: dict[str, int], loss: str
) -> None:
    shape = {"depth": 2, "width": 64, "inputs": 64, "outputs": 10, "batch": 16, "samples": 256}
    momentum = 0 if loss == "square" else 3686
    case = verifier(STACKED | shape | {"steps": 40, "loss": loss, "momentum": momentum} | change)
    _, traces, _ = all_steps(case)
    for trace in traces:
        for values in (*trace.quotients, *trace.errors[:-1], *trace.updates, *trace.bias_updates):
            assert np.abs(values.astype(int)).max() < 1 << 13
        assert all(np.count_nonzero(update) for update in trace.updates)


@pytest.mark.parametrize("name", ["data", "first", "last"])
def test_another_root_is_rejected(proven: tuple[Any, bytes], name: str) -> None:
    case, returned = proven
    told, proof = parts(returned)
    told["roots"][name] = f"{1 ^ int(told['roots'][name][0], 16):x}" + told["roots"][name][1:]
    with pytest.raises(ProofRejected, match="the proof is of another statement"):
        case.verify(joined(canonical_json(told), proof))


def test_a_step_that_was_not_taken_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prover that is honest but for keeping the weights behind its second step."""
    steps = []

    def lazy(rule: Any, state: Any, inputs: Any, targets: Any) -> tuple[Any, Any]:
        trace, behind = train_step(rule, state, inputs, targets)
        steps.append(trace)
        return trace, state if len(steps) == 2 else behind

    monkeypatch.setattr(training_case, "train_step", lazy)
    returned = ready(STACKED).prove(PhaseTimer())
    assert len(steps) == STACKED["steps"]
    with pytest.raises(ProofRejected):
        verifier(STACKED).verify(returned)


def malformed(told: dict[str, Any]) -> list[bytes]:
    roots = told["roots"]
    changes: list[Any] = [[], None, 1, {}, told | {"more": 1}, {"roots": None}, {"roots": []}]
    changes += [{"roots": roots | {"more": roots["data"]}}, {"roots": {"data": roots["data"]}}]
    bad = ("", "zz" * 32, roots["data"].upper() + "0", roots["data"] + "00", 5, None)
    changes += [{"roots": roots | {"last": root}} for root in bad]
    texts = [b"", b"{", b"\xff", json.dumps(told).encode() + b" ", b"[" * 100_000]
    return texts + [canonical_json(change) for change in changes]


def test_malformed_roots_are_rejected(proven: tuple[Any, bytes]) -> None:
    case, returned = proven
    told, proof = parts(returned)
    for text in malformed(told):
        with pytest.raises(ProofRejected, match="the roots of the run are malformed"):
            case.verify(joined(text, proof))
    for other in (b"", b"\0", returned[:3], b"\xff" * 8):
        with pytest.raises(ProofRejected):
            case.verify(other)


def test_a_changed_proof_is_rejected(proven: tuple[Any, bytes]) -> None:
    case, returned = proven
    told, proof = parts(returned)
    outer = Proof.from_bytes(proof)
    for k, message in enumerate(outer.messages):
        for position in (0, len(message.payload) // 2, len(message.payload) - 1):
            payload = bytearray(message.payload)
            payload[position] ^= 1
            changed = list(outer.messages)
            changed[k] = Message(message.label, bytes(payload))
            with pytest.raises(ProofRejected):
                case.verify(joined(canonical_json(told), Proof(outer.header, changed).to_bytes()))
    for other in (b"", proof[:-1], proof + b"\0"):
        with pytest.raises(ProofRejected):
            case.verify(joined(canonical_json(told), other))


CHANGES = [
    {"steps": 2, "segment": 2},
    {"segment": 2},
    {"samples": 8},
    {"batch": 3},
    {"momentum": 5},
]
CHANGES += [{"loss": "cross-entropy"}, {"variant": "sequential", "segment": 1}, {"width": 6}]


@pytest.mark.parametrize(("seed", "change"), [(1, {}), *((0, change) for change in CHANGES)])
def test_a_proof_of_another_statement_is_rejected(seed: int, change: dict[str, Any]) -> None:
    returned = ready(STACKED | change, seed).prove(PhaseTimer())
    verifier(STACKED | change, seed).verify(returned)
    with pytest.raises(ProofRejected, match="the proof is of another statement"):
        verifier(STACKED).verify(returned)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"depth": 0}, "training: depth must be an integer from 1 to 256, not 0"),
        ({"loss": "hinge"}, "training: loss must be square or cross-entropy, not 'hinge'"),
        ({"variant": "both"}, "training: variant must be stacked or sequential, not 'both'"),
        ({"momentum": 4096}, "training: momentum must be an integer from 0 to 4095, not 4096"),
        ({"batch": 10}, "training: batch must be at most samples, 9, not 10"),
        ({"segment": 4}, "training: segment must be at most steps"),
        ({"variant": "sequential"}, "training: segment must be 1 with sequential"),
        ({"layers": 1}, "training: unknown parameter layers"),
    ],
)
def test_bad_parameters_get_a_sentence(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnusableInput, match=re.escape(reason)):
        make_case("training", STACKED | change, "cpu", 0)


@pytest.mark.gpu
@pytest.mark.parametrize("params", RUNS.values(), ids=RUNS)
def test_a_gpu_makes_the_same_proof(params: dict[str, Any]) -> None:
    on_gpu = ready(params, on="cuda")
    assert on_gpu.prove(PhaseTimer()) == ready(params).prove(PhaseTimer())
    assert on_gpu.device_memory_peak() > 0


# Records in tables and figures.


def table_of(records: list[Any]) -> pd.DataFrame:
    return training_records(pd.DataFrame([flatten(record) for record in records]))


def test_costs_of_a_step_are_those_of_the_run_over_its_steps() -> None:
    record = make_training(STACKED | {"steps": 8}, "cpu")
    (row,) = table_of([make_record(), record]).to_dict("records")
    median = np.median(record["samples"]["prove_s"])
    assert row["step_s"] == pytest.approx(median / 8)
    assert (row["step_s_min"], row["step_s_max"]) == pytest.approx(
        (0.9 * median / 8, 0.15 * median)
    )
    assert row["step_bytes"] == record["proof_bytes"] / 8
    assert row["model"] == "4-5x2-3"


def test_proofs_by_bits_are_records_of_their_own() -> None:
    records = [make_training(STACKED | more, "cpu") for more in ({"relu": "bits"}, {})]
    rows = pd.DataFrame([flatten(record) for record in records])
    assert training_records(rows)["relu"].tolist() == ["table"]
    assert training_records(rows, with_bits=True)["relu"].tolist() == ["table", "bits"]


def test_there_may_be_no_records_of_training() -> None:
    assert table_of([make_record()]).empty


def test_a_sweep_has_what_differs_in_one_parameter_alone() -> None:
    rows = aggregated(table_of(make_trainings("cuda")))
    stacked = rows[rows["param_variant"] == "stacked"]
    for name, sizes in {"depth": [8, 16], "width": [1024, 2048], "steps": [1, 16, 32]}.items():
        found = sweep(stacked, name)
        assert list(found[f"param_{name}"]) == sizes
        others = {"depth", "width", "steps", "batch"} - {name}
        if name != "steps":
            assert {found["param_steps"].iloc[0], *found["param_steps"]} == {16}
        assert all(found[f"param_{other}"].nunique() == 1 for other in others)


def test_steps_in_several_stacks_are_not_among_the_aggregated() -> None:
    rows = table_of([make_record("training", SOFTMAX, 3), make_record("training", SEQUENTIAL, 2)])
    assert list(aggregated(rows)["param_variant"]) == ["sequential"]


def test_models_are_named_by_their_widths() -> None:
    assert model_name(3072, 1024, 8, 10) == "3072-1024x8-10"
    assert model_name(64, 32, 1, 10) == "64-32-10"
