"""The look at a canary's answers: once a minute, what is published, and a look that fails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ml import config
from ml.aws import cloudwatch_metrics
from ml.aws.capture.model_answers import NewAnswers
from ml.aws.cloudwatch_metrics import Point
from ml.errors import CloudError, Refused
from ml.model.drift.reference import Summary
from ml.release import canary_watch
from ml.release.canary_watch import CanaryWatch

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SETTINGS = config.Canary(
    instances=1, bake_minutes=10, false_alarm_rate=0.01, max_alert_rate_ratio=2.0, max_score_shift=0.1
)
SCORES = np.linspace(0, 1, 1_000)
BASELINE = {"scores": Summary.reference(SCORES).to_dict(), "alerts": {"count": 20, "of": 1_000}}


class Endpoint:
    """Answers of a canary, and what was published; both may fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.alerting, self.fails, self.published = False, False, list[tuple[datetime, str, dict[str, float]]]()
        self._patch = monkeypatch
        monkeypatch.setattr(cloudwatch_metrics, "publish", self._publish)
        self.set_minute(0)

    def set_minute(self, minutes: float) -> None:
        """Sets the clock."""
        self._patch.setenv("FRAUDOPS_NOW", (START + timedelta(minutes=minutes)).isoformat())

    def answers(self, _now: datetime) -> NewAnswers:
        """A thousand sound scores; every row is an alert or two of a hundred are."""
        decisions = ((0.0 if self.alerting else 0.98) <= SCORES).astype(np.int8)
        return NewAnswers(scores=SCORES, decisions=decisions, unreadable_lines=0)

    def _publish(self, endpoint: str, points: list[Point], *, at: datetime, namespace: str) -> int:
        if self.fails:
            raise CloudError("CloudWatch cannot be reached")
        assert (endpoint, namespace) == ("live", cloudwatch_metrics.ROLLOUT)
        self.published.append((at, endpoint, {point.name: point.value for point in points}))
        return len(points)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    """An endpoint with a canary."""
    return Endpoint(monkeypatch)


def test_canary_is_looked_at_once_a_minute(endpoint: Endpoint) -> None:
    """However often it is asked to, with the time of the look."""
    watch = CanaryWatch("live", SETTINGS, BASELINE, endpoint.answers)
    for minutes in (0, 0.5, 1, 1.5, 1.9, 2):
        endpoint.set_minute(minutes)
        watch.look()
    assert [at for at, _, _ in endpoint.published] == [START + timedelta(minutes=each) for each in (0, 1, 2)]
    assert [values[canary_watch.ANSWERS] for _, _, values in endpoint.published] == [1_000, 2_000, 3_000]
    assert max(values[canary_watch.ALERTS] for _, _, values in endpoint.published) < 1


def test_evidence_never_falls(endpoint: Endpoint) -> None:
    """An alarm that CloudWatch evaluates a minute later still sees it."""
    watch = CanaryWatch("live", SETTINGS, BASELINE, endpoint.answers)
    endpoint.alerting = True
    watch.look()
    endpoint.alerting = False
    for minutes in range(1, 40):
        endpoint.set_minute(minutes)
        watch.look()
    evidence = [values[canary_watch.ALERTS] for _, _, values in endpoint.published]
    assert evidence[0] > 1
    assert set(evidence) == {evidence[0]}
    assert str(watch.comparison).startswith("of 40,000 answers of the new model 1,780 (4.45%) are alerts, of its ")
    assert "baseline 2.00%" in str(watch.comparison)


def test_failed_look_is_repeated_and_remembered(endpoint: Endpoint) -> None:
    """The next one, a minute later, makes up for it."""
    watch = CanaryWatch("live", SETTINGS, BASELINE, endpoint.answers)
    endpoint.fails = True
    watch.look()
    assert "CloudWatch cannot be reached" in str(watch.failure)
    endpoint.fails = False
    watch.look()
    assert endpoint.published == []
    endpoint.set_minute(1)
    watch.look()
    assert watch.failure is None
    assert endpoint.published[0][2][canary_watch.ANSWERS] == 2_000


def test_comparison_without_answers_says_so(endpoint: Endpoint) -> None:
    """Nothing was compared."""
    watch = CanaryWatch("live", SETTINGS, BASELINE, endpoint.answers)
    assert str(watch.comparison) == "no answer of the new model was captured, so nothing was compared"


@pytest.mark.parametrize("baseline", [{"fitted": []}, {**BASELINE, "alerts": {"count": 0, "of": 0}}])
def test_baseline_without_counts_is_refused(endpoint: Endpoint, baseline: dict[str, object]) -> None:
    """Before anything is changed; the message says what to do."""
    with pytest.raises(Refused, match=r"rollout\.traffic: all_at_once"):
        CanaryWatch("live", SETTINGS, baseline, endpoint.answers)
