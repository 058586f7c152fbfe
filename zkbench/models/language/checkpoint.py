"""Weights of a language model, tensor by tensor: from a checkpoint, or random from a seed."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zkbench.errors import UnusableInput
from zkbench.files import PathLike, read_json
from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.tensor_names import embedding_name, expected_shapes
from zkbench.models.mapped_tensors import MappedTensors

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"

Floats = NDArray[np.floating[Any]]


class Weights(Protocol):
    """Where the tensors of a model come from, by their names in a checkpoint."""

    @property
    def config(self) -> LanguageModelConfig: ...

    def tensor(self, name: str) -> Floats:
        """The tensor in floating point, of the shape that the architecture gives it."""
        ...


class Checkpoint:
    """A folder as Hugging Face's libraries write it: config.json and one or more safetensors files.

    The files are mapped; a tensor is read when it is asked for. Raises `UnusableInput`, naming file
    and tensor, for a tensor that is missing, has another shape or type, or is not part of the
    model that config.json describes, and, when it is read, for NaN and infinite values.
    """

    def __init__(self, folder: PathLike) -> None:
        self.folder = Path(folder)
        self.config = LanguageModelConfig.from_huggingface(self.folder)
        self._files = _open_files(self.folder)
        self._file_of = self._locate()

    def tensor(self, name: str) -> Floats:
        """The tensor in the type in which it is stored, bfloat16 as float32."""
        stored, file = self._file_of[name]
        values = file.tensor(stored)
        if not np.isfinite(values).all():
            raise UnusableInput(f"tensor {stored} of {file.path} holds NaN or infinite values")
        return values

    def _locate(self) -> dict[str, tuple[str, MappedTensors]]:
        stored = {name: file for file in self._files for name in file.names}
        located: dict[str, tuple[str, MappedTensors]] = {}
        expected = expected_shapes(self.config)
        for name, shape in expected.items():
            found = _spelling(name, stored)
            if found is None:
                raise UnusableInput(f"tensor {name} is missing in {self.folder}")
            _check_tensor(stored[found], found, shape)
            located[name] = (found, stored[found])
        self._refuse_others(stored, {found for found, _ in located.values()})
        return located

    def _refuse_others(self, stored: Mapping[str, MappedTensors], known: set[str]) -> None:
        for name, file in stored.items():
            if name not in known and not self._is_redundant(name):
                raise UnusableInput(
                    f"tensor {name} of {file.path} is not part of the model that config.json describes"
                )

    def _is_redundant(self, name: str) -> bool:
        """A constant that old versions stored, and the copy of a tied embedding."""
        if name.endswith("rotary_emb.inv_freq"):
            return True
        return self.config.tied and name == "lm_head.weight"


class RandomWeights:
    """Weights without a checkpoint, for measurements of cost: each tensor from its own generator.

    depth: L, if the model is the beginning of a deeper one.

    Matrices are uniform with a standard deviation of 1/sqrt(d_in), those that write to the residual
    stream 1/sqrt(2 L) times that; norm weights lie in [0.9, 1.1], biases in [-0.1, 0.1]. The same
    seed gives the same tensors, in whatever order they are asked for.
    """

    def __init__(
        self, config: LanguageModelConfig, seed: int = 0, depth: int | None = None
    ) -> None:
        self.config = config
        self.seed = seed
        self.depth = config.layers if depth is None else depth
        self._shapes = expected_shapes(config)

    def tensor(self, name: str) -> Floats:
        """The tensor in float32."""
        shape = self._shapes[name]
        centred = self._uniform(name, shape)
        if len(shape) == 1:
            is_norm = "norm" in name and name.endswith(".weight")
            return np.float32(0.1) * centred + np.float32(is_norm)
        return np.float32(math.sqrt(3) * self._deviation(name, shape)) * centred

    def _uniform(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Uniform in (-1, 1), on the grid of odd multiples of 2^-16."""
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        generator = np.random.Generator(np.random.SFC64(int.from_bytes(digest, "little")))
        integers = generator.integers(-(1 << 15), 1 << 15, shape, dtype=np.int16)
        return (integers.astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-15)

    def _deviation(self, name: str, shape: tuple[int, ...]) -> float:
        deviation = 1 / math.sqrt(shape[1])
        writes = any(part in name for part in ("o_proj", "out_proj", "down_proj", "fc2"))
        return deviation / math.sqrt(2 * self.depth) if writes else deviation


def output_weight(weights: Weights) -> Floats:
    """The output layer, V x embedding width: its own tensor, or the embedding."""
    tied = weights.config.tied
    return weights.tensor(embedding_name(weights.config) if tied else "lm_head.weight")


def _open_files(folder: Path) -> list[MappedTensors]:
    if (folder / INDEX).exists():
        return [MappedTensors(folder / name) for name in _shards(folder / INDEX)]
    if (folder / SINGLE).exists():
        return [MappedTensors(folder / SINGLE)]
    message = f"{folder} holds neither {SINGLE} nor {INDEX}"
    if any(folder.glob("pytorch_model*.bin")):
        message += "; convert its pytorch_model.bin to safetensors"
    raise UnusableInput(message)


def _shards(index: Path) -> list[str]:
    content = read_json(index)
    placed = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(placed, dict) or not all(isinstance(n, str) for n in placed.values()):
        raise UnusableInput(f"{index} has no weight_map from tensors to files")
    names = sorted(set(placed.values()))
    for name in names:
        if Path(name).name != name:
            raise UnusableInput(f"{index} names {name!r}, which is not a file beside it")
    return names


def _spelling(name: str, stored: Iterable[str]) -> str | None:
    """The name as stored: some checkpoints of OPT leave out the leading "model."."""
    for spelling in (name, name.removeprefix("model.")):
        if spelling in stored:
            return spelling
    return None


def _check_tensor(file: MappedTensors, name: str, shape: tuple[int, ...]) -> None:
    if file.shape(name) != shape:
        found = f"tensor {name} of {file.path} has shape {file.shape(name)}"
        raise UnusableInput(f"{found}; config.json gives it {shape}")
    if not file.is_float(name):
        found = f"tensor {name} of {file.path} is {file.dtype_name(name)}"
        raise UnusableInput(f"{found}; weights are floating point")
