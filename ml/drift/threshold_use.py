"""Tests whether a serving threshold alerts more than the policy it was chosen by allows. Creates no request.

Inputs can drift while the threshold still keeps to its policy. A new one would then only add false alarms, or remove
frauds by chance, so none is asked for. Fewer alerts than the policy allows ask for none either: if frauds are missed,
the tests of recall show it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ml.model import metrics
from ml.model.drift.verdict import CONCEPT, DriftVerdict
from ml.model.drift.window_counts import WindowSummary
from ml.model.training_settings import Threshold

Scored = tuple[DriftVerdict, WindowSummary]
"""The verdict on a window, and the counts of its traffic."""
_FIGURES = {False: "false_positive_rate", True: "alert_rate"}


@dataclass(frozen=True, kw_only=True)
class ThresholdUse:
    """Whether a threshold alerts too much; `exceeded` is None if the counts or the policy cannot tell.

    `figure` is the rate that the policy limits, with its interval `low` to `high`, from `count` of `of` rows; None
    without rows. `reason` says what was found.
    """

    exceeded: bool | None
    reason: str
    figure: str
    limit: float | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    count: int = 0
    of: int = 0

    @property
    def asks(self) -> bool:
        """Whether a new threshold may be due: too many alerts, or a policy that limits no rate."""
        return bool(self.exceeded) or self.figure == "cost"

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


def of_windows(policy: Threshold, windows: Sequence[Scored]) -> ThresholdUse:
    """Compares the rate that `policy` limits with the intervals of its rate in the latest window and in all of them.

    A false-positive rate is counted on days with mature labels; alerts need no label, so the latest traffic counts.

    Args:
        windows: scored by one model, oldest first.
    """
    if policy.policy == "fixed":
        return ThresholdUse(exceeded=None, reason="the threshold is fixed by the settings", figure="none")
    if policy.policy == "min_cost":
        return ThresholdUse(exceeded=None, reason="the threshold policy min_cost limits no rate", figure="cost")
    by_alerts = policy.policy == "alert_budget"
    counts = [each for each in map(_alerts if by_alerts else _false_alarms, windows) if each[1]]
    if not counts:
        return ThresholdUse(
            exceeded=None,
            reason=f"no window since the onset has {'scored rows' if by_alerts else 'mature labels'}",
            figure=_FIGURES[by_alerts],
            limit=policy.value,
        )
    latest, pooled = (_compared(each, policy.value, by_alerts) for each in (counts[-1:], counts))
    return latest if latest.exceeded else pooled


def _compared(counts: Sequence[tuple[int, int]], limit: float, by_alerts: bool) -> ThresholdUse:
    count, of = (sum(part) for part in zip(*counts, strict=True))
    rate = metrics.rate(count, of, "no rows")
    assert rate.value is not None and rate.low is not None and rate.high is not None  # noqa: S101 - of is not 0
    windows = "one window" if len(counts) == 1 else f"{len(counts)} windows"
    reason = (
        f"{count:,} of {of:,} {'rows' if by_alerts else 'legitimate rows'} of {windows} since the onset are alerted, "
        f"{100 * rate.value:.3g} % (interval {100 * rate.low:.3g} to {100 * rate.high:.3g} %), where the policy allows "
        f"{100 * limit:.3g} %"
    )
    return ThresholdUse(
        exceeded=rate.low > limit,
        reason=reason,
        figure=_FIGURES[by_alerts],
        limit=limit,
        value=rate.value,
        low=rate.low,
        high=rate.high,
        count=count,
        of=of,
    )


def _alerts(window: Scored) -> tuple[int, int]:
    _, summary = window
    return summary.alerts, summary.decided


def _false_alarms(window: Scored) -> tuple[int, int]:
    verdict, _ = window
    if verdict.labels is None or CONCEPT not in verdict.evaluated:
        return 0, 0
    confusion: Mapping[str, int] = verdict.labels["confusion"]
    return confusion["false_positives"], confusion["false_positives"] + confusion["true_negatives"]
