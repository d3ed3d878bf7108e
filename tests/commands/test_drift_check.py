"""`fraudops drift check`: verdicts from captured traffic and late labels, and at most one request per decision."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from local_github.server import LocalGitHub

from ml import clock, config
from ml.aws import s3_objects
from ml.aws.capture import reader
from ml.aws.drift_check_store import Checks
from ml.aws.session import client
from ml.commands import drift_check
from ml.commands.drift_check import check
from ml.drift import check_artifacts, step_summary
from ml.errors import CloudError, ConfigError, FraudopsError, GitHubError, Refused, UsageError
from ml.gitops import labels
from tests.harness.aws import moto_server
from tests.harness.platform import monitored
from tests.harness.platform.monitored import BUCKET, MonitoredEndpoint
from tests.harness.platform.served import ENDPOINT

FOLDER = f"monitoring/{ENDPOINT}"
FEBRUARY = "20260201T000000Z_20260301T000000Z"
MARCH = "20260301T000000Z_20260401T000000Z"


@pytest.fixture
def env(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MonitoredEndpoint]:
    """A champion that has served since the end of January, and a GitHub emulator."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    with LocalGitHub(tmp_path / "github") as github:
        yield from monitored.watched(github, tmp_path, monkeypatch)


def metric(name: str, **dimensions: str) -> float | None:
    """The latest published value of a metric; None if there is none."""
    given = [{"Name": key, "Value": value} for key, value in {"Endpoint": ENDPOINT, **dimensions}.items()]
    found = client("cloudwatch").get_metric_statistics(
        Namespace="Fraudops/Drift",
        MetricName=name,
        Dimensions=given,
        StartTime=clock.now() - timedelta(hours=1),
        EndTime=clock.now() + timedelta(hours=1),
        Period=7200,
        Statistics=["Maximum"],
    )["Datapoints"]
    return found[-1]["Maximum"] if found else None


def recall(env: MonitoredEndpoint, window: str) -> float:
    """The recall of a window, from its mature labels."""
    hits = env.read(f"{FOLDER}/checks/{window}.json")["verdict"]["labels"]["confusion"]
    return float(hits["true_positives"] / (hits["true_positives"] + hits["false_negatives"]))


