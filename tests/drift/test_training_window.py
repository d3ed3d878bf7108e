"""The training window holds enough labelled frauds for the gate, or the reason says what is missing."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from ml import config
from ml.aws.labels import coverage
from ml.drift import training_window, window_choice
from ml.model.run_kinds import RunKind
from ml.playground.template_state import FOLDER as SHIPPED
from tests.drift.retrain_cases import NOW, create_requests, due, moment
from tests.harness.platform.monitored import BUCKET, MonitoredEndpoint


def choose(
    env: MonitoredEndpoint, onset: datetime, *, kind: RunKind, min_positives: int = 15, min_age_days: int = 7
) -> window_choice.TrainingWindow | window_choice.NotEnoughLabels:
    """The training window for drift since `onset`."""
    rules = config.load_drift(env.root)
    limits = rules.labels.model_copy(update={"min_age_days": min_age_days})
    return training_window.choose(
        BUCKET,
        onset=onset,
        end=moment(5),
        kind=kind,
        as_of=datetime.fromisoformat(NOW),
        settings=config.load_model(env.root),
        gate=config.load_gate(env.root).model_copy(update={"min_positives": min_positives}),
        labels=rules.model_copy(update={"labels": limits}),
    )


def test_training_window_grows_backwards_until_the_test_part_has_enough_frauds(env: MonitoredEndpoint) -> None:
    """It grows by as few days as possible; that of an adaptation never grows before the onset."""
    grown = choose(env, moment(4, 15), kind="fit", min_positives=60)
    assert isinstance(grown, window_choice.TrainingWindow)
    assert grown.test_frauds >= 60
    assert grown.end == moment(4, 21)
    assert 0 < grown.grown_days < 60
    one_day_less = choose(env, moment(4, 15), kind="fit", min_positives=61)
    assert isinstance(one_day_less, window_choice.TrainingWindow)
    assert one_day_less.start <= grown.start
    short = choose(env, moment(4, 15), kind="adapt", min_positives=60)
    assert isinstance(short, window_choice.NotEnoughLabels)
    assert "the gate requires 60" in short.reason
    hopeless = choose(env, moment(4, 15), kind="fit", min_positives=5_000)
    assert isinstance(hopeless, window_choice.NotEnoughLabels)
    assert "from 2026-02-01 to 2026-04-21" in hopeless.reason


def test_adaptation_uses_young_labels_of_the_latest_days(env: MonitoredEndpoint) -> None:
    """Its window reaches the last day of which half the rows have a label, and at most `adapt_days` back."""
    found = choose(env, moment(3), kind="adapt", min_age_days=15)
    assert isinstance(found, window_choice.TrainingWindow)
    assert (found.start, found.end, found.grown_days) == (moment(3), moment(4, 21), 0)
    mature = choose(env, moment(3), kind="fit", min_age_days=15)
    assert isinstance(mature, window_choice.TrainingWindow)
    assert mature.end == moment(4, 16)
    limits = config.load_drift(env.root).training_window
    long = choose(env, moment(2), kind="adapt")
    assert isinstance(long, window_choice.TrainingWindow)
    assert long.start == max(moment(2), long.end - timedelta(days=limits.adapt_days))


def test_new_threshold_uses_the_latest_mature_days(env: MonitoredEndpoint) -> None:
    """45 days up to the last mature one, more if the test part needs them, and never days before the onset."""
    recent = choose(env, moment(2), kind="threshold")
    assert isinstance(recent, window_choice.TrainingWindow)
    assert (recent.start, recent.end) == (moment(4, 21) - timedelta(days=45), moment(4, 21))
    more = choose(env, moment(2), kind="threshold", min_positives=recent.test_frauds + 5)
    assert isinstance(more, window_choice.TrainingWindow)
    assert more.start < recent.start
    assert more.test_frauds >= recent.test_frauds + 5
    young = choose(env, moment(4, 1), kind="threshold")
    assert isinstance(young, window_choice.TrainingWindow)
    assert young.start == moment(4, 1)
    short = choose(env, moment(4, 15), kind="threshold", min_positives=60)
    assert isinstance(short, window_choice.NotEnoughLabels)
    assert "frauds are labelled from 2026-04-15 to 2026-04-21" in short.reason


def test_dropped_part_is_tested_on_the_days_since_its_end(env: MonitoredEndpoint) -> None:
    """The days before them are as many as the training part needs, and their frauds do not count as evidence."""
    found = choose(env, moment(4, 10), kind="drop")
    assert isinstance(found, window_choice.TrainingWindow)
    since = (found.end - moment(4, 10)).days
    before = (moment(4, 10) - found.start).days
    assert before == found.grown_days
    assert 0.69 <= before / (since + before) <= 0.7  # never more: the test part begins at the end of the pattern
    short = choose(env, moment(4, 10), kind="drop", min_positives=found.test_frauds + 1)
    assert isinstance(short, window_choice.NotEnoughLabels)
    assert f"of which {found.test_frauds} are in the test part" in short.reason
    recent = choose(env, moment(2), kind="drop")  # no day before it: the lake begins here
    assert isinstance(recent, window_choice.TrainingWindow)
    assert (recent.start, recent.grown_days) == (moment(2), 0)


def test_no_request_without_mature_labels_or_transactions(env: MonitoredEndpoint) -> None:
    """Each reason states what is missing."""
    young = choose(env, moment(4, 25), kind="fit")
    assert isinstance(young, window_choice.NotEnoughLabels)
    assert "not mature yet (0 of" in young.reason
    nothing = training_window.choose(
        BUCKET,
        onset=moment(7),
        end=moment(8),
        kind="fit",
        as_of=moment(9),
        settings=config.load_model(env.root),
        gate=config.load_gate(env.root),
        labels=config.load_drift(env.root),
    )
    assert isinstance(nothing, window_choice.NotEnoughLabels)
    assert "holds no transaction" in nothing.reason
    (asked,) = create_requests(env, due("concept", onset=moment(4, 25)))
    assert (asked.state, env.requests()) == ("suppressed", [])


@pytest.mark.parametrize(("last", "enough"), [(5, False), (8, True)])
def test_frauds_of_a_split_day_do_not_count(monkeypatch: pytest.MonkeyPatch, last: int, enough: bool) -> None:
    """The cut at 70 % lies in the seventh of nine equal days: its ten frauds may all be before it."""
    frauds = [2, 2, 2, 2, 2, 2, 10, last, last]
    days = [
        coverage.DayCount(day=date(2026, 4, 1 + place), rows=100, labelled=100, frauds=count)
        for place, count in enumerate(frauds)
    ]
    monkeypatch.setattr(coverage, "by_day", lambda *_, **__: days)
    gate = config.load_gate(SHIPPED).model_copy(update={"min_positives": 15})
    found = training_window.choose(
        BUCKET,
        onset=moment(4),
        end=moment(4, 10),
        kind="adapt",
        as_of=datetime.fromisoformat(NOW),
        settings=config.load_model(SHIPPED),
        gate=gate,
        labels=config.load_drift(SHIPPED),
    )
    assert isinstance(found, window_choice.TrainingWindow) is enough
    if isinstance(found, window_choice.TrainingWindow):
        assert found.test_frauds == 2 * last
