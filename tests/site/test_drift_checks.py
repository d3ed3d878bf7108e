"""Stored drift checks: what they found, and which reports are copied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from moto import mock_aws

from ml.aws import s3_objects
from ml.aws.drift_check_store import Checks
from ml.aws.session import client
from ml.model.drift.verdict import DriftVerdict, FeatureDrift, Finding
from ml.site import drift_checks
from ml.site.values import DriftState, Request
from tests.site.sites import HOSTILE, OPEN, REPORT, at, check, commit, period, resolution, site
from tests.site.test_request_causes import asked

WINDOW = (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))


def document(uri: str) -> dict[str, object]:
    """A stored check of March in which V28 moved."""
    moved = FeatureDrift(
        name="V28", ks=0.33, psi=0.77, js=0.3, mean_shift=1.0, chi_square=0.0, mean=1.0, std=1.0, missing=0.0,
        out_of_range=0.0, fired=True,
    )  # fmt: skip
    finding = Finding(
        kind="data", statistic="ks", subject="V28", value=0.33, threshold=0.05, p_value=0.0, alpha=1e-6, fired=True
    )
    verdict = DriftVerdict(
        start=WINDOW[0], end=WINDOW[1], reference="a" * 64, rows=24_000, verdicts=("data",), evaluated=("data",),
        reasons=(), findings=(finding,), features=(moved,), scores=None, labels=None, estimated=None,
        concept_onset=None,
    )  # fmt: skip
    return {
        "start": "2026-03-01T00:00:00Z",
        "end": "2026-04-01T00:00:00Z",
        "evaluated": "2026-04-01T05:17:00Z",
        "model": {"approval": 1},
        "summary": {"decided": 24_000, "alerts": 226},
        "verdict": verdict.to_dict(),
        "report": uri,
    }


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Checks]:
    """An empty lake."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client("s3").create_bucket(Bucket="lake")
        yield Checks("lake", "fraudops-production")


def test_check_is_read_with_its_report(checks: Checks) -> None:
    """What happened in words, shifts by input, alerts a day, and the report as it is stored."""
    uri = checks.uri("reports", *WINDOW, "report.html")
    s3_objects.write(uri, REPORT, "text/html")
    checks.write(document(uri))
    (state,) = drift_checks.read(checks, checks.windows())
    assert (state.approval, state.kind, state.rows, state.alerts) == (1, "drift", 24_000, 226)
    assert state.headline.startswith("In March 2026 ")
    assert len(state.lines) == 1
    assert (dict(state.shifts), state.drifted) == ({"V28": 0.33}, frozenset({"V28"}))
    assert (state.report, state.report_missing) == (REPORT, "")
    assert state.page == "drift/20260301T000000Z_20260401T000000Z.html"
    assert state.alerts_a_day == pytest.approx(226 / 31)
    assert (state.judged, state.label_days, state.concept_tested, state.fired) == (None, 0, False, ("data",))


def test_windows_without_a_check_and_missing_reports(checks: Checks) -> None:
    """Such a window is left out; a check without a report says so."""
    uri = checks.uri("reports", *WINDOW, "report.html")
    checks.write(document(uri))
    other = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    (state,) = drift_checks.read(checks, [other, WINDOW])
    assert state.report is None
    assert uri in state.report_missing


@pytest.mark.parametrize(
    "forge",
    [
        lambda page: b"<script>alert(1)</script>" + page,
        lambda page: page.replace(b"<head>", b"<head><script>alert(1)</script>"),
        lambda page: page.replace(b"default-src 'none'", b"default-src *"),
        lambda page: page.replace(b"; base-uri 'none'", b"; script-src *"),
        lambda page: page.replace(b"; base-uri 'none'; form-action 'none'", b""),
        lambda page: page.replace(b'<meta charset="utf-8">', b'<meta http-equiv="refresh" content="0;url=//x">'),
        lambda page: page.replace(b'"viewport"', b'"viewport" http-equiv="refresh"').replace(b"width=", b"0;url=//x"),
        lambda page: page.replace(b"</body>", b"<META/http-equiv=refresh content='0;url=//x'></body>"),
        lambda page: page.replace(b"<title>", b'<link rel="preconnect" href="https://x.invalid"><title>'),
        lambda page: page.replace(b"<title>", b'<base href="https://x.invalid"><title>'),
        lambda page: HOSTILE.encode(),
    ],
)
def test_report_without_the_policy_is_not_copied(checks: Checks, forge: object) -> None:
    """A page in the lake that could load, run or send something is left out, and named; so is an older version's."""
    assert callable(forge)
    assert forge(REPORT) != REPORT
    uri = checks.uri("reports", *WINDOW, "report.html")
    assert drift_checks.is_harmless(REPORT)
    s3_objects.write(uri, forge(REPORT), "text/html")
    checks.write(document(uri))
    (state,) = drift_checks.read(checks, checks.windows())
    assert state.report is None
    assert state.report_missing == (
        f"{uri} is not copied: it is not in the form of this version's reports, which can load nothing"
    )


