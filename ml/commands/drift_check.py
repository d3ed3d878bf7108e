"""`fraudops drift check`: tests live traffic and labels for drift, and creates a retrain request if one is due.

A check evaluates the latest whole window of the calendar (or the one given), and again each earlier window whose labels
have matured since. Data and prediction drift are detected at once, concept drift when labels mature; a fast concept
test looks at the known frauds of all days since the serving model's reference, each time it runs. Drift is not a
failure: the command exits with 0 if it creates a request or reports why it is suppressed. It fails only if it cannot
read its input or cannot create the request. It is idempotent: the same verdicts, and no second request.

The verdict "no data" differs from "none". Missing traffic at the endpoint is reported apart from any window.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import takewhile
from pathlib import Path

from ml import clock, config
from ml.aws import cloudwatch_metrics, platform_stack
from ml.aws.capture import object_listing
from ml.aws.cloudwatch_metrics import Point
from ml.aws.labels.kept_manifests import KeptManifests
from ml.console import command, note
from ml.drift import (
    calendar,
    check_artifacts,
    concept_alarm,
    decision_policy,
    hand_over,
    missing_labels,
    request_text,
    step_summary,
    suppressed_requests,
    training_window,
)
from ml.drift.calendar import Window
from ml.drift.concept_alarm import ConceptAlarm
from ml.drift.drift_case import DriftCase, RequestOutcome, suppressed
from ml.drift.missing_labels import NoLabels
from ml.drift.request_evidence import alarm_detail
from ml.drift.request_limits import RequestLimits
from ml.drift.request_log import RequestLog
from ml.drift.result import DriftCheckResult, NoTraffic, WindowVerdict
from ml.drift.retrain_requester import RetrainRequester
from ml.drift.window_monitor import Check, Monitor, history
from ml.errors import UsageError
from ml.gitops import issues, labels, serving_pointer
from ml.gitops.github_client import GitHub
from ml.gitops.remote import Remote
from ml.gitops.repository import Repository
from ml.model.drift.label_counts import LabelSummary
from ml.model.drift.verdict import IMMATURE, NO_DATA
from ml.workflow import runner_commands

CREATED = ("requested", "proposed")
"""The states of an outcome with a request."""
NO_TRAFFIC, NO_LABELS = "no traffic", "no labels"
_MAX_SKIPPED_WINDOWS = 12
"""Windows that one check evaluates at most after checks have not run for a long time."""


def check(
    root: Path,
    *,
    window: str | None = None,
    report_only: bool = False,
    handed_over: bool = False,
    report_file: Path | None = None,
    main: str = "main",
) -> DriftCheckResult:
    """Evaluates captured traffic and labels against the champion, and creates a retrain request if one is due.

    Args:
        root: a checkout of main with full history.
        window: `START/END`, two ISO 8601 times; the latest whole window of the calendar if None or empty.
        report_only: store and report the verdicts; create no request and do not call GitHub.
        handed_over: create no request; write the decisions that are due, with their training windows, as the step
            output `hand_over` for `fraudops drift request`.
        report_file: where a copy of the window's report goes, for the workflow that links it; copied last.

    Raises:
        UsageError: `window` is invalid.
        ConfigError: drift.yaml or production.yaml is invalid. Or model.yaml or gate.yaml is invalid: they are
            read only to create requests, after the verdicts are stored.
        CloudError, DataError, Refused: the input cannot be read, or the model archive is not the approved one.
        FraudopsError: `report_file` cannot be written. All else is done.
        GitError, GitHubError: the request was not created. The verdicts are stored; run the check again.
    """
    repository, now = Repository.find(root), clock.now()
    rules, settings = config.load_drift(root), config.load_serving(root)
    chosen = calendar.parse(window) if window else calendar.latest(now, rules.window)
    if chosen[1] > now:
        raise UsageError(f"window must end in the past, or future hours would count as no traffic (got {window!r})")
    latest = chosen == calendar.latest(now, rules.window)
    if settings.approval is None:
        if latest:
            _publish_completion(settings.endpoint, now)
        return _nothing_serves(settings.endpoint, chosen)
    # Before the verdicts are made and published: a missing variable is an error of the call.
    github = None if report_only else GitHub.from_environment()
    monitor = Monitor(
        repository,
        "HEAD",
        bucket=platform_stack.read().bucket,
        endpoint=settings.endpoint,
        rules=rules,
        serves=settings.approval,
    )
    manifests = _kept_manifests(monitor)
    checks = [*_new_verdicts(monitor, chosen, rules), monitor.check(chosen)]
    past = history(monitor, checks[-1])
    alarm = concept_alarm.evaluate(monitor)
    cases = decision_policy.cases(monitor, past, alarm)
    no_traffic = (
        _time_without_traffic(monitor, repository, rules, now) if settings.capture.sampling_percentage else None
    )
    no_labels = _missing_labels(monitor, past, rules, now)
    for each in checks:
        check_artifacts.write(monitor, each, past)
    manifests.keep(monitor.label_objects)
    if latest:
        published = cloudwatch_metrics.publish(
            monitor.endpoint, check_artifacts.points(checks[-1], past, no_traffic, alarm, no_labels), at=now
        )
        note(f"{published} metrics published to {cloudwatch_metrics.NAMESPACE}")
    else:  # metrics of a past window would set off alarms about the present
        note("no metrics published: they belong to the latest whole window, and another window was given")
    outcomes: list[RequestOutcome] = []
    needed = [case for case in cases if not case.unneeded]
    if github is not None:
        _report_no_traffic(github, monitor, no_traffic, captured=settings.capture.sampling_percentage > 0)
        _report_no_labels(github, monitor, no_labels)
        outcomes = _requests(root, github, monitor, cases, handed_over=handed_over, main=main)
        for outcome in outcomes:
            note(f"{outcome.request}: {outcome.state} ({outcome.reason})")
    if latest:
        _publish_completion(monitor.endpoint, now)
    result = _result(monitor, checks, needed, outcomes, no_traffic=no_traffic, no_labels=no_labels, alarm=alarm)
    runner_commands.output(
        verdict=result.verdict,
        request=next((each.request for each in outcomes if each.state in CREATED), ""),
        no_traffic=str(no_traffic is not None).lower(),
    )
    runner_commands.summary(step_summary.drift_check(result, checks, past, handed_over=handed_over))
    _annotate(result)
    if report_file is not None:
        check_artifacts.copy_report(checks[-1], report_file)
        runner_commands.output(report=str(report_file))
    return result


def _requests(
    root: Path, github: GitHub, monitor: Monitor, cases: Sequence[DriftCase], *, handed_over: bool, main: str
) -> list[RequestOutcome]:
    """Creates the requests of `cases` or hands them over, and records those that something holds back."""
    rules, model, gate = monitor.file, config.load_model(root), config.load_gate(root)
    choose = partial(training_window.for_case, monitor.bucket, settings=model, gate=gate, rules=rules)
    requester = RetrainRequester(github, Remote(Repository.find(root)), choose=choose, rules=rules, main=main)
    needed = [case for case in cases if not case.unneeded]
    outcomes: list[RequestOutcome] = []
    if handed_over:
        windows = [(case, choose(case)) for case in needed]
        runner_commands.output(hand_over=hand_over.write(windows))
        log = RequestLog(Repository.find(root), "HEAD")
        held_back = suppressed_requests.by_limits(windows, log, RequestLimits(log, rules))
    else:
        outcomes = requester.create(needed)
        # Those behind a created one are covered by its training.
        held_back = list(takewhile(lambda outcome: outcome.state not in CREATED, outcomes))
    unneeded = [suppressed(case, case.unneeded) for case in cases if case.unneeded]
    requester.close_circuit_breakers()
    # Last, because no request or issue may depend on it.
    suppressed_requests.record(monitor.checks, [*held_back, *unneeded], cases=cases, approval=monitor.serves)
    return [*outcomes, *unneeded]


def _kept_manifests(monitor: Monitor) -> KeptManifests:
    kept = KeptManifests.restored(monitor.bucket, monitor.endpoint)
    if kept.unusable:
        command(runner_commands.annotate("warning", f"Every manifest of labels is read again: {kept.unusable}"))
    return kept


def _publish_completion(endpoint: str, now: datetime) -> None:
    """Publishes that the daily check has ended, also if nothing serves: an alarm fires after two days without it."""
    cloudwatch_metrics.publish(endpoint, [Point(name="Checks", value=1.0, unit="Count")], at=now)


def _new_verdicts(monitor: Monitor, chosen: Window, rules: config.DriftFile) -> list[Check]:
    """New verdicts on windows before `chosen`: skipped windows, and windows whose labels may have matured since.

    Only windows that can still count against the champion are evaluated again. Also the verdicts of an aborted run,
    which stored them and did not finish their reports.
    """
    stored = [window for window in monitor.checks.windows() if window[1] <= chosen[0]]
    whole = [window for window in stored if calendar.whole(window, rules.window)]
    skipped = list(calendar.between(whole[-1][1], chosen[0], rules.window)) if whole else []
    checks = [monitor.check(window) for window in skipped[-_MAX_SKIPPED_WINDOWS:]]
    champion = monitor.model(monitor.serves)
    for window in stored:
        before = monitor.stored(window) if clock.now() - window[1] <= calendar.MATURING_PERIOD else None
        if before is None:
            continue
        if before.may_mature and decision_policy.may_count(before, champion):
            before = monitor.check(window)
        if before.new or not check_artifacts.are_written(before):
            checks.append(before)
    return sorted(checks, key=lambda each: each.window)


def _time_without_traffic(
    monitor: Monitor, repository: Repository, rules: config.DriftFile, now: datetime
) -> NoTraffic | None:
    """The time without traffic if it exceeds no_traffic_hours; counted at most from the latest serving change."""
    last = object_listing.last_captured_hour(monitor.bucket, monitor.endpoint, now)
    served_since = [move.landed.time for move in serving_pointer.moves(repository, "HEAD")[-1:]]
    known = [moment for moment in served_since if moment <= now]
    if last is not None:  # at any time within that hour, which may be the current one
        known.append(min(last + timedelta(hours=1), now))
    if not known:  # the serving change is later than the time of this check
        return None
    since = max(known).astimezone(UTC)
    quiet = (now - since) / timedelta(hours=1)
    return NoTraffic(since=since, hours=round(quiet, 2)) if quiet > rules.no_traffic_hours else None


def _report_no_traffic(github: GitHub, monitor: Monitor, no_traffic: NoTraffic | None, *, captured: bool) -> None:
    """Opens the issue about missing traffic, or closes it."""
    if no_traffic is None:
        off = f"`{config.SERVING}` has switched capture off: no traffic is expected, and drift is not monitored."
        comment = "The endpoint receives traffic again." if captured else off
        issues.close(github, cause=NO_TRAFFIC, label=labels.NO_TRAFFIC, comment=comment)
    else:
        issues.ensure_open(
            github,
            cause=NO_TRAFFIC,
            label=labels.NO_TRAFFIC,
            title=f"No traffic at {monitor.endpoint} since {clock.stamp(no_traffic.since)}",
            body=step_summary.no_traffic_issue(monitor.endpoint, no_traffic, runner_commands.run_url()),
        )


def _missing_labels(monitor: Monitor, past: Sequence[Check], rules: config.DriftFile, now: datetime) -> NoLabels | None:
    """The labels that are missing in windows that could still count against the champion."""
    champion = monitor.model(monitor.serves)
    counted = [
        (each.verdict, LabelSummary.from_dict(each.document["label_summary"]))
        for each in past
        if each.document["label_summary"] is not None and decision_policy.may_count(each, champion)
    ]
    return missing_labels.find(counted, now=now, days=rules.no_labels_days)


def _report_no_labels(github: GitHub, monitor: Monitor, no_labels: NoLabels | None) -> None:
    """Opens the issue about missing labels, or closes it."""
    if no_labels is None:
        issues.close(github, cause=NO_LABELS, label=labels.NO_LABELS, comment="Mature labels have arrived again.")
    else:
        issues.ensure_open(
            github,
            cause=NO_LABELS,
            label=labels.NO_LABELS,
            title=f"No labels of the whole traffic at {monitor.endpoint} since {no_labels.since.date()}",
            body=step_summary.no_labels_issue(monitor.endpoint, no_labels, runner_commands.run_url()),
        )


def _nothing_serves(endpoint: str, window: Window) -> DriftCheckResult:
    reason = f"{config.SERVING} has `approval: null`: no model is approved yet, so there is no traffic to check"
    runner_commands.output(verdict=NO_DATA, request="", no_traffic="false")
    runner_commands.summary(f"### Drift: {NO_DATA}\n\n{reason}.")
    return DriftCheckResult(
        verdict=NO_DATA,
        reason=reason,
        endpoint=endpoint,
        start=window[0],
        end=window[1],
        approval=None,
        windows=(),
        causes=(),
        requests=(),
        no_traffic=None,
        no_labels=None,
        concept_alarm=None,
    )


def _result(
    monitor: Monitor,
    checks: Sequence[Check],
    cases: Sequence[DriftCase],
    outcomes: Sequence[RequestOutcome],
    *,
    no_traffic: NoTraffic | None,
    no_labels: NoLabels | None,
    alarm: ConceptAlarm | None,
) -> DriftCheckResult:
    latest = checks[-1]
    return DriftCheckResult(
        verdict=", ".join(latest.verdict.verdicts),
        reason=step_summary.why(latest),
        endpoint=monitor.endpoint,
        start=latest.window[0],
        end=latest.window[1],
        approval=latest.approval,
        windows=tuple(
            WindowVerdict(
                start=each.window[0],
                end=each.window[1],
                approval=each.approval,
                verdicts=each.verdict.verdicts,
                rows=each.verdict.rows,
                reasons=each.verdict.reasons,
                new=each.new,
                report=each.document["report"],
            )
            for each in checks
        ),
        causes=tuple(each.kind for each in cases),
        requests=tuple(outcomes),
        no_traffic=no_traffic,
        no_labels=no_labels,
        concept_alarm=alarm,
    )


def _annotate(result: DriftCheckResult) -> None:
    """Adds warnings to the workflow run for what needs attention."""
    warnings = []
    if result.no_traffic is not None:
        warnings.append(f"No traffic at {result.endpoint} for {result.no_traffic.hours:.0f} hours")
    if result.no_labels is not None:
        warnings.append(result.no_labels.detail)
    if any(verdict not in ("none", IMMATURE) for verdict in result.windows[-1].verdicts):
        warnings.append(f"Drift: {result.verdict}. {result.reason}")
    if result.concept_alarm is not None and result.concept_alarm.fired:
        warnings.append(f"Concept drift by the daily test: {alarm_detail(result.concept_alarm)}")
    if result.concept_alarm is not None and (ended := step_summary.ended(result.concept_alarm)):
        warnings.append(ended)
    warnings += [request_text.annotation(each) for each in result.requests]
    for message in warnings:
        command(runner_commands.annotate("warning", message))