@pytest.mark.parametrize("variable", ["GITHUB_REPOSITORY", "GITHUB_TOKEN"])
def test_missing_variable_is_an_error_before_any_verdict(
    env: MonitoredEndpoint, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """The error says what to export; no verdict is stored or published. A report needs no GitHub."""
    monkeypatch.delenv(variable)
    with pytest.raises(GitHubError, match=f"{variable} must be set to reach GitHub: on a laptop, export {variable}"):
        check(env.root)
    assert metric("Checks") is None
    assert not client("s3").list_objects_v2(Bucket=BUCKET, Prefix=f"{FOLDER}/checks/").get("Contents")
    assert check(env.root, report_only=True).verdict


def test_unchanged_traffic_gives_none_and_stores_evidence(env: MonitoredEndpoint) -> None:
    """The check writes verdict, report, plots, Model Monitor files, metrics and summary, and creates no request."""
    env.month(2)
    env.at("2026-03-15T05:17:00Z")
    found = check(env.root)
    assert (found.verdict, found.causes, found.requests, found.no_traffic is not None) == ("none", (), (), True)
    (window,) = found.windows
    assert (window.rows, window.approval, window.new) == (28 * 80, 1, True)
    document = env.read(f"{FOLDER}/checks/{FEBRUARY}.json")
    assert document["verdict"]["evaluated"] == ["concept", "data", "prediction"]
    assert document["traffic"]["objects"] == 56
    reports = {key.rpartition("/")[2] for key in env.keys(f"{FOLDER}/reports/{FEBRUARY}/")}
    assert reports == {"report.html", "features.png", "distributions.png", "scores.png", "outcomes.png"}
    files = {key.rpartition("/")[2] for key in env.keys(f"{FOLDER}/model-monitor/{FEBRUARY}/")}
    assert files == {"statistics.json", "constraints.json", "constraint_violations.json"}
    assert env.read(f"{FOLDER}/model-monitor/{FEBRUARY}/constraint_violations.json") == {"violations": []}
    metrics = client("cloudwatch").list_metrics(Namespace="Fraudops/Drift")["Metrics"]
    dimensions = [{item["Name"]: item["Value"] for item in each["Dimensions"]} for each in metrics]
    assert all(each["Endpoint"] == ENDPOINT for each in dimensions)
    assert {each["Feature"] for each in dimensions if "Feature" in each} == {"Time", "V1", "V2", "Amount", "score"}
    assert {"none", "no data", "concept"} <= {each["Verdict"] for each in dimensions if "Verdict" in each}
    assert "### Drift: none" in env.summary
    assert "```mermaid\nxychart-beta" in env.summary
    assert (env.requests(), env.bot.started) == ([], [])


def test_report_is_copied_for_the_workflow(env: MonitoredEndpoint, tmp_path: Path) -> None:
    """The copy is the stored page, also of a window that was checked before; its path is a step output."""
    env.month(2)
    env.at("2026-03-15T05:17:00Z")
    check(env.root)
    for file in (tmp_path / "drift-report.html", tmp_path / "missing" / "drift-report.html"):
        check(env.root, report_file=file)
        assert file.read_bytes() == s3_objects.read(f"s3://{BUCKET}/{FOLDER}/reports/{FEBRUARY}/report.html")


def test_report_that_cannot_be_copied_fails_last(
    env: MonitoredEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metrics and summary are published and the request is created; there is no output that names a report."""
    env.month(2)
    for month in (3, 4):
        env.at(f"2026-{month:02d}-01T05:17:00Z")
        check(env.root)
        env.month(month, shift=0.6)
    env.at("2026-05-01T05:17:00Z")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "outputs"))
    with pytest.raises(FraudopsError, match="cannot be written"):
        check(env.root, report_file=tmp_path / "file" / "drift-report.html")
    assert metric("Checks") == metric("Drift") == 1
    assert "### Drift: data" in env.summary
    assert len(env.requests()) == 1
    outputs = (tmp_path / "outputs").read_text("utf-8")
    assert "verdict<<" in outputs
    assert "report<<" not in outputs


def test_next_check_completes_an_aborted_report(env: MonitoredEndpoint) -> None:
    """The verdict is not evaluated again; missing plots, page and Model Monitor files are written."""
    env.month(2)
    env.at("2026-03-15T05:17:00Z")
    check(env.root)
    folders = [f"{FOLDER}/{kind}/{FEBRUARY}/" for kind in ("reports", "model-monitor")]
    whole = [env.keys(folder) for folder in folders]
    for key in [f"{folders[0]}report.html", f"{folders[0]}scores.png", *whole[1]]:
        client("s3").delete_object(Bucket=BUCKET, Key=key)
    assert not check(env.root).windows[-1].new
    assert [env.keys(folder) for folder in folders] == whole


def test_report_of_an_earlier_check_does_not_stay_after_an_aborted_run(
    env: MonitoredEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mature labels gave a new verdict, and its report was not written: the next run writes it, a month later too."""
    env.month(2)
    env.at("2026-03-01T05:17:00Z")
    check(env.root)
    files = (f"reports/{FEBRUARY}/report.html", f"checks/{FEBRUARY}.json")
    page, stored = (f"s3://{BUCKET}/{FOLDER}/{name}" for name in files)
    without_labels, document = s3_objects.read(page), s3_objects.read(stored)
    env.at("2026-03-15T05:17:00Z")

    def abort(*_: object) -> None:
        raise CloudError("S3 cannot be reached")

    with monkeypatch.context() as aborting:
        aborting.setattr(check_artifacts, "write", abort)
        with pytest.raises(CloudError, match="cannot be reached"):
            check(env.root)
    assert s3_objects.read(stored) != document
    assert s3_objects.read(page) == without_labels
    env.at("2026-04-01T05:17:00Z")
    check(env.root)
    assert s3_objects.read(page) != without_labels
    assert s3_objects.metadata(page) == {"check": hashlib.sha256(s3_objects.read(stored)).hexdigest()}
    assert [each.start.month for each in check(env.root).windows] == [3]


def test_data_drift_in_two_of_three_windows_creates_one_request(env: MonitoredEndpoint) -> None:
    """The bot commits the request with evidence and training window, and train.yml starts once."""
    env.month(2)
    env.at("2026-03-01T05:17:00Z")
    assert check(env.root).verdict == "none, labels immature"
    env.month(3, shift=0.6)
    env.at("2026-04-01T05:17:00Z")
    first = check(env.root)
    assert [each.verdicts for each in first.windows] == [("none",), ("data", "labels immature")]
    assert (first.causes, env.requests()) == ((), [])
    env.month(4, shift=0.6)
    env.at("2026-05-01T05:17:00Z")
    second = check(env.root)
    (asked,) = second.requests
    assert (asked.request, asked.state, asked.started) == ("20260501T000000Z-data-drift", "requested", True)
    assert env.requests() == [asked.request]
    assert env.bot.tip("main") == asked.commit
    request = env.request(asked.request)
    # No score depends on V2: the ranking is the reference's, and a new threshold is asked for. Its window is the latest
    # 45 days with mature labels.
    assert request.kind == "threshold"
    end = datetime(2026, 4, 21, tzinfo=UTC)
    assert request.window == config.Window(start=end - timedelta(days=45), end=end)
    evidence = request.evidence
    assert evidence["ranking"]["suffered"] is False
    assert evidence["ranking"]["frauds"] >= 15
    assert "Asks for a new threshold: " in request.reason
    assert "no loss of ranking is shown; " in request.reason
    assert request.reason.endswith(" %), where the policy allows 1 %")
    assert (evidence["threshold"]["figure"], evidence["threshold"]["exceeded"]) == ("alert_rate", True)
    assert evidence["top_features"][0]["name"] == "V2"
    assert [each["fired"] for each in evidence["windows"]] == [False, True, True]
    assert all(
        each["p_value"] < each["alpha"] and abs(each["value"]) >= each["threshold"] for each in evidence["findings"]
    )
    assert evidence["data"]["frauds_to_test_on"] >= 15
    assert "Data drift in 2 of the latest 3 windows" in request.reason
    ((workflow, ref, inputs),) = env.bot.started
    assert (workflow, ref) == ("train.yml", "main")
    assert asked.request in inputs["reason"]
    assert f"**A retrain is requested** (`{asked.request}`, kind threshold)" in env.summary

    # A second check gives the same verdicts, no second request and no second training.
    env.trained = [asked.commit or ""]
    kept = env.read(f"{FOLDER}/checks/20260401T000000Z_20260501T000000Z.json")
    again = check(env.root)
    (repeated,) = again.requests
    assert (again.verdict, again.windows[-1].new) == (second.verdict, False)
    assert (repeated.state, repeated.request) == ("already requested", asked.request)
    assert env.read(f"{FOLDER}/checks/20260401T000000Z_20260501T000000Z.json") == kept
    assert (env.requests(), len(env.bot.started)) == ([asked.request], 1)


def test_concept_drift_waits_for_labels_and_trains_from_the_onset(env: MonitoredEndpoint) -> None:
    """The latest window with mature labels decides; the training window starts at the onset."""
    env.month(2, known_after=32)
    env.month(3, flip=0.5, known_after=32)
    env.at("2026-03-01T05:17:00Z")
    check(env.root)
    env.at("2026-04-01T05:17:00Z")
    early = check(env.root)
    assert [each.verdicts for each in early.windows] == [("none",), ("none", "labels immature")]
    assert "recall" not in early.reason
    env.month(4, flip=0.5, known_after=32)
    env.at("2026-05-01T05:17:00Z")
    found = check(env.root)
    assert [each.verdicts for each in found.windows] == [("concept",), ("none", "labels immature")]
    (asked,) = found.requests
    assert (asked.request, asked.state) == ("20260401T000000Z-concept-drift", "requested")
    window = env.request(asked.request).window
    assert (asked.run_kind, env.request(asked.request).kind) == ("adapt", "adapt")
    assert window.start == datetime(2026, 3, 1, tzinfo=UTC)
    assert window.end == datetime(2026, 3, 30, tzinfo=UTC)  # labels take 32 days
    statistics = {each["statistic"] for each in env.request(asked.request).evidence["findings"]}
    assert {"recall", "fraud_rate"} <= statistics
    # The metrics show concept drift although the newest window has no mature labels yet.
    assert (metric("Drift"), metric("Verdict", Verdict="concept"), metric("Verdict", Verdict="none")) == (1, 1, 0)
    assert (metric("Verdict", Verdict="labels immature"), metric("Findings", Kind="data")) == (1, 0)
    assert metric("Recall") == pytest.approx(recall(env, MARCH))


def test_daily_test_finds_concept_drift_before_labels_are_mature(env: MonitoredEndpoint) -> None:
    """An alarm within days, its onset, one request from that onset on, metrics, and none before the onset."""
    env.month(2, known_after=3)
    env.month(3, flip=0.5, known_after=3)
    env.at("2026-03-01T05:17:00Z")
    before = check(env.root).concept_alarm
    assert before is not None
    assert not before.evidence.fired
    assert (before.start, before.end) == (datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
    assert (env.requests(), metric("ConceptAlarm")) == ([], 0)
    env.at("2026-03-06T05:17:00Z")
    found = check(env.root)
    assert found.concept_alarm is not None
    assert found.concept_alarm.onset == datetime(2026, 3, 1, tzinfo=UTC)
    assert (found.causes, found.windows[-1].verdicts, metric("ConceptAlarm")) == (("concept",), ("none",), 1)
    assert "**Concept drift since 2026-03-01** by the daily test" in env.summary
    assert "### Drift: alarm of the daily test; tests of the whole window: none" in env.summary
    assert [each.state for each in found.requests] == ["suppressed"]  # two labelled days have too few frauds to test on
    env.at("2026-03-08T05:17:00Z")
    (asked,) = check(env.root).requests
    assert (asked.request, asked.state) == ("20260308T000000Z-concept-drift", "requested")
    assert asked.run_kind == "adapt"
    request = env.request(asked.request)
    assert request.window.start == datetime(2026, 3, 1, tzinfo=UTC)
    (finding,) = request.evidence["findings"]
    assert finding["statistic"] == "daily_fraud_rate"
    assert finding["value"] > 2 * finding["reference"]
    (again,) = check(env.root).requests
    assert (again.request, again.state) == (asked.request, "already requested")


def test_data_drift_asks_for_nothing_while_alerts_keep_to_the_policy(
    env: MonitoredEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """V2 has moved, but the model alerts on less than the fifth of the rows that its policy allows."""
    env.at("2026-01-31T13:00:00Z")
    env.approve(2, alert_budget=0.2)
    for month in (2, 3):
        env.month(month, shift=0.6, version="0002")
    env.at("2026-03-01T05:17:00Z")
    assert check(env.root).requests == ()
    env.at("2026-04-01T05:17:00Z")
    found = check(env.root)
    assert [each.verdicts[0] for each in found.windows] == ["data", "data"]
    (outcome,) = found.requests
    assert (found.causes, outcome.state, outcome.run_kind) == ((), "suppressed", "threshold")
    assert outcome.reason.startswith("no new threshold: ")
    assert outcome.reason.endswith(" %), where the policy allows 20 %")
    assert outcome.reason in env.summary
    assert (env.requests(), env.bot.started) == ([], [])

    # Handed over, it is no case for the other job, which another cause would be.
    rendered: list[Any] = []
    render = step_summary.drift_check

    def record(*values: Any, **more: Any) -> str:
        rendered.append((values, more))
        return render(*values, **more)

    monkeypatch.setattr(step_summary, "drift_check", record)
    assert check(env.root, handed_over=True).requests == (outcome,)
    (stored,) = Checks(BUCKET, ENDPOINT).suppressed()
    assert (stored.request, stored.reason, stored.approval) == (outcome.request, outcome.reason, 2)
    (((result, *others), options),) = rendered
    both = render(dataclasses.replace(result, causes=("concept",)), *others, **options)
    for summary, handed_over in ((env.summary, False), (both, True)):
        assert outcome.reason in summary
        assert ("the job `request` creates the request" in summary) == handed_over


def test_end_of_the_new_pattern_asks_for_a_model_without_its_part(env: MonitoredEndpoint) -> None:
    """The adapted model alerts on frauds that have stopped: one request, to be tested on the rows since their end."""
    env.at("2026-01-31T13:00:00Z")
    env.approve(2, adapted=True)
    env.month(2, known_after=3, version="0002", scorer=monitored.ADAPTED_SCORER)
    env.at("2026-02-26T05:17:00Z")
    found = check(env.root)
    assert found.concept_alarm is not None and found.concept_alarm.ended is not None
    assert (found.concept_alarm.fired, found.concept_alarm.ended.fired, found.causes) == (False, True, ("concept",))
    (asked,) = found.requests
    assert (asked.request, asked.state, asked.run_kind) == ("20260226T000000Z-concept-drift", "requested", "drop")
    request = env.request(asked.request)
    assert request.kind == "drop"
    assert request.window.start is not None and request.window.start <= datetime(2026, 2, 1, tzinfo=UTC)
    assert request.reason.startswith("The frauds of the new pattern have stopped since 2026-02-01: ")
    assert request.reason.endswith(". Asks for a model without the part for this pattern")
    (finding,) = request.evidence["findings"]
    assert finding["statistic"] == "daily_new_pattern_frauds"
    assert finding["value"] < 0.5


def test_day_without_capture_is_no_data(env: MonitoredEndpoint) -> None:
    """If captures of a day are deleted, the window is evaluated again as 'no data', not as 'none'."""
    env.month(2)
    env.at("2026-03-15T05:17:00Z")
    assert check(env.root).verdict == "none"
    for key in env.keys(f"capture/{ENDPOINT}/AllTraffic/2026/02/11/"):
        client("s3").delete_object(Bucket=BUCKET, Key=key)
    found = check(env.root)
    assert (found.verdict, found.windows[-1].new) == ("no data", True)
    assert "35 consecutive hours without a row" in found.reason


def test_late_capture_file_triggers_a_new_evaluation(env: MonitoredEndpoint) -> None:
    """A request of the last minute is stored under the next hour; the window is evaluated again when it arrives."""
    env.month(2)
    env.at("2026-03-15T05:17:00Z")
    assert check(env.root).windows[-1].rows == 28 * 80
    (key,) = env.keys(f"capture/{ENDPOINT}/AllTraffic/2026/02/28/18/")
    line = client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read().replace(b"-28T18:00:00Z", b"-28T23:59:59Z")
    late = f"capture/{ENDPOINT}/AllTraffic/2026/03/01/00/late.jsonl"
    client("s3").put_object(Bucket=BUCKET, Key=late, Body=line)
    again = check(env.root).windows[-1]
    assert (again.new, again.rows) == (True, 28 * 80 + 40)


def test_sampled_capture_gives_the_same_verdict(env: MonitoredEndpoint) -> None:
    """Labels of rows that were not captured do not lower coverage; drift.yaml sets the allowed gap."""
    text = env.bot.workspace.text(config.DRIFT)
    env.bot.workspace.write(
        {config.DRIFT: text.replace("no_traffic_hours: 12", "no_traffic_hours: 24")}, "Capture half of the requests"
    )
    env.month(2)
    for key in env.keys(f"capture/{ENDPOINT}/"):
        if key.split("/")[-2] == "18":
            client("s3").delete_object(Bucket=BUCKET, Key=key)
    env.at("2026-03-15T05:17:00Z")
    assert check(env.root).verdict == "none"
    verdict = env.read(f"{FOLDER}/checks/{FEBRUARY}.json")["verdict"]
    assert (verdict["rows"], verdict["labels"]["labelled"]) == (28 * 40, 28 * 40)
    assert verdict["evaluated"] == ["concept", "data", "prediction"]


def test_missing_traffic_is_no_data_and_opens_one_issue(env: MonitoredEndpoint) -> None:
    """The issue stays open without comments, and the next check that finds traffic closes it."""
    env.at("2026-03-01T05:17:00Z")
    found = check(env.root)
    assert found.verdict == "no data, labels immature"
    assert found.no_traffic is not None
    assert found.no_traffic.hours > 28 * 24
    check(env.root)
    (issue,) = env.bot.api.get_issues(state="open")
    assert issue.title.startswith(f"No traffic at {ENDPOINT} since 2026-01-31")
    assert [label.name for label in issue.labels] == [labels.NO_TRAFFIC.name]
    assert issue.comments == 0
    assert "No traffic" in env.summary
    env.month(3)
    env.at("2026-04-01T05:17:00Z")
    assert check(env.root).no_traffic is None
    assert env.bot.api.get_issue(issue.number).state == "closed"


def test_traffic_of_the_current_hour_counts(env: MonitoredEndpoint) -> None:
    """A capture in the current, unfinished hour counts as traffic."""
    env.month(2)
    env.at("2026-02-20T18:30:00Z")
    assert check(env.root).no_traffic is None


def test_issue_comment_states_that_capture_is_off(env: MonitoredEndpoint) -> None:
    """With capture off, the no-traffic issue is closed with another comment than on new traffic."""
    env.at("2026-03-01T05:17:00Z")
    check(env.root)
    (issue,) = env.bot.api.get_issues(state="open")
    text = env.bot.workspace.text(config.SERVING)
    percentage = f"sampling_percentage: {config.load_serving(env.root).capture.sampling_percentage}"
    env.bot.workspace.write({config.SERVING: text.replace(percentage, "sampling_percentage: 0")}, "Capture nothing")
    assert check(env.root).no_traffic is None
    closed = env.bot.api.get_issue(issue.number)
    assert closed.state == "closed"
    assert "has switched capture off" in closed.get_comments()[0].body


def test_new_labels_are_joined_without_the_traffic(env: MonitoredEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check that labels cause is that of a first one at the same time; traffic that came late is read."""
    windows: list[tuple[str, ...]] = []
    real = reader.read

    def read(bucket: str, endpoint: str, start: datetime, end: datetime, **options: Any) -> Any:
        if end - start > timedelta(days=7):  # the index of scored rows reads a week at most
            windows.append((clock.stamp(start), clock.stamp(end)))
        return real(bucket, endpoint, start, end, **options)

    monkeypatch.setattr(reader, "read", read)
    env.month(2)
    february = ("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z")
    env.at("2026-03-01T05:17:00Z")
    assert check(env.root).verdict == "none, labels immature"
    assert windows == [february]
    env.at("2026-03-15T05:17:00Z")
    assert check(env.root).verdict == "none"
    assert windows == [february]
    key, kept = f"{FOLDER}/checks/{FEBRUARY}.json", f"{FOLDER}/window-rows/{FEBRUARY}.parquet"
    found = env.read(key)
    for each in (key, kept):
        client("s3").delete_object(Bucket=BUCKET, Key=each)
    check(env.root)
    assert windows == [february] * 2
    assert env.read(key) == found
    late = f"capture/{ENDPOINT}/AllTraffic/2026/02/28/23/late.jsonl"
    client("s3").put_object(Bucket=BUCKET, Key=late, Body=b"cut off")
    check(env.root)
    assert windows == [february] * 3
    assert env.read(key)["traffic"]["unreadable_lines"] == 1


def test_missing_labels_are_reported_as_immature(env: MonitoredEndpoint) -> None:
    """Other kinds of drift are tested, and no recall is published."""
    env.month(2, known_after=None)
    env.at("2026-03-20T05:17:00Z")
    found = check(env.root)
    assert found.verdict == "none, labels immature"
    assert "0.0% of all rows have a label" in found.reason
    metrics = client("cloudwatch").list_metrics(Namespace="Fraudops/Drift")["Metrics"]
    assert {each["MetricName"] for each in metrics}.isdisjoint({"Recall", "Precision"})


def test_labels_that_do_not_arrive_open_one_issue(env: MonitoredEndpoint) -> None:
    """It says that recall is not known, and which rows lack labels; mature labels of a later window close it."""
    env.month(2, known_after=None)
    env.at("2026-04-29T05:17:00Z")
    assert check(env.root, window="2026-02-01T00:00:00Z/2026-03-01T00:00:00Z").no_labels is None  # 59 days old
    env.at("2026-04-30T05:17:00Z")
    found = check(env.root)
    assert found.no_labels is not None
    assert (found.no_labels.rows, found.no_labels.labelled) == (28 * 80, 0)
    assert "No mature label of 2026-02-01 to 2026-03-01 has arrived: 0 of 2,240 scored rows" in env.summary
    check(env.root)
    issue = next(each for each in env.bot.api.get_issues(state="open") if each.title.startswith("No labels"))
    assert [label.name for label in issue.labels] == [labels.NO_LABELS.name]
    assert "recall is not known, and frauds that were passed are not seen" in issue.body
    assert issue.comments == 0
    metrics = client("cloudwatch").list_metrics(Namespace="Fraudops/Drift", MetricName="NoLabels")["Metrics"]
    assert len(metrics) == 1
    env.month(3)
    env.at("2026-05-01T05:17:00Z")
    assert check(env.root, window="2026-03-01T00:00:00Z/2026-04-01T00:00:00Z").no_labels is None
    assert env.bot.api.get_issue(issue.number).state == "closed"


def test_only_rows_scored_by_the_champion_count_for_it(env: MonitoredEndpoint) -> None:
    """Inputs of all rows count, scores and labels only of the champion; other rows are counted by version."""
    env.month(2, version="0007")
    env.at("2026-03-15T05:17:00Z")
    found = check(env.root)
    assert found.verdict == "none, labels immature"
    document = env.read(f"{FOLDER}/checks/{FEBRUARY}.json")
    assert document["traffic"]["other_models"] == {"0007": 2240}
    assert document["verdict"]["evaluated"] == ["data"]


def test_windows_of_a_former_model_make_no_decision(env: MonitoredEndpoint) -> None:
    """After an approval only windows of the new champion can make a retrain due."""
    for month in (2, 3):
        env.month(month, shift=0.6)
        env.at(f"2026-0{month + 1}-01T05:17:00Z")
        check(env.root, report_only=True)
    env.approve(2, intercept=-4.9)
    found = check(env.root)
    assert (found.approval, found.causes, found.requests) == (1, (), ())
    env.month(4, shift=0.6, version="0002")
    env.at("2026-05-01T05:17:00Z")
    found = check(env.root)
    assert (found.approval, found.causes) == (2, ())
    assert found.windows[-1].verdicts[0] == "data"


def test_report_only_calls_neither_git_nor_github(env: MonitoredEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reports what is due and needs no token."""
    monkeypatch.delenv("GITHUB_TOKEN")
    for month in (2, 3):
        env.month(month, shift=0.6)
        env.at(f"2026-0{month + 1}-01T05:17:00Z")
        found = check(env.root, report_only=True)
    assert (found.causes, found.requests) == (("data",), ())
    assert "no request was created (report only)" in env.summary


def test_invalid_training_file_fails_after_the_verdicts_are_stored(env: MonitoredEndpoint) -> None:
    """gate.yaml is read only to create requests: the check stores verdict, report and metrics, then exits with 3."""
    env.bot.workspace.write({config.GATE: "min_recall: high\n"}, "Break the gate")
    env.month(2)
    env.at("2026-03-15T05:17:00Z")
    with pytest.raises(ConfigError, match=r"gate\.yaml") as error:
        check(env.root)
    assert error.value.exit_code == 3
    assert env.read(f"{FOLDER}/checks/{FEBRUARY}.json")["verdict"]["verdicts"] == ["none"]
    assert f"{FOLDER}/reports/{FEBRUARY}/report.html" in env.keys(f"{FOLDER}/reports/")
    assert metric("Verdict", Verdict="none") == 1
    assert metric("Checks") is None  # the check has not ended; an alarm fires after two days without one
    found = check(env.root, report_only=True)
    assert metric("Checks") == 1
    assert (found.verdict, found.windows[-1].new) == ("none", False)


def test_invalid_training_file_does_not_matter_before_the_first_approval(env: MonitoredEndpoint) -> None:
    """Without an approval there is nothing to check, so model.yaml and gate.yaml are not read."""
    text = env.bot.workspace.text(config.SERVING).replace("approval: 1", "approval: null")
    env.bot.workspace.write({config.SERVING: text, config.GATE: "min_recall: high\n"}, "Serve nothing")
    assert check(env.root).verdict == "no data"


def test_any_past_window_may_be_given(env: MonitoredEndpoint) -> None:
    """Two weeks are evaluated like a month, and do not count together with the month that contains them."""
    env.month(2, shift=0.6)
    env.at("2026-03-15T05:17:00Z")
    week = check(env.root, window="2026-02-02T00:00:00Z/2026-02-16T00:00:00Z")
    assert (week.verdict, week.windows[-1].rows) == ("data", 14 * 80)
    assert metric("Drift") is None  # past windows must not set off alarms
    assert metric("Checks") is None  # nor count as the daily check
    assert check(env.root).causes == ()


def test_window_with_a_future_end_is_rejected(env: MonitoredEndpoint) -> None:
    """Future hours would count as no traffic, and the verdict would be stored."""
    env.at("2026-02-20T05:17:00Z")
    with pytest.raises(UsageError, match="window must end in the past"):
        check(env.root, window="2026-02-01T00:00:00Z/2026-03-01T00:00:00Z")
    assert env.keys(f"{FOLDER}/checks/") == []


def test_replaced_model_archive_is_rejected(env: MonitoredEndpoint) -> None:
    """The digest of the archive must be the approved one."""
    client("s3").put_object(
        Bucket=BUCKET, Key="executions/1/artifact/model.tar.gz", Body=monitored.archive(intercept=-1.0)
    )
    env.at("2026-03-01T05:17:00Z")
    with pytest.raises(Refused, match="find out who replaced it"):
        check(env.root)


def test_check_without_an_approved_model_gives_no_data(env: MonitoredEndpoint) -> None:
    """The check succeeds before the first approval, e.g. in a new template repository."""
    text = env.bot.workspace.text(config.SERVING).replace("approval: 1", "approval: null")
    env.bot.workspace.write({config.SERVING: text}, "Serve nothing")
    found = check(env.root)
    assert (found.verdict, found.approval, found.windows) == ("no data", None, ())
    assert "approval: null" in found.reason
    assert metric("Checks") == 1  # the schedule is alive


def test_schema_findings_create_no_request(env: MonitoredEndpoint) -> None:
    """A client that sends V2 empty in two windows gives the verdict 'schema' and no retrain request."""
    for month in (2, 3):
        env.month(month, shift=float("nan"))
        env.at(f"2026-0{month + 1}-01T05:17:00Z")
        found = check(env.root)
    assert found.verdict.startswith("schema")
    assert (found.causes, env.requests()) == ((), [])
    violations = env.read(f"{FOLDER}/model-monitor/{MARCH}/constraint_violations.json")["violations"]
    assert {"feature_name": "V2", "constraint_check_type": "missing_column_check"}.items() <= violations[0].items()


def test_step_outputs_are_written(env: MonitoredEndpoint) -> None:
    """The step outputs are verdict, request and no_traffic."""
    env.at("2026-03-01T05:17:00Z")
    check(env.root)
    outputs = (env.folder / "output").read_text()
    assert "\nno data, labels immature\n" in outputs
    assert json.dumps(drift_check.NO_TRAFFIC) == '"no traffic"'
    assert "no_traffic<<" in outputs


def test_undecodable_capture_lines_are_reported(env: MonitoredEndpoint) -> None:
    """They are counted, stored as dead letters and named in the summary; the other rows are evaluated."""
    env.month(2)
    key = f"capture/{ENDPOINT}/AllTraffic/2026/02/03/06/broken.jsonl"
    client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"{cut short\n")
    env.at("2026-03-15T05:17:00Z")
    assert check(env.root).verdict == "none"
    assert "1 lines of 2026-02-01 to 2026-03-01 could not be decoded" in env.summary
    assert env.keys(f"monitoring/unreadable/{ENDPOINT}/AllTraffic/2026/02/03/06/")


def test_skipped_windows_are_evaluated_later(env: MonitoredEndpoint) -> None:
    """After a month without checks the skipped window is evaluated, even if some of its days have a check."""
    for month in (2, 3, 4):
        env.month(month, shift=0.6 if month > 2 else 0.0)
        if month == 2:
            env.at("2026-03-01T05:17:00Z")
            check(env.root)
    env.at("2026-03-21T05:17:00Z")
    check(env.root, window="2026-03-10T00:00:00Z/2026-03-20T00:00:00Z", report_only=True)
    env.at("2026-05-01T05:17:00Z")
    found = check(env.root)
    assert [each.start.month for each in found.windows if each.start.day == 1] == [3, 4]
    assert (found.causes, len(found.requests)) == (("data",), 1)