@pytest.mark.parametrize(
    ("verdicts", "kind"),
    [
        (["none"], "no drift"),
        (["labels immature"], "no drift"),
        (["no data"], "no data"),
        (["no data", "data"], "drift"),
    ],
)
def test_kind_of_a_check(checks: Checks, verdicts: list[str], kind: str) -> None:
    """Too little traffic is not drift, and not the absence of drift."""
    made = document(checks.uri("reports", *WINDOW, "report.html"))
    verdict = made["verdict"]
    assert isinstance(verdict, dict)
    checks.write(made | {"verdict": verdict | {"verdicts": verdicts, "findings": [], "features": []}})
    (state,) = drift_checks.read(checks, [WINDOW])
    assert state.kind == kind


def test_columns_are_months_or_days() -> None:
    """A whole month is named by it, a shorter window by its first day; each input has a row."""
    day = check(5, 1, {}, start=datetime(2026, 5, 3, tzinfo=UTC), end=datetime(2026, 5, 4, tzinfo=UTC))
    states = [check(4, 1, {"V1": 0.01}), day, check(6, 2, {})]
    assert [(each.name, each.title, each.model, each.changed) for each in drift_checks.columns(states)] == [
        ("Apr 26", "1 to 30 April 2026", "0001", False),
        ("3 May", "3 May 2026", "0001", False),
        ("Jun 26", "1 to 30 June 2026", "0002", True),
    ]
    (row,) = drift_checks.heat_rows(states, 0.05)
    assert [(cell.text, cell.class_) for cell in row.cells] == [("1", "h0"), ("", "gap"), ("", "gap")]


def urgency(*checks: DriftState, requests: tuple[Request, ...] = (), serves: int = 1) -> str:
    """The words on the first of the checks, in a site in which this model serves."""
    whole = site(periods=(period(serves, at(3), None),), checks=checks, requests=requests)
    return drift_checks.urgency(whole, checks[0])


@pytest.mark.parametrize(
    ("fired", "said"),
    [
        (("concept", "data"), "needs action: concept"),
        (("data",), "shifted inputs only"),
        (("prediction",), "needs action: prediction"),
        ((), "drift"),
    ],
)
def test_checks_that_need_action_are_told_from_shifted_inputs(fired: tuple[str, ...], said: str) -> None:
    """Inputs alone may shift without harm; labels, scores and the daily test say more."""
    assert urgency(check(5, 1, {}, fired=fired)) == said


def test_answered_check_needs_no_action() -> None:
    """A model that answered and serves does; an open request and a model that failed the gate do not."""
    answered = asked("daily_fraud_rate")
    answered = replace(answered, request=answered.request.model_copy(update={"cause": "concept-drift"}))
    drifted = check(5, 1, {}, fired=("concept",))
    assert urgency(drifted, requests=(answered,), serves=3) == "answered by model 0003: alarm, concept"
    waiting = replace(answered, resolution=None)
    assert urgency(drifted, requests=(waiting,)) == "needs action: alarm, concept"
    assert urgency(drifted, requests=(answered, waiting), serves=3) == "needs action: alarm"
    failed = replace(answered, resolution=resolution(OPEN, Path("model-config/gate-failures/x.yaml"), failed=True))
    assert urgency(drifted, requests=(failed,)) == "needs action: alarm, concept"
    assert urgency(drifted, requests=(answered,)) == "needs action: alarm, concept"  # 0003 was rolled back
    assert urgency(drifted, requests=(failed,), serves=3) == "alarm and concept drift of model 0001, which was replaced"
    calm = check(5, 1, {}, fired=())
    assert urgency(calm, requests=(failed,), serves=3) == "alarm of model 0001, which was replaced"
    both = check(5, 1, {}, fired=("prediction", "concept"))
    assert urgency(both, requests=(failed,), serves=3).startswith(
        "alarm, and prediction and concept drift of model 0001"
    )


