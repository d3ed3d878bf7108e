"""When an adapted model is adapted again: from three times the days that its part for new patterns was fitted on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from ml import config
from ml.drift import decision_policy, repeated_adaptation
from ml.drift.approved_model import Model
from ml.drift.repeated_adaptation import case, onset
from ml.drift.window_monitor import Check
from ml.model import artifact
from ml.model.drift.histogram import Reference
from ml.model.drift.reference import FITTED_NUMBERS
from ml.model.drift.sequential_fraud_rate_test import FraudRates
from ml.model.model_parts import KNOWN, NEW
from ml.model.run_kinds import ADAPT, FIT, THRESHOLD
from tests.harness.git import repositories
from tests.harness.platform import monitored

FIRST = datetime(2026, 7, 1, tzinfo=UTC)
FITTED = {"start": "2025-01-01T00:00:00Z", "end": "2025-09-01T00:00:00Z", "numbers": FITTED_NUMBERS[FIT]}
ADAPTED = {"start": "2026-07-01T00:03:10Z", "end": "2026-07-11T00:00:00Z", "numbers": FITTED_NUMBERS[ADAPT]}
THRESHOLD_SET = {"start": "2026-07-08T00:00:00Z", "end": "2026-07-20T00:00:00Z", "numbers": FITTED_NUMBERS[THRESHOLD]}


def due(days: float, **changes: Any) -> datetime | None:
    """The onset `days` after the first day, of a model that was fitted on ten days unless `windows` are given."""
    options = {"windows": [FITTED, ADAPTED], "patterns": (KNOWN, NEW)} | changes
    return onset({"fitted": options["windows"]}, options["patterns"], now=FIRST + timedelta(days=days))


@pytest.mark.parametrize(("days", "found"), [(29.9, None), (30, FIRST), (44.9, FIRST), (45, None), (400, None)])
def test_repeated_from_three_times_the_fitted_days(days: float, found: datetime | None) -> None:
    """Due from day 30 until day 45 of a model that was fitted on ten days, so that one failure is not repeated."""
    assert due(days) == found


def test_adaptation_of_a_few_days_is_repeated_after_the_cooldown() -> None:
    """Fitted on two days, it is due until day 28, not until day 9: a cooldown of 14 days has ended by then."""
    short = ADAPTED | {"end": "2026-07-03T00:00:00Z"}
    days = [day for day in range(1, 40) if due(day, windows=[FITTED, short]) is not None]
    assert days == list(range(6, 28))


def test_window_of_the_greatest_length_moves_on() -> None:
    """Fitted on 52 days, the 70 % of 75, it is due again after 156 days, when the latest 75 are all later ones."""
    long = ADAPTED | {"end": "2026-08-22T00:00:00Z"}
    days = [day for day in range(1, 300) if due(day, windows=[FITTED, long]) is not None]
    assert (days[0], days[-1]) == (156, 233)


@pytest.mark.parametrize("windows", [[FITTED], [FITTED, ADAPTED]])
def test_only_a_model_with_a_new_pattern_is_adapted_again(windows: list[dict[str, str]]) -> None:
    """A fitted model is not, nor one whose adaptation needed no part for new patterns."""
    assert due(30, patterns=(KNOWN,), windows=windows) is None


def test_new_threshold_does_not_end_the_repetitions() -> None:
    """The days of the adaptation count, not those on which the threshold was chosen later."""
    assert due(29.9, windows=[FITTED, ADAPTED, THRESHOLD_SET]) is None
    assert due(30, windows=[FITTED, ADAPTED, THRESHOLD_SET]) == FIRST


def adapted_model() -> Model:
    """A model with a part for new patterns, fitted from 10 to 15 January 2026 at last."""
    content = artifact.read(monitored.archive(adapted=True))
    before = config.Champion(
        approval=1,
        model_package_arn=repositories.record(1).model_package_arn,
        artifact_sha256="1" * 64,
        comparison="compared",
        reason="Compared on the same rows.",
    )
    return Model(
        record=repositories.record(2, kind=ADAPT, champion=before),
        reference=Reference.of(content.baseline),
        amount="Amount",
        rates=FraudRates.of(content.baseline),
        scorer=content.model,
    )


def test_case_asks_for_an_adaptation_from_the_onset_to_today() -> None:
    """The case names the model, the days, the kind of run, and where the check is; there is none before it is due."""
    model, now = adapted_model(), datetime(2026, 1, 26, 5, 17, tzinfo=UTC)
    check = Check(document={"report": "s3://lake/monitoring/e/reports/w/report.html"}, new=True)
    found = case(model, check, ["data"], now=now)
    assert found is not None
    first, end = datetime(2026, 1, 10, tzinfo=UTC), datetime(2026, 1, 26, tzinfo=UTC)
    assert (found.kind, found.run_kind, found.name) == ("concept", ADAPT, "20260126T000000Z-concept-drift")
    assert (found.decision.onset, found.decision.fired) == (first, ((first, end),))
    assert found.reason == (
        "The part for new patterns of approval 0002 was fitted on 5 days; 16 days have passed since 2026-01-10. Asks "
        "for another adaptation"
    )
    assert found.evidence["also_due"] == ["data"]
    assert found.evidence["check"] == "s3://lake/monitoring/e/checks/w.json"
    assert found.evidence["findings"][0]["value"] == 16
    assert case(model, check, [], now=now - timedelta(days=2)) is None


@pytest.mark.parametrize("fired", [True, False])
def test_alarm_comes_before_another_adaptation(monkeypatch: pytest.MonkeyPatch, fired: bool) -> None:
    """Both are cases of concept drift, so only one is created: the one with evidence of drift."""
    alarm, again = SimpleNamespace(kind="concept"), SimpleNamespace(kind="concept", again=True)
    monkeypatch.setattr(decision_policy, "_cases_of_windows", lambda *_: [])
    monkeypatch.setattr(decision_policy, "build_alarm_case", lambda *_: alarm)
    monkeypatch.setattr(repeated_adaptation, "case", lambda *_, **__: again)
    monitor = SimpleNamespace(serves=2, model=lambda _: None)
    result = SimpleNamespace(fired=fired, ended=None)
    cases: list[Any] = decision_policy.cases(monitor, [None], result)  # type: ignore[arg-type, list-item] # fakes
    assert cases == [alarm if fired else again]


@pytest.mark.parametrize("fired", [True, False])
def test_end_of_the_pattern_comes_before_windows_unless_new_frauds_are_found(
    monkeypatch: pytest.MonkeyPatch, fired: bool
) -> None:
    """Windows find a pattern's end as drift too, later; an alarm shows frauds that only an adaptation can learn."""
    windows = [SimpleNamespace(kind="concept"), SimpleNamespace(kind="data")]
    end = SimpleNamespace(kind="concept", end=True)
    monkeypatch.setattr(decision_policy, "_cases_of_windows", lambda *_: windows)
    monkeypatch.setattr(decision_policy, "build_end_case", lambda *_: end)
    result = SimpleNamespace(fired=fired, ended=SimpleNamespace(fired=True))
    cases: list[Any] = decision_policy.cases(None, [None], result)  # type: ignore[arg-type, list-item] # fakes
    assert cases == (windows if fired else [end, windows[1]])
