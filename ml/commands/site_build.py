"""`fraudops site build`: a static site of what serves, every model and what happened. Reads only.

Git says what was approved and asked for; deployments, evaluations and drift checks are in the lake, reviews on GitHub.
They are read by what `fraudops history` reads them with. Offline, Git alone is read, and the pages say what is missing.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ml import clock, config
from ml.audit import pointer_history
from ml.aws import platform_stack, registry
from ml.aws.drift_check_store import Checks, SuppressedRequest
from ml.aws.session import Absent
from ml.commands.history import Served, history
from ml.console import stage
from ml.drift import calendar
from ml.errors import ArtifactError, CloudError, FraudopsError, Refused
from ml.gitops import daily_rates
from ml.gitops.merged_pulls import MergedPull
from ml.gitops.repository import Repository
from ml.records import model_archive
from ml.site import alarm_states, drift_checks, git_state, pages, suppressed_requests, time_line
from ml.site.git_state import GitState
from ml.site.pages import Addresses
from ml.site.values import AlarmState, DriftState, Evidence, Period, Site

MARKER = ".made-by-fraudops-site"
"""A folder with this file was made by this verb, which may empty it."""
_OFFLINE = (
    "when models began to serve (deployment records)",
    "pull requests and reviewers",
    "evaluations, slices and calibration",
    "alerts, drift checks and suppressed requests",
    "alarms",
    "comparison of registry and lake with Git",
)


@dataclass(frozen=True, kw_only=True)
class SiteReport:
    """Where the site is, and what it has. `missing` and `disagreements` are also on its first page."""

    path: str
    pages: int
    models: int
    events: int
    serves: int | None
    missing: tuple[str, ...]
    disagreements: tuple[str, ...]
    commits: tuple[str, ...]
    """Those that the pages name."""


def build(
    root: Path,
    out: Path,
    *,
    offline: bool = False,
    repository_url: str | None = None,
    addresses: Addresses | None = None,
    year: str | None = None,
    simulated: bool = False,
    scripted_reviewer: str | None = None,
    local_user: str | None = None,
    main: str = "main",
) -> SiteReport:
    """Writes the site of the branch `main` of the repository at `root`.

    Args:
        out: a folder that does not exist, is empty, or was made by this verb: it is emptied.
        offline: read Git only.
        repository_url: the repository's page, e.g. https://github.com/acme/fraudops; without one, nothing is linked.
        year: the page of a simulated year, to be a page of the site.
        simulated: whether traffic, labels and dates are simulated; every page says so.
        scripted_reviewer: the name of a reviewer who is a script; every page says so.
        local_user: the user as whom a local GitHub merges; every page says so.
        addresses: of its commits and pull requests, if they are no pages of `repository_url`.

    Raises:
        GitError, ConfigError: Git or a record cannot be read.
        CloudError: AWS refuses or cannot be reached; with `offline` it is not asked.
        Refused: `out` has files of others.
    """
    repository = Repository.find(root)
    with stage("Reading approvals, requests and gate failures"):
        state = git_state.read(repository, main)
    site = _offline(repository, state, main) if offline else _online(root, state, main, scripted_reviewer)
    site = dataclasses.replace(
        site,
        year=year.encode() if year is not None else None,
        simulated=simulated,
        scripted_reviewer=scripted_reviewer,
        local_user=local_user,
    )
    _empty(out)
    with stage("Writing the pages"):
        written = pages.write(site, out, addresses or Addresses.of_repository(repository_url))
    return SiteReport(
        path=str(written[0]),
        pages=len(written),
        models=len(site.records),
        events=len(site.events),
        serves=site.current.approval if site.current is not None else None,
        missing=site.missing,
        disagreements=site.disagreements,
        commits=pages.commits(site),
    )


def _offline(repository: Repository, state: GitState, main: str) -> Site:
    turns, _ = pointer_history.turns(repository, main, [])
    periods = [
        Period(
            approval=turn.approval,
            rollback=turn.kind == "rollback",
            commit=turn.move.landed.sha,
            author=turn.move.landed.author,
            merged=turn.move.landed.time,
            subject=turn.move.landed.subject,
            pull=None,
            deployments=(),
            start=None,
            end=None,
            replaced="",
            disagreements=(),
            unchecked=(),
        )
        for turn in turns
    ]
    return _site(
        state,
        periods,
        evidence={},
        checks=(),
        alarms=None,
        missing=_OFFLINE,
        offline=True,
        disagreements=(),
        suppressed=None,
    )


def _online(root: Path, state: GitState, main: str, scripted_reviewer: str | None) -> Site:
    found = history(root, main=main)
    bucket = platform_stack.read().bucket
    with stage(f"Reading the evidence of {len(state.records)} approvals"):
        evidence = {number: _evidence(record) for number, record in state.records.items()}
    with stage("Reading the drift checks and their reports"):
        checks = Checks(bucket, state.endpoint)
        shown = drift_checks.read(checks, calendar.latest_without_overlap(checks.windows()))
        suppressed = suppressed_requests.read(checks)
    with stage("Reading the alarms"):
        alarms, unread_alarms = _alarms()
    unread = {turn.approved.unread for turn in found.turns if turn.approved.unread}
    wrong = dict.fromkeys([*found.disagreements, *(text for turn in found.turns for text in turn.disagreements)])
    return _site(
        state,
        list(_periods(found.turns, scripted_reviewer)),
        evidence=evidence,
        checks=shown,
        alarms=alarms,
        missing=(*(f"pull requests and reviewers: {text}" for text in sorted(unread)), *unread_alarms),
        offline=False,
        disagreements=tuple(wrong),
        suppressed=suppressed,
    )


def _site(
    state: GitState,
    periods: list[Period],
    *,
    evidence: dict[int, Evidence],
    checks: tuple[DriftState, ...],
    alarms: tuple[AlarmState, ...] | None,
    missing: tuple[str, ...],
    offline: bool,
    disagreements: tuple[str, ...],
    suppressed: tuple[SuppressedRequest, ...] | None,
) -> Site:
    now = clock.now()
    return Site(
        built=now,
        commit=state.commit,
        endpoint=state.endpoint,
        periods=tuple(periods),
        records=state.records,
        evidence=evidence,
        requests=state.requests,
        gate_failures=state.gate_failures,
        checks=checks,
        alarms=alarms,
        drift_rules=state.drift_rules,
        gate=state.gate,
        year=None,
        simulated=False,
        scripted_reviewer=None,
        local_user=None,
        next_check=git_state.next_run(state.cron, now),
        events=time_line.events(
            periods, state.records, state.requests, state.gate_failures, suppressed, evidence=evidence
        ),
        suppressed=suppressed,
        offline=offline,
        missing=missing,
        disagreements=disagreements,
    )


def _periods(turns: Iterable[Served], scripted_reviewer: str | None) -> Iterable[Period]:
    seen = set[int]()
    for turn in turns:
        origin, approval = turn.approved, turn.approval
        yield Period(
            approval=approval,
            rollback=approval is not None and approval in seen,
            commit=origin.commit,
            author=origin.author,
            merged=origin.time,
            subject=origin.subject,
            pull=_marked(origin.pull, scripted_reviewer),
            deployments=turn.deployments,
            start=turn.start,
            end=turn.end,
            replaced=turn.replaced,
            disagreements=turn.disagreements,
            unchecked=turn.unchecked,
        )
        seen |= {approval} if approval is not None else set()


def _marked(pull: MergedPull | None, scripted_reviewer: str | None) -> MergedPull | None:
    """The pull request with the reviewer that is a script named as one."""
    if pull is None or scripted_reviewer is None:
        return pull
    names = (f"{name} (a script)" if name == scripted_reviewer else name for name in pull.approved_by)
    return dataclasses.replace(pull, approved_by=tuple(names))


def _alarms() -> tuple[tuple[AlarmState, ...] | None, tuple[str, ...]]:
    """The alarms of the platform, or why they could not be read: a site without them is still one."""
    try:
        return alarm_states.read(platform_stack.stack_name()), ()
    except CloudError as error:
        return None, (f"alarms: {error}",)


def _evidence(record: config.ApprovalRecord) -> Evidence:
    """What registry and lake have of an approval; what is not what was approved is left out, and said."""
    from ml.report import evaluation_plots

    evaluation = calibration = picture = registered = compared = None
    missing = []
    try:
        package = registry.package(record.model_package_arn)
        registered, compared = package.artifact_sha256, clock.now()
        evaluation = registry.evaluation(package)
        picture = evaluation_plots.decision(evaluation, days=daily_rates.days(evaluation))
    except (Refused, Absent) as error:
        missing.append(f"the evaluation: {error}")
    try:
        calibration = model_archive.read_approved(record).baseline.get("calibration")
    except (Refused, Absent, ArtifactError) as error:
        missing.append(f"the calibration: {error}")
    return Evidence(
        evaluation=evaluation,
        calibration=calibration,
        picture=picture,
        missing=tuple(missing),
        registered=registered,
        compared=compared,
    )


def _empty(folder: Path) -> None:
    """Makes `folder` an empty folder with the marker. Refused if it has files that this verb did not make."""
    try:
        if folder.exists():
            if not (folder / MARKER).exists() and any(folder.iterdir()):
                raise Refused(f"{folder} has files that `fraudops site build` did not make; choose another with --out")
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        (folder / MARKER).touch()
    except OSError as error:
        raise FraudopsError(f"{folder}: cannot be written ({error.strerror}); choose another with --out") from error
