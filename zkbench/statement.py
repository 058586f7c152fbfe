"""The public side of a perceptron's inference: the model's commitment, and the statement."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import numpy as np

from zkbench import schemas
from zkbench.binding import digest_of
from zkbench.commitments.interleaved import Commitment
from zkbench.commitments.schemes import Scheme, scheme_from_json
from zkbench.errors import UnusableInput, malformed
from zkbench.protocols.mlp_inference import MlpInference
from zkbench.quant.formats import FixedPoint

MAX_BATCH = 1 << 20  # the statement's schema has it, too


@dataclass(frozen=True)
class ModelCommitment:
    """A committed model as everybody may know it: architecture, number formats, and 32 bytes."""

    scheme: Scheme
    root: bytes
    dims: tuple[int, ...]
    shift: int
    input_format: FixedPoint
    formats: tuple[FixedPoint, ...]

    @property
    def commitment(self) -> Commitment:
        """What is behind the root: tensors whose names and shapes follow from the widths."""
        return self.scheme.commitment(self.root, MlpInference.weight_shapes(self.dims))

    @property
    def digest(self) -> str:
        """Identity of the model: a hash of everything in ``to_json``."""
        return digest_of(self.to_json())

    def protocol(self, batch: int) -> MlpInference:
        """The proof of an inference of this model on a batch."""
        return MlpInference(self.scheme, self.dims, self.shift, batch)

    def to_json(self) -> dict[str, Any]:
        return {
            "format": "zkbench model commitment",
            "version": 1,
            "kind": "mlp",
            "scheme": self.scheme.to_json(),
            "root": self.root.hex(),
            "dims": list(self.dims),
            "shift": self.shift,
            "input_format": self.input_format.to_dict(),
            "formats": [number_format.to_dict() for number_format in self.formats],
        }

    @classmethod
    def from_json(cls, data: Any, what: str = "the model commitment") -> ModelCommitment:
        """Read ``to_json``'s result; raises UnusableInput for anything else."""
        schemas.check("commitment", data, what)
        if len(data["formats"]) != len(data["dims"]) - 1:
            raise UnusableInput(f"{what} needs one number format a layer")
        return cls(
            scheme_from_json(data["scheme"], malformed(what)),
            bytes.fromhex(data["root"]),
            tuple(data["dims"]),
            data["shift"],
            FixedPoint(**data["input_format"]),
            tuple(FixedPoint(**entry) for entry in data["formats"]),
        )


@dataclass(frozen=True, eq=False)
class Statement:
    """The model with this digest gives these inputs these labels.

    inputs: int16, batch x features, in the model's input format. labels: int64, batch. Raises
    UnusableInput for other types, shapes that do not fit and labels outside [0, 2^31): what is
    hashed would not be what is proven.
    """

    model: str
    inputs: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        if self.inputs.dtype != np.int16 or self.inputs.ndim != 2 or self.inputs.size == 0:
            raise UnusableInput("a statement's inputs must be int16, batch x features")
        if self.labels.dtype != np.int64 or self.labels.shape != self.inputs.shape[:1]:
            raise UnusableInput("a statement's labels must be int64, one for each input")
        if self.labels.min() < 0 or self.labels.max() >= 1 << 31:
            raise UnusableInput("a statement's labels must lie in [0, 2^31)")

    @property
    def digest(self) -> str:
        return digest_of(self.to_json())

    def to_json(self) -> dict[str, Any]:
        words = self.inputs.astype("<i2").tobytes()
        return {
            "format": "zkbench statement",
            "version": 1,
            "kind": "mlp-inference",
            "model": self.model,
            "inputs": {
                "shape": list(self.inputs.shape),
                "int16": base64.b64encode(words).decode("ascii"),
            },
            "labels": self.labels.tolist(),
        }

    @classmethod
    def from_json(cls, data: Any, what: str = "the statement") -> Statement:
        """Read ``to_json``'s result; raises UnusableInput for anything else."""
        schemas.check("statement", data, what)
        rows, features = data["inputs"]["shape"]
        try:
            words = base64.b64decode(data["inputs"]["int16"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise UnusableInput(f"{what} is malformed: its inputs are not base64") from error
        if len(words) != 2 * rows * features or len(data["labels"]) != rows:
            raise UnusableInput(f"{what} is malformed: its inputs or labels do not fit their shape")
        inputs = np.frombuffer(words, dtype="<i2").astype(np.int16).reshape(rows, features)
        return cls(data["model"], inputs, np.array(data["labels"], dtype=np.int64))
