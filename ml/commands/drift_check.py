"""`fraudops drift check`: judges live traffic and labels against the drift reference, and requests a retrain.

A check judges the latest whole window of the calendar (or the one that is named), and again each earlier one whose
labels have matured since: data and predictions at once, concept as labels arrive. Drift is no failure: a run that finds
it and creates a request succeeds, and so does one whose request is suppressed. It fails if it cannot judge, or cannot
create the request. A second check gives the same verdicts and no second request.

"No data" is not "no drift". An endpoint without traffic is reported apart from any window.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ml import clock, config
from ml.aws import cloudwatch_metrics, platform
from ml.aws.capture import inventory
from ml.console import command, note
from ml.drift import artifacts, calendar, decision_policy, summary
from ml.drift.calendar import Window
from ml.drift.monitor import Check, Monitor, history
from ml.drift.result import DriftCheckResult, NoTraffic, WindowVerdict
from ml.drift.retrain_requester import DriftCase, RequestOutcome, RetrainRequester
from ml.errors import ConfigError
from ml.gitops import issues, labels, serving_pointer
from ml.gitops.github_client import GitHub
from ml.gitops.remote import Remote
from ml.gitops.repository import Repository
from ml.model.drift.verdict import IMMATURE, NO_DATA
from ml.workflow import toolkit

SILENCE = "no traffic"
_MAX_SKIPPED_WINDOWS = 12
"""Skipped windows that one check judges at most, after checks did not run for long."""


def check(root: Path, *, window: str | None = None, report_only: bool = False, main: str = "main") -> DriftCheckResult:
    """Judges captured traffic and labels against the serving model, and creates a retrain request where it is due.

    Args:
        root: a checkout of main with its whole history.
        window: `START/END`, two ISO 8601 times; the calendar's latest whole one if it is None or empty.
        report_only: judge, store and show; create no request and change nothing on GitHub.

    Raises:
        ConfigError: `window` or a file under model-config/ is invalid.
        CloudError, DataError, Refused: traffic, labels or model cannot be read, or the model is not the approved one.
        GitError, GitHubError: the request cannot be created; the verdicts are stored, and a rerun continues.
    """
    repository, rules, now = Repository.find(root), config.load_drift(root), clock.now()
    chosen = calendar.parse(window) if window else calendar.latest(now, rules.window)
    if chosen[1] > now:
        raise ConfigError(f"window must be over: later hours would count as hours without traffic (got {window!r})")
    settings = config.load_serving(root)
    if settings.approval is None:
        return _nothing_serves(settings.endpoint, chosen)
    monitor = Monitor(
        repository,
        "HEAD",
        bucket=platform.read().bucket,
        endpoint=settings.endpoint,
        rules=rules,
        serves=settings.approval,
    )
    checks = [*_matured_windows(monitor, chosen, rules), monitor.check(chosen)]
    past = history(monitor, checks[-1])
    cases = decision_policy.cases(monitor, past)
    silence = _silence(monitor, repository, rules, now) if settings.capture.sampling_percentage else None
    for each in checks:
        artifacts.write(monitor, each, past)
    if chosen == calendar.latest(now, rules.window):
        published = cloudwatch_metrics.publish(monitor.endpoint, artifacts.points(checks[-1], past, silence), at=now)
        note(f"{published} metrics published to {cloudwatch_metrics.NAMESPACE}")
    else:  # CloudWatch would take the past for the present, and its alarms would fire
        note("no metrics published: they are those of the latest whole window, and another one was named")
    outcomes: list[RequestOutcome] = []
    if not report_only:
        outcomes = _act(root, monitor, cases, silence, settings.capture.sampling_percentage > 0, main=main)
    result = _result(monitor, checks, cases, outcomes, silence)
    toolkit.output(
        verdict=result.verdict,
        request=next((each.request for each in outcomes if each.state in ("requested", "proposed")), ""),
        no_traffic=str(silence is not None).lower(),
    )
    toolkit.summary(summary.checked(result, checks, past))
    _annotate(result)
    return result


def _matured_windows(monitor: Monitor, chosen: Window, rules: config.DriftFile) -> list[Check]:
    """Earlier windows judged again, because their labels were not mature; and windows that were skipped.

    Only those that may count against the serving model: drift of a former model is resolved.
    """
    kept = [window for window in monitor.checks.windows() if window[1] <= chosen[0]]
    whole = [window for window in kept if calendar.whole(window, rules.window)]
    skipped = list(calendar.between(whole[-1][1], chosen[0], rules.window)) if whole else []
    found = [monitor.check(window) for window in skipped[-_MAX_SKIPPED_WINDOWS:]]
    serves = monitor.model(monitor.serves)
    for window in kept:
        before = monitor.kept(window) if clock.now() - window[1] <= calendar.MATURING_PERIOD else None
        if before is None or not before.may_mature or not decision_policy.may_count(before, serves):
            continue
        again = monitor.check(window)
        if again.new:
            found.append(again)
    return sorted(found, key=lambda each: each.window)


def _silence(monitor: Monitor, repository: Repository, rules: config.DriftFile, now: datetime) -> NoTraffic | None:
    """Since when nothing was captured, if that exceeds the limit; counted at most from the last roll-out."""
    last = inventory.last_traffic(monitor.bucket, monitor.endpoint, now)
    came = [move.landed.time for move in serving_pointer.moves(repository, "HEAD")[-1:]]
    known = [moment for moment in came if moment <= now]
    if last is not None:  # some time in that hour, which may be the present one
        known.append(min(last + timedelta(hours=1), now))
    if not known:  # the roll-out is later than this check's time
        return None
    since = max(known).astimezone(UTC)
    quiet = (now - since) / timedelta(hours=1)
    return NoTraffic(since=since, hours=round(quiet, 2)) if quiet > rules.no_traffic_hours else None


def _act(
    root: Path, monitor: Monitor, cases: Sequence[DriftCase], silence: NoTraffic | None, captured: bool, *, main: str
) -> list[RequestOutcome]:
    github, remote = GitHub.from_environment(), Remote(Repository.find(root))
    requester = RetrainRequester(
        github,
        remote,
        bucket=monitor.bucket,
        settings=config.load_model(root),
        gate=config.load_gate(root),
        rules=monitor.file,
        main=main,
    )
    outcomes = requester.create(cases)
    requester.close_circuit_breakers()
    for each in outcomes:
        note(f"{each.request}: {each.state} ({each.reason})")
    if silence is None:
        off = f"`{config.SERVING}` has switched capture off: no traffic is expected, and drift is not checked."
        comment = "The endpoint gets traffic again." if captured else off
        issues.close(github, cause=SILENCE, label=labels.SILENCE, comment=comment)
    elif issues.find(github, cause=SILENCE, label=labels.SILENCE) is None:
        issues.report(
            github,
            cause=SILENCE,
            label=labels.SILENCE,
            title=f"No traffic at {monitor.endpoint} since {clock.stamp(silence.since)}",
            body=summary.silent(monitor.endpoint, silence, toolkit.run_url()),
        )
    return outcomes


def _nothing_serves(endpoint: str, window: Window) -> DriftCheckResult:
    reason = f"{config.SERVING} says `approval: null`: no model has been approved yet, so there is nothing to judge"
    toolkit.output(verdict=NO_DATA, request="", no_traffic="false")
    toolkit.summary(f"### Drift: {NO_DATA}\n\n{reason}.")
    return DriftCheckResult(
        verdict=NO_DATA,
        reason=reason,
        endpoint=endpoint,
        start=window[0],
        end=window[1],
        approval=None,
        judged=(),
        due=(),
        requests=(),
        silence=None,
    )


def _result(
    monitor: Monitor,
    checks: Sequence[Check],
    cases: Sequence[DriftCase],
    outcomes: Sequence[RequestOutcome],
    silence: NoTraffic | None,
) -> DriftCheckResult:
    latest = checks[-1]
    return DriftCheckResult(
        verdict=", ".join(latest.judgement.verdicts),
        reason=summary.why(latest),
        endpoint=monitor.endpoint,
        start=latest.window[0],
        end=latest.window[1],
        approval=latest.approval,
        judged=tuple(
            WindowVerdict(
                start=each.window[0],
                end=each.window[1],
                approval=each.approval,
                verdicts=each.judgement.verdicts,
                rows=each.judgement.rows,
                reasons=each.judgement.reasons,
                new=each.new,
                report=each.document["report"],
            )
            for each in checks
        ),
        due=tuple(each.kind for each in cases),
        requests=tuple(outcomes),
        silence=silence,
    )


def _annotate(result: DriftCheckResult) -> None:
    """Warnings that a person sees without opening the summary."""
    warnings = []
    if result.silence is not None:
        warnings.append(f"No traffic at {result.endpoint} for {result.silence.hours:.0f} hours")
    if any(verdict not in ("none", IMMATURE) for verdict in result.judged[-1].verdicts):
        warnings.append(f"Drift: {result.verdict}. {result.reason}")
    warnings += [f"{each.request}: {each.state}. {each.reason}" for each in result.requests]
    for message in warnings:
        command(toolkit.annotate("warning", message))
