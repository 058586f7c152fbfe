"""The public side of a language model's inference: the model's commitment, and the statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from blake3 import blake3

from zkbench import schemas
from zkbench.binding import digest_of
from zkbench.commitments.interleaved import Commitment
from zkbench.commitments.schemes import Scheme, scheme_from_json
from zkbench.errors import UnusableInput, malformed
from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.formats import LanguageFormats
from zkbench.models.language.integer_attention import block_size
from zkbench.models.language.tables import rotations
from zkbench.protocols.language_inference import LanguageInference
from zkbench.protocols.language_tensors import committed_integers, model_shapes

MAX_TOKENS = 1 << 15  # the statement's schema has it, too: attention has (tokens / 128)^2 / 2 tiles
MAX_ANGLES = 1 << 22  # tokens times half of a head's width: a verifier makes these tables
MAX_PARAMETERS = 1 << 40
_DIGEST_POSITIONS = 128  # whose rotations the commitment has a digest of


@dataclass(frozen=True)
class TokenizerReference:
    """Which tokenizer texts go through: files and their BLAKE3; none: a token is a byte."""

    files: Mapping[str, str]

    @classmethod
    def of(cls, files: Mapping[str, bytes]) -> TokenizerReference:
        return cls({name: blake3(data).hexdigest() for name, data in files.items()})


@dataclass(frozen=True)
class TableDigests:
    """BLAKE3 of the public tables, int32 and little-endian, which prover and verifier each compute.

    rotary: cosines, then sines, of the first 128 positions; None for learned positions.
    """

    exponentials: str
    activation: str
    rotary: str | None


@dataclass(frozen=True)
class LanguageCommitment:
    """A committed language model as everybody may know it: architecture, formats, and 32 bytes.

    Raises UnusableInput for a model that has no proof.
    """

    scheme: Scheme
    root: bytes
    config: LanguageModelConfig
    formats: LanguageFormats
    tokenizer: TokenizerReference | None = None

    def __post_init__(self) -> None:
        self.formats.check(self.config)
        _check_scales(self.formats)
        if self.parameters > MAX_PARAMETERS:
            raise UnusableInput(f"a model of {self.parameters:,} parameters is too large")
        self._check_program()

    def _check_program(self) -> None:
        try:
            _ = self._smallest.program
        except UnusableInput:
            raise
        except ValueError as error:
            raise UnusableInput(f"this model has no proof: {error}") from error

    @cached_property
    def _smallest(self) -> LanguageInference:
        return self.inference_of(1, 1)

    @property
    def parameters(self) -> int:
        """Committed integers."""
        return committed_integers(self.config)

    @property
    def commitment(self) -> Commitment:
        """What is behind the root: tensors whose names and shapes follow from the architecture."""
        return self.scheme.commitment(self.root, model_shapes(self.config))

    @property
    def digest(self) -> str:
        """Identity of the model: a hash of everything in ``to_json``."""
        return digest_of(self.to_json())

    @cached_property
    def tables(self) -> TableDigests:
        """Digests of the tables as they are computed here."""
        exponentials, activation = (
            lookup.table.values for lookup in self._smallest.program.lookups
        )
        turns = rotations(self.config, _DIGEST_POSITIONS)
        rotary = None if turns is None else _table_digest(turns.cos, turns.sin)
        return TableDigests(_table_digest(exponentials), _table_digest(activation), rotary)

    # Proofs.

    def padded(self, tokens: int) -> int:
        """Positions of a proof about so many tokens: whole blocks of attention."""
        block = block_size(tokens)
        return -(-tokens // block) * block

    def misfit(self, tokens: np.ndarray) -> str | None:
        """Why there is no proof about these tokens, or None."""
        count, vocab = len(tokens), self.config.vocab
        if tokens.size and not 0 <= tokens.min() <= tokens.max() < vocab:
            wrong = next(t for t in tokens.tolist() if not 0 <= t < vocab)
            return f"token {wrong} is outside of the vocabulary [0, {vocab})"
        if not self.config.is_llama and self.padded(count) > self.config.max_positions:
            positions = f"{count} tokens take {self.padded(count)} positions"
            return f"{positions}; the model has {self.config.max_positions}"
        most = min(MAX_TOKENS, 2 * MAX_ANGLES // self.config.head_width)
        return f"{count} tokens; a proof takes {most}" if count > most else None

    def inference(self, statement: LanguageStatement) -> LanguageInference:
        """The proof of a statement, which must fit."""
        tokens = np.zeros(self.padded(len(statement.tokens)), dtype=np.int64)
        tokens[: len(statement.tokens)] = statement.tokens
        block = block_size(len(statement.tokens))
        architecture = (self.scheme, self.config, self.formats)
        asked = (statement.positions, statement.chosen)
        return LanguageInference(*architecture, tokens, *asked, block)

    def inference_of(self, num_tokens: int, num_positions: int) -> LanguageInference:
        """The same for some statement of these sizes."""
        return self.inference(LanguageStatement.of_sizes(num_tokens, num_positions))

    def protocol(self, num_tokens: int, num_positions: int) -> dict[str, Any]:
        """Canonical parameters of a proof of these sizes: its domain separator."""
        return {
            "protocol": "language-inference",
            "version": 1,
            "field": self.scheme.field.name,
            "commitment": self.scheme.to_json(),
            "architecture": digest_of([self.config.to_dict(), self.formats.to_dict()]),
            "tokens": num_tokens,
            "positions": num_positions,
            "zero_knowledge": False,
        }

    # JSON.

    def to_json(self) -> dict[str, Any]:
        return {
            "format": "zkbench model commitment",
            "version": 1,
            "kind": "language",
            "scheme": self.scheme.to_json(),
            "root": self.root.hex(),
            "config": self.config.to_dict(),
            "formats": {**self.formats.to_dict(), "layers": list(self.formats.layers)},
            "tables": asdict(self.tables),
            "tokenizer": None if self.tokenizer is None else asdict(self.tokenizer),
        }

    @classmethod
    def from_json(cls, data: Any, what: str = "the model commitment") -> LanguageCommitment:
        """Read ``to_json``'s result; raises UnusableInput for anything else.

        So it does where this machine's tables are not those that the model was committed with.
        """
        schemas.check("language_commitment", data, what)
        tokenizer = data["tokenizer"]
        try:
            found = cls(
                scheme_from_json(data["scheme"], UnusableInput),
                bytes.fromhex(data["root"]),
                LanguageModelConfig.from_dict(data["config"]),
                LanguageFormats.from_dict(data["formats"]),
                None if tokenizer is None else TokenizerReference(**tokenizer),
            )
        except UnusableInput as error:
            raise malformed(what)(str(error)) from error
        _check_tables(asdict(found.tables), data["tables"], what)
        return found


def _table_digest(*tables: np.ndarray) -> str:
    return blake3(b"".join(table.astype("<i4").tobytes() for table in tables)).hexdigest()


def _check_tables(
    here: Mapping[str, str | None], there: Mapping[str, str | None], what: str
) -> None:
    for name, digest in here.items():
        if digest != there[name]:
            raise UnusableInput(
                f"the table {name} of {what} is another than the one that is computed here"
            )


def _check_scales(formats: LanguageFormats) -> None:
    if formats.shifts["a"] != formats.row_bits:
        raise UnusableInput(
            f"a proof rescales means by the {formats.row_bits} bits of a row's sum, not by"
            f" {formats.shifts['a']}"
        )


@dataclass(frozen=True, eq=False)
class LanguageStatement:
    """Behind each of these positions of these tokens, the model with this digest chooses this token.

    tokens: int64, the prompt, not padded. positions: int64, rising, of at least one of them. chosen:
    int64, one for each position. Raises UnusableInput for other types, shapes and numbers: what is
    hashed would not be what is proven.
    """

    model: str
    tokens: np.ndarray
    positions: np.ndarray
    chosen: np.ndarray

    def __post_init__(self) -> None:
        for name in ("tokens", "positions", "chosen"):
            _check_numbers(name, getattr(self, name))
        if (np.diff(self.positions) <= 0).any() or self.positions[-1] >= len(self.tokens):
            raise UnusableInput(
                f"a statement's positions must rise, each once, and be below {len(self.tokens)}"
            )
        if len(self.chosen) != len(self.positions):
            raise UnusableInput("a statement's chosen tokens must be one for each position")

    @property
    def digest(self) -> str:
        return digest_of(self.to_json())

    @classmethod
    def of_sizes(cls, num_tokens: int, num_positions: int) -> LanguageStatement:
        """Some statement of these sizes, to know costs and soundness."""
        zeros = np.zeros(num_tokens, dtype=np.int64)
        return cls("", zeros, np.arange(num_positions, dtype=np.int64), zeros[:num_positions])

    @property
    def sizes(self) -> tuple[int, int]:
        """How many tokens, how many positions."""
        return len(self.tokens), len(self.positions)

    def to_json(self) -> dict[str, Any]:
        return {
            "format": "zkbench statement",
            "version": 1,
            "kind": "language-inference",
            "model": self.model,
            "tokens": self.tokens.tolist(),
            "positions": self.positions.tolist(),
            "chosen": self.chosen.tolist(),
        }

    @classmethod
    def from_json(cls, data: Any, what: str = "the statement") -> LanguageStatement:
        """Read ``to_json``'s result; raises UnusableInput for anything else."""
        schemas.check("language_statement", data, what)
        names = ("tokens", "positions", "chosen")
        try:
            return cls(data["model"], *(np.array(data[name], dtype=np.int64) for name in names))
        except UnusableInput as error:
            raise malformed(what)(str(error)) from error


def _check_numbers(name: str, numbers: np.ndarray) -> None:
    if numbers.dtype != np.int64 or numbers.ndim != 1 or not 1 <= numbers.size <= MAX_TOKENS:
        raise UnusableInput(f"a statement's {name} must be int64, from 1 to {MAX_TOKENS} of them")
    if numbers.min() < 0 or numbers.max() >= 1 << 31:
        raise UnusableInput(f"a statement's {name} must lie in [0, 2^31)")
