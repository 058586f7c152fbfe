"""Tokenizers: bytes, a checkpoint's own, and what is said where there is none."""

import builtins
import json

import numpy as np
import pytest
from language_case import LLAMA

from zkbench.errors import UnusableInput
from zkbench.models.language.checkpoint import Checkpoint
from zkbench.models.language.presets import preset
from zkbench.models.language.shipped import shipped
from zkbench.models.language.tokenizer import ByteTokenizer, load_tokenizer


def test_bytes_and_back():
    text = "Naïve façade, 3 §\n"
    tokens = ByteTokenizer().encode(text)
    assert tokens.dtype == np.int64
    assert tokens.tolist() == list(text.encode())
    assert ByteTokenizer().decode(tokens) == text
    assert ByteTokenizer().decode(np.array([0xC3])) == "\N{REPLACEMENT CHARACTER}"


def test_shipped_models_take_bytes():
    config = Checkpoint(shipped("llama-bytes")).config
    assert isinstance(load_tokenizer(shipped("llama-bytes"), config), ByteTokenizer)


def test_a_model_without_a_tokenizer_asks_for_tokens(tmp_path):
    with pytest.raises(UnusableInput, match=r"holds no tokenizer.json; give tokens instead"):
        load_tokenizer(tmp_path, LLAMA)


def test_without_the_library_the_message_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "tokenizer.json").write_text("{}")
    original = builtins.__import__

    def without(name, *arguments, **keywords):
        if name == "tokenizers":
            raise ImportError(name)
        return original(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UnusableInput, match="pip install tokenizers"):
        load_tokenizer(tmp_path, LLAMA)


def test_a_checkpoints_own_tokenizer(tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    words = {"<s>": 0, "a": 1, "proof": 2, "[UNK]": 3}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    made.save(str(tmp_path / "tokenizer.json"))
    found = load_tokenizer(tmp_path, LLAMA)
    assert found.encode("a proof").tolist() == [0, 1, 2]
    assert found.decode(np.array([1, 2])) == "a proof"
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(UnusableInput, match="is not a usable tokenizer"):
        load_tokenizer(tmp_path, LLAMA)


def test_the_two_files_of_opts_checkpoints(tmp_path):
    pytest.importorskip("tokenizers")
    words = {"<s>": 0, "<pad>": 1, "</s>": 2, "a": 3, "b": 4, "ab": 5}
    (tmp_path / "vocab.json").write_text(json.dumps(words))
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b\n")
    found = load_tokenizer(tmp_path, preset("opt-125m"))
    assert found.encode("aba").tolist() == [2, 5, 3]
