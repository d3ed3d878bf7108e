"""Records in the lake why drift that is due asked for no retrain, for the site's time line. Decides nothing.

Git has the requests that were created; what held another one back is otherwise only in the summary of a workflow run,
which GitHub deletes. A drift check that hands its decisions over knows the limits that Git and the labels set, and not
what the other job finds on GitHub: a pull request that was closed is not recorded then, and the circuit breaker counts
as open until Git says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ml import clock
from ml.aws.drift_check_store import Checks
from ml.drift.drift_case import DriftCase, RequestOutcome, suppressed
from ml.drift.request_limits import RequestLimits
from ml.drift.request_log import RequestLog
from ml.drift.window_choice import NotEnoughLabels, TrainingWindow
from ml.model import gate_check
from ml.records import retrain_requests

STATES = ("suppressed", "circuit breaker open")
"""The states of an outcome without a request that are recorded."""


def by_limits(
    chosen: Sequence[tuple[DriftCase, TrainingWindow | NotEnoughLabels]], log: RequestLog, limits: RequestLimits
) -> list[RequestOutcome]:
    """The outcomes of the cases that the limits of Git or missing labels hold back; other cases have none."""
    found = (_held_back(case, window, log, limits) for case, window in chosen)
    return [outcome for outcome in found if outcome is not None]


def by_circuit_breaker(case: DriftCase, log: RequestLog, limits: RequestLimits) -> RequestOutcome | None:
    """The outcome if gate failures hold the case back, for example the failure that resolved its own request.

    None too if its request, or one that covers it, is open, or if an approval answered its request.
    """
    if case.name in log.requests:
        resolution = log.resolutions.of(case.name)
        if resolution is None or not resolution.gate_failed:
            return None
    elif limits.open_request(case) is not None:
        return None
    failures = limits.gate_failures(case)
    if not failures:
        return None
    models = gate_check.count(len(failures), "model")
    return suppressed(case, f"the circuit breaker is open: {models} failed the gate")


def _held_back(
    case: DriftCase, window: TrainingWindow | NotEnoughLabels, log: RequestLog, limits: RequestLimits
) -> RequestOutcome | None:
    if (outcome := by_circuit_breaker(case, log, limits)) is not None:
        return outcome
    if case.name in log.requests or limits.open_request(case) is not None:
        return None
    if (outcome := limits.cooldown(case) or limits.monthly_cap(case)) is not None:
        return outcome
    if isinstance(window, NotEnoughLabels):
        return suppressed(case, window.reason)
    return limits.too_few_frauds(case, window)


def record(checks: Checks, outcomes: Iterable[RequestOutcome], *, cases: Iterable[DriftCase], approval: int) -> None:
    """Stores those of `outcomes` that are of a recorded state; the same one again keeps the time of the first.

    Args:
        cases: those that the outcomes are of, the strongest first, as a request has one name for all of its day.
        approval: the model that serves.

    Raises:
        CloudError, DataError: the lake cannot be read or written.
    """
    raised: dict[str, retrain_requests.RaisedBy] = {}
    for case in cases:
        raised.setdefault(case.name, retrain_requests.raised_by(case.evidence))
    for outcome in outcomes:
        if outcome.state in STATES:
            checks.write_suppressed(
                outcome.request,
                cause=outcome.cause,
                raised_by=raised[outcome.request],
                reason=outcome.reason,
                approval=approval,
                at=clock.now(),
            )
