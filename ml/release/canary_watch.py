"""Compares a canary's answers with its model's baseline every minute, and publishes the evidence to CloudWatch.

The platform's alarms on these metrics roll the deployment back, not this module: it changes no endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ml import clock, config
from ml.aws import cloudwatch_metrics
from ml.aws.capture.model_answers import NewAnswers
from ml.aws.cloudwatch_metrics import Point
from ml.console import note
from ml.errors import CloudError, Refused

if TYPE_CHECKING:
    from ml.release.canary_evidence import Evidence

ALERTS, SCORES, ANSWERS = "CanaryAlertRateEvidence", "CanaryScoreEvidence", "CanaryAnswers"
"""The metrics, with the dimension Endpoint. Evidence is the largest so far: 1 is an alarm."""
EVERY = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The last comparison: counts of answers, the baseline's, what is allowed, and the evidence (1 is an alarm)."""

    rows: int
    alerts: int
    baseline_alerts: int
    baseline_rows: int
    allowed_alert_rates: tuple[float, float]
    score_shift: float
    allowed_score_shift: float
    evidence: Evidence

    def __str__(self) -> str:
        low, high = self.allowed_alert_rates
        if not self.rows:
            return "no answer of the new model was captured, so nothing was compared"
        return (
            f"of {self.rows:,} answers of the new model {self.alerts:,} ({self.alerts / self.rows:.2%}) are alerts, of "
            f"its baseline {self.baseline_alerts / self.baseline_rows:.2%}, and {low:.2%} to {high:.2%} are allowed "
            f"(evidence {self.evidence.alerts:.2f}, 1 is an alarm); its scores differ from the baseline's by up to "
            f"{self.score_shift:.2f}, and {self.allowed_score_shift:.2f} is allowed (evidence "
            f"{self.evidence.scores:.2f})"
        )


class CanaryWatch:
    """Looks at a canary's answers once a minute."""

    def __init__(
        self,
        endpoint: str,
        settings: config.Canary,
        baseline: Mapping[str, Any],
        answers: Callable[[datetime], NewAnswers],
    ) -> None:
        """`answers` returns the canary's answers that are new at a time.

        Raises:
            Refused: the baseline has no scores or alerts.
        """
        from ml.release import canary_evidence

        try:
            self._expected = canary_evidence.Expected.of(baseline)
        except (KeyError, ValueError) as error:
            raise Refused(
                f"the model's baseline.json cannot be compared with a canary's answers ({error}); nothing was changed. "
                "Deploy with rollout.traffic: all_at_once, or train the model again"
            ) from error
        self._limits = canary_evidence.Limits(
            false_alarm_rate=settings.false_alarm_rate,
            max_alert_rate_ratio=settings.max_alert_rate_ratio,
            max_score_shift=settings.max_score_shift,
        )
        self._endpoint, self._new = endpoint, answers
        self._answers = canary_evidence.Answers.none(self._expected)
        self._largest = canary_evidence.Evidence(alerts=0.0, scores=0.0)
        self._next: datetime | None = None
        self.failure: CloudError | None = None
        """Why the last look failed; None if it did not. The next one reads and publishes what it did not."""

    def look(self) -> None:
        """Compares and publishes, if a minute has passed since the last look."""
        now = clock.now()
        if self._next is not None and now < self._next:
            return
        self._next = now + EVERY
        try:
            self._compare(now)
        except CloudError as error:
            note(f"the canary could not be compared at {clock.stamp(now)}: {error}")
            self.failure = error
            return
        self.failure = None

    def repeat_failed_look(self) -> None:
        """Looks once more, at once, if the last look failed. For the end of the watch."""
        if self.failure is not None:
            self._next = None
            self.look()

    @property
    def warning(self) -> str | None:
        """What a person must know of a watch that has ended: its last answers were not compared, and why."""
        if self.failure is None:
            return None
        return f"The last answers of the canary were not compared with its model's baseline: {self.failure}"

    @property
    def comparison(self) -> Comparison:
        """The last comparison."""
        return Comparison(
            rows=self._answers.rows,
            alerts=self._answers.alerts,
            baseline_alerts=self._expected.alerts,
            baseline_rows=self._expected.rows,
            allowed_alert_rates=self._expected.alert_rates(self._limits),
            score_shift=self._answers.score_shift(self._expected),
            allowed_score_shift=self._expected.score_shift(self._limits),
            evidence=self._largest,
        )

    def _compare(self, now: datetime) -> None:
        from ml.release import canary_evidence

        new = self._new(now)
        if new.unreadable_lines:
            note(f"{new.unreadable_lines} captured lines could not be read; the next drift check keeps them")
        self._answers = self._answers.with_rows(self._expected, new.scores, new.decisions)
        found = canary_evidence.evaluate(self._expected, self._answers, self._limits)
        self._largest = canary_evidence.Evidence(
            alerts=max(self._largest.alerts, found.alerts), scores=max(self._largest.scores, found.scores)
        )
        points = [
            Point(name=ALERTS, value=self._largest.alerts),
            Point(name=SCORES, value=self._largest.scores),
            Point(name=ANSWERS, value=float(self._answers.rows), unit="Count"),
        ]
        cloudwatch_metrics.publish(self._endpoint, points, at=now, namespace=cloudwatch_metrics.ROLLOUT)
        note(f"canary at {clock.stamp(now)}: {self.comparison}")
