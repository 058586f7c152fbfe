"""A commitment that is encoded, hashed, read and opened in pieces is the same commitment."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from brute_force import random_functional, true_claim
from dry_target import DryTarget
from hypothesis import given, settings
from hypothesis import strategies as st
from targets import EACH_TARGET

from zkbench.commitments.claims import AxisWeights, Claim, EqAxis, OnesAxis, Sparse, VectorAxis
from zkbench.commitments.dense import DenseVector
from zkbench.commitments.layout import Layout
from zkbench.commitments.ligero import Ligero
from zkbench.commitments.rows import HashedRows, RecomputedRows
from zkbench.commitments.unification import Unification
from zkbench.commitments.whir import Whir
from zkbench.commitments.windows import factoring_bits, split
from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.kernels.launch import CpuTarget, cpu_target
from zkbench.kernels.launch import target as find_target
from zkbench.kernels.ntt import encode
from zkbench.kernels.ntt_rows import encoded_rows
from zkbench.proof import Proof
from zkbench.transcript import ProverTranscript, VerifierTranscript

E = FIELD.element
SCHEMES = [
    Ligero(FIELD, queries=24, grinding_bits=4, log_rows=5),
    Whir(security_bits=20, grinding_bits=2, log_fold=2, num_rounds=2, log_rows=7),
]
# From one block of the hash, and one block of values a piece, to everything at once.
WORKSPACES = [1, 1 << 16, 1 << 18, 1 << 30]


def _tensors(kind: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(11)
    tensors = {
        "weights": rng.integers(-(2**15), 2**15, (3, 40, 64)),
        "bias": rng.integers(-(2**15), 2**15, (3, 10)),
        "scale": rng.integers(-(2**15), 2**15, ()),
        "wide": rng.integers(-(2**15), 2**15, (5, 1024)),
    }
    types = {"int16": [np.int16] * 4, "int32": [np.int32] * 4, "mixed": [np.int16, np.int64] * 2}
    pairs = zip(tensors.items(), types[kind], strict=True)
    return {name: np.asarray(tensor, dtype) for (name, tensor), dtype in pairs}


def _claims(tensors: dict[str, np.ndarray]) -> list:
    rng = np.random.default_rng(12)
    claims = [
        true_claim(name, tensor, random_functional(rng, tensor.shape))
        for name, tensor in tensors.items()
        for _ in range(2)
    ]
    sparse = Sparse((0, 77, 5119), (E(5), E(1, 2), E(3)))
    return [*claims, true_claim("wide", tensors["wide"], sparse)]


def _proof(scheme, target, tensors, shapes, claims) -> tuple[bytes, object]:
    data = scheme.commit(target, tensors, shapes)
    transcript = ProverTranscript(FIELD)
    transcript.send_bytes("root", data.commitment.root)
    scheme.prove(transcript, target, [(data, claims)])
    return transcript.finish(), data


@pytest.mark.parametrize("kind", ["int16", "int32", "mixed"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_same_proof_for_every_workspace(scheme, kind):
    tensors = _tensors(kind)
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    claims, proofs, rows = _claims(tensors), set(), set()
    for workspace in WORKSPACES:
        proof, data = _proof(scheme, CpuTarget(2, workspace), tensors, shapes, claims)
        proofs.add(proof)
        rows.add(type(data.rows))
    assert len(proofs) == 1
    assert rows == {RecomputedRows, HashedRows}
    transcript = VerifierTranscript(FIELD, Proof.from_bytes(proofs.pop()))
    commitment = scheme.commitment(transcript.receive_bytes("root", 32), shapes)
    scheme.verify(transcript, [(commitment, claims)])
    transcript.finish()


@EACH_TARGET
@pytest.mark.parametrize("workspace", WORKSPACES)
def test_same_proof_wherever_the_values_lie(tmp_path, target_name, workspace):
    """On the target, on the host, or in files, on either target."""
    tensors = _tensors("int16")
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    claims = _claims(tensors)
    expected, _ = _proof(SCHEMES[1], cpu_target(), tensors, shapes, claims)
    target = CpuTarget(2, workspace)
    if target_name == "cuda":
        target = type(find_target("cuda"))(workspace)
    mapped = {}
    for name, tensor in tensors.items():
        np.save(tmp_path / f"{name}.npy", tensor)
        mapped[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    there = {name: target.to_device(tensor) for name, tensor in tensors.items()}
    for where in (tensors, mapped, there, {**mapped, "wide": there["wide"]}):
        assert _proof(SCHEMES[1], target, where, shapes, claims)[0] == expected


def test_a_tensor_of_the_target_is_not_copied():
    values = np.arange(1 << 12, dtype=np.int16)
    dense = DenseVector(CpuTarget(1, 1), FIELD, Layout.of({"x": (1 << 12,)}), {"x": values})
    assert np.shares_memory(dense.piece(0, 1 << 12), values)


def test_while_it_is_opened_a_vector_of_the_host_is_on_a_gpu_as_far_as_there_is_room():
    sizes = {"a": 1 << 20, "b": 1 << 21, "c": 1 << 20}
    tensors = {name: np.zeros(size, dtype=np.int16) for name, size in sizes.items()}
    target = DryTarget(1 << 30)
    target.workspace_bytes = 6 << 20  # three quarters of it are 4.5 MiB: a and c are 2 MiB each
    dense = DenseVector(
        target, FIELD, Layout.of({n: (size,) for n, size in sizes.items()}), tensors
    )
    for failure in (None, RuntimeError):
        with suppress(RuntimeError), dense.held():
            assert target.in_use == 4 << 20
            assert target.workspace_bytes == 2 << 20
            held = target.in_use
            assert dense.piece(0, 1 << 20).size == 1 << 20
            assert target.in_use == held
            if failure is not None:
                raise failure
        assert (target.in_use, target.workspace_bytes) == (0, 6 << 20)


@pytest.mark.parametrize("kind", ["int16", "mixed"])
def test_pieces_are_short_wherever_all_of_their_values_are(kind):
    tensors = _tensors(kind)
    layout = Layout.of({name: tensor.shape for name, tensor in tensors.items()})
    dense = DenseVector(CpuTarget(1, 1), FIELD, layout, tensors)
    slots = layout.slots
    whole = dense.piece(0, dense.length)
    assert whole.dtype == (np.int16 if kind == "int16" else np.uint64)
    for slot in slots:
        piece = dense.piece(slot.offset, slot.offset + slot.size)
        short = tensors[slot.name].dtype == np.int16
        assert piece.dtype == (np.int16 if short else np.uint64)
        expected = whole[slot.offset : slot.offset + slot.size]
        assert (FIELD.lift(piece) == FIELD.lift(expected)).all()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_recomputed_rows_vs_encoding(data):
    log_rows, rate = data.draw(st.integers(0, 11)), data.draw(st.integers(1, 3))
    columns = data.draw(st.integers(1, 9))
    length = data.draw(st.integers(1, columns << log_rows))
    integers = data.draw(st.booleans())
    rng = np.random.default_rng(length)
    values = rng.integers(-(2**15), 2**15, length).astype(np.int16)
    source = values if integers else values.astype(np.uint64) % np.uint64(1000)
    shape = (columns, log_rows, rate)
    whole = encode(cpu_target(), FIELD, source, length, *shape)
    matrix = whole.reshape(columns, -1).T
    size = 1 << (log_rows + rate)
    indices = sorted(set(data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=9))))
    out = np.zeros((len(indices), columns + 5), dtype=np.uint64)
    where = (indices, 3, out.reshape(-1), columns + 5)
    encoded_rows(cpu_target(), FIELD, source, length, *shape, *where)
    assert (out[:, 3 : 3 + columns] == matrix[indices]).all()
    assert not out[:, :3].any()
    assert not out[:, 3 + columns :].any()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_split_weights_vs_whole(data):
    shape = tuple(data.draw(st.lists(st.sampled_from([1, 2, 3, 4, 6, 8, 12]), max_size=3)))
    axes = []
    for length in shape:
        kind = data.draw(st.sampled_from(["eq", "ones", "vector"]))
        point = tuple(E(k + 2, length) for k in range((length - 1).bit_length()))
        values = tuple(E(k + 1, 7) for k in range(length))
        axes.append({"eq": EqAxis(point), "ones": OnesAxis(), "vector": VectorAxis(values)}[kind])
    weights = AxisWeights(tuple(axes))
    bits = data.draw(st.integers(0, factoring_bits(weights, shape)))
    parts = split(weights, shape, bits)
    high = FIELD.unpack(parts.high.table(cpu_target(), FIELD, parts.high_shape))
    low = FIELD.unpack(parts.low.table(cpu_target(), FIELD, parts.low_shape))
    assert len(low) == 1 << bits
    padded = AxisWeights((OnesAxis(), *axes))
    assert [h * w for h in high for w in low] == FIELD.unpack(
        padded.table(cpu_target(), FIELD, (1, *shape))
    )


def test_same_sumcheck_for_every_window():
    """Proofs do not tell how many variables were bound at once."""
    tensors = _tensors("int16")
    layout = Layout.of({name: tensor.shape for name, tensor in tensors.items()})
    dense = DenseVector(cpu_target(), FIELD, layout, tensors)
    claims = _claims(tensors)

    def run(bits: int) -> tuple[bytes, list]:
        transcript = ProverTranscript(FIELD)
        unification = Unification(dense, claims, E(3, 4), 8)
        unification.bits = bits
        point, _ = unification.prove(transcript)
        return transcript.finish(), point

    plain = run(0)
    assert all(run(bits) == plain for bits in range(1, 9))


@pytest.mark.parametrize("kind", ["int16", "int32"])
def test_runs_of_blocks_vs_their_definition(kind):
    """A block takes part on its own if a claim has weights in it that do not factor there."""
    tensors = _tensors(kind)
    layout = Layout.of({name: tensor.shape for name, tensor in tensors.items()})
    claims = _claims(tensors)
    unification = Unification(DenseVector(cpu_target(), FIELD, layout, tensors), claims, E(3), 8)
    for bits in range(9):
        expected = set()
        for _, slot, claim in unification.claims:
            places = range(slot.size)
            if isinstance(claim.functional, Sparse):
                places = claim.functional.indices
            elif slot.offset % (1 << bits) == 0:
                places = () if factoring_bits(claim.functional, slot.shape) >= bits else places
            expected |= {slot.offset + place >> bits for place in places}
        runs = unification._own_runs(bits)
        assert [block for run in runs for block in run] == sorted(expected)
        assert all(a.stop < b.start for a, b in pairwise(runs))


LAYERS = [(0, 0, 1, 1, 0), (1, 0, 0, 0, 0), (0, 0, 0, 0, 1), (0, 1, 0, 1, 0), (0, 0, 0, 0, 0)]


@pytest.mark.parametrize("inner", [(2, 256), (3, 100)])
@pytest.mark.parametrize("layers", LAYERS)
def test_claims_on_some_layers_read_those_alone(monkeypatch, layers, inner):
    """And the proof is that of a prover which reads all of them."""
    shape, rng = (5, *inner), np.random.default_rng(4)
    tensors = {
        "before": rng.integers(-9, 9, 256).astype(np.int16),
        "x": rng.integers(-(1 << 15), 1 << 15, shape).astype(np.int16),
    }
    layout = Layout.of({name: tensor.shape for name, tensor in tensors.items()})
    dense = DenseVector(cpu_target(), FIELD, layout, tensors)
    points = (tuple(E(k + 2, n) for k in range((n - 1).bit_length())) for n in inner)
    at_layer = VectorAxis(tuple(E(7 * k + 1, 5) * w for k, w in enumerate(layers)))
    claim = Claim("x", AxisWeights((at_layer, *map(EqAxis, points))), E(0))

    def run() -> tuple[bytes, list, int]:
        transcript, unification = ProverTranscript(FIELD), Unification(dense, [claim], E(3), 20)
        ((_, slot, _),) = unification.claims
        point, _ = unification.prove(transcript)
        return transcript.finish(), point, slot.size

    *found, size = run()
    with monkeypatch.context() as patch:
        patch.setattr(Unification, "_narrowed", lambda self, c: (layout.slot("x"), c))
        *expected, whole = run()
    assert found == expected
    used = [k for k, w in enumerate(layers) if w] or [0]
    narrowed = any(layers) and used[0] * np.prod(inner) % 256 == 0
    kept = used[-1] - used[0] + 1 if narrowed else 5
    assert (size, whole) == (kept * np.prod(inner), 5 * np.prod(inner))


@pytest.mark.parametrize(("shape", "bits"), [((1 << 14,), 8), ((5, 1024), 8), ((321, 12), 2)])
def test_the_window_is_as_wide_as_the_weights_factor(shape, bits):
    layout = Layout.of({"x": shape})
    dense = DenseVector(cpu_target(), FIELD, layout, {"x": np.zeros(shape, dtype=np.int16)})
    claim = Claim("x", AxisWeights((OnesAxis(),) * len(shape)), E(0))
    assert Unification(dense, [claim], E(1), 20).bits == bits
    assert Unification(dense, [claim], E(1), 1).bits == 1


def test_rows_are_not_kept_beyond_their_share():
    """One leaf's row more than fits is computed again."""
    scheme = replace(SCHEMES[0], log_rows=10)
    values = np.arange(1 << 16, dtype=np.int16)
    for columns, kept in ((64, HashedRows), (63, RecomputedRows)):
        workspace = 8 * 8 * ((1 << 11) + 8) * columns
        data = scheme.commit(CpuTarget(1, workspace), {"x": values})
        assert isinstance(data.rows, kept)
