"""Arg-max: the public labels are the first largest entries of the rows of a committed matrix.

With labels c_i, every difference d[i, j] = y[i, c_i] - y[i, j] - [j < c_i] must lie in [0, 2^16):
no entry is larger than the label's, and none before it is as large (numpy's rule for ties). d is
virtual; its range check leaves a claim on its extension at (z_r, z_j), which splits into

    sum_i eq(z_r, i) 1(z_j) y[i, c_i]  -  y(z_r, z_j)  -  sum_i eq(z_r, i) sum_{j < c_i} eq(z_j, j)

a claim on few entries of y, one on y's extension, and a public number. y must be known to be 16-bit
integers. Two elements are sent. Soundness: that of the lookup.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zkbench.commitments.claims import AxisWeights, Functional, Sparse, Value
from zkbench.fields import Field
from zkbench.kernels import eq
from zkbench.kernels.launch import cpu_target
from zkbench.proof import ProofRejected
from zkbench.protocols.evaluate import extension_of_integers
from zkbench.transcript import ProverTranscript, VerifierTranscript

Element = Any


@dataclass(frozen=True)
class ArgMax:
    """``rows`` rows of ``classes`` int16 entries."""

    field: Field
    rows: int
    classes: int

    def differences(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """d, int32 of shape rows x classes; outside [0, 2^16) where a label is wrong."""
        at_label = logits[np.arange(self.rows), labels].astype(np.int32)[:, None]
        before = np.arange(self.classes)[None, :] < labels[:, None]
        return at_label - logits - before.astype(np.int32)

    def prove(
        self, transcript: ProverTranscript, logits: np.ndarray, labels: np.ndarray, claim: Value
    ) -> list[tuple[Functional, Element]]:
        """Returns claims on y as (functional over 1 x rows x classes, value)."""
        sparse = self._at_labels(labels, claim)
        at_labels: Any = self.field.element(0)
        flat = logits.reshape(-1)
        for index, coefficient in zip(sparse.indices, sparse.coefficients, strict=True):
            at_labels = at_labels + coefficient * int(flat[index])
        target = cpu_target()
        everywhere = extension_of_integers(target, self.field, flat, logits.shape, claim.point)
        transcript.send("logits", [at_labels, everywhere])
        return self._claims(sparse, claim, at_labels, everywhere)

    def verify(
        self, transcript: VerifierTranscript, labels: np.ndarray, claim: Value
    ) -> list[tuple[Functional, Element]]:
        """Returns claims on y that the caller must check."""
        self._require_classes(labels)
        sparse = self._at_labels(labels, claim)
        at_labels, everywhere = transcript.receive("logits", 2)
        ties = self._ties(labels, claim)
        transcript.require_zero(
            claim.value - (at_labels - everywhere - ties), "the labels are not the largest outputs"
        )
        return self._claims(sparse, claim, at_labels, everywhere)

    def _require_classes(self, labels: np.ndarray) -> None:
        """Without this, label ``classes`` of a row would stand for the next row's first entry."""
        if labels.shape != (self.rows,):
            raise ProofRejected(f"{labels.size} labels for {self.rows} rows")
        for row, label in enumerate(labels.tolist()):
            if type(label) is not int or not 0 <= label < self.classes:
                raise ProofRejected(
                    f"label {label} of row {row} is not one of the {self.classes} classes"
                )

    def _row_weights(self, claim: Value) -> list[Element]:
        words = eq.eq_table(cpu_target(), self.field, claim.point[0], self.rows)
        return self.field.unpack(words)

    def _at_labels(self, labels: np.ndarray, claim: Value) -> Sparse:
        mass = eq.truncated_eq(claim.point[1], None, self.classes)
        indices = (np.arange(self.rows) * self.classes + labels).tolist()
        return Sparse(tuple(indices), tuple(w * mass for w in self._row_weights(claim)))

    def _ties(self, labels: np.ndarray, claim: Value) -> Element:
        """sum over rows of eq(z_r, i) times the eq mass of the classes before the label."""
        before: dict[int, Element] = {}
        for label in set(labels.tolist()):
            before[label] = eq.truncated_eq(claim.point[1], None, label)
        total: Any = 0
        for weight, label in zip(self._row_weights(claim), labels.tolist(), strict=True):
            total = total + weight * before[label]
        return total

    def _claims(
        self, sparse: Sparse, claim: Value, at_labels: Element, everywhere: Element
    ) -> list[tuple[Functional, Element]]:
        whole: Sequence[Sequence[Element]] = ((), *claim.point)
        return [(sparse, at_labels), (AxisWeights.at(whole), everywhere)]
