"""Language models from integers to a verified proof: what is proven is what the model computes."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace

import numpy as np
import pytest
from cases.checkpoints import KINDS, LLAMA, integer_model, some_tokens
from language_inference_case import FEW_BITS, SMALL, LanguageCase, commit_tiny

from zkbench.errors import UnusableInput
from zkbench.kernels.launch import CpuTarget, cpu_target, target
from zkbench.language import (
    commit_language_model,
    find_tokenizer,
    load_language_model,
    proof_sizes,
    prove_language_inference,
    read_language_commitment,
    save_language_model,
    tokenizer_files,
    tokenizer_reference,
)
from zkbench.language_statement import LanguageCommitment, LanguageStatement
from zkbench.model_folder import MODEL_FILE
from zkbench.models.language.tokenizer import ByteTokenizer
from zkbench.proof import Proof
from zkbench.protocols.operators import Rotation


@pytest.mark.parametrize(
    ("count", "positions"), [(1, None), (2, [0, 1]), (3, [0, 2]), (16, None), (17, range(17))]
)
def test_proven_tokens_are_the_models(case, count, positions):
    """One token, whole blocks and padded ones; the last position, some, and all."""
    tokens = some_tokens(case.public.config, count, seed=count)
    proven = LanguageCase.of(case.committed, tokens, positions)
    asked = [count - 1] if positions is None else list(positions)
    assert proven.statement.positions.tolist() == asked
    logits = case.committed.model.logits(tokens)[asked]
    assert proven.statement.chosen.tolist() == logits.argmax(axis=-1).tolist()
    assert proven.verify() >= FEW_BITS
    sizes = (count, len(asked), case.public.config.layers)
    assert proof_sizes(proven.proof, case.public) == sizes


def test_more_than_one_block_of_attention(llama):
    config = llama.public.config
    tokens = some_tokens(config, 150, seed=5)
    assert LanguageCase.of(llama.committed, tokens, [0, 127, 128, 149]).verify() >= FEW_BITS


@pytest.mark.parametrize(
    "config",
    [
        replace(LLAMA, tied=True, attention_bias=True, ffn_bias=True),
        replace(KINDS["opt"], activation="gelu"),
    ],
    ids=["llama with biases", "opt with gelu"],
)
def test_other_operators(config):
    assert LanguageCase.of(commit_tiny(config), some_tokens(config, 9)).verify() >= FEW_BITS


@pytest.mark.parametrize("threads", [1, 3])
def test_the_same_proof_with_any_number_of_threads(llama, threads):
    where = CpuTarget(threads)
    committed = commit_language_model(llama.committed.model, where, SMALL)
    asked, tokens = llama.statement.positions, llama.statement.tokens
    proof, _ = prove_language_inference(committed, tokens, where, asked, minimum_bits=FEW_BITS)
    assert (committed.public, proof) == (llama.public, llama.proof)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", list(KINDS))
def test_cpu_and_cuda_make_the_same_proof(kind):
    gpu = target("cuda")
    assert gpu.name == "cuda"
    model, tokens = integer_model(KINDS[kind]), some_tokens(KINDS[kind], 20)
    proofs = []
    for where in (cpu_target(), gpu):
        committed = commit_language_model(model, where, SMALL)
        proofs.append(prove_language_inference(committed, tokens, where, minimum_bits=FEW_BITS)[0])
    assert proofs[0] == proofs[1]


def test_public_files_come_back(case):
    """Through JSON text, as files do."""
    public = json.loads(json.dumps(case.public.to_json()))
    assert LanguageCommitment.from_json(public) == case.public
    statement = LanguageStatement.from_json(json.loads(json.dumps(case.statement.to_json())))
    assert statement.digest == case.statement.digest
    assert case.verify(statement=statement) >= FEW_BITS


# The folder.


def test_save_and_load(case, tmp_path):
    before = os.umask(0o022)
    try:
        save_language_model(case.committed, tmp_path / "a" / "model", {})
    finally:
        os.umask(before)
    folder = tmp_path / "a" / "model"
    assert sorted(os.listdir(folder)) == ["commitment.json", MODEL_FILE]
    assert stat.S_IMODE(os.stat(folder / MODEL_FILE).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(folder / "commitment.json").st_mode) == 0o644
    loaded = load_language_model(folder, cpu_target())
    assert loaded.public == case.public
    again = LanguageCase.of(loaded, case.statement.tokens, case.statement.positions)
    assert again.proof == case.proof


def test_the_commitment_of_another_model_beside_it(llama, tmp_path):
    save_language_model(llama.committed, tmp_path / "one", {})
    save_language_model(commit_tiny(LLAMA, seed=2), tmp_path / "two", {})
    os.replace(tmp_path / "two" / "commitment.json", tmp_path / "one" / "commitment.json")
    with pytest.raises(UnusableInput, match="is not the commitment to the model beside it"):
        load_language_model(tmp_path / "one", cpu_target())


def test_a_byte_models_tokenizer(tmp_path):
    reference = tokenizer_reference(tokenizer_files(tmp_path), LLAMA)
    committed = commit_language_model(integer_model(LLAMA), cpu_target(), SMALL, reference)
    save_language_model(committed, tmp_path, {})
    public = read_language_commitment(tmp_path / "commitment.json")
    assert public == committed.public
    assert isinstance(find_tokenizer(tmp_path, public), ByteTokenizer)


def test_a_tokenizers_files_are_named_by_their_hashes(llama, tmp_path):
    """Another tokenizer reads other tokens from the same prompt."""
    (tmp_path / "vocab.json").write_text("{}")
    assert tokenizer_files(tmp_path) == {}
    (tmp_path / "merges.txt").write_text("")
    files = tokenizer_files(tmp_path)
    assert set(files) == {"vocab.json", "merges.txt"}
    public = replace(llama.public, tokenizer=tokenizer_reference(files, LLAMA))
    assert LanguageCommitment.from_json(public.to_json()) == public
    (tmp_path / "merges.txt").write_text("a b")
    with pytest.raises(UnusableInput, match="does not hold the tokenizer that the commitment"):
        find_tokenizer(tmp_path, public)


def test_without_a_tokenizer():
    config = replace(LLAMA, vocab=19)
    assert tokenizer_reference({}, config) is None
    public = LanguageCommitment(SMALL, bytes(32), config, integer_model(config).formats)
    with pytest.raises(UnusableInput, match="give --tokens instead"):
        find_tokenizer(".", public)


# What there is no proof of.


@pytest.mark.parametrize(
    ("kind", "tokens", "message"),
    [
        ("llama", np.zeros(0, np.int64), "the prompt is empty"),
        ("llama", np.array([3, 256]), r"token 256 is outside of the vocabulary \[0, 256\)"),
        ("llama", np.array([-1]), "token -1 is outside"),
        ("llama", np.zeros((1 << 15) + 1, np.int64), "32769 tokens; a proof takes 32768"),
        ("opt", np.zeros(65, np.int64), "65 tokens take 128 positions; the model has 64"),
    ],
)
def test_prompts_without_a_proof(request, kind, tokens, message):
    case = request.getfixturevalue(kind)
    with pytest.raises(UnusableInput, match=message):
        LanguageCase.of(case.committed, tokens)


@pytest.mark.parametrize("positions", [[], [5], [-1], [1, 1], [2, 0]])
def test_positions_without_a_proof(llama, positions):
    with pytest.raises(UnusableInput, match="a statement's positions must"):
        LanguageCase.of(llama.committed, np.arange(5), np.array(positions, np.int64))


def test_more_soundness_than_there_is(llama):
    with pytest.raises(UnusableInput, match=r"give 29.3 bits of soundness, below 100"):
        prove_language_inference(llama.committed, np.arange(5), cpu_target())


def test_memory_is_checked_before_the_work(llama, monkeypatch):
    class Little:
        available = 1 << 10

    monkeypatch.setattr("zkbench.language_memory.psutil.virtual_memory", Little)
    monkeypatch.setattr(type(llama.committed.model), "forward", None)
    with pytest.raises(UnusableInput, match=r"a proof about 8 positions takes .* use fewer tokens"):
        LanguageCase.of(llama.committed, np.arange(5))
    with pytest.raises(UnusableInput, match="commit to a smaller model or on a machine with more"):
        commit_language_model(llama.committed.model, cpu_target(), SMALL)


def test_the_model_looks_up_what_is_proven(case):
    inference = case.public.inference(case.statement)
    tables = case.committed.placed.stacked.tables(len(inference.tokens))
    exponentials, activation = (one.table.values for one in inference.program.lookups)
    np.testing.assert_array_equal(tables.exponentials, exponentials)
    if tables.activation is not None:
        np.testing.assert_array_equal(tables.activation, activation)
    rotations = [one for one in inference.program.operators if isinstance(one, Rotation)]
    assert len(rotations) == (2 if case.public.config.is_llama else 0)
    for rotation in rotations:
        np.testing.assert_array_equal(tables.cos, rotation.tables.cos)
        np.testing.assert_array_equal(tables.sin, rotation.tables.sin)


def test_the_header_holds_the_sizes(llama):
    protocol = Proof.from_bytes(llama.proof).header["protocol"]
    assert (protocol["tokens"], protocol["positions"]) == llama.statement.sizes == (11, 2)
