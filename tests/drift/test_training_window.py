"""The training window holds enough labelled frauds for the gate, or the reason says what is missing."""

from __future__ import annotations

from datetime import datetime

from ml import config
from ml.drift import training_window, window_choice
from tests.drift.retrain_cases import NOW, create_requests, due, moment
from tests.harness.platform.monitored import BUCKET, MonitoredEndpoint


def choose(
    env: MonitoredEndpoint, onset: datetime, *, grows: bool, min_positives: int = 15
) -> window_choice.TrainingWindow | window_choice.NotEnoughLabels:
    """The training window for drift since `onset`."""
    return training_window.choose(
        BUCKET,
        onset=onset,
        end=moment(5),
        grows=grows,
        as_of=datetime.fromisoformat(NOW),
        settings=config.load_model(env.root),
        gate=config.load_gate(env.root).model_copy(update={"min_positives": min_positives}),
        labels=config.load_drift(env.root),
    )


def test_training_window_grows_backwards_until_the_test_part_has_enough_frauds(env: MonitoredEndpoint) -> None:
    """It grows by as few days as possible; for concept drift it never grows before the onset."""
    grown = choose(env, moment(4, 15), grows=True, min_positives=60)
    assert isinstance(grown, window_choice.TrainingWindow)
    assert grown.test_frauds >= 60
    assert grown.end == moment(4, 21)
    assert 0 < grown.grown_days < 60
    one_day_less = choose(env, moment(4, 15), grows=True, min_positives=61)
    assert isinstance(one_day_less, window_choice.TrainingWindow)
    assert one_day_less.start <= grown.start
    short = choose(env, moment(4, 15), grows=False, min_positives=60)
    assert isinstance(short, window_choice.NotEnoughLabels)
    assert "the gate requires 60" in short.reason
    hopeless = choose(env, moment(4, 15), grows=True, min_positives=5_000)
    assert isinstance(hopeless, window_choice.NotEnoughLabels)
    assert "from 2026-02-01 to 2026-04-21" in hopeless.reason


def test_no_request_without_mature_labels_or_transactions(env: MonitoredEndpoint) -> None:
    """Each reason states what is missing."""
    young = choose(env, moment(4, 25), grows=False)
    assert isinstance(young, window_choice.NotEnoughLabels)
    assert "not mature yet (0 of" in young.reason
    nothing = training_window.choose(
        BUCKET,
        onset=moment(7),
        end=moment(8),
        grows=True,
        as_of=moment(9),
        settings=config.load_model(env.root),
        gate=config.load_gate(env.root),
        labels=config.load_drift(env.root),
    )
    assert isinstance(nothing, window_choice.NotEnoughLabels)
    assert "holds no transaction" in nothing.reason
    (asked,) = create_requests(env, due("concept", onset=moment(4, 25)))
    assert (asked.state, env.requests()) == ("suppressed", [])
