"""The loss's derivative by the outputs: their difference from the targets, or that of their softmax."""

from __future__ import annotations

from dataclasses import dataclass

from zkbench.commitments.claims import AxisWeights, EqAxis, OnesAxis, sum_of_weights
from zkbench.fields import Field
from zkbench.protocols.gkr import Shape
from zkbench.protocols.program import ProverRun, Run, axis_weights
from zkbench.protocols.range_checks import RangeCheck
from zkbench.protocols.scripted import Part, Scripted, random_point, random_point_term, told
from zkbench.protocols.sumcheck import num_variables
from zkbench.protocols.tlookup import indicator
from zkbench.security import Term


@dataclass(frozen=True)
class OutputErrors(Scripted):
    """The last errors are ``outputs`` less the targets, entry by entry."""

    errors: str
    outputs: str
    targets: str
    shape: Shape

    def script(self, run: Run) -> None:
        for claim in run.ledger.take(self.errors):
            weights = axis_weights(claim)
            (value,) = told(run, "outputs", [Part(self.outputs, self.shape, weights)])
            run.ledger.add(self.outputs, weights, value)
            run.ledger.add(self.targets, weights, value - claim.value)


@dataclass(frozen=True)
class Softmax(Scripted):
    """``weights`` = EXP[t], where t + y is one number c in each row; the rows sum to 2^log_one nearly.

    t is committed, the indices of a table lookup; c is the prover's to choose, and nothing is committed
    of it: that (t + y)_j = (t + y)_0 for all j is shown at a random point. ``sums`` is a virtual tensor,
    of the rows' sums less 2^log_one plus the tolerance, in [0, 2 tolerance).
    """

    weights: str
    indices: str
    scores: str
    sums: str
    shape: Shape
    log_one: int
    tolerance: int

    @property
    def range_checks(self) -> tuple[RangeCheck, ...]:
        return (RangeCheck(self.sums, 2 * self.tolerance, self.shape[:-1]),)

    def script(self, run: Run) -> None:
        self._rows(run)
        self._shifts(run)

    def _rows(self, run: Run) -> None:
        """The rows' sums are sums of weights."""
        claim = run.ranged[self.sums]
        rest = (1 << self.log_one) - self.tolerance
        value = claim.value + rest * indicator(self.shape[:-1], claim.point)
        axes = (*AxisWeights.at(claim.point).axes, OnesAxis())
        run.ledger.add(self.weights, AxisWeights(axes), value)

    def _shifts(self, run: Run) -> None:
        *at_rows, at_last = random_point(run, self.shape).axes
        first = EqAxis((run.field.element(0),) * num_variables(self.shape[-1]))
        places = [AxisWeights((*at_rows, axis)) for axis in (at_last, first)]
        names = (self.indices, self.scores)
        parts = [Part(name, self.shape, where) for where in places for name in names]
        values = told(run, "shifts", parts)
        for part, value in zip(parts, values, strict=True):
            run.ledger.add(part.tensor, part.weights, value)
        all_columns = sum_of_weights(AxisWeights((at_last,)), self.shape[-1:])
        difference = values[0] + values[1] - (values[2] + values[3]) * all_columns
        if not isinstance(run, ProverRun):
            run.transcript.require_zero(difference, "a softmax's row has more than one shift")

    def soundness_terms(self, field: Field) -> list[Term]:
        return [random_point_term(field, self.indices, self.shape)]
