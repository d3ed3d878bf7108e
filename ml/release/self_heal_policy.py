"""Decides whether deploy.yml is started because the account differs from Git. Pure: calls no service.

It is started once for each difference while the issue about it is open, and a few times at most. It is never started
while a deployment runs or waits for its reviewer, on the word of a comparison that a deployment or a merge has
overtaken, or where deploy.yml would not put anything back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ml.config.hand_over import Difference, Differences
from ml.gitops.workflow_runs import WorkflowRun

MAX_ATTEMPTS = 3
"""Deployments that one issue starts: somebody who changes the same thing again and again is a person's matter."""
DEPLOY = "deploy.yml"
_DIGEST_CHARS = 12
Action = Literal["off", "equal", "wait", "blocked", "start", "tried"]


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A deployment that the open issue says was started, or was about to be: for which differences, by their digests.

    `started` is false if nothing shows that it was: the job ended before.
    """

    digest: str
    differences: frozenset[str]
    started: bool
    run: WorkflowRun | None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What follows from a comparison.

    `off`: self_heal is false. `equal`: deploy.yml has nothing to put back. `wait`: the next comparison decides.
    `blocked`: deploy.yml would fail or do more than put something back. `start`: deploy.yml puts `differences` back.
    `tried`: it was started for them, and they are still there.
    """

    action: Action
    reason: str
    differences: tuple[Difference, ...] = ()
    """What differs and is put back by deploy.yml."""
    others: tuple[Difference, ...] = ()
    """What differs and is not."""


def digest(differences: Iterable[Difference]) -> str:
    """A digest of differences, whatever their order."""
    lines = sorted(f"{each.subject}\0{each.detail}" for each in differences)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:_DIGEST_CHARS]


def decide(
    comparison: Differences,
    *,
    enabled: bool,
    overtaken: str | None,
    runs: Sequence[WorkflowRun],
    attempts: Sequence[Attempt],
) -> Decision:
    """What follows from a comparison.

    Args:
        enabled: `self_heal` on main.
        overtaken: how main differs from the commit that was compared, in what a deployment reads; None if it does not.
        runs: those of deploy.yml on main, latest first.
        attempts: those of the open issue, none if there is no issue.
    """
    ours = tuple(each for each in comparison.found if each.remedy == DEPLOY)
    others = tuple(each for each in comparison.found if each.remedy != DEPLOY)
    action: Action
    if not enabled:
        action, reason = "off", "self_heal is false on main"
    elif comparison.unsettled is not None:
        action, reason = "wait", comparison.unsettled
    elif not ours:
        action, reason = "equal", f"nothing differs that {DEPLOY} puts back"
    elif (why := overtaken or _running(comparison, runs)) is not None:
        action, reason = "wait", why
    elif (why := _exhausted(ours, attempts)) is not None:
        action, reason = "tried", why
    elif (why := comparison.undeployed or _obstacle(others)) is not None:
        action, reason = "blocked", why
    else:
        action, reason = "start", f"{DEPLOY} puts back what Git says of {', '.join(each.subject for each in ours)}"
    return Decision(action=action, reason=reason, differences=ours, others=others)


def _exhausted(differences: Sequence[Difference], attempts: Sequence[Attempt]) -> str | None:
    started = [each for each in attempts if each.started]
    known = frozenset[str]().union(*(each.differences for each in started))
    if {digest([each]) for each in differences} <= known:
        return f"{DEPLOY} was started for this and did not put it back"
    if len(started) >= MAX_ATTEMPTS:
        return f"{DEPLOY} was started {len(started)} times since the issue was opened"
    return None


def _running(comparison: Differences, runs: Sequence[WorkflowRun]) -> str | None:
    for run in runs:
        if not run.ended:
            return f"a run of {DEPLOY} is {run.status.replace('_', ' ')}: {run.url}"
        if run.updated >= comparison.compared:
            return f"a run of {DEPLOY} ended after the comparison had begun: {run.url}"
    return None


def _obstacle(others: Sequence[Difference]) -> str | None:
    """What makes a deployment fail: a package that it would refuse, or an approval's event that does not arrive."""
    for each in others:
        if each.subject == "package":
            return f"{DEPLOY} would refuse the package: {each.detail}"
        if each.subject.startswith("rule "):
            return f"an approval would not reach the deploy function: {each.detail}"
    return None
