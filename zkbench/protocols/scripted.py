"""Operators that only move claims: what a prover says in them are weighted sums of tensors, no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from zkbench.commitments.claims import AxisWeight, AxisWeights, OnesAxis
from zkbench.fields import Field
from zkbench.kernels.contract import weighted_sum
from zkbench.kernels.launch import cpu_target
from zkbench.protocols.gkr import Shape
from zkbench.protocols.program import Element, ProverRun, Run
from zkbench.protocols.range_checks import RangeCheck
from zkbench.protocols.sumcheck import num_variables
from zkbench.security import Term, error_bits


@dataclass(frozen=True)
class Part:
    """A weighted sum of a tensor's entries. wide: these are integers of more than 16 bits."""

    tensor: str
    shape: Shape
    weights: AxisWeights
    wide: bool = False

    def value(self, run: ProverRun) -> Element:
        """What it is."""
        axes, target, field = self.weights.axes, run.target, run.field
        leading = AxisWeights((OnesAxis(), *axes[:-1])).table(target, field, (1, *self.shape[:-1]))
        last = axes[-1].table(target, field, self.shape[-1])
        sizes, kind = (prod(self.shape[:-1]), self.shape[-1]), "integers" if self.wide else "small"
        values = run.tensors[self.tensor]
        return weighted_sum(target, field, values, *sizes, leading, last, kind)


def told(run: Run, label: str, parts: Sequence[Part]) -> list[Element]:
    """The parts' values: the prover sends them, the verifier receives them. They are yet to be shown."""
    if not isinstance(run, ProverRun):
        return list(run.transcript.receive(label, len(parts)))
    values = [part.value(run) for part in parts]
    run.transcript.send(label, values)
    return values


def entries(field: Field, axis: AxisWeight, length: int) -> list[Element]:
    """The weights of an axis, one by one."""
    return field.unpack(axis.table(cpu_target(), field, length))


class Scripted:
    """Operators whose prover and verifier differ in nothing but who knows the values (``told``)."""

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        return ()

    def prove(self, run: ProverRun) -> None:
        self.script(run)

    def verify(self, run: Run) -> None:
        self.script(run)

    def script(self, run: Run) -> None:
        """Take the claims on the outputs, leave claims on the inputs."""
        raise NotImplementedError

    def soundness_terms(self, field: Field) -> list[Term]:
        """None of their own: that of the claims that are left."""
        return []


def random_point(run: Run, shape: Shape) -> AxisWeights:
    """A point that nobody knew before, one an axis."""
    return AxisWeights.at(
        [[run.transcript.challenge("point") for _ in range(num_variables(n))] for n in shape]
    )


def random_point_term(field: Field, name: str, shape: Shape) -> Term:
    """Two different tensors agree at a random point with this probability (Schwartz and Zippel)."""
    variables = sum(map(num_variables, shape))
    return Term(f"{name} at a random point", error_bits(field.bits, max(1, variables)))