def test_alarm_that_led_to_the_model_of_the_check_is_answered() -> None:
    """It began to serve within the window; an attempt before it failed the gate. A later alarm is of this model."""
    led = asked("daily_fraud_rate")
    before = resolution(OPEN, Path("model-config/gate-failures/x.yaml"), failed=True)
    failed = replace(led, resolution=before, landed=commit(1, at(5, 10)))
    own = check(5, 3, {}, fired=("prediction",))
    tested = check(6, 3, {}, fired=())
    said = urgency(own, tested, requests=(failed, led), serves=3)
    assert said == "answered by model 0003: alarm; not found again: prediction"
    assert urgency(check(5, 3, {}), requests=(failed, led), serves=3) == "answered by model 0003: alarm"
    later = replace(led, resolution=None, landed=commit(2, at(5, 28)))
    assert urgency(check(5, 3, {}), requests=(led, later), serves=3) == "needs action: alarm"


def test_open_alarm_before_the_one_that_led_to_the_model_is_unanswered() -> None:
    """An alarm of 2 May without an answer needs action, although that of 15 May led to the model of the check."""
    led = asked("daily_fraud_rate")
    waiting = replace(led, resolution=None, landed=commit(1, at(5, 2)))
    assert urgency(check(5, 3, {}), requests=(waiting, led), serves=3) == "needs action: alarm"


def test_drift_whose_request_was_suppressed_is_not_answered() -> None:
    """Only a kind of drift with a request of its own is answered by the model that it led to."""
    alarm = asked("daily_fraud_rate")
    alarm = replace(alarm, request=alarm.request.model_copy(update={"cause": "concept-drift"}))
    drifted = check(5, 1, {}, fired=("prediction", "concept"))
    assert urgency(drifted, requests=(alarm,), serves=3) == (
        "answered by model 0003: alarm, concept; without a request: prediction"
    )
    inputs = replace(alarm, request=alarm.request.model_copy(update={"cause": "data-drift", "evidence": {}}))
    assert (
        urgency(drifted, requests=(inputs,), serves=3)
        == "prediction and concept drift of model 0001, which was replaced"
    )


def test_request_of_several_windows_answers_the_drift_of_each() -> None:
    """The first of two windows that agreed has the same request as the second."""
    item = asked("psi", (at(4, 1, 0), at(5, 1, 0)), (at(5, 1, 0), at(6, 1, 0)), month=6, day=1)
    item = replace(item, request=item.request.model_copy(update={"cause": "prediction-drift"}))
    for month in (4, 5):
        drifted = check(month, 1, {}, fired=("prediction",))
        assert urgency(drifted, requests=(item,), serves=3) == "answered by model 0003: prediction"
    other = check(3, 1, {}, fired=("prediction",))
    assert urgency(other, requests=(item,), serves=3) == "prediction drift of model 0001, which was replaced"


def test_superseded_check_needs_no_action() -> None:
    """Another model serves, or a later check of the model tested the same and found nothing."""
    drifted = check(4, 1, {}, fired=("concept", "prediction"))
    assert urgency(drifted, serves=2) == "concept and prediction drift of model 0001, which was replaced"
    untested, tested = check(5, 1, {}, fired=()), check(6, 1, {}, fired=(), concept_tested=True)
    assert urgency(drifted, untested) == "needs action: concept"
    assert urgency(drifted, untested, tested) == "not found again: concept, prediction"
    assert urgency(drifted, replace(untested, kind="no data")) == "needs action: concept, prediction"
    assert urgency(drifted, replace(tested, approval=2)) == "needs action: concept, prediction"
    alarmed = urgency(drifted, tested, requests=(replace(asked("daily_fraud_rate", month=4), resolution=None),))
    assert alarmed == "needs action: alarm"
