"""The microbenchmarks: each runs, is verified in another process, and accepts nothing else."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases.rotary import rotated
from definitions import axis_weights, mle, total

from zkbench.bench.cases import CASES, make_case
from zkbench.bench.commitment_case import estimated_opening_bytes
from zkbench.bench.inputs import extension
from zkbench.bench.runner import run_case
from zkbench.bench.sheet import read_sheet
from zkbench.bench.timers import PhaseTimer
from zkbench.errors import UnusableInput
from zkbench.proof import Message, Proof, ProofRejected
from zkbench.security import MINIMUM_BITS

ROOT = Path(__file__).parents[2]
SHEET = ROOT / "experiments" / "microbench.csv"
SMALL: dict[str, dict[str, Any]] = {
    "tlookup": {"log_values": 5, "log_table": 3},
    "tlookup_inverses": {"log_values": 5, "log_table": 3},
    "matmul": {"num_layers": 3, "batch": 4, "d_in": 7, "d_out": 5},
    "hadamard": {"log_values": 5},
    "rescale": {"log_values": 5, "shift": 12},
    "relu": {"log_values": 5},
    "commitment": {"log_values": 5, "scheme": "whir", "johnson": 0},
    "zkattn": {"num_layers": 2, "heads": 4, "kv_heads": 2, "positions": 12, "head_dim": 6},
    "rotary": {"num_layers": 2, "heads": 3, "positions": 12, "head_dim": 6},
    "rmsnorm": {"num_layers": 2, "rows": 5, "width": 11},
    "zkrelu": {"log_values": 5, "shift": 3, "variant": "bits"},
}
VALUES = {
    "matmul": 3 * 4 * 7 * 5,
    "zkattn": 2 * 4 * 12 * 13 // 2,
    "rotary": 2 * 3 * 12 * 6,
    "rmsnorm": 2 * 5 * 11,
}
MORE = [
    ("tlookup", {"log_values": 0, "log_table": 16}),
    ("tlookup_inverses", {"log_values": 0, "log_table": 1}),
    ("matmul", {"num_layers": 1, "batch": 1, "d_in": 1, "d_out": 1}),
    ("hadamard", {"log_values": 0}),
    ("rescale", {"log_values": 0, "shift": 1}),
    ("rescale", {"log_values": 12, "shift": 16}),
    ("relu", {"log_values": 0}),
    ("commitment", {"log_values": 0, "scheme": "whir", "johnson": 0}),
    ("commitment", {"log_values": 12, "scheme": "whir", "johnson": 1}),
    ("commitment", {"log_values": 9, "scheme": "ligero", "johnson": 0}),
    ("zkattn", {"num_layers": 1, "heads": 1, "kv_heads": 1, "positions": 1, "head_dim": 1}),
    ("zkattn", {"num_layers": 1, "heads": 6, "kv_heads": 2, "positions": 130, "head_dim": 8}),
    ("rotary", {"num_layers": 1, "heads": 1, "positions": 1, "head_dim": 2}),
    ("rotary", {"num_layers": 3, "heads": 5, "positions": 130, "head_dim": 10}),
    ("rmsnorm", {"num_layers": 1, "rows": 1, "width": 1}),
    ("rmsnorm", {"num_layers": 3, "rows": 37, "width": 130}),
    ("zkrelu", {"log_values": 0, "shift": 1, "variant": "bits"}),
    ("zkrelu", {"log_values": 9, "shift": 16, "variant": "bits"}),
    ("zkrelu", {"log_values": 0, "shift": 1, "variant": "table"}),
    ("zkrelu", {"log_values": 9, "shift": 16, "variant": "table"}),
]
PHASES = {
    "tlookup": ["witness", "lookups"],
    "tlookup_inverses": ["witness", "commit", "lookups", "opening"],
    "matmul": ["sumchecks"],
    "hadamard": ["sumchecks"],
    "rescale": ["witness", "lookups", "sumchecks"],
    "relu": ["commit", "lookups", "opening"],
    "commitment": ["commit", "opening"],
    "zkattn": ["witness", "commit", "lookups", "sumchecks", "opening"],
    "rotary": ["sumchecks"],
    "rmsnorm": ["witness", "lookups", "sumchecks"],
    "zkrelu": ["witness", "commit", "sumchecks", "opening"],
}
EACH = pytest.mark.parametrize("name", SMALL)


def ready(name: str, params: dict[str, Any] | None = None, seed: int = 0, on: str = "cpu") -> Any:
    case = make_case(name, params or SMALL[name], on, seed)
    case.setup()
    return case


def prove(case: Any) -> bytes:
    proof: bytes = case.prove(PhaseTimer())
    return proof


@EACH
def test_a_case_is_proven_here_and_verified_in_another_process(name: str) -> None:
    record = run_case(name, SMALL[name], "cpu", seed=3, repeats=2)
    assert record["params"] == SMALL[name]
    assert (record["benchmark"], record["field"], record["seed"]) == (name, "goldilocks", 3)
    assert record["values"] == VALUES.get(name, 32)
    assert list(record["phases"]) == PHASES[name]
    assert sum(phase[0] for phase in record["phases"].values()) <= record["samples"]["prove_s"][0]
    assert MINIMUM_BITS <= record["soundness_bits"] < 128


@pytest.mark.parametrize(("name", "params"), MORE)
def test_other_sizes_are_proven_and_verified(name: str, params: dict[str, Any]) -> None:
    proof = prove(ready(name, params, seed=1))
    verifier = make_case(name, params, "cpu", 1)
    verifier.setup_verifier()
    verifier.verify(proof)


@pytest.mark.gpu
@EACH
def test_a_gpu_makes_the_same_proof(name: str) -> None:
    on_gpu = ready(name, on="cuda")
    assert prove(on_gpu) == prove(ready(name))
    assert on_gpu.device_memory_peak() > 0


@EACH
def test_a_changed_proof_is_rejected(name: str) -> None:
    case = ready(name)
    proof = prove(case)
    case.verify(proof)
    parsed = Proof.from_bytes(proof)
    for k, message in enumerate(parsed.messages):
        size = len(message.payload)
        for position in {0, size // 2, size - 1} if size else ():
            payload = bytearray(message.payload)
            payload[position] ^= 1
            changed = list(parsed.messages)
            changed[k] = Message(message.label, bytes(payload))
            with pytest.raises(ProofRejected):
                case.verify(Proof(parsed.header, changed).to_bytes())
    for other in (b"", proof[:-1], proof + b"\0"):
        with pytest.raises(ProofRejected):
            case.verify(other)


@EACH
def test_a_proof_of_another_statement_is_rejected(name: str) -> None:
    case = ready(name)
    changes = {"seed": 1, "params": {**SMALL[name], next(iter(SMALL[name])): 4}}
    for key, value in changes.items():
        arguments = {"params": SMALL[name], "seed": 0} | {key: value}
        with pytest.raises(ProofRejected, match="the proof is of another statement"):
            case.verify(prove(ready(name, **arguments)))


@EACH
def test_a_proof_of_other_inputs_is_rejected_also_after_an_honest_one(name: str) -> None:
    """A prover that proves something true, but of inputs that it chose itself."""
    case, liar = ready(name), ready(name)
    other = np.random.Generator(np.random.PCG64(1))
    liar.draw = lambda _: type(liar).draw(liar, other)
    liar.setup()
    honest, forged = prove(case), prove(liar)
    for _ in range(2):
        case.verify(honest)
        with pytest.raises(ProofRejected, match="the proof is not about the"):
            case.verify(forged)
    liar.verify(forged)  # what it proves is true of its own inputs


@EACH
def test_inputs_are_compared_once_a_proof(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = ready(name)
    proof, compared = prove(case), []
    monkeypatch.setattr(case, "_compare", compared.append)
    for _ in range(3):
        case.verify(proof)
    assert len(compared) == 1
    assert compared[0]


# The claims that set-up works out, against their definition.


def test_the_claim_of_matmul_is_on_the_product() -> None:
    case = ready("matmul")
    product = case.inputs["inputs"].astype(object) @ case.inputs["weights"].astype(object)
    assert case.claimed == mle(list(product.reshape(-1)), (3, 4, 5), case.first_point((3, 4, 5)))


def test_the_claim_of_hadamard_is_on_the_product() -> None:
    case = ready("hadamard")
    left, right = (values.tolist() for values in case.inputs.values())
    product = [a * b for a, b in zip(left, right, strict=True)]
    assert case.claimed == mle(product, (32,), case.first_point((32,)))


def test_the_claim_of_rotary_is_on_the_rotated() -> None:
    case = ready("rotary")
    tables, shape = case.tables, case.shape
    angles = (tuple(tables.cos.reshape(-1).tolist()), tuple(tables.sin.reshape(-1).tolist()))
    result = rotated(tuple(case.inputs["values"].reshape(-1).tolist()), angles, shape)
    assert case.claimed == mle(result, shape, case.first_point(shape))


def test_the_claim_of_relu_is_on_its_output() -> None:
    case = ready("relu")
    outputs = [max(value, 0) for value in case.inputs["values"].tolist()]
    assert case.claimed == mle(outputs, (32,), case.first_point((32,)))


def test_the_accumulators_of_rescale_give_quotients_and_remainders() -> None:
    inputs = ready("rescale").inputs
    shifted = inputs["accumulators"] + (1 << 11)
    assert (shifted >> 12 == inputs["quotients"]).all()
    assert (shifted & 4095 == inputs["remainders"]).all()


def test_the_extension_of_wide_integers_vs_python_int() -> None:
    case = ready("hadamard", {"log_values": 6})
    for shape in [(64,), (4, 16), (12,), (3, 5)]:
        rng = np.random.default_rng(len(shape))
        values = rng.integers(-(2**32) + 1, 2**32, shape)
        points = case.first_point(shape)
        weights = axis_weights(shape, points)
        expected = total([w * v for w, v in zip(weights, values.reshape(-1).tolist(), strict=True)])
        assert extension(values, points) == expected


# What records say of a commitment.


@pytest.mark.parametrize("log_values", [10, 16])
@pytest.mark.parametrize(("scheme", "johnson"), [("whir", 0), ("whir", 1), ("ligero", 0)])
def test_the_expected_size_of_an_opening_is_that_of_a_proof(
    scheme: str, johnson: int, log_values: int
) -> None:
    case = ready("commitment", {"log_values": log_values, "scheme": scheme, "johnson": johnson})
    proof = prove(case)
    extra, expected = case.extra(), estimated_opening_bytes(case.scheme, case.values)
    assert 0.75 * expected < extra["opening_bytes"] < 1.05 * expected  # paths share digests
    assert 0 < len(proof) - extra["opening_bytes"] < 2000  # header, labels and root


def test_the_sizes_of_a_commitment_are_recorded() -> None:
    case = ready("commitment", {"log_values": 12, "scheme": "ligero", "johnson": 0})
    case.prove(PhaseTimer())
    sizes = case.extra()
    assert sizes["num_columns"] << sizes["log_rows"] == 1 << 12
    assert sizes["queries"] == case.scheme.queries
    assert sizes["value_bytes"] == 2 << 12


# Parameters, and the lists of what is measured.


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"log_tables": 8}, "tlookup: unknown parameter log_tables; known: log_values, log_table"),
        ({"log_values": None}, "tlookup: the parameter log_values is missing"),
        ({"log_table": 17}, "tlookup: log_table must be an integer from 1 to 16, not 17"),
        ({"log_table": 0}, "tlookup: log_table must be an integer from 1 to 16, not 0"),
        ({"log_values": 33}, "tlookup: log_values must be an integer from 0 to 32, not 33"),
        ({"log_values": "8"}, "tlookup: log_values must be an integer from 0 to 32, not '8'"),
        ({"log_values": 8.0}, "tlookup: log_values must be an integer from 0 to 32, not 8.0"),
        ({"log_values": True}, "tlookup: log_values must be an integer from 0 to 32, not True"),
    ],
)
def test_bad_parameters_get_a_sentence(change: dict[str, Any], reason: str) -> None:
    params = {"log_values": 8, "log_table": 8} | change
    params = {key: value for key, value in params.items() if value is not None}
    with pytest.raises(UnusableInput, match=f"^{re.escape(reason)}$"):
        make_case("tlookup", params, "cpu", 0)


@EACH
def test_every_parameter_is_required(name: str) -> None:
    for key in SMALL[name]:
        params = {k: v for k, v in SMALL[name].items() if k != key}
        with pytest.raises(UnusableInput, match=f"{name}: the parameter {key} is missing"):
            make_case(name, params, "cpu", 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"scheme": "kzg"}, "commitment: scheme must be whir or ligero, not 'kzg'"),
        ({"scheme": 1}, "commitment: scheme must be whir or ligero, not 1"),
        ({"johnson": True}, "commitment: johnson must be an integer from 0 to 1, not True"),
        (
            {"scheme": "ligero", "johnson": 1},
            "johnson must be 0 with ligero, which decodes uniquely",
        ),
    ],
)
def test_schemes_that_there_are_not_get_a_sentence(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnusableInput, match=f"^{re.escape(reason)}$"):
        make_case("commitment", SMALL["commitment"] | change, "cpu", 0)


def test_an_odd_head_dim_of_rotary_gets_a_sentence() -> None:
    with pytest.raises(UnusableInput, match="rotary: head_dim must be even, not 5"):
        make_case("rotary", SMALL["rotary"] | {"head_dim": 5}, "cpu", 0)


def test_parameters_must_be_an_object() -> None:
    with pytest.raises(UnusableInput, match="the parameters must be an object with log_values"):
        make_case("hadamard", [14], "cpu", 0)  # type: ignore[arg-type]


def test_the_sheet_holds_every_microbenchmark_with_usable_parameters() -> None:
    rows = read_sheet(SHEET)
    for row in rows:
        assert make_case(row.benchmark, row.params, row.target, 0).params == row.params
    assert {row.benchmark for row in rows} == {*SMALL, "language", "training"}
    assert set(SMALL) < set(CASES)


def test_every_benchmark_has_a_small_size_to_be_timed_at() -> None:
    sizes = runpy.run_path(str(ROOT / "benchmarks" / "bench_cases.py"))["SIZES"]
    own = {name for name, case in CASES.items() if case.__module__.startswith("zkbench.")}
    assert set(sizes) == own - {"inference"}
    for name, params in sizes.items():
        assert make_case(name, params, "cpu", 0).params == params


def test_the_proofs_of_the_sheet_are_sound_enough() -> None:
    """Language models are tested on their own: their protocol depends on number formats."""
    for row in (row for row in read_sheet(SHEET) if row.benchmark != "language"):
        case = make_case(row.benchmark, row.params, row.target, 0)
        assert case.soundness_bits() >= MINIMUM_BITS, str(row)
