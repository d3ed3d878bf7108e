"""Runs the smoke test: compares the endpoint's scores of known transactions with those of the approved model.

The rows are derived from the model document (means, scales, bin edges), so they reach every coefficient and bin of
every part and contain no real transaction. Drift checks ignore them by their inference ids, which start with `smoke-`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ml.aws import endpoint
from ml.errors import CloudError, DeploymentFailed
from ml.model import time_units

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ml.model.scorer import Scorer

TOLERANCE = 1e-9
INFERENCE_ID = "smoke-"
_UNSEEN = "(fraudops smoke test)"
_DEVIATIONS = (-3.0, -1.0, 0.0, 1.0, 3.0)


@dataclass(frozen=True, kw_only=True)
class Smoke:
    """The result of a smoke test."""

    rows: int
    alerts: int
    largest_difference: float


def transactions(model: Scorer) -> NDArray[np.float64]:
    """Rows of `model.inputs` that reach every term of the model: typical ones, each input off its mean, each bin, and
    each level of a category, as its place.
    """
    import numpy as np

    inputs, document = model.inputs, model.document
    typical, rows = np.zeros(len(inputs)), []
    spread = {term.name: term for term in document.parts[0].features}
    tables = [table for part in document.parts for table in part.bins]

    def at(name: str, deviations: float) -> float:
        term = spread.get(name)
        if term is None:
            return 0.0
        value = term.mean + deviations * term.scale
        # An amount is never negative, and its logarithm is limited to plausible amounts.
        value = float(np.expm1(min(value, 20.0))) if term.transform == "log1p" else value
        return max(value, 0.0) if name == document.amount else value

    typical[:] = [at(name, 0.0) for name in inputs]
    for deviations in _DEVIATIONS:
        rows.append(np.array([at(name, deviations) for name in inputs]))
        rows.append(np.array([at(name, deviations * (-1) ** i) for i, name in enumerate(inputs)]))
    for index, name in enumerate(inputs):
        rows.append(typical.copy())
        rows[-1][index] = at(name, 2.0)
    for table in tables:
        for edge in table.edges:
            for value in (np.nextafter(edge, -np.inf), edge):
                rows.append(typical.copy())
                scale = _time_scale(model) * 3600.0 if table.kind == "hour_of_day" else 1.0
                rows[-1][inputs.index(table.input)] = max(value, 0.0) * scale
    for name, levels in document.levels.items():
        for place in range(len(levels.levels) + 1):
            rows.append(typical.copy())
            rows[-1][inputs.index(name)] = place
    return np.array(rows)


def _time_scale(model: Scorer) -> int:
    return time_units.per_second(model.document.time.unit if model.document.time is not None else None)


def _as_sent(model: Scorer, rows: NDArray[np.float64]) -> list[list[Any]]:
    """The rows as a request has them. ISO times are text there, and `rows` gets the seconds that are read from it.

    Categories are text too: a value that is no level is one that no training row can have had.
    """
    sent: list[list[Any]] = rows.tolist()
    if model.document.iso_times is not None:
        name, zone = model.document.iso_times
        at, times = model.inputs.index(name), time_units.IsoTimes(zone)
        for row, values in zip(sent, rows, strict=True):
            row[at] = time_units.iso_text(row[at])
            values[at] = times.seconds(row[at])
    for name, levels in model.document.levels.items():
        at = model.inputs.index(name)
        for row in sent:
            level = levels.level(row[at])
            row[at] = _UNSEEN if level is None else level
    return sent


def check(name: str, model: Scorer, approval: int, *, token: str) -> Smoke:
    """Sends the known transactions to the endpoint `name` and compares every answer with `model`'s own.

    Raises:
        DeploymentFailed: a score, a decision or the model's version is another, or there was no answer.
    """
    import numpy as np

    rows = transactions(model)
    try:
        answers = endpoint.score(name, model.inputs, _as_sent(model, rows), inference_id=f"{INFERENCE_ID}{token}")
    except CloudError as error:
        raise DeploymentFailed(f"the known transactions got no answer: {error}") from error
    versions = {answer.model_version for answer in answers}
    if versions != {f"{approval:04d}"}:
        raise DeploymentFailed(
            f"the endpoint answers as model {', '.join(sorted(versions))}, not as approval {approval:04d}"
        )
    expected = model.score(rows)
    difference = np.abs(expected - np.array([answer.score for answer in answers]))
    worst = int(difference.argmax())
    # `not <=` so that NaN fails.
    if not difference[worst] <= TOLERANCE:
        raise DeploymentFailed(
            f"the endpoint scores known transaction {worst} as {answers[worst].score!r}, "
            f"the approved model as {expected[worst]!r}: it does not run the model that was approved"
        )
    # Where the two scores lie on either side of the threshold, by less than the tolerance, both decisions are right.
    near = np.abs(expected - model.threshold.score) <= TOLERANCE
    decided = np.array([answer.decision for answer in answers])
    wrong = (decided != model.decide(expected)) & ~near
    if wrong.any():
        raise DeploymentFailed(
            f"the endpoint decides {int(wrong.sum())} known transactions differently from the approved model"
        )
    return Smoke(rows=len(rows), alerts=int(decided.sum()), largest_difference=float(difference[worst]))
