"""`fraudops drift check`: judges live traffic and labels against the drift reference, and requests a retrain.

A check judges the latest whole window of the calendar (or the one that is asked for), and again every earlier one whose
labels have ripened since: data and predictions are judged at once, concept as labels come. Drift is no failure: a run
that found it and asked for a model is green, as is one whose request is held back, which it says. It fails where it
could not find out, or not ask. Checking again gives the same verdicts and no second request.

"No data" is not "none", and an endpoint that is silent now is told of apart from any window.
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
from ml.drift.monitor import Check, Watch, history
from ml.drift.result import DriftCheckResult, NoTraffic, WindowVerdict
from ml.drift.retrain_requester import Asked, Asking, Case
from ml.errors import ConfigError
from ml.gitops import issues, labels, serving_pointer
from ml.gitops.github_client import GitHub
from ml.gitops.remote import Remote
from ml.gitops.repository import Repository
from ml.model.drift.verdict import IMMATURE, NO_DATA
from ml.workflow import toolkit

SILENCE = "no traffic"
_SKIPPED = 12
"""Windows that are made up for at most, where no check has run for long."""


def check(root: Path, *, window: str | None = None, report_only: bool = False, main: str = "main") -> DriftCheckResult:
    """Judges captured traffic and labels against the model that main says serves, and asks for another where it is due.

    Args:
        root: a checkout of main with its whole history.
        window: `START/END`, two ISO 8601 times; the calendar's latest whole one if it is None or empty.
        report_only: judge, keep and show; ask for nothing and tell GitHub nothing.

    Raises:
        ConfigError: `window`, or a file under model-config/, does not hold.
        CloudError, DataError, Refused: what is to be judged cannot be read, or is not what was approved.
        GitError, GitHubError: the request cannot be made; the verdicts are kept, and running this again goes on.
    """
    repository, rules, now = Repository.find(root), config.load_drift(root), clock.now()
    chosen = calendar.parse(window) if window else calendar.latest(now, rules.window)
    if chosen[1] > now:
        raise ConfigError(f"window must be over, or hours to come are hours without traffic (got {window!r})")
    settings = config.load_serving(root)
    if settings.approval is None:
        return _nothing_serves(settings.endpoint, chosen)
    watch = Watch(
        repository,
        "HEAD",
        bucket=platform.read().bucket,
        endpoint=settings.endpoint,
        rules=rules,
        serves=settings.approval,
    )
    checks = [*_ripened(watch, chosen, rules), watch.check(chosen)]
    past = history(watch, checks[-1])
    cases = decision_policy.cases(watch, past)
    silence = _silence(watch, repository, rules, now) if settings.capture.sampling_percentage else None
    for each in checks:
        artifacts.write(watch, each, past)
    if chosen == calendar.latest(now, rules.window):
        published = cloudwatch_metrics.publish(watch.endpoint, artifacts.points(checks[-1], past, silence), at=now)
        note(f"{published} metrics published to {cloudwatch_metrics.NAMESPACE}")
    else:  # CloudWatch would take what was for what is, and its alarms would ring for it
        note("no metrics published: they are those of the latest whole window, and another was asked for")
    asked: list[Asked] = []
    if not report_only:
        asked = _act(root, watch, cases, silence, settings.capture.sampling_percentage > 0, main=main)
    result = _result(watch, checks, cases, asked, silence)
    toolkit.output(
        verdict=result.verdict,
        request=next((each.request for each in asked if each.state in ("requested", "proposed")), ""),
        no_traffic=str(silence is not None).lower(),
    )
    toolkit.summary(summary.checked(result, checks, past))
    _annotate(result)
    return result


def _ripened(watch: Watch, chosen: Window, rules: config.DriftFile) -> list[Check]:
    """Earlier windows that are judged again: without mature labels so far. Windows that were skipped are judged too.

    Only those that may come to count against the model that serves: what a former one did is answered.
    """
    kept = [window for window in watch.checks.windows() if window[1] <= chosen[0]]
    whole = [window for window in kept if calendar.whole(window, rules.window)]
    skipped = list(calendar.between(whole[-1][1], chosen[0], rules.window)) if whole else []
    found = [watch.check(window) for window in skipped[-_SKIPPED:]]
    serves = watch.model(watch.serves)
    for window in kept:
        before = watch.kept(window) if clock.now() - window[1] <= calendar.RIPENING else None
        if before is None or not before.may_ripen or not decision_policy.may_count(before, serves):
            continue
        again = watch.check(window)
        if again.new:
            found.append(again)
    return sorted(found, key=lambda each: each.window)


def _silence(watch: Watch, repository: Repository, rules: config.DriftFile, now: datetime) -> NoTraffic | None:
    """Since when nothing was captured, if that is longer than allowed; the model that serves came then at most."""
    last = inventory.last_traffic(watch.bucket, watch.endpoint, now)
    came = [move.landed.time for move in serving_pointer.moves(repository, "HEAD")[-1:]]
    known = [moment for moment in came if moment <= now]
    if last is not None:  # at some time in that hour, which may be the present one
        known.append(min(last + timedelta(hours=1), now))
    if not known:  # it came after what this check takes for now
        return None
    since = max(known).astimezone(UTC)
    quiet = (now - since) / timedelta(hours=1)
    return NoTraffic(since=since, hours=round(quiet, 2)) if quiet > rules.no_traffic_hours else None


def _act(
    root: Path, watch: Watch, cases: Sequence[Case], silence: NoTraffic | None, captured: bool, *, main: str
) -> list[Asked]:
    github, remote = GitHub.from_environment(), Remote(Repository.find(root))
    asking = Asking(
        github,
        remote,
        bucket=watch.bucket,
        settings=config.load_model(root),
        gate=config.load_gate(root),
        rules=watch.file,
        main=main,
    )
    asked = asking.ask(cases)
    asking.mend()
    for each in asked:
        note(f"{each.request}: {each.state} ({each.reason})")
    if silence is None:
        off = f"`{config.SERVING}` has switched capture off: nothing is to be expected, and drift is not watched."
        said = "The endpoint is called again." if captured else off
        issues.close(github, cause=SILENCE, label=labels.SILENCE, comment=said)
    elif issues.find(github, cause=SILENCE, label=labels.SILENCE) is None:
        issues.report(
            github,
            cause=SILENCE,
            label=labels.SILENCE,
            title=f"No traffic at {watch.endpoint} since {clock.stamp(silence.since)}",
            body=summary.silent(watch.endpoint, silence, toolkit.run_url()),
        )
    return asked


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
    watch: Watch, checks: Sequence[Check], cases: Sequence[Case], asked: Sequence[Asked], silence: NoTraffic | None
) -> DriftCheckResult:
    latest = checks[-1]
    return DriftCheckResult(
        verdict=", ".join(latest.judgement.verdicts),
        reason=summary.why(latest),
        endpoint=watch.endpoint,
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
        requests=tuple(asked),
        silence=silence,
    )


def _annotate(result: DriftCheckResult) -> None:
    """What a person should see without opening the summary."""
    said = []
    if result.silence is not None:
        said.append(f"No traffic at {result.endpoint} for {result.silence.hours:.0f} hours")
    if any(verdict not in ("none", IMMATURE) for verdict in result.judged[-1].verdicts):
        said.append(f"Drift: {result.verdict}. {result.reason}")
    said += [f"{each.request}: {each.state}. {each.reason}" for each in result.requests]
    for message in said:
        command(toolkit.annotate("warning", message))
