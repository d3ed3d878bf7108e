"""Checks that the daily drift check is alive: its workflow, its last scheduled run, its last result in the lake.

Starts no check.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from ml import clock, config
from ml.aws import platform_stack
from ml.aws.cloudformation import deployed_stack
from ml.aws.drift_check_store import Checks
from ml.diagnosis.check import CannotTell, Check, NotYet, WillFail, run
from ml.diagnosis.subjects import Subjects
from ml.gitops import workflow_schedule
from ml.gitops.workflow_schedule import ScheduledWorkflow

FILE = "drift.yml"
_LATE = timedelta(days=2)  # of a daily cron, which GitHub may start hours late under load
_WINDOW_DAYS = {"day": 1, "week": 7, "month": 31}


def checks(subjects: Subjects) -> Iterator[Check]:
    """The checks of the schedule, in order."""
    yield run("drift schedule", lambda: _enabled(subjects))
    yield run("last scheduled run", lambda: _last_run(subjects))
    yield run("last drift check", lambda: _last_check(subjects))


def _workflow(subjects: Subjects) -> ScheduledWorkflow:
    found = workflow_schedule.read(subjects.github, FILE)
    if found is None:
        raise CannotTell(f"{subjects.repository} has no workflow {FILE} on its default branch; push this checkout")
    return found


def _enabled(subjects: Subjects) -> str:
    state = _workflow(subjects).state
    if state != "active":
        why = " (GitHub disables the schedules of repositories without activity for 60 days)" * (
            state == "disabled_inactivity"
        )
        raise WillFail(f"{FILE} is {state}{why}; enable it: gh workflow enable {FILE} --repo {subjects.repository}")
    return f"{FILE} is active"


def _last_run(subjects: Subjects) -> str:
    found, now = _workflow(subjects), clock.now()
    if found.state != "active":
        raise CannotTell(f"{FILE} is {found.state}")
    if found.last_scheduled is None:
        age = now - _moment(found.created)
        if age < _LATE:
            raise NotYet(f"{FILE} has not run yet; its cron fires once a day")
        raise WillFail(
            f"{FILE} exists since {found.created} and its cron never fired; GitHub runs it only from the default "
            f"branch: gh workflow disable and enable {FILE} --repo {subjects.repository}"
        )
    if now - _moment(found.last_scheduled) > _LATE:
        raise WillFail(
            f"the cron last fired {found.last_scheduled}, and it is due daily; see githubstatus.com, then: gh workflow "
            f"disable {FILE}, gh workflow enable {FILE}"
        )
    return found.last_scheduled


def _last_check(subjects: Subjects) -> str:
    """The newest window in the lake, or the approval that serves, is no older than a window and two days."""
    bucket = deployed_stack.outputs(subjects.usable(platform_stack.stack_name())).get("Bucket")
    if bucket is None:
        raise CannotTell("the stack has no output Bucket")
    if subjects.serving.approval is None:
        return "no model is approved yet, so there is nothing to check"
    limit = timedelta(days=_WINDOW_DAYS[subjects.drift.window]) + _LATE
    windows = Checks(bucket, subjects.serving.endpoint).windows()
    approved = config.load_approval(subjects.root, subjects.serving.approval).created
    last = windows[-1][1] if windows else approved
    what = f"the newest checked window ended {clock.stamp(last)}" if windows else f"none since {clock.stamp(approved)}"
    if clock.now() - last > limit:
        raise WillFail(f"{what}, more than {limit.days} days ago; see the last runs: gh run list --workflow {FILE}")
    if not windows:
        raise NotYet(f"{what}, when the model was approved; the first window has not ended")
    return what


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
